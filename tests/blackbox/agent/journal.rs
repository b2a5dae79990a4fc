//! `/api/journal`: ended sessions and why they ended.

use std::collections::BTreeMap;

use phsweb_agent::simulator::{Router, Row, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, until};
use super::router;
use crate::support::reloading_agent::ReloadingAgent;

const ACTIVE: &str = "/ip/hotspot/active";
const USER: &str = "/ip/hotspot/user";

/// The users, with their addresses and counters, which don't move.
const PEOPLE: [(&str, u8, u64, u64); 4] =
    [("ada", 1, 1000, 20_000), ("bola", 2, 300, 0), ("chidi", 3, 50_000, 7), ("=1+1", 4, 1, 2)];

/// A router with these users and a session of each.
pub(super) fn router_with_people() -> Router {
    let router = router(Settings { users: 0, active: 0, ..Settings::default() });
    let user = |(n, (name, ..)): (usize, &(&str, u8, u64, u64))| {
        let row = Row::new().id(&format!("*{n}")).with("name", *name).with("server", "all");
        row.with("bytes-in", "500").with("bytes-out", "0").with("uptime", "0s")
    };
    router.set_rows(USER, PEOPLE.iter().enumerate().map(user).collect());
    let session = |(name, n, upload, download): &(&str, u8, u64, u64)| {
        let row = Row::new().id(&format!("*A05460{n}")).with("server", "hotspot1").with("user", *name);
        row.with("address", format!("10.5.70.{n}"))
            .with("mac-address", format!("8C:F5:A3:00:00:0{n}"))
            .with("uptime", "1h")
            .with("bytes-in", upload.to_string())
            .with("bytes-out", download.to_string())
    };
    router.set_rows(ACTIVE, PEOPLE.iter().map(session).collect());
    router
}

pub(super) fn given(router: &Router) -> AgentBuilder {
    AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1s\",")
        .plugin("log", "menu: \"/log\", columns: [\"time\", \"message\"], every: \"1s\"")
        .site("awka", router.addr(), "collect: [\"hotspot\", \"resource\", \"log\"],")
}

fn journal(agent: &Agent, query: &str) -> Value {
    agent.json(&format!("/api/journal?{query}"))
}

/// Waits until the newest entries have these users and reasons.
#[track_caller]
fn wait_for(agent: &Agent, expected: &[(&str, Value)]) {
    until(&format!("the journal has {expected:?}"), || {
        let answer = journal(agent, "");
        let entries = answer["entries"].as_array().unwrap();
        let found: Vec<_> =
            entries.iter().map(|entry| (entry["user"].as_str().unwrap(), entry["reason"].clone())).collect();
        (found == expected).then_some(())
    });
}

/// Bytes up and down of each user in these sessions or entries.
fn traffic(rows: &Value, sums: &mut BTreeMap<String, (u64, u64)>) {
    for row in rows.as_array().unwrap() {
        let name = row.get("user").unwrap_or(&row["name"]).as_str().unwrap();
        let sum = sums.entry(name.into()).or_default();
        sum.0 += row["uploadBytes"].as_u64().unwrap();
        sum.1 += row["downloadBytes"].as_u64().unwrap();
    }
}

#[test]
fn the_journal_and_active_sessions_add_up_to_the_routers_counters() {
    let router = router_with_people();
    let agent = given(&router).start().with_token("admin-token-01234");
    agent.stats_when("awka", "all are online", |stats| stats["activeUsers"] == 4);
    router.log_out("*A054601");
    wait_for(&agent, &[("ada", json!("user"))]);
    let kick = json!({ "id": "*A054603", "user": "chidi", "mac": "8C:F5:A3:00:00:03" });
    assert_eq!(agent.post("/api/hotspot/awka/kick", kick.to_string()).status, 200);
    wait_for(&agent, &[("chidi", json!("kicked")), ("ada", json!("user"))]);
    let mut seen = BTreeMap::new();
    traffic(&journal(&agent, "")["entries"], &mut seen);
    traffic(&agent.json("/api/sessions")["sessions"], &mut seen);
    let mut counted = BTreeMap::new();
    traffic(&agent.json("/api/hotspot/awka/users")["users"], &mut counted);
    // What each had used before these sessions.
    for (upload, _) in counted.values_mut() {
        *upload -= 500;
    }
    assert_eq!(seen, counted);
    let ada = &journal(&agent, "q=ADA")["entries"][0];
    let expected = json!({
        "site": "awka", "user": "ada", "mac": "8C:F5:A3:00:00:01", "address": "10.5.70.1", "server": "hotspot1",
        "start": ada["start"], "end": ada["end"], "uploadBytes": 1000, "downloadBytes": 20_000, "reason": "user",
    });
    assert_eq!(*ada, expected);
    router.reboot();
    let rest = until("the rest ended", || {
        let all = journal(&agent, "");
        (all["total"] == 4).then_some(all)
    });
    let rebooted = rest["entries"].as_array().unwrap().iter().filter(|entry| entry["reason"] == "reboot");
    let mut rebooted: Vec<&str> = rebooted.map(|entry| entry["user"].as_str().unwrap()).collect();
    rebooted.sort_unstable();
    assert_eq!(rebooted, ["=1+1", "bola"], "{rest:#}");
    let csv = agent.ask("GET", "/api/journal?q=10.5.70.4", &[("Accept", "text/csv")]);
    assert_eq!(csv.field("Content-Type"), "text/csv; charset=utf-8; header=present");
    let mut lines = csv.body.split("\r\n");
    let header = "site,user,mac,address,server,start,end,uploadBytes,downloadBytes,reason";
    assert_eq!(lines.next(), Some(header));
    let row = lines.next().unwrap();
    assert!(row.starts_with("awka,\"'=1+1\",8C:F5:A3:00:00:04,10.5.70.4,hotspot1,"), "{row}");
    assert!(row.ends_with(",1,2,reboot") && lines.eq([""]), "{}", csv.body);
}

#[test]
fn users_who_come_and_go_are_each_counted_once() {
    const ROUNDS: usize = 12;
    const USERS: u64 = 6;
    let router = router(Settings { users: 0, active: 0, ..Settings::default() });
    let user = |n| {
        let row = Row::new().id(&format!("*{n}")).with("name", format!("user-{n}")).with("server", "all");
        row.with("bytes-in", "0").with("bytes-out", "0").with("uptime", "0s")
    };
    router.set_rows(USER, (0..USERS).map(user).collect());
    // Without the router's log, so that the reason is the agent's own.
    let agent = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1s\",")
        .site("awka", router.addr(), "")
        .start()
        .with_token("admin-token-01234");
    agent.wait_until_active("awka");
    let mut random = fastrand::Rng::with_seed(7);
    // The body of a kick of each session, whether it is at its time limit, and its row.
    let mut online: Vec<(Value, bool, Row)> = Vec::new();
    let mut expected = BTreeMap::from([("kicked", 0_usize), ("time_limit", 0), ("other", 0)]);
    for round in 0..ROUNDS {
        for _ in 0..3 {
            // An address, and so its `.id`, is used again by the next user.
            let is_free = |n: &u8| online.iter().all(|(kick, ..)| kick["id"] != format!("*A0546{n:02X}"));
            let address = (1..=u8::MAX).find(is_free).unwrap();
            let (id, mac) =
                (format!("*A0546{address:02X}"), format!("8C:F5:A3:00:{round:02X}:{address:02X}"));
            let user = format!("user-{}", random.u64(..USERS));
            let row = Row::new().id(&id).with("server", "hotspot1").with("user", user.as_str());
            let row = row.with("address", format!("10.5.70.{address}")).with("mac-address", mac.as_str());
            let row = row.with("uptime", "1h").with("bytes-in", random.u64(..1 << 40).to_string());
            let row = row.with("bytes-out", random.u64(..1 << 40).to_string());
            let is_limited = random.bool();
            let row = if is_limited { row.with("session-time-left", "2s") } else { row };
            online.push((json!({ "id": id, "user": user, "mac": mac }), is_limited, row));
        }
        router.set_rows(ACTIVE, online.iter().map(|(.., row)| row.clone()).collect());
        let count = online.len();
        agent.stats_when("awka", "all are online", |stats| stats["activeUsers"] == count);
        for n in 0..random.usize(1..=3) {
            let (kick, is_limited, _) = online.swap_remove(random.usize(..online.len()));
            if n == 0 {
                assert_eq!(agent.post("/api/hotspot/awka/kick", kick.to_string()).status, 200);
                *expected.get_mut("kicked").unwrap() += 1;
            } else {
                router.log_out(kick["id"].as_str().unwrap());
                *expected.get_mut(if is_limited { "time_limit" } else { "other" }).unwrap() += 1;
            }
        }
    }
    let ended: usize = expected.values().sum();
    let all = until("all ends are recorded", || {
        let all = journal(&agent, "limit=1000");
        (all["total"].as_u64() >= Some(ended as u64)).then_some(all)
    });
    let sessions =
        agent.stats_when("awka", "the rest is online", |stats| stats["activeUsers"] == online.len());
    assert_eq!((&sessions["logins"], &sessions["logouts"]), (&json!(3 * ROUNDS), &json!(ended)));
    let mut found = BTreeMap::from([("kicked", 0_usize), ("time_limit", 0), ("other", 0)]);
    for entry in all["entries"].as_array().unwrap() {
        *found.get_mut(entry["reason"].as_str().unwrap_or("other")).unwrap() += 1;
    }
    assert_eq!(found, expected, "{all:#}");
    let (mut seen, mut counted) = (BTreeMap::new(), BTreeMap::new());
    traffic(&all["entries"], &mut seen);
    traffic(&agent.json("/api/sessions")["sessions"], &mut seen);
    // The router's own counters, which have ended sessions, and its sessions.
    traffic(&agent.json("/api/hotspot/awka/users?limit=100")["users"], &mut counted);
    counted.retain(|_, sum| *sum != (0, 0));
    assert_eq!(seen, counted);
}

#[test]
fn the_journal_is_searched_and_paged() {
    let router = router_with_people();
    let agent = given(&router).start().with_token("admin-token-01234");
    agent.stats_when("awka", "all are online", |stats| stats["activeUsers"] == 4);
    for (n, id) in (1..).zip(["*A054601", "*A054602", "*A054603"]) {
        router.log_out(id);
        until("the logout is recorded", || (journal(&agent, "")["total"] == n).then_some(()));
    }
    let users = |query: &str| -> (Vec<String>, Value) {
        let answer = journal(&agent, query);
        let entries = answer["entries"].as_array().unwrap();
        let users = entries.iter().map(|entry| entry["user"].as_str().unwrap().to_string()).collect();
        (users, answer["next"].clone())
    };
    let (first, next) = users("limit=2");
    assert_eq!(first, ["chidi", "bola"]);
    router.log_out("*A054604");
    until("the logout is recorded", || (journal(&agent, "")["total"] == 4).then_some(()));
    let rest = users(&format!("limit=2&after={}", next.as_str().unwrap()));
    assert_eq!(rest, (vec!["ada".into()], Value::Null));
    let year = |year: &str| format!("{year}-01-01T00:00:00Z");
    for (query, count) in [
        ("q=BOLA".into(), 1),
        ("q=8c:f5:a3:00:00:0".into(), 4),
        ("q=nobody".into(), 0),
        ("site=awka".into(), 4),
        (format!("from={}&to={}", year("2020"), year("2200")), 4),
        (format!("from={}", year("2200")), 0),
        (format!("to={}", year("2020")), 0),
    ] {
        assert_eq!(users(&query).0.len(), count, "{query}");
    }
    for (query, expected) in [
        ("site=lagos", "site: found \"lagos\"; expected one of awka."),
        ("limit=0", "limit: found \"0\"; expected a number from 1 to 50000."),
        ("limit=many", "limit: found \"many\"; expected a number from 1 to 50000."),
        ("after=x", "after: found \"x\"; expected the value of next in the answer before."),
        ("from=today", "from: found \"today\"; expected a time such as"),
        ("format=xml", "format: found \"xml\"; expected json or csv."),
    ] {
        let answer = agent.get(&format!("/api/journal?{query}"));
        assert_eq!(
            (answer.status, answer.field("Content-Type")),
            (400, "application/problem+json"),
            "{query}"
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_string();
        assert!(detail.starts_with(expected), "{query}: {detail}");
    }
    let page = agent.page("/sites/awka");
    assert!(page.contains("Ended sessions") && page.contains("<bdi>bola</bdi>"), "{page}");
    let tag = agent.get("/api/journal").field("ETag").to_string();
    let again = agent.ask("GET", "/api/journal", &[("If-None-Match", &tag), ("Authorization", "Bearer x")]);
    assert_ne!(again.status, 304, "another reader");
}

#[test]
fn a_viewer_sees_nothing_of_the_journal() {
    let router = router_with_people();
    let agent = given(&router).start();
    agent.stats_when("awka", "all are online", |stats| stats["activeUsers"] == 4);
    router.log_out("*A054602");
    agent.stats_when("awka", "one left", |stats| stats["activeUsers"] == 3);
    assert_eq!(agent.get("/api/journal").status, 401);
    assert_eq!(agent.get("/api/sessions").status, 401);
    let page = agent.page("/sites/awka");
    assert!(!page.contains("Ended sessions") && !page.contains("bola"), "{page}");
}

#[test]
fn a_reload_lowers_the_limits_and_erases_the_journal() {
    let router = router_with_people();
    let agent = ReloadingAgent::start(&given(&router));
    let admin = ("Authorization", "Bearer admin-token-01234");
    let api = || agent.ask("GET", "/api/journal", &[admin]).json();
    agent.stats_when("awka", "all are online", |stats| stats["activeUsers"] == 4);
    for (n, id) in (1..).zip(["*A054601", "*A054602"]) {
        router.log_out(id);
        until("the logout is recorded", || (api()["total"] == n).then_some(()));
    }
    assert_eq!(agent.series("phsweb_agent_journal_entries"), Some(2.0));
    agent.save(&given(&router).file("journal: (rows: 1),"));
    until("the oldest is dropped", || (api()["total"] == 1).then_some(()));
    assert_eq!((&api()["entries"][0]["user"], &api()["dropped"]), (&json!("bola"), &json!(1)));
    agent.save(&given(&router).file("journal: Off,"));
    until("it is erased", || (api()["enabled"] == false).then_some(()));
    assert_eq!((&api()["entries"], &api()["oldest"]), (&json!([]), &Value::Null));
    assert_eq!(agent.series("phsweb_agent_journal_entries"), None);
    router.log_out("*A054603");
    agent.stats_when("awka", "one left", |stats| stats["activeUsers"] == 1);
    agent.save(&given(&router));
    until("it is enabled again", || (api()["enabled"] == true).then_some(()));
    assert_eq!(api()["total"], 0, "nothing was kept meanwhile");
}

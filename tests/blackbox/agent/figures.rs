//! The agent reports the figures that the router holds.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use phsweb_agent::simulator::{HealthMenu, Login, Policies, Router, Row, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, until};
use super::{router, version};

const ADMIN: &str = "admin: Token(Plain(\"admin-token-01234\")),";

fn agent(given: AgentBuilder) -> Agent {
    given.http(ADMIN).defaults("refresh: \"1s\",").start().with_token("admin-token-01234")
}

/// Two sessions with constant figures.
fn two_sessions(router: &Router) {
    let row = |id: &str, user: &str, address: &str, up: u64, down: u64| {
        Row::new()
            .id(id)
            .with("server", "hotspot1")
            .with("user", user)
            .with("address", address)
            .with("mac-address", "8C:F5:A3:00:00:01")
            .with("uptime", "1w2d3h4m5s")
            .with("bytes-in", up)
            .with("bytes-out", down)
    };
    let rows = vec![
        row("*A053202", "ada", "10.5.50.2", 7_000_000_001, 90_000_000_000),
        row("*A053203", "chidi", "10.5.50.3", 20, 3),
    ];
    router.set_rows("/ip/hotspot/active", rows);
}

#[test]
fn every_routeros_version_is_read_correctly() {
    let versions = [
        // It ignores a query on `count-only`.
        ("v628", "6.28", "login: Challenge"),
        ("v642", "6.42.12 (long-term)", "login: Challenge"),
        ("v649", "6.49.10 (stable)", ""),
        ("v711", "7.11.2 (stable)", ""),
        ("v720", "7.20.7 (long-term)", ""),
    ];
    let routers: Vec<Router> = versions
        .iter()
        .zip(10..)
        .map(|((_, text, _), n)| {
            router(Settings { users: 5 * n, active: n, seed: n as u64, ..version(text) })
        })
        .collect();
    let given = versions.iter().zip(&routers);
    let given = given.fold(AgentBuilder::default(), |given, ((key, _, more), router)| {
        given.site(key, router.addr(), more)
    });
    let agent = agent(given);
    for ((key, text, _), router) in versions.iter().zip(&routers) {
        let stats = agent.wait_until_active(key);
        let sessions = router.sessions();
        assert_eq!(stats["activeUsers"], sessions.len(), "{key}");
        assert_eq!(
            stats["totalUsers"],
            5 * sessions.len(),
            "{key}: expected the count without default-trial"
        );
        let number = text.split(' ').next().unwrap();
        assert_eq!(stats["routerStatus"]["version"], number, "{key}");
        assert_eq!(stats["routerStatus"]["totalMemory"], 128 << 20, "{key}");
        assert!(stats["error"].is_null() && stats.get("lastKnown").is_none(), "{key}: {stats}");

        let held: Vec<Value> =
            sessions.iter().map(|s| json!([s.id, s.user, s.address.to_string(), s.mac])).collect();
        let active = agent.json(&format!("/api/hotspot/{key}/active"));
        let shown: Vec<Value> = active
            .as_array()
            .unwrap()
            .iter()
            .map(|s| json!([s["id"], s["user"], s["address"], s["mac"]]))
            .collect();
        assert_eq!(shown, held, "{key}");

        two_sessions(router);
        // The changes arrive one by one: for a moment one of the two is still another user.
        let stats = agent.stats_when(key, "both sessions are shown", |stats| {
            stats["activeUsers"] == 2 && stats["totalBytesIn"] == 7_000_000_021u64
        });
        assert_eq!(stats["uploadBytes"], 7_000_000_021u64, "{key}");
        assert_eq!(stats["totalBytesOut"], 90_000_000_003u64, "{key}");
        assert_eq!(stats["downloadBytes"], 90_000_000_003u64, "{key}");
        let ada = &agent.json(&format!("/api/hotspot/{key}/active"))[0];
        for (field, value) in [
            ("user", json!("ada")),
            ("server", json!("hotspot1")),
            ("bytesIn", json!(7_000_000_001u64)),
            ("uploadBytes", json!(7_000_000_001u64)),
            ("bytesOut", json!(90_000_000_000u64)),
            ("downloadBytes", json!(90_000_000_000u64)),
            ("uptime", json!("9d3h4m5s")),
            ("uptimeSeconds", json!(9 * 86_400 + 3 * 3600 + 4 * 60 + 5)),
        ] {
            assert_eq!(ada[field], value, "{key}: {field}");
        }
    }
    for router in &routers {
        assert_eq!(
            (router.counters().logins, router.counters().open),
            (1, 1),
            "expected one persistent connection"
        );
    }
}

#[test]
fn health_has_the_format_of_its_version_and_may_be_missing() {
    let board = |settings: Settings| Settings { board: "RB4011iGS+".into(), ..settings };
    let v6 = router(version("6.49.10 (stable)"));
    let v7 = router(board(version("7.20.7 (long-term)")));
    let missing = router(Settings { health: HealthMenu::Missing, ..Settings::default() });
    let empty = router(Settings { health: HealthMenu::Empty, ..Settings::default() });
    let agent = agent(
        AgentBuilder::default()
            .site("six", v6.addr(), "")
            .site("seven", v7.addr(), "")
            .site("none", missing.addr(), "")
            .site("empty", empty.addr(), ""),
    );
    let table = |site: &str| {
        agent.wait_until_active(site);
        agent.json(&format!("/api/sites/{site}/plugins/health"))
    };
    let column = |table: &Value, at: usize| -> Vec<String> {
        let rows = table["rows"].as_array().unwrap();
        rows.iter().map(|row| row[at].as_str().unwrap_or("-").to_string()).collect()
    };
    let six = table("six");
    assert_eq!(six["columns"], json!(["name", "value", "unit"]));
    assert_eq!(column(&six, 0), ["voltage", "temperature", "cpu-temperature"]);
    assert_eq!(column(&six, 2), ["V", "°C", "°C"]);
    let seven = table("seven");
    assert_eq!(column(&seven, 0), ["voltage", "temperature", "cpu-temperature", "psu1-state"]);
    assert_eq!(column(&seven, 2), ["V", "°C", "°C", "-"]);
    assert_eq!(column(&seven, 1)[3], "ok");
    let volts: f64 = column(&seven, 1)[0].parse().unwrap();
    assert!((23.0..25.0).contains(&volts), "{volts}");

    assert_eq!((&table("empty")["state"], &table("empty")["rows"]), (&json!("ok"), &json!([])));
    // From about 7.10 on, a board without sensors has no such menu. This is not a failure.
    assert_eq!((&table("none")["state"], &table("none")["rows"]), (&json!("ok"), &json!([])));
    let site = agent.json("/api/sites/none");
    let states: Vec<_> =
        ["hotspot", "resource", "health"].map(|name| site["plugins"][name]["state"].clone()).into();
    assert_eq!(states, ["ok", "ok", "ok"]);
    assert_eq!(site["plugins"]["health"]["error"], Value::Null);
    assert_eq!((&site["state"], &site["error"]), (&json!("online"), &Value::Null));
    // The operator could fix nothing, so the overview shows no error.
    assert!(!agent.page("/").contains("class=\"error\""));
}

#[test]
fn an_api_user_without_read_policy_is_denied() {
    let policies = Policies { read: false, ..Policies::ALL };
    let logins = vec![Login { policies, ..Login::new("api-user", "password") }];
    let router = router(Settings { logins, ..Settings::default() });
    let agent = agent(AgentBuilder::default().site("awka", router.addr(), ""));
    let stats = agent.wait_for_error("awka", "permission");
    assert_eq!((&stats["status"], &stats["activeUsers"]), (&json!("maintenance"), &json!(0)));
    assert!(stats["error"]["hint"].as_str().unwrap().contains("policy"), "{stats}");
    let site = agent.json("/api/sites/awka");
    assert_eq!(site["plugins"]["hotspot"]["state"], "denied");
    assert!(agent.json("/api/routers")["awka"]["version"].is_null());
}

#[test]
fn text_that_is_not_utf8_is_decoded_with_the_sites_codepage() {
    let router = router(Settings::default());
    let guest = Row::new()
        .id("*A053202")
        .with("user", &b"\xE3\xEE\xF1\xF2\xFC"[..])
        .with("comment", &b"\xC3\xEE\xF1\xF2\xFC, \xEA\xEE\xEC\xED\xE0\xF2\xE0 3"[..]);
    let plain = Row::new().id("*A053203").with("user", "Ngọ́zị");
    router.set_rows("/ip/hotspot/active", vec![guest, plain]);
    let agent =
        agent(AgentBuilder::default().site("cyrillic", router.addr(), "codepage: \"windows-1251\"").site(
            "western",
            router.addr(),
            "",
        ));
    for (site, user, comment) in
        [("cyrillic", "гость", "Гость, комната 3"), ("western", "ãîñòü", "Ãîñòü, êîìíàòà 3")]
    {
        agent.wait_until_active(site);
        let people = agent.json(&format!("/api/hotspot/{site}/active"));
        assert_eq!((&people[0]["user"], &people[0]["comment"]), (&json!(user), &json!(comment)));
        assert_eq!(people[1]["user"], "Ngọ́zị", "expected UTF-8 to be unchanged");
        let page = agent.page(&format!("/sites/{site}"));
        assert!(page.contains(comment) && page.contains("Ngọ́zị"), "{page}");
    }
}

#[test]
fn login_times_are_the_clock_minus_the_uptime_and_do_not_drift() {
    let router = router(Settings::default());
    let agent = agent(AgentBuilder::default().site("awka", router.addr(), ""));
    agent.wait_until_all_are_read();
    let logins = |agent: &Agent| -> HashMap<String, (String, u64)> {
        let people = agent.json("/api/hotspot/awka/active");
        let text = |person: &Value, field: &str| person[field].as_str().unwrap().to_string();
        let entry = |p: &Value| (text(p, "id"), (text(p, "loginTime"), p["uptimeSeconds"].as_u64().unwrap()));
        people.as_array().unwrap().iter().map(entry).collect()
    };
    let first = logins(&agent);
    assert_eq!(first.len(), 23);
    let now = SystemTime::now();
    for (id, (login, uptime)) in &first {
        let login = humantime::parse_rfc3339(login).unwrap();
        let apart = now.duration_since(login + Duration::from_secs(*uptime)).unwrap_or_default();
        assert!(apart < Duration::from_secs(5), "{id}: {apart:?}");
    }
    // The slower the answer, the older the uptime in it.
    for latency in [900, 0, 600, 300] {
        router.set_latency(Duration::from_millis(latency));
        let commands = router.counters().commands;
        // Two refreshes later: the second began after the change.
        until("the site was refreshed twice", || (router.counters().commands >= commands + 12).then_some(()));
        let again = logins(&agent);
        for (id, (login, _)) in &first {
            assert_eq!(&again[id].0, login, "{id} at {latency} ms");
        }
    }
    router.set_latency(Duration::ZERO);
    assert!(router.log_in("new.user", Ipv4Addr::new(10, 5, 60, 9), "8C:F5:A3:00:00:09").is_some());
    let stats = agent.stats_when("awka", "the new session is shown", |stats| stats["activeUsers"] == 24);
    assert_eq!(stats["lastActivity"], "just now");
    let people = logins(&agent);
    let latest = people.values().map(|(login, _)| login).max().unwrap();
    assert_eq!(stats["lastActivityAt"], *latest, "expected the most recent login as lastActivity");
}

//! The list of configured users: complete, in pages, and without passwords.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use phsweb_agent::routeros::wire::Sentence;
use phsweb_agent::simulator::{Fault, Login, Policies, Router, Row, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, until};
use super::peer::Peer;
use super::tap::Tap;
use super::{router, version};

const PATH: &str = "/api/hotspot/awka/users";

const USER: &str = "/ip/hotspot/user";

/// Most bytes that the router sends for a page at ten thousand users: their ids, and some rows.
const MAX_SENT: u64 = 400_000;

/// Most bytes that it receives: a handful of words, and an id for each user of the page.
const MAX_RECEIVED: u64 = 3_000;

fn agent_at(address: SocketAddr) -> Agent {
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1h\",");
    let agent = given.site("awka", address, "").start().with_token("admin-token-01234");
    agent.wait_until_active("awka");
    agent
}

fn agent(router: &Router) -> Agent {
    let agent = agent_at(router.addr());
    agent.wait_until_all_are_read();
    agent
}

/// A page of this query, and `after` of the next one.
#[track_caller]
fn page(agent: &Agent, query: &str) -> (Vec<Value>, Option<String>) {
    let page = agent.json(&format!("{PATH}{query}"));
    (page["users"].as_array().unwrap().clone(), page["next"].as_str().map(str::to_string))
}

/// The ids of all users, page by page, with a call of `between` after each page.
#[track_caller]
fn all(agent: &Agent, limit: usize, mut between: impl FnMut(usize)) -> Vec<String> {
    let mut ids = Vec::new();
    let mut query = format!("?limit={limit}");
    for number in 0.. {
        let (users, next) = page(agent, &query);
        assert!(users.len() <= limit, "{} of {limit}", users.len());
        for user in &users {
            assert_ne!(user["name"], "default-trial");
            ids.push(user["id"].as_str().unwrap().to_string());
        }
        let Some(next) = next else { break };
        query = format!("?limit={limit}&after={next}");
        between(number);
    }
    ids
}

fn user(n: u32) -> Row {
    Row::new().id(&format!("*{n:X}")).with("name", format!("user-{n}")).with("password", "pass-w0rd")
}

/// The row of `default-trial` among the users.
fn trial(id: &str) -> Row {
    Row::new().id(id).with("name", "default-trial").with("default", true)
}

#[test]
fn each_user_is_on_exactly_one_page_for_any_limit() {
    let router = router(Settings { users: 0, active: 0, ..Settings::default() });
    // Ids of one to three digits, unordered, and the trial's row in the middle.
    let mut rows: Vec<Row> = [7, 0x1F, 1, 0xA, 0x100, 0xFF, 2, 0x10, 0xF].map(user).into();
    rows.insert(4, trial("*3"));
    router.set_rows(USER, rows);
    let agent = agent(&router);
    let expected = ["*1", "*2", "*7", "*A", "*F", "*10", "*1F", "*FF", "*100"];
    for limit in [1, 2, 3, 8, 9, 10, 500] {
        assert_eq!(all(&agent, limit, |_| ()), expected, "{limit}");
    }
    for (after, left) in [("*3", 7), ("*f", 4), ("*FF", 1), ("*100", 0), ("*FFFFFFFFF", 0), ("", 9), ("*", 9)]
    {
        assert_eq!(page(&agent, &format!("?after={after}")).0.len(), left, "{after:?}");
    }
    for (limit, status) in [
        ("0", 400),
        ("1", 200),
        ("500", 200),
        ("501", 400),
        ("x", 400),
        ("-1", 400),
        ("1.5", 400),
        ("99999999999999999999999", 400),
        ("%00", 400),
        ("", 200),
    ] {
        let answer = agent.get(&format!("{PATH}?limit={limit}"));
        assert_eq!(answer.status, status, "{limit:?}: {answer:?}");
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_string();
        assert_eq!(detail.contains("from 1 to 500"), status == 400, "{limit:?}: {detail}");
    }
    let head = agent.ask("HEAD", PATH, &[]);
    let get = agent.get(PATH);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for name in ["Content-Type", "Content-Length", "Cache-Control"] {
        assert!(!get.field(name).is_empty() && head.field(name) == get.field(name), "{name}: {head:?}");
    }
    assert_eq!(get.field("Cache-Control"), "no-store");
    for method in ["POST", "DELETE"] {
        let answer = agent.ask(method, PATH, &[]);
        assert_eq!((answer.status, answer.field("Allow")), (405, "GET, HEAD"), "{method}");
    }
    assert_eq!(agent.get("/api/hotspot/nowhere/users").status, 404);
}

#[test]
fn a_user_that_stays_is_listed_once_while_others_are_added_and_removed() {
    let router = router(Settings { users: 0, active: 0, ..Settings::default() });
    let mut there: BTreeSet<u32> = (1..=600).collect();
    let rows =
        |there: &BTreeSet<u32>| -> Vec<Row> { there.iter().map(|n| user(*n)).chain([trial("*0")]).collect() };
    router.set_rows(USER, rows(&there));
    let agent = agent(&router);
    let mut rng = fastrand::Rng::with_seed(7);
    let mut gone = BTreeSet::new();
    let ids = all(&agent, 20, |number| {
        for _ in 0..10 {
            let n = rng.u32(1..=600);
            there.remove(&n);
            gone.insert(n);
        }
        there.insert(1_000 + u32::try_from(number).unwrap());
        router.set_rows(USER, rows(&there));
    });
    let seen: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(seen.len(), ids.len(), "expected each user once");
    for n in (1..=600).filter(|n| !gone.contains(n)) {
        assert!(seen.contains(format!("*{n:X}").as_str()), "expected *{n:X} in the list");
    }
    assert!(ids.len() > 300 && gone.len() > 100, "{} seen, {} gone", ids.len(), gone.len());
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn passwords_are_never_requested() {
    let router = router(Settings { users: 0, active: 3, ..Settings::default() });
    router.set_rows(USER, (1..=300).map(user).chain([trial("*0")]).collect());
    let tap = Tap::on(router.addr());
    let agent = agent_at(tap.address);
    let mut shown = String::new();
    for query in ["", "?limit=500", "?limit=1&after=*5"] {
        shown += &agent.get(&format!("{PATH}{query}")).body;
    }
    assert!(!shown.contains("pass-w0rd") && !shown.contains("password"), "{shown}");
    let sent = tap.from_router.lock().unwrap().clone();
    assert!(contains(&sent, b"=name=user-7") && !contains(&sent, b"pass-w0rd"));
    assert!(!contains(&sent, b"password"));
    let prints: Vec<Sentence> = tap.sentences();
    let prints: Vec<&Sentence> =
        prints.iter().filter(|print| print.first().starts_with(USER.as_bytes())).collect();
    assert!(prints.len() >= 7, "{prints:?}");
    for print in prints {
        let properties = print.get(".proplist").map(|list| String::from_utf8_lossy(list).into_owned());
        let trimmed = properties.is_some_and(|list| !list.is_empty() && !list.contains("password"));
        assert!(trimmed || print.get("count-only").is_some(), "{print:?}");
    }
}

#[test]
fn a_page_takes_few_bytes_however_many_users_there_are() {
    let router = router(Settings { users: 10_000, active: 5, ..Settings::default() });
    let agent = agent(&router);
    let before = router.counters();
    assert_eq!(page(&agent, "").0.len(), 50);
    let after = router.counters();
    let (received, sent) = (after.received - before.received, after.sent - before.sent);
    eprintln!("a page of 50 of 10,000 users: the router received {received} bytes and sent {sent}");
    assert!(received < MAX_RECEIVED && sent < MAX_SENT, "{received} received, {sent} sent");
    assert_eq!(after.commands - before.commands, 2);
}

#[test]
fn the_usage_of_a_user_includes_active_sessions() {
    let router = router(Settings { users: 0, active: 0, ..Settings::default() });
    let named = |id: &str, name: &[u8], server: &str| {
        let row = Row::new().id(id).with("name", name).with("server", server).with("profile", "weekly");
        row.with("bytes-in", "1000").with("bytes-out", "5000000000000").with("uptime", "1d2h")
    };
    let limited = named("*5", b"limited", "all")
        .with("limit-uptime", "1w")
        .with("limit-bytes-in", "1")
        .with("limit-bytes-out", "0")
        .with("limit-bytes-total", "18446744073709551615")
        .with("disabled", "true")
        .with("mac-address", "8C:F5:A3:00:00:01")
        .with("comment", &b"caf\xe9"[..]);
    let users = vec![
        named("*1", b"ada", "all"),
        named("*2", b"ada", "lobby"),
        named("*3", b"caf\xe9", "all"),
        named("*4", "café".as_bytes(), "all"),
        limited,
    ];
    router.set_rows(USER, users);
    let session = |id: &str, name: &[u8], server: &str| {
        let row = Row::new().id(id).with("user", name).with("server", server).with("uptime", "1m");
        row.with("bytes-in", "30").with("bytes-out", "400")
    };
    let sessions = vec![
        session("*A1", b"ada", "hotspot1"),
        session("*A2", b"ada", "lobby"),
        session("*A3", b"caf\xe9", "hotspot1"),
        session("*A4", b"bola", "hotspot1"),
    ];
    router.set_rows("/ip/hotspot/active", sessions);
    let agent = agent(&router);
    let (users, next) = page(&agent, "");
    assert_eq!(next, None);
    let of = |n: usize| {
        let user = &users[n];
        (
            user["sessions"].as_u64().unwrap(),
            user["uploadBytes"].as_u64().unwrap(),
            user["downloadBytes"].as_u64().unwrap(),
        )
    };
    assert_eq!(of(0), (2, 1060, 5_000_000_000_800), "expected the sessions of all servers: {}", users[0]);
    assert_eq!(of(1), (1, 1030, 5_000_000_000_400), "expected the sessions of that server: {}", users[1]);
    assert_eq!(of(2), (1, 1030, 5_000_000_000_400), "{}", users[2]);
    assert_eq!(
        of(3),
        (0, 1000, 5_000_000_000_000),
        "expected no session of a user with equal display text: {}",
        users[3]
    );
    for user in &users {
        assert_eq!(
            (&user["bytesIn"], &user["bytesOut"]),
            (&json!(1000), &json!(5_000_000_000_000_u64)),
            "expected the counters of RouterOS"
        );
        assert_eq!((&user["uptime"], &user["uptimeSeconds"]), (&json!("1d2h"), &json!(93_600)));
    }
    let limited = &users[4];
    assert_eq!(
        (
            &limited["limitUptimeSeconds"],
            &limited["limitBytesIn"],
            &limited["limitBytesOut"],
            &limited["limitBytesTotal"]
        ),
        (&json!(604_800), &json!(1), &Value::Null, &json!(u64::MAX)),
        "{limited}"
    );
    assert_eq!((&limited["disabled"], &limited["comment"]), (&json!(true), &json!("café")), "{limited}");
    assert_eq!(users[0]["disabled"], false);
}

#[test]
fn no_users_are_an_empty_page() {
    // `!empty` before the end, and a bare end.
    for settings in [version("7.20.7"), version("7.11.2"), version("6.49.10")] {
        let router = router(Settings { users: 0, active: 0, ..settings });
        let agent = agent(&router);
        for query in ["", "?limit=500", "?after=*1"] {
            let page = agent.json(&format!("{PATH}{query}"));
            assert_eq!(page, json!({ "users": [], "total": 0, "matching": 0, "next": null }));
        }
    }
}

/// A scripted router that lists this many ids, and returns only some of these users.
fn vanishing(count: u32, is_there: impl Fn(u32) -> bool + Send + Sync + 'static) -> Peer {
    let sentence = |words: &[&str]| Sentence::from_words(words);
    Peer::replying(move |command, tag| {
        let done = sentence(&["!done", tag]);
        let ids = (1..=count).map(|n| (n, format!("=.id=*{n:X}")));
        match (command.first(), command.get(".proplist")) {
            (b"/ip/hotspot/user/print", Some(b".id")) => {
                ids.map(|(_, id)| sentence(&["!re", tag, &id])).chain([done]).collect()
            }
            (b"/ip/hotspot/user/print", Some(_)) => {
                let requested: BTreeSet<String> = command
                    .words()
                    .filter_map(|word| word.strip_prefix(b"?.id="))
                    .map(|id| format!("=.id={}", String::from_utf8_lossy(id)))
                    .collect();
                let there = ids.filter(|(n, id)| is_there(*n) && requested.contains(id));
                there.map(|(_, id)| sentence(&["!re", tag, &id, "=name=x"])).chain([done]).collect()
            }
            (b"/ip/hotspot/active/listen", _) => Vec::new(),
            (b"/ip/hotspot/active/print" | b"/ip/hotspot/user/print", _) => vec![done],
            _ => vec![sentence(&["!re", tag, "=uptime=5d"]), done],
        }
    })
}

#[test]
fn users_removed_between_the_two_queries_do_not_end_the_list() {
    // A whole page of them, and the last one of a page.
    let peer = vanishing(60, |n| !(21..=30).contains(&n) && n != 40);
    let agent = agent_at(peer.address);
    for limit in [1, 10, 7, 500] {
        let ids = all(&agent, limit, |_| ());
        assert_eq!(ids.len(), 49, "{limit}: {ids:?}");
    }
}

#[test]
fn too_many_users_are_an_error_and_keep_the_connection() {
    let router = router(Settings { users: 17_000, active: 2, ..Settings::default() });
    let agent = agent(&router);
    assert_eq!(agent.stats("awka")["totalUsers"], 17_000);
    let answer = agent.get(PATH);
    assert_eq!(
        (answer.status, answer.field("Content-Type")),
        (502, "application/problem+json"),
        "{answer:?}"
    );
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("17000") && detail.contains("16384"), "{detail}");
    agent.post("/api/refresh", "");
    assert_eq!(agent.stats("awka")["status"], "active");
    assert_eq!(router.counters().logins, 1, "expected one connection");
}

#[test]
fn errors_of_the_router_are_reported() {
    let blind =
        Login { policies: Policies { read: false, ..Policies::ALL }, ..Login::new("api-user", "password") };
    let denied = router(Settings { logins: vec![blind], ..Settings::default() });
    let lacking = router(Settings::default());
    lacking.remove_menu(USER);
    let away = router(Settings::default());
    away.set_fault(Some(Fault::Refuse));
    let silent = router(Settings::default());
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1h\", query_timeout: \"3s\",");
    let sites = [("denied", &denied), ("lacking", &lacking), ("away", &away), ("silent", &silent)];
    let agent = sites
        .iter()
        .fold(given, |given, (key, router)| given.site(key, router.addr(), ""))
        .start()
        .with_token("admin-token-01234");
    until("every site was tried", || (agent.get("/readyz").status == 200).then_some(()));
    // Otherwise a query of the agent's own may time out first, which closes the connection.
    until("the silent site was read completely", || {
        let site = agent.json("/api/sites/silent");
        let is_read = !site["clock"]["utcOffsetSeconds"].is_null() && !site["capacity"]["license"].is_null();
        (is_read && !site["capacity"]["pools"].is_null()).then_some(())
    });
    silent.set_fault(Some(Fault::HalfOpen));
    let causes: BTreeMap<&str, (u16, &str)> = BTreeMap::from([
        ("denied", (403, "permission")),
        ("lacking", (403, "unsupported")),
        ("away", (502, "closed")),
        ("silent", (504, "query_timeout")),
    ]);
    for (key, (status, cause)) in causes {
        let answer = agent.get(&format!("/api/hotspot/{key}/users"));
        assert_eq!((answer.status, &answer.json()["cause"]), (status, &json!(cause)), "{key}: {answer:?}");
    }
}

#[test]
fn only_the_admin_sees_users() {
    let router = router(Settings { users: 3, active: 0, ..Settings::default() });
    let http = "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),";
    let agent =
        AgentBuilder::default().http(http).site("awka", router.addr(), "collect: [\"resource\"]").start();
    let commands = || router.counters().commands;
    until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
    let before = commands();
    for (sent, status) in [("none", 401), ("Bearer wrong", 401), ("Bearer view-token-01234", 403)] {
        assert_eq!(agent.ask("GET", PATH, &[("Authorization", sent)]).status, status, "{sent}");
    }
    assert_eq!(commands(), before);
    assert_eq!(agent.ask("GET", PATH, &[("Authorization", "Bearer admin-token-01234")]).status, 200);
}

/// Eight requests wait; more are refused rather than queued without end.
#[test]
fn too_many_requests_at_once_get_retry_after() {
    let router = router(Settings { users: 20, active: 0, ..Settings::default() });
    let agent = agent(&router);
    router.set_latency(Duration::from_millis(100));
    let answers: Vec<(u16, String)> = thread::scope(|scope| {
        let requests: Vec<_> = (0..30).map(|_| scope.spawn(|| agent.get(PATH))).collect();
        let joined = requests.into_iter().map(|request| request.join().unwrap());
        joined.map(|answer| (answer.status, answer.field("Retry-After").to_string())).collect()
    });
    let served = answers.iter().filter(|(status, _)| *status == 200).count();
    // All may come before the site takes the first one.
    assert!(served >= 8, "{answers:?}");
    assert!(
        answers.iter().all(|answer| *answer == (200, String::new()) || *answer == (503, "1".to_string())),
        "{answers:?}"
    );
}

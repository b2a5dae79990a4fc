//! Kicks that succeed: which sessions end, which stay, and what is reported.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use phsweb_agent::routeros::wire::Sentence;
use phsweb_agent::simulator::{IdOrder, Router, Row, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, Answer, throughout, until, until_within};
use super::peer::Peer;
use super::{router, version};

pub(super) const PATH: &str = "/api/hotspot/awka/kick";

pub(super) const MAC: &str = "8C:F5:A3:00:00:01";

/// Long enough for a discrepancy to be resolved, and for some refreshes.
const WATCHED: Duration = Duration::from_millis(3500);

/// Rounds of two simultaneous kicks; fewer if a round takes as long as a poll.
const ROUNDS: u8 = 30;
const POLLED_ROUNDS: u8 = 10;

const COOKIE: &str = "/ip/hotspot/cookie";

pub(super) fn at(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 5, 70, n)
}

pub(super) fn given(address: SocketAddr, more: &str) -> AgentBuilder {
    let given = AgentBuilder::default().http("admin: Token(Plain(\"admin-token-01234\")),").defaults(more);
    given.site("awka", address, "")
}

/// The agent of a scripted router, which it has read once.
pub(super) fn agent_of(peer: &Peer) -> Agent {
    let given = given(peer.address, "refresh: \"1h\", query_timeout: \"1s\",");
    let agent = given.start().with_token("admin-token-01234");
    agent.wait_until_active("awka");
    agent
}

pub(super) fn agent(router: &Router, more: &str) -> Agent {
    let agent = given(router.addr(), more).start().with_token("admin-token-01234");
    agent.wait_until_all_are_read();
    agent
}

pub(super) fn kick(agent: &Agent, body: &Value) -> Answer {
    agent.post(PATH, body.to_string())
}

/// The sessions as they are shown.
pub(super) fn active(agent: &Agent) -> Vec<Value> {
    agent.json("/api/hotspot/awka/active").as_array().unwrap().clone()
}

/// The body of a kick of this session, as it is shown.
pub(super) fn body(session: &Value) -> Value {
    json!({ "id": session["id"], "user": session["user"], "mac": session["mac"] })
}

/// The body of a kick of the session at this address, once it is shown.
#[track_caller]
pub(super) fn shown_at(agent: &Agent, address: Ipv4Addr) -> Value {
    until(&format!("{address} is shown"), || {
        active(agent).iter().find(|session| session["address"] == address.to_string()).map(body)
    })
}

/// Checks the cases in parallel: they mostly wait.
pub(super) fn each<C: Send>(cases: impl IntoIterator<Item = C>, holds: impl Fn(C) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| holds(case));
        }
    });
}

/// Users online, logins, logouts.
pub(super) fn counts(agent: &Agent) -> (u64, u64, u64) {
    let stats = agent.stats("awka");
    let count = |name: &str| stats[name].as_u64().unwrap();
    (count("activeUsers"), count("logins"), count("logouts"))
}

/// The counts reach these values soon, and stay there.
#[track_caller]
pub(super) fn counts_stay(agent: &Agent, expected: (u64, u64, u64)) {
    let mut last = counts(agent);
    until_within(Duration::from_secs(3), &format!("the counts are {expected:?}, last {last:?}"), || {
        last = counts(agent);
        (last == expected).then_some(())
    });
    throughout(WATCHED, || assert_eq!(counts(agent), expected));
}

#[track_caller]
fn kicked(answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.field("Content-Type")), (200, "application/json"), "{answer:?}");
    answer.json()
}

/// The log lines of kicks, once there are this many: they are written after the answer.
#[track_caller]
pub(super) fn lines(agent: &Agent, count: usize) -> Vec<String> {
    until(&format!("{count} kicks are in the log"), || {
        let log = agent.running.err();
        let lines: Vec<String> =
            log.lines().filter(|line| line.contains("kick ")).map(str::to_string).collect();
        assert!(lines.len() <= count, "{log}");
        (lines.len() == count).then_some(lines)
    })
}

#[test]
fn a_kicked_session_disappears_at_once_and_counts_as_one_logout() {
    let reversed = Settings { id_order: IdOrder::Reversed, ..version("7.20.7") };
    let cases = [
        (version("7.20.7"), true),
        (version("7.11.2"), false),
        (version("6.49.10"), false),
        (version("6.43"), true),
        (reversed, true),
    ];
    each(cases, |(settings, live)| {
        let router = router(Settings { active: 5, ..settings });
        let agent = agent(&router, &format!("refresh: \"1s\", live: {live},"));
        let people = active(&agent);
        let answer = kicked(&kick(&agent, &body(&people[2])));
        let removed = json!([{
            "id": people[2]["id"], "user": people[2]["user"], "mac": people[2]["mac"],
            "address": people[2]["address"], "server": "hotspot1",
        }]);
        assert_eq!(answer, json!({ "removed": removed, "cookiesRemoved": 0, "loggedBackIn": false }));
        // The state is current as soon as the answer arrives.
        assert_eq!(counts(&agent), (4, 0, 1));
        assert!(!active(&agent).iter().any(|session| session["id"] == people[2]["id"]));
        assert!(!router.sessions().iter().any(|session| people[2]["id"] == session.id));
        counts_stay(&agent, (4, 0, 1));
        lines(&agent, 1);
    });
}

/// The answer to a refresh that began before the kick and ends after it still contains the session.
#[test]
fn a_refresh_in_progress_does_not_restore_a_kicked_session() {
    each([true, false], |live| {
        let router = router(Settings { active: 3, ..Settings::default() });
        let agent = agent(&router, &format!("refresh: \"1h\", live: {live},"));
        let person = body(&active(&agent)[0]);
        thread::sleep(Duration::from_secs(1));
        thread::scope(|scope| {
            router.set_latency(Duration::from_secs(2));
            let before = router.counters().commands;
            let refresh = scope.spawn(|| agent.post("/api/refresh", ""));
            until("the router is queried", || (router.counters().commands >= before + 4).then_some(()));
            router.set_latency(Duration::ZERO);
            kicked(&kick(&agent, &person));
            assert_eq!(counts(&agent), (2, 0, 1));
            assert!(!refresh.is_finished(), "expected the refresh to end after the kick");
            assert_eq!(refresh.join().unwrap().status, 200);
        });
        let _ = router.log_in("ada", at(1), MAC).unwrap();
        assert_eq!(agent.post("/api/refresh", "").status, 200);
        counts_stay(&agent, (3, 1, 1));
    });
}

#[test]
fn mac_addresses_are_compared_without_case() {
    let router = router(Settings { active: 0, ..Settings::default() });
    let _ = router.log_in("ada", at(1), "8c:f5:a3:0a:0b:0c").unwrap();
    let agent = agent(&router, "refresh: \"1h\",");
    let mut person = shown_at(&agent, at(1));
    person["mac"] = json!("8C:F5:A3:0A:0B:0C");
    person["forget"] = json!(true);
    assert_eq!(kicked(&kick(&agent, &person))["cookiesRemoved"], 1);
}

/// A scripted router with one session until it is removed.
fn one_session(read_back: impl Fn(&str) -> Vec<Sentence> + Send + Sync + 'static) -> Peer {
    let sentence = |words: &[&str]| Sentence::from_words(words);
    let removed = std::sync::atomic::AtomicBool::new(false);
    Peer::answering(move |path, tag| match path {
        "/ip/hotspot/active/print" if removed.load(std::sync::atomic::Ordering::SeqCst) => read_back(tag),
        "/ip/hotspot/active/print" => vec![
            sentence(&["!re", tag, "=.id=*1", "=user=ada", "=mac-address=M", "=uptime=1h"]),
            sentence(&["!done", tag]),
        ],
        "/ip/hotspot/active/remove" => {
            removed.store(true, std::sync::atomic::Ordering::SeqCst);
            vec![sentence(&["!done", tag])]
        }
        "/ip/hotspot/active/listen" => Vec::new(),
        _ => vec![sentence(&["!re", tag, "=uptime=5d"]), sentence(&["!done", tag])],
    })
}

#[test]
fn a_removal_counts_even_if_its_consequences_are_unknown() {
    let silent = one_session(|_| Vec::new());
    let denied = one_session(|tag| {
        vec![
            Sentence::from_words(["!trap", tag, "=message=not enough permissions (9)"]),
            Sentence::from_words(["!done", tag]),
        ]
    });
    // A partial list does not show which sessions are missing.
    let vanishing = one_session(|tag| {
        vec![
            Sentence::from_words(["!re", tag, "=.id=*9", "=user=ada"]),
            Sentence::from_words(["!trap", tag, "=message=no such item"]),
            Sentence::from_words(["!done", tag]),
        ]
    });
    each([silent, denied, vanishing], |peer| {
        let agent = agent_of(&peer);
        let answer = kicked(&kick(&agent, &json!({ "id": "*1", "user": "ada", "mac": "M" })));
        let removed = answer["removed"].as_array().unwrap();
        assert_eq!((removed.len(), &removed[0]["user"]), (1, &json!("ada")), "{answer}");
        assert_eq!(answer["loggedBackIn"], Value::Null, "{answer}");
        assert_eq!(counts(&agent), (0, 0, 1));
    });
}

/// A session with a cookie, old enough to distinguish its login from the next.
fn with_a_cookie(agent: &Agent) -> Value {
    let people = active(agent);
    let old = |session: &&Value| session["uptimeSeconds"].as_u64().unwrap() > 60;
    people.iter().find(old).unwrap().clone()
}

#[test]
fn a_forgotten_device_does_not_log_back_in() {
    each([true, false], |live| {
        let router = router(Settings { active: 5, cookies_log_back_in: true, ..Settings::default() });
        let agent = agent(&router, &format!("refresh: \"1s\", live: {live},"));
        let person = with_a_cookie(&agent);
        let mut body = body(&person);
        body["forget"] = json!(true);
        let answer = kicked(&kick(&agent, &body));
        assert_eq!(
            (&answer["cookiesRemoved"], &answer["loggedBackIn"]),
            (&json!(1), &json!(false)),
            "{answer}"
        );
        counts_stay(&agent, (4, 0, 1));
        assert!(!router.sessions().iter().any(|session| person["user"] == session.user));
    });
}

#[test]
fn a_device_that_logs_straight_back_in_is_reported_and_shown() {
    each([(true, "1s"), (false, "1s"), (true, "1h"), (false, "1h")], |(live, refresh)| {
        let router = router(Settings { active: 5, cookies_log_back_in: true, ..Settings::default() });
        let agent = agent(&router, &format!("refresh: \"{refresh}\", live: {live},"));
        let person = with_a_cookie(&agent);
        let answer = kicked(&kick(&agent, &body(&person)));
        assert_eq!(
            (&answer["cookiesRemoved"], &answer["loggedBackIn"]),
            (&json!(0), &json!(true)),
            "{answer}"
        );
        assert_eq!(answer["removed"].as_array().unwrap().len(), 1, "{answer}");
        counts_stay(&agent, (5, 1, 1));
        let now = active(&agent);
        let back = now.iter().find(|session| session["id"] == person["id"]).unwrap();
        assert!(back["uptimeSeconds"].as_u64().unwrap() < 30, "{back}");
        assert_eq!((&back["user"], &back["mac"]), (&person["user"], &person["mac"]), "{back}");
        assert_ne!(back["loginTime"], person["loginTime"], "{back}");
        let line = &lines(&agent, 1)[0];
        assert!(line.contains("back=yes"), "{line}");
    });
}

#[test]
fn a_session_that_has_just_begun_can_be_ended() {
    each([true, false], |live| {
        let router = router(Settings { active: 0, ..Settings::default() });
        let agent = agent(&router, &format!("refresh: \"1s\", live: {live},"));
        for n in 1..6 {
            let _ = router.log_in("ada", at(n), MAC).unwrap();
            let person = shown_at(&agent, at(n));
            kicked(&kick(&agent, &person));
            assert_eq!(router.sessions().len(), 0);
        }
        counts_stay(&agent, (0, 5, 5));
    });
}

#[test]
fn two_simultaneous_kicks_end_a_session_once() {
    each([(false, true), (false, false), (true, true), (true, false)], |(cookies, live)| {
        let settings = Settings { active: 0, cookies_log_back_in: cookies, ..Settings::default() };
        let router = router(settings);
        let agent = agent(&router, &format!("refresh: \"1s\", live: {live},"));
        let rounds = if live { ROUNDS } else { POLLED_ROUNDS };
        // A kick that arrives after the other has ended, as on a busy machine, would get another answer.
        router.set_latency(Duration::from_millis(40));
        for round in 0..rounds {
            let id = router.log_in("ada", at(round + 1), MAC).unwrap();
            let person = shown_at(&agent, at(round + 1));
            let both = Barrier::new(2);
            let ask = || {
                both.wait();
                kick(&agent, &person).status
            };
            let mut statuses = thread::scope(|scope| {
                let [one, other] = [scope.spawn(ask), scope.spawn(ask)];
                [one.join().unwrap(), other.join().unwrap()]
            });
            statuses.sort_unstable();
            let second = if cookies { 409 } else { 404 };
            assert_eq!(statuses, [200, second], "round {round}, cookies {cookies}, live {live}");
            assert_eq!(router.sessions().len(), usize::from(cookies), "expected one logout");
            router.log_out(&id);
        }
        // A poll does not see every login between two polls.
        if live {
            let logins = u64::from(rounds) * if cookies { 2 } else { 1 };
            counts_stay(&agent, (0, logins, logins));
        }
        lines(&agent, 2 * usize::from(rounds));
    });
}

#[test]
fn one_of_several_sessions_of_a_user_ends_unless_the_router_ends_all() {
    each([(false, true), (false, false), (true, true), (true, false)], |(removal_ends_all, live)| {
        let router = router(Settings { active: 0, removal_ends_all, ..Settings::default() });
        for n in 1..4 {
            let _ = router.log_in("ada", at(n), &format!("8C:F5:A3:00:00:0{n}")).unwrap();
        }
        let _ = router.log_in("bola", at(4), "8C:F5:A3:00:00:04").unwrap();
        let agent = agent(&router, &format!("refresh: \"1h\", live: {live},"));
        let person = shown_at(&agent, at(2));
        // It logged out a moment before, which a poll has not seen.
        let first = shown_at(&agent, at(1));
        router.log_out(first["id"].as_str().unwrap());
        let answer = kicked(&kick(&agent, &person));
        let removed = answer["removed"].as_array().unwrap();
        let ids: Vec<&Value> = removed.iter().map(|session| &session["id"]).collect();
        assert_eq!(ids[0], &person["id"], "{answer}");
        assert_eq!(ids.len(), if removal_ends_all { 2 } else { 1 }, "{answer}");
        assert!(!ids.contains(&&first["id"]), "expected the logout not to count as a kick: {answer}");
        assert_eq!(agent.post("/api/refresh", "").status, 200);
        thread::sleep(Duration::from_secs(1));
        assert_eq!(agent.post("/api/refresh", "").status, 200);
        counts_stay(&agent, if removal_ends_all { (1, 0, 3) } else { (2, 0, 2) });
    });
}

/// Names that are hard to handle.
pub(super) fn hostile() -> Vec<Vec<u8>> {
    let bidi = "\u{202e}gnirts\u{2066}\u{200f}";
    vec![
        b"caf\xe9".to_vec(),
        "café".into(),
        b"\xff\xfe\x00\x01".to_vec(),
        b"a=b=c".to_vec(),
        b"=.id=*1".to_vec(),
        b"\"quoted\" 'so' \\too\\".to_vec(),
        b"nul\0nul".to_vec(),
        b"a\nb\rc\r\nd".to_vec(),
        b"\n2026-01-01T00:00:00.000Z ERROR [phsweb_agent] forged".to_vec(),
        b"\x1b[2J\x1b[31mred\x07\x9b31m".to_vec(),
        bidi.into(),
        "zero\u{200b}width\u{feff}\u{2028}line\u{85}".into(),
        "<script>alert(1)</script>".into(),
        b"?#!".to_vec(),
        vec![b'x'; 10_240],
        vec![0; 10_240],
        vec![0xe9; 10_240],
    ]
}

#[test]
fn commands_repeat_the_bytes_of_the_router_for_any_name() {
    let router = router(Settings { active: 0, users: 0, ..Settings::default() });
    let names = hostile();
    let row = |n: usize, row: Row| {
        let address = at(u8::try_from(n).unwrap());
        row.id(&format!("*A0546{n:02X}")).with("address", address.to_string()).with("uptime", "1h")
    };
    let mut sessions = Vec::new();
    let mut cookies = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let mac = if name.len() > 1000 { MAC.as_bytes() } else { name };
        let with = |row: Row| row.with("user", name.as_slice()).with("mac-address", mac);
        sessions.push(row(n, with(Row::new())));
        cookies.push(with(Row::new()));
    }
    router.set_rows("/ip/hotspot/active", sessions);
    router.set_rows(COOKIE, cookies);
    let agent = agent(&router, "refresh: \"1h\",");
    let people = active(&agent);
    assert_eq!(people.len(), names.len());
    for (n, person) in people.iter().enumerate() {
        let mut body = body(person);
        body["forget"] = json!(true);
        let answer = kicked(&kick(&agent, &body));
        assert_eq!(answer["removed"][0]["user"], person["user"], "{n}");
        assert_eq!(
            (&answer["cookiesRemoved"], &answer["loggedBackIn"]),
            (&json!(1), &json!(false)),
            "{n}: {answer}"
        );
        assert_eq!(router.sessions().len(), names.len() - n - 1);
    }
    counts_stay(&agent, (0, 0, names.len() as u64));
    lines(&agent, names.len());
    for line in agent.running.err().lines() {
        assert!(line.starts_with("20") && !line.starts_with("2026-01-01"), "{line}");
        assert!(line.len() < 1500, "{} bytes: {line}", line.len());
        let hides = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        };
        assert!(!line.contains(hides), "{line:?}");
        assert!(
            !line.contains("kick ")
                || line.contains(" by=admin peer=127.0.0.1 result=removed sessions=1 cookies=1 back=no"),
            "{line}"
        );
    }
}

/// The agent does not know the bytes of its name yet.
#[test]
fn a_session_newer_than_the_last_refresh_is_forgotten_by_its_bytes_too() {
    let router = router(Settings { active: 0, users: 0, ..Settings::default() });
    let agent = agent(&router, "refresh: \"1h\", live: false,");
    let row = Row::new().with("user", &b"caf\xe9"[..]).with("mac-address", MAC);
    router.set_rows("/ip/hotspot/active", vec![row.clone().id("*1").with("uptime", "1h")]);
    router.set_rows(COOKIE, vec![row]);
    let person = json!({ "id": "*1", "user": "café", "mac": MAC, "forget": true });
    assert_eq!(kicked(&kick(&agent, &person))["cookiesRemoved"], 1);
}

#[test]
fn a_kick_succeeds_while_ten_thousand_users_are_listed() {
    let router = router(Settings { users: 10_000, active: 2, ..Settings::default() });
    let agent = agent(&router, "refresh: \"1s\",");
    let people = active(&agent);
    thread::scope(|scope| {
        let before = router.counters().commands;
        let listings: Vec<_> = (0..3).map(|_| scope.spawn(|| agent.get("/api/hotspot/awka/users"))).collect();
        until("the router is queried", || (router.counters().commands > before).then_some(()));
        kicked(&kick(&agent, &body(&people[0])));
        for listing in listings {
            assert_eq!(listing.join().unwrap().json()["users"].as_array().unwrap().len(), 50);
        }
    });
    counts_stay(&agent, (1, 0, 1));
    assert_eq!(router.counters().logins, 1, "expected one connection");
}

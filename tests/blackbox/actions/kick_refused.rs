//! Kicks that fail: the reason is reported, and nothing changes on the router.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;
use std::time::Duration;

use phsweb_agent::routeros::wire::Sentence;
use phsweb_agent::simulator::{Fault, Login, Policies, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, Answer, until};
use super::kick::{
    MAC, PATH, active, agent, agent_of, at, body, counts, counts_stay, given, hostile, kick, lines, shown_at,
};
use super::peer::Peer;
use super::router;

/// The problem of a kick that failed.
#[track_caller]
fn refused(answer: &Answer, status: u16) -> Value {
    assert_eq!(
        (answer.status, answer.field("Content-Type")),
        (status, "application/problem+json"),
        "{answer:?}"
    );
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{problem}");
    assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
    problem
}

#[test]
fn a_session_with_a_reused_id_stays() {
    for more in ["refresh: \"1s\",", "refresh: \"1h\", live: false,"] {
        let router = router(Settings { active: 0, ..Settings::default() });
        let ids = [at(1), at(2)].map(|address| router.log_in("ada", address, MAC).unwrap());
        let agent = agent(&router, more);
        let [first, second] = [at(1), at(2)].map(|address| shown_at(&agent, address));
        for id in &ids {
            router.log_out(id);
        }
        assert_eq!(router.log_in("bola", at(1), MAC).as_ref(), Some(&ids[0]));
        assert_eq!(router.log_in("ada", at(2), "8C:F5:A3:00:00:02").as_ref(), Some(&ids[1]));
        for body in [&first, &second] {
            let mut body = body.clone();
            for forget in [false, true] {
                body["forget"] = json!(forget);
                refused(&kick(&agent, &body), 409);
            }
        }
        assert_eq!(router.sessions().len(), 2);
        assert_eq!(agent.stats("awka")["activeUsers"], 2);
        let lines = lines(&agent, 4);
        assert!(
            lines.iter().all(|line| line.contains("WARN") && line.contains("now belongs to another session"))
        );
    }
}

/// Another device of the user takes the address, and with it the id, while the cookies are removed.
#[test]
fn a_session_that_is_replaced_while_cookies_are_removed_stays() {
    let is_replaced = AtomicBool::new(false);
    let removals = Arc::new(AtomicUsize::new(0));
    let counted = removals.clone();
    let peer = Peer::answering(move |path, tag| {
        let row = match path {
            "/ip/hotspot/active/print" => {
                let mac = if is_replaced.load(Relaxed) { "=mac-address=N" } else { "=mac-address=M" };
                ["=.id=*1", "=user=ada", mac, "=uptime=1h"]
            }
            "/ip/hotspot/cookie/print" => ["=.id=*2", "=user=ada", "=mac-address=M", "=expires-in=1d"],
            "/ip/hotspot/cookie/remove" => {
                is_replaced.store(true, Relaxed);
                return vec![Sentence::from_words(["!done", tag])];
            }
            "/ip/hotspot/active/remove" => {
                counted.fetch_add(1, Relaxed);
                return vec![Sentence::from_words(["!done", tag])];
            }
            "/ip/hotspot/active/listen" => return Vec::new(),
            _ => ["=uptime=5d"; 4],
        };
        let words = ["!re", tag].into_iter().chain(row);
        vec![Sentence::from_words(words), Sentence::from_words(["!done", tag])]
    });
    let agent = agent_of(&peer);
    let body = json!({ "id": "*1", "user": "ada", "mac": "M", "forget": true });
    refused(&kick(&agent, &body), 409);
    assert_eq!(removals.load(Relaxed), 0);
}

#[test]
fn a_session_that_does_not_exist_is_a_404() {
    let router = router(Settings { active: 1, ..Settings::default() });
    let agent = agent(&router, "refresh: \"1h\", live: false,");
    let person = body(&active(&agent)[0]);
    router.log_out(person["id"].as_str().unwrap());
    refused(&kick(&agent, &person), 404);
    for id in ["", "*", "*1,*2", "no id", "*FFFFFFFFFFFFFFFFFFFF", "0", "=.id=*1", "\0"] {
        refused(&kick(&agent, &json!({ "id": id, "user": person["user"], "mac": person["mac"] })), 404);
    }
    refused(&agent.post("/api/hotspot/nowhere/kick", person.to_string()), 404);
    // An unknown site is not an action, so it is not logged.
    lines(&agent, 9);
}

#[test]
fn without_the_write_policy_a_kick_fails_and_names_the_policy() {
    let login =
        Login { policies: Policies { write: false, ..Policies::ALL }, ..Login::new("api-user", "password") };
    let router = router(Settings { logins: vec![login], cookies_log_back_in: true, ..Settings::default() });
    let agent = agent(&router, "refresh: \"1h\",");
    let mut person = body(&active(&agent)[0]);
    for forget in [false, true] {
        person["forget"] = json!(forget);
        let problem = refused(&kick(&agent, &person), 403);
        assert_eq!(problem["cause"], "permission", "{problem}");
        let text = format!("{}{}", problem["detail"], problem["hint"]);
        assert!(text.contains("not enough permissions") && text.contains("write"), "{problem}");
    }
    assert_eq!(router.sessions().len(), 23);
    assert_eq!(counts(&agent), (23, 0, 0));
    // A session that does not exist is a 404 for such a user, too.
    router.log_out(person["id"].as_str().unwrap());
    refused(&kick(&agent, &person), 404);
}

#[test]
fn an_unreachable_router_is_a_502() {
    let router = router(Settings { active: 1, ..Settings::default() });
    let agent = agent(&router, "refresh: \"1s\",");
    let person = body(&active(&agent)[0]);
    router.set_fault(Some(Fault::NoService));
    agent.wait_for_error("awka", "refused");
    let problem = refused(&kick(&agent, &person), 502);
    assert_eq!(problem["cause"], "refused", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("/ip service"), "{problem}");
}

#[test]
fn a_router_that_has_not_answered_yet_is_a_502() {
    let router = router(Settings::default());
    router.set_fault(Some(Fault::Stall));
    let agent = given(router.addr(), "query_timeout: \"20s\",").start().with_token("admin-token-01234");
    refused(&kick(&agent, &json!({ "id": "*1", "user": "ada", "mac": MAC })), 502);
}

#[test]
fn a_connection_lost_during_a_kick_is_a_502() {
    let router = router(Settings { active: 2, ..Settings::default() });
    let agent = agent(&router, "refresh: \"1h\",");
    let person = body(&active(&agent)[0]);
    thread::scope(|scope| {
        router.set_latency(Duration::from_secs(3));
        let before = router.counters().commands;
        let kick = scope.spawn(|| kick(&agent, &person));
        until("the router is queried", || (router.counters().commands > before).then_some(()));
        router.reboot();
        refused(&kick.join().unwrap(), 502);
    });
    router.set_latency(Duration::ZERO);
    agent.stats_when("awka", "the site is online again", |stats| {
        stats["status"] == "active" && stats["activeUsers"] == 0
    });
    counts_stay(&agent, (0, 0, 2));
}

#[test]
fn a_router_that_does_not_answer_is_a_504_within_query_timeout() {
    let router = router(Settings { active: 1, ..Settings::default() });
    let agent = agent(&router, "refresh: \"1h\", query_timeout: \"1s\",");
    let person = body(&active(&agent)[0]);
    router.set_fault(Some(Fault::HalfOpen));
    let began = std::time::Instant::now();
    let problem = refused(&kick(&agent, &person), 504);
    assert!((1..4).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(problem["cause"], "query_timeout", "{problem}");
}

#[test]
fn an_invalid_body_is_a_400_and_sends_no_command() {
    let router = router(Settings { active: 1, ..Settings::default() });
    let agent = agent(&router, "refresh: \"1h\",");
    let before = router.counters().commands;
    let valid = r#"{"id": "*1", "user": "a", "mac": "m"}"#;
    let nested = format!("{{\"id\": {}", "[".repeat(30_000));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let bad: Vec<Vec<u8>> = [
        "",
        " ",
        "null",
        "[]",
        "{}",
        "\"*1\"",
        "id=*1&user=a&mac=m",
        r#"{"id": "*1", "user": "a"}"#,
        r#"{"id": "*1", "mac": "m"}"#,
        r#"{"user": "a", "mac": "m"}"#,
        r#"{"id": "*1", "user": "a", "mac": "m", "forgt": true}"#,
        r#"{"id": "*1", "id": "*1", "user": "a", "mac": "m"}"#,
        r#"{"id": 1, "user": "a", "mac": "m"}"#,
        r#"{"id": "*1", "user": null, "mac": "m"}"#,
        r#"{"id": "*1", "user": "a", "mac": ["m"]}"#,
        r#"{"id": "*1", "user": "a", "mac": "m", "forget": "yes"}"#,
        r#"{"id": "*1", "user": "a", "mac": "m", "forget": null}"#,
        r#"{"id": "*1", "user": "\ud800", "mac": "m"}"#,
        r#"{"id": "*1", "user": "a", "mac": "m"} x"#,
        r#"{"id": "*1", "user": "a", "mac": "m""#,
        "\u{feff}{\"id\": \"*1\", \"user\": \"a\", \"mac\": \"m\"}",
        &nested,
        &deep,
        &format!("{{\"{}\": 1}}", "x".repeat(60_000)),
        &"x".repeat(64 * 1024),
        &format!("{valid}{}", "}".repeat(64 * 1024 - valid.len())),
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([b"{\"id\": \"*1\", \"user\": \"\xff\", \"mac\": \"m\"}".to_vec(), vec![0; 1000]])
    .collect();
    for body in &bad {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let answer = agent.post(PATH, body);
        assert_eq!(answer.status, 400, "{shown}");
        let problem = refused(&answer, 400);
        assert!(problem["detail"].as_str().unwrap().contains("\"forget\""), "{shown}: {problem}");
        assert!(answer.body.len() < 1000, "{shown}: {} bytes", answer.body.len());
    }
    let answer = agent.post(PATH, vec![b' '; 64 * 1024 + 1]);
    assert_eq!(answer.status, 413, "{answer:?}");
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let answer = agent.ask(method, PATH, &[]);
        assert_eq!((answer.status, answer.field("Allow")), (405, "POST"), "{method}");
    }
    assert_eq!(router.counters().commands, before);
    lines(&agent, 0);
    // Whitespace around it is allowed.
    assert_eq!(agent.post(PATH, format!("\n{valid}{}", " ".repeat(60_000))).status, 404);
}

#[test]
fn only_the_admin_may_kick() {
    let router = router(Settings { active: 1, ..Settings::default() });
    let status_of = |agent: &Agent, sent: &str| {
        let person = json!({ "id": router.sessions()[0].id, "user": "x", "mac": "x" }).to_string();
        agent.ask_with("POST", PATH, &[("Authorization", sent)], person.as_bytes()).status
    };
    let tokens = "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),";
    let given = |http: &str| AgentBuilder::default().http(http).site("awka", router.addr(), "").start();
    let agent = given(tokens);
    let cases = [
        ("none", 401),
        ("Bearer wrong", 401),
        ("Bearer view-token-01234", 403),
        ("Bearer admin-token-01234", 409),
    ];
    until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
    for (sent, status) in cases {
        assert_eq!(status_of(&agent, sent), status, "{sent}");
    }
    let agent = given("");
    for sent in ["none", "Bearer admin-token-01234", "Bearer "] {
        assert_eq!(status_of(&agent, sent), 403, "{sent}: expected actions to be off");
    }
    assert_eq!(router.sessions().len(), 1);
}

#[test]
fn hostile_names_are_refused_and_can_not_forge_log_lines() {
    let router = router(Settings { active: 1, ..Settings::default() });
    let agent = agent(&router, "refresh: \"1h\",");
    let names = hostile();
    for name in &names {
        let name = String::from_utf8_lossy(name);
        refused(&kick(&agent, &json!({ "id": name, "user": "x", "mac": "x" })), 404);
        refused(&kick(&agent, &json!({ "id": "*1", "user": name, "mac": "x" })), 404);
        refused(&kick(&agent, &json!({ "id": "*1", "user": "x", "mac": name })), 404);
    }
    lines(&agent, 3 * names.len());
    for line in agent.running.err().lines() {
        assert!(line.starts_with("20") && !line.starts_with("2026-01-01"), "{line}");
        assert!(!line.contains(char::is_control) && line.len() < 1500, "{line:?}");
    }
}

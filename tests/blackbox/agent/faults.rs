//! Each fault of a router has its own error, shows in time, and recovers.

use std::net::TcpListener;
use std::time::Duration;

use phsweb_agent::simulator::{Fault, Router, Settings};
use serde_json::json;

use super::agent::{Agent, AgentBuilder, until, until_within};
use super::router;

/// The query's 1 s, and a slow machine.
const DEADLINE: Duration = Duration::from_secs(6);

fn agent_of(router: &Router) -> Agent {
    let times = "refresh: \"1s\", query_timeout: \"1s\", connect_timeout: \"1s\",";
    AgentBuilder::default().defaults(times).site("awka", router.addr(), "").start()
}

/// From the first connection on, and again in the middle of a good one.
#[track_caller]
fn shows(fault: Fault, cause: &str) {
    let router = router(Settings::default());
    router.set_fault(Some(fault));
    let agent = agent_of(&router);
    for time in ["at first", "later"] {
        let found =
            |agent: &Agent| (agent.stats("awka")["error"]["cause"] == cause).then(|| agent.stats("awka"));
        let stats = until_within(DEADLINE, &format!("{fault} shows as {cause} {time}"), || found(&agent));
        assert_eq!(stats["status"], "maintenance", "{fault} {time}: {stats}");
        let error = &stats["error"];
        assert!(
            error["message"].as_str().unwrap().len() > 10 && error["hint"].as_str().unwrap().len() > 10,
            "{error}"
        );
        router.set_fault(None);
        let stats = agent.wait_until_active("awka");
        assert_eq!(
            (&stats["activeUsers"], &stats["error"]),
            (&json!(23), &json!(null)),
            "{fault} ended {time}"
        );
        router.set_fault(Some(fault));
    }
}

#[test]
fn huge_length_is_a_protocol_error() {
    shows(Fault::HugeLength, "protocol");
}

#[test]
fn truncated_reply_is_a_closed_connection() {
    shows(Fault::Cut, "closed");
}

#[test]
fn silence_after_the_login_is_a_query_timeout() {
    shows(Fault::HalfOpen, "query_timeout");
}

#[test]
fn one_byte_writes_are_read_like_any_reply() {
    let router = router(Settings::default());
    router.set_fault(Some(Fault::OneByteWrites));
    let stats = agent_of(&router).wait_until_active("awka");
    assert_eq!((&stats["activeUsers"], &stats["totalUsers"]), (&json!(23), &json!(150)));
}

#[test]
fn vanishing_rows_are_reported_as_partial() {
    let router = router(Settings::default());
    let given = AgentBuilder::default()
        .defaults("refresh: \"1s\",")
        .http("admin: Token(Plain(\"admin-token-of-this-test\")),");
    let agent = given.site("awka", router.addr(), "").start().with_token("admin-token-of-this-test");
    agent.wait_until_active("awka");
    assert!(agent.json("/api/sites/awka")["plugins"]["hotspot"]["partial"].is_null());
    router.set_fault(Some(Fault::Vanish));
    let site = until("the hotspot is partial", || {
        let site = agent.json("/api/sites/awka");
        (!site["plugins"]["hotspot"]["partial"].is_null()).then_some(site)
    });
    assert!(site["plugins"]["hotspot"]["partial"].as_str().unwrap().contains("no such item"), "{site}");
    assert_eq!(site["state"], "online", "expected a failed plugin not to affect the connection");
    router.set_fault(None);
    until("the hotspot is complete again", || {
        agent.json("/api/sites/awka")["plugins"]["hotspot"]["partial"].is_null().then_some(())
    });
    assert_eq!(router.counters().logins, 1, "expected one connection");
}

/// The state may change at each refresh. The page shows it each time, the log once.
#[test]
fn a_partial_answer_is_logged_once_per_connection() {
    let router = router(Settings::default());
    let agent = agent_of(&router);
    agent.wait_until_active("awka");
    for _ in 0..3 {
        for (fault, is_partial) in [(Some(Fault::Vanish), true), (None, false)] {
            router.set_fault(fault);
            until("the hotspot is partial, or complete again", || {
                let partial = &agent.json("/api/sites/awka")["plugins"]["hotspot"]["partial"];
                (partial.is_null() != is_partial).then_some(())
            });
        }
    }
    agent.running.assert_logged("plugin=hotspot state=partial", 1);
    assert_eq!(router.counters().logins, 1, "expected one connection");
}

#[test]
fn a_row_that_stays_missing_makes_the_hotspot_partial() {
    let router = router(Settings::default());
    let agent = AgentBuilder::default()
        .defaults("refresh: \"1s\", collect: [\"resource\", \"hotspot\"],")
        .timing("row_check", "300ms")
        .site("awka", router.addr(), "")
        .start();
    let partial = || agent.json("/api/sites/awka")["plugins"]["hotspot"]["partial"].clone();
    let metric = |value: &str| {
        let series = "mikrotik_plugin_partial{site=\"awka\",plugin=\"hotspot\"}";
        agent.get("/metrics").body.contains(&format!("{series} {value}\n"))
    };
    agent.wait_until_active("awka");
    router.set_fault(Some(Fault::OmittedRow));
    until("the hotspot is partial", || partial().is_string().then_some(()));
    assert_eq!(partial(), "22 of 23 rows are listed");
    assert_eq!(agent.stats("awka")["partial"], "22 of 23 rows are listed");
    assert!(metric("1"), "{}", agent.get("/metrics").body);
    for page in ["/", "/sites/awka"] {
        let page = agent.page(page);
        assert!(page.contains("22 of 23 rows are listed"), "{page}");
    }
    // It stays so, with one log line.
    let commands = router.counters().commands;
    until("the site was refreshed twice more", || {
        (router.counters().commands >= commands + 14).then_some(())
    });
    let line = "plugin=hotspot state=partial";
    agent.running.assert_logged(line, 1);
    router.set_fault(None);
    until("the hotspot is complete again", || partial().is_null().then_some(()));
    assert!(metric("0"), "{}", agent.get("/metrics").body);
    // A correct count never makes the hotspot partial.
    let commands = router.counters().commands;
    until("the site was refreshed four times more", || {
        (router.counters().commands >= commands + 28).then_some(())
    });
    assert!(partial().is_null());
    agent.running.assert_logged(line, 1);
    assert_eq!(router.counters().logins, 1, "expected one connection");
}

#[test]
fn endless_rows_are_a_protocol_error() {
    let router = router(Settings::default());
    // The timeout is long, so that the number of rows ends the query.
    let times = "refresh: \"1s\", query_timeout: \"20s\",";
    let agent =
        AgentBuilder::default().defaults(times).site("awka", router.addr(), "collect: [\"hotspot\"]").start();
    agent.wait_until_active("awka");
    router.set_fault(Some(Fault::EndlessRows));
    let stats = agent.wait_for_error("awka", "protocol");
    router.set_fault(None);
    assert!(stats["error"]["hint"].is_string(), "{stats}");
    agent.stats_when("awka", "the hotspot is complete again", |stats| {
        stats["activeUsers"] == 23 && stats["error"].is_null() && stats["status"] == "active"
    });
}

#[test]
fn router_that_never_answers_is_a_query_timeout() {
    // A listener with its queue full drops the next one's packets: nothing answers.
    let full = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = full.local_addr().unwrap();
    let mut held = Vec::new();
    until("the queue is full", || {
        let tried = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200));
        match tried {
            Ok(stream) => {
                held.push(stream);
                None
            }
            Err(_) => Some(()),
        }
    });
    let times = "refresh: \"1s\", query_timeout: \"1s\", connect_timeout: \"1s\",";
    let agent = AgentBuilder::default()
        .defaults(times)
        .site("full", address, "")
        .raw_site("nowhere", "hosts: [\"router.invalid\"], password: Plain(\"password\")")
        .start();
    let stats = agent.wait_for_error("full", "connect_timeout");
    assert!(stats["error"]["message"].as_str().unwrap().contains(&address.to_string()), "{stats}");
    let stats = agent.wait_for_error("nowhere", "dns");
    assert!(stats["error"]["message"].as_str().unwrap().contains("router.invalid"), "{stats}");
}

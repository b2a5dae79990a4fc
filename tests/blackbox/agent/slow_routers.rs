//! Slow routers and links that stay online.

use std::time::Duration;

use phsweb_agent::simulator::{Fault, Router, Settings};
use serde_json::json;

use super::agent::{Agent, AgentBuilder, throughout, until_within};
use super::router;

/// Three periods of a router that is late during half of each.
const LATE_EVERY: Duration = Duration::from_secs(6);
const PERIODS: Duration = Duration::from_secs(18);

/// Later than `query_timeout`.
const LATE_BY: Duration = Duration::from_millis(2400);

/// Some seconds of bytes, and a slow machine.
const TRICKLED: Duration = Duration::from_secs(40);

fn agent_of(router: &Router) -> Agent {
    let times = "refresh: \"1s\", query_timeout: \"2s\", connect_timeout: \"1s\",";
    AgentBuilder::default().defaults(times).site("awka", router.addr(), "").start()
}

#[test]
fn router_that_is_late_half_of_the_time_stays_online_with_one_login() {
    let router = router(Settings { late_by: LATE_BY, late_every: LATE_EVERY, ..Settings::default() });
    let agent = agent_of(&router);
    agent.wait_until_active("awka");
    router.set_fault(Some(Fault::LateAtTimes));
    throughout(PERIODS, || {
        let stats = agent.stats("awka");
        assert_eq!((&stats["status"], &stats["error"]), (&json!("active"), &json!(null)), "{stats}");
        assert_eq!(stats["activeUsers"], 23, "{stats}");
    });
    assert_eq!(router.counters().logins, 1, "expected one connection");
    let slowest = agent.json("/api/sites/awka");
    assert_eq!(slowest["connections"].as_array().unwrap().len(), 1, "{slowest}");
}

#[test]
fn a_router_that_is_always_late_is_online_after_one_login() {
    let router = router(Settings { late_by: LATE_BY, ..Settings::default() });
    router.set_fault(Some(Fault::Late));
    let agent = agent_of(&router);
    agent.wait_until_active("awka");
    let commands = router.counters().commands;
    until_within(TRICKLED, "the site was refreshed again", || {
        (router.counters().commands >= commands + 12).then_some(())
    });
    let stats = agent.stats("awka");
    assert_eq!((&stats["activeUsers"], &stats["error"]), (&json!(23), &json!(null)), "{stats}");
    assert_eq!((router.counters().logins, router.counters().connections), (1, 1));
}

#[test]
fn reply_that_trickles_in_longer_than_the_timeout_is_read() {
    // Five kilobytes, for more than six seconds.
    let router = router(Settings { trickle: 800, active: 40, ..Settings::default() });
    router.set_fault(Some(Fault::Trickle));
    let agent = agent_of(&router);
    let stats = until_within(TRICKLED, "all sessions are shown", || {
        let stats = agent.stats("awka");
        assert!(stats["error"].is_null(), "{stats}");
        (stats["activeUsers"] == 40).then_some(stats)
    });
    assert_eq!((&stats["status"], &stats["totalUsers"]), (&json!("active"), &json!(150)), "{stats}");
    assert_eq!((router.counters().logins, router.counters().connections), (1, 1));
}

#[test]
fn network_that_drops_large_packets_has_its_own_hint() {
    let router = router(Settings::default());
    router.set_fault(Some(Fault::LargeLost));
    let agent = agent_of(&router);
    let error = agent.wait_for_error("awka", "query_timeout")["error"].clone();
    let hint = error["hint"].as_str().unwrap();
    for part in ["drop large packets", "MTU", "new-mss=", "query_timeout"] {
        assert!(hint.contains(part), "expected {part:?} in {hint:?}");
    }
    router.set_fault(None);
    agent.wait_until_active("awka");
    // A router that becomes silent after large replies does not get this hint.
    router.set_fault(Some(Fault::HalfOpen));
    let error = agent.wait_for_error("awka", "query_timeout")["error"].clone();
    assert!(!error["hint"].as_str().unwrap().contains("MTU"), "{error}");
}

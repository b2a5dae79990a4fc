//! Reboots are reported as such, and other outages are not.

use std::time::Duration;

use phsweb_agent::simulator::{Fault, Router, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, throughout, until, until_within};
use super::router;

/// Shorter than the least time between logins that a booting router refuses, `boot_retry`: each is a line in its log.
const BETWEEN_LOGINS: Duration = Duration::from_millis(1500);

/// The longest wait after such a login, and a slow machine.
const HEALED: Duration = Duration::from_secs(20);

fn agent_of(router: &Router) -> Agent {
    let times = "refresh: \"1s\", query_timeout: \"1s\", connect_timeout: \"1s\",";
    AgentBuilder::default().defaults(times).site("awka", router.addr(), "").start()
}

/// The connection events of a site: the cause of each loss, and null for each connect.
fn causes(agent: &Agent) -> Vec<Value> {
    let site = agent.json("/api/sites/awka");
    site["connections"].as_array().unwrap().iter().map(|event| event["error"]["cause"].clone()).collect()
}

/// Waits for some more refreshes.
#[track_caller]
fn refreshed(router: &Router) {
    let commands = router.counters().commands;
    until("the site was refreshed several times more", || {
        (router.counters().commands >= commands + 12).then_some(())
    });
}

#[test]
fn silent_session_is_a_query_timeout_not_a_reboot() {
    let router = router(Settings::default());
    let agent = agent_of(&router);
    agent.wait_until_active("awka");
    router.set_fault(Some(Fault::HalfOpen));
    let error = agent.wait_for_error("awka", "query_timeout")["error"].clone();
    assert!(error["message"].as_str().unwrap().contains("no answer to "), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("query_timeout"), "{error}");
    assert_eq!(causes(&agent)[..2], [Value::Null, json!("query_timeout")]);
    // The router reports whether it rebooted once it answers.
    router.set_fault(None);
    agent.wait_until_active("awka");
    refreshed(&router);
    assert!(!causes(&agent).contains(&json!("rebooting")), "{:?}", causes(&agent));
    assert!(!agent.running.err().contains("was rebooted"), "{}", agent.running.err());
}

#[test]
fn login_refused_after_an_outage_is_a_reboot_with_slow_retries() {
    let router = router(Settings::default());
    let agent = agent_of(&router);
    agent.wait_until_active("awka");
    router.set_fault(Some(Fault::NoService));
    agent.wait_for_error("awka", "refused");
    router.reboot();
    router.set_fault(Some(Fault::LoginRefused));
    let error = agent.wait_for_error("awka", "rebooting")["error"].clone();
    assert!(error["message"].as_str().unwrap().contains("while a router boots"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("invalid user name or password"), "{error}");
    let refused = || router.counters().logins_refused;
    assert_eq!(refused(), 1);
    throughout(BETWEEN_LOGINS, || {
        assert_eq!(refused(), 1, "expected no further login, because the router logs each");
        assert_eq!(agent.stats("awka")["error"]["cause"], "rebooting");
    });
    router.set_fault(None);
    until_within(HEALED, "the site has recovered", || {
        let stats = agent.stats("awka");
        assert_ne!(stats["error"]["cause"], "auth", "{stats}");
        (stats["status"] == "active").then_some(())
    });
    let stats = agent.stats("awka");
    assert_eq!((&stats["logouts"], &stats["activeUsers"]), (&json!(23), &json!(0)), "{stats}");
    assert!(!causes(&agent).contains(&json!("auth")), "{:?}", causes(&agent));
    assert!(!agent.running.err().contains("auth"), "{}", agent.running.err());
    assert_eq!((router.counters().logins, refused()), (2, 1));
}

#[test]
fn login_refused_once_without_an_outage_is_retried_soon() {
    let router = router(Settings::default());
    // After the loss, time to set the fault before the next login.
    let times = "refresh: \"1s\", query_timeout: \"1s\", connect_timeout: \"1s\",";
    let given = AgentBuilder::default().defaults(times).site("awka", router.addr(), "");
    let agent = given.timing("retry_min", "2s").start();
    agent.wait_until_active("awka");
    router.set_fault(Some(Fault::HalfOpen));
    agent.wait_for_error("awka", "query_timeout");
    router.set_fault(Some(Fault::LoginRefusedOnce));
    let error = agent.wait_for_error("awka", "auth")["error"].clone();
    assert!(error["hint"].as_str().unwrap().contains("occasionally refuses a valid login"), "{error}");
    until_within(HEALED, "the site has recovered", || {
        let stats = agent.stats("awka");
        assert_ne!(stats["error"]["cause"], "rebooting", "{stats}");
        (stats["status"] == "active").then_some(())
    });
    assert_eq!((router.counters().logins, router.counters().logins_refused), (2, 1));
    assert_eq!(agent.stats("awka")["logouts"], 0, "expected no logout");
    assert!(!causes(&agent).contains(&json!("rebooting")), "{:?}", causes(&agent));
    assert!(!agent.running.err().contains("reboot"), "{}", agent.running.err());
}

#[test]
fn login_that_never_worked_is_an_auth_error_not_a_reboot() {
    let router = router(Settings::default());
    router.set_fault(Some(Fault::LoginRefused));
    let agent = agent_of(&router);
    agent.stats_when("awka", "the site has failed", |stats| {
        assert_ne!(stats["error"]["cause"], "rebooting", "{stats}");
        stats["error"]["cause"] == "auth"
    });
    assert_eq!(causes(&agent), ["auth"]);
    assert_eq!(router.counters().logins_refused, 1);
}

#[test]
fn reboot_is_reported_once_and_logs_sessions_out() {
    let router = router(Settings::default());
    let agent = agent_of(&router);
    let before = agent.wait_until_active("awka");
    assert_eq!((&before["logouts"], &before["activeUsers"]), (&json!(0), &json!(23)), "{before}");
    router.reboot();
    let after = agent.stats_when("awka", "the uptime restarted", |stats| {
        stats["status"] == "active" && stats["routerStatus"]["uptimeSeconds"].as_u64() < Some(60)
    });
    assert_eq!((&after["logouts"], &after["logins"]), (&json!(23), &json!(0)), "{after}");
    refreshed(&router);
    let log = until("the log has the line", || {
        let log = agent.running.err();
        log.contains("rebooted").then_some(log)
    });
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("rebooted")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("site=awka state=online host="), "{log}");
    assert!(lines[0].contains(" msg=\"the router was rebooted "), "{log}");
    let site = agent.json("/api/sites/awka");
    let events = site["connections"].as_array().unwrap();
    let reboots: Vec<&Value> = events.iter().filter(|event| event["error"]["cause"] == "rebooting").collect();
    assert_eq!(reboots.len(), 1, "{site:#}");
    let message = reboots[0]["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the router was rebooted ") && message.ends_with(" ago"), "{message}");
    assert!(agent.page("/sites/awka").contains("the router was rebooted"), "expected the reboot on the page");
    assert_eq!(agent.stats("awka")["logouts"], 23, "expected each logout to count once");
}

#[test]
fn closed_connection_is_not_a_reboot() {
    let router = router(Settings::default());
    let agent = agent_of(&router);
    agent.wait_until_active("awka");
    for (fault, cause) in [(Fault::Cut, "closed"), (Fault::NoService, "refused"), (Fault::Refuse, "closed")] {
        router.set_fault(Some(fault));
        agent.wait_for_error("awka", cause);
        router.set_fault(None);
        agent.wait_until_active("awka");
    }
    refreshed(&router);
    let stats = agent.stats("awka");
    assert_eq!((&stats["logouts"], &stats["logins"]), (&json!(0), &json!(0)), "expected no logout: {stats}");
    let causes = causes(&agent);
    assert!(!causes.contains(&json!("rebooting")), "{causes:?}");
    assert!(causes.contains(&json!("closed")) && causes.contains(&json!("refused")), "{causes:?}");
    assert!(!agent.running.err().contains("reboot"), "{}", agent.running.err());
}

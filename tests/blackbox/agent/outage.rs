//! Outages and recoveries, and routers that were never online.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use phsweb_agent::simulator::{Fault, Router, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, until};
use super::router;
use crate::support::address::unused_address;
use crate::support::router_on_unique_host;

fn agent_of(address: SocketAddr) -> Agent {
    AgentBuilder::default().defaults("refresh: \"1s\",").site("awka", address, "name: \"Awka\"").start()
}

fn date(value: &Value) -> SystemTime {
    humantime::parse_rfc3339(value.as_str().unwrap_or_else(|| panic!("expected a date, got {value}")))
        .unwrap()
}

#[test]
fn outage_is_reported_and_keeps_last_figures() {
    let began = SystemTime::now() - Duration::from_secs(1);
    let first = router_on_unique_host(Settings::default());
    let address = first.addr();
    let agent = agent_of(address);
    let online = agent.wait_until_active("awka");
    assert_eq!((&online["activeUsers"], &online["totalUsers"]), (&json!(23), &json!(150)));
    drop(first);

    let down = agent.wait_for_error("awka", "refused");
    for (field, value) in [
        ("activeUsers", json!(0)),
        ("totalUsers", json!(0)),
        ("totalBytesIn", json!(0)),
        ("totalBytesOut", json!(0)),
        ("lastActivity", json!("Connection failed")),
        ("status", json!("maintenance")),
    ] {
        assert_eq!(down[field], value, "{field}");
    }
    assert_eq!(down["routerStatus"]["isOnline"], false);
    let error = &down["error"];
    assert!(error["message"].as_str().unwrap().contains(&address.to_string()), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("/ip service"), "{error}");
    let since = date(&error["since"]);
    assert!(began <= since && since <= SystemTime::now(), "{error}");
    let known = &down["lastKnown"];
    assert_eq!((&known["activeUsers"], &known["totalUsers"]), (&json!(23), &json!(150)));
    assert!(known["totalBytesOut"].as_u64() >= online["totalBytesOut"].as_u64(), "{known}");
    assert!(date(&known["fetchedAt"]) <= SystemTime::now(), "{known}");
    assert_eq!(known["lastActivityAt"], online["lastActivityAt"]);

    // Elsewhere: the last known values with their age, and no zero.
    until("the last figures are three seconds old", || {
        (agent.stats("awka")["lastKnown"]["ageSeconds"].as_u64()? >= 3).then_some(())
    });
    let router = agent.json("/api/routers")["awka"].clone();
    assert_eq!((&router["isOnline"], &router["version"]), (&json!(false), &json!("7.20.7")));
    assert!(router["ageSeconds"].as_u64().unwrap() >= 3, "{router}");
    for (field, value) in router.as_object().unwrap() {
        assert!(
            *value != json!(0) && *value != json!(""),
            "{field}: expected the last known value, got {value}"
        );
    }
    let site = agent.json("/api/sites/awka");
    assert_eq!((&site["state"], &site["address"]), (&json!("offline"), &Value::Null));
    assert_eq!(date(&site["error"]["since"]), since, "expected one start of the outage");
    for (name, plugin) in site["plugins"].as_object().unwrap() {
        assert_eq!(plugin["state"], "stale", "{name}");
        assert!(plugin["ageSeconds"].as_u64().unwrap() >= 3, "{name}: {plugin}");
    }
    let page = agent.page("/");
    for text in [
        "Offline",
        "Figures from",
        "<dd>23 <small>of 150 configured</small>",
        "/ip service enable [find name=api and !dynamic]",
    ] {
        assert!(page.contains(text), "expected {text:?} in {page}");
    }

    let second = until("the port is free again", || Router::start(address, Settings::default()).ok());
    let again = agent.wait_until_active("awka");
    assert_eq!((&again["activeUsers"], &again["error"]), (&json!(second.sessions().len()), &Value::Null));
    assert!(again.get("lastKnown").is_none() && again["routerStatus"]["isOnline"] == true, "{again}");
    let history: Vec<Value> = agent.json("/api/sites/awka")["connections"].as_array().unwrap().clone();
    let events: Vec<&Value> = history.iter().map(|event| &event["event"]).collect();
    assert_eq!((events.first(), events.last()), (Some(&&json!("connected")), Some(&&json!("connected"))));
    assert!(events.contains(&&json!("lost")), "{events:?}");
    assert!(!agent.page("/").contains("Figures from"));
}

#[test]
fn site_recovers_after_a_reboot() {
    let router = router(Settings::default());
    let agent = agent_of(router.addr());
    let before = agent.wait_until_active("awka")["routerStatus"]["uptimeSeconds"].as_u64().unwrap();
    router.reboot();
    let stats = agent.stats_when("awka", "the uptime restarted", |stats| {
        stats["status"] == "active" && stats["routerStatus"]["uptimeSeconds"].as_u64().unwrap() < before
    });
    assert_eq!(stats["activeUsers"], 0, "expected a zero of a router that responds");
    assert_eq!(stats["totalUsers"], 150);
}

#[test]
fn router_that_was_never_online_has_no_figures() {
    let agent = agent_of(unused_address());
    let down = agent.wait_for_error("awka", "refused");
    assert_eq!((&down["lastActivity"], &down["activeUsers"]), (&json!("Connection failed"), &json!(0)));
    assert!(down.get("lastKnown").is_none_or(Value::is_null), "expected no figures: {down}");
    let router = agent.json("/api/routers")["awka"].clone();
    for field in ["uptime", "uptimeSeconds", "version", "cpuLoad", "freeMemory", "totalMemory", "ageSeconds"]
    {
        assert!(router[field].is_null(), "{field}: {router}");
    }
    let site = agent.json("/api/sites/awka");
    assert!(site["plugins"]["hotspot"]["fetchedAt"].is_null(), "{site}");
    assert!(agent.page("/").contains("<dt>Users online</dt><dd>–</dd>"));
}

#[test]
fn unknown_totals_are_absent_not_zero() {
    let agent = agent_of(unused_address());
    agent.wait_for_error("awka", "refused");
    let page = agent.page("/");
    let totals = page.split("</dl>").next().unwrap();
    assert!(totals.contains("Users online") && totals.contains("Upload"), "{totals}");
    for zero in ["<dt>Users online</dt><dd>0</dd>", "<dd>0 B</dd>"] {
        assert!(!totals.contains(zero), "expected no {zero}: {totals}");
    }
}

#[test]
fn before_the_first_reply_the_site_is_connecting_and_not_ready() {
    let router = router(Settings::default());
    router.set_fault(Some(Fault::Stall));
    let agent = AgentBuilder::default()
        .defaults("refresh: \"1s\", query_timeout: \"4s\",")
        .site("awka", router.addr(), "")
        .start();
    let stats = agent.stats("awka");
    assert_eq!((&stats["lastActivity"], &stats["error"]), (&json!("Connecting"), &Value::Null));
    assert_eq!(stats["status"], "maintenance");
    let waiting = agent.get("/readyz");
    assert_eq!((waiting.status, waiting.field("Content-Type")), (503, "application/problem+json"));
    // Public, so it has the number of sites and not their names.
    assert!(waiting.body.contains("1 of 1 sites") && !waiting.body.contains("awka"), "{waiting:?}");
    assert_eq!(agent.json("/api/sites/awka")["state"], "connecting");
    assert!(agent.json("/api/routers")["awka"]["cpuLoad"].is_null());
    assert!(agent.page("/").contains("Connecting"));
    assert_eq!(agent.get("/healthz").status, 200);

    agent.wait_for_error("awka", "query_timeout");
    assert_eq!(agent.get("/readyz").status, 200, "expected readiness after one failed attempt");
    assert_eq!(agent.stats("awka")["lastActivity"], "Connection failed");
}

#[test]
fn second_host_is_used_if_the_first_is_offline() {
    let (gone, router) = (unused_address(), router(Settings::default()));
    let hosts = format!("hosts: [\"{gone}\", \"{}\"], password: Plain(\"password\")", router.addr());
    let agent = AgentBuilder::default().raw_site("awka", &hosts).start();
    assert_eq!(agent.wait_until_active("awka")["activeUsers"], 23);
    assert_eq!(agent.json("/api/sites/awka")["address"], router.addr().to_string());
}

//! Fifty routers: three failing ones do not delay the others.

use std::collections::BTreeMap;

use phsweb_agent::simulator::{Fault, Router, Settings};
use serde_json::Value;

use super::agent::{AgentBuilder, until};
use super::router;

const SICK: [(usize, Fault, &str); 3] =
    [(7, Fault::Stall, "query_timeout"), (23, Fault::Refuse, "closed"), (41, Fault::Garbage, "protocol")];

/// How long the agent waits for the stalled router. It shows the failure after about twice that. Sites that wait with it
/// are refreshed at most twice until then.
const QUERY_TIMEOUT: &str = "4s";

/// Upper bound of the age of the others' figures. Those of a site that waits with the stalled router become older.
const LATE_S: u64 = 7;

/// Refreshes of each other site until then, at least: a third of those that are due, because the machine may be busy.
const REFRESHES: usize = 3;

fn key(number: usize) -> String {
    format!("site-{number:02}")
}

#[test]
fn three_failing_routers_of_fifty_delay_no_other_site_and_recover() {
    let routers: Vec<Router> =
        (0..50).map(|seed| router(Settings { users: 20, active: 5, seed, ..Settings::default() })).collect();
    let defaults = format!("refresh: \"1s\", query_timeout: \"{QUERY_TIMEOUT}\",");
    let given = AgentBuilder::default().defaults(&defaults);
    let given =
        routers.iter().enumerate().fold(given, |given, (n, router)| given.site(&key(n), router.addr(), ""));
    let agent = given.start();
    let all_active =
        |stats: &Value| stats.as_object().unwrap().values().all(|site| site["status"] == "active");
    until("all fifty are active", || all_active(&agent.json("/api/hotspot/stats")).then_some(()));

    for (n, fault, _) in SICK {
        routers[n].set_fault(Some(fault));
    }
    let is_sick = |site: &str| SICK.iter().any(|(n, _, _)| key(*n) == site);
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    until("each failing router shows its cause", || {
        let stats = agent.json("/api/hotspot/stats");
        for (site, stats) in stats.as_object().unwrap().iter().filter(|(site, _)| !is_sick(site)) {
            assert_eq!(stats["status"], "active", "{site}: {stats}");
            assert!(
                stats["ageSeconds"].as_u64().unwrap() < LATE_S,
                "{site}: expected younger figures: {stats}"
            );
            let at = stats["fetchedAt"].as_str().unwrap().to_string();
            let fetched = seen.entry(site.clone()).or_default();
            if fetched.last() != Some(&at) {
                fetched.push(at);
            }
        }
        SICK.iter().all(|(n, _, cause)| stats[key(*n)]["error"]["cause"] == *cause).then_some(())
    });
    assert_eq!(seen.len(), 47);
    for (site, fetched) in &seen {
        // The first date may be of a refresh before the fault.
        assert!(fetched.len() > REFRESHES, "{site} was refreshed at {fetched:?} only");
    }
    for (n, _, cause) in SICK {
        let stats = agent.stats(&key(n));
        assert_eq!(stats["error"]["cause"], cause, "expected the error to stay");
        assert_eq!(
            (stats["status"].as_str(), stats["lastKnown"]["activeUsers"].as_u64()),
            (Some("maintenance"), Some(5))
        );
    }
    for (n, ..) in SICK {
        routers[n].set_fault(None);
    }
    until("all fifty are active again", || all_active(&agent.json("/api/hotspot/stats")).then_some(()));
}

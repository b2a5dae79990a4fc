//! Fifty routers: three failing ones do not delay the others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Fault, Router, Settings};
use serde_json::Value;

use super::agent::{AgentBuilder, throughout, until};
use super::router;

const SICK: [(usize, Fault, &str); 3] =
    [(7, Fault::Stall, "query_timeout"), (23, Fault::Refuse, "closed"), (41, Fault::Garbage, "protocol")];

/// Upper bound of the age with a refresh each second: above it, one was skipped.
const LATE_S: u64 = 3;

/// From the fault to its error: up to the next refresh, the query's 2 s, and a slow machine.
const DEADLINE: Duration = Duration::from_secs(6);

/// How long the other sites are checked.
const WATCHED: Duration = Duration::from_secs(8);

fn key(number: usize) -> String {
    format!("site-{number:02}")
}

#[test]
fn three_failing_routers_of_fifty_delay_no_other_site_and_recover() {
    let routers: Vec<Router> =
        (0..50).map(|seed| router(Settings { users: 20, active: 5, seed, ..Settings::default() })).collect();
    let given = AgentBuilder::default().defaults("refresh: \"1s\", query_timeout: \"2s\",");
    let given =
        routers.iter().enumerate().fold(given, |given, (n, router)| given.site(&key(n), router.addr(), ""));
    let agent = given.start();
    let all_active =
        |stats: &Value| stats.as_object().unwrap().values().all(|site| site["status"] == "active");
    until("all fifty are active", || all_active(&agent.json("/api/hotspot/stats")).then_some(()));

    let began = Instant::now();
    for (n, fault, _) in SICK {
        routers[n].set_fault(Some(fault));
    }
    let is_sick = |site: &str| SICK.iter().any(|(n, _, _)| key(*n) == site);
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut shown = [None; SICK.len()];
    throughout(WATCHED, || {
        let stats = agent.json("/api/hotspot/stats");
        for (site, stats) in stats.as_object().unwrap() {
            if is_sick(site) {
                continue;
            }
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
        for ((n, _, cause), shown) in SICK.iter().zip(&mut shown) {
            if shown.is_none() && stats[key(*n)]["error"]["cause"] == *cause {
                *shown = Some(began.elapsed());
            }
        }
    });
    assert_eq!(seen.len(), 47);
    for (site, fetched) in &seen {
        // Dates show whole seconds, so two refreshes may show as one.
        assert!(fetched.len() >= 6, "{site} was refreshed at {fetched:?} only");
    }
    for ((n, fault, cause), shown) in SICK.iter().zip(shown) {
        let stats = agent.stats(&key(*n));
        let shown = shown.unwrap_or_else(|| panic!("{fault} did not show as {cause}: {stats}"));
        assert!(shown < DEADLINE, "{fault} took {shown:?}");
        assert_eq!(stats["error"]["cause"], *cause, "expected the error to stay");
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

//! The examples for Zabbix and Home Assistant with real responses.
//!
//! ```sh
//! python3 -m venv venv && venv/bin/pip install -r tests/clients/requirements.txt
//! PATH=$PWD/venv/bin:$PATH cargo test --test external -- --ignored examples --nocapture
//! ```

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::agent::{Agent, until};

/// A `stats` and a `sites` in which some sites are online, with all of their figures, and some are offline.
fn responses(agent: &Agent) -> (Value, Value) {
    until("each site is known or offline", || {
        let (stats, sites) = (agent.json("/api/hotspot/stats"), agent.json("/api/sites"));
        let is_in = |key: &str, state: &str| stats[key]["state"] == state && sites[key]["state"] == state;
        let is_known = |key: &str| {
            let (stats, site) = (&stats[key], &sites[key]);
            is_in(key, "online")
                && stats["downloadRate"].is_number()
                && stats["today"].is_object()
                && stats["error"].is_null()
                && site["capacity"]["pools"].is_array()
        };
        let keys: Vec<&String> = sites.as_object().unwrap().keys().collect();
        let has_both = ["online", "offline"].iter().all(|state| keys.iter().any(|key| is_in(key, state)));
        let is_ready = has_both && keys.iter().all(|key| is_known(key) || is_in(key, "offline"));
        is_ready.then_some((stats, sites))
    })
}

#[test]
#[ignore = "needs python3 with jsonpath-ng, Jinja2 and PyYAML, and node"]
fn each_value_of_zabbix_and_home_assistant_is_in_the_responses() {
    let agent = Agent::demo(&["--trouble"]);
    let (stats, sites) = responses(&agent);
    let folder = tempfile::tempdir().unwrap();
    let files = [("stats.json", stats), ("sites.json", sites)].map(|(name, response)| {
        let path = folder.path().join(name);
        fs::write(&path, response.to_string()).unwrap();
        path
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/use_examples.py");
    let done = Command::new("python3").arg(script).args(files).output().expect("expected python3");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    println!("{}", text(&done.stdout));
    // The template sends an empty token to an agent that needs none.
    let answer = agent.ask("GET", "/api/sites", &[("Authorization", "Bearer ")]);
    assert_eq!(answer.status, 200, "{answer:?}");
}

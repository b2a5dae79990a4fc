//! `/openapi.json` with schemathesis, which sends valid and invalid requests to every described operation and validates
//! the responses.
//!
//! Its version is pinned in `tests/clients/requirements.txt`:
//!
//! ```sh
//! python3 -m venv venv && venv/bin/pip install -r tests/clients/requirements.txt
//! PATH=$PWD/venv/bin:$PATH cargo test --test external -- --ignored openapi --nocapture
//! ```

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::agent::{Agent, program};

const TOKEN: &str = "open-sesame-01234";

/// The sites of the demo.
const SITES: [&str; 3] = ["awka", "lagos", "abuja"];

/// Requests for each operation and generation method. The environment variable `SCHEMATHESIS_EXAMPLES` overrides it.
const EXAMPLES: &str = "40";

/// Replaces each `default` response by these statuses, so that any other status fails.
fn without_default(document: &mut Value, statuses: &[&str]) {
    let items = document["paths"].as_object_mut().unwrap().values_mut();
    let parts = items.flat_map(|item| item.as_object_mut().unwrap().iter_mut());
    for (_, operation) in parts.filter(|(name, _)| ["get", "post"].contains(&name.as_str())) {
        let responses = operation["responses"].as_object_mut().unwrap();
        let default = responses.remove("default").unwrap();
        for status in statuses {
            responses.entry(*status).or_insert_with(|| default.clone());
        }
    }
}

/// Runs schemathesis against a new agent.
#[track_caller]
fn check(statuses: &[&str], selected: &[&str]) {
    let mut command = program(["demo", "--listen", "127.0.0.1:0"]);
    command.env("PHSWEB_ADMIN_TOKEN", TOKEN);
    let agent = Agent::start(command).with_token(TOKEN);
    for site in SITES {
        agent.wait_until_active(site);
    }
    let mut document = agent.json("/openapi.json");
    without_default(&mut document, statuses);
    with_examples(&mut document);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("openapi.json"), document.to_string()).unwrap();
    let url = format!("http://{}", agent.address);
    let header = format!("Authorization: Bearer {TOKEN}");
    let examples = std::env::var("SCHEMATHESIS_EXAMPLES").unwrap_or(EXAMPLES.into());
    let done = Command::new("schemathesis")
        .args(["run", "openapi.json", "--url", &url, "--header", &header])
        .args(["--checks", "all", "--mode", "all", "--max-examples", &examples, "--generation-deterministic"])
        .args(["--continue-on-failure", "--no-color"])
        .args(selected)
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients"))
        // It writes files into its working directory.
        .current_dir(&folder)
        .output()
        .unwrap_or_else(|error| panic!("schemathesis can't be run: {error}"));
    let output = String::from_utf8_lossy(&done.stdout);
    println!("{output}");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}\n{output}{errors}", done.status);
    assert!(
        !output.contains("generated, 0 passed") && output.contains(" passed"),
        "expected at least one passed case: {output}"
    );
    assert_eq!(agent.json("/api/sites").as_object().unwrap().len(), 3, "expected a running agent");
}

/// Replaces what JSON Schema can't describe exactly by some values that this agent accepts: the keys of its sites, durations,
/// and lists of names.
fn with_examples(document: &mut Value) {
    document["components"]["schemas"]["SiteKey"] = json!({"enum": SITES});
    document["components"]["parameters"]["Range"]["schema"] = json!({"enum": ["1h", "24h", "400days"]});
    document["components"]["parameters"]["AfterRow"]["schema"] = json!({"enum": [""]});
    let journal = document["paths"]["/api/journal"]["get"]["parameters"].as_array_mut().unwrap();
    for parameter in journal.iter_mut().filter(|one| one["name"] == "from" || one["name"] == "to") {
        parameter["schema"] = json!({"enum": ["", "2026-11-30T18:00:00Z"]});
    }
    let mute =
        &mut document["paths"]["/api/alerts/mute"]["post"]["requestBody"]["content"]["application/json"];
    mute["schema"]["properties"]["for"] = json!({"enum": ["0s", "1h"]});
    let series = &mut document["paths"]["/api/sites/{site}/history"]["get"]["parameters"][0];
    assert_eq!(series["name"], "series");
    series["schema"] = json!({"enum": ["users", "users,upload"]});
}

/// The paths for browsers, except the login.
const PAGES: &str = "^/(sites/.*|setup|refresh|logout)?$";

/// Without the phase for links, because some paths have none.
const UNLINKED: [&str; 2] = ["--phases", "examples,coverage,fuzzing"];

// All requests come from one address, where each wrong token counts. There is one wrong token per admin operation,
// so each test stays below the limit of ten.

#[test]
#[ignore = "needs python3 with schemathesis"]
fn api_matches_the_document() {
    // Event streams never end; `agent::answers` tests them.
    let others = ["--exclude-path", "/api/events", "--exclude-path", "/login", "--exclude-path-regex", PAGES];
    check(&["401", "403"], &others);
}

#[test]
#[ignore = "needs python3 with schemathesis"]
fn pages_match_the_document() {
    check(&["401", "403"], &[&["--include-path-regex", PAGES][..], &UNLINKED].concat());
}

#[test]
#[ignore = "needs python3 with schemathesis"]
fn login_matches_the_document() {
    let login = ["--include-path", "/login"];
    check(&["401", "403", "415", "429"], &[&login[..], &UNLINKED].concat());
}

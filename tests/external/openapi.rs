//! `/openapi.json` by schemathesis, which asks for all that is described, rightly and wrongly, and holds the
//! answers to it.
//!
//! It is pinned in `tests/clients/requirements.txt`:
//!
//! ```sh
//! python3 -m venv venv && venv/bin/pip install -r tests/clients/requirements.txt
//! PATH=$PWD/venv/bin:$PATH cargo test --test external -- --ignored openapi --nocapture
//! ```

// What it has for other tests is not used here.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::agent::{Agent, program};

const TOKEN: &str = "open-sesame-01234";

/// Requests for each method of a path, in each of some ways; `SCHEMATHESIS_EXAMPLES` in the environment overrides it.
const EXAMPLES: &str = "40";

/// The document with its `default` for these statuses only: no other than those described must come.
fn without_default(document: &mut Value, statuses: &[&str]) {
    for list in ["/paths", "/components/pathItems"] {
        let items = document.pointer_mut(list).unwrap().as_object_mut().unwrap().values_mut();
        let parts = items.flat_map(|item| item.as_object_mut().unwrap().iter_mut());
        for (_, operation) in parts.filter(|(name, _)| ["get", "post"].contains(&name.as_str())) {
            let responses = operation["responses"].as_object_mut().unwrap();
            let default = responses.remove("default").unwrap();
            for status in statuses {
                responses.entry(*status).or_insert_with(|| default.clone());
            }
        }
    }
}

/// Has schemathesis ask an agent of its own.
#[track_caller]
fn asked(statuses: &[&str], selected: &[&str]) {
    let mut command = program(["demo", "--listen", "127.0.0.1:0"]);
    command.env("PHSWEB_ADMIN_TOKEN", TOKEN);
    let agent = Agent::start(command).with_token(TOKEN);
    for site in ["awka", "lagos", "abuja"] {
        agent.well(site);
    }
    let mut document = agent.json("/openapi.json");
    without_default(&mut document, statuses);
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
        // It leaves files where it runs.
        .current_dir(&folder)
        .output()
        .unwrap_or_else(|error| panic!("schemathesis can't be run: {error}"));
    let said = String::from_utf8_lossy(&done.stdout);
    println!("{said}");
    let failed = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}\n{said}{failed}", done.status);
    assert!(!said.contains("generated, 0 passed") && said.contains(" passed"), "nothing was tried: {said}");
    assert_eq!(agent.json("/api/sites").as_object().unwrap().len(), 3, "it goes on");
}

/// The paths for browsers, but for the login.
const PAGES: &str = "^/(sites/.*|refresh|logout)?$";

/// Without what is told by links, of which there are none among some paths.
const UNLINKED: [&str; 2] = ["--phases", "examples,coverage,fuzzing"];

// Each wrong token counts against the address that all of this comes from, and there is one for each
// method that is the admin's: those of programs and of browsers are under ten.

#[test]
#[ignore = "needs python3 with schemathesis"]
fn the_api_is_as_described() {
    // Events never end, and are held in `agent::answers`.
    let others = ["--exclude-path", "/api/events", "--exclude-path", "/login", "--exclude-path-regex", PAGES];
    asked(&["401", "403"], &others);
}

#[test]
#[ignore = "needs python3 with schemathesis"]
fn the_pages_are_as_described() {
    asked(&["401", "403"], &[&["--include-path-regex", PAGES][..], &UNLINKED].concat());
}

#[test]
#[ignore = "needs python3 with schemathesis"]
fn the_login_is_as_described() {
    let login = ["--include-path", "/login"];
    asked(&["401", "403", "415", "429"], &[&login[..], &UNLINKED].concat());
}

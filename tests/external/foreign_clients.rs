//! Third-party clients of the RouterOS API against the simulated router.
//!
//! Their dependencies are in `tests/clients/requirements.txt` and `tests/clients/package.json`:
//!
//! ```sh
//! python3 -m venv venv && venv/bin/pip install -r tests/clients/requirements.txt
//! npm ci --prefix tests/clients
//! PATH=$PWD/venv/bin:$PATH NODE_PATH=tests/clients/node_modules \
//!     cargo test --test external -- --ignored foreign_clients
//! ```

use std::process::Command;

use phsweb_agent::simulator::{Router, Settings};

const BEFORE_7_18: [&str; 3] = ["6.42.12 (long-term)", "6.49.10 (stable)", "7.11.2 (stable)"];
const FROM_7_18: [&str; 2] = ["7.20.7 (long-term)", "7.21.1 (stable)"];

/// Runs a script with a router of each version. The script exits with 0 if all checks pass.
#[track_caller]
fn run<'a>(program: &str, script: &str, versions: impl IntoIterator<Item = &'a str>) {
    for version in versions {
        let settings = Settings { version: version.parse().expect("a version"), ..Settings::default() };
        let router = Router::start(([127, 0, 0, 1], 0).into(), settings).expect("a free port");
        let (host, port) = (router.addr().ip().to_string(), router.addr().port().to_string());
        let script = format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR"));
        let done = Command::new(program).args([&script, &host, &port, version]).output();
        let done = done.unwrap_or_else(|error| panic!("{program} can't be run: {error}"));
        let (output, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{script} on {version}: {}\n{output}{errors}", done.status);
        assert!(router.counters().logins > 0, "{script} on {version}: expected a login");
        println!("{script} on {version}\n{output}");
    }
}

#[test]
#[ignore = "needs python3 with librouteros and RouterOS-api"]
fn librouteros_works_with_the_simulator() {
    run("python3", "use_librouteros.py", BEFORE_7_18.into_iter().chain(FROM_7_18));
}

#[test]
#[ignore = "needs python3 with librouteros and RouterOS-api"]
fn routeros_api_works_with_the_simulator() {
    run("python3", "use_routeros_api.py", BEFORE_7_18.into_iter().chain(FROM_7_18));
}

#[test]
#[ignore = "needs node with node-routeros"]
fn node_routeros_works_with_the_simulator() {
    // It reports the `!empty` of later versions as an error.
    run("node", "use_node_routeros.js", BEFORE_7_18);
}

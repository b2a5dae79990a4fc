//! The JSON against the types of the dashboard's guide, checked by the TypeScript compiler.
//!
//! Its version is pinned in `tests/types/package.json`:
//!
//! ```sh
//! npm ci --prefix tests/types
//! NODE_PATH=$PWD/tests/types/node_modules cargo test --test external -- --ignored types
//! ```

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use phsweb_agent::simulator::{Router, Settings};
use serde_json::{Value, json};

use crate::support::agent::AgentBuilder;

/// The path of the compiler, in `NODE_PATH` or above `tests/types`.
fn compiler() -> String {
    let found = Command::new("node")
        .args(["-p", "require.resolve('typescript/bin/tsc')"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/types"))
        .output()
        .expect("expected node");
    let errors = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.success(), "expected node to find typescript: {errors}");
    String::from_utf8(found.stdout).unwrap().trim().to_string()
}

/// The errors of the compiler for these constants: each with its line.
fn errors_of(constants: &[(&str, &Value)]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let types = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/types/guide.ts");
    fs::copy(types, folder.path().join("guide.ts")).unwrap();
    let mut text =
        "import type { AndMore, HotspotActiveUser, RouterStatus, Site } from \"./guide\";\n".to_string();
    for (n, (of, json)) in constants.iter().enumerate() {
        writeln!(text, "export const c{n}: {of} = {json:#};").unwrap();
    }
    fs::write(folder.path().join("check.ts"), &text).unwrap();
    let checked = Command::new("node")
        .arg(compiler())
        .args(["--noEmit", "--strict", "--pretty", "false", "check.ts"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let output = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.success(), output.is_empty(), "{output}");
    let lines: Vec<&str> = text.lines().collect();
    let errors = output.lines().filter(|line| !line.starts_with(' ')).map(|line| {
        let place = line.strip_prefix("check.ts(").and_then(|rest| rest.split(',').next());
        let number: usize = place.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{output}"));
        (lines[number - 1].trim().to_string(), line.to_string())
    });
    errors.collect()
}

const STATS: &str = "Record<string, AndMore<Site>>";
const PEOPLE: &str = "AndMore<HotspotActiveUser>[]";
const ROUTER: &str = "AndMore<RouterStatus>";

#[test]
#[ignore = "needs node with typescript"]
fn json_has_the_types_of_the_guide() {
    let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
    let lost = crate::support::router_on_unique_host(Settings::default());
    let never = crate::support::address::unused_address();
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let agent = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1s\", query_timeout: \"60s\",")
        .site("online", router.addr(), "")
        .site("lost", lost.addr(), "")
        .site("never", never, "")
        .site("connecting", silent.local_addr().unwrap(), "")
        .start()
        .with_token("admin-token-01234");
    agent.wait_until_active("online");
    agent.wait_until_active("lost");
    drop(lost);
    agent.wait_for_error("lost", "refused");
    agent.wait_for_error("never", "refused");
    let stats = agent.json("/api/hotspot/stats");
    let people = agent.json("/api/hotspot/online/active");
    let routers = agent.json("/api/routers");
    assert_eq!(stats.as_object().unwrap().len(), 4);
    assert_eq!(stats["connecting"]["lastActivity"], "Connecting");
    assert_eq!(people.as_array().unwrap().len(), 23);

    let good = [(STATS, &stats), (PEOPLE, &people), (ROUTER, &routers["online"])];
    assert_eq!(errors_of(&good), []);

    // The check can fail: a field with another type and a missing field are errors.
    let wrong = [
        (STATS, "/online/activeUsers", json!("23")),
        (STATS, "/lost/totalUsers", json!(null)),
        (STATS, "/never/status", json!("offline")),
        (STATS, "/never/routerStatus", json!({"isOnline": true})),
        (PEOPLE, "/0/bytesIn", json!("1")),
        (PEOPLE, "/22/loginTime", json!(null)),
        (ROUTER, "/uptime", json!(5)),
    ];
    let bad: Vec<(&str, Value)> = wrong
        .iter()
        .map(|(of, place, value)| {
            let mut bad = good.iter().find(|(good, _)| good == of).unwrap().1.clone();
            *bad.pointer_mut(place).unwrap() = value.clone();
            (*of, bad)
        })
        .collect();
    let bad: Vec<(&str, &Value)> = bad.iter().map(|(of, json)| (*of, json)).collect();
    let errors = errors_of(&bad);
    assert_eq!(errors.len(), wrong.len(), "{errors:#?}");
    for ((_, place, value), (line, error)) in wrong.iter().zip(&errors) {
        let field = place.rsplit('/').next().unwrap();
        assert!(
            line.starts_with(&format!("\"{field}\": ")),
            "expected an error at {place} as {value}, got {line}: {error}"
        );
    }
}

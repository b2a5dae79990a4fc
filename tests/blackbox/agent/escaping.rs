//! Text from a router is escaped wherever it is shown.

use std::net::Ipv4Addr;

use phsweb_agent::simulator::{Router, Row, Settings};

use super::agent::{Agent, AgentBuilder};
use super::router;

/// A user name with markup, quotes and control characters.
const NASTY: &str = "<script>alert(1)</script>\"'&amp;\n\0\u{202E}\\u0041";

fn agent(router: &Router) -> Agent {
    let agent = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")), title: \"A <b>title</b> & more\",")
        .defaults("refresh: \"1s\",")
        .site("awka", router.addr(), "name: \"<i>Awka</i> \\\"1\\\"\"")
        .start();
    agent.with_token("admin-token-01234")
}

/// Reverses the escapes that `askama` writes.
fn unescaped(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('&') {
        text += before;
        let (name, next) = after.split_once(';').expect("expected an escape after &");
        text.push(match name {
            "lt" | "#60" => '<',
            "gt" | "#62" => '>',
            "amp" | "#38" => '&',
            "quot" | "#34" => '"',
            "#39" | "#x27" | "apos" => '\'',
            other => panic!("&{other};"),
        });
        rest = next;
    }
    text + rest
}

#[test]
fn a_user_name_is_escaped_on_the_page_and_exact_in_the_json() {
    let router = router(Settings { active: 2, ..Settings::default() });
    let address = Ipv4Addr::new(10, 5, 70, 1);
    assert!(router.log_in(NASTY, address, "<b>mac</b>").is_some());
    let agent = agent(&router);
    agent.wait_until_active("awka");
    let people = agent.json("/api/hotspot/awka/active");
    let person =
        people.as_array().unwrap().iter().find(|person| person["address"] == address.to_string()).unwrap();
    assert_eq!((person["user"].as_str().unwrap(), person["mac"].as_str().unwrap()), (NASTY, "<b>mac</b>"));
    let table = agent.json("/api/sites/awka/plugins/hotspot");
    assert!(table["rows"].as_array().unwrap().iter().any(|row| row[0] == NASTY), "{table}");

    let page = agent.page("/sites/awka");
    for tag in ["<script>alert", "<b>mac", "<b>title", "<i>Awka"] {
        assert!(!page.contains(tag), "expected {tag} to be escaped in {page}");
    }
    let cell = page
        .split("data-label=\"User\">")
        .find(|cell| cell.contains("alert(1)"))
        .expect("expected the user's cell");
    // A character that changes the text direction does not affect the text around it.
    let isolated = cell.strip_prefix("<bdi>").and_then(|cell| cell.split_once("</bdi><"));
    let shown = unescaped(isolated.expect("expected an isolated cell").0);
    // HTML can't contain a NUL; everything else is unchanged.
    let plain = |text: &str| text.replace(['\0', '\u{FFFD}'], "");
    assert_eq!(plain(&shown), plain(NASTY));
    assert!(unescaped(page.split("</title>").next().unwrap()).contains("A <b>title</b> & more"));
    assert!(!agent.page("/").contains("<i>Awka"));
}

#[test]
fn resource_and_health_values_are_escaped() {
    let router = router(Settings::default());
    let bad = "<img src=x onerror=alert(2)>";
    let resource = Row::new()
        .with("uptime", "1h")
        .with("version", bad.replace(' ', "/"))
        .with("board-name", bad)
        .with("architecture-name", bad)
        .with("cpu-load", bad);
    router.set_rows("/system/resource", vec![resource]);
    let health = Row::new().with("name", bad).with("value", "1").with("type", bad);
    router.set_rows("/system/health", vec![health]);
    let agent = agent(&router);
    agent.wait_until_active("awka");
    for path in ["/", "/sites/awka"] {
        let page = agent.page(path);
        assert!(!page.contains("<img"), "{page}");
        assert!(page.contains("onerror"), "expected the text in {page}");
    }
    let routers = agent.json("/api/routers");
    assert_eq!(
        (routers["awka"]["boardName"].as_str(), routers["awka"]["cpuLoad"].as_u64()),
        (Some(bad), None)
    );
}

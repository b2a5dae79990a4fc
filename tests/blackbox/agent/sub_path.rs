//! Pages below a path of a reverse proxy that removes it: all links, forms and files stay below it.

use std::collections::BTreeSet;

use super::agent::{Agent, AgentBuilder};
use super::router;
use phsweb_agent::simulator::Settings;

/// The path at which the proxy serves the agent.
const BELOW: &str = "/hot/spots";

/// The addresses in a page, by the attributes that have them.
fn addresses(html: &str) -> Vec<String> {
    let after = |attribute: &str| {
        let values = html.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap());
        values.map(|value| value.replace("&#38;", "&")).collect::<Vec<_>>()
    };
    [" href=\"", " src=\"", " action=\""].into_iter().flat_map(after).collect()
}

/// Resolves a reference against `base` (RFC 3986, 5.2).
fn resolve(base: &str, reference: &str) -> String {
    let path = base.split(['?', '#']).next().unwrap();
    if reference.starts_with(['?', '#']) {
        return format!("{path}{reference}");
    }
    if reference.starts_with('/') {
        return reference.to_string();
    }
    let (reference, rest) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
    let mut segments: Vec<&str> = path.split('/').collect();
    segments.pop();
    for segment in reference.split('/') {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    if reference.ends_with("/.") || reference.ends_with("..") {
        segments.push("");
    }
    format!("{}{rest}", segments.join("/"))
}

fn agent(http: &str) -> (phsweb_agent::simulator::Router, Agent) {
    let router = router(Settings { active: 250, users: 800, ..Settings::default() });
    let agent = AgentBuilder::default().http(http).site("awka", router.addr(), "").start();
    agent.wait_until_active("awka");
    (router, agent.with_token("admin-token-01234"))
}

#[test]
fn links_stay_below_the_path_of_a_proxy() {
    let (_router, agent) = agent("admin: Token(Plain(\"admin-token-01234\")),");
    let html = [("Accept", "text/html")];
    let mut waiting = vec![
        "/".to_string(),
        "/login?to=/sites/awka".into(),
        "/nothing".into(),
        "/no/such/page/".into(),
        "/sites/nowhere".into(),
        "/sites/awka/kick?id=*1&user=x&mac=".into(),
    ];
    let mut seen = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    while let Some(at) = waiting.pop() {
        let path = at.split('#').next().unwrap().to_string();
        // Links between sorted and paged views of a list.
        let name = path.split(['?', '&']).next().unwrap().to_string();
        if seen.len() > 300
            || !seen.insert(path.clone())
            || (path.contains('?') && !kinds.insert(name.clone() + "?"))
        {
            continue;
        }
        kinds.insert(name);
        let answer = agent.ask("GET", &path, &html);
        if answer.status == 303 {
            let to = resolve(&format!("{BELOW}{path}"), answer.field("Location"));
            waiting.push(to.strip_prefix(BELOW).expect("expected a redirect below the path").into());
        }
        if !answer.field("Content-Type").starts_with("text/html") {
            continue;
        }
        for address in addresses(&answer.body).into_iter().filter(|address| !address.starts_with('#')) {
            let to = resolve(&format!("{BELOW}{path}"), &address);
            let inner = to.strip_prefix(BELOW).unwrap_or_else(|| panic!("{path}: {address:?} leads to {to}"));
            if inner == "/api/events" {
                // It has no end.
                continue;
            }
            let there = agent.ask("GET", inner.split('#').next().unwrap(), &html);
            assert!(
                ![404, 400].contains(&there.status),
                "{path}: {address:?} leads to {to}: {}",
                there.status
            );
            waiting.push(inner.into());
        }
    }
    for path in ["/", "/login", "/sites/awka", "/sites/awka/users", "/sites/awka/kick", "/sites/awka/test"] {
        assert!(kinds.contains(path), "expected a link to {path}: {kinds:?}");
    }
}

#[test]
fn urls_in_scripts_are_relative_to_the_script() {
    let (_router, agent) = agent("");
    let script = agent.get("/page.js").body;
    assert!(script.contains("new URL(\"api/events?data=keys\", scriptUrl)"));
    assert!(!script.contains("\"/"), "expected relative addresses only");
}

#[test]
fn forms_redirect_below_the_path_of_a_proxy() {
    let (_router, agent) = agent("admin: Token(Plain(\"admin-token-01234\")),");
    for (path, expected) in [
        ("/refresh", "/?notice=refreshed"),
        ("/sites/awka/refresh?sort=upload", "/sites/awka?notice=refreshed&sort=upload"),
        ("/logout", "/"),
    ] {
        let answer = agent.post(path, "");
        assert_eq!(answer.status, 303, "{path}: {}", answer.body);
        let to = resolve(&format!("{BELOW}{path}"), answer.field("Location"));
        assert_eq!(to, format!("{BELOW}{expected}"), "{path}");
    }
}

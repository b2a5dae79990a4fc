//! Logins that a router refuses: said once, with what to do, and seldom tried again.

use std::time::Duration;

use phsweb_agent::simulator::{Login, Policies, Settings};
use serde_json::json;

use super::agent::{Given, throughout, until};
use super::{router, version};

/// Long enough for several tries, if they came as often as after other failures.
const WATCHED: Duration = Duration::from_secs(6);

#[test]
fn a_wrong_password_is_told_with_what_to_check_and_not_tried_over_and_over() {
    let plain = router(Settings::default());
    let challenge = router(version("6.42.12 (long-term)"));
    let no_api = Policies { api: false, ..Policies::ALL };
    let logins = vec![Login { policies: no_api, ..Login::new("api-user", "password") }];
    let without_policy = router(Settings { logins, ..Settings::default() });
    let old = router(version("6.42.12 (long-term)"));
    let wrong = |router: &phsweb_agent::simulator::Router, more: &str| {
        // Twice the same router: the second host must not be asked with the same wrong password.
        format!("hosts: [\"{0}\", \"{0}\"], password: Plain(\"mistyped\"), {more}", router.addr())
    };
    let agent = Given::default()
        .defaults("refresh: \"1s\",")
        .raw_site("plain", &wrong(&plain, ""))
        .raw_site("challenge", &wrong(&challenge, "login: Challenge"))
        .site("policy", without_policy.addr(), "")
        .site("old", old.addr(), "")
        .start();
    for site in ["plain", "challenge", "policy"] {
        let stats = agent.fails(site, "auth");
        let hint = stats["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("api policy") && hint.contains("/user"), "{site}: {hint}");
        assert_eq!(stats["status"], "maintenance");
        assert!(agent.page(&format!("/sites/{site}")).contains("api policy"));
    }
    let stats = agent.fails("old", "auth");
    assert!(stats["error"]["hint"].as_str().unwrap().contains("login: Challenge"), "{stats}");

    throughout(WATCHED, || {
        for (site, router) in [("plain", &plain), ("challenge", &challenge), ("policy", &without_policy)] {
            let counters = router.counters();
            assert_eq!((counters.logins, counters.logins_refused), (0, 1), "{site}: {counters:?}");
        }
        assert_eq!(old.counters().connections, 1);
    });
}

#[test]
fn one_login_serves_many_refreshes() {
    let router = router(Settings::default());
    let agent = Given::default().defaults("refresh: \"1s\",").site("awka", router.addr(), "").start();
    agent.well("awka");
    until("it was refreshed some times", || (router.counters().commands >= 4 * 4).then_some(()));
    assert_eq!((router.counters().logins, router.counters().connections), (1, 1));
    let usage = until("the agent says what it costs", || {
        let usage = agent.json("/api/sites/awka")["usage"].clone();
        (usage["commands"].as_u64()? >= 4 * 4).then_some(usage)
    });
    assert_eq!(usage["logins"], json!(1));
    let (sent, received) = (usage["sentBytes"].as_u64().unwrap(), usage["receivedBytes"].as_u64().unwrap());
    let counters = router.counters();
    assert!(sent > 0 && sent <= counters.received, "{usage} {counters:?}");
    assert!(received > sent && received <= counters.sent, "{usage} {counters:?}");
}

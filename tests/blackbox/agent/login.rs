//! Logins that a router refuses: reported once with a hint, and retried rarely.

use std::time::Duration;

use phsweb_agent::simulator::{Login, Policies, Settings};
use serde_json::json;

use super::agent::{AgentBuilder, throughout, until};
use super::{router, version};

/// Long enough for several retries at the rate of other failures.
const WATCHED: Duration = Duration::from_secs(6);

#[test]
fn wrong_password_has_a_hint_and_is_not_retried_at_once() {
    let plain = router(Settings::default());
    let challenge = router(version("6.42.12 (long-term)"));
    let no_api = Policies { api: false, ..Policies::ALL };
    let logins = vec![Login { policies: no_api, ..Login::new("api-user", "password") }];
    let without_policy = router(Settings { logins, ..Settings::default() });
    let old = router(version("6.42.12 (long-term)"));
    let wrong = |router: &phsweb_agent::simulator::Router, more: &str| {
        // The same router twice: the second host must not get the same wrong password.
        format!("hosts: [\"{0}\", \"{0}\"], password: Plain(\"mistyped\"), {more}", router.addr())
    };
    let agent = AgentBuilder::default()
        .defaults("refresh: \"1s\",")
        .raw_site("plain", &wrong(&plain, ""))
        .raw_site("challenge", &wrong(&challenge, "login: Challenge"))
        .site("policy", without_policy.addr(), "")
        .site("old", old.addr(), "")
        .start();
    for site in ["plain", "challenge", "policy"] {
        let stats = agent.wait_for_error(site, "auth");
        let hint = stats["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("api policy") && hint.contains("/user"), "{site}: {hint}");
        assert_eq!(stats["status"], "maintenance");
        assert!(agent.page(&format!("/sites/{site}")).contains("api policy"));
    }
    let stats = agent.wait_for_error("old", "auth");
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
    let agent = AgentBuilder::default().defaults("refresh: \"1s\",").site("awka", router.addr(), "").start();
    agent.wait_until_active("awka");
    until("the site was refreshed several times", || (router.counters().commands >= 4 * 4).then_some(()));
    assert_eq!((router.counters().logins, router.counters().connections), (1, 1));
    let usage = until("the agent reports its overhead", || {
        let usage = agent.json("/api/sites/awka")["usage"].clone();
        (usage["commands"].as_u64()? >= 4 * 4).then_some(usage)
    });
    assert_eq!(usage["logins"], json!(1));
    let (sent, received) = (usage["sentBytes"].as_u64().unwrap(), usage["receivedBytes"].as_u64().unwrap());
    let counters = router.counters();
    assert!(sent > 0 && sent <= counters.received, "{usage} {counters:?}");
    assert!(received > sent && received <= counters.sent, "{usage} {counters:?}");
}

#[test]
fn a_codepage_applies_to_the_user_and_the_password_of_the_one_login() {
    // As WinBox on a Russian Windows stores them.
    let [user, password] = [&b"\xec\xe5\xed\xe5\xe4\xe6\xe5\xf0"[..], b"\xef\xe0\xf0\xee\xeb\xfc"];
    let routers = ["7.20", "6.42.12 (long-term)"]
        .map(|of| router(Settings { logins: vec![Login::new(user, password)], ..version(of) }));
    let site = |at: &phsweb_agent::simulator::Router, more: &str| {
        let login = "user: \"менеджер\", password: Plain(\"пароль\"), codepage: \"windows-1251\"";
        format!("hosts: [\"{}\"], {login}, {more}", at.addr())
    };
    let agent = AgentBuilder::default()
        .raw_site("plain", &site(&routers[0], ""))
        .raw_site("challenge", &site(&routers[1], "login: Challenge"))
        .start();
    for (site, router) in ["plain", "challenge"].into_iter().zip(&routers) {
        agent.wait_until_active(site);
        let counters = router.counters();
        assert_eq!((counters.logins, counters.logins_refused), (1, 0), "{site}: {counters:?}");
    }
}

#[test]
fn without_a_codepage_the_user_and_the_password_are_sent_in_utf_8() {
    let router = router(Settings { logins: vec![Login::new("é", "ẹ")], ..Settings::default() });
    let site = format!("hosts: [\"{}\"], user: \"é\", password: Plain(\"ẹ\")", router.addr());
    AgentBuilder::default().raw_site("awka", &site).start().wait_until_active("awka");
}

#[test]
fn line_ends_and_byte_order_marks_around_a_secret_are_removed() {
    let router = router(Settings::default());
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "\u{feff}password\r\n").unwrap();
    let site = |password: &str| format!("hosts: [\"{}\"], password: {password}", router.addr());
    let agent = AgentBuilder::default()
        .http("admin: Token(Env(\"TOKEN\")),")
        .raw_site("env", &site("Env(\"PASSWORD\")"))
        .raw_site("file", &site(&format!("File(\"{}\")", secret.path().display())))
        .raw_site("override", &site("Plain(\"mistyped\")"))
        .variable("TOKEN", "a-token-of-the-admin\n")
        .variable("PASSWORD", "\u{feff}password\r\n")
        .variable("MIKROTIK_OVERRIDE_PASSWORD", "password\n")
        .start()
        .with_token("a-token-of-the-admin");
    for site in ["env", "file", "override"] {
        agent.wait_until_active(site);
        assert!(
            agent.json(&format!("/api/hotspot/{site}/active")).is_array(),
            "expected the admin's token to be accepted"
        );
    }
    assert_eq!(router.counters().logins_refused, 0);
}

#[test]
fn refused_login_reports_surrounding_spaces_and_quotes() {
    const HINT: &str = "starts or ends with a space or quote";
    let router = router(Settings::default());
    let site = |login: &str| format!("hosts: [\"{}\"], {login}", router.addr());
    let agent = AgentBuilder::default()
        .raw_site("quoted", &site("password: Plain(\"\\\"password\\\"\")"))
        .raw_site("spaced", &site("password: Plain(\"password \")"))
        .raw_site("user", &site("user: \"'api-user\", password: Plain(\"password\")"))
        .raw_site("inside", &site("password: Plain(\"pass' word\")"))
        .raw_site("empty", &site("password: Plain(\"\")"))
        .start();
    for (site, is_odd) in
        [("quoted", true), ("spaced", true), ("user", true), ("inside", false), ("empty", false)]
    {
        let stats = agent.wait_for_error(site, "auth");
        assert_eq!(stats["error"]["hint"].as_str().unwrap().contains(HINT), is_odd, "{site}: {stats}");
    }
}

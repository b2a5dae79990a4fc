//! Behind a proxy: tokens that it sends along for itself, and whose address counts.

use std::net::Ipv4Addr;

use phsweb_agent::simulator::{Router, Settings};

use super::agent::{Agent, Answer, Given, until};
use super::answers::form_of;
use super::browser::{Browser, ask_from};
use super::router;

const ADMIN: &str = "admin: Token(Plain(\"admin-token\")),";

/// A token of the proxy, as single sign-on sends it with each request.
const FOREIGN: (&str, &str) = ("Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl");

/// The proxy.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Paths without anything about people.
const PUBLIC: [&str; 4] = ["/", "/api/hotspot/stats", "/metrics", "/api/sites/awka/plugins/resource"];

/// Paths of people, by their path and by their content.
const PROTECTED: [&str; 2] = ["/api/hotspot/awka/active", "/api/sites/awka/plugins/hotspot"];

fn agent(router: &Router, http: &str) -> Agent {
    let agent = Given::default().http(http).defaults("refresh: \"1h\",").site("awka", router.addr(), "");
    let agent = agent.argument("--log").argument("debug").start();
    until("it is ready", || (agent.get("/readyz").status == 200).then_some(()));
    agent
}

fn shows_people(router: &Router, answer: &Answer) -> bool {
    router.sessions().iter().all(|person| answer.body.contains(&person.user))
}

#[test]
fn tokens_of_a_proxy_on_public_content_hold_off_nobody() {
    let router = router(Settings::default());
    let agent = agent(&router, ADMIN);
    let ask = |path: &str, token: &str| {
        ask_from(PROXY, agent.address, ("GET", path), &[("Authorization", &format!("Bearer {token}"))], "")
    };
    for path in PUBLIC {
        for number in 0..12 {
            let answer = ask(path, &format!("foreign-{number}"));
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        }
    }
    for path in PROTECTED {
        assert_eq!(ask(path, "admin-token").status, 200, "{path}");
    }
    // Where a token is needed, by the path or by the content, wrong ones count.
    for path in PROTECTED.iter().cycle().take(10) {
        assert_eq!(ask(path, "wrong").status, 401, "{path}");
    }
    for path in PROTECTED {
        assert_eq!(ask(path, "admin-token").status, 429, "{path}");
    }
}

#[test]
fn guesses_on_public_content_are_limited() {
    let router = router(Settings::default());
    let agent = agent(&router, ADMIN);
    let page = |token: &str| {
        let fields = [("Authorization", format!("Bearer {token}"))];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let page = ask_from(PROXY, agent.address, ("GET", "/sites/awka"), &fields, "");
        assert_eq!(page.status, 200, "{}", page.body);
        shows_people(&router, &page)
    };
    for number in 0..9 {
        assert!(!page(&format!("guess-{number}")));
    }
    assert!(page("admin-token"));
    assert!(!page("guess-9"));
    assert!(!page("admin-token"), "a guess after ten wrong ones is not answered");
}

#[test]
fn a_login_cookie_works_beside_a_token_of_a_proxy() {
    let router = router(Settings::default());
    let agent = agent(&router, &format!("view: Token(Plain(\"view-token\")), {ADMIN}"));
    let mut browser = Browser::new(PROXY.octets());
    browser.log_in(&agent, "admin-token");
    let mut get = |path: &str| browser.ask(&agent, ("GET", path), &[FOREIGN], "");
    for _ in 0..6 {
        assert!(shows_people(&router, &get("/sites/awka")));
        assert_eq!(get("/api/hotspot/awka/active").status, 200);
    }
    let person = router.sessions()[0].clone();
    let origin = format!("http://{}", agent.address);
    let fields = [FOREIGN, ("Origin", &origin)];
    let kicked = browser.ask(&agent, ("POST", "/sites/awka/kick"), &fields, &form_of(&person));
    assert_eq!(kicked.status, 303, "{}", kicked.body);
    assert!(!router.sessions().iter().any(|session| session.id == person.id));
    // None of them counted.
    Browser::new(PROXY.octets()).log_in(&agent, "admin-token");
}

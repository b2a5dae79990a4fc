//! Access control: what each role may see, and the responses for others.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use phsweb_agent::simulator::{Router, Settings};

use super::agent::{Agent, AgentBuilder};
use super::browser::ask_from;
use super::router;

const OPEN: [&str; 4] = ["/healthz", "/readyz", "/style.css", "/page.js"];

const VIEW: [&str; 9] = [
    "/",
    "/sites/awka",
    "/api/hotspot/stats",
    "/api/hotspot/awka",
    "/api/routers",
    "/api/sites",
    "/api/sites/awka",
    "/api/sites/awka/plugins/resource",
    "/api/sites/awka/plugins/health",
];

const ADMIN: [&str; 2] = ["/api/hotspot/awka/active", "/api/sites/awka/plugins/hotspot"];

/// Authorization headers and their roles.
const SENT: [(&str, &str); 8] = [
    ("", "nobody"),
    ("Bearer wrong", "nobody"),
    ("Bearer ", "nobody"),
    ("Bearer view-token-0123", "nobody"),
    ("Basic view-token-01234", "nobody"),
    ("admin-token-01234", "nobody"),
    ("Bearer view-token-01234", "viewer"),
    ("Bearer admin-token-01234", "admin"),
];

fn agent(router: &Router, http: &str) -> Agent {
    let agent = AgentBuilder::default().http(http).site("awka", router.addr(), "").start();
    // Without a valid token, only readiness shows that the sites were queried.
    super::agent::until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
    agent
}

#[track_caller]
fn answers(agent: &Agent, path: &str, sent: &str, expected: u16) -> String {
    // Each from another address, because ten wrong tokens throttle an address.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let from =
        Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + NEXT.fetch_add(1, Ordering::Relaxed));
    let field = [("Authorization", sent)];
    let fields: &[_] = if sent.is_empty() { &[] } else { &field };
    let answer = ask_from(from, agent.address, ("GET", path), fields, "");
    assert_eq!(answer.status, expected, "{path} with {sent:?}: {}", answer.body);
    if expected >= 400 {
        assert_eq!(answer.field("Content-Type"), "application/problem+json", "{path} with {sent:?}");
        assert_eq!(answer.json()["status"], expected);
        assert_eq!(
            answer.field("WWW-Authenticate").starts_with("Bearer"),
            expected == 401,
            "{path} with {sent:?}"
        );
        assert!(answer.field("ETag").is_empty(), "{path} with {sent:?}");
    }
    answer.body
}

#[test]
fn tokens_grant_only_their_role() {
    let router = router(Settings::default());
    let agent = agent(
        &router,
        "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),",
    );
    for (sent, who) in SENT {
        for path in OPEN {
            answers(&agent, path, sent, 200);
        }
        for path in VIEW {
            answers(&agent, path, sent, if who == "nobody" { 401 } else { 200 });
        }
        for path in ADMIN {
            let expected = match who {
                "admin" => 200,
                "viewer" => 403,
                _ => 401,
            };
            answers(&agent, path, sent, expected);
        }
    }
    // A viewer may know whether a site exists.
    for path in ["/api/sites/nowhere", "/sites/nowhere", "/api/hotspot/nowhere"] {
        answers(&agent, path, "", 401);
        answers(&agent, path, "Bearer view-token-01234", 404);
    }
    answers(&agent, "/api/hotspot/nowhere/active", "Bearer view-token-01234", 403);
}

#[test]
fn public_view_needs_no_token_and_people_need_the_admin() {
    let router = router(Settings::default());
    let agent = agent(&router, "view: Public, admin: Token(Plain(\"admin-token-01234\")),");
    for (sent, who) in SENT {
        for path in VIEW.into_iter().chain(OPEN) {
            answers(&agent, path, sent, 200);
        }
        for path in ADMIN {
            answers(&agent, path, sent, if who == "admin" { 200 } else { 401 });
        }
    }
}

#[test]
fn only_the_admin_sees_people() {
    let router = router(Settings::default());
    let agent = agent(
        &router,
        "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),",
    );
    let people = router.sessions();
    assert_eq!(people.len(), 23);
    let shows = |body: &str| {
        people.iter().any(|p| body.contains(&p.user) || body.contains(&p.mac) || body.contains(&p.id))
    };
    for path in VIEW {
        assert!(
            !shows(&answers(&agent, path, "Bearer view-token-01234", 200)),
            "{path}: expected no people for a viewer"
        );
    }
    for path in ADMIN.into_iter().chain(["/sites/awka"]) {
        let body = answers(&agent, path, "Bearer admin-token-01234", 200);
        for person in &people {
            assert!(body.contains(&person.user) && body.contains(&person.mac), "{path}: expected {person:?}");
        }
    }
    let page = answers(&agent, "/sites/awka", "Bearer view-token-01234", 200);
    assert!(page.contains("admin only"), "{page}");
    assert!(!page.contains("PHSWEB_ADMIN_TOKEN"), "expected no hint about an admin: {page}");
}

#[test]
fn without_an_admin_details_are_off_and_the_page_explains_how_to_enable_them() {
    let router = router(Settings::default());
    let agent = agent(&router, "");
    for sent in ["", "Bearer ", "Bearer admin-token-01234", "Bearer wrong"] {
        for path in ADMIN {
            let body = answers(&agent, path, sent, 403);
            assert!(body.contains("admin: Token("), "{path}: {body}");
        }
        let page = answers(&agent, "/sites/awka", sent, 200);
        assert!(page.contains("admin: Token(Env(") && page.contains("sites.ron"), "{page}");
        assert!(!router.sessions().iter().any(|person| page.contains(&person.user)), "{page}");
    }
}

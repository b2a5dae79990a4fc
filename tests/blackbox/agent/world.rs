//! Simulated routers in all states, and an agent that monitors them.

use std::net::{Ipv4Addr, TcpListener};

use phsweb_agent::simulator::{Fault, Router, Row, Settings};

use super::agent::{Agent, AgentBuilder, until};
use super::{router, version};
use crate::support::address::unused_address;
use crate::support::router_on_unique_host;

/// The viewer has the token `view-token-01234`, and the admin `admin-token-01234`.
pub(super) const TOKENS: &str =
    "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),";

/// A rule that fires at each site with users.
pub(super) const ALWAYS_FIRING: &str =
    "alerts: (on: [Above(figure: ActiveUsers, limit: 0, clear: 0, after: \"1s\")]),";

/// Text with special characters of HTML, JSON, terminals and logs.
const NASTY: &str = "<b>\"'&amp;\\u0041\n\0\u{202E}\u{1b}[1m{site}";

/// The routers, which run until this is dropped, and their agent.
pub(super) struct World {
    pub(super) agent: Agent,
    pub(super) slow: Router,
    pub(super) healthy: Router,
    _others: Vec<Router>,
    _silent: TcpListener,
}

/// The sites, each in another state.
pub(super) const SITES: [&str; 14] = [
    "healthy",
    "many",
    "six",
    "bare",
    "lost",
    "never",
    "connecting",
    "denied",
    "nomenu",
    "partial",
    "spare",
    "hostile",
    "odd",
    "slow",
];

fn faulty(fault: Fault) -> Router {
    let router = router(Settings::default());
    router.set_fault(Some(fault));
    router
}

/// A router with hostile values.
fn hostile() -> Router {
    let router = router(Settings { active: 1, ..Settings::default() });
    assert!(router.log_in(NASTY, Ipv4Addr::new(10, 5, 70, 1), NASTY).is_some());
    let resource = ["version", "board-name", "architecture-name", "cpu-load", "uptime"];
    router.set_rows(
        "/system/resource",
        vec![resource.iter().fold(Row::new(), |row, key| row.with(key, NASTY))],
    );
    let health = Row::new().with("name", NASTY).with("value", NASTY).with("type", "C");
    router.set_rows("/system/health", vec![health]);
    let user = Row::new().id("*1").with("name", NASTY).with("comment", NASTY).with("profile", NASTY);
    router.set_rows("/ip/hotspot/user", vec![user]);
    router
}

/// A router with few values.
fn odd() -> Router {
    let router = router(Settings::default());
    router.set_rows("/ip/hotspot/active", vec![Row::new().id("*1").with("user", "")]);
    let limits = ["limit-uptime", "limit-bytes-in", "limit-bytes-out", "limit-bytes-total"];
    let largest = Row::new().id("*2").with("name", "b").with("bytes-in", u64::MAX.to_string());
    let limited = limits.iter().fold(largest, |row, key| row.with(key, "1"));
    router.set_rows("/ip/hotspot/user", vec![Row::new().id("*1").with("name", ""), limited]);
    router.set_rows("/system/resource", vec![Row::new().with("platform", "MikroTik")]);
    router.set_rows("/system/health", Vec::new());
    router
}

/// Waits until an alert fires. Returns its identifier.
#[track_caller]
pub(super) fn firing_alert(agent: &Agent) -> String {
    until("an alert fires", || agent.json("/api/alerts")["firing"][0]["id"].as_str().map(Into::into))
}

/// Starts all routers, and waits until each site is in its state.
pub(super) fn world() -> World {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let unused_address = unused_address();
    let [healthy, slow] = [(); 2].map(|()| router(Settings::default()));
    let lost = router_on_unique_host(Settings::default());
    let six = router(version("6.49.10 (stable)"));
    let many = router(Settings { users: 600, active: 2, ..Settings::default() });
    let (hostile, odd) = (hostile(), odd());
    let [denied, nomenu, partial] = [Fault::NoPermission, Fault::NoMenu, Fault::Vanish].map(faulty);
    let agent = AgentBuilder::default()
        .http(TOKENS)
        .file(ALWAYS_FIRING)
        .defaults("refresh: \"1s\", query_timeout: \"2s\",")
        .site(
            "healthy",
            healthy.addr(),
            "name: \"<b>\\\"Well\\\"</b>\", collect: [\"hotspot\", \"resource\", \"health\", \"leases\"]",
        )
        .site("many", many.addr(), "")
        .site("six", six.addr(), "")
        .site("bare", six.addr(), "collect: [\"resource\"]")
        .site("lost", lost.addr(), "")
        .site("never", unused_address, "")
        .site("connecting", silent.local_addr().unwrap(), "query_timeout: \"5m\"")
        .site("denied", denied.addr(), "")
        .site("nomenu", nomenu.addr(), "")
        .site("partial", partial.addr(), "")
        .raw_site(
            "spare",
            &format!("hosts: [\"{unused_address}\", \"{}\"], password: Plain(\"password\")", healthy.addr()),
        )
        .site("hostile", hostile.addr(), "")
        .site("odd", odd.addr(), "")
        .site("slow", slow.addr(), "refresh: \"1h\", query_timeout: \"500ms\"")
        .start()
        .with_token("admin-token-01234");
    for site in ["healthy", "many", "six", "bare", "lost", "partial", "spare", "hostile", "odd", "slow"] {
        agent.wait_until_active(site);
    }
    drop(lost);
    for (site, cause) in
        [("lost", "refused"), ("never", "refused"), ("denied", "permission"), ("nomenu", "unsupported")]
    {
        agent.wait_for_error(site, cause);
    }
    assert_eq!(agent.stats("connecting")["lastActivity"], "Connecting");
    let others = vec![six, many, hostile, odd, denied, nomenu, partial];
    World { agent, slow, healthy, _others: others, _silent: silent }
}

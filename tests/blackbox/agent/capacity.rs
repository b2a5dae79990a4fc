//! The clock of a router, its address pools and its license: JSON, metrics and page.

use phsweb_agent::simulator::{Fault, Router, Row, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, until};
use super::router;

const ADMIN: &str = "admin: Token(Plain(\"admin-token-01234\")),";

/// Commands of one refresh of `hotspot`, `resource` and `health`.
const REFRESH: u64 = 6;

/// Commands of such a refresh while the site is live: of the hotspot only the sessions and the number of users are queried.
const LIVE_REFRESH: u64 = 4;

/// Commands of the internal plugins: five for the pools, one for the license, and a heartbeat.
const INTERNAL: u64 = 7;

fn builder() -> AgentBuilder {
    AgentBuilder::default()
        .http(ADMIN)
        .defaults("refresh: \"1h\",")
        .timing("plugin_reread", "1ms")
        .timing("refresh_reuse", "1ms")
}

fn agent(router: &Router, more: &str) -> Agent {
    let agent = builder().site("awka", router.addr(), more).start().with_token("admin-token-01234");
    agent.wait_until_active("awka");
    agent
}

/// The site's JSON once this holds.
#[track_caller]
fn site_when(agent: &Agent, site: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(&format!("{site}: {what}"), || Some(agent.json(&format!("/api/sites/{site}"))).filter(&holds))
}

#[track_caller]
fn site_with_capacity(agent: &Agent, site: &str) -> Value {
    site_when(agent, site, "its capacity is known", |site| {
        site["capacity"]["license"].is_object() && site["capacity"]["pools"].is_array()
    })
}

/// The value of a metric's only series.
fn metric(agent: &Agent, series: &str) -> Option<f64> {
    let text = agent.get("/metrics").body;
    let line = text.lines().find(|line| line.starts_with(series))?;
    line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok())
}

#[track_caller]
fn assert_is_near(found: &Value, expected_s: i64) {
    let found = found.as_i64().unwrap_or_else(|| panic!("expected {expected_s} s, got {found}"));
    assert!((found - expected_s).abs() <= 2, "expected {expected_s} s, got {found} s");
}

#[test]
fn capacity_is_in_json_metrics_and_page() {
    let router = router(Settings { utc_offset_s: 3600, ..Settings::default() });
    // Reserved in the pool, reserved outside of it, and listed as used, too.
    let lease =
        |address: &str| Row::new().with("address", address).with("dynamic", false).with("disabled", false);
    let used = router.sessions()[0].address.to_string();
    let leases = ["10.5.57.254", "192.168.88.22", &used].map(lease).to_vec();
    router.set_rows("/ip/dhcp-server/lease", leases);
    let agent = agent(&router, "");
    let site = site_with_capacity(&agent, "awka");
    // 23 users, two devices that never log in, and a reserved address, of 8 networks without their ends and the router.
    assert_eq!(
        site["capacity"],
        json!({
            "pools": [{"pool": "hs-pool-1", "used": 26, "size": 2045, "usedRatio": 0.0127}],
            "license": {"level": "4", "limit": 200, "used": 23, "usedRatio": 0.115},
            "error": null,
        })
    );
    assert_eq!(site["clock"]["utcOffsetSeconds"], 3600);
    assert_is_near(&site["clock"]["errorSeconds"], 0);
    assert_eq!(
        site["plugins"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["health", "hotspot", "resource"]
    );
    let ratio = metric(&agent, "mikrotik_hotspot_pool_used_ratio{site=\"awka\",pool=\"hs-pool-1\"}");
    assert_eq!(ratio, Some(26.0 / 2045.0));
    assert_eq!(metric(&agent, "mikrotik_license_users_used_ratio{site=\"awka\"}"), Some(0.115));
    let error = metric(&agent, "mikrotik_system_clock_error_seconds{site=\"awka\"}").unwrap();
    assert!(error.abs() <= 2.0, "{error}");
    let page = agent.page("/sites/awka");
    for text in ["Pool hs-pool-1", "used, 26 of 2045", "License level 4", "used, 23 of 200"] {
        assert!(page.contains(text), "expected {text} in {page}");
    }
    assert!(!agent.page("/").contains("hs-pool-1"), "expected no pool on a card while it has free addresses");
    assert!(!page.contains("<h2>Clock") && !page.contains("<h2>License"), "{page}");
}

#[test]
fn a_hotspot_without_a_pool_has_that_of_its_dhcp_server() {
    let router = router(Settings::default());
    let server = |interface: &str, pool: &str| {
        Row::new().with("interface", interface).with("address-pool", pool).with("disabled", false)
    };
    router.set_rows("/ip/hotspot", vec![server("bridge-hotspot", "none")]);
    let servers = vec![server("ether2", "office"), server("bridge-hotspot", "hs-pool-1")];
    router.set_rows("/ip/dhcp-server", servers);
    let agent = agent(&router, "");
    let pools = site_with_capacity(&agent, "awka")["capacity"]["pools"].clone();
    assert_eq!(
        (&pools[0]["pool"], &pools[0]["size"], &pools[1]),
        (&json!("hs-pool-1"), &json!(2045), &Value::Null)
    );
}

#[test]
fn an_exhausted_pool_and_a_wrong_clock_are_shown_for_each_version() {
    let faulty = |fault, version: &str, board: &str| {
        let version = version.parse().unwrap();
        let settings =
            Settings { version, board: board.into(), utc_offset_s: -12_600, ..Settings::default() };
        let router = router(settings);
        router.set_fault(Some(fault));
        router
    };
    let full = faulty(Fault::Pool, "6.49.10 (stable)", "RB4011iGS+");
    let slow = faulty(Fault::Clock, "6.49.10 (stable)", "hEX");
    let newer = faulty(Fault::Clock, "7.10", "CHR");
    let agent = builder()
        .site("full", full.addr(), "")
        .site("slow", slow.addr(), "")
        .site("newer", newer.addr(), "")
        .start();
    let site = site_with_capacity(&agent, "full");
    let pool = json!([{"pool": "hs-pool-1", "used": 25, "size": 25, "usedRatio": 1.0}]);
    assert_eq!(site["capacity"]["pools"], pool);
    assert_eq!(site["capacity"]["license"]["limit"], 500);
    assert_is_near(&site["clock"]["errorSeconds"], 0);
    let overview = agent.page("/");
    assert!(overview.contains("Pool hs-pool-1</bdi>: 100 % used"), "{overview}");
    assert_eq!(overview.matches("hs-pool-1").count(), 1, "{overview}");
    for key in ["slow", "newer"] {
        let site = site_with_capacity(&agent, key);
        assert_eq!(site["clock"]["utcOffsetSeconds"], -12_600, "{key}");
        assert_is_near(&site["clock"]["errorSeconds"], -7200);
    }
    let unlimited = json!({"level": "p1", "limit": null, "used": 23, "usedRatio": null});
    assert_eq!(agent.json("/api/sites/newer")["capacity"]["license"], unlimited);
    assert_eq!(metric(&agent, "mikrotik_license_users_used_ratio{site=\"newer\"}"), None);
}

#[test]
fn refused_menus_are_not_read_again_and_affect_nothing_else() {
    let router = router(Settings::default());
    for menu in ["/ip/pool", "/system/license", "/system/clock"] {
        router.remove_menu(menu);
    }
    let agent = agent(&router, "");
    let site = site_when(&agent, "awka", "its capacity is refused", |site| {
        site["capacity"]["error"].is_object() && site["clock"]["error"].is_object()
    });
    assert_eq!(site["clock"]["error"]["cause"], "unsupported");
    let clock = &site["clock"];
    assert_eq!((&clock["utcOffsetSeconds"], &clock["errorSeconds"]), (&json!(null), &json!(null)));
    let capacity = &site["capacity"];
    assert_eq!((&capacity["pools"], &capacity["license"]), (&json!(null), &json!(null)));
    assert_eq!(capacity["error"]["cause"], "unsupported");
    for plugin in site["plugins"].as_object().unwrap().values() {
        assert_eq!((&plugin["state"], &plugin["error"]), (&json!("ok"), &json!(null)), "{site}");
    }
    let stats = agent.stats("awka");
    assert_eq!(
        (&stats["activeUsers"], &stats["error"], &stats["partial"]),
        (&json!(23), &json!(null), &json!(null))
    );
    assert!(!agent.page("/sites/awka").contains("no such command"));
    assert!(!agent.running.err().contains("no such command"), "{}", agent.running.err());
    // A refresh with a token reads everything that is not refused.
    let before = router.counters().commands;
    assert_eq!(agent.post("/api/sites/awka/refresh", "").json()["refreshed"], json!(["awka"]));
    assert_eq!(agent.post("/api/sites/awka/refresh", "").status, 200);
    assert_eq!(router.counters().commands - before, 2 * LIVE_REFRESH);
}

#[test]
fn a_lacking_permission_is_forgotten_with_the_connection() {
    let router = router(Settings::default());
    let agent = agent(&router, "");
    site_with_capacity(&agent, "awka");
    let is_known = |site: &Value| site["capacity"]["pools"].is_array();
    router.set_fault(Some(Fault::NoPermission));
    assert_eq!(agent.post("/api/sites/awka/refresh", "").status, 200);
    let denied = site_when(&agent, "awka", "the pools are denied", |site| !is_known(site));
    assert_eq!(denied["capacity"]["error"]["cause"], "permission");
    router.set_fault(None);
    until("the hotspot is read again, and the pools are not", || {
        let answer = agent.post("/api/sites/awka/refresh", "");
        assert_eq!(answer.status, 200);
        let site = agent.json("/api/sites/awka");
        assert!(!is_known(&site), "{site}");
        (site["plugins"]["hotspot"]["state"] == "ok").then_some(())
    });
    router.reboot();
    site_when(&agent, "awka", "the pools are known again", is_known);
}

#[test]
fn capacity_costs_few_commands_and_is_not_read_without_a_hotspot() {
    let (with, without) = (router(Settings::default()), router(Settings::default()));
    let agent = builder()
        .site("with", with.addr(), "live: false,")
        .site("without", without.addr(), "live: false, collect: [\"resource\", \"health\"],")
        .start()
        .with_token("admin-token-01234");
    site_with_capacity(&agent, "with");
    // A login, those of the refresh, the clock, and those of the internal plugins.
    let all = |router: &Router, commands| {
        until(&format!("{commands} commands are sent"), || {
            (router.counters().commands == commands).then_some(())
        });
    };
    all(&with, 1 + REFRESH + 1 + INTERNAL);
    all(&without, 1 + 2);
    let unknown = json!({"pools": null, "license": null, "error": null});
    assert_eq!(agent.json("/api/sites/without")["capacity"], unknown);
    // The usage once it includes all commands.
    let received = || {
        until("all commands are counted", || {
            let usage = agent.json("/api/sites/with")["usage"].clone();
            (usage["commands"] == with.counters().commands).then(|| usage["receivedBytes"].as_u64().unwrap())
        })
    };
    let before = (with.counters().commands, received());
    assert_eq!(agent.post("/api/sites/with/refresh", "").status, 200);
    all(&with, before.0 + REFRESH + 1 + INTERNAL);
    let bytes = received() - before.1;
    assert!(bytes < 9000, "{bytes} bytes for a refresh with the capacity of 23 users");
}

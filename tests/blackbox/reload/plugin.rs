//! Declared plugins that a reload adds, changes and removes.

use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Router, Row, Settings};
use serde_json::json;

use super::agent::{AgentBuilder, until};
use super::reloading_agent::{ReloadingAgent, logins_and_connections};
use super::router;

const PATH: &str = "/api/sites/awka/plugins/hives";

fn given(router: &Router, plugin: Option<&str>) -> AgentBuilder {
    let collect =
        if plugin.is_some() { "collect: [\"hotspot\", \"hives\"]," } else { "collect: [\"hotspot\"]," };
    let given = AgentBuilder::default().defaults("refresh: \"1h\",").site("awka", router.addr(), collect);
    plugin.into_iter().fold(given, |given, fields| given.plugin("hives", fields))
}

fn hives(columns: &str, metrics: &str) -> String {
    format!("title: \"Bees\", menu: \"/bee/hive\", columns: [{columns}], metrics: [{metrics}]")
}

#[test]
fn a_plugin_is_added_changed_and_removed_without_a_new_login() {
    let router = router(Settings::default());
    let hive = |id: &str, kind: &str, honey: &str| {
        Row::new().id(id).with("kind-of", kind).with("honey", honey).with("queen", "ẹ̀gbẹ́")
    };
    router.set_rows("/bee/hive", vec![hive("*1", "top-bar", "12"), hive("*2", "log", "3")]);
    let agent = ReloadingAgent::start(&given(&router, None));
    agent.wait_until_active("awka");
    assert_eq!(agent.get(PATH).status, 404);

    let rows = "(name: \"bee_hives\", kind: Rows, labels: [\"kind-of\"])";
    let fields = hives("\"kind-of\", \"honey\"", rows);
    agent.save(&given(&router, Some(&fields)));
    let table = until("the plugin is read at once", || {
        let table = agent.json(PATH);
        (table["state"] == "ok").then_some(table)
    });
    assert_eq!(table["rows"], json!([["top-bar", "12"], ["log", "3"]]));
    let page = agent.page("/sites/awka");
    assert!(page.contains("<h2>Bees</h2>") && page.contains("<td><bdi>top-bar</bdi></td>"), "{page}");
    assert_eq!(agent.series("bee_hives{site=\"awka\",kind_of=\"log\"}"), Some(1.0));

    // Another column and metric: the rows of the old query are discarded.
    let honey = "(name: \"bee_honey\", kind: Gauge(\"honey\"))";
    agent.save(&given(&router, Some(&hives("\"queen\"", honey))));
    until("the new column is read", || {
        let table = agent.json(PATH);
        (table["rows"] == json!([["ẹ̀gbẹ́"], ["ẹ̀gbẹ́"]])).then_some(table)
    });
    assert_eq!(agent.series("bee_honey{site=\"awka\"}"), Some(15.0));
    assert!(!agent.get("/metrics").body.contains("bee_hives"));
    assert!(!agent.page("/sites/awka").contains("top-bar"));

    agent.save(&given(&router, None));
    assert_eq!(agent.get(PATH).status, 404);
    assert!(!agent.get("/metrics").body.contains("bee_"));
    assert!(!agent.page("/sites/awka").contains("Bees"));
    assert_eq!(logins_and_connections(&router), (1, 1));
}

/// The reply to the old query arrives after the plugin got another menu: it must not count for the new one.
#[test]
fn a_reply_to_the_old_query_is_discarded() {
    let router = router(Settings::default());
    router.set_rows("/bee/hive", vec![Row::new().id("*1").with("honey", "12")]);
    let with = |menu: &str| {
        let honey = "metrics: [(name: \"bee_honey_total\", kind: Counter(\"honey\"))]";
        given(&router, Some(&format!("menu: \"{menu}\", columns: [\"honey\"], {honey}")))
    };
    let agent = ReloadingAgent::start(&with("/no/menu"));
    agent.wait_until_active("awka");
    let state = || agent.json(PATH)["state"].clone();
    until("the plugin is unsupported", || (state() == "unsupported").then_some(()));
    router.set_latency(Duration::from_secs(2));
    let commands = router.counters().commands;
    agent.save(&with("/no/other"));
    until("the router is queried", || (router.counters().commands > commands).then_some(()));
    router.set_latency(Duration::ZERO);
    agent.save(&with("/bee/hive"));
    until("the new menu is read", || (state() == "ok").then_some(()));
    assert_eq!(agent.json(PATH)["rows"], json!([["12"]]));
    assert_eq!(
        agent.series("bee_honey_total{site=\"awka\"}"),
        Some(0.0),
        "expected the counter to start at the first read"
    );
    assert_eq!(logins_and_connections(&router), (1, 1));
}

/// Another title or column does not reset the plugin's counters.
#[test]
fn a_counter_continues_when_its_plugin_is_displayed_differently() {
    let router = router(Settings::default());
    let hive = |honey: &str| router.set_rows("/bee/hive", vec![Row::new().id("*1").with("honey", honey)]);
    let counter = "(name: \"bee_honey_total\", kind: Counter(\"honey\"))";
    hive("100");
    let admin = "admin: Token(Plain(\"admin-token-of-the-test\")),";
    let given = |router: &Router, plugin: Option<&str>| given(router, plugin).http(admin);
    let mut agent = ReloadingAgent::start(&given(&router, Some(&hives("\"honey\"", counter))));
    // Without a token, refreshes are limited.
    agent.agent = agent.agent.with_token("admin-token-of-the-test");
    agent.wait_until_active("awka");
    let sum = || agent.series("bee_honey_total{site=\"awka\"}");
    until("the counter starts", || (sum() == Some(0.0)).then_some(()));
    // The value falls, as after a reset.
    hive("5");
    until("the counter grows", || {
        assert_eq!(agent.post("/api/refresh", b"").status, 200);
        (sum() == Some(5.0)).then_some(())
    });
    agent.save(&given(&router, Some(&hives("\"honey\", \"queen\"", counter).replace("Bees", "Hives"))));
    until("the plugin is read again", || {
        (agent.json(PATH)["columns"] == json!(["honey", "queen"])).then_some(())
    });
    assert_eq!(sum(), Some(5.0));
    assert_eq!(logins_and_connections(&router), (1, 1));
}

/// One file removes the hotspot and the next adds it again while a refresh waits for its answers. They continue sessions
/// that are no longer known, and must not look like logins.
#[test]
fn a_hotspot_that_is_removed_and_added_during_a_refresh_counts_no_logins() {
    let router = router(Settings { users: 5, active: 2, ..Settings::default() });
    let with = |collect: &str| {
        AgentBuilder::default().defaults("refresh: \"2s\",").site("awka", router.addr(), collect)
    };
    let agent = ReloadingAgent::start(&with("collect: [\"resource\", \"hotspot\"],"));
    agent.wait_until_active("awka");
    router.set_latency(Duration::from_secs(4));
    let commands = router.counters().commands;
    until("the router is queried", || (router.counters().commands > commands).then_some(()));
    router.set_latency(Duration::ZERO);
    let began = Instant::now();
    agent.save(&with("collect: [\"resource\"],"));
    agent.save(&with("collect: [\"resource\", \"hotspot\"],"));
    assert!(began.elapsed() < Duration::from_secs(4), "expected the answers to be still on their way");
    let stats = agent.stats_when("awka", "the sessions are known again", |stats| stats["activeUsers"] == 2);
    assert_eq!(stats["logins"], json!(0));
}

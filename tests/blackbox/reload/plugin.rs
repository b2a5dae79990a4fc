//! A plugin of a menu that no code has heard of is there after one re-read, and gone after another.

use std::time::Duration;

use phsweb_agent::simulator::{Router, Row, Settings};
use serde_json::json;

use super::agent::{Given, until};
use super::kept::{Kept, met};
use super::router;

const PATH: &str = "/api/sites/awka/plugins/hives";

fn given(router: &Router, plugin: Option<&str>) -> Given {
    let collect =
        if plugin.is_some() { "collect: [\"hotspot\", \"hives\"]," } else { "collect: [\"hotspot\"]," };
    let given = Given::default().defaults("refresh: \"1h\",").site("awka", router.addr(), collect);
    plugin.into_iter().fold(given, |given, fields| given.plugin("hives", fields))
}

fn hives(columns: &str, metrics: &str) -> String {
    format!("title: \"Bees\", menu: \"/bee/hive\", columns: [{columns}], metrics: [{metrics}]")
}

#[test]
fn a_plugin_comes_changes_and_goes_without_a_new_login() {
    let router = router(Settings::default());
    let hive = |id: &str, kind: &str, honey: &str| {
        Row::new().id(id).with("kind-of", kind).with("honey", honey).with("queen", "ẹ̀gbẹ́")
    };
    router.set_rows("/bee/hive", vec![hive("*1", "top-bar", "12"), hive("*2", "log", "3")]);
    let kept = Kept::start(&given(&router, None));
    kept.well("awka");
    assert_eq!(kept.get(PATH).status, 404);

    let rows = "(name: \"bee_hives\", kind: Rows, labels: [\"kind-of\"])";
    let fields = hives("\"kind-of\", \"honey\"", rows);
    kept.save(&given(&router, Some(&fields)));
    let table = until("it is read at once", || {
        let table = kept.json(PATH);
        (table["state"] == "ok").then_some(table)
    });
    assert_eq!(table["rows"], json!([["top-bar", "12"], ["log", "3"]]));
    let page = kept.page("/sites/awka");
    assert!(page.contains("<h2>Bees</h2>") && page.contains("<td><bdi>top-bar</bdi></td>"), "{page}");
    assert_eq!(kept.series("bee_hives{site=\"awka\",kind_of=\"log\"}"), Some(1.0));

    // Another column, and another metric: what was read by the other question is gone with it.
    let honey = "(name: \"bee_honey\", kind: Gauge(\"honey\"))";
    kept.save(&given(&router, Some(&hives("\"queen\"", honey))));
    until("it is read in the other way", || {
        let table = kept.json(PATH);
        (table["rows"] == json!([["ẹ̀gbẹ́"], ["ẹ̀gbẹ́"]])).then_some(table)
    });
    assert_eq!(kept.series("bee_honey{site=\"awka\"}"), Some(15.0));
    assert!(!kept.get("/metrics").body.contains("bee_hives"));
    assert!(!kept.page("/sites/awka").contains("top-bar"));

    kept.save(&given(&router, None));
    assert_eq!(kept.get(PATH).status, 404);
    assert!(!kept.get("/metrics").body.contains("bee_"));
    assert!(!kept.page("/sites/awka").contains("Bees"));
    assert_eq!(met(&router), (1, 1));
}

/// Its answer is under way when the file asks for another menu in its name: that answer is not the new one's.
#[test]
fn what_was_asked_for_before_is_no_answer_to_what_is_asked_now() {
    let router = router(Settings::default());
    router.set_rows("/bee/hive", vec![Row::new().id("*1").with("honey", "12")]);
    let with = |menu: &str| {
        let honey = "metrics: [(name: \"bee_honey_total\", kind: Counter(\"honey\"))]";
        given(&router, Some(&format!("menu: \"{menu}\", columns: [\"honey\"], {honey}")))
    };
    let kept = Kept::start(&with("/no/menu"));
    kept.well("awka");
    let state = || kept.json(PATH)["state"].clone();
    until("it has no such menu", || (state() == "unsupported").then_some(()));
    router.set_latency(Duration::from_secs(2));
    let asked = router.counters().commands;
    kept.save(&with("/no/other"));
    until("it is asked for", || (router.counters().commands > asked).then_some(()));
    router.set_latency(Duration::ZERO);
    kept.save(&with("/bee/hive"));
    until("it is what it is now", || (state() == "ok").then_some(()));
    assert_eq!(kept.json(PATH)["rows"], json!([["12"]]));
    assert_eq!(kept.series("bee_honey_total{site=\"awka\"}"), Some(0.0), "it starts at the first read");
    assert_eq!(met(&router), (1, 1));
}

/// Another title, column or metric is no reason to forget what a counter has counted.
#[test]
fn a_counter_goes_on_though_its_plugin_is_shown_otherwise() {
    let router = router(Settings::default());
    let hive = |honey: &str| router.set_rows("/bee/hive", vec![Row::new().id("*1").with("honey", honey)]);
    let counter = "(name: \"bee_honey_total\", kind: Counter(\"honey\"))";
    hive("100");
    let admin = "admin: Token(Plain(\"admin-token-of-the-test\")),";
    let given = |router: &Router, plugin: Option<&str>| given(router, plugin).http(admin);
    let mut kept = Kept::start(&given(&router, Some(&hives("\"honey\"", counter))));
    // Without a token the router would not be asked.
    kept.agent = kept.agent.with_token("admin-token-of-the-test");
    kept.well("awka");
    let sum = || kept.series("bee_honey_total{site=\"awka\"}");
    until("it has begun", || (sum() == Some(0.0)).then_some(()));
    // The hive is another, or was emptied.
    hive("5");
    until("it has counted on", || {
        assert_eq!(kept.post("/api/refresh", b"").status, 200);
        (sum() == Some(5.0)).then_some(())
    });
    kept.save(&given(&router, Some(&hives("\"honey\", \"queen\"", counter).replace("Bees", "Hives"))));
    until("it is read again", || (kept.json(PATH)["columns"] == json!(["honey", "queen"])).then_some(()));
    assert_eq!(sum(), Some(5.0));
    assert_eq!(met(&router), (1, 1));
}

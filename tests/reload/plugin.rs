//! A plugin of a menu that no code has heard of is there after one re-read, and gone after another.

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
    assert!(page.contains("<h2>Bees</h2>") && page.contains("<td>top-bar</td>"), "{page}");
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

//! Sites that a reload adds, removes and changes; unchanged sites are not affected.

use std::net::Ipv4Addr;
use std::time::Duration;

use phsweb_agent::simulator::{Router, Row, Settings};
use serde_json::json;

use super::agent::{AgentBuilder, throughout, until, until_within};
use super::reloading_agent::{ReloadingAgent, logins_and_connections};
use super::router;

/// Maximum time from the change to the first figures of a new site, and to the 404 for a removed one.
const SOON: Duration = Duration::from_secs(3);

const LOGINS: &str = "mikrotik_hotspot_logins_total{site=\"awka\",server=\"hotspot1\"}";

fn given(router: &Router, fields: &str) -> AgentBuilder {
    AgentBuilder::default().site("awka", router.addr(), fields)
}

fn at(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 5, 70, n)
}

fn active(kept: &ReloadingAgent, site: &str) -> u64 {
    kept.stats(site)["activeUsers"].as_u64().unwrap()
}

#[test]
fn changes_that_need_no_new_connection_keep_the_old_one() {
    let router = router(Settings { users: 0, active: 0, ..Settings::default() });
    let given = |router: &Router, fields: &str| {
        given(router, fields).http("admin: Token(Plain(\"admin-token-of-the-test\")),")
    };
    let mut kept = ReloadingAgent::start(&given(&router, "refresh: \"1h\", query_timeout: \"500ms\""));
    // Without a token, refreshes are limited.
    kept.agent = kept.agent.with_token("admin-token-of-the-test");
    kept.wait_until_active("awka");
    until("`listen` is active", || (kept.site("awka")["plugins"]["hotspot"]["live"] == true).then_some(()));

    kept.save(&given(&router, "name: \"Awka Ọma\", refresh: \"1h\", query_timeout: \"30s\""));
    assert_eq!(kept.site("awka")["name"], "Awka Ọma");
    assert!(kept.page("/").contains("Awka Ọma"));
    router.set_latency(Duration::from_secs(1));
    let refreshed = kept.post("/api/sites/awka/refresh", "").json();
    assert_eq!(
        refreshed["refreshed"],
        json!(["awka"]),
        "expected the new query_timeout to apply: {refreshed}"
    );
    router.set_latency(Duration::ZERO);

    assert!(router.log_in("ngozi", at(1), "").is_some());
    until("the login is counted", || (active(&kept, "awka") == 1).then_some(()));
    kept.save(&given(&router, "refresh: \"1h\", live: false"));
    until("`listen` is off", || (kept.site("awka")["plugins"]["hotspot"]["live"] == false).then_some(()));
    assert!(router.log_in("ada", at(2), "").is_some());
    throughout(Duration::from_secs(1), || assert_eq!(active(&kept, "awka"), 1));
    kept.save(&given(&router, "refresh: \"1h\", live: true"));
    until("`listen` is active again", || (active(&kept, "awka") == 2).then_some(()));
    assert!(router.log_in("chi", at(3), "").is_some());
    until("the login is counted again", || (active(&kept, "awka") == 3).then_some(()));

    kept.save(&given(&router, "refresh: \"1h\", collect: [\"hotspot\", \"resource\"]"));
    assert_eq!(kept.get("/api/sites/awka/plugins/health").status, 404);
    assert!(!kept.get("/metrics").body.contains("plugin=\"health\""));
    kept.save(&given(&router, "refresh: \"1h\", collect: [\"hotspot\", \"resource\", \"health\"]"));
    until("the plugin is back", || (kept.site("awka")["plugins"]["health"]["state"] == "ok").then_some(()));

    let board = Row::new().with("uptime", "1h").with("board-name", b"\xd0\xd1".as_slice());
    router.set_rows("/system/resource", vec![board]);
    kept.save(&given(&router, "refresh: \"1h\", codepage: \"windows-1251\""));
    until("the text is decoded with that code page", || {
        (kept.json("/api/routers")["awka"]["boardName"] == "РС").then_some(())
    });

    let commands = router.counters().commands;
    kept.save(&given(&router, "refresh: \"1s\""));
    until("the site is refreshed each second", || {
        (router.counters().commands >= commands + 12).then_some(())
    });
    assert_eq!(logins_and_connections(&router), (1, 1));
    assert_eq!(kept.series(LOGINS), Some(3.0), "expected the counters to continue");
    assert_eq!(kept.series("mikrotik_api_logins_total{site=\"awka\"}"), Some(1.0));
    assert_eq!(kept.site("awka")["connections"].as_array().unwrap().len(), 1);
    assert_eq!(kept.applied_files().len(), 7, "expected one log line for each reload");
    assert!(kept.applied_files().iter().all(|line| line == "changed awka"), "{:?}", kept.applied_files());
}

#[test]
fn sites_are_added_and_removed_while_others_stay() {
    let [stays, goes, comes] = [(); 3].map(|()| router(Settings { active: 5, ..Settings::default() }));
    let kept = ReloadingAgent::start(
        &AgentBuilder::default().defaults("refresh: \"1s\",").site("stays", stays.addr(), "").site(
            "goes",
            goes.addr(),
            "name: \"Who goes\"",
        ),
    );
    kept.wait_until_active("stays");
    kept.wait_until_active("goes");
    let both = AgentBuilder::default().defaults("refresh: \"1s\",").site("stays", stays.addr(), "").site(
        "comes",
        comes.addr(),
        "",
    );
    kept.write("sites.ron", &both.text(), super::reloading_agent::WriteMethod::Renamed);
    until_within(SOON, "the new site has its figures", || {
        let answer = kept.get("/api/hotspot/comes");
        (answer.status == 200 && answer.json()["activeUsers"] == 5).then_some(())
    });
    for path in ["/sites/goes", "/api/hotspot/goes", "/api/sites/goes", "/api/sites/goes/plugins/hotspot"] {
        assert_eq!(kept.get(path).status, 404, "{path}");
    }
    assert_eq!(kept.post("/api/sites/goes/refresh", "").status, 404);
    assert!(!kept.get("/metrics").body.contains("goes"));
    assert!(!kept.page("/").contains("Who goes"));
    until("the connection of the removed site is closed", || (goes.counters().open == 0).then_some(()));
    assert_eq!(kept.config()["sites"], 2);

    // A site that returns starts without history, and the page follows the order of the file.
    let more = |order: &[&str]| {
        let routers = [("stays", &stays), ("goes", &goes), ("comes", &comes)];
        let find = |key: &&str| routers.iter().find(|(other, _)| other == key).unwrap().1.addr();
        order.iter().fold(AgentBuilder::default().defaults("refresh: \"1s\","), |given, key| {
            given.site(key, find(key), "")
        })
    };
    kept.save(&more(&["goes", "stays", "comes"]));
    assert_eq!(kept.wait_until_active("goes")["activeUsers"], 5);
    assert_eq!(kept.site("goes")["connections"].as_array().unwrap().len(), 1);
    kept.save(&more(&["comes", "stays", "goes"]));
    let page = kept.page("/");
    let places = ["comes", "stays", "goes"].map(|key| page.find(&format!("/sites/{key}")).unwrap());
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(
        [logins_and_connections(&stays), logins_and_connections(&goes), logins_and_connections(&comes)],
        [(1, 1), (2, 2), (1, 1)]
    );
    let logged = ["added comes; removed goes", "added goes", "sites reordered"];
    assert_eq!(kept.applied_files(), logged);
}

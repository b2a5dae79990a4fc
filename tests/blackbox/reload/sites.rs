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

fn active(agent: &ReloadingAgent, site: &str) -> u64 {
    agent.stats(site)["activeUsers"].as_u64().unwrap()
}

#[test]
fn changes_that_need_no_new_connection_keep_the_old_one() {
    let router = router(Settings { users: 0, active: 0, ..Settings::default() });
    let given = |router: &Router, fields: &str| {
        given(router, fields).http("admin: Token(Plain(\"admin-token-of-the-test\")),")
    };
    let mut agent = ReloadingAgent::start(&given(&router, "refresh: \"1h\", query_timeout: \"500ms\""));
    // Without a token, refreshes are limited.
    agent.agent = agent.agent.with_token("admin-token-of-the-test");
    agent.wait_until_active("awka");
    until("`listen` is active", || (agent.site("awka")["plugins"]["hotspot"]["live"] == true).then_some(()));

    agent.save(&given(&router, "name: \"Awka Ọma\", refresh: \"1h\", query_timeout: \"30s\""));
    assert_eq!(agent.site("awka")["name"], "Awka Ọma");
    assert!(agent.page("/").contains("Awka Ọma"));
    router.set_latency(Duration::from_secs(1));
    let refreshed = agent.post("/api/sites/awka/refresh", "").json();
    assert_eq!(
        refreshed["refreshed"],
        json!(["awka"]),
        "expected the new query_timeout to apply: {refreshed}"
    );
    router.set_latency(Duration::ZERO);

    assert!(router.log_in("ngozi", at(1), "").is_some());
    until("the login is counted", || (active(&agent, "awka") == 1).then_some(()));
    agent.save(&given(&router, "refresh: \"1h\", live: false"));
    until("`listen` is off", || (agent.site("awka")["plugins"]["hotspot"]["live"] == false).then_some(()));
    assert!(router.log_in("ada", at(2), "").is_some());
    throughout(Duration::from_secs(1), || assert_eq!(active(&agent, "awka"), 1));
    agent.save(&given(&router, "refresh: \"1h\", live: true"));
    until("`listen` is active again", || (active(&agent, "awka") == 2).then_some(()));
    assert!(router.log_in("chi", at(3), "").is_some());
    until("the login is counted again", || (active(&agent, "awka") == 3).then_some(()));

    agent.save(&given(&router, "refresh: \"1h\", collect: [\"hotspot\", \"resource\"]"));
    assert_eq!(agent.get("/api/sites/awka/plugins/health").status, 404);
    assert!(!agent.get("/metrics").body.contains("plugin=\"health\""));
    agent.save(&given(&router, "refresh: \"1h\", collect: [\"hotspot\", \"resource\", \"health\"]"));
    until("the plugin is back", || (agent.site("awka")["plugins"]["health"]["state"] == "ok").then_some(()));

    let board = Row::new().with("uptime", "1h").with("board-name", b"\xd0\xd1".as_slice());
    router.set_rows("/system/resource", vec![board]);
    agent.save(&given(&router, "refresh: \"1h\", codepage: \"windows-1251\""));
    until("the text is decoded with that code page", || {
        (agent.json("/api/routers")["awka"]["boardName"] == "РС").then_some(())
    });

    let commands = router.counters().commands;
    agent.save(&given(&router, "refresh: \"1s\""));
    until("the site is refreshed each second", || {
        (router.counters().commands >= commands + 12).then_some(())
    });
    assert_eq!(logins_and_connections(&router), (1, 1));
    assert_eq!(agent.series(LOGINS), Some(3.0), "expected the counters to continue");
    assert_eq!(agent.series("mikrotik_api_logins_total{site=\"awka\"}"), Some(1.0));
    assert_eq!(agent.site("awka")["connections"].as_array().unwrap().len(), 1);
    assert_eq!(agent.applied_files().len(), 7, "expected one log line for each reload");
    assert!(agent.applied_files().iter().all(|line| line == "changed awka"), "{:?}", agent.applied_files());
}

#[test]
fn sites_are_added_and_removed_while_others_stay() {
    let [stays, goes, comes] = [(); 3].map(|()| router(Settings { active: 5, ..Settings::default() }));
    let agent = ReloadingAgent::start(
        &AgentBuilder::default().defaults("refresh: \"1s\",").site("stays", stays.addr(), "").site(
            "goes",
            goes.addr(),
            "name: \"Who goes\"",
        ),
    );
    agent.wait_until_active("stays");
    agent.wait_until_active("goes");
    let both = AgentBuilder::default().defaults("refresh: \"1s\",").site("stays", stays.addr(), "").site(
        "comes",
        comes.addr(),
        "",
    );
    agent.write("sites.ron", &both.text(), super::reloading_agent::WriteMethod::Renamed);
    until_within(SOON, "the new site has its figures", || {
        let answer = agent.get("/api/hotspot/comes");
        (answer.status == 200 && answer.json()["activeUsers"] == 5).then_some(())
    });
    for path in ["/sites/goes", "/api/hotspot/goes", "/api/sites/goes", "/api/sites/goes/plugins/hotspot"] {
        assert_eq!(agent.get(path).status, 404, "{path}");
    }
    assert_eq!(agent.post("/api/sites/goes/refresh", "").status, 404);
    assert!(!agent.get("/metrics").body.contains("goes"));
    assert!(!agent.page("/").contains("Who goes"));
    until("the connection of the removed site is closed", || (goes.counters().open == 0).then_some(()));
    assert_eq!(agent.config()["sites"], 2);

    // A site that returns starts without history, and the page follows the order of the file.
    let more = |order: &[&str]| {
        let routers = [("stays", &stays), ("goes", &goes), ("comes", &comes)];
        let find = |key: &&str| routers.iter().find(|(other, _)| other == key).unwrap().1.addr();
        order.iter().fold(AgentBuilder::default().defaults("refresh: \"1s\","), |given, key| {
            given.site(key, find(key), "")
        })
    };
    agent.save(&more(&["goes", "stays", "comes"]));
    assert_eq!(agent.wait_until_active("goes")["activeUsers"], 5);
    assert_eq!(agent.site("goes")["connections"].as_array().unwrap().len(), 1);
    agent.save(&more(&["comes", "stays", "goes"]));
    let page = agent.page("/");
    let places = ["comes", "stays", "goes"].map(|key| page.find(&format!("/sites/{key}")).unwrap());
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(
        [logins_and_connections(&stays), logins_and_connections(&goes), logins_and_connections(&comes)],
        [(1, 1), (2, 2), (1, 1)]
    );
    let logged = ["added comes; removed goes", "added goes", "sites reordered"];
    assert_eq!(agent.applied_files(), logged);
}

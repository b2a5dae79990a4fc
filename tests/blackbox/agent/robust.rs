//! A failing plugin affects no other, and stale or unknown values are never shown as current.

use phsweb_agent::simulator::{Fault, Login, Policies, Router, Row, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, until};
use super::router;

fn given() -> AgentBuilder {
    AgentBuilder::default().defaults("refresh: \"1s\", query_timeout: \"1s\", connect_timeout: \"1s\",")
}

fn agent_of(router: &Router) -> Agent {
    given().site("awka", router.addr(), "").start()
}

/// Waits until a site is online. Returns it.
#[track_caller]
fn online(agent: &Agent, site: &str) -> Value {
    until("the site is online", || {
        let site = agent.json(&format!("/api/sites/{site}"));
        (site["state"] == "online").then_some(site)
    })
}

/// Messages of the router are on its card.
#[track_caller]
fn resource_and_health_are_right(agent: &Agent, site: &Value) {
    for plugin in ["resource", "health"] {
        let plugin = &site["plugins"][plugin];
        assert_eq!((&plugin["state"], &plugin["error"]), (&json!("ok"), &Value::Null), "{site}");
    }
    let router = &agent.json("/api/routers")["awka"];
    assert_eq!(
        (&router["version"], &router["boardName"], &router["cpuCount"]),
        (&json!("7.20.7"), &json!("hAP ac^2"), &json!(4)),
        "{router}"
    );
    let sensors = agent.json("/api/sites/awka/plugins/health");
    let names: Vec<&Value> = sensors["rows"].as_array().unwrap().iter().map(|row| &row[0]).collect();
    assert_eq!(names, ["voltage", "temperature"], "{sensors}");
}

#[test]
fn router_without_a_hotspot_shows_its_other_figures() {
    for missing in [&["/ip/hotspot/active"][..], &["/ip/hotspot/active", "/ip/hotspot/user"]] {
        let router = router(Settings::default());
        for menu in missing {
            router.remove_menu(menu);
        }
        let agent = agent_of(&router);
        let site = online(&agent, "awka");
        let hotspot = &site["plugins"]["hotspot"];
        assert_eq!(hotspot["state"], "unsupported", "{missing:?}: {site}");
        assert_eq!(hotspot["error"]["cause"], "unsupported", "{missing:?}: {site}");
        assert!(hotspot["fetchedAt"].is_null(), "{missing:?}: {site}");
        resource_and_health_are_right(&agent, &site);
        let stats = agent.stats("awka");
        assert_eq!((&stats["status"], &stats["activeUsers"]), (&json!("maintenance"), &json!(0)), "{stats}");
        assert_eq!(stats["routerStatus"]["version"], "7.20.7", "{stats}");
    }
}

#[test]
fn hotspot_without_user_count_is_partial() {
    let router = router(Settings::default());
    router.remove_menu("/ip/hotspot/user");
    let agent =
        given().http("admin: Token(Plain(\"admin-token-of-this-test\")),").site("awka", router.addr(), "");
    let agent = agent.start().with_token("admin-token-of-this-test");
    let stats = agent.wait_until_active("awka");
    assert_eq!((&stats["activeUsers"], &stats["totalUsers"]), (&json!(23), &json!(0)), "{stats}");
    assert!(stats["partial"].as_str().unwrap().contains("no such command"), "{stats}");
    assert!(stats["error"].is_null(), "{stats}");
    let site = agent.json("/api/sites/awka");
    let hotspot = &site["plugins"]["hotspot"];
    assert_eq!((&hotspot["state"], &hotspot["error"]), (&json!("ok"), &Value::Null), "{site}");
    assert_eq!(hotspot["partial"], stats["partial"], "{site}");
    resource_and_health_are_right(&agent, &site);
    let page = agent.page("/");
    assert!(page.contains("Some figures are incomplete: "), "{page}");
    assert!(
        page.contains("<dd>23</dd>") && !page.contains("configured"),
        "expected no 0 for an unknown count: {page}"
    );
}

/// The names of the fields of an object.
fn names(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

#[test]
fn missing_read_policy_affects_only_that_site() {
    let login =
        Login { policies: Policies { read: false, ..Policies::ALL }, ..Login::new("api-user", "password") };
    let blind = router(Settings { logins: vec![login], ..Settings::default() });
    let healthy = router(Settings::default());
    let agent = given().site("blind", blind.addr(), "").site("healthy", healthy.addr(), "").start();
    let other = agent.wait_until_active("healthy");
    let site = online(&agent, "blind");
    for (name, plugin) in site["plugins"].as_object().unwrap() {
        assert_eq!(plugin["state"], "denied", "{name}: {site}");
        assert_eq!(plugin["error"]["cause"], "permission", "{name}: {site}");
        assert!(plugin["error"]["hint"].as_str().unwrap().contains("policy=api,read"), "{name}: {site}");
    }
    let stats = agent.stats("blind");
    assert_eq!((&stats["status"], &stats["error"]["cause"]), (&json!("maintenance"), &json!("permission")));
    assert_eq!(stats["routerStatus"]["isOnline"], true, "{stats}");
    assert_eq!(names(&stats), names(&other));
    assert_eq!(names(&stats["routerStatus"]), names(&other["routerStatus"]));
    let sites = agent.json("/api/sites");
    assert_eq!(names(&sites["blind"]), names(&sites["healthy"]));
    assert_eq!(names(&sites["blind"]["plugins"]), names(&sites["healthy"]["plugins"]));
    for plugin in sites["healthy"]["plugins"].as_object().unwrap().values() {
        assert_eq!(plugin["state"], "ok", "{sites}");
    }
    assert_eq!(other["activeUsers"], 23, "{other}");
    let routers = agent.json("/api/routers");
    assert_eq!(names(&routers["blind"]), names(&routers["healthy"]));
    assert!(routers["blind"]["version"].is_null() && routers["blind"]["isOnline"] == true, "{routers}");
}

#[test]
fn site_without_plugins_detects_a_dead_connection() {
    let router = router(Settings::default());
    let missing = "menu: \"/test/no-such\", columns: [\"name\"]";
    let agent =
        given().plugin("missing", missing).site("awka", router.addr(), "collect: [\"missing\"]").start();
    let site = online(&agent, "awka");
    assert_eq!(site["plugins"]["missing"]["state"], "unsupported", "{site}");
    let commands = router.counters().commands;
    until("the router is queried again", || (router.counters().commands >= commands + 2).then_some(()));
    assert_eq!(router.counters().logins, 1, "expected one connection");
    router.set_fault(Some(Fault::HalfOpen));
    let stats = agent.wait_for_error("awka", "query_timeout");
    assert_eq!(
        (&stats["status"], &stats["routerStatus"]["isOnline"]),
        (&json!("maintenance"), &json!(false))
    );
    let site = agent.json("/api/sites/awka");
    assert_eq!(site["state"], "offline", "{site}");
    let events = site["connections"].as_array().unwrap();
    let causes: Vec<&Value> = events.iter().map(|event| &event["error"]["cause"]).collect();
    assert_eq!(causes, [&Value::Null, &json!("query_timeout")], "{site}");
    let lost = events[1]["error"]["message"].as_str().unwrap();
    assert!(lost.contains("no answer to /system/resource/print"), "{site}");
    router.set_fault(None);
    agent.wait_until_active("awka");
    assert_eq!(online(&agent, "awka")["plugins"]["missing"]["state"], "unsupported");
}

const ADMIN: &str = "admin: Token(Plain(\"admin-token-01234\")),";

#[test]
fn unknown_sessions_are_a_503_and_stale_ones_have_an_age() {
    let never = router(Settings::default());
    never.set_fault(Some(Fault::Stall));
    let awka = router(Settings::default());
    let agent = AgentBuilder::default()
        .http(ADMIN)
        .defaults("refresh: \"1s\", query_timeout: \"3s\",")
        .site("never", never.addr(), "name: \"Never Seen\"")
        .site("awka", awka.addr(), "")
        .start()
        .with_token("admin-token-01234");
    let not_known = |why: &str| {
        let answer = agent.get("/api/hotspot/never/active");
        assert_eq!((answer.status, answer.field("Content-Type")), (503, "application/problem+json"));
        assert_eq!(answer.json()["status"], 503);
        assert!(answer.json()["detail"].as_str().unwrap().contains(why), "{why}: {answer:?}");
    };
    not_known("not been queried yet");
    let waiting = agent.ask("GET", "/readyz", &[("Authorization", "")]);
    assert_eq!((waiting.status, waiting.field("Content-Type")), (503, "application/problem+json"));
    assert!(waiting.body.contains(" of 2 sites"), "{waiting:?}");
    for name in ["never", "Never", "awka", &never.addr().to_string()] {
        assert!(!waiting.body.contains(name), "expected no {name} without a token: {waiting:?}");
    }
    agent.wait_for_error("never", "query_timeout");
    not_known("no answer to /login");

    agent.wait_until_active("awka");
    let people = awka.sessions();
    awka.set_fault(Some(Fault::Refuse));
    awka.reboot();
    agent.wait_for_error("awka", "closed");
    let last = || agent.json("/api/hotspot/awka/active");
    let ages = |sessions: &Value| -> Vec<u64> {
        sessions.as_array().unwrap().iter().map(|session| session["ageSeconds"].as_u64().unwrap()).collect()
    };
    let first = last();
    assert_eq!(ages(&first).len(), 23);
    let age = ages(&first)[0];
    let later = until("the figures are older", || (ages(&last())[0] >= age + 2).then(last));
    for (session, person) in later.as_array().unwrap().iter().zip(&people) {
        assert_eq!((&session["user"], &session["mac"]), (&json!(person.user), &json!(person.mac)));
        assert!(session["ageSeconds"].as_u64().unwrap() >= age + 2, "{session}");
        assert_eq!(session["fetchedAt"], first[0]["fetchedAt"], "{session}");
    }
}

#[test]
fn sensor_without_a_value_is_omitted() {
    let router = router(Settings::default());
    let fan = Row::new().with("name", "fan1-speed").with("type", "RPM");
    let heat = Row::new().with("name", "cpu-temperature").with("value", "51").with("type", "C");
    router.set_rows("/system/health", vec![fan, heat]);
    let agent = agent_of(&router);
    agent.wait_until_active("awka");
    let table = agent.json("/api/sites/awka/plugins/health");
    assert_eq!(table["rows"], json!([["cpu-temperature", "51", "°C"]]), "{table}");
    let page = agent.page("/sites/awka");
    assert!(page.contains("cpu-temperature") && !page.contains("fan1-speed"), "{page}");
}

/// The figure of this name in the first list of them that has it.
fn figure<'p>(html: &'p str, name: &str) -> &'p str {
    let rest = html
        .split(&format!("<dt>{name}</dt><dd>"))
        .nth(1)
        .unwrap_or_else(|| panic!("expected {name} in {html}"));
    rest.split("</dd>").next().unwrap()
}

#[test]
fn vanished_hotspot_shows_its_age_and_leaves_totals() {
    let gone = router(Settings::default());
    let healthy = router(Settings { active: 5, users: 20, ..Settings::default() });
    let agent = given().site("gone", gone.addr(), "").site("healthy", healthy.addr(), "").start();
    for site in ["gone", "healthy"] {
        agent.wait_until_active(site);
    }
    let page = agent.page("/");
    assert_eq!(figure(&page, "Users online"), "28", "{page}");
    assert!(!page.contains("Figures from"), "{page}");

    gone.remove_menu("/ip/hotspot/active");
    gone.remove_menu("/ip/hotspot/user");
    let stats = agent.wait_for_error("gone", "unsupported");
    assert_eq!((&stats["status"], &stats["activeUsers"]), (&json!("maintenance"), &json!(0)), "{stats}");
    assert_eq!(stats["lastKnown"]["activeUsers"], 23, "{stats}");
    let age = || agent.stats("gone")["lastKnown"]["ageSeconds"].as_u64();
    until("the last figures are two seconds old", || (age()? >= 2).then_some(()));
    let page = agent.page("/");
    assert_eq!(figure(&page, "Users online"), "5", "{page}");
    let card = page.split("id=\"site-gone\"").nth(1).unwrap().split("</li>").next().unwrap();
    assert!(card.contains("Online") && card.contains("Figures from"), "{card}");
    assert!(figure(card, "Users online").starts_with("23"), "{card}");
    let other = page.split("id=\"site-healthy\"").nth(1).unwrap().split("</li>").next().unwrap();
    assert!(!other.contains("Figures from"), "{other}");
    let site = agent.json("/api/sites/gone");
    assert_eq!(
        (&site["state"], &site["plugins"]["hotspot"]["state"]),
        (&json!("online"), &json!("unsupported"))
    );
    assert_eq!(site["plugins"]["resource"]["state"], "ok", "{site}");
}

//! The history of figures: JSON, CSV, availability and badges.

use std::net::Ipv4Addr;
use std::time::SystemTime;

use phsweb_agent::simulator::{Router, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, Answer, until};
use super::router;
use crate::support::reloading_agent::ReloadingAgent;
use crate::support::router_on_unique_host;

const HISTORY: &str = "/api/sites/awka/history";

/// The latest known value of a series.
fn latest(history: &Value, series: &str, value: &str) -> Option<f64> {
    let values = history["series"][series][value].as_array().unwrap();
    values.iter().rev().find_map(Value::as_f64)
}

/// Waits until the history has users.
fn wait_for_users(agent: &Agent) {
    agent.wait_until_active("awka");
    until("the history has users", || latest(&agent.json(HISTORY), "users", "max"));
}

fn unix_s(date: &Value) -> u64 {
    let date = humantime::parse_rfc3339(date.as_str().unwrap()).unwrap();
    date.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn figures_are_recorded_in_the_finest_step_that_covers_the_range() {
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let router = router(Settings::default());
    let agent = AgentBuilder::default().defaults("refresh: \"1s\",").site("awka", router.addr(), "").start();
    wait_for_users(&agent);
    until("the second read has a rate", || {
        let history = agent.json(HISTORY);
        latest(&history, "upload", "avg").zip(latest(&history, "download", "avg"))
    });
    for (range, step, count) in [
        ("1h", 60_u64, 60),
        ("3h", 60, 180),
        ("3h 1m", 300, 37),
        ("24h", 300, 288),
        ("48h", 300, 576),
        ("7days", 3600, 168),
        ("35d", 3600, 840),
        ("36d", 86_400, 36),
        ("400days", 86_400, 400),
    ] {
        let range = range.replace(' ', "%20");
        let history = agent.json(&format!("{HISTORY}?series=users,reachable,cpu&range={range}"));
        assert_eq!(history["step"], step, "{range}");
        let names: Vec<&String> = history["series"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["cpu", "reachable", "users"]);
        for value in ["avg", "min", "max"] {
            assert_eq!(history["series"]["users"][value].as_array().unwrap().len(), count, "{range}");
        }
        assert_eq!(latest(&history, "users", "max"), Some(23.0), "{range}");
        assert_eq!(latest(&history, "reachable", "avg"), Some(1.0), "{range}");
        let (from, step, count) = (unix_s(&history["from"]), step, count as u64);
        assert!(
            from % step == 0 && from + count * step > began && from + (count - 1) * step <= began + 60,
            "{history}"
        );
        // Before the start nothing is known.
        let users = history["series"]["users"]["avg"].as_array().unwrap();
        assert!(users.iter().filter(|value| !value.is_null()).count() <= 2, "{users:?}");
        assert_eq!(history["marks"][0]["what"], "agent_start", "{history}");
    }
    let all = agent.json(HISTORY);
    assert_eq!(all["series"].as_object().unwrap().len(), 7);
    let reaches =
        all["reaches"].as_array().unwrap().iter().map(|reach| reach["seconds"].as_u64().unwrap() / 3600);
    assert!(reaches.eq([3, 48, 35 * 24, 400 * 24]), "{all}");
    assert_eq!(latest(&all, "logins", "avg"), Some(0.0));
}

#[test]
fn an_outage_has_a_mark_and_lowers_the_availability() {
    let first = router_on_unique_host(Settings::default());
    let address = first.addr();
    let agent = AgentBuilder::default()
        .defaults("refresh: \"1s\",")
        .site("awka", address, "name: \"A<w>&ka\"")
        .start();
    wait_for_users(&agent);
    let badge = agent.get("/badge/awka.svg?range=24h");
    assert_eq!((badge.status, badge.field("Content-Type")), (200, "image/svg+xml"));
    assert_eq!(badge.field("Cross-Origin-Resource-Policy"), "cross-origin");
    assert!(
        badge.body.contains("<title>A&lt;w&gt;&amp;ka: availability 100 % in the last 1 day</title>"),
        "{badge:?}"
    );
    assert!(badge.body.contains("role=\"img\""), "{badge:?}");
    drop(first);
    agent.wait_for_error("awka", "refused");
    let marks = |history: &Value| -> Vec<Value> {
        let marks = history["marks"].as_array().unwrap().iter();
        marks.filter(|mark| mark["what"] == "offline").cloned().collect()
    };
    until("the outage is marked", || {
        let marks = marks(&agent.json(HISTORY));
        (marks.len() == 1 && marks[0]["until"].is_null()).then_some(())
    });
    let _second = Router::start(address, Settings::default()).unwrap();
    let offline = until("the outage has ended", || {
        let history = agent.json(HISTORY);
        let marks = marks(&history);
        let is_over = marks.len() == 1 && marks[0]["until"].is_string();
        (is_over && latest(&history, "reachable", "min") == Some(0.0)).then_some(history)
    });
    let avg = latest(&offline, "reachable", "avg").unwrap();
    assert!(avg > 0.0 && avg < 1.0, "{offline}");
    let availability = agent.json("/api/sites/awka/availability");
    for range in ["24h", "7d", "30d", "90d"] {
        let [share, coverage] = ["share", "coverage"].map(|name| availability[range][name].as_f64().unwrap());
        assert!(share > 0.0 && share < 1.0, "{range}: {availability}");
        assert!(coverage > 0.0 && coverage < 0.01, "{range}: {availability}");
    }
    let badge = agent.get("/badge/awka.svg").body;
    assert!(!badge.contains("100 %") && badge.contains(" in the last 30 days"), "{badge}");
}

#[test]
fn csv_has_a_row_for_each_step() {
    let router = router(Settings::default());
    let agent = AgentBuilder::default().defaults("refresh: \"1s\",").site("awka", router.addr(), "").start();
    wait_for_users(&agent);
    let path = format!("{HISTORY}?series=logins,users&range=1h");
    let by_format = agent.get(&format!("{path}&format=csv"));
    let by_accept = agent.ask("GET", &path, &[("Accept", "text/csv;q=0.9, */*;q=0.1")]);
    for answer in [by_format, by_accept] {
        assert_eq!(
            (answer.status, answer.field("Content-Type")),
            (200, "text/csv; charset=utf-8; header=present")
        );
        let rows: Vec<Vec<&str>> =
            answer.body.split_terminator("\r\n").map(|row| row.split(',').collect()).collect();
        assert_eq!(rows.len(), 61, "{answer:?}");
        assert_eq!(rows[0], ["time", "users_avg", "users_min", "users_max", "logins"]);
        assert!(rows.iter().all(|row| row.len() == 5), "{answer:?}");
        let dates: Vec<u64> = rows[1..].iter().map(|row| unix_s(&json!(row[0]))).collect();
        assert!(dates.windows(2).all(|pair| pair[1] == pair[0] + 60), "{answer:?}");
        assert_eq!(rows[1][1..], ["", "", "", ""], "unknown values are empty");
        assert!(rows.iter().any(|row| row[3] == "23"), "{answer:?}");
    }
    let json = agent.ask("GET", &format!("{path}&format=json"), &[("Accept", "text/csv")]);
    assert_eq!(json.field("Content-Type"), "application/json");
}

#[test]
fn wrong_parameters_are_named_with_what_was_expected() {
    let router = router(Settings::default());
    let agent = AgentBuilder::default().site("awka", router.addr(), "").start();
    for (target, status, expected) in [
        (
            "/api/sites/awka/history?range=59m",
            400,
            "range: found \"59m\"; expected a duration from 1h to 400days, such as 24h.",
        ),
        ("/api/sites/awka/history?range=401days", 400, "range: found "),
        ("/api/sites/awka/history?range=x", 400, "range: found "),
        ("/badge/awka.svg?range=-1h", 400, "range: found "),
        (
            "/api/sites/awka/history?series=users,cup",
            400,
            "series: found \"users,cup\"; expected names from users, logins, upload, download, cpu, memory, reachable, separated by commas.",
        ),
        ("/api/sites/awka/history?series=,", 400, "series: found "),
        ("/api/sites/awka/history?format=xml", 400, "format: found \"xml\"; expected json or csv."),
        ("/api/sites/nowhere/history", 404, "The site does not exist."),
        ("/api/sites/nowhere/availability", 404, "The site does not exist."),
        ("/badge/nowhere.svg", 404, "The site does not exist."),
        ("/badge/awka.png", 404, "There is nothing at this path."),
    ] {
        let answer = agent.get(target);
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        if status == 400 {
            assert_eq!(answer.field("Content-Type"), "application/problem+json", "{target}");
        }
        assert!(answer.json()["detail"].as_str().unwrap().starts_with(expected), "{target}: {answer:?}");
    }
}

#[test]
fn the_entity_tag_changes_with_the_history() {
    let router = router(Settings::default());
    let agent = AgentBuilder::default().defaults("refresh: \"1h\",").site("awka", router.addr(), "").start();
    agent.wait_until_active("awka");
    let get = |tag: &str| agent.ask("GET", HISTORY, &[("If-None-Match", tag)]);
    let unchanged = until("nothing happens", || {
        let tag = agent.get(HISTORY).field("ETag").to_string();
        (get(&tag).status == 304).then_some(tag)
    });
    let changed: Answer = {
        router.log_in("ngozi", Ipv4Addr::new(10, 5, 70, 1), "").unwrap();
        until("the login is in the history", || {
            let answer = get(&unchanged);
            let is_counted = answer.status == 200 && latest(&answer.json(), "logins", "max") == Some(1.0);
            is_counted.then_some(answer)
        })
    };
    assert_ne!(changed.field("ETag"), unchanged);
    let csv = agent.ask("GET", HISTORY, &[("Accept", "text/csv"), ("If-None-Match", changed.field("ETag"))]);
    assert_eq!(csv.status, 200, "another type has another tag");
}

#[test]
fn the_history_survives_a_reload_and_ends_with_its_site() {
    let router = router(Settings::default());
    let given = |memory: &str, key: &str| {
        AgentBuilder::default().defaults("refresh: \"1s\",").site(key, router.addr(), memory)
    };
    let agent = ReloadingAgent::start(&given("", "awka"));
    agent.wait_until_active("awka");
    let start = |agent: &Agent, key: &str| {
        let history = agent.get(&format!("/api/sites/{key}/history"));
        (history.status == 200).then(|| history.json()["marks"][0]["at"].clone())
    };
    let first = until("the history has users", || {
        latest(&agent.json(HISTORY), "users", "max")?;
        start(&agent, "awka")
    });
    agent.save(&given("name: \"Other\"", "awka"));
    assert_eq!(start(&agent, "awka"), Some(first));
    assert_eq!(latest(&agent.json(HISTORY), "users", "max"), Some(23.0));
    agent.save(&given("", "other"));
    until("the old site is gone", || (start(&agent, "awka").is_none()).then_some(()));
    until("the new one has users", || latest(&agent.json("/api/sites/other/history"), "users", "max"));
}

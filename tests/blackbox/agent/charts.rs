//! The charts on the pages, which show the values of the history.

use phsweb_agent::simulator::Settings;
use serde_json::Value;

use super::agent::{Agent, AgentBuilder, until};
use super::router;

/// The parts of a text between a start and the next end.
fn parts<'t>(text: &'t str, start: &str, end: &str) -> Vec<&'t str> {
    text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

/// The known averages of a series.
fn averages(history: &Value, series: &str) -> Vec<f64> {
    let values = history["series"][series]["avg"].as_array().unwrap();
    values.iter().filter_map(Value::as_f64).collect()
}

#[test]
fn a_site_shows_charts_and_a_table_with_the_values_of_the_history() {
    let router = router(Settings { active: 23, ..Settings::default() });
    let agent = AgentBuilder::default().site("awka", router.addr(), "").start();
    agent.wait_until_active("awka");
    until("page and JSON have the same users", || {
        // A minute may begin between the two.
        let page = agent.page("/sites/awka?range=3h");
        let users = averages(&agent.json("/api/sites/awka/history?range=3h&series=users"), "users");
        let (_, figure) = page.split_once("data-key=\"chart-users\"")?;
        let drawn = parts(figure, "data-values=\"", "\"")[0];
        let drawn: Vec<f64> =
            drawn.split(',').filter(|text| !text.is_empty()).map(|text| text.parse().unwrap()).collect();
        let (_, table) = page.split_once("<details class=\"values\">")?;
        let rows = parts(table, "<th scope=\"row\">", "</tr>");
        let first_cell = parts(rows.first()?, "<td>", "</td>")[0];
        (drawn == users && first_cell == "23").then_some(())
    });
    let page = agent.page("/sites/awka?range=3h");
    assert!(page.contains("<strong>Users online</strong> <small><span>latest 23, peak 23 at "), "{page}");
    let availability = agent.json("/api/sites/awka/availability");
    assert_eq!(availability["24h"]["share"], 1.0);
    assert_eq!(parts(&page, "<dt>24 hours</dt><dd>", " <")[0], "100 %");
    assert!(!page.contains("<h3 id=\"busy\">"), "some seconds are not a busy hour: {page}");
}

#[test]
fn a_range_keeps_the_query_of_the_sessions_and_the_reverse() {
    let agent = Agent::demo(&["--sites", "1"]);
    agent.wait_until_active("awka");
    let page = agent.page("/sites/awka?range=35d&sort=upload&order=desc&q=0803");
    let links = parts(&page, "<a href=\"", "\"");
    let has = |link: &str| assert!(links.contains(&link), "expected {link} in {links:?}");
    has("?sort=upload&#38;order=desc&#38;range=3h&#38;q=0803#history");
    // The default.
    has("?sort=upload&#38;order=desc&#38;q=0803#history");
    assert!(page.contains(
        "?sort=upload&#38;order=desc&#38;range=35d&#38;q=0803#history\" aria-current=\"true\">35 d<"
    ));
}

#[test]
fn a_demo_starts_with_a_day_of_history() {
    let agent = Agent::demo(&[]);
    for key in ["awka", "lagos", "abuja"] {
        let history = agent.json(&format!("/api/sites/{key}/history?range=24h&series=users,reachable"));
        let known = averages(&history, "users").len();
        assert!((250..=288).contains(&known), "{key}: {known} of 288 slots are known");
        let kinds: Vec<&str> =
            history["marks"].as_array().unwrap().iter().map(|mark| mark["what"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"offline") && kinds.contains(&"reboot"), "{key}: {kinds:?}");
        agent.wait_until_active(key);
        let page = agent.page(&format!("/sites/{key}"));
        for part in
            ["<title>Offline ", "<title>Router rebooted ", "data-key=\"chart-memory\"", "<li>Offline "]
        {
            assert!(page.contains(part), "{key}: expected {part} in {page}");
        }
    }
    let sparks = parts(&agent.page("/"), "<svg class=\"spark\"", "</svg>").len();
    assert_eq!(sparks, 3);
}

#[test]
fn thirty_sites_have_an_overview_of_at_most_60_kb() {
    let agent = Agent::demo(&["--sites", "30"]);
    let page = until("all sites have figures", || {
        let page = agent.page("/");
        (page.matches("<svg class=\"spark\"").count() == 30).then_some(page)
    });
    assert!(page.len() <= 60_000, "{} bytes", page.len());
}

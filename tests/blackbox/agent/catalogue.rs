//! The catalogue of plugins against simulated routers.

use std::collections::BTreeMap;

use phsweb_agent::plugin::Declaration;
use phsweb_agent::plugin::declared::{Measure, Metric, label_name};
use phsweb_agent::simulator::Row;
use serde_json::{Value, json};

use super::agent::{Agent, until};
use super::shipped::{Shipped, catalogue};

/// Entries that a site's router has no menu for.
const UNSUPPORTED: [(&str, &str); 3] = [("awka", "wireless"), ("lagos", "wifi"), ("abuja", "wifi")];

/// Columns that are empty with a site's router in every row: watched hosts have no `type` before 7.4.
const EMPTY: [(&str, &str, &str); 2] = [("lagos", "netwatch", "type"), ("abuja", "netwatch", "type")];

/// Public entries: all others are about people.
const PUBLIC: [&str; 4] = ["interfaces", "dhcp-servers", "netwatch", "routerboard"];

fn table(agent: &Agent, site: &str, plugin: &str) -> Value {
    agent.json(&format!("/api/sites/{site}/plugins/{plugin}"))
}

/// The cells of a row that are not empty.
type Cells<'t> = BTreeMap<&'t str, Option<&'t str>>;

fn rows(table: &Value) -> Vec<Cells<'_>> {
    let mut rows = Vec::new();
    for row in table["rows"].as_array().unwrap() {
        let cells = row.as_array().unwrap().iter().map(|cell| cell.as_str().filter(|text| !text.is_empty()));
        rows.push(table["columns"].as_array().unwrap().iter().filter_map(Value::as_str).zip(cells).collect());
    }
    rows
}

/// The series of a metric at a site, by their labels in a scrape.
fn series(scrape: &str, site: &str, metric: &str) -> BTreeMap<String, f64> {
    let start = format!("{metric}{{site=\"{site}\"");
    let lines = scrape.lines().filter_map(|line| line.strip_prefix(&start)?.rsplit_once(' '));
    lines.map(|(labels, value)| (labels.to_string(), value.parse().unwrap())).collect()
}

/// The expected series for these rows. Each label and measured property is a column, too.
fn expected(metric: &Metric, rows: &[Cells]) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    for row in rows {
        let label = |label: &String| {
            let value = row[label.as_str()].unwrap_or_default();
            format!(",{}=\"{value}\"", label_name(label))
        };
        let labels: String = metric.labels.iter().map(label).collect::<String>() + "}";
        let value = match metric.measure.column() {
            None => 1.0,
            Some(column) => match row[column] {
                Some("true") => 1.0,
                Some("false") => 0.0,
                text => {
                    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{column}: {row:?}"))
                }
            },
        };
        *series.entry(labels).or_default() += value;
    }
    series
}

#[test]
fn each_entry_has_rows_and_metrics_in_every_version_with_its_menu() {
    let shipped = Shipped::start(|_| {});
    let agent = &shipped.agent;
    for (site, router) in shipped.sites() {
        for plugin in catalogue() {
            let name = plugin.name.as_str();
            let known = &agent.json(&format!("/api/sites/{site}"))["plugins"][name];
            if UNSUPPORTED.contains(&(site, name)) {
                assert_eq!(known["state"], "unsupported", "{site}: {known}");
                let scrape = agent.get("/metrics").body;
                for metric in &plugin.metrics {
                    assert_eq!(series(&scrape, site, &metric.name).len(), 0, "{site}: {}", metric.name);
                }
                continue;
            }
            assert_eq!((&known["state"], &known["partial"]), (&json!("ok"), &Value::Null), "{site}: {known}");
            check(agent, site, &plugin);
        }
        assert_eq!(router.counters().logins, 1, "{site}");
    }
}

/// Checks that each column has values, and that the metrics match the rows.
#[track_caller]
fn check(agent: &Agent, site: &str, plugin: &Declaration) {
    let name = plugin.name.as_str();
    // The plugin may be read again between the two requests.
    let (table, scrape) = until("the table and the scrape are from the same reading", || {
        let read = table(agent, site, name);
        let scrape = agent.get("/metrics").body;
        (table(agent, site, name)["at"] == read["at"]).then_some((read, scrape))
    });
    let rows = rows(&table);
    assert!(!rows.is_empty(), "{site}: {name}");
    for column in plugin.column_names() {
        let is_filled = rows.iter().any(|row| row[column.as_str()].is_some());
        let is_empty = EMPTY.contains(&(site, name, &column));
        assert_eq!(is_filled, !is_empty, "{site}: {column} of {name}: {table}");
    }
    for metric in &plugin.metrics {
        let series = series(&scrape, site, &metric.name);
        let expected = expected(metric, &rows);
        let is_total = metric.name.ends_with("_total");
        assert_eq!(is_total, matches!(metric.measure, Measure::Counter(_)), "{}", metric.name);
        assert!(expected.values().any(|value| *value > 0.0), "{site}: {}: {expected:?}", metric.name);
        if is_total {
            // A counter starts at 0 at the first read, so it is at most what the router has counted.
            assert!(series.keys().eq(expected.keys()), "{site}: {}: {series:?}", metric.name);
            for (labels, value) in &series {
                assert!((0.0..=expected[labels]).contains(value), "{site}: {}{labels} {value}", metric.name);
            }
        } else {
            assert_eq!(series, expected, "{site}: {}", metric.name);
        }
    }
}

#[test]
fn rows_about_people_are_denied_to_a_viewer() {
    let shipped = Shipped::start(|_| {});
    let viewer = [("Authorization", "")];
    for plugin in catalogue() {
        let path = format!("/api/sites/awka/plugins/{}", plugin.name);
        let status = if PUBLIC.contains(&plugin.name.as_str()) { 200 } else { 401 };
        assert_eq!(shipped.agent.ask("GET", &path, &viewer).status, status, "{path}");
    }
    let public: Vec<String> =
        ["/api/sites/awka/plugins/interfaces", "/api/sites/awka/plugins/netwatch", "/metrics", "/sites/awka"]
            .map(|path| shipped.agent.ask("GET", path, &viewer).body)
            .into();
    for session in table(&shipped.agent, "awka", "ppp")["rows"].as_array().unwrap() {
        let name = session[0].as_str().unwrap();
        assert!(!public.iter().any(|text| text.contains(name)), "expected no {name} in {public:?}");
    }
}

#[test]
fn hotspot_log_shows_only_logins_and_logouts() {
    let shipped = Shipped::start(|router| {
        router.log_in("anna", [10, 5, 99, 7].into(), "02:00:00:00:00:07").unwrap();
    });
    for (site, _) in shipped.sites() {
        let table = table(&shipped.agent, site, "hotspot-log");
        let messages: Vec<&str> = rows(&table).iter().filter_map(|row| row["message"]).collect();
        for line in ["anna (10.5.99.7): trying to log in by http-chap", "anna (10.5.99.7): logged in"] {
            assert!(messages.contains(&line), "{site}: expected {line:?} in {messages:?}");
        }
        assert!(messages.iter().all(|line| line.contains(" log")), "{site}: {messages:?}");
    }
}

#[test]
fn unbound_leases_and_disabled_netwatch_hosts_are_omitted() {
    let shipped = Shipped::start(|router| {
        let host = |host: &str| Row::new().with("host", host).with("status", "up");
        // A flag that is not set may be absent.
        let rows = vec![host("192.0.2.7").with("disabled", true), host("192.0.2.8"), host("192.0.2.9")];
        router.set_rows("/tool/netwatch", rows);
    });
    for (site, _) in shipped.sites() {
        let table_of = |plugin| table(&shipped.agent, site, plugin);
        let (watched, leases) = (table_of("netwatch"), table_of("leases"));
        let hosts: Vec<_> = rows(&watched).iter().filter_map(|row| row["host"]).collect();
        assert_eq!(hosts, ["192.0.2.8", "192.0.2.9"], "{site}");
        assert!(rows(&leases).iter().all(|row| row["expires-after"].is_some()), "{site}: {leases}");
    }
}

#[test]
fn plugin_document_lists_every_entry() {
    let lines: Vec<&str> = include_str!("../../../docs/plugins.md").lines().collect();
    let start =
        lines.iter().position(|line| line.starts_with("| in `collect` | menu |")).expect("expected a table");
    let listed: Vec<&str> =
        lines[start + 2..].iter().take_while(|line| line.starts_with('|')).copied().collect();
    let catalogue = catalogue();
    for plugin in &catalogue {
        let begin = format!("| `{}` | `{}` |", plugin.name, plugin.menu);
        let line = listed.iter().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("{begin}"));
        for metric in &plugin.metrics {
            assert!(line.contains(&format!("`{}`", metric.name)), "{} in {line}", metric.name);
        }
        assert_eq!(line.contains("; private |"), plugin.private, "{line}");
    }
    assert_eq!(listed.len(), catalogue.len(), "{listed:?}");
}

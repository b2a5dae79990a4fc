//! The rules of declared plugins and the messages about violations.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::{Config, parse};

/// A valid plugin.
const LEASES: &str = r#""leases": (menu: "/ip/dhcp-server/lease", columns: ["address"])"#;

fn parse_file(plugins: &str, collect: &str) -> Result<Config, String> {
    let text = format!(
        "(sites: {{\"a\": (hosts: [\"r\"], user: \"u\", password: Plain(\"\"), collect: [{collect}])}},\nplugins: {{\n{plugins}\n}})"
    );
    parse(Path::new("f"), &text, &|_| None).map_err(|problems| problems.to_string())
}

/// The first lines of the problems of a plugin with these fields, from their places on.
fn problems(fields: &str) -> Vec<String> {
    let Err(problems) = parse_file(&format!("\"p\": ({fields})"), "\"health\"") else { return Vec::new() };
    problems.lines().filter_map(|line| line.strip_prefix("f:3:")).map(str::to_string).collect()
}

/// The problem of a plugin that is valid except for one field.
#[track_caller]
fn problem(field: &str) -> String {
    let name = field.split(':').next().unwrap();
    let valid = [("menu", "menu: \"/a/b-c\""), ("columns", "columns: [\"address\"]")];
    let others = valid.iter().filter(|(valid, _)| *valid != name).map(|(_, field)| *field);
    let fields: Vec<&str> = others.chain([field]).collect();
    let problems = problems(&fields.join(", "));
    assert!(problems.len() < 2, "{field}: {problems:?}");
    // The place is that of the value or of what is in it, whatever its column.
    problems.first().map(|line| line.split_once(": plugins.p.").unwrap().1.to_string()).unwrap_or_default()
}

fn declared(config: &Config) -> Vec<Declaration> {
    config.sites[0].plugins.iter().filter_map(|plugin| plugin.declaration().cloned()).collect()
}

#[test]
fn a_declaration_is_read_with_its_defaults() {
    let full = r##"
        "leases": (
            title: "DHCP leases", menu: "/ip/dhcp-server/lease", query: ["status=bound", "#!"],
            columns: ["address", "mac-address"], every: "60s", private: true,
            metrics: [
                (name: "mikrotik_dhcp_leases", kind: Rows, labels: ["server"]),
                (name: "lease_left_seconds", kind: Gauge("expires-after")),
                (name: "lease_bytes_total", kind: Counter("bytes"), labels: []),
            ],
        ),
        "b_2": (menu: "/ppp/active", columns: ["service"], query: [], metrics: []),
        "unused": (menu: "/a", columns: ["b"]),"##;
    let config = parse_file(full, "\"leases\", \"health\", \"b_2\"").unwrap();
    let names: Vec<&str> = config.sites[0].plugins.iter().map(crate::plugin::Plugin::name).collect();
    assert_eq!(names, ["leases", "health", "b_2"]);
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let metric =
        |name: &str, measure, labels: &[&str]| Metric { name: name.into(), measure, labels: texts(labels) };
    let leases = Declaration {
        name: "leases".into(),
        title: "DHCP leases".into(),
        menu: "/ip/dhcp-server/lease".into(),
        query: texts(&["status=bound", "#!"]),
        columns: ["address", "mac-address"].map(Property::from).into(),
        every: Some(Duration::from_secs(60)),
        private: true,
        metrics: vec![
            metric("mikrotik_dhcp_leases", Measure::Rows, &["server"]),
            metric("lease_left_seconds", Measure::Gauge("expires-after".into()), &[]),
            metric("lease_bytes_total", Measure::Counter("bytes".into()), &[]),
        ],
    };
    let other = Declaration {
        name: "b_2".into(),
        title: "b_2".into(),
        menu: "/ppp/active".into(),
        query: Vec::new(),
        columns: vec!["service".into()],
        every: None,
        // A menu about people.
        private: true,
        metrics: Vec::new(),
    };
    assert_eq!(declared(&config), [leases, other]);
}

#[test]
fn defaults_may_collect_plugins_that_are_declared_later() {
    let with = |collect: &str| {
        let text = format!(
            "(defaults: (collect: [{collect}]),\nsites: {{\"a\": (hosts: [\"r\"], user: \"u\", password: Plain(\"\"))}},\n\
             plugins: {{{LEASES}}})"
        );
        parse(Path::new("f"), &text, &|_| None).map_err(|problems| problems.to_string())
    };
    assert_eq!(declared(&with("\"leases\"").unwrap()).len(), 1);
    let message = with("\"lease\"").unwrap_err();
    assert!(
        message.starts_with("f:1:23: defaults.collect: no plugin is named \"lease\"; did you mean `leases`?"),
        "{message}"
    );
    let message = with("\"wireguard-peers\"").unwrap_err();
    assert!(message.contains("expected one of hotspot, resource, health, leases"), "{message}");
    let message = with("\"leases\", \"leases\"").unwrap_err();
    assert!(message.starts_with("f:1:33: defaults.collect: \"leases\" is repeated"), "{message}");
}

#[test]
fn names_are_like_keys_and_unique() {
    let at = |name: &str| parse_file(&LEASES.replace("leases", name), "\"health\"").unwrap_err();
    for name in ["", "a b", "a/b", "é", &"a".repeat(41)] {
        let message = at(name);
        let found = if name.len() > 40 { "a text of 41 characters".into() } else { format!("{name:?}") };
        assert!(message.starts_with(&format!("f:3:1: plugin: found {found}; ")), "{message}");
        assert!(
            message.contains("expected letters, digits, - and _, up to 40 of them, in quotes"),
            "{message}"
        );
    }
    assert!(parse_file(&LEASES.replace("leases", &"a".repeat(40)), "\"health\"").is_ok());
    assert!(at("hotspot").starts_with("f:3:1: the plugin \"hotspot\" is built in; expected another name"));
    let message = parse_file(&format!("{LEASES},\n{LEASES}"), "\"leases\"").unwrap_err();
    assert!(
        message.starts_with("f:4:1: the plugin \"leases\" is repeated; expected each name once"),
        "{message}"
    );
    let many = |count: usize| {
        let plugins: Vec<String> = (0..count).map(|n| LEASES.replace("leases", &format!("p{n}"))).collect();
        parse_file(&plugins.join(",\n"), "\"health\"")
    };
    assert!(many(64).is_ok());
    let message = many(65).unwrap_err();
    assert!(message.starts_with("f:67:1: plugins: found 65; expected up to 64"), "{message}");
}

#[test]
fn an_invalid_plugin_is_not_reported_as_unknown() {
    let message = parse_file("\"leases\": (menu: 5, columns: [\"a\"])", "\"leases\"").unwrap_err();
    assert_eq!(message.lines().filter(|line| line.starts_with("f:")).count(), 1, "{message}");
}

#[test]
fn all_problems_of_a_plugin_are_reported_at_once() {
    let message = problems("menue: \"/a\", colums: [], query: 5, metrics: [(nam: \"a\", kind: Row)]");
    assert_eq!(
        message,
        [
            "7: unknown field `menue` in the plugin \"p\"; did you mean `menu`?",
            "20: unknown field `colums` in the plugin \"p\"; did you mean `columns`?",
            "39: plugins.p.query: found a number; expected a list in square brackets of query words, such as [\"status=bound\"]",
            "53: unknown field `nam` in a metric of the plugin \"p\"; did you mean `name`?",
            "69: plugins.p.metrics.kind: found Row; expected Rows, Gauge(\"column\") or Counter(\"column\"), with a property such as \"bytes-in\"",
        ]
    );
}

#[test]
fn a_missing_field_names_the_plugin() {
    let message = problems("metrics: [()]");
    assert_eq!(
        message,
        [
            "6: the plugin \"p\" has no menu; expected menu: \"/ip/dhcp-server/lease\"",
            "6: the plugin \"p\" has no columns; expected columns: [\"address\", \"mac-address\"]",
            "17: a metric of the plugin \"p\" has no name; expected name: \"mikrotik_leases\"",
            "17: a metric of the plugin \"p\" has no kind; expected kind: Rows, Gauge(\"column\") or Counter(\"column\")",
        ]
    );
}

#[test]
fn a_menu_is_a_path() {
    for (menu, message) in [
        ("/a/b-c", ""),
        ("/interface/6to4", ""),
        ("ip/hotspot", "found \"ip/hotspot\"; expected \"/ip/hotspot\""),
        ("/ip hotspot host", "found \"/ip hotspot host\"; expected \"/ip/hotspot/host\""),
        ("/ip/hotspot/print", "found \"/ip/hotspot/print\"; expected \"/ip/hotspot\""),
        ("/IP/Hotspot/", "found \"/IP/Hotspot/\"; expected \"/ip/hotspot\""),
        ("", "found \"\"; expected a menu's path, such as \"/ip/dhcp-server/lease\""),
        ("/", "found \"/\"; expected a menu's path"),
        ("/print", "found \"/print\"; expected a menu's path"),
        ("/a=b", "found a text; expected a menu's path"),
        ("/é", "found \"/é\"; expected a menu's path"),
    ] {
        let expected = if message.is_empty() { String::new() } else { format!("menu: {message}") };
        assert!(problem(&format!("menu: {menu:?}")).starts_with(&expected), "{menu}");
        assert_eq!(problem(&format!("menu: {menu:?}")).is_empty(), message.is_empty(), "{menu}");
    }
    assert!(problem(&format!("menu: \"/{}\"", "a".repeat(100))).starts_with("menu: found"));
}

#[test]
fn each_field_has_its_range() {
    let list = |count: usize, of: fn(usize) -> String| {
        (0..count).map(|n| format!("{:?}", of(n))).collect::<Vec<_>>().join(", ")
    };
    let word = |length: usize| format!("query: [\"{}\"]", "a".repeat(length));
    for (field, message) in [
        ("title: \"\"".to_string(), "title: found \"\"; expected a text of 1 to 100 characters"),
        (format!("title: \"{}\"", "é".repeat(100)), ""),
        (format!("title: \"{}\"", "é".repeat(101)), "title: found"),
        ("title: 5".into(), "title: found 5; expected a text"),
        ("columns: []".into(), "columns: found []; expected at least one property"),
        (
            "columns: \"address\"".into(),
            "columns: found a text; expected a list in square brackets of at least one property",
        ),
        ("columns: [5]".into(), "columns: found 5; expected a property as RouterOS names it"),
        ("columns: [\"mac address\"]".into(), "columns: found \"mac address\"; expected a property"),
        ("columns: [\"a\", \"b\", \"a\"]".into(), "columns: \"a\" is repeated; expected it once"),
        ("columns: [\"password\"]".into(), "columns: \"password\" may hold a secret, and would be shown"),
        (format!("columns: [{}]", list(32, |n| format!("c{n}"))), ""),
        (format!("columns: [{}]", list(33, |n| format!("c{n}"))), "columns: found 33; expected up to 32"),
        (word(1), ""),
        (word(200), ""),
        (word(0), "query: found \"\"; expected a query word of 1 to 200 bytes"),
        (word(201), "query: found a text of 201 characters; expected a query word"),
        ("query: [\"?a=b\"]".into(), "query: found a text; expected it without the question mark"),
        ("query: [\"?password=x\"]".into(), "query: \"password\" may hold a secret; expected other"),
        ("query: [\"?=password=x\"]".into(), "query: \"password\" may hold a secret; expected other"),
        ("query: [\"password=x\"]".into(), "query: \"password\" may hold a secret; expected other"),
        ("query: [\">secret=x\"]".into(), "query: \"secret\" may hold a secret; expected other"),
        (format!("query: [{}]", list(32, |n| format!("c{n}"))), ""),
        (format!("query: [{}]", list(33, |n| format!("c{n}"))), "query: found 33; expected up to 32"),
        ("every: \"1s\"".into(), ""),
        ("every: \"1day\"".into(), ""),
        ("every: \"999ms\"".into(), "every: found \"999ms\"; expected a duration from 1s to 1day"),
        ("every: \"86401s\"".into(), "every: found \"86401s\"; expected a duration"),
        ("every: 60".into(), "every: found 60; expected a duration"),
        ("private: yes".into(), "private: found yes; expected true or false"),
        (
            "metrics: (name: \"a\", kind: Rows)".into(),
            "metrics: found a structure; expected a list in square",
        ),
    ] {
        let found = problem(&field);
        assert!(found.starts_with(message) && found.is_empty() == message.is_empty(), "{field}: {found:?}");
    }
    let metrics = |count: usize| {
        let metrics: Vec<String> = (0..count).map(|n| format!("(name: \"m{n}\", kind: Rows)")).collect();
        problem(&format!("metrics: [{}]", metrics.join(", ")))
    };
    assert_eq!(metrics(16), "");
    assert_eq!(metrics(17), "metrics: found 17; expected up to 16");
    let secret = problem("query: [\"password=hunter2\"]");
    assert!(!secret.contains("hunter2"), "{secret}");
}

#[test]
fn names_and_labels_of_metrics_are_valid_and_unique() {
    for (private, metric, message) in [
        (false, "name: \"_a1\", kind: Rows", ""),
        (false, "name: \"1a\", kind: Rows", "name: found \"1a\"; expected letters, digits and _"),
        (false, "name: \"a:b\", kind: Rows", "name: found \"a:b\"; expected letters, digits and _"),
        (false, "name: \"\", kind: Rows", "name: found \"\"; expected letters, digits and _"),
        (
            false,
            "name: \"mikrotik_up\", kind: Rows",
            "name: the metric \"mikrotik_up\" is one of the agent's own",
        ),
        (
            false,
            "name: \"process_x\", kind: Rows",
            "name: the metric \"process_x\" is one of the agent's own",
        ),
        (false, "name: \"phsweb_agent_x\", kind: Rows", "name: the metric \"phsweb_agent_x\" is one"),
        (false, "name: \"a\", kind: Gauge", "kind: found Gauge; expected Rows, Gauge(\"column\")"),
        (false, "name: \"a\", kind: Gauge(\"a b\")", "kind: found Gauge(…) of another form; expected Rows"),
        (false, "name: \"a\", kind: Counter(\"password\")", "kind: \"password\" may hold a secret"),
        (false, "name: \"a\", kind: Rows, labels: [\"site\"]", "labels: \"site\" becomes the label `site`"),
        (false, "name: \"a\", kind: Rows, labels: [\".id\"]", ""),
        (false, "name: \"a\", kind: Rows, labels: [\".-a\"]", "labels: \".-a\" becomes the label `__a`"),
        (false, "name: \"a\", kind: Rows, labels: [\"1a\"]", "labels: \"1a\" becomes the label `1a`"),
        (
            false,
            "name: \"a\", kind: Rows, labels: [\"a-b\", \"a.b\"]",
            "labels: \"a.b\" becomes the same label `a_b` as \"a-b\"; expected one of the two",
        ),
        (false, "name: \"a\", kind: Rows, labels: [\"secret\"]", "labels: \"secret\" may hold a secret"),
        (false, "name: \"a\", kind: Rows, labels: [\"mac-address\"]", ""),
        (true, "name: \"a\", kind: Rows, labels: [\"server\", \"status\"]", ""),
        (
            true,
            "name: \"a\", kind: Rows, labels: [\"mac-address\"]",
            "labels: \"mac-address\" identifies a person",
        ),
        (
            true,
            "name: \"a\", kind: Rows, labels: [\"active-address\"]",
            "labels: \"active-address\" identifies",
        ),
        (
            false,
            "name: \"a\", kind: Rows, labels: [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\"]",
            "labels: found 9; expected up to 8",
        ),
        (
            false,
            "name: \"a\", kind: Rows), (name: \"a\", kind: Gauge(\"b\")",
            "name: the metric \"a\" is repeated in the file; expected each name once",
        ),
    ] {
        // `private` comes last, and applies to the metrics before it.
        let found =
            problems(&format!("menu: \"/a\", columns: [\"b\"], metrics: [({metric})], private: {private}"));
        let found: Vec<&str> =
            found.iter().map(|line| line.split_once(": plugins.p.metrics.").unwrap().1).collect();
        assert_eq!(found.is_empty(), message.is_empty(), "{metric}: {found:?}");
        assert!(
            found.len() < 2 && found.iter().all(|found| found.starts_with(message)),
            "{metric}: {found:?}"
        );
    }
    let long = |length: usize| problem(&format!("metrics: [(name: \"{}\", kind: Rows)]", "a".repeat(length)));
    assert!(long(100).is_empty() && long(101).starts_with("metrics.name: found"));
    let metric =
        |name: &str| LEASES.replace("leases", name).replace("])", "], metrics: [(name: \"m\", kind: Rows)])");
    let message = parse_file(&format!("{},\n{}", metric("a"), metric("b")), "\"a\"").unwrap_err();
    assert!(message.starts_with("f:4:"), "not even in two plugins: {message}");
}

#[test]
fn a_column_may_have_a_heading_and_a_unit() {
    let columns = r#"["name", ("rx-byte", title: "Received: all"), (  /* c */ "age" , unit: Duration, title : "Age",)]"#;
    let plugin = format!("\"p\": (menu: \"/a\", columns: {columns})");
    let config = parse_file(&plugin, "\"p\"").unwrap();
    let shown = |column: &Property| (column.name.clone(), column.title.clone(), column.unit);
    let columns: Vec<_> = declared(&config)[0].columns.iter().map(shown).collect();
    let column = |name: &str, title: &str, unit| (name.to_string(), title.to_string(), unit);
    assert_eq!(
        columns,
        [
            column("name", "Name", Unit::Text),
            column("rx-byte", "Received: all", Unit::Bytes),
            column("age", "Age", Unit::Duration),
        ]
    );
    for (column, expected) in [
        ("(\"a\", unit: Octets)", "columns.unit: found Octets; expected Text, Number, Bytes"),
        ("(\"a\", title: 5)", "columns.title: found 5; expected a text of 1 to 100 characters"),
        ("(\"a\", \"b\")", "expected a name and a colon before each value but the first"),
        ("(\"a\", title, \"b\")", "expected a name and a colon before each value but the first"),
        ("(title: \"b\")", "columns: found a structure; expected a property as RouterOS names it"),
        (
            "(\"a\", titel: \"b\")",
            "unknown field `titel` in a column of the plugin \"p\"; did you mean `title`?",
        ),
        ("(\"password\", title: \"b\")", "columns: \"password\" may hold a secret"),
        ("(\"a\", unit: Bytes), \"a\"", "columns: \"a\" is repeated"),
    ] {
        let problems = problems(&format!("menu: \"/a\", columns: [{column}]"));
        assert_eq!(problems.len(), 1, "{column}: {problems:?}");
        assert!(problems[0].contains(expected), "{column}: {problems:?}");
    }
    // The excerpt shows the file's own text.
    let text = parse_file("\"p\": (menu: \"/a\", columns: [(\"a\", title: \"\", unit: Bytes)])", "\"p\"")
        .unwrap_err();
    assert!(text.contains("title: \"\""), "{text}");
}

#[test]
fn the_catalogue_needs_no_declaration_and_is_overridden_by_one() {
    let titles = |plugins: &str| {
        let config = parse_file(plugins, "\"leases\", \"interfaces\"").unwrap();
        declared(&config).into_iter().map(|plugin| plugin.title).collect::<Vec<_>>()
    };
    assert_eq!(titles(""), ["DHCP leases", "Interfaces"]);
    assert_eq!(titles(LEASES), ["leases", "Interfaces"]);
    let message = parse_file(LEASES, "\"lease\"").unwrap_err();
    assert!(
        message.contains("no plugin is named \"lease\"; did you mean `leases`? expected one of hotspot,"),
        "{message}"
    );
    assert_eq!(message.matches("leases,").count(), 1, "{message}");
    let metric = "(name: \"mikrotik_dhcp_leases\", kind: Rows)";
    let twin = format!("\"mine\": (menu: \"/a\", columns: [\"b\"], metrics: [{metric}])");
    let message = parse_file(&twin, "\"leases\"").unwrap_err();
    assert!(message.contains("\"mikrotik_dhcp_leases\", and so does the plugin \"mine\""), "{message}");
    assert!(parse_file(&twin, "\"interfaces\"").is_ok());
}

#[test]
fn the_entries_of_the_catalogue_are_valid() {
    let text = include_str!("../catalogue.ron");
    let file =
        format!("(sites: {{\"a\": (hosts: [\"r\"], user: \"u\", password: Plain(\"\"))}},\nplugins: {text})");
    let config = parse(Path::new("f"), &file, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
    let warnings: Vec<_> =
        config.warnings.iter().filter(|warning| warning.message().contains("plugins")).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    for plugin in catalogue() {
        let Some(declaration) = plugin.declaration() else { panic!("{plugin:?}") };
        assert!(declaration.every.is_some(), "{}", declaration.name);
        assert!(declaration.private || !is_about_people(&declaration.menu), "{}", declaration.name);
    }
}

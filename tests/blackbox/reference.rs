//! The table of every field in docs/configuration.md is what the check takes: no field more or less, each default the one that is
//! filled in, each range taken to its ends and no further.

use std::collections::BTreeSet;
use std::path::Path;

use phsweb_agent::config::{self, Config};

use super::markdown::read;

/// A row of the table.
#[derive(Debug)]
struct Row {
    field: String,
    value: String,
    default: String,
}

fn rows() -> Vec<Row> {
    let document = read("docs/configuration.md");
    let table = document.split("| field | value | default | meaning |").nth(1).unwrap();
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [field, value, default, meaning] = cells[..] else { panic!("{line}") };
        assert!(!meaning.is_empty(), "{line}");
        Row { field: field.replace('`', ""), value: value.into(), default: default.into() }
    };
    lines.map(row).collect()
}

/// A structure of these fields, one of them with another value or, where that is empty, left out.
fn structure(fields: &[(&str, &str)], name: &str, value: &str) -> String {
    let mut fields: Vec<(&str, &str)> = fields.iter().copied().filter(|(other, _)| *other != name).collect();
    fields.push((name, value));
    fields.retain(|(_, value)| !value.is_empty());
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("({})", fields.join(", "))
}

/// The smallest good file around a field with this value; with an empty one it is left out.
fn file(field: &str, value: &str) -> String {
    let (part, name) = field.rsplit_once('.').unwrap_or(("", field));
    let of = |this: &str, fields: &[(&str, &str)]| {
        let (name, value) = if part == this { (name, value) } else { ("", "") };
        structure(fields, name, value)
    };
    let only = |wanted: bool, value: String| if wanted { value } else { String::new() };
    let metric = of("plugins.*.metrics.*", &[("name", "\"m\""), ("kind", "Rows")]);
    let metrics = only(part == "plugins.*.metrics.*", format!("[{metric}]"));
    let plugin = of("plugins.*", &[("menu", "\"/a\""), ("columns", "[\"b\"]"), ("metrics", &metrics)]);
    let tls = only(part == "http.tls", of("http.tls", &[("cert", "\"c\""), ("key", "\"k\"")]));
    let collect = only(part.starts_with("plugins"), "[\"p\"]".into());
    let site = of("sites.*", &[("hosts", "[\"h\"]"), ("user", "\"u\""), ("password", "Plain(\"\")")]);
    let parts = [
        ("http", &of("http", &[("tls", &tls)])),
        ("defaults", &of("defaults", &[("collect", &collect)])),
        ("sites", &format!("{{\"a\": {site}}}")),
        ("plugins", &format!("{{\"p\": {plugin}}}")),
    ];
    of("", &parts.map(|(name, value)| (name, value.as_str())))
}

fn parse(text: &str) -> Result<Config, String> {
    config::parse(Path::new("f"), text, &|_| None).map_err(|problems| problems.to_string())
}

/// Whether a field is told of, at its place or where it is missing.
fn names(told: &str, field: &str) -> bool {
    let name = field.rsplit('.').next().unwrap();
    let missing =
        if field.starts_with("http.tls.") { "cert or key is missing" } else { &format!(" no {name};") };
    told.contains(&format!(".{name}: ")) || told.contains(&format!(": {name}: ")) || told.contains(missing)
}

#[test]
fn the_fields_are_those_of_the_check() {
    let rows = rows();
    let fields: BTreeSet<String> = rows.iter().map(|row| row.field.clone()).collect();
    assert_eq!(fields.len(), rows.len(), "each stands once");
    assert_eq!(fields, config::fields().into_iter().collect());
    // And the check looks into each: none has room for this.
    for field in &fields {
        let told = parse(&file(field, "Impossible(0)")).unwrap_err();
        assert!(names(&told, field), "{field}: {told}");
        assert!(!told.contains("unknown field"), "{field}: {told}");
    }
}

#[test]
fn the_defaults_are_those_that_are_filled_in() {
    let mut literal = 0;
    for row in rows() {
        let without = parse(&file(&row.field, ""));
        if row.default == "required" {
            let told = without.unwrap_err();
            assert!(names(&told, &row.field), "{}: {told}", row.field);
            continue;
        }
        let without = without.unwrap_or_else(|told| panic!("{}: {told}", row.field));
        let Some(default) = row.default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) else {
            continue;
        };
        literal += 1;
        let mut written = vec![row.field.clone()];
        written.extend(row.field.strip_prefix("defaults.").map(|name| format!("sites.*.{name}")));
        for field in written {
            assert_eq!(parse(&file(&field, default)).as_ref(), Ok(&without), "{field}: {default}");
        }
    }
    assert!(literal >= 15, "only {literal}");
}

/// A value of a kind and a size, as the table writes it.
fn sized(field: &str, kind: &str, size: u64) -> String {
    match kind {
        "number" => size.to_string(),
        "text" => format!("\"{}\"", "é".repeat(usize::try_from(size).unwrap())),
        "duration" => format!("\"{size}ms\""),
        "list" => {
            let element = |n| match field {
                "http.trusted_proxies" => format!("\"10.0.0.{n}\""),
                "plugins.*.metrics" => format!("(name: \"m{n}\", kind: Rows)"),
                _ => format!("\"p{n}\""),
            };
            format!("[{}]", (0..size).map(element).collect::<Vec<_>>().join(", "))
        }
        "map" => {
            let element = |n| format!("\"p{n}\": (menu: \"/a\", columns: [\"b\"])");
            format!("{{{}}}", (0..size).map(element).collect::<Vec<_>>().join(", "))
        }
        _ => panic!("{field}: what is a {kind}?"),
    }
}

#[test]
fn the_ranges_are_taken_to_their_ends_and_no_further() {
    let mut ranges = 0;
    for row in rows() {
        let Some((kind, range)) = row.value.split_once(", ") else { continue };
        let Some((least, most)) = range.split_once(" to ") else { continue };
        ranges += 1;
        let size = |end: &str| match kind {
            "duration" => u64::try_from(humantime::parse_duration(end).unwrap().as_millis()).unwrap(),
            _ => end.split(' ').next().unwrap().parse().unwrap(),
        };
        let (least, most) = (size(least), size(most));
        let ascii = |value: String| {
            if row.field.ends_with("metrics.*.name") { value.replace('é', "e") } else { value }
        };
        let with = |size: u64| parse(&file(&row.field, &ascii(sized(&row.field, kind, size))));
        for end in [least, most] {
            assert!(with(end).is_ok(), "{} of {end}: {:?}", row.field, with(end));
        }
        for beyond in least.checked_sub(1).into_iter().chain([most + 1]) {
            let told = with(beyond).expect_err(&format!("{} of {beyond} is taken", row.field));
            assert!(names(&told, &row.field), "{}: {told}", row.field);
        }
    }
    assert!(ranges >= 12, "only {ranges}");
}

//! Checks the reference of all fields in docs/configuration.md against the validator: fields, defaults, ranges, and the
//! effects of changes.

use std::path::Path;

use phsweb_agent::config::{self, Change, Changes, Config, Effect, FieldReference};

use super::markdown::read;

/// A structure of these fields. The field `name` has this value, or is omitted if the value is empty.
fn structure(fields: &[(&str, &str)], name: &str, value: &str) -> String {
    let mut fields: Vec<(&str, &str)> = fields.iter().copied().filter(|(other, _)| *other != name).collect();
    fields.push((name, value));
    fields.retain(|(_, value)| !value.is_empty());
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("({})", fields.join(", "))
}

/// The smallest valid file that has a field with this value; an empty value omits the field.
fn file(field: &str, value: &str) -> String {
    let (part, name) = field.rsplit_once('.').unwrap_or(("", field));
    let of = |this: &str, fields: &[(&str, &str)]| {
        let (name, value) = if part == this { (name, value) } else { ("", "") };
        structure(fields, name, value)
    };
    let only = |is_needed: bool, value: String| if is_needed { value } else { String::new() };
    let metric = of("plugins.*.metrics.*", &[("name", "\"m\""), ("kind", "Rows")]);
    let metrics = only(part == "plugins.*.metrics.*", format!("[{metric}]"));
    let column = of("plugins.*.columns.*", &[]).replacen('(', "(\"b\", ", 1);
    let columns = if part == "plugins.*.columns.*" { format!("[{column}]") } else { "[\"b\"]".into() };
    let plugin = of("plugins.*", &[("menu", "\"/a\""), ("columns", &columns), ("metrics", &metrics)]);
    let tls = only(part == "http.tls", of("http.tls", &[("cert", "\"c\""), ("key", "\"k\"")]));
    let collect = only(part.starts_with("plugins"), "[\"p\"]".into());
    let site = of("sites.*", &[("hosts", "[\"h:1\"]"), ("user", "\"u\""), ("password", "Plain(\"\")")]);
    let variant = |word: &str, part: &str, fields: &[(&str, &str)]| format!("{word}{}", of(part, fields));
    let rule = match name {
        "by" => variant("ClockWrong", "alerts.on.*", &[]),
        "within" => variant("CertificateExpires", "alerts.on.*", &[]),
        _ if value.is_empty() => "SiteDown".into(),
        "figure" | "limit" | "clear" => {
            variant("Above", "alerts.on.*", &[("figure", "CpuLoad"), ("limit", "90")])
        }
        _ => variant("SiteDown", "alerts.on.*", &[]),
    };
    let (telegram, url) = ([("token", "Plain(\"t\")"), ("chat", "\"c\"")], [("url", "\"https://h\"")]);
    let channel = match name {
        "url" if value.is_empty() => structure(&telegram, "", "").replacen('(', "Telegram(", 1),
        "token" | "chat" if !value.is_empty() => variant("Telegram", "alerts.to.*", &telegram),
        _ => variant("Webhook", "alerts.to.*", &url),
    };
    let hours = of("alerts.quiet.*", &[("from", "\"22:00\""), ("to", "\"07:00\"")]);
    let alerts = [
        ("on", only(part == "alerts.on.*", format!("[{rule}]"))),
        ("to", only(part == "alerts.to.*", format!("{{\"c\": {channel}}}"))),
        ("quiet", only(part == "alerts.quiet.*", format!("[{hours}]"))),
        ("heartbeat", only(part == "alerts.heartbeat", of("alerts.heartbeat", &url))),
    ];
    let alerts = of("alerts", &alerts.each_ref().map(|(name, value)| (*name, value.as_str())));
    let parts = [
        ("alerts", &only(part.starts_with("alerts"), alerts)),
        ("http", &of("http", &[("tls", &tls)])),
        ("defaults", &of("defaults", &[("collect", &collect)])),
        ("sites", &format!("{{\"a\": {site}}}")),
        ("plugins", &format!("{{\"p\": {plugin}}}")),
        ("journal", &of("journal", &[])),
        ("history", &only(part == "history", of("history", &[]))),
    ];
    of("", &parts.map(|(name, value)| (name, value.as_str())))
}

fn parse(text: &str) -> Result<Config, String> {
    config::parse(Path::new("f"), text, &|_| None).map_err(|problems| problems.to_string())
}

/// Whether a problem is about a field, at its place or because it is missing.
fn names(problem: &str, field: &str) -> bool {
    let name = field.rsplit('.').next().unwrap();
    problem.contains(&format!(".{name}: "))
        || problem.contains(&format!(": {name}: "))
        || problem.contains(&format!(" no {name};"))
}

#[test]
fn the_document_contains_the_reference() {
    let row = |FieldReference { path, value, default, meaning, .. }: &FieldReference| {
        format!("| `{path}` | {value} | {default} | {meaning} |\n")
    };
    let expected: String = config::reference().iter().map(row).collect();
    let document = read("docs/configuration.md");
    let table =
        document.split("| field | value | default | meaning |\n| --- | --- | --- | --- |\n").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    assert!(table == expected.trim_end(), "expected in docs/configuration.md:\n{expected}");
}

#[test]
fn the_validator_reads_each_field() {
    for FieldReference { path, .. } in config::reference() {
        // No field accepts this.
        let problem = parse(&file(&path, "Impossible(0)")).unwrap_err();
        assert!(names(&problem, &path), "{path}: {problem}");
        assert!(!problem.contains("unknown field"), "{path}: {problem}");
    }
}

#[test]
fn the_documented_defaults_are_applied() {
    let mut literal = 0;
    for FieldReference { path, default, .. } in config::reference() {
        let without = parse(&file(&path, ""));
        if default == "required" {
            let problem = without.unwrap_err();
            assert!(names(&problem, &path), "{path}: {problem}");
            continue;
        }
        let without = without.unwrap_or_else(|problem| panic!("{path}: {problem}"));
        let Some(default) = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) else {
            continue;
        };
        literal += 1;
        let mut written = vec![path.clone()];
        written.extend(path.strip_prefix("defaults.").map(|name| format!("sites.*.{name}")));
        for field in written {
            assert_eq!(parse(&file(&field, default)).as_ref(), Ok(&without), "{field}: {default}");
        }
    }
    assert!(literal >= 15, "found only {literal} literal defaults");
}

#[test]
fn the_effects_of_changes_match_the_reference() {
    let pin = format!("Pin(\"sha256:{}\")", "0".repeat(64));
    let old = parse(&file("", "")).unwrap();
    for FieldReference { path, effect, .. } in config::reference() {
        let Some(name) = path.strip_prefix("sites.*.").or(path.strip_prefix("defaults.")) else { continue };
        let value = match name {
            "refresh" | "connect_timeout" | "query_timeout" => "\"1s\"",
            "live" => "false",
            "collect" => "[\"health\"]",
            "hosts" => "[\"h:1\", \"other\"]",
            "password" => "Plain(\"other\")",
            "login" => "Challenge",
            "codepage" => "\"windows-1251\"",
            "tls" => &pin,
            "alerts" => "Off",
            _ => "\"other\"",
        };
        let new = parse(&file(&format!("sites.*.{name}"), value)).unwrap();
        let changes = Changes::between(&old, &new);
        let [(_, change)] = changes.changed[..] else { panic!("{path}: add a value to this test") };
        let expected = if effect == Effect::Reconnect { Change::Reconnect } else { Change::InPlace };
        assert_eq!(change, expected, "{path}");
    }
}

#[test]
fn the_effects_of_changes_are_documented() {
    let document = read("docs/configuration.md");
    let changes = |begin: &str| {
        document.lines().rev().find(|line| line.starts_with(begin)).unwrap().split(" | ").next()
    };
    for FieldReference { path, effect, .. } in config::reference() {
        let is_of_site = path.starts_with("sites.*.") || path.starts_with("defaults.");
        let row = match effect {
            Effect::InPlace if is_of_site => "| a site's `name`",
            Effect::Reconnect => "| a site's `user`",
            Effect::Rebind => "| `http.listen`",
            Effect::LogOut => "| `http.view`",
            Effect::Restart => "| `state`",
            Effect::InPlace | Effect::InParts => continue,
        };
        let name = if is_of_site { path.rsplit('.').next().unwrap() } else { &path };
        assert!(changes(row).unwrap().contains(&format!("`{name}`")), "{path}: {row}");
    }
}

/// A value of a kind and a size, as the reference names them.
fn sized(field: &str, kind: &str, size: u64) -> String {
    match kind {
        "number" => size.to_string(),
        "text" => format!("\"{}\"", "é".repeat(usize::try_from(size).unwrap())),
        "duration" => format!("\"{size}ms\""),
        "size" => format!("\"{size}B\""),
        "list" => {
            let element = |n| match field {
                "http.trusted_proxies" => format!("\"10.0.0.{n}\""),
                "plugins.*.metrics" => format!("(name: \"m{n}\", kind: Rows)"),
                "alerts.on" => "SiteDown".into(),
                "alerts.on.*.days" => "\"Mon\"".into(),
                "alerts.quiet" => "(from: \"22:00\", to: \"07:00\")".into(),
                _ => format!("\"p{n}\""),
            };
            format!("[{}]", (0..size).map(element).collect::<Vec<_>>().join(", "))
        }
        "map" => {
            let element = |n| match field {
                "alerts.to" => format!("\"p{n}\": Slack(url: \"https://h\")"),
                "alerts.to.*.headers" => format!("\"p{n}\": \"x\""),
                _ => format!("\"p{n}\": (menu: \"/a\", columns: [\"b\"])"),
            };
            format!("{{{}}}", (0..size).map(element).collect::<Vec<_>>().join(", "))
        }
        _ => panic!("{field}: unknown kind {kind}"),
    }
}

#[test]
fn values_are_accepted_within_their_ranges_only() {
    let mut ranges = 0;
    for FieldReference { path, value, .. } in config::reference() {
        let Some((kind, range)) = value.split_once(", ") else { continue };
        let Some((least, most)) = range.split_once(" to ") else { continue };
        ranges += 1;
        let size = |end: &str| match kind {
            "duration" => u64::try_from(humantime::parse_duration(end).unwrap().as_millis()).unwrap(),
            "size" => end.strip_suffix("MiB").unwrap().parse::<u64>().unwrap() * 1024 * 1024,
            _ => end.split(' ').next().unwrap().parse().unwrap(),
        };
        let (least, most) = (size(least), size(most));
        let ascii =
            |value: String| if path.ends_with("metrics.*.name") { value.replace('é', "e") } else { value };
        let with = |size: u64| parse(&file(&path, &ascii(sized(&path, kind, size))));
        for end in [least, most] {
            assert!(with(end).is_ok(), "{path} of {end}: {:?}", with(end));
        }
        for beyond in least.checked_sub(1).into_iter().chain([most + 1]) {
            let problem = with(beyond).expect_err(&format!("{path} of {beyond} is accepted"));
            assert!(names(&problem, &path), "{path}: {problem}");
        }
    }
    assert!(ranges >= 12, "found only {ranges} ranges");
}

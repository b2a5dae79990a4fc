//! Captures of real boards, replayed by `simulate` and read by the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, Running, program, run_to_end, until};

type Row = BTreeMap<String, String>;

/// The rows of each menu; `None` if the board lacks it.
type Menus = BTreeMap<String, Option<Vec<Row>>>;

/// Menus that the built-in plugins read.
const BUILT_IN: [&str; 5] =
    ["/system/resource", "/system/health", "/ip/hotspot", "/ip/hotspot/active", "/ip/hotspot/user"];

/// Columns that `check` refuses, because viewers could read the secrets in them.
const SECRET: [&str; 6] = [
    "cak",
    "trap-community",
    "value",
    "vpn-private-key",
    "vpn-wireguard-client-config",
    "vpn-wireguard-client-config-qrcode",
];

fn folder() -> String {
    format!("{}/examples/boards", env!("CARGO_MANIFEST_DIR"))
}

/// Each board's name and menus.
fn boards() -> Vec<(String, Menus)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let board = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap().replace('.', "-");
        (name, menus(&fs::read_to_string(path).unwrap()))
    };
    let mut boards: Vec<_> = files.map(|path| board(&path)).collect();
    boards.sort();
    boards
}

/// Parses a capture independently of the simulator.
fn menus(text: &str) -> Menus {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let text = lines.join("\n");
    let menu = |menu: &str| {
        let (name, rows) = menu.split_once('\n').unwrap();
        let row = |row: &str| -> Row {
            let words = row.lines().filter_map(|line| line.strip_prefix('=')?.split_once('='));
            words.map(|(key, value)| (key.to_string(), value.replace("\\n", "\n"))).collect()
        };
        let is_missing = rows.starts_with("!trap");
        (name.to_string(), (!is_missing).then(|| rows.split("!re\n").skip(1).map(row).collect()))
    };
    text.trim().split("\n\n").map(|part| menu(&format!("{part}\n"))).collect()
}

/// The name of the plugin that reads a menu.
fn plugin(menu: &str) -> String {
    menu[1..].replace('/', "-")
}

/// The rows that the agent shows for a plugin, without empty cells.
fn shown(agent: &Agent, site: &str, plugin: &str) -> Vec<Row> {
    let table = agent.json(&format!("/api/sites/{site}/plugins/{plugin}"));
    let columns: Vec<&str> =
        table["columns"].as_array().unwrap().iter().map(|column| column.as_str().unwrap()).collect();
    let row = |row: &Value| {
        let cells = columns.iter().zip(row.as_array().unwrap());
        cells.filter_map(|(column, cell)| Some(((*column).to_string(), cell.as_str()?.to_string()))).collect()
    };
    table["rows"].as_array().unwrap().iter().map(row).collect()
}

/// The rows without these keys.
fn without(rows: &[Row], left_out: &[&str]) -> Vec<Row> {
    let kept = |row: &Row| row.clone().into_iter().filter(|(key, _)| !left_out.contains(&&**key)).collect();
    rows.iter().map(kept).collect()
}

fn is_series(agent: &Agent, series: &str) -> bool {
    agent.get("/metrics").body.lines().any(|line| line == series)
}

#[test]
fn every_row_of_a_real_board_is_shown_unchanged() {
    let boards = boards();
    assert!(boards.len() >= 7);
    // A plugin for each menu that has none, with all columns that the boards have there.
    let mut columns: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (menu, rows) in
        boards.iter().flat_map(|(_, menus)| menus).filter(|(menu, _)| !BUILT_IN.contains(&&***menu))
    {
        let keys = rows.iter().flatten().flat_map(|row| row.keys().map(String::as_str));
        columns.entry(menu).or_default().extend(keys.filter(|key| !SECRET.contains(key)));
    }
    let mut given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1s\",");
    for (menu, columns) in &columns {
        let columns: Vec<_> = columns.iter().collect();
        given = given.plugin(&plugin(menu), &format!("menu: {menu:?}, columns: {columns:?}, private: true"));
    }
    let mut simulated = Vec::new();
    for (name, menus) in &boards {
        let file = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
        let file = file
            .into_iter()
            .find(|path| path.file_stem().unwrap().to_str().unwrap().replace('.', "-") == *name);
        let mut command = program(["simulate", "--port", "0", "--board"]);
        let running = Running::start(command.arg(file.unwrap()));
        let port = running.line("127.0.0.1:").split_whitespace().next().unwrap().parse().unwrap();
        simulated.push(running);
        let others = menus.keys().filter(|menu| !BUILT_IN.contains(&menu.as_str())).map(|menu| plugin(menu));
        let collect: Vec<String> =
            ["hotspot", "resource", "health"].map(String::from).into_iter().chain(others).collect();
        let old = name.starts_with("x86-6-33");
        let login = if old { "login: Challenge," } else { "" };
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        given = given.site(name, at, &format!("{login} collect: {collect:?}"));
    }
    let agent = given.start().with_token("admin-token-01234");
    for (name, menus) in &boards {
        agent.wait_until_active(name);
        let site = until(&format!("all plugins of {name} are read"), || {
            let site = agent.json(&format!("/api/sites/{name}"));
            let is_waiting =
                site["plugins"].as_object().unwrap().values().any(|one| one["state"] == "waiting");
            (!is_waiting).then_some(site)
        });
        for (plugin, state) in site["plugins"].as_object().unwrap() {
            let known = (&state["state"], &state["error"], &state["partial"]);
            assert_eq!(known, (&json!("ok"), &Value::Null, &Value::Null), "{name}: {plugin}");
            let success = format!("mikrotik_plugin_success{{site=\"{name}\",plugin=\"{plugin}\"}} 1");
            assert!(is_series(&agent, &success), "{success}");
        }
        for (menu, rows) in menus {
            let rows = rows.clone().unwrap_or_default();
            match menu.as_str() {
                "/system/resource" => is_resource(&agent, name, &rows),
                "/system/health" => is_health(&agent, name, &rows),
                "/ip/hotspot" => {
                    for row in &rows {
                        let logins = format!(
                            "mikrotik_hotspot_logins_total{{site=\"{name}\",server=\"{}\"}} 0",
                            row["name"]
                        );
                        assert!(is_series(&agent, &logins), "{logins}");
                    }
                }
                "/ip/hotspot/active" => are_sessions(&agent, name, &rows),
                "/ip/hotspot/user" => are_users(&agent, name, &rows),
                _ => {
                    // Uptimes grow, and the router also lists the agent's own connections and logins.
                    let left_out: Vec<&str> = SECRET.into_iter().chain(["uptime"]).collect();
                    let shown = without(&shown(&agent, name, &plugin(menu)), &left_out);
                    for row in without(&rows, &left_out) {
                        assert!(shown.contains(&row), "{name} {menu}: expected {row:?} in {shown:#?}");
                    }
                }
            }
        }
    }
    let page = agent.page("/");
    assert!(page.contains("Not ok: psu2-state: fail"), "{page}");
    assert!(!page.contains("class=\"error\""), "{page}");
    assert!(!agent.running.err().contains("WARN"), "{}", agent.running.err());
}

fn is_resource(agent: &Agent, site: &str, rows: &[Row]) {
    let row = &rows[0];
    let shown: BTreeMap<String, String> = shown(agent, site, "resource")
        .into_iter()
        .map(|row| (row["name"].clone(), row["value"].clone()))
        .collect();
    for key in [
        "cpu-load",
        "cpu-count",
        "free-memory",
        "total-memory",
        "free-hdd-space",
        "total-hdd-space",
        "architecture-name",
        "board-name",
        "platform",
    ] {
        assert_eq!(shown.get(key), row.get(key), "{site}: {key}");
    }
    let version = row["version"].split(' ').next().unwrap();
    assert_eq!(shown["version"], version, "{site}");
    let status = &agent.stats(site)["routerStatus"];
    assert_eq!((&status["version"], &status["isOnline"]), (&json!(version), &json!(true)), "{site}");
    let (board, architecture) = (&row["board-name"], &row["architecture-name"]);
    let info = format!(
        "mikrotik_system_info{{site=\"{site}\",board_name=\"{board}\",version=\"{version}\",architecture=\"{architecture}\"}} 1"
    );
    assert!(is_series(agent, &info), "{info}");
    assert!(
        agent.page(&format!("/sites/{site}")).contains(&format!("{board} · RouterOS {version}")),
        "{site}"
    );
}

fn is_health(agent: &Agent, site: &str, rows: &[Row]) {
    // One row per sensor, or one row for all.
    let named = |row: &Row| match (row.get("name"), row.get("value")) {
        (Some(name), Some(value)) => vec![(name.clone(), value.clone())],
        _ => row.clone().into_iter().collect(),
    };
    let expected: BTreeMap<String, String> = rows.iter().flat_map(named).collect();
    let shown = shown(agent, site, "health");
    let values: BTreeMap<String, String> =
        shown.iter().map(|row| (row["name"].clone(), row["value"].clone())).collect();
    assert_eq!(values, expected, "{site}");
    for row in &shown {
        let (name, value) = (&row["name"], &row["value"]);
        let is_number = value.parse::<f64>().is_ok();
        assert_eq!(row.contains_key("unit"), is_number, "{site}: {name}");
        let labels = format!("{{site=\"{site}\",sensor=\"{name}\"");
        let series = match row.get("unit").map(String::as_str) {
            Some("°C") => format!("mikrotik_health_temperature_celsius{labels}}} {value}"),
            Some("V") => format!("mikrotik_health_voltage_volts{labels}}} {value}"),
            Some("RPM") => format!("mikrotik_health_fan_speed_rpm{labels}}} {value}"),
            None if name.ends_with("-state") => {
                format!("mikrotik_health_state{labels},state=\"{value}\"}} 1")
            }
            _ => continue,
        };
        assert!(is_series(agent, &series), "{series}");
    }
}

fn are_sessions(agent: &Agent, site: &str, rows: &[Row]) {
    let fields = [
        ("id", ".id"),
        ("user", "user"),
        ("address", "address"),
        ("mac", "mac-address"),
        ("server", "server"),
        ("loginBy", "login-by"),
        ("bytesIn", "bytes-in"),
        ("bytesOut", "bytes-out"),
        ("comment", "comment"),
    ];
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let shown = agent.json(&format!("/api/hotspot/{site}/active"));
    let shown: Vec<_> = shown
        .as_array()
        .unwrap()
        .iter()
        .map(|session| fields.map(|(field, _)| text(&session[field])))
        .collect();
    let expected: Vec<_> = rows.iter().map(|row| fields.map(|(_, key)| row.get(key).cloned())).collect();
    assert_eq!(shown, expected, "{site}");
    assert_eq!(agent.stats(site)["activeUsers"], rows.len(), "{site}");
}

fn are_users(agent: &Agent, site: &str, rows: &[Row]) {
    let expected: Vec<&str> =
        rows.iter().map(|row| &*row["name"]).filter(|name| *name != "default-trial").collect();
    assert_eq!(agent.stats(site)["totalUsers"], expected.len(), "{site}");
    let users = agent.json(&format!("/api/hotspot/{site}/users"));
    let names: Vec<&str> =
        users["users"].as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap()).collect();
    assert_eq!(names, expected, "{site}");
}

#[test]
fn missing_board_file_error_lists_existing_ones() {
    let ended = run_to_end(program(["simulate", "--board", &format!("{}/hex.txt", folder())]));
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> =
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().into()).collect();
    names.sort();
    let there = format!("examples/boards/{{{}}}.txt", names.join(","));
    assert!(ended.err.contains("hex.txt") && ended.err.contains(&there), "{there}: {}", ended.err);
    let ended =
        run_to_end(program(["simulate", "--version", "7.20", "--board", &format!("{}/rb951.txt", folder())]));
    assert_eq!(ended.code, Some(2), "{}", ended.err);
}

#[test]
fn invalid_board_file_error_names_the_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "/system/resource\nversion: 7.4\n").unwrap();
    let ended = run_to_end(program(["simulate", "--board", file.path().to_str().unwrap()]));
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("line 2: found \"version: 7.4\""), "{}", ended.err);
}

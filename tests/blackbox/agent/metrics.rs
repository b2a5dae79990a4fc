//! `/metrics`: values, format, and counters that never decrease.

use std::collections::BTreeMap;
use std::time::Duration;

use phsweb_agent::simulator::{Fault, Router, Row, Settings, Value};

use super::agent::{Agent, AgentBuilder, until};
use super::router;

/// The series of a scrape by their names with labels, each with its value.
type Series = BTreeMap<String, f64>;

const SITE: &str = "site=\"awka\"";

fn agent(router: &Router) -> Agent {
    let times = "refresh: \"1s\", query_timeout: \"1s\", connect_timeout: \"1s\",";
    AgentBuilder::default().defaults(times).site("awka", router.addr(), "").start()
}

/// A scrape. Each line must have the right format, and each series must be unique.
#[track_caller]
fn scrape(agent: &Agent) -> Series {
    let answer = agent.get("/metrics");
    let kind = answer.field("Content-Type");
    assert_eq!((answer.status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(answer.body.ends_with('\n') && !answer.body.contains('\r'));
    let mut series = Series::new();
    let mut families = Vec::new();
    for line in answer.body.split_terminator('\n') {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(!text.is_empty() && !families.contains(&name), "{line}");
            families.push(name);
            continue;
        }
        let family = *families.last().unwrap();
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let kind = kind.strip_prefix(family).unwrap();
            assert_eq!(kind, if family.ends_with("_total") { " counter" } else { " gauge" }, "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let labels =
            name.strip_prefix(family).unwrap_or_else(|| panic!("expected {line} in the family {family}"));
        let of_the_agent = family.starts_with("process_") || family.starts_with("phsweb_agent_");
        assert!(of_the_agent || labels.starts_with(&format!("{{{SITE}")), "{line}");
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite(), "{line}");
        assert!(series.insert(name.to_string(), value).is_none(), "duplicate: {line}");
    }
    series
}

/// The first scrape for which `holds`. No counter may be lower than in the scrape `before`.
#[track_caller]
fn next(agent: &Agent, before: &Series, what: &str, holds: impl Fn(&Series) -> bool) -> Series {
    let mut before = before.clone();
    until(what, || {
        let now = scrape(agent);
        for (name, value) in before.iter().filter(|(name, _)| counts(name)) {
            assert!(now.get(name) >= Some(value), "{name} was {value} and is {:?}", now.get(name));
        }
        before = now;
        holds(&before).then(|| before.clone())
    })
}

fn counts(name: &str) -> bool {
    name.split('{').next().is_some_and(|family| family.ends_with("_total"))
}

/// A series of the site.
fn of(name: &str) -> String {
    format!("mikrotik_{name}{{{SITE}}}")
}

/// A series of the hotspot server.
fn at_server(name: &str) -> String {
    format!("mikrotik_hotspot_{name}{{{SITE},server=\"hotspot1\"}}")
}

fn success(plugin: &str) -> String {
    format!("mikrotik_plugin_success{{{SITE},plugin=\"{plugin}\"}}")
}

fn is_up(series: &Series) -> bool {
    series[&of("up")] > 0.5 && series.contains_key(&of("hotspot_configured_users"))
}

/// Gauges that are present only while the router responds.
fn gauges(series: &Series) -> Vec<&str> {
    let permanent = ["mikrotik_up{", "mikrotik_last_success_", "mikrotik_plugin_"];
    let of_the_router = series.keys().filter(|name| name.starts_with("mikrotik_") && !counts(name));
    let temporary = of_the_router.filter(|name| !permanent.iter().any(|prefix| name.starts_with(prefix)));
    temporary.map(String::as_str).collect()
}

#[test]
fn known_values_of_a_router_are_present() {
    let router = router(Settings::default());
    let agent = agent(&router);
    let series = next(&agent, &Series::new(), "it is up", is_up);
    let people = router.sessions();
    assert_eq!(series.get(&at_server("active_users")), Some(&23.0));
    assert_eq!(series.get(&of("hotspot_configured_users")), Some(&150.0));
    assert_eq!(series.get(&of("system_memory_total_bytes")), Some(&134_217_728.0));
    let info = "system_info{site=\"awka\",board_name=\"hAP ac^2\",version=\"7.20.7\",architecture=\"arm\"}";
    assert_eq!(series.get(&format!("mikrotik_{info}")), Some(&1.0));
    assert!((0.0..=1.0).contains(&series[&of("system_cpu_load_ratio")]));
    assert!(series[&of("system_uptime_seconds")] >= 86_400.0);
    let heat = "health_temperature_celsius{site=\"awka\",sensor=\"temperature\"}";
    assert!((42.0..=46.0).contains(&series[&format!("mikrotik_{heat}")]));
    for plugin in ["hotspot", "resource", "health"] {
        assert_eq!(series.get(&success(plugin)), Some(&1.0));
        assert_eq!(series.get(&success(plugin).replace("success", "partial")), Some(&0.0));
        let took = series[&success(plugin).replace("success", "duration_seconds")];
        assert!((0.0..1.0).contains(&took), "{plugin}: {took}");
    }
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    for name in [
        of("last_success_timestamp_seconds"),
        "phsweb_agent_config_last_reload_success_timestamp_seconds".into(),
    ] {
        assert!((wall - series[&name]).abs() < 30.0, "{name}");
    }
    assert_eq!(series.get("phsweb_agent_config_last_reload_successful"), Some(&1.0));
    let version = format!("phsweb_agent_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(series.get(&version), Some(&1.0));
    for name in ["process_resident_memory_bytes", "process_open_fds"] {
        assert!(series[name] > 5.0, "{name}");
    }
    assert!(series.contains_key("process_cpu_seconds_total"));
    let resident = agent.running.memory_kib("VmRSS") as f64 * 1024.0;
    assert!((series["process_resident_memory_bytes"] / resident - 1.0).abs() < 0.5);
    // The router's own counters, which may include bytes still in transit.
    let seen = router.counters();
    assert_eq!(series.get(&of("api_logins_total")), Some(&1.0));
    for (name, seen) in
        [("sent_bytes", seen.received), ("received_bytes", seen.sent), ("commands", seen.commands)]
    {
        let counted = series[&of(&format!("api_{name}_total"))];
        assert!(0.0 < counted && counted <= seen as f64, "{name}: {counted} of {seen}");
    }
    // Logins and logouts are counted per server, and no detail of a user appears.
    let gone = &people[0];
    router.log_out(&gone.id);
    let series = next(&agent, &series, "the logout is counted, and traffic", |series| {
        series[&at_server("logouts_total")] > 0.5
            && series[&at_server("upload_bytes_total")] > 0.0
            && series[&at_server("download_bytes_total")] > 0.0
    });
    assert_eq!(series.get(&at_server("logins_total")), Some(&0.0));
    let text = agent.get("/metrics").body;
    for person in &people {
        for detail in [&person.user, &person.mac, &person.id, &person.address.to_string()] {
            assert!(!text.contains(detail), "expected no {detail} in\n{text}");
        }
    }
}

#[test]
fn an_offline_router_has_counters_but_no_gauges() {
    let router = router(Settings::default());
    let agent = agent(&router);
    // What is read last.
    let is_read = |series: &Series| is_up(series) && series.contains_key(&of("system_clock_error_seconds"));
    let online = next(&agent, &Series::new(), "it is up and read", is_read);
    let known: Vec<String> = gauges(&online).into_iter().map(str::to_string).collect();
    assert!(known.len() >= 8, "{known:?}");
    let has_traffic = |series: &Series| series[&at_server("download_bytes_total")] > 0.0;
    let online = next(&agent, &online, "there is traffic", has_traffic);
    router.set_fault(Some(Fault::NoService));
    let offline = next(&agent, &online, "it is offline", |series| series[&of("up")] < 0.5);
    assert_eq!(gauges(&offline), [""; 0]);
    assert!(offline[&of("last_success_timestamp_seconds")] >= online[&of("last_success_timestamp_seconds")]);
    for plugin in ["hotspot", "resource", "health"] {
        assert_eq!(offline.get(&success(plugin)), Some(&0.0));
    }
    router.set_fault(None);
    let back = next(&agent, &offline, "it is online and read again", is_read);
    assert_eq!(gauges(&back), known);
    assert_eq!(back.get(&of("api_logins_total")), Some(&2.0));
}

#[test]
fn a_router_that_never_responded_is_down_and_has_no_other_gauges() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let unused_address = crate::support::address::unused_address();
    for (address, is_ready) in [(silent.local_addr().unwrap(), 503), (unused_address, 200)] {
        let agent = AgentBuilder::default().site("awka", address, "").start();
        until("the site was tried, or is still connecting", || {
            (agent.get("/readyz").status == is_ready).then_some(())
        });
        let series = scrape(&agent);
        let gauges = series.keys().filter(|name| name.starts_with("mikrotik_") && !counts(name));
        assert_eq!(gauges.collect::<Vec<_>>(), [&of("up")]);
        assert_eq!(series.get(&of("up")), Some(&0.0));
        assert_eq!(series.get(&of("api_logins_total")), Some(&0.0));
    }
}

/// A session since that moment, with that upload and ten times that download.
fn person(since: Duration, id: &str, user: &str, bytes: u64) -> Row {
    Row::new()
        .id(id)
        .with("server", "hotspot1")
        .with("user", user)
        .with("mac-address", "8C:F5:A3:00:00:01")
        .with("uptime", Value::Since(since))
        .with("bytes-in", bytes)
        .with("bytes-out", 10 * bytes)
}

#[test]
fn traffic_counters_sum_observed_differences_only() {
    const ACTIVE: &str = "/ip/hotspot/active";
    for live in ["", "live: false,"] {
        let router = router(Settings { active: 0, ..Settings::default() });
        let since = router.now();
        let rows = |people: &[(&str, &str, u64)]| {
            let rows = people.iter().map(|(id, user, bytes)| person(since, id, user, *bytes));
            router.set_rows(ACTIVE, rows.collect());
        };
        rows(&[("*A", "ada", 1_000_000)]);
        let times = format!("refresh: \"1s\", query_timeout: \"1s\", connect_timeout: \"1s\", {live}");
        let agent = AgentBuilder::default().defaults(&times).site("awka", router.addr(), "").start();
        let mut series = next(&agent, &Series::new(), "it is up", is_up);
        let mut check = |people: &[(&str, &str, u64)], counted: f64| {
            rows(people);
            let bytes: u64 = people.iter().map(|(_, _, bytes)| bytes).sum();
            let what = format!("{bytes} bytes are seen");
            agent.stats_when("awka", &what, |stats| stats["totalBytesIn"] == bytes);
            series = next(&agent, &series, &format!("{people:?} has {counted} counted"), |series| {
                series.get(&at_server("upload_bytes_total")) == Some(&counted)
                    && series.get(&at_server("download_bytes_total")) == Some(&(10.0 * counted))
            });
        };
        check(&[("*A", "ada", 1_000_000)], 0.0);
        check(&[("*A", "ada", 1_000_700)], 700.0);
        // The router's counters are reset.
        check(&[("*A", "ada", 50)], 700.0);
        check(&[("*A", "ada", 60)], 710.0);
        // A second user logs in, and then the first one's id belongs to a third.
        check(&[("*A", "ada", 60), ("*B", "chidi", 5)], 715.0);
        check(&[("*A", "bola", 3), ("*B", "chidi", 5)], 718.0);
        check(&[("*B", "chidi", 7)], 720.0);
        check(&[], 720.0);
    }
}

#[test]
fn counters_never_decrease_over_reboots_and_outages() {
    let router = router(Settings { churn: Duration::from_millis(50), ..Settings::default() });
    let agent = agent(&router);
    let sum = |series: &Series, name: &str| series[&at_server(name)];
    let mut series = next(&agent, &Series::new(), "it is up", is_up);
    for fault in [None, Some(Fault::Cut)] {
        let before = series;
        series = next(&agent, &before, "there are logins, logouts and traffic", |series| {
            ["logins_total", "logouts_total", "upload_bytes_total", "download_bytes_total"]
                .iter()
                .all(|name| sum(series, name) > sum(&before, name))
        });
        if let Some(fault) = fault {
            router.set_fault(Some(fault));
            series = next(&agent, &series, "it is lost", |series| series[&of("up")] < 0.5);
            router.set_fault(None);
        } else {
            router.reboot();
            series = next(&agent, &series, "it was rebooted", |series| {
                series.get(&of("system_uptime_seconds")).is_some_and(|uptime| *uptime < 60.0)
            });
        }
        series = next(&agent, &series, "it is online again", is_up);
    }
    assert_eq!(series.get(&of("api_logins_total")), Some(&3.0));
}

#[test]
fn hostile_names_leave_the_text_well_formed_and_bounded() {
    let router = router(Settings { active: 0, ..Settings::default() });
    let long = "x".repeat(1000);
    let servers: [&[u8]; 9] = [
        b"a \"quoted\" \\ back\nslash",
        b"a\rb",
        b"a\0b",
        "line\u{2028}end".as_bytes(),
        b"} 1\n# TYPE evil counter",
        b"\xff\xfe",
        b"",
        long.as_bytes(),
        // Equal after truncation.
        &[long.as_bytes(), b"y"].concat(),
    ];
    let more: Vec<Vec<u8>> = (0..200).map(|n| format!("hs{n}").into_bytes()).collect();
    let all = servers.into_iter().chain(more.iter().map(Vec::as_slice));
    let rows = all
        .enumerate()
        .map(|(n, server)| person(router.now(), &format!("*{n:X}"), "ada", 1).with("server", server));
    router.set_rows("/ip/hotspot/active", rows.collect());
    let sensor = |name: &str| Row::new().with("name", name).with("value", "1").with("type", "C");
    let same = ["temperature", "temperature", &long, &long].map(sensor);
    let many = (0..1000).map(|n| sensor(&format!("t{n}")));
    router.set_rows("/system/health", same.into_iter().chain(many).collect());
    router.set_rows("/system/resource", vec![Row::new().with("board-name", "a\"\\\n").with("uptime", "1h")]);
    let agent = agent(&router);
    let series = next(&agent, &Series::new(), "it is up", is_up);
    let there = |name: &str| series.keys().filter(|series| series.starts_with(name)).collect::<Vec<_>>();
    let online: f64 = there("mikrotik_hotspot_active_users").iter().map(|name| series[*name]).sum();
    assert!((online - 209.0).abs() < 0.5, "expected a server for each session: {online}");
    for (name, most) in
        [("mikrotik_hotspot_active_users{", 65), ("mikrotik_health_temperature_celsius{", 1_002), ("", 1_500)]
    {
        assert!(there(name).len() <= most, "{} of {name}", there(name).len());
    }
    assert_eq!(there("evil"), [""; 0]);
    assert!(series.keys().all(|name| name.len() < 200), "{series:?}");
    for label in ["server=\"a \\\"quoted\\\" \\\\ back\\nslash\"", "sensor=\"temperature\"", "server=\"ÿþ\""]
    {
        assert!(series.keys().any(|name| name.contains(label)), "{label}: {series:#?}");
    }
}

#[test]
fn a_scrape_needs_the_view_token_and_is_revalidated() {
    let router = router(Settings::default());
    let http = "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),";
    let agent = AgentBuilder::default().http(http).site("awka", router.addr(), "").start();
    for (sent, status) in [
        ("", 401),
        ("Bearer wrong", 401),
        ("Bearer view-token-01234", 200),
        ("Bearer admin-token-01234", 200),
    ] {
        let field = [("Authorization", sent)];
        let answer = agent.ask("GET", "/metrics", if sent.is_empty() { &[] } else { &field });
        assert_eq!(answer.status, status, "{sent:?}");
        assert_eq!(answer.body.contains("mikrotik_up"), status == 200, "{sent:?}");
        assert_eq!(answer.field("ETag").is_empty(), status != 200, "{sent:?}");
    }
    let agent = agent.with_token("view-token-01234");
    assert_eq!(agent.get("/metrics").field("Cache-Control"), "private, no-cache");
    // Unless a minute or a refresh lies between two requests.
    until("an unchanged answer is not sent again", || {
        let etag = agent.get("/metrics").field("ETag").to_string();
        (agent.ask("GET", "/metrics", &[("If-None-Match", &etag)]).status == 304).then_some(())
    });
    assert_eq!(agent.ask("POST", "/metrics", &[]).status, 405);
}

#[test]
fn an_empty_hotspot_has_its_series_from_the_first_refresh() {
    let router = router(Settings { active: 0, ..Settings::default() });
    let agent = agent(&router);
    let series = next(&agent, &Series::new(), "it is up", is_up);
    for name in
        ["active_users", "logins_total", "logouts_total", "upload_bytes_total", "download_bytes_total"]
    {
        assert_eq!(series.get(&at_server(name)), Some(&0.0), "{name}");
    }
}

#[test]
fn x86_sensors_have_metrics() {
    let router = router(Settings::default());
    let names = ["cpu-temp", "temp1", "fan1", "12v", "3.3v", "core"];
    let row = names.iter().fold(Row::new().with("state", "enabled"), |row, name| row.with(name, "12"));
    router.set_rows("/system/health", vec![row]);
    let agent = agent(&router);
    let series = next(&agent, &Series::new(), "it is up", is_up);
    for (name, metric) in names.iter().zip([
        "temperature_celsius",
        "temperature_celsius",
        "fan_speed_rpm",
        "voltage_volts",
        "voltage_volts",
        "voltage_volts",
    ]) {
        let of = format!("mikrotik_health_{metric}{{{SITE},sensor=\"{name}\"}}");
        assert_eq!(series.get(&of), Some(&12.0), "{of}");
    }
    assert!(!series.keys().any(|name| name.starts_with("mikrotik_health_state")), "{series:?}");
}

#[test]
fn sensor_states_have_metrics_and_abnormal_ones_are_on_the_card() {
    let router = router(Settings::default());
    let state = |name: &str, value: &str| Row::new().with("name", name).with("value", value).with("type", "");
    let states =
        [("psu1-state", "ok"), ("psu2-state", "fail"), ("psu3-state", "not-present"), ("fan-state", "idle")];
    router.set_rows("/system/health", states.map(|(name, value)| state(name, value)).into());
    let agent = agent(&router);
    let series = next(&agent, &Series::new(), "it is up", is_up);
    for (sensor, value) in states {
        let name = format!("mikrotik_health_state{{{SITE},sensor=\"{sensor}\",state=\"{value}\"}}");
        assert_eq!(series.get(&name), Some(&1.0), "{name}");
    }
    let page = agent.page("/");
    assert!(
        page.contains("<p class=\"warning\">Not ok: psu2-state: fail</p>"),
        "expected normal figures of the others: {page}"
    );
}

#[test]
fn a_board_without_a_health_menu_or_with_an_empty_one_is_a_success() {
    for is_missing in [true, false] {
        let router = router(Settings::default());
        if is_missing {
            router.remove_menu("/system/health");
        } else {
            router.set_rows("/system/health", Vec::new());
        }
        let agent = agent(&router);
        let series = next(&agent, &Series::new(), "it is up", is_up);
        assert_eq!(series.get(&success("health")), Some(&1.0), "missing: {is_missing}");
        assert_eq!(series.get(&success("health").replace("success", "partial")), Some(&0.0));
        let health = &agent.json("/api/sites/awka")["plugins"]["health"];
        assert_eq!((&health["state"], &health["error"]), (&"ok".into(), &().into()), "missing: {is_missing}");
        let page = agent.page("/") + &agent.page("/sites/awka");
        for warning in ["class=\"error\"", "Some figures are incomplete", "Incomplete: ", "no such command"] {
            assert!(!page.contains(warning), "missing: {is_missing}, {warning}: {page}");
        }
        assert!(!agent.running.err().contains("health"), "{}", agent.running.err());
    }
}

#[test]
fn with_radius_the_page_does_not_show_0_configured_users() {
    let router = router(Settings::default());
    router.set_rows("/ip/hotspot/user", vec![Row::new().with("name", "default-trial")]);
    let agent = agent(&router);
    let series = next(&agent, &Series::new(), "it is up", is_up);
    assert_eq!(series.get(&of("hotspot_configured_users")), Some(&0.0));
    let page = agent.page("/");
    assert!(page.contains("<dd>23</dd>") && !page.contains("configured</small>"), "{page}");
}

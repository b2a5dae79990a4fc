//! Plugins that are declared in `sites.ron`, for menus that the code does not know.

use std::time::Duration;

use phsweb_agent::simulator::{Fault, Login, Policies, Router, Row, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, run_to_end, until};
use super::router;

const MENU: &str = "/test/thing";

/// A plugin of that menu with all kinds of metrics.
const THINGS: &str = "menu: \"/test/thing\", columns: [\"name\", \"note\"], metrics: [
    (name: \"things\", kind: Rows),
    (name: \"things_by_kind\", kind: Rows, labels: [\"kind-of\"]),
    (name: \"things_weight\", kind: Gauge(\"weight\")),
    (name: \"things_bytes_total\", kind: Counter(\"bytes\"), labels: [\"kind-of\"]),
]";

fn given(router: &Router, collect: &str) -> AgentBuilder {
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1s\",");
    given.site("awka", router.addr(), &format!("collect: [{collect}]"))
}

fn agent(given: AgentBuilder) -> Agent {
    given.start().with_token("admin-token-01234")
}

fn thing(id: &str, name: &str, kind: &str, weight: &str, bytes: u64) -> Row {
    let row = Row::new().id(id).with("name", name).with("kind-of", kind);
    row.with("weight", weight).with("bytes", bytes).with("unasked", "never shown")
}

/// Waits until the plugin is in this state. Returns its JSON.
#[track_caller]
fn plugin_when(agent: &Agent, name: &str, state: &str) -> Value {
    until(&format!("{name} is {state}"), || {
        let plugin = agent.json("/api/sites/awka")["plugins"][name].clone();
        (plugin["state"] == state).then_some(plugin)
    })
}

fn table(agent: &Agent, name: &str) -> Value {
    agent.json(&format!("/api/sites/awka/plugins/{name}"))
}

/// The current value of a series.
fn series(agent: &Agent, name: &str) -> Option<String> {
    let text = agent.get("/metrics").body;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_string()))
}

#[track_caller]
fn counts(agent: &Agent, name: &str, value: &str) {
    until(&format!("{name} is {value}"), || (series(agent, name)? == value).then_some(()));
}

/// Waits until the plugin was read twice, because a read may be in progress.
#[track_caller]
fn read_again(agent: &Agent, name: &str) {
    for _ in 0..2 {
        let at = table(agent, name)["at"].clone();
        until("the plugin is read again", || (table(agent, name)["at"] != at).then_some(()));
    }
}

#[test]
fn declared_menu_is_on_the_page_in_json_and_in_metrics() {
    let router = router(Settings::default());
    router.set_rows(
        MENU,
        vec![
            thing("*1", "yam", "root", "1.5", 10).with("note", "ọ dị mma"),
            thing("*2", "<b>rice</b>\u{2028}\0\"", "grain", "2", 5).with("note", b"caf\xe9".as_slice()),
            thing("*3", "maize", "grain", "heavy", 1),
        ],
    );
    let agent = agent(
        given(&router, "\"things\", \"hotspot\"")
            .plugin("things", &format!("title: \"My <things>\", {THINGS}")),
    );
    let known = plugin_when(&agent, "things", "ok");
    assert_eq!((&known["title"], &known["private"]), (&json!("My <things>"), &json!(false)));
    assert_eq!((&known["partial"], &known["error"]), (&Value::Null, &Value::Null));
    let rows = table(&agent, "things");
    assert_eq!(rows["columns"], json!(["name", "note"]));
    assert_eq!(
        rows["rows"],
        json!([["yam", "ọ dị mma"], ["<b>rice</b>\u{2028}\0\"", "café"], ["maize", null]])
    );
    let page = agent.page("/sites/awka");
    for shown in [
        "<h2>My &#60;things&#62;</h2>",
        "<td><bdi>yam</bdi></td>",
        "<td><bdi>café</bdi></td>",
        "<td><bdi>–</bdi></td>",
        "&#60;b&#62;rice",
    ] {
        assert!(page.contains(shown), "expected {shown:?} in {page}");
    }
    assert!(!page.contains("never shown") && !page.contains("rows; all are at"), "{page}");
    for (name, value) in [
        ("things{site=\"awka\"}", "3"),
        ("things_by_kind{site=\"awka\",kind_of=\"grain\"}", "2"),
        ("things_by_kind{site=\"awka\",kind_of=\"root\"}", "1"),
        ("things_weight{site=\"awka\"}", "3.5"),
        ("things_bytes_total{site=\"awka\",kind_of=\"grain\"}", "0"),
    ] {
        assert_eq!(series(&agent, name).as_deref(), Some(value), "{name}");
    }
    let text = agent.get("/metrics").body;
    for line in
        ["# HELP things Rows of /test/thing.", "# TYPE things gauge", "# TYPE things_bytes_total counter"]
    {
        assert!(text.lines().any(|of| of == line), "expected {line} in\n{text}");
    }
    assert_eq!(router.counters().logins, 1);
}

#[test]
fn counter_survives_changing_rows_and_an_offline_router() {
    let router = router(Settings::default());
    let rows = |rows: &[(&str, u64)]| {
        let row = |(id, bytes): &(&str, u64)| thing(id, "a", "root", "1", *bytes);
        router.set_rows(MENU, rows.iter().map(row).collect());
    };
    rows(&[("*1", 10), ("*2", 5)]);
    let agent = agent(given(&router, "\"things\"").plugin("things", THINGS));
    let total = "things_bytes_total{site=\"awka\",kind_of=\"root\"}";
    counts(&agent, total, "0");
    // A growing counter, a restarted counter, a removed row and a new row.
    for (now, sum) in [
        (&[("*1", 12), ("*2", 5)], "2"),
        (&[("*1", 12), ("*2", 1)], "3"),
        (&[("*1", 12), ("*3", 100)], "103"),
    ] {
        rows(now);
        counts(&agent, total, sum);
        read_again(&agent, "things");
        assert_eq!(series(&agent, total).as_deref(), Some(sum), "expected each change to count once");
    }
    router.set_fault(Some(Fault::NoService));
    until("the site is offline", || series(&agent, "things{site=\"awka\"}").is_none().then_some(()));
    assert_eq!(series(&agent, total).as_deref(), Some("103"), "expected the counter to stay");
    rows(&[("*1", 12), ("*3", 101)]);
    router.set_fault(None);
    counts(&agent, total, "104");
    rows(&[]);
    counts(&agent, "things{site=\"awka\"}", "0");
    assert_eq!(series(&agent, total).as_deref(), Some("104"));
}

#[test]
fn rows_of_a_private_plugin_are_for_the_admin_only() {
    let router = router(Settings::default());
    router.set_rows(MENU, vec![thing("*1", "ada-of-awka", "root", "1", 1)]);
    let given = given(&router, "\"things\", \"resource\"");
    let agent = agent(given.plugin("things", &format!("private: true, title: \"Things\", {THINGS}")));
    let known = plugin_when(&agent, "things", "ok");
    assert_eq!(known["private"], true);
    assert_eq!(table(&agent, "things")["rows"], json!([["ada-of-awka", null]]));
    assert!(agent.page("/sites/awka").contains("ada-of-awka"));
    let viewer = [("Authorization", "")];
    for path in ["/api/sites/awka/plugins/things", "/sites/awka", "/", "/metrics", "/api/sites/awka"] {
        let answer = agent.ask("GET", path, &viewer);
        assert!(!answer.body.contains("ada-of-awka"), "{path}: {answer:?}");
        assert_eq!(answer.status, if path.ends_with("things") { 401 } else { 200 }, "{path}");
    }
    let page = agent.ask("GET", "/sites/awka", &viewer).body;
    assert!(page.contains("Things is shown to the admin only") && !page.contains("Who is online"), "{page}");
    let scrape = agent.ask("GET", "/metrics", &viewer).body;
    assert!(scrape.contains("things_by_kind{site=\"awka\",kind_of=\"root\"} 1"), "{scrape}");
}

#[test]
fn rows_about_people_are_private_by_default() {
    let router = router(Settings::default());
    router.set_rows("/ip/hotspot/host", vec![Row::new().id("*1").with("mac-address", "8C:F5:A3:00:00:01")]);
    let hosts = "menu: \"/ip/hotspot/host\", columns: [\"mac-address\"]";
    let given = given(&router, "\"hosts\", \"open\"")
        .plugin("hosts", hosts)
        .plugin("open", &format!("private: false, {hosts}"));
    let agent = agent(given);
    for (name, status) in [("hosts", 401), ("open", 200)] {
        let known = plugin_when(&agent, name, "ok");
        assert_eq!(known["private"], status == 401, "{name}");
        assert_eq!(table(&agent, name)["rows"], json!([["8C:F5:A3:00:00:01"]]));
        let path = format!("/api/sites/awka/plugins/{name}");
        assert_eq!(agent.ask("GET", &path, &[("Authorization", "")]).status, status, "{name}");
    }
    // The warning is on the admin's page and in the log.
    let warning_text = "plugins.open.private: rows of /ip/hotspot/host are about people";
    let config = agent.json("/api/config");
    let warnings: Vec<&Value> = config["warnings"].as_array().unwrap().iter().collect();
    assert!(
        warnings.iter().any(|warning| warning["message"].as_str().unwrap().starts_with(warning_text)),
        "{config}"
    );
    assert_eq!((&config["isCurrent"], &config["error"]), (&json!(true), &Value::Null));
    assert!(agent.page("/").contains(warning_text));
    agent.running.assert_logged(warning_text, 1);
    let viewer = [("Authorization", "")];
    assert!(agent.ask("GET", "/api/config", &viewer).json()["warnings"].is_null());
    assert!(!agent.ask("GET", "/", &viewer).body.contains(warning_text));
}

#[test]
fn missing_menu_is_retried_on_a_new_connection() {
    let router = router(Settings::default());
    let agent = agent(given(&router, "\"things\", \"hotspot\"").plugin("things", THINGS));
    let known = plugin_when(&agent, "things", "unsupported");
    assert_eq!(known["error"]["cause"], "unsupported");
    assert_eq!(table(&agent, "things")["columns"], json!(["name", "note"]), "expected the declared columns");
    assert_eq!(agent.wait_until_active("awka")["error"], Value::Null, "expected no error of the hotspot");
    assert_eq!(series(&agent, "things{site=\"awka\"}"), None, "expected no series for an unknown value");
    router.set_rows(MENU, vec![thing("*1", "yam", "root", "1", 1)]);
    read_again(&agent, "hotspot");
    assert_eq!(table(&agent, "things")["state"], "unsupported");
    router.set_fault(Some(Fault::NoService));
    agent.wait_for_error("awka", "refused");
    router.set_fault(None);
    plugin_when(&agent, "things", "ok");
    assert_eq!(table(&agent, "things")["rows"], json!([["yam", null]]));
}

#[test]
fn missing_read_policy_has_a_hint() {
    let policies = Policies { read: false, ..Policies::ALL };
    let login = Login { policies, ..Login::new("api-user", "password") };
    let router = router(Settings { logins: vec![login], ..Settings::default() });
    router.set_rows(MENU, vec![thing("*1", "yam", "root", "1", 1)]);
    let agent = agent(given(&router, "\"things\"").plugin("things", THINGS));
    let known = plugin_when(&agent, "things", "denied");
    assert!(known["error"]["hint"].as_str().unwrap().contains("policy=api,read"), "{known}");
}

#[test]
fn oversized_menu_does_not_affect_the_hotspot() {
    let router = router(Settings::default());
    router.set_rows(MENU, (0..20_000).map(|n| thing(&format!("*{n:X}"), "yam", "root", "1", n)).collect());
    let agent = agent(given(&router, "\"things\", \"hotspot\"").plugin("things", THINGS));
    let known = plugin_when(&agent, "things", "ok");
    assert_eq!(known["partial"], "only the first 2048 rows are taken");
    for _ in 0..3 {
        read_again(&agent, "things");
        let site = agent.json("/api/sites/awka");
        assert_eq!((&site["state"], &site["plugins"]["hotspot"]["state"]), (&json!("online"), &json!("ok")));
        let stats = agent.stats("awka");
        assert_eq!((&stats["activeUsers"], &stats["partial"]), (&json!(23), &Value::Null), "{stats}");
    }
    assert_eq!(table(&agent, "things")["rows"].as_array().unwrap().len(), 2048);
    let page = agent.page("/sites/awka");
    let rest = "200 of 2,048 rows; all are in the <a href=\"../api/sites/awka/plugins/things\">JSON</a>";
    assert!(page.contains(rest) && page.contains("only the first 2048 rows are taken"), "{page}");
    assert_eq!(page.matches("<td><bdi>yam</bdi></td>").count(), 200);
    assert!(!page.contains("Some figures are incomplete"), "expected complete figures on the card: {page}");
    assert_eq!(series(&agent, "things{site=\"awka\"}"), None, "expected no row count for a partial reading");
    let partial = |plugin: &str| {
        series(&agent, &format!("mikrotik_plugin_partial{{site=\"awka\",plugin=\"{plugin}\"}}"))
    };
    assert_eq!((partial("things"), partial("hotspot")), (Some("1".into()), Some("0".into())));
    let line = "site=awka plugin=things state=partial";
    agent.running.assert_logged(line, 1);
    let counters = router.counters();
    assert_eq!((counters.logins, counters.connections), (1, 1), "expected one connection");
}

/// A plugin whose rows each have a series.
const NAMED: &str = "menu: \"/test/thing\", columns: [\"name\"], metrics: [
    (name: \"named\", kind: Rows, labels: [\"name\"]),
    (name: \"named_weight\", kind: Gauge(\"weight\"), labels: [\"name\"]),
    (name: \"named_bytes_total\", kind: Counter(\"bytes\"), labels: [\"name\"]),
]";

fn named(agent: &Agent, metric: &str, name: &str) -> Option<String> {
    series(agent, &format!("{metric}{{site=\"awka\",name=\"{name}\"}}"))
}

#[test]
fn every_accepted_row_has_its_series() {
    let router = router(Settings::default());
    let rows = (0..2048).map(|n| thing(&format!("*{n:X}"), &format!("port{n}"), "root", "1", 5));
    router.set_rows(MENU, rows.collect());
    let agent = agent(given(&router, "\"things\"").plugin("things", NAMED));
    plugin_when(&agent, "things", "ok");
    let text = agent.get("/metrics").body;
    for (metric, value) in [("named", "1"), ("named_weight", "1"), ("named_bytes_total", "0")] {
        let start = format!("{metric}{{");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(&start)).collect();
        assert_eq!(lines.len(), 2048, "{metric}");
        assert!(lines.iter().all(|line| line.ends_with(&format!(" {value}"))), "{metric}");
    }
    assert!(text.contains("mikrotik_plugin_partial{site=\"awka\",plugin=\"things\"} 0"));
}

#[test]
fn renamed_rows_always_have_series_and_the_oldest_stale_series_are_evicted() {
    const PORTS: u64 = 900;
    let router = router(Settings::default());
    let agent = agent(given(&router, "\"things\"").plugin("things", NAMED));
    for round in 0..4_u64 {
        let port = |n: u64| thing(&format!("*{n:X}"), &format!("port{round}-{n}"), "root", "1", round);
        router.set_rows(MENU, (0..PORTS).map(port).collect());
        if round == 0 {
            // An unsupported menu is retried on a new connection only.
            router.set_fault(Some(Fault::NoService));
            agent.wait_for_error("awka", "refused");
            router.set_fault(None);
        }
        let first = format!("named{{site=\"awka\",name=\"port{round}-0\"}} 1");
        let text = until("the new names are read", || {
            let text = agent.get("/metrics").body;
            text.contains(&first).then_some(text)
        });
        for metric in ["named", "named_weight", "named_bytes_total"] {
            let of = |round: u64| {
                text.matches(&format!("{metric}{{site=\"awka\",name=\"port{round}-")).count() as u64
            };
            assert_eq!(of(round), PORTS, "{metric} of round {round}");
            assert!((0..=round).map(of).sum::<u64>() <= 2048, "{metric}");
            if round > 0 {
                assert_eq!(of(round - 1), PORTS, "{metric}: expected the newest stale series to stay");
            }
        }
    }
}

#[test]
fn a_series_whose_last_row_disappears_is_zero() {
    let router = router(Settings::default());
    let (yam, rice) = (thing("*1", "yam", "root", "3", 1), thing("*2", "rice", "grain", "4", 1));
    router.set_rows(MENU, vec![yam.clone(), rice]);
    let agent = agent(given(&router, "\"things\"").plugin("things", NAMED));
    plugin_when(&agent, "things", "ok");
    assert_eq!(named(&agent, "named_weight", "rice").as_deref(), Some("4"));
    for rows in [vec![yam], vec![]] {
        router.set_rows(MENU, rows);
        until("rice is 0", || (named(&agent, "named", "rice")? == "0").then_some(()));
        assert_eq!(named(&agent, "named_weight", "rice").as_deref(), Some("0"));
    }
    until("yam is 0", || (named(&agent, "named", "yam")? == "0").then_some(()));
}

#[test]
fn a_counter_starts_at_zero_after_each_start_and_change_of_its_labels() {
    let router = router(Settings::default());
    router.set_rows(MENU, vec![thing("*1", "yam", "root", "1", 700_000_000)]);
    let other =
        NAMED.replace("Counter(\"bytes\"), labels: [\"name\"]", "Counter(\"bytes\"), labels: [\"kind-of\"]");
    for (fields, label) in [(NAMED, "name=\"yam\""), (NAMED, "name=\"yam\""), (&other, "kind_of=\"root\"")] {
        let agent = agent(given(&router, "\"things\"").plugin("things", fields));
        plugin_when(&agent, "things", "ok");
        let total = format!("named_bytes_total{{site=\"awka\",{label}}}");
        assert_eq!(series(&agent, &total).as_deref(), Some("0"));
    }
}

#[test]
fn menu_of_one_row_is_a_table_with_one_row() {
    let router = router(Settings::default());
    let fields = "menu: \"/system/resource\", columns: [\"version\", \"no-such\"], query: [],
        metrics: [(name: \"free_memory\", kind: Gauge(\"total-memory\")), (name: \"up_seconds_total\", kind: Counter(\"uptime\"))]";
    let agent = agent(given(&router, "\"system\"").plugin("system", fields));
    plugin_when(&agent, "system", "ok");
    assert_eq!(table(&agent, "system")["rows"], json!([["7.20.7 (long-term)", null]]));
    counts(&agent, "free_memory{site=\"awka\"}", "134217728");
    let uptime =
        |agent: &Agent| series(agent, "up_seconds_total{site=\"awka\"}").unwrap().parse::<f64>().unwrap();
    let before = uptime(&agent);
    read_again(&agent, "system");
    let grown = uptime(&agent) - before;
    assert!((1.0..60.0).contains(&grown), "{grown} s");
}

#[test]
fn query_selects_rows() {
    let router = router(Settings::default());
    router.set_rows(
        MENU,
        vec![
            thing("*1", "yam", "root", "1", 1),
            thing("*2", "rice", "grain", "1", 1),
            thing("*3", "nut", "tree", "1", 1),
        ],
    );
    let fields =
        "menu: \"/test/thing\", columns: [\"name\"], query: [\"kind-of=root\", \"kind-of=tree\", \"#|\"]";
    let agent = agent(given(&router, "\"some\"").plugin("some", fields));
    plugin_when(&agent, "some", "ok");
    assert_eq!(table(&agent, "some")["rows"], json!([["yam"], ["nut"]]));
}

#[test]
fn plugin_with_a_long_interval_keeps_its_reading() {
    let router = router(Settings::default());
    router.set_rows(MENU, vec![thing("*1", "yam", "root", "1", 1)]);
    let fields = "menu: \"/test/thing\", columns: [\"name\"]";
    let given = given(&router, "\"often\", \"seldom\"").plugin("often", fields);
    let agent = agent(given.plugin("seldom", &format!("{fields}, every: \"1h\"")));
    let before = plugin_when(&agent, "seldom", "ok");
    router.set_rows(MENU, vec![thing("*1", "rice", "root", "1", 1)]);
    until("the other plugin is read again", || {
        (table(&agent, "often")["rows"] == json!([["rice"]])).then_some(())
    });
    read_again(&agent, "often");
    let now = plugin_when(&agent, "seldom", "ok");
    assert_eq!(now["fetchedAt"], before["fetchedAt"]);
    assert_eq!(table(&agent, "seldom")["rows"], json!([["yam"]]));
}

#[test]
fn plugin_with_an_interval_of_two_seconds_is_read_in_time() {
    let router = router(Settings::default());
    router.set_rows(MENU, vec![thing("*1", "yam", "root", "1", 1)]);
    let fields = "menu: \"/test/thing\", columns: [\"name\"]";
    let agent = agent(given(&router, "\"often\"").plugin("often", &format!("{fields}, every: \"2s\"")));
    plugin_when(&agent, "often", "ok");
    router.set_rows(MENU, vec![thing("*1", "rice", "root", "1", 1)]);
    let began = std::time::Instant::now();
    until("the plugin is read again", || (table(&agent, "often")["rows"] == json!([["rice"]])).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[test]
fn rows_with_odd_framing_are_read() {
    for fault in [Fault::BareRe, Fault::OneByteWrites, Fault::Trailing] {
        let router = router(Settings::default());
        router.set_rows(MENU, vec![thing("*1", "yam", "root", "1", 1), thing("*2", "rice", "root", "1", 1)]);
        router.set_fault(Some(fault));
        let agent = agent(given(&router, "\"things\"").plugin("things", THINGS));
        plugin_when(&agent, "things", "ok");
        assert_eq!(table(&agent, "things")["rows"], json!([["yam", null], ["rice", null]]), "{fault}");
    }
}

#[test]
fn connection_test_queries_declared_plugins() {
    let router = router(Settings::default());
    router.set_rows(MENU, vec![thing("*1", "yam", "root", "1", 1)]);
    let missing = "menu: \"/test/no-such\", columns: [\"name\"]";
    let given = given(&router, "\"things\", \"missing\", \"resource\"");
    let (command, _folder) =
        given.argument("test").plugin("things", THINGS).plugin("missing", missing).command();
    let ended = run_to_end(command);
    let step = |name: &str| {
        let found = ended.out.lines().find(|line| line.split_whitespace().nth(2) == Some(name));
        found.unwrap_or_else(|| panic!("{name}: {}", ended.out)).to_string()
    };
    assert!(step("things").contains(" ok ") && step("things").ends_with("1 row"), "{}", ended.out);
    assert!(step("missing").contains("FAILED") && step("missing").contains("unsupported"), "{}", ended.out);
    assert!(step("resource").contains(" ok "), "{}", ended.out);
    assert_eq!(ended.code, Some(1));
}

//! `/metrics` with Prometheus and promtool. Debian's package `prometheus` has both programs.
//!
//! ```sh
//! cargo test --test external -- --ignored metrics --nocapture
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Router, Row, Settings};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::{Agent, AgentBuilder, until};
use crate::support::shipped::{Shipped, catalogue};

/// The scrapes that a series must be part of: about one per second.
const SCRAPES: usize = 20;

/// Timeout of these scrapes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Attempts to start Prometheus: another program may take the port first.
const ATTEMPTS: usize = 5;

/// The complaints of `promtool` about a text; empty if there are none.
fn lint(text: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("expected promtool");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ended = promtool.wait_with_output().unwrap();
    let out = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.success(), out.is_empty(), "{out}");
    out
}

#[test]
#[ignore = "needs promtool"]
fn promtool_accepts_the_example_and_its_alert_rules() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prometheus.yml");
    let checked = Command::new("promtool").args(["check", "config"]).arg(example).output().unwrap();
    let output = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && output.contains("12 rules found"), "{output}{checked:?}");
}

#[test]
#[ignore = "needs promtool and prometheus"]
fn the_alert_rules_fire_when_they_should() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/external/alerts.test.yml");
    let tested = Command::new("promtool").args(["test", "rules"]).arg(tests).output().unwrap();
    assert!(tested.status.success(), "{tested:?}");
}

#[test]
#[ignore = "needs promtool and prometheus"]
fn each_query_of_the_dashboard_has_a_result() {
    let demo = Agent::demo(&[]);
    until("every site is online", || (demo.get("/readyz").status == 200).then_some(()));
    let prometheus = Prometheus::scraping(&demo);
    let dashboard = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/grafana.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(dashboard).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(queries.len() > 10, "{queries:?}");
    for query in queries {
        // Grafana fills in these variables.
        let expression = query.replace("$__rate_interval", "1m").replace("$site", ".*");
        until(&expression, || (!prometheus.query(&expression).is_empty()).then_some(()));
    }
}

/// A Prometheus that scrapes the agent. It is killed on drop.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    http: ureq::Agent,
    folder: TempDir,
}

impl Prometheus {
    /// Starts Prometheus on a port that was free a moment ago, because it does not report which port it chose.
    fn scraping(agent: &Agent) -> Self {
        for _ in 0..ATTEMPTS {
            let mut prometheus = Self::spawn(agent.address);
            if prometheus.is_ready() {
                return prometheus;
            }
            eprintln!("no Prometheus at {}:\n{}", prometheus.address, prometheus.log());
        }
        panic!("expected Prometheus to start within {ATTEMPTS} attempts");
    }

    fn spawn(agent: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: agent, static_configs: [{{targets: ['{agent}']}}]}}]\n"
        );
        fs::write(path("prometheus.yml"), config).unwrap();
        let address =
            TcpListener::bind((crate::support::address::unique_host(), 0)).unwrap().local_addr().unwrap();
        let child = Command::new("prometheus")
            .arg(flag("config.file", &path("prometheus.yml")))
            .arg(flag("storage.tsdb.path", &path("data")))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(path("log")).unwrap())
            .spawn()
            .expect("expected prometheus");
        let http = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .into();
        Self { child, address, http, folder }
    }

    /// Waits until it serves or exits. Returns whether it serves: if the configuration at its address has another target,
    /// another Prometheus has the port.
    fn is_ready(&mut self) -> bool {
        until("Prometheus serves or exits", || {
            if self.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let config = self.get("/api/v1/status/config", &[])?;
            let own = fs::read_to_string(self.folder.path().join("prometheus.yml")).unwrap();
            let target = own.split('\'').nth(1).unwrap();
            Some(config["data"]["yaml"].as_str()?.contains(target))
        })
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let request = self.http.get(format!("http://{}{path}", self.address));
        let mut answer = request.query_pairs(query.iter().copied()).call().ok()?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }

    /// The values of an expression, each with its labels.
    #[track_caller]
    fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let answer = self.get("/api/v1/query", &[("query", expression)]).unwrap_or_default();
        let result = answer["data"]["result"].as_array();
        let result = result.unwrap_or_else(|| panic!("{expression}: {answer}"));
        let value = |series: &Value| series["value"][1].as_str().unwrap().parse().unwrap();
        result.iter().map(|series| (series["metric"].clone(), value(series))).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- log of Prometheus:\n{}---", self.log());
        }
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

#[test]
#[ignore = "needs promtool and prometheus"]
fn promtool_accepts_all_metrics() {
    let demo = Agent::demo(&[]);
    until("every site is online", || (demo.get("/readyz").status == 200).then_some(()));
    assert_eq!(lint(&demo.get("/metrics").body), "");

    // Odd names from a router.
    let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
    let servers = ["a \"b\" \\c\nd", "a\rb", "\0", "\u{2028}", "", "} 1\n# TYPE a counter"];
    let rows = servers.iter().enumerate().map(|(n, server)| {
        Row::new().id(&format!("*{n}")).with("user", "ada").with("server", *server).with("uptime", "1h")
    });
    router.set_rows("/ip/hotspot/active", rows.collect());
    let agent = AgentBuilder::default().site("awka", router.addr(), "").start();
    until("the site is online", || (agent.get("/readyz").status == 200).then_some(()));
    let text = agent.get("/metrics").body;
    assert!(text.contains(r#"server="a \"b\" \\c\nd""#), "{text}");
    assert_eq!(lint(&text), "");

    // All metrics that the shipped file declares.
    let shipped = Shipped::start(|_| {});
    let scrape = shipped.agent.get("/metrics").body;
    for metric in catalogue().iter().flat_map(|plugin| &plugin.metrics) {
        assert!(scrape.contains(&format!("# TYPE {} ", metric.name)), "{} in\n{scrape}", metric.name);
    }
    assert_eq!(lint(&scrape), "");

    // The check can fail.
    for (change, with) in
        [("# HELP mikrotik_up ", "# HELP mikrotik_down "), ("_logins_total", "_logins"), ("\\n", "\n")]
    {
        assert_ne!(lint(&text.replace(change, with)), "", "expected a complaint about {change} as {with}");
    }
}

#[test]
#[ignore = "needs promtool and prometheus"]
fn prometheus_scrapes_without_gaps_or_counter_resets() {
    let demo = Agent::demo(&[]);
    until("every site is online", || (demo.get("/readyz").status == 200).then_some(()));
    let prometheus = Prometheus::scraping(&demo);
    let began = Instant::now();
    let scrapes = loop {
        let scrapes = prometheus.query("sum_over_time(up[5m])").first().map_or(0.0, |(_, count)| *count);
        let logins = "sum(max_over_time(mikrotik_hotspot_logins_total[5m])) \
             - sum(min_over_time(mikrotik_hotspot_logins_total[5m]))";
        let count = prometheus.query(logins).first().map_or(0.0, |(_, count)| *count);
        if scrapes >= SCRAPES as f64 && count > 0.0 {
            eprintln!("{scrapes} scrapes, {count} logins");
            break scrapes;
        }
        assert!(
            began.elapsed() < TIMEOUT,
            "expected {SCRAPES} scrapes and a login within {TIMEOUT:?}, got {scrapes} and {count}"
        );
        thread::sleep(Duration::from_millis(500));
    };
    for (labels, up) in prometheus.query("min_over_time(up{job=\"agent\"}[5m])") {
        assert!(up > 0.5, "expected no failed scrape: {labels}");
    }
    let names = prometheus.get("/api/v1/label/__name__/values", &[]).unwrap();
    let names = names["data"].as_array().unwrap().iter().filter_map(Value::as_str);
    let totals: Vec<&str> = names.filter(|name| name.ends_with("_total")).collect();
    assert_eq!(totals.len(), 12, "{totals:?}");
    for name in totals {
        let counts = prometheus.query(&format!("count_over_time({name}[5m])"));
        let sites = if name.starts_with("mikrotik_") { 3 } else { 1 };
        assert_eq!(counts.len(), sites, "{counts:?}");
        for (labels, count) in counts {
            assert!(
                count >= scrapes,
                "{name}{labels}: expected it in all {scrapes} scrapes, found in {count}"
            );
        }
        for (labels, resets) in prometheus.query(&format!("resets({name}[5m])")) {
            assert!(resets < 0.5, "{name}{labels}: expected no reset, got {resets}");
        }
        if !["kicks", "api_logins", "lines_dropped", "journal_dropped"]
            .iter()
            .any(|constant| name.contains(constant))
        {
            let rose = prometheus.query(&format!("sum(increase({name}[5m]))"));
            assert!(rose[0].1 > 0.0, "expected {name} to grow");
        }
    }
}

#[test]
#[ignore = "needs promtool and prometheus"]
fn missing_rows_are_zero_and_counters_start_at_zero_in_prometheus() {
    const OLD: u64 = 700_000_000_000;
    let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
    let rows = |rows: &[(&str, u64)]| {
        let row = |(name, bytes): &(&str, u64)| {
            Row::new().id(&format!("*{name}")).with("name", *name).with("bytes", *bytes)
        };
        router.set_rows("/test/thing", rows.iter().map(row).collect());
    };
    rows(&[("a", OLD), ("b", OLD)]);
    let fields = "menu: \"/test/thing\", columns: [\"name\"], metrics: [
        (name: \"things\", kind: Rows, labels: [\"name\"]),
        (name: \"things_bytes_total\", kind: Counter(\"bytes\"), labels: [\"name\"]),
    ]";
    let given = AgentBuilder::default().defaults("refresh: \"1s\",").plugin("things", fields);
    let agent = given.site("awka", router.addr(), "collect: [\"things\"]").start();
    until("the site is online", || (agent.get("/readyz").status == 200).then_some(()));
    let prometheus = Prometheus::scraping(&agent);
    let wait_for = |expression: &str| {
        until(expression, || (!prometheus.query(expression).is_empty()).then_some(()));
    };
    wait_for("things{name=\"b\"} == 1");
    wait_for("things_bytes_total{name=\"a\"} == 0");
    rows(&[("a", OLD + 100)]);
    wait_for("things{name=\"b\"} == 0");
    wait_for("things_bytes_total{name=\"a\"} == 100");
    // The counter of the router restarts at 0.
    rows(&[("a", 8)]);
    wait_for("things_bytes_total{name=\"a\"} == 108");
    assert_eq!(prometheus.query("max_over_time(things_bytes_total[5m]) > 108"), []);
    assert_eq!(prometheus.query("resets(things_bytes_total[5m]) > 0"), []);
}

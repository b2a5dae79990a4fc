//! The page in a real browser: wide and narrow, light and dark, with scripts and without.
//!
//! ```sh
//! npm ci --prefix tests/browser
//! NODE_PATH=$PWD/tests/browser/node_modules cargo test --test external -- --ignored page --nocapture
//! ```
//!
//! Each test starts an agent with its own simulated routers and runs a script of `tests/browser` against it. A line of
//! the script's output that starts with `! ` is a command to the test, which replies with a line of JSON. Screenshots
//! are saved in `target/tmp/page`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::nginx::{self, Nginx};
use crate::support::agent::{Agent, AgentBuilder, until};
use phsweb_agent::simulator::{Fault, Router, Row, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "the-admins-token";

/// A user name with markup and bidirectional characters.
const HOSTILE_NAME: &str = "<script>alert(1)</script>\"'&amp;\u{202E}\u{5D0}";

/// The length of a very long name.
const LONG: usize = 10 * 1024;

/// One browser at a time: scripts have timeouts, and the machine may have two cores.
static ALONE: Mutex<()> = Mutex::new(());

/// Simulated sites and the agent.
struct World {
    routers: BTreeMap<&'static str, Router>,
    agent: Option<Agent>,
    address: SocketAddr,
    /// The folder and the text of `sites.ron`.
    folder: Option<TempDir>,
    file: String,
    /// A demo with more sites.
    demo: Option<Agent>,
}

impl World {
    fn new() -> Self {
        let settings = |seed, active| Settings { seed, active, ..Settings::default() };
        let back = Settings { cookies_log_back_in: true, ..settings(3, 0) };
        let sites = [
            ("awka", settings(1, 23)),
            ("lagos", settings(2, 9)),
            ("back", back),
            ("gone", settings(4, 0)),
            ("full", settings(5, 40)),
        ];
        let start = |settings| Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap();
        let routers: BTreeMap<_, _> =
            sites.into_iter().map(|(key, settings)| (key, start(settings))).collect();
        let address = routers["back"].log_in("ada", Ipv4Addr::new(10, 5, 50, 2), "8C:F5:A3:00:00:01");
        assert!(address.is_some());
        routers["gone"].set_fault(Some(Fault::Refuse));
        let failed = "vc-2231 (10.5.50.9): login failed: invalid username or password";
        let line = Row::new().with("time", "14:11:02").with("topics", "hotspot,info,debug");
        routers["full"].set_rows("/log", vec![line.with("message", failed)]);
        let address = ([127, 0, 0, 1], 0).into();
        let mut world = Self { routers, agent: None, address, folder: None, file: String::new(), demo: None };
        world.start();
        world
    }

    /// Starts the agent, on the previous address if it ran before.
    fn start(&mut self) {
        let given = self.given();
        let (command, folder) = given.command();
        let agent = Agent::start(command).with_token(TOKEN);
        self.address = agent.address;
        (self.folder, self.file) = (Some(folder), given.text());
        for key in ["awka", "lagos", "back", "full"] {
            agent.wait_until_active(key);
        }
        self.agent = Some(agent);
    }

    /// Starts the agent without a file.
    fn wait(&mut self) {
        self.agent = None;
        let given = self.given().argument("--wait").argument("--config").argument("sites.ron");
        let (command, folder) = given.command();
        fs::remove_file(folder.path().join("sites.ron")).unwrap();
        self.agent = Some(Agent::start(command).with_token(TOKEN));
        (self.folder, self.file) = (Some(folder), given.text());
    }

    fn given(&self) -> AgentBuilder {
        let mut given = AgentBuilder::default()
            .http(&format!("admin: Token(Plain(\"{TOKEN}\")),"))
            .file("alerts: (on: [SiteDown(after: \"1s\")]),")
            .timing("retry_max", "2s")
            .plugin("log", "menu: \"/log\", columns: [\"time\", \"message\"]")
            .argument("run")
            .argument("--listen")
            .argument(&self.address.to_string());
        for (key, router) in &self.routers {
            let name = key[..1].to_uppercase() + &key[1..];
            let collect = if *key == "full" { ", collect: [\"hotspot\", \"resource\", \"log\"]" } else { "" };
            given = given.site(key, router.addr(), &format!("name: \"{name}\"{collect}"));
        }
        given
    }

    /// Runs a command of a script.
    fn act(&mut self, words: &[&str]) -> Value {
        match *words {
            ["agent", "kill"] => self.agent = None,
            ["agent", "start"] => self.start(),
            ["agent", "wait"] => self.wait(),
            ["fires"] => {
                let agent = self.agent.as_ref().unwrap();
                until("an alert fires", || (agent.json("/api/alerts")["firing"] != json!([])).then_some(()));
            }
            ["nasty"] => return self.log_in_hostile_names(),
            ["file", what] => self.write_file(what),
            ["demo", sites] => {
                let demo = self.demo.insert(Agent::demo(&["--sites", sites]));
                return json!(format!("http://{}", demo.address));
            }
            [what, key, ref more @ ..] => return self.act_on(what, key, more),
            _ => panic!("{words:?}"),
        }
        Value::Null
    }

    fn act_on(&self, what: &str, key: &str, more: &[&str]) -> Value {
        let router = &self.routers[key];
        let id_of =
            |user: &str| router.sessions().into_iter().find(|session| session.user == user).unwrap().id;
        match (what, more) {
            ("sessions", []) => {
                let session =
                    |of: phsweb_agent::simulator::OnlineSession| json!({ "user": of.user, "mac": of.mac });
                return router.sessions().into_iter().map(session).collect();
            }
            ("log_in", [user, address]) => {
                let mac = "8C:F5:A3:12:34:56";
                assert!(
                    router.log_in(user, address.parse().unwrap(), mac).is_some(),
                    "expected a free address {address}"
                );
            }
            ("log_out", [user]) => router.log_out(&id_of(user)),
            ("replace", [user]) => {
                let session = router.sessions().into_iter().find(|session| session.user == *user).unwrap();
                router.log_out(&session.id);
                assert!(router.log_in("replaced", session.address, "8C:F5:A3:65:43:21").is_some());
            }
            ("reboot", []) => router.reboot(),
            ("latency", [ms]) => router.set_latency(Duration::from_millis(ms.parse().unwrap())),
            ("fault", ["none"]) => router.set_fault(None),
            ("fault", [name]) => router.set_fault(Some(name.parse().unwrap())),
            ("wait", [cause]) => drop(self.agent.as_ref().unwrap().wait_for_error(key, cause)),
            _ => panic!("{what} {key} {more:?}"),
        }
        Value::Null
    }

    /// Writes `sites.ron`, unchanged or with one change.
    fn write_file(&self, what: &str) {
        let file = match what {
            "same" => self.file.clone(),
            "wrong" => self.file.replace("listen:", "lisen:"),
            "site" => {
                let at = self.routers["awka"].addr();
                let site =
                    format!("\"new\": (name: \"New\", hosts: [\"{at}\"], password: Plain(\"password\")),");
                self.file.replace("sites: {", &format!("sites: {{ {site}"))
            }
            "plugin" => {
                let declared = "plugins: { \"ports\": (title: \"Ports\", menu: \"/interface\", columns: [\"name\", \"type\"]),";
                let collect = "\"awka\": (collect: [\"hotspot\", \"ports\"], ";
                self.file.replace("plugins: {", declared).replace("\"awka\": (", collect)
            }
            _ => panic!("{what}"),
        };
        assert_eq!(file == self.file, what == "same");
        fs::write(self.folder.as_ref().unwrap().path().join("sites.ron"), file).unwrap();
    }

    /// Logs in users with hostile names. Returns the names.
    fn log_in_hostile_names(&self) -> Value {
        let names =
            [HOSTILE_NAME.to_string(), HOSTILE_NAME.repeat(LONG / HOSTILE_NAME.len()), "W".repeat(LONG)];
        for (n, name) in names.iter().enumerate() {
            let address = Ipv4Addr::new(10, 5, 61, u8::try_from(n).unwrap() + 1);
            assert!(self.routers["awka"].log_in(name, address, "8C:F5:A3:00:00:09").is_some());
        }
        let agent = self.agent.as_ref().unwrap();
        agent.stats_when("awka", "the users are online", |stats| stats["activeUsers"] == 26);
        json!(names)
    }
}

/// Runs a script against a new agent.
#[track_caller]
fn run(script: &str) {
    run_behind_proxy(script, |address| (format!("http://{address}"), ()));
}

/// Runs a script against a new agent behind a proxy. `start_proxy` returns its URL and a guard that stops it.
#[track_caller]
fn run_behind_proxy<T>(script: &str, start_proxy: impl FnOnce(SocketAddr) -> (String, T)) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut world = World::new();
    let (url, _proxy) = start_proxy(world.address);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&screenshots).unwrap();
    let mut browser = Command::new("node")
        .arg(root.join("tests/browser").join(script))
        .arg(url)
        .arg(&screenshots)
        .arg(TOKEN)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answers = browser.stdin.take().unwrap();
    for line in BufReader::new(browser.stdout.take().unwrap()).lines().map(Result::unwrap) {
        match line.strip_prefix("! ") {
            Some(command) => {
                let answer = world.act(&command.split(' ').collect::<Vec<_>>());
                writeln!(answers, "{answer}").unwrap();
            }
            None => println!("{line}"),
        }
    }
    assert!(browser.wait().unwrap().success(), "{script} failed, see its output above");
}

#[test]
#[ignore = "needs chromium, and node with playwright-core and axe-core"]
fn pages_render_correctly_and_accessibly() {
    run("look.js");
}

#[test]
#[ignore = "needs chromium, and node with playwright-core and axe-core"]
fn sessions_are_disconnected() {
    run("kick.js");
}

#[test]
#[ignore = "needs chromium, and node with playwright-core and axe-core"]
fn open_page_updates_live() {
    run("live.js");
}

#[test]
#[ignore = "needs chromium, and node with playwright-core and axe-core"]
fn open_page_shows_configuration_changes() {
    run("file.js");
}

#[test]
#[ignore = "needs chromium, nginx, and node with playwright-core and axe-core"]
fn page_works_behind_a_proxy_with_the_documented_configuration() {
    run_behind_proxy("proxy.js", |agent| {
        let nginx = Nginx::start(&nginx::documented(agent));
        (format!("https://{}/hotspots", nginx.address), nginx)
    });
}

#[test]
#[ignore = "needs chromium, nginx, and node with playwright-core and axe-core"]
fn page_works_behind_a_proxy_with_default_headers() {
    run_behind_proxy("proxy.js", |agent| {
        let nginx = Nginx::start(&format!("location /hot/ {{ proxy_pass http://{agent}/; }}"));
        (format!("https://{}/hot", nginx.address), nginx)
    });
}

#[test]
#[ignore = "needs chromium, and node with playwright-core and axe-core"]
fn login_and_logout_work() {
    run("login.js");
}

#[test]
#[ignore = "needs chromium, and node with playwright-core and axe-core"]
fn open_overview_of_busy_sites_has_low_traffic() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let agent = Agent::demo(&["--sites", "30"]);
    until("all sites were tried", || (agent.get("/readyz").status == 200).then_some(()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/traffic.js");
    let url = format!("http://{}", agent.address);
    let status = Command::new("node").arg(script).arg(url).stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "traffic.js failed, see its output above");
}

//! The real binary with a file of its own, and what to ask it.
//!
//! Nothing that it says to any of these tests may have a secret in it.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::timings::TEST_VARIABLE;
use serde_json::Value;
use tempfile::TempDir;
use ureq::http::{Method, Request};

use super::binary::binary;
use super::unsaid::Unsaid;

/// After this a test has waited in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// Intervals that most tests would wait for, shortened. Those that make sure that something does not happen keep their
/// defaults, unless a test sets them by [`Given::timing`].
const TIMINGS: &str = "retry_min=100ms boot_retry=2s failback_probe_min=600ms failback_probe_max=600ms config_poll=500ms wrong_token_delay=1ms";

/// From one look to the next.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until something is there.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// Looks until something is there, for `most` at most.
#[track_caller]
pub(crate) fn until_within<T>(most: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < most, "waited {most:?} in vain until {what}");
        thread::sleep(LOOK);
    }
}

/// Looks again and again for a while; each look must find things as they should be.
pub(crate) fn throughout(time: Duration, mut look: impl FnMut()) {
    let began = Instant::now();
    while began.elapsed() < time {
        look();
        thread::sleep(LOOK);
    }
}

/// The program, without anything of this process's environment.
pub(crate) fn program<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(binary());
    command.env_clear().args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env(TEST_VARIABLE, TIMINGS);
    command
}

/// How a program that ends by itself ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a program that must end by itself.
#[track_caller]
pub(crate) fn end_of(mut command: Command) -> Ended {
    let mut running = Running::start(&mut command);
    let status = running.ended(PATIENCE);
    Ended { code: status.code(), out: running.out(), err: running.err() }
}

/// A child, killed at the end, and what it has said so far.
pub(crate) struct Running {
    child: Child,
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
    lines: Mutex<mpsc::Receiver<String>>,
    readers: Vec<thread::JoinHandle<()>>,
    pub(crate) unsaid: Unsaid,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (out, err) = (Arc::default(), Arc::default());
        let (line, lines) = mpsc::channel();
        let mut readers = vec![collect(child.stdout.take().unwrap(), Arc::clone(&out), Some(line))];
        // A test may have given it a stderr of its own.
        readers.extend(child.stderr.take().map(|from| collect(from, Arc::clone(&err), None)));
        Self { child, out, err, lines: Mutex::new(lines), readers, unsaid: Unsaid::of(command) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The rest of the first line to come on stdout that begins so.
    #[track_caller]
    pub(crate) fn line(&self, start: &str) -> String {
        let began = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let line = self.lines.lock().unwrap().recv_timeout(left).unwrap_or_else(|_| {
                panic!("no line {start:?}…\n{}{}", self.out(), self.err());
            });
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim_end().to_string();
            }
        }
    }

    /// Waits until all has come that it said before its end.
    fn hear_out(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.out.lock().unwrap()).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.err.lock().unwrap()).into_owned()
    }

    /// A figure of its memory in KiB: `VmRSS` now, `VmHWM` at the most.
    #[track_caller]
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// How it ended, within this time; all that it said has come by then.
    #[track_caller]
    pub(crate) fn ended(&mut self, most: Duration) -> ExitStatus {
        let status = until_within(most, "the program has ended", || self.child.try_wait().unwrap());
        self.hear_out();
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- it said:\n{}{}---", self.out(), self.err());
            return;
        }
        self.hear_out();
        self.unsaid.check("its output", &self.out());
        self.unsaid.check("its log", &self.err());
    }
}

fn collect(
    from: impl Read + Send + 'static,
    into: Arc<Mutex<Vec<u8>>>,
    line_to: Option<mpsc::Sender<String>>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
            into.lock().unwrap().extend_from_slice(&line);
            if let Some(to) = &line_to {
                // Nobody need listen any more.
                let _ = to.send(String::from_utf8_lossy(&line).into_owned());
            }
            line.clear();
        }
    })
}

/// An agent that serves its page.
pub(crate) struct Agent {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    http: ureq::Agent,
    token: Option<String>,
    _folder: Option<TempDir>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: ureq::http::HeaderMap,
    pub(crate) body: String,
}

/// What a relative address of a page or a redirect leads to, from the agent's root on. That it has the right number
/// of `../` is tested below a proxy's path.
#[track_caller]
pub(crate) fn from_root(relative: &str) -> String {
    assert!(relative.starts_with("./") || relative.starts_with("../"), "{relative:?} is not relative");
    format!("/{}", relative.trim_start_matches("../").trim_start_matches("./"))
}

impl Answer {
    /// A header field's value; empty where there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.head.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where it redirects to, from the agent's root on.
    #[track_caller]
    pub(crate) fn location(&self) -> String {
        from_root(self.field("Location"))
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Agent {
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        let running = Running::start(&mut command);
        let address = running.line("The page is at http://");
        let address = address.trim_end_matches('/').parse().unwrap();
        let http = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        Self { running, address, http, token: None, _folder: None }
    }

    /// `demo`, at a port of the system's choice.
    #[track_caller]
    pub(crate) fn demo(more: &[&str]) -> Self {
        Self::start(program(["demo", "--listen", "127.0.0.1:0"].iter().chain(more)))
    }

    /// The same, asking with this token from now on.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Any request without a body. The fields stand above the token.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask_with(method, path, fields, b"")
    }

    /// A POST with this body.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask_with("POST", path, &[], body.as_ref())
    }

    /// Any request, with this body where it may have one. The fields stand above the token.
    #[track_caller]
    pub(crate) fn ask_with(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("http://{}{path}", self.address));
        let own = fields.iter().any(|(name, _)| *name == "Authorization");
        if let Some(token) = self.token.as_ref().filter(|_| !own) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        // With a length, be it 0, where a body may be.
        let has_body = !matches!(method, "GET" | "HEAD" | "OPTIONS" | "DELETE");
        let answer = if has_body {
            self.http.run(request.body(body).unwrap())
        } else {
            self.http.run(request.body(()).unwrap())
        };
        let mut answer = answer.unwrap();
        let body = answer.body_mut().read_to_string().unwrap();
        let answer = Answer { status: answer.status().as_u16(), head: answer.headers().clone(), body };
        self.running.unsaid.check(&format!("its answer to {method} {path}"), &format!("{answer:?}"));
        answer
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    /// What a path that must be there says.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!((answer.status, answer.field("Content-Type")), (200, "application/json"), "{path}");
        answer.json()
    }

    #[track_caller]
    pub(crate) fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(
            (answer.status, answer.field("Content-Type")),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
        answer.body
    }

    /// A site's stats.
    #[track_caller]
    pub(crate) fn stats(&self, site: &str) -> Value {
        self.json(&format!("/api/hotspot/{site}"))
    }

    /// A site's stats, once it is `active` with the figures of all its plugins.
    #[track_caller]
    pub(crate) fn well(&self, site: &str) -> Value {
        self.stats_when(site, "the site is active", |stats| stats["status"] == "active")
    }

    /// A site's stats, once they are so.
    #[track_caller]
    pub(crate) fn stats_when(&self, site: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let began = Instant::now();
        until_within(PATIENCE + LOOK, &format!("{site}: {what}"), || {
            last = self.stats(site);
            assert!(began.elapsed() < PATIENCE, "{site}: waited in vain until {what}: {last:#}");
            holds(&last).then(|| last.clone())
        })
    }

    /// A site's error cause, once it is this one.
    #[track_caller]
    pub(crate) fn fails(&self, site: &str, cause: &str) -> Value {
        self.stats_when(site, &format!("its error is {cause}"), |stats| stats["error"]["cause"] == cause)
    }
}

/// A `sites.ron` in the making.
#[derive(Default)]
pub(crate) struct Given {
    http: String,
    defaults: String,
    sites: String,
    plugins: String,
    variables: Vec<(String, String)>,
    timings: String,
    arguments: Vec<String>,
}

impl Given {
    /// Fields of `http`, beside `listen`.
    pub(crate) fn http(mut self, fields: &str) -> Self {
        self.http += fields;
        self
    }

    /// Fields of `defaults`, beside `user`.
    pub(crate) fn defaults(mut self, fields: &str) -> Self {
        self.defaults += fields;
        self
    }

    /// A site with the usual password, and more fields.
    pub(crate) fn site(self, key: &str, at: SocketAddr, more: &str) -> Self {
        self.raw_site(key, &format!("hosts: [\"{at}\"], password: Plain(\"password\"), {more}"))
    }

    /// A site with just these fields.
    pub(crate) fn raw_site(mut self, key: &str, fields: &str) -> Self {
        writeln!(self.sites, "        \"{key}\": ({fields}),").unwrap();
        self
    }

    /// A plugin with just these fields.
    pub(crate) fn plugin(mut self, name: &str, fields: &str) -> Self {
        writeln!(self.plugins, "        \"{name}\": ({fields}),").unwrap();
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Sets an interval of the agent's policies.
    pub(crate) fn timing(mut self, name: &str, value: &str) -> Self {
        write!(self.timings, " {name}={value}").unwrap();
        self
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn text(&self) -> String {
        let Self { http, defaults, sites, plugins, .. } = self;
        format!(
            "(\n    http: (listen: \"127.0.0.1:0\", {http}),\n    defaults: (user: \"api-user\", {defaults}),\n    \
             sites: {{\n{sites}    }},\n    plugins: {{\n{plugins}    }},\n)\n"
        )
    }

    /// The program in a folder of its own, which has nothing but the file.
    pub(crate) fn command(&self) -> (Command, TempDir) {
        // Its own user's alone, as the agent warns of secrets that are for everybody.
        let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
        std::fs::write(folder.path().join("sites.ron"), self.text()).unwrap();
        // Without a command the program only prints its help.
        let run = self.arguments.first().is_none_or(|first| first.starts_with('-')).then_some("run");
        let mut command = program(run);
        command.args(&self.arguments);
        command.current_dir(folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env(TEST_VARIABLE, format!("{TIMINGS}{}", self.timings));
        (command, folder)
    }

    #[track_caller]
    pub(crate) fn start(self) -> Agent {
        let (command, folder) = self.command();
        Agent { _folder: Some(folder), ..Agent::start(command) }
    }
}

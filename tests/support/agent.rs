//! Running the real binary with its own `sites.ron`, and sending requests to it.
//!
//! Every response and all output are checked for secrets.

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
use ureq::http::{HeaderMap, Method, Request};

use super::binary::binary;
use super::secret_check::SecretCheck;

/// Timeout of each wait.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(25);

/// Short intervals, where most tests would have to wait. Intervals that make sure that something does not happen keep
/// their defaults, unless a test sets them by [`AgentBuilder::timing`].
const TIMINGS: &str = "retry_min=100ms boot_retry=2s failback_probe_min=600ms failback_probe_max=600ms config_poll=500ms wrong_token_delay=1ms";

/// The pause between two checks of a condition.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `look` returns something.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(TIMEOUT, what, look)
}

/// Waits until `look` returns something, for at most `timeout`.
#[track_caller]
pub(crate) fn until_within<T>(timeout: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < timeout, "timed out after {timeout:?} waiting until {what}");
        thread::sleep(LOOK);
    }
}

/// Calls `look`, which asserts a condition, repeatedly for a while.
pub(crate) fn throughout(time: Duration, mut look: impl FnMut()) {
    let began = Instant::now();
    while began.elapsed() < time {
        look();
        thread::sleep(LOOK);
    }
}

/// The binary, with an empty environment.
pub(crate) fn program<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(binary());
    command.env_clear().args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env(TEST_VARIABLE, TIMINGS);
    command
}

/// The exit code and output of a program.
pub(crate) struct ProgramOutput {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a program until it exits.
#[track_caller]
pub(crate) fn run_to_end(mut command: Command) -> ProgramOutput {
    let mut running = Running::start(&mut command);
    let status = running.wait_for_exit(TIMEOUT);
    ProgramOutput { code: status.code(), out: running.out(), err: running.err() }
}

/// A child process with its output so far. It is killed on drop.
pub(crate) struct Running {
    child: Child,
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
    lines: Mutex<mpsc::Receiver<String>>,
    readers: Vec<thread::JoinHandle<()>>,
    pub(crate) secrets: SecretCheck,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (out, err) = (Arc::default(), Arc::default());
        let (line, lines) = mpsc::channel();
        let mut readers = vec![collect(child.stdout.take().unwrap(), Arc::clone(&out), Some(line))];
        // A test may have redirected stderr.
        readers.extend(child.stderr.take().map(|from| collect(from, Arc::clone(&err), None)));
        Self { child, out, err, lines: Mutex::new(lines), readers, secrets: SecretCheck::of(command) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until standard error has `words` exactly `count` times, because a thread of its own writes the log.
    #[track_caller]
    pub(crate) fn assert_logged(&self, words: &str, count: usize) {
        until(&format!("{words:?} is in the log {count} times"), || {
            let log = self.err();
            let found = log.matches(words).count();
            assert!(found <= count, "{words:?} is in the log {found} times instead of {count}:\n{log}");
            (found == count).then_some(())
        });
    }

    /// Waits for the next line on stdout with this prefix. Returns the rest of the line.
    #[track_caller]
    pub(crate) fn line(&self, start: &str) -> String {
        let began = Instant::now();
        loop {
            let left = TIMEOUT.saturating_sub(began.elapsed());
            let line = self.lines.lock().unwrap().recv_timeout(left).unwrap_or_else(|_| {
                panic!("expected a line {start:?}… within {TIMEOUT:?}, got:\n{}{}", self.out(), self.err());
            });
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim_end().to_string();
            }
        }
    }

    /// Waits until all output has been read.
    fn read_to_end(&mut self) {
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

    /// Memory in KiB: `VmRSS` is the current use, `VmHWM` the peak.
    #[track_caller]
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits until the program exits, and until its output has been read.
    #[track_caller]
    pub(crate) fn wait_for_exit(&mut self, timeout: Duration) -> ExitStatus {
        let status = until_within(timeout, "the program exits", || self.child.try_wait().unwrap());
        self.read_to_end();
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- output of the program:\n{}{}---", self.out(), self.err());
            return;
        }
        self.read_to_end();
        self.secrets.check("its output", &self.out());
        self.secrets.check("its log", &self.err());
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
                // The receiver may be dropped.
                let _ = to.send(String::from_utf8_lossy(&line).into_owned());
            }
            line.clear();
        }
    })
}

/// A running agent that serves HTTP.
pub(crate) struct Agent {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    http: ureq::Agent,
    token: Option<String>,
    _folder: Option<TempDir>,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: HeaderMap,
    pub(crate) body: String,
}

/// The absolute path of a relative link or redirect. The tests behind a proxy check its number of `../`.
#[track_caller]
pub(crate) fn from_root(relative: &str) -> String {
    assert!(relative.starts_with("./") || relative.starts_with("../"), "{relative:?} is not relative");
    format!("/{}", relative.trim_start_matches("../").trim_start_matches("./"))
}

/// The body of a response, decompressed; for an image, only its length.
pub(crate) fn text_of(head: &HeaderMap, mut body: Vec<u8>) -> String {
    if head.contains_key("Content-Encoding") && !body.is_empty() {
        // Between the header and the checksum with the length (RFC 1952).
        let deflated = &body[10..body.len() - 8];
        let inflated = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
        let length = u32::try_from(inflated.len()).unwrap();
        assert_eq!(body[body.len() - 4..], length.to_le_bytes(), "the length in the trailer");
        body = inflated;
    }
    let is_image = head.get("Content-Type").is_some_and(|kind| kind == "image/png");
    if is_image { format!("{} bytes", body.len()) } else { String::from_utf8(body).unwrap() }
}

impl Answer {
    /// The value of a header field; empty if it is absent.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.head.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The absolute path of a redirect.
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
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        Self { running, address, http, token: None, _folder: None }
    }

    /// Starts `demo` on a free port.
    #[track_caller]
    pub(crate) fn demo(more: &[&str]) -> Self {
        Self::start(program(["demo", "--listen", "127.0.0.1:0"].iter().chain(more)))
    }

    /// Sends this token with each request.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Sends a request without a body. `fields` override the token.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask_with(method, path, fields, b"")
    }

    /// Sends a POST.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask_with("POST", path, &[], body.as_ref())
    }

    /// Sends a request. The body is ignored if the method has none; `fields` override the token.
    #[track_caller]
    pub(crate) fn ask_with(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("http://{}{path}", self.address));
        let has_own_credential = fields.iter().any(|(name, _)| *name == "Authorization");
        if let Some(token) = self.token.as_ref().filter(|_| !has_own_credential) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        // A body has a Content-Length even if it is empty.
        let has_body = !matches!(method, "GET" | "HEAD" | "OPTIONS" | "DELETE");
        let answer = if has_body {
            self.http.run(request.body(body).unwrap())
        } else {
            self.http.run(request.body(()).unwrap())
        };
        let mut answer = answer.unwrap();
        let body = answer.body_mut().read_to_vec().unwrap();
        let body = text_of(answer.headers(), body);
        let answer = Answer { status: answer.status().as_u16(), head: answer.headers().clone(), body };
        for (part, text) in [("head", &format!("{:?}", answer.head)), ("body", &answer.body)] {
            self.running.secrets.check(&format!("the {part} of the response to {method} {path}"), text);
        }
        answer
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    /// The JSON of a path, which must exist.
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

    /// Waits until a site is `active`. Returns its stats.
    #[track_caller]
    pub(crate) fn wait_until_active(&self, site: &str) -> Value {
        self.stats_when(site, "the site is active", |stats| stats["status"] == "active")
    }

    /// Waits until all sites with a hotspot are read completely: their internal plugins are last.
    #[track_caller]
    pub(crate) fn wait_until_all_are_read(&self) {
        until("all sites are read", || {
            let sites = self.json("/api/sites");
            let is_read = |site: &Value| {
                site["capacity"]["pools"].is_array() && site["clock"]["utcOffsetSeconds"].is_number()
            };
            sites.as_object().unwrap().values().all(is_read).then_some(())
        });
    }

    /// Waits until the stats of a site fulfil a condition. Returns them.
    #[track_caller]
    pub(crate) fn stats_when(&self, site: &str, what: &str, is_true: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let began = Instant::now();
        until_within(TIMEOUT + LOOK, &format!("{site}: {what}"), || {
            last = self.stats(site);
            assert!(
                began.elapsed() < TIMEOUT,
                "{site}: timed out after {TIMEOUT:?} waiting until {what}; last stats: {last:#}"
            );
            is_true(&last).then(|| last.clone())
        })
    }

    /// Waits until a site has this error cause. Returns its stats.
    #[track_caller]
    pub(crate) fn wait_for_error(&self, site: &str, cause: &str) -> Value {
        self.stats_when(site, &format!("its error is {cause}"), |stats| stats["error"]["cause"] == cause)
    }
}

/// Builds a `sites.ron` and the command that runs the agent with it.
#[derive(Default)]
pub(crate) struct AgentBuilder {
    file: String,
    http: String,
    defaults: String,
    sites: String,
    plugins: String,
    variables: Vec<(String, String)>,
    timings: String,
    arguments: Vec<String>,
}

impl AgentBuilder {
    /// Adds fields of the file itself.
    pub(crate) fn file(mut self, fields: &str) -> Self {
        self.file += fields;
        self
    }

    /// Adds fields of `http`, which has `listen`.
    pub(crate) fn http(mut self, fields: &str) -> Self {
        self.http += fields;
        self
    }

    /// Adds fields of `defaults`, which has `user`.
    pub(crate) fn defaults(mut self, fields: &str) -> Self {
        self.defaults += fields;
        self
    }

    /// Adds a site with the password of [`Settings`](phsweb_agent::simulator::Settings) and more fields.
    pub(crate) fn site(self, key: &str, at: SocketAddr, more: &str) -> Self {
        self.raw_site(key, &format!("hosts: [\"{at}\"], password: Plain(\"password\"), {more}"))
    }

    /// Adds a site with these fields only.
    pub(crate) fn raw_site(mut self, key: &str, fields: &str) -> Self {
        writeln!(self.sites, "        \"{key}\": ({fields}),").unwrap();
        self
    }

    /// Adds a plugin with these fields only.
    pub(crate) fn plugin(mut self, name: &str, fields: &str) -> Self {
        writeln!(self.plugins, "        \"{name}\": ({fields}),").unwrap();
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Sets a test timing of the agent.
    pub(crate) fn timing(mut self, name: &str, value: &str) -> Self {
        write!(self.timings, " {name}={value}").unwrap();
        self
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn text(&self) -> String {
        let Self { file, http, defaults, sites, plugins, .. } = self;
        format!(
            "({file}\n    http: (listen: \"127.0.0.1:0\", {http}),\n    defaults: (user: \"api-user\", {defaults}),\n    \
             sites: {{\n{sites}    }},\n    plugins: {{\n{plugins}    }},\n)\n"
        )
    }

    /// The command, in a new folder with the file only.
    pub(crate) fn command(&self) -> (Command, TempDir) {
        // Readable by its owner only, because the agent warns about secrets that others can read.
        let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
        std::fs::write(folder.path().join("sites.ron"), self.text()).unwrap();
        // Without a subcommand the program prints its help.
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

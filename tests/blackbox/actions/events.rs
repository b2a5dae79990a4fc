//! Server-sent events: each change reaches every subscriber in time, however slowly others read.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Fault, Router, Settings};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, TIMEOUT, until};
use super::{open_files, router};

const MAC: &str = "8C:F5:A3:00:00:01";

/// From a login on the router to its event, on a busy machine. Without `listen` it would be a refresh later.
const AT_ONCE: Duration = Duration::from_secs(8);

/// From one comment to the next, and what a busy machine may add.
const COMMENT_EVERY: Duration = Duration::from_secs(2);
const LATE: Duration = Duration::from_secs(5);

/// How long the agent waits for a subscriber that does not read.
const CLIENT_WRITE: Duration = Duration::from_secs(5);

/// Longest delay of another subscriber meanwhile: less than that.
const MAX_DELAY: Duration = Duration::from_secs(4);

/// Longest time of a shutdown.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Sites that are all the same router, each with an event of 1.2 KB, and so many of its changes that their events are
/// more than the system holds of a connection: four MiB.
const ALIKE: usize = 150;
const CHANGES: u64 = 40;

/// Pages open at once.
const PAGES: usize = 200;

/// Most memory that subscribers that do not read may take, in KiB: their backlogs and a few events of this size.
const MORE_KIB: u64 = 3 * 1024;

fn quiet() -> Settings {
    Settings { active: 0, users: 0, ..Settings::default() }
}

/// A router that is many sites, so that each of its changes is many events and buffers are full soon.
fn shared() -> Router {
    router(Settings { max_sessions: 2 * ALIKE, ..quiet() })
}

/// That router as many sites; the first is awka.
fn sites_of(router: &Router) -> AgentBuilder {
    let keys = (1..ALIKE).map(|n| format!("alike{n}"));
    let more = format!("collect: [\"hotspot\"], name: \"{}\",", "𝄞".repeat(60));
    keys.fold(given(router, &more), |given, key| given.site(&key, router.addr(), &more))
}

fn given(router: &Router, more: &str) -> AgentBuilder {
    AgentBuilder::default().defaults("refresh: \"1h\",").site("awka", router.addr(), more)
}

fn agent(router: &Router, more: &str) -> Agent {
    let agent = given(router, more).start();
    agent.wait_until_active("awka");
    agent
}

fn at(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 5, 70, n)
}

/// A client that subscribes.
struct Page {
    stream: BufReader<TcpStream>,
    status: u16,
    head: String,
    /// The last id.
    id: u64,
}

/// One block of lines, up to an empty one.
#[derive(Debug)]
enum Block {
    Comment,
    Site(Value),
}

impl Page {
    #[track_caller]
    fn open(address: SocketAddr, method: &str, fields: &str) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), method, fields)
    }

    #[track_caller]
    fn over(mut stream: TcpStream, method: &str, fields: &str) -> Self {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let head = format!("{method} /api/events HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).unwrap() > 0, "expected a complete head, got {head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { stream, status, head: head.to_lowercase(), id: 0 }
    }

    #[track_caller]
    fn follow(agent: &Agent) -> Self {
        let page = Self::open(agent.address, "GET", "");
        assert_eq!(page.status, 200, "{}", page.head);
        page
    }

    /// The next block, of which each line is one that a browser knows.
    #[track_caller]
    fn next(&mut self) -> Block {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            assert!(
                self.stream.read_until(b'\n', &mut line).unwrap() > 0,
                "expected another event, the stream ended after {lines:?}"
            );
            assert_eq!(line.pop(), Some(b'\n'));
            let line = String::from_utf8(line).unwrap();
            assert!(!line.contains('\r'), "expected a complete line, got {line:?}");
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        if let [comment] = lines.as_slice() {
            assert!(comment.starts_with(':'), "{lines:?}");
            return Block::Comment;
        }
        assert_eq!(lines.len(), 3, "{lines:?}");
        let id: u64 = lines[0].strip_prefix("id: ").unwrap().parse().unwrap();
        assert!(id >= self.id, "{id} after {}", self.id);
        self.id = id;
        assert_eq!(lines[1], "event: site");
        Block::Site(serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap())
    }

    /// The next event of a site.
    #[track_caller]
    fn site(&mut self) -> Value {
        let began = Instant::now();
        loop {
            if let Block::Site(site) = self.next() {
                return site;
            }
            assert!(began.elapsed() < TIMEOUT, "expected an event of a site, got comments only");
        }
    }

    /// The next event of this site for which this holds.
    #[track_caller]
    fn site_when(&mut self, key: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let site = self.site();
            if site["site"] == key && holds(&site) {
                return site;
            }
            assert!(began.elapsed() < TIMEOUT, "last event: {site}");
        }
    }
}

#[test]
fn a_subscriber_gets_the_state_of_all_sites_and_then_each_change() {
    let [awka, lagos] = [router(quiet()), router(quiet())];
    let given = given(&awka, "name: \"Awka\"").site("lagos", lagos.addr(), "live: false");
    let agent = given.start();
    for key in ["awka", "lagos"] {
        agent.wait_until_active(key);
    }
    let began = Instant::now();
    let mut page = Page::follow(&agent);
    for field in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-store\r\n",
        "x-accel-buffering: no\r\n",
        "connection: close\r\n",
        "x-content-type-options: nosniff\r\n",
    ] {
        assert!(page.head.contains(field), "{field} in {}", page.head);
    }
    for field in ["content-length", "transfer-encoding", "etag", "content-encoding"] {
        assert!(!page.head.contains(field), "{field} in {}", page.head);
    }
    let first = [page.site(), page.site()];
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    for (event, key) in first.iter().zip(["awka", "lagos"]) {
        let mut stats = agent.stats(key);
        stats["site"] = json!(key);
        for age in ["ageSeconds", "lastActivity"] {
            stats[age] = event[age].clone();
        }
        assert_eq!(*event, stats, "expected the stats of /api/hotspot/{key}");
    }
    let mut slowest = Duration::ZERO;
    for n in 1..6_u8 {
        let began = Instant::now();
        let id = awka.log_in("ada", at(n), MAC).unwrap();
        let event = page.site_when("awka", |site| site["activeUsers"] == 1);
        assert_eq!((&event["logins"], &event["name"]), (&json!(n), &json!("Awka")), "{event}");
        slowest = slowest.max(began.elapsed());
        let began = Instant::now();
        awka.log_out(&id);
        let event = page.site_when("awka", |site| site["activeUsers"] == 0);
        assert_eq!(event["logouts"], json!(n), "{event}");
        slowest = slowest.max(began.elapsed());
    }
    eprintln!("slowest event: {slowest:?}");
    assert!(slowest < AT_ONCE, "{slowest:?}");
    // Only changes are sent.
    awka.set_fault(Some(Fault::NoService));
    let event = page.site();
    assert_eq!((&event["site"], &event["status"]), (&json!("awka"), &json!("maintenance")), "{event}");
}

#[test]
fn a_comment_comes_every_fifteen_seconds() {
    let router = router(quiet());
    let agent = given(&router, "").timing("event_comment", "2s").start();
    agent.wait_until_active("awka");
    let mut page = Page::follow(&agent);
    page.site();
    let comment = |page: &mut Page| {
        while let Block::Site(_) = page.next() {}
        Instant::now()
    };
    let began = Instant::now();
    let first = comment(&mut page);
    assert!(first - began < COMMENT_EVERY + LATE);
    let apart = comment(&mut page) - first;
    // The first may have been late.
    assert!(apart > COMMENT_EVERY / 2 && apart < COMMENT_EVERY + LATE, "{apart:?}");
    // The site's heartbeat in between is no change.
    assert_eq!(agent.stats("awka")["status"], "active");
}

#[test]
fn control_characters_in_a_name_do_not_split_an_event() {
    let name =
        "a\\nb\\rc\\r\\n\\n\\nevent: site\\ndata: {}\\n\\n\\u{0}\\u{2028}\\u{2029}\\u{85}: é</script>\\\"";
    let router = router(quiet());
    let agent = agent(&router, &format!("name: \"{name}\""));
    let mut page = Page::follow(&agent);
    let expected = "a\nb\rc\r\n\n\nevent: site\ndata: {}\n\n\0\u{2028}\u{2029}\u{85}: é</script>\"";
    assert_eq!(page.site()["name"], expected);
    let _ = router.log_in("ada\n\ndata: x\r", at(1), "\n\n").unwrap();
    assert_eq!(page.site_when("awka", |site| site["activeUsers"] == 1)["name"], expected);
}

#[test]
fn head_gets_the_head_and_other_methods_are_refused() {
    let router = router(quiet());
    let agent = agent(&router, "");
    let mut head = Page::open(agent.address, "HEAD", "");
    assert_eq!(head.status, 200);
    assert!(head.head.contains("content-type: text/event-stream"), "{}", head.head);
    let mut rest = Vec::new();
    head.stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"", "expected the stream to end");
    for method in ["POST", "PUT", "DELETE"] {
        let answer = agent.ask(method, "/api/events", &[]);
        assert_eq!((answer.status, answer.field("Allow")), (405, "GET, HEAD"), "{method}");
    }
    assert_eq!(agent.get("/api/events/awka").status, 404);
}

#[test]
fn a_client_may_subscribe_to_the_keys_of_changed_sites_alone() {
    let router = router(quiet());
    let agent = agent(&router, "");
    let mut stream = TcpStream::connect(agent.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(b"GET /api/events?data=keys HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut next = || {
        lines.find(String::is_empty).unwrap();
        [(); 3].map(|()| lines.next().unwrap())[1..].to_vec()
    };
    let event = ["event: sites", "data: [\"awka\"]"];
    assert_eq!(next(), event, "expected all sites at first");
    router.log_in("ada", at(1), MAC).unwrap();
    assert_eq!(next(), event, "expected the changed site");
    assert_eq!(agent.get("/api/events?data=figures").status, 400);
}

#[test]
fn viewers_may_subscribe() {
    let router = router(quiet());
    let http = "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),";
    let agent = given(&router, "").http(http).start();
    until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
    let sent = |token: &str| format!("Authorization: Bearer {token}\r\n");
    for (fields, status) in [
        (String::new(), 401),
        (sent("wrong"), 401),
        (sent("view-token-01234"), 200),
        (sent("admin-token-01234"), 200),
    ] {
        let mut page = Page::open(agent.address, "GET", &fields);
        assert_eq!(page.status, status, "{fields}");
        if status == 200 {
            assert_eq!(page.site()["status"], "active");
        }
    }
}

#[test]
fn each_of_two_hundred_subscribers_gets_each_change() {
    let router = router(quiet());
    let agent = agent(&router, "");
    let mut pages: Vec<Page> = (0..PAGES).map(|_| Page::follow(&agent)).collect();
    for page in &mut pages {
        page.site();
    }
    let mut slowest = Duration::ZERO;
    for n in 1..6_u8 {
        let began = Instant::now();
        let _ = router.log_in("ada", at(n), MAC).unwrap();
        for page in &mut pages {
            page.site_when("awka", |site| site["logins"] == n);
        }
        slowest = slowest.max(began.elapsed());
    }
    eprintln!("slowest event at {PAGES} subscribers: {slowest:?}");
    assert!(slowest < AT_ONCE, "{slowest:?}");
    // All of them can reconnect.
    let descriptors = open_files(&agent);
    for page in &mut pages {
        *page = Page::follow(&agent);
        assert_eq!(page.site()["activeUsers"], 5);
    }
    until("no more descriptors than before are open", || (open_files(&agent) <= descriptors).then_some(()));
}

/// Logs a user in, or out again.
fn log_in_or_out(router: &Router) {
    if router.log_in("ada", at(1), MAC).is_none() {
        router.log_out(&router.sessions()[0].id);
    }
}

/// A client with a small receive buffer.
fn narrow(agent: &Agent) -> Page {
    let stream = TcpStream::connect(agent.address).unwrap();
    set_socket_recv_buffer_size(&stream, 64 * 1024).unwrap();
    Page::over(stream, "GET", "")
}

#[test]
fn a_subscriber_that_never_reads_is_closed_and_delays_no_other() {
    let router = shared();
    let write = humantime::format_duration(CLIENT_WRITE).to_string();
    let agent = sites_of(&router).timing("client_write", &write).start();
    // From then on, open files and memory change with clients only.
    agent.wait_until_all_are_read();
    let mut other = Page::follow(&agent);
    other.site();
    let descriptors = open_files(&agent);
    let memory = agent.running.memory_kib("VmRSS");
    let unread: Vec<Page> = (0..10).map(|_| narrow(&agent)).collect();
    assert!(open_files(&agent) >= descriptors + unread.len());
    let (mut highest, mut slowest) = (0, Duration::ZERO);
    let began = Instant::now();
    for n in 1.. {
        let changed = Instant::now();
        log_in_or_out(&router);
        other.site_when("awka", |site| site["activeUsers"] == n % 2);
        slowest = slowest.max(changed.elapsed());
        highest = highest.max(agent.running.memory_kib("VmRSS"));
        if open_files(&agent) <= descriptors {
            break;
        }
        assert!(
            began.elapsed() < 3 * TIMEOUT,
            "expected the connections to be closed, still open after {n} changes"
        );
    }
    eprintln!("closed after {:?}, with at most {} KiB more", began.elapsed(), highest.saturating_sub(memory));
    eprintln!("slowest event of another subscriber: {slowest:?}");
    assert!(highest < memory + MORE_KIB, "expected less than {MORE_KIB} KiB above {memory}, got {highest}");
    assert!(slowest < MAX_DELAY, "{slowest:?}");
    for mut page in unread {
        let mut rest = Vec::new();
        match page.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

#[test]
fn a_lagging_subscriber_gets_the_current_state() {
    let (awka, lagos) = (shared(), router(quiet()));
    // It is not closed meanwhile, however long all the changes take.
    let agent = sites_of(&awka).site("lagos", lagos.addr(), "").timing("client_write", "60s").start();
    agent.wait_until_all_are_read();
    let mut page = narrow(&agent);
    page.site_when("lagos", |_| true);
    let mut other = Page::follow(&agent);
    other.site_when("lagos", |_| true);
    let _ = lagos.log_in("bola", at(9), MAC).unwrap();
    for n in 1..=CHANGES {
        log_in_or_out(&awka);
        other.site_when("awka", |site| site["activeUsers"] == n % 2);
    }
    let (logins, online) = (CHANGES.div_ceil(2), CHANGES % 2);
    let (mut received, mut lagos_is_current) = (0, false);
    loop {
        let site = page.site();
        if site["site"] == "lagos" {
            lagos_is_current = site["activeUsers"] == 1;
        } else if site["site"] == "awka" {
            received += 1;
            if site["logins"] == logins && site["activeUsers"] == online {
                break;
            }
        }
    }
    eprintln!("a lagging subscriber received {received} of {CHANGES} changes");
    assert!(
        received < CHANGES && lagos_is_current,
        "received {received} of {CHANGES} changes, lagos is current: {lagos_is_current}"
    );
}

#[test]
fn shutdown_does_not_wait_for_subscribers() {
    let router = router(quiet());
    let mut agent = agent(&router, "");
    let mut pages: Vec<Page> = (0..PAGES).map(|_| Page::follow(&agent)).collect();
    for page in &mut pages {
        page.site();
    }
    agent.running.signal("TERM");
    let status = agent.running.wait_for_exit(SHUTDOWN);
    assert_eq!(status.code(), Some(0), "{status}");
    for page in &mut pages {
        let mut rest = String::new();
        match page.stream.read_to_string(&mut rest) {
            Ok(_) => assert!(rest.is_empty() || rest.ends_with("\n\n"), "expected complete events: {rest}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    assert!(!agent.running.err().contains("panicked"), "{}", agent.running.err());
}

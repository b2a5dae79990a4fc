//! Login sessions: their limit, and what ends with a session.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Fault, Router, Settings};

use super::agent::{Agent, AgentBuilder, TIMEOUT, until};
use super::answers::form_of;
use super::browser::{Browser, ask_from, connect_from};
use super::router;

const TOKENS: &str = "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),";
const VIEW: &str = "view-token-01234";
const ADMIN: &str = "admin-token-01234";
const HERE: [u8; 4] = [127, 0, 0, 1];

fn given(router: &Router) -> AgentBuilder {
    // Frequent comments show that a stream is still open.
    let given = AgentBuilder::default().http(TOKENS).timing("event_comment", "200ms");
    given.defaults("refresh: \"1h\",").site("awka", router.addr(), "query_timeout: \"20s\"")
}

fn ready(given: AgentBuilder) -> Agent {
    let agent = given.start();
    until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
    agent
}

fn logged_in(agent: &Agent, from: [u8; 4], token: &str) -> Browser {
    let mut browser = Browser::new(from);
    browser.log_in(agent, token);
    browser
}

fn is_open(agent: &Agent, browser: &mut Browser) -> bool {
    browser.get(agent, "/api/routers").status == 200
}

/// A browser tab that receives events.
struct Tab(Lines<BufReader<TcpStream>>);

impl Tab {
    fn open(agent: &Agent, browser: &Browser) -> Self {
        let mut stream = connect_from(HERE.into(), agent.address);
        let (host, cookies) = (agent.address, browser.cookies());
        write!(stream, "GET /api/events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n\r\n").unwrap();
        let mut tab = Self(BufReader::new(stream).lines());
        tab.wait_for_line("event: site");
        tab
    }

    #[track_caller]
    fn wait_for_line(&mut self, line: &str) {
        assert!(self.0.any(|received| received.unwrap() == line), "expected {line:?}, but the stream ended");
    }

    /// Waits until the stream ends; an open stream would send comments.
    #[track_caller]
    fn wait_for_end(&mut self) {
        let began = Instant::now();
        for line in &mut self.0 {
            let line = line.unwrap();
            assert!(began.elapsed() < TIMEOUT, "expected an open stream, got {line}");
        }
    }
}

#[test]
fn viewer_logins_do_not_evict_admin_sessions() {
    let router = router(Settings::default());
    let agent = ready(given(&router));
    let mut admin = logged_in(&agent, HERE, ADMIN);
    let mut early = logged_in(&agent, HERE, VIEW);
    for number in 0..=255 {
        // From the admin's address, and from others.
        logged_in(&agent, HERE, VIEW);
        logged_in(&agent, [127, 0, 3, number], VIEW);
    }
    assert!(is_open(&agent, &mut admin), "expected the admin to stay logged in");
    assert!(is_open(&agent, &mut logged_in(&agent, HERE, VIEW)));
    assert!(!is_open(&agent, &mut early), "expected the session unused for longest to be evicted");
    // Logins above a rate are not logged.
    let lines = agent.running.err().matches("action=login by=viewer peer=127.0.0.1").count();
    assert!((1..=16).contains(&lines), "{lines}");
}

#[test]
fn burst_of_logins_leaves_a_limited_number_of_sessions() {
    let router = router(Settings::default());
    let agent = ready(given(&router));
    let mut all: Vec<Browser> = (0..40).map(|_| logged_in(&agent, HERE, ADMIN)).collect();
    let open: Vec<bool> = all.iter_mut().map(|browser| is_open(&agent, browser)).collect();
    assert!(open[0] && open[39], "expected the first and the last session to be open: {open:?}");
    let count = open.iter().filter(|is_open| **is_open).count();
    assert!(count <= 16, "got {count} sessions of one address");
}

#[test]
fn logout_ends_only_streams_of_its_session() {
    let router = router(Settings::default());
    let agent = ready(given(&router));
    let [mut one, other] = [ADMIN, VIEW].map(|token| logged_in(&agent, HERE, token));
    let mut tabs = [Tab::open(&agent, &one), Tab::open(&agent, &one)];
    let mut others = Tab::open(&agent, &other);
    one.post(&agent, "/logout", "");
    for tab in &mut tabs {
        tab.wait_for_end();
    }
    // It receives later events.
    others.wait_for_line(": alive");
    router.log_out(&router.sessions()[0].id);
    others.wait_for_line("event: site");
}

#[test]
fn an_expired_session_ends_its_streams() {
    let router = router(Settings::default());
    let agent = ready(given(&router).timing("session_idle", "3s"));
    let mut browser = logged_in(&agent, HERE, ADMIN);
    Tab::open(&agent, &browser).wait_for_end();
    assert!(!is_open(&agent, &mut browser));
}

#[test]
fn logout_ends_pending_requests_of_the_session() {
    let router = router(Settings::default());
    let agent = ready(given(&router));
    let mut browser = logged_in(&agent, HERE, ADMIN);
    router.set_fault(Some(Fault::HalfOpen));
    let cookies = browser.cookies();
    let ask = || {
        let fields = [("Cookie", cookies.as_str())];
        ask_from(HERE.into(), agent.address, ("GET", "/api/hotspot/awka/users"), &fields, "")
    };
    let commands = router.counters().commands;
    let (answer, took) = thread::scope(|scope| {
        let waiting = scope.spawn(ask);
        until("the router is queried", || (router.counters().commands > commands).then_some(()));
        let began = Instant::now();
        browser.post(&agent, "/logout", "");
        (waiting.join().unwrap(), began.elapsed())
    });
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(took < Duration::from_secs(15), "expected no answer before the router's timeout, took {took:?}");
}

#[test]
fn admin_pages_are_not_cached() {
    let router = router(Settings::default());
    let agent = ready(given(&router));
    agent.get("/healthz");
    let mut browser = logged_in(&agent, HERE, ADMIN);
    let session = router.sessions()[0].clone();
    let kick = format!("/sites/awka/kick?id={}&user={}&mac={}", session.id, session.user, session.mac);
    let mut answers = Vec::new();
    for path in [
        "/sites/awka",
        "/api/hotspot/awka/active",
        "/api/hotspot/awka/users",
        "/sites/awka/users",
        "/api/sites/awka/plugins/hotspot",
        &kick,
    ] {
        let answer = browser.get(&agent, path);
        assert!(
            answer.body.contains(&session.user) || path.ends_with("/users"),
            "{path}: expected people: {answer:?}"
        );
        answers.push((path.to_string(), answer));
    }
    for path in ["/sites/awka/test", "/api/sites/awka/test"] {
        answers.push((path.into(), browser.post(&agent, path, "")));
    }
    let body = format!(r#"{{"id":"{}","user":"nobody","mac":""}}"#, session.id);
    answers.push(("a kick that is refused".into(), browser.post(&agent, "/api/hotspot/awka/kick", &body)));
    answers.push(("a form".into(), browser.post(&agent, "/sites/awka/kick", &form_of(&session))));
    let tag = browser.get(&agent, "/sites/awka").field("ETag").to_string();
    let again = browser.ask(&agent, ("GET", "/sites/awka"), &[("If-None-Match", &tag)], "");
    answers.push(("the same again".into(), again));
    for (what, answer) in &answers {
        assert!(answer.status < 500, "{what}: {answer:?}");
        let fields: Vec<_> = answer.head.get_all("Cache-Control").iter().collect();
        assert_eq!(fields, ["no-store"], "{what}: {answer:?}");
    }
    // The same with a token; pages of a viewer may be cached.
    for (token, expected) in [(ADMIN, "no-store"), (VIEW, "private, no-cache")] {
        let bearer = format!("Bearer {token}");
        let fields = [("Authorization", bearer.as_str())];
        let page = ask_from(Ipv4Addr::LOCALHOST, agent.address, ("GET", "/sites/awka"), &fields, "");
        assert_eq!(page.field("Cache-Control"), expected);
        assert!(!page.field("ETag").is_empty());
    }
}

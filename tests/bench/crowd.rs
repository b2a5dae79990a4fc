//! Load on the HTTP server: a thousand pages that receive events, and a hundred programs that poll.
//!
//! Prints the response times, the time until a login is on all pages, and the memory that the agent needs for the load. It
//! fails at any error and if the memory exceeds its limit. Times are only printed, because a machine may be busy.
//!
//! ```sh
//! cargo bench --bench crowd
//! ```

// Helpers panic at the first error.
#![allow(clippy::unwrap_used)]

mod agent;
#[path = "../support/binary.rs"]
mod binary;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use agent::Agent;
use async_net::TcpStream;
use binary::binary;
use phsweb_agent::simulator::{Router, Settings};
use smol::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use smol::{LocalExecutor, Timer};

const PAGES: usize = 1000;
const PROGRAMS: usize = 100;
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Logins, each after the one before is on all pages, and the least time between them.
const LOGINS: u32 = 15;
const LOGIN_EVERY: Duration = Duration::from_secs(2);

/// Longest wait until a login is on all pages.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Most memory for the load, in bytes.
const MOST_MEMORY: u64 = 12_000_000;

/// Descriptors that the agent and this program need.
const DESCRIPTORS: u64 = 4096;

/// An agent with this router.
fn start(router: &Router) -> Agent {
    let file = format!(
        r#"(
            http: (listen: "127.0.0.1:0", max_connections: 2048),
            sites: {{ "awka": (hosts: ["{}"], user: "api-user", password: Plain("password"), refresh: "2s") }},
        )"#,
        router.addr()
    );
    Agent::start(Command::new(binary()).arg("run"), &file)
}

/// What the clients have received so far.
#[derive(Default)]
struct Seen {
    /// The number of logins that each page received last.
    logins: Vec<u64>,
    answers: Vec<Duration>,
}

/// A page, which receives events.
async fn receive_events(address: SocketAddr, page: usize, seen: &Mutex<Seen>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut lines = smol::io::BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).await.unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    loop {
        line.clear();
        assert_ne!(lines.read_line(&mut line).await.unwrap(), 0, "the events of page {page} have ended");
        let logins = line.split_once("\"logins\":").map(|(_, rest)| rest.split(',').next().unwrap().parse());
        if let Some(logins) = logins {
            seen.lock().unwrap().logins[page] = logins.unwrap();
        }
    }
}

/// A program, which requests the figures each second.
async fn poll(address: SocketAddr, program: usize, seen: &Mutex<Seen>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    // Spread over the second, as those of independent programs.
    Timer::after(POLL_EVERY.mul_f64(program as f64 / PROGRAMS as f64)).await;
    loop {
        let began = Instant::now();
        stream.write_all(b"GET /api/hotspot/stats HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}}}") {
            let mut chunk = [0; 4096];
            let count = stream.read(&mut chunk).await.unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&chunk[..count]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
        seen.lock().unwrap().answers.push(began.elapsed());
        Timer::at(began + POLL_EVERY).await;
    }
}

/// Waits for a condition.
async fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < TIMEOUT, "timed out waiting until {what}");
        Timer::after(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

fn main() {
    agent::allow_descriptors(DESCRIPTORS);
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let router = Router::start(anywhere, Settings::default()).unwrap();
    let agent = start(&router);
    let seen = Mutex::new(Seen { logins: vec![u64::MAX; PAGES], ..Seen::default() });
    let executor = Rc::new(LocalExecutor::new());
    smol::block_on(executor.run(async {
        // The agent's memory without the load.
        until("the router has answered", || router.counters().commands > 20).await;
        let before = agent.memory("VmRSS");
        let programs: Vec<_> = (0..PROGRAMS).map(|n| executor.spawn(poll(agent.address, n, &seen))).collect();
        let pages: Vec<_> = (0..PAGES).map(|n| executor.spawn(receive_events(agent.address, n, &seen))).collect();
        let has = |logins| move |page: &u64| *page == logins;
        until("all pages receive events", || seen.lock().unwrap().logins.iter().all(has(0))).await;

        let (mut most, mut slowest) = (agent.memory("VmRSS"), Duration::ZERO);
        for login in 1..=LOGINS {
            let next = Instant::now() + LOGIN_EVERY;
            let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 9, 0, 0)) + login);
            assert!(router.log_in("crowd", address, &format!("02:00:00:00:00:{login:02X}")).is_some());
            let all = || seen.lock().unwrap().logins.iter().all(has(u64::from(login)));
            slowest = slowest.max(until("a login is on all pages", all).await);
            most = most.max(agent.memory("VmRSS"));
            Timer::at(next).await;
        }
        // A task ends only with an error.
        for task in programs.iter().chain(&pages) {
            assert!(!task.is_finished());
        }
        let mut answers = std::mem::take(&mut seen.lock().unwrap().answers);
        answers.sort_unstable();
        let share = |share: usize| answers[(answers.len() - 1) * share / 1000];
        println!(
            "{PAGES} pages receive events and {PROGRAMS} programs poll: {} answers, half within {:.1?}, 99% within {:.1?}, \
             all within {:.1?}; the slowest of {LOGINS} logins was on all pages after {slowest:.0?}",
            answers.len(),
            share(500),
            share(990),
            share(1000),
        );
        let more = most.saturating_sub(before);
        println!("memory: {before} B before, at most {more} B more");
        assert!(more <= MOST_MEMORY, "expected at most {MOST_MEMORY} B for the load, got {more}");
    }));
}

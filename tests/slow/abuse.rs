//! Attacks on the HTTP server: it keeps serving the page within its memory limit.
//!
//! The tests pass with any build. The limit of 16 MB and meaningful figures need a release build:
//!
//! ```sh
//! cargo build --release
//! PHSWEB_AGENT_BINARY=target/release/phsweb-agent cargo test --test slow -- abuse --nocapture --test-threads 1
//! ```

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::binary::{binary, is_release};
use crate::support::{open_files_in, unshared_metrics};
use phsweb_agent::timings::TEST_VARIABLE;
use rustix::net::sockopt::set_socket_linger;

/// Upper bound of the time to load the page during an attack.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Upper bound of the peak memory in bytes. 16 MB is the documented limit of a release build; with debug assertions
/// code and tables take 12 MB more.
fn max_memory() -> usize {
    if is_release() { 16_000_000 } else { 28_000_000 }
}

/// The connections of one attack.
const CONNECTIONS: usize = 800;

/// The agent, which is killed on drop.
struct Agent {
    process: Child,
    address: SocketAddr,
}

impl Agent {
    /// Starts `demo` with a limit of descriptors.
    fn demo(descriptors: usize) -> Self {
        Self::demo_with(descriptors, "")
    }

    /// Starts `demo` with other timings.
    fn demo_with(descriptors: usize, timings: &str) -> Self {
        Self::start(descriptors, timings, &["demo", "--listen", "127.0.0.1:0"], Path::new("/"))
    }

    fn start(descriptors: usize, timings: &str, arguments: &[&str], directory: &Path) -> Self {
        let limited = format!(r#"ulimit -n {descriptors} && exec "$0" "$@""#);
        let process = Command::new("sh")
            .args(["-c", &limited])
            .arg(binary())
            .args(arguments)
            .env(TEST_VARIABLE, timings)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut agent = Self { process, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let lines = BufReader::new(agent.process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = { lines }
            .find_map(|line| line.strip_prefix("The page is at http://")?.strip_suffix('/')?.parse().ok());
        agent.address = address.expect("expected a line with the address of the page");
        let limits = fs::read_to_string(format!("/proc/{}/limits", agent.process.id())).unwrap();
        let open = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(open.split_whitespace().nth(3), Some(descriptors.to_string().as_str()));
        agent.page();
        agent
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address, TIMEOUT).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        stream
    }

    /// The complete response to a GET.
    fn get(&self, path: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Loads the page, which must be complete and in time. Returns the time it took.
    fn page(&self) -> Duration {
        let began = Instant::now();
        let answer = self.get("/");
        let took = began.elapsed();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
        assert!(answer.trim_end().ends_with("</html>"), "{answer:?}");
        assert!(took < TIMEOUT, "expected the page within {TIMEOUT:?}, took {took:?}");
        took
    }

    /// Opens connections that send these bytes and stay open on this side.
    fn hold(&self, count: usize, sent: &[u8]) -> Vec<TcpStream> {
        let connect = |_| {
            let mut stream = self.connect();
            match stream.write_all(sent) {
                Ok(()) => {}
                // It was evicted in favour of later connections.
                Err(error) => assert!(is_closed(&error), "{error}"),
            }
            stream
        };
        (0..count).map(connect).collect()
    }

    /// A memory figure of the process, in bytes.
    fn status(&self, name: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    fn descriptors(&self) -> usize {
        open_files_in(&self.get(&unshared_metrics()))
    }

    /// Checks that the page still loads and that the peak memory is within the limit.
    #[track_caller]
    fn survives(&mut self, attack: &str) {
        let slowest = (0..20).map(|_| self.page()).max().unwrap();
        assert_eq!(self.process.try_wait().unwrap(), None, "expected a running agent");
        let (memory, now) = (self.status("VmHWM"), self.status("VmRSS"));
        println!(
            "{attack}: peak {:.1} MB, now {:.1} MB; {} descriptors; slowest page of 20 {slowest:.1?}",
            megabytes(memory),
            megabytes(now),
            self.descriptors()
        );
        assert!(
            memory < max_memory(),
            "expected at most {:.1} MB, peak was {:.1} MB",
            megabytes(max_memory()),
            megabytes(memory)
        );
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Reads until the connection is closed, which must happen within the timeout.
fn read_to_close(stream: &mut TcpStream, timeout: Duration) -> Vec<u8> {
    stream.set_read_timeout(Some(timeout)).unwrap();
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => {
            assert!(is_closed(&error), "expected the connection to be closed within {timeout:?}: {error}");
        }
    }
    bytes
}

/// Runs `attack` in another process with more descriptors: the usual 1,024 are too few.
#[track_caller]
fn with_descriptors(test: &str, attack: impl FnOnce()) {
    if super::is_own_process(&format!("abuse::{test}"), "ulimit -n 4096") {
        attack();
    }
}

#[test]
fn endless_head_is_refused() {
    let _alone = super::alone();
    let mut agent = Agent::demo(1024);
    let sent: usize = thread::scope(|scope| {
        let endless = || {
            let mut stream = agent.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
            let mut field = b"X: ".to_vec();
            field.resize(16 * 1024 - 2, b'y');
            field.extend(b"\r\n");
            let mut sent = 0;
            while sent < 64 << 20 {
                match stream.write(&field) {
                    Ok(count) => sent += count,
                    Err(error) if is_closed(&error) => return sent,
                    Err(error) => panic!("expected the head to be refused: {error}"),
                }
            }
            panic!("expected the head to be refused, but {sent} bytes were accepted");
        };
        let attackers: Vec<_> = (0..20).map(|_| scope.spawn(endless)).collect();
        while attackers.iter().any(|attacker| !attacker.is_finished()) {
            agent.page();
        }
        attackers.into_iter().map(|attacker| attacker.join().unwrap()).sum()
    });
    println!("20 endless heads were refused after {:.1} MB together", megabytes(sent));
    agent.survives("20 endless heads");
}

#[test]
fn endless_empty_lines_are_refused() {
    let _alone = super::alone();
    let mut agent = Agent::demo(1024);
    let lines = b"\r\n".repeat(1 << 20);
    thread::scope(|scope| {
        let endless = || {
            let mut stream = agent.connect();
            for sent in 0..64 {
                match stream.write_all(&lines) {
                    Ok(()) => {}
                    Err(error) if is_closed(&error) => return,
                    Err(error) => panic!("expected empty lines to be refused after {sent} x 2 MiB: {error}"),
                }
            }
            panic!("expected empty lines to be refused, but 128 MiB were accepted");
        };
        let attackers: Vec<_> = (0..4).map(|_| scope.spawn(endless)).collect();
        while attackers.iter().any(|attacker| !attacker.is_finished()) {
            agent.page();
        }
    });
    agent.survives("4 floods of empty lines");
}

#[test]
fn head_of_many_small_fields_is_refused() {
    let _alone = super::alone();
    let mut agent = Agent::demo(1024);
    let mut stream = agent.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
    let mut refused = false;
    for _ in 0..1_000_000 {
        if let Err(error) = stream.write_all(b"a: b\r\n") {
            assert!(is_closed(&error), "{error}");
            refused = true;
            break;
        }
    }
    assert!(refused, "expected the head to be refused, but 6 MB were accepted");
    agent.survives("an endless head of small fields");
}

#[test]
fn half_open_requests() {
    let _alone = super::alone();
    with_descriptors("half_open_requests", || {
        let mut agent = Agent::demo_with(1024, "client_head=4s");
        let mut held = agent.hold(CONNECTIONS, b"GET / HTTP/1.1\r\nHost: a\r\n");
        agent.survives("800 half-open requests");
        // One address gets 384 of the 512 permits; the agent itself needs fewer than 100 descriptors.
        let used = agent.descriptors();
        assert!((384..484).contains(&used), "expected 384 to 483 descriptors in use, got {used}");
        // All are closed in the end, and those that held a permit until then get a 408.
        let answers: Vec<_> = held.iter_mut().map(|stream| read_to_close(stream, 4 * TIMEOUT)).collect();
        assert!(answers.iter().any(|answer| answer.starts_with(b"HTTP/1.1 408 ")));
        agent.survives("800 half-open requests, closed");
    });
}

#[test]
fn repeated_half_open_requests() {
    let _alone = super::alone();
    with_descriptors("repeated_half_open_requests", || {
        let mut agent = Agent::demo(1024);
        for _ in 0..5 {
            let _held = agent.hold(CONNECTIONS, b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ");
            agent.page();
        }
        agent.survives("5 times 800 half-open requests");
    });
}

#[test]
fn unfinished_heads_of_maximum_size() {
    let _alone = super::alone();
    with_descriptors("unfinished_heads_of_maximum_size", || {
        let mut agent = Agent::demo(1024);
        // The maximum size of a head, without its end.
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
        head.resize(16 * 1024 - 16, b'y');
        let _held = agent.hold(CONNECTIONS, &head);
        agent.survives("800 heads of 16 KB");
    });
}

#[test]
fn silent_connections() {
    let _alone = super::alone();
    with_descriptors("silent_connections", || {
        let mut agent = Agent::demo(1024);
        let _held = agent.hold(CONNECTIONS, b"");
        agent.survives("800 silent connections");
    });
}

#[test]
fn idle_kept_alive_connections() {
    let _alone = super::alone();
    with_descriptors("idle_kept_alive_connections", || {
        let mut agent = Agent::demo(1024);
        let _held = agent.hold(CONNECTIONS, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        agent.survives("800 idle kept-alive connections");
    });
}

#[test]
fn unread_responses() {
    let _alone = super::alone();
    with_descriptors("unread_responses", || {
        let mut agent = Agent::demo(1024);
        let _held = agent.hold(CONNECTIONS, &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50));
        agent.survives("800 times 50 unread pages");
    });
}

#[test]
fn unfinished_bodies() {
    let _alone = super::alone();
    with_descriptors("unfinished_bodies", || {
        let mut agent = Agent::demo(1024);
        let mut body = b"POST /api/refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n".to_vec();
        body.resize(65_000, b'x');
        let _held = agent.hold(CONNECTIONS, &body);
        agent.survives("800 bodies of 64 KB");
    });
}

#[test]
fn connections_that_reset() {
    let _alone = super::alone();
    let mut agent = Agent::demo(1024);
    for request in [&b""[..], b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        for count in 0..1000 {
            let mut stream = agent.connect();
            stream.write_all(request).unwrap();
            set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
            drop(stream);
            if count % 100 == 0 {
                agent.page();
            }
        }
    }
    agent.survives("3,000 resets");
}

/// The limit of connections is above that of descriptors.
#[test]
fn descriptors_run_out() {
    let _alone = super::alone();
    with_descriptors("descriptors_run_out", || {
        let directory = tempfile::tempdir().unwrap();
        let file = r#"(
            http: (listen: "127.0.0.1:0", max_connections: 4000),
            sites: { "awka": (hosts: ["10.0.0.1"], user: "api-user", password: Plain("x")) },
        )"#;
        fs::write(directory.path().join("sites.ron"), file).unwrap();
        let arguments = ["run", "--simulate", "--config", "sites.ron"];
        let mut agent = Agent::start(1024, "", &arguments, directory.path());
        let mut held = Vec::new();
        let mut max = 0;
        for _ in 0..11 {
            held.extend(agent.hold(100, b"GET / HTTP/1.1\r\n"));
            agent.page();
            max = max.max(agent.descriptors());
        }
        // Otherwise the agent closed connections by its own limit, not for lack of descriptors.
        assert!(max > 900, "expected more than 900 descriptors in use, got {max}");
        agent.survives("1,100 connections with 1,024 descriptors");
        drop(held);
        agent.survives("1,100 connections with 1,024 descriptors, closed");
    });
}

#[test]
fn few_descriptors() {
    let _alone = super::alone();
    with_descriptors("few_descriptors", || {
        let mut agent = Agent::demo(64);
        let mut held = Vec::new();
        for _ in 0..11 {
            held.extend(agent.hold(100, b"GET / HTTP/1.1\r\n"));
            agent.page();
        }
        agent.survives("1,100 connections with 64 descriptors");
        drop(held);
        agent.survives("1,100 connections with 64 descriptors, closed");
    });
}

//! Attacks on the program itself: it goes on answering people, and stays small.
//!
//! Each holds in any build; the bound of 16 MB is a release build's, and so are the figures worth
//! telling:
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
use crate::support::open_files_in;
use phsweb_agent::timings::TEST_VARIABLE;
use rustix::net::sockopt::set_socket_linger;

/// The longest that anybody waits for the page, in the middle of whatever goes on.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most memory that the program may have had, in bytes. 16 MB is the promise, and that of a
/// release build; in one with debug assertions code and tables alone take 8 MB more.
fn most_memory() -> usize {
    if is_release() { 16_000_000 } else { 24_000_000 }
}

/// The half-open and silent connections of one attack.
const MANY: usize = 800;

/// The program, ended with the test.
struct Agent {
    process: Child,
    address: SocketAddr,
}

impl Agent {
    /// `demo`, with so many descriptors.
    fn demo(descriptors: usize) -> Self {
        Self::demo_with(descriptors, "")
    }

    /// One with other timings.
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
        agent.address = address.expect("it tells where its page is");
        let limits = fs::read_to_string(format!("/proc/{}/limits", agent.process.id())).unwrap();
        let open = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(open.split_whitespace().nth(3), Some(descriptors.to_string().as_str()));
        agent.page();
        agent
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The whole answer to a GET.
    fn get(&self, path: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks for the page as a browser does, which must come whole and in time; how long it took.
    fn page(&self) -> Duration {
        let began = Instant::now();
        let answer = self.get("/");
        let took = began.elapsed();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
        assert!(answer.trim_end().ends_with("</html>"), "{answer:?}");
        assert!(took < PATIENCE, "the page took {took:?}");
        took
    }

    /// So many connections that have sent this, as far as they were let; all of them stay open here.
    fn hold(&self, count: usize, sent: &[u8]) -> Vec<TcpStream> {
        let connect = |_| {
            let mut stream = self.connect();
            match stream.write_all(sent) {
                Ok(()) => {}
                // Others came after it, for which it had to go.
                Err(error) => assert!(is_gone(&error), "{error}"),
            }
            stream
        };
        (0..count).map(connect).collect()
    }

    /// A figure of the process, in bytes.
    fn status(&self, name: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    fn descriptors(&self) -> usize {
        open_files_in(&self.get("/metrics"))
    }

    /// Asks for the page some more, and then for how much memory it has had at most.
    #[track_caller]
    fn stands(&mut self, attack: &str) {
        let slowest = (0..20).map(|_| self.page()).max().unwrap();
        assert_eq!(self.process.try_wait().unwrap(), None, "it has ended");
        let (memory, now) = (self.status("VmHWM"), self.status("VmRSS"));
        println!(
            "{attack}: at most {:.1} MB, {:.1} MB now; {} descriptors; slowest page of 20 {slowest:.1?}",
            megabytes(memory),
            megabytes(now),
            self.descriptors()
        );
        assert!(memory < most_memory(), "it had {:.1} MB", megabytes(memory));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// What came on a connection until it was closed, which must be soon.
fn rest(stream: &mut TcpStream, patience: Duration) -> Vec<u8> {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert!(is_gone(&error), "it is not closed: {error}"),
    }
    rest
}

/// Set in a process that has descriptors enough for an attack.
const ATTACKER: &str = "ABUSE_TEST_ATTACKER";

/// Runs `attack` in a process of its own: the usual 1,024 descriptors are too few for it.
#[track_caller]
fn with_descriptors(test: &str, attack: impl FnOnce()) {
    if std::env::var_os(ATTACKER).is_some() {
        return attack();
    }
    let done = Command::new("sh")
        .args(["-c", r#"ulimit -n 4096 && exec "$0" --exact --nocapture "abuse::$1""#])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(ATTACKER, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains(" 1 passed"), "{said}");
    for figures in said.lines().filter(|line| line.contains(" MB ")) {
        println!("{figures}");
    }
}

#[test]
fn a_head_without_end() {
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
                    Err(error) if is_gone(&error) => return sent,
                    Err(error) => panic!("neither read nor refused: {error}"),
                }
            }
            panic!("{sent} bytes of a head were taken");
        };
        let attackers: Vec<_> = (0..20).map(|_| scope.spawn(endless)).collect();
        while attackers.iter().any(|attacker| !attacker.is_finished()) {
            agent.page();
        }
        attackers.into_iter().map(|attacker| attacker.join().unwrap()).sum()
    });
    println!("20 endless heads were refused after {:.1} MB together", megabytes(sent));
    agent.stands("20 endless heads");
}

#[test]
fn empty_lines_without_end() {
    let _alone = super::alone();
    let mut agent = Agent::demo(1024);
    let lines = b"\r\n".repeat(1 << 20);
    thread::scope(|scope| {
        let endless = || {
            let mut stream = agent.connect();
            for sent in 0..64 {
                match stream.write_all(&lines) {
                    Ok(()) => {}
                    Err(error) if is_gone(&error) => return,
                    Err(error) => panic!("neither read nor refused after {sent} x 2 MiB: {error}"),
                }
            }
            panic!("128 MiB of empty lines were taken");
        };
        let attackers: Vec<_> = (0..4).map(|_| scope.spawn(endless)).collect();
        while attackers.iter().any(|attacker| !attacker.is_finished()) {
            agent.page();
        }
    });
    agent.stands("4 floods of empty lines");
}

#[test]
fn a_head_of_many_small_fields() {
    let _alone = super::alone();
    let mut agent = Agent::demo(1024);
    let mut stream = agent.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
    let mut refused = false;
    for _ in 0..1_000_000 {
        if let Err(error) = stream.write_all(b"a: b\r\n") {
            assert!(is_gone(&error), "{error}");
            refused = true;
            break;
        }
    }
    assert!(refused, "6 MB of a head were taken");
    agent.stands("an endless head of small fields");
}

#[test]
fn half_open_requests() {
    let _alone = super::alone();
    with_descriptors("half_open_requests", || {
        let mut agent = Agent::demo_with(1024, "client_head=4s");
        let mut held = agent.hold(MANY, b"GET / HTTP/1.1\r\nHost: a\r\n");
        agent.stands("800 half-open requests");
        // One address is let have 384 of the 512 places; the program itself needs less than 100.
        let used = agent.descriptors();
        assert!((384..484).contains(&used), "{used} descriptors are in use");
        // All are let go in the end, and those that had a place until then are told why.
        let answers: Vec<_> = held.iter_mut().map(|stream| rest(stream, 4 * PATIENCE)).collect();
        assert!(answers.iter().any(|answer| answer.starts_with(b"HTTP/1.1 408 ")));
        agent.stands("800 half-open requests, let go");
    });
}

#[test]
fn half_open_requests_again_and_again() {
    let _alone = super::alone();
    with_descriptors("half_open_requests_again_and_again", || {
        let mut agent = Agent::demo(1024);
        for _ in 0..5 {
            let _held = agent.hold(MANY, b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ");
            agent.page();
        }
        agent.stands("5 times 800 half-open requests");
    });
}

#[test]
fn full_heads_held() {
    let _alone = super::alone();
    with_descriptors("full_heads_held", || {
        let mut agent = Agent::demo(1024);
        // As much as is taken of a head, less its end.
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
        head.resize(16 * 1024 - 16, b'y');
        let _held = agent.hold(MANY, &head);
        agent.stands("800 heads of 16 KB");
    });
}

#[test]
fn silent_connections() {
    let _alone = super::alone();
    with_descriptors("silent_connections", || {
        let mut agent = Agent::demo(1024);
        let _held = agent.hold(MANY, b"");
        agent.stands("800 silent connections");
    });
}

#[test]
fn connections_that_are_kept_and_ask_no_more() {
    let _alone = super::alone();
    with_descriptors("connections_that_are_kept_and_ask_no_more", || {
        let mut agent = Agent::demo(1024);
        let _held = agent.hold(MANY, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        agent.stands("800 kept connections");
    });
}

#[test]
fn answers_that_nobody_reads() {
    let _alone = super::alone();
    with_descriptors("answers_that_nobody_reads", || {
        let mut agent = Agent::demo(1024);
        let _held = agent.hold(MANY, &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50));
        agent.stands("800 times 50 unread pages");
    });
}

#[test]
fn bodies_that_are_held() {
    let _alone = super::alone();
    with_descriptors("bodies_that_are_held", || {
        let mut agent = Agent::demo(1024);
        let mut body = b"POST /api/refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n".to_vec();
        body.resize(65_000, b'x');
        let _held = agent.hold(MANY, &body);
        agent.stands("800 bodies of 64 KB");
    });
}

#[test]
fn connections_that_reset() {
    let _alone = super::alone();
    let mut agent = Agent::demo(1024);
    for begin in [&b""[..], b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        for count in 0..1000 {
            let mut stream = agent.connect();
            stream.write_all(begin).unwrap();
            set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
            drop(stream);
            if count % 100 == 0 {
                agent.page();
            }
        }
    }
    agent.stands("3,000 resets");
}

/// With room for more connections than there are descriptors.
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
        let mut most = 0;
        for _ in 0..11 {
            held.extend(agent.hold(100, b"GET / HTTP/1.1\r\n"));
            agent.page();
            most = most.max(agent.descriptors());
        }
        // Else the program would have closed some by its own limit, not for want of descriptors.
        assert!(most > 900, "only {most} descriptors were in use");
        agent.stands("1,100 connections with 1,024 descriptors");
        drop(held);
        agent.stands("1,100 connections with 1,024 descriptors, gone");
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
        agent.stands("1,100 connections with 64 descriptors");
        drop(held);
        agent.stands("1,100 connections with 64 descriptors, gone");
    });
}

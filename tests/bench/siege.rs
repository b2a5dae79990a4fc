//! Attacks on the HTTP server: each kind runs for a while. Meanwhile a person at the attacker's own address and one at
//! another request the page.
//!
//! Prints the response times, the memory of the agent and of the kernel, and the number of log lines. It fails if a page is
//! incomplete, or if memory or the log exceeds its limit. Times are only printed, because a machine may be busy.
//!
//! ```sh
//! cargo bench --bench siege              # 30 seconds each
//! cargo bench --bench siege -- slow 10   # those with this in their name, for 10 seconds
//! ```

// Helpers panic at the first error.
#![allow(clippy::unwrap_used)]

mod agent;
#[path = "../support/binary.rs"]
mod binary;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use agent::Agent;
use async_net::TcpStream;
use binary::binary;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, ServerName};
use futures_rustls::rustls::crypto::ring::default_provider;
use futures_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size};
use smol::future::or;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, LocalExecutor, Timer};

/// Longest time until a page is complete, under any attack.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The pause of a person between two pages.
const REQUEST_EVERY: Duration = Duration::from_millis(100);

/// All attackers start within this time.
const START: Duration = Duration::from_secs(1);

/// The pause of an attacker between two connections. Without it, the attackers would compete with the agent for the CPU.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Most memory of the agent, in bytes, at its first attack.
const MOST_MEMORY: u64 = 24_000_000;

/// How much more it may have after the attack than before. glibc keeps a part of a freed heap; musl, for which releases are
/// built, returns it.
const MORE_AFTER: u64 = if cfg!(target_env = "musl") { 2_000_000 } else { 6_000_000 };

/// Longest time after an attack until the agent must have freed its memory.
const FREED_WITHIN: Duration = Duration::from_secs(5);

/// Most memory of the kernel, in bytes, for connections of clients that do not read their responses.
const MOST_UNREAD: u64 = 32_000_000;

/// Bytes in a page of memory, in which the kernel counts.
const PAGE: u64 = 4096;

/// How long an attacker waits for the reply to a replayed `ClientHello`.
const HELLO_TIMEOUT: Duration = Duration::from_millis(500);

/// Most log lines per second of an attack, and how many more in a burst.
const MOST_LINES: usize = 10;
const BURST_OF_LINES: usize = 10;

/// The admin's token, which some attackers have.
const TOKEN: &str = "admin-token-of-the-siege";

/// Descriptors of this program.
const DESCRIPTORS: u64 = 8192;

/// What an attacker does on each of its connections.
#[derive(Clone, Copy)]
enum Attack {
    /// Sends this and then nothing, until the connection is closed.
    Holds(&'static [u8]),
    /// Sends this, and then a byte of the rest each second.
    Drips(&'static [u8]),
    /// Sends this without end.
    Pours(&'static [u8]),
    /// Requests fifty pages at once, and reads a byte each second.
    Sips,
    /// Requests pages without end and reads nothing.
    Hoards,
    /// Replays a `ClientHello`.
    Replays,
    /// Sends a request and resets the connection.
    Resets,
    /// Sends this again after each response.
    Repeats(&'static [u8]),
    /// Sends this, which must be an error.
    Smuggles(&'static [u8]),
    /// Runs `wrk`, which requests the page as often as it can.
    Wrk,
}

struct Kind {
    name: &'static str,
    attack: Attack,
    /// The number of attackers.
    clients: usize,
    /// The agent's limit of descriptors.
    descriptors: u64,
    max_connections: usize,
    /// The certificate of the page, if it is served over HTTPS.
    certificate: Option<&'static str>,
    /// How many addresses of their own the attackers use; 0: the neighbour's.
    addresses: u32,
    /// How long after the connection the other person's request arrives, as over a link with this round trip.
    round_trip: Duration,
}

const fn kind(name: &'static str, attack: Attack, clients: usize) -> Kind {
    Kind {
        name,
        attack,
        clients,
        descriptors: 4096,
        max_connections: 512,
        certificate: None,
        addresses: 0,
        round_trip: Duration::ZERO,
    }
}

/// More than a thousand `ClientHello` messages per second.
const fn hellos(name: &'static str, certificate: &'static str, addresses: u32) -> Kind {
    Kind { certificate: Some(certificate), addresses, ..kind(name, Attack::Replays, 1500) }
}

const HALF: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ";

const KINDS: [Kind; 25] = [
    // For comparison: the load of this machine without an attack.
    kind("nobody", Attack::Holds(b""), 0),
    kind("idle connections", Attack::Holds(b""), 2000),
    kind("half-open requests", Attack::Holds(HALF), 2000),
    kind("kept connections", Attack::Holds(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), 2000),
    kind("slow heads", Attack::Drips(HALF), 1000),
    kind(
        "slow bodies",
        Attack::Drips(b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n"),
        1000,
    ),
    kind("slow readers", Attack::Sips, 600),
    kind("unread answers", Attack::Hoards, 300),
    kind("endless heads", Attack::Pours(HALF), 16),
    kind("empty lines", Attack::Pours(b"\r\n"), 16),
    kind("resets", Attack::Resets, 64),
    kind(
        "two lengths",
        Attack::Smuggles(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        ),
        32,
    ),
    kind(
        "a length and chunks",
        Attack::Smuggles(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        32,
    ),
    kind(
        "bad chunks",
        Attack::Smuggles(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\nzz\r\n"),
        32,
    ),
    kind(
        "anonymous refreshes",
        Attack::Repeats(b"POST /api/refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        64,
    ),
    kind(
        "the admin's refreshes",
        Attack::Repeats(
            b"POST /api/refresh HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer admin-token-of-the-siege\r\n\
              Content-Length: 0\r\n\r\n",
        ),
        64,
    ),
    kind(
        "wrong tokens",
        Attack::Repeats(
            b"GET /api/hotspot/awka/active HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer wrong\r\n\r\n",
        ),
        64,
    ),
    kind(
        "logins",
        Attack::Repeats(
            b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
              Content-Length: 30\r\n\r\ntoken=admin-token-of-the-siege",
        ),
        64,
    ),
    Kind { descriptors: 256, max_connections: 4000, ..kind("no descriptor left", Attack::Holds(HALF), 1000) },
    // 4,000 connections per second.
    Kind {
        addresses: 250,
        round_trip: Duration::from_millis(300),
        ..kind("flood of connections", Attack::Holds(b""), 4500)
    },
    hellos("hellos, RSA 2048", "rsa", 1),
    hellos("hellos, RSA 4096", "rsa4096", 1),
    hellos("many hellos, RSA 4096", "rsa4096", 50),
    hellos("hellos, ECDSA", "page", 1),
    kind("wrk", Attack::Wrk, 256),
];

/// An agent with three simulated sites, configured for this attack.
fn start(kind: &Kind) -> Agent {
    let tls = kind.certificate.map_or_else(String::new, |name| {
        let [cert, key] = ["cert", "key"].map(|part| pem(name, part).display().to_string());
        format!("tls: (cert: {cert:?}, key: {key:?})")
    });
    let file = format!(
        r#"(
            http: (listen: "127.0.0.1:0", max_connections: {}, admin: Token(Plain("{TOKEN}")), {tls}),
            defaults: (user: "api-user", refresh: "2s"),
            sites: {{
                "awka": (hosts: ["192.0.2.1"], password: Plain("x")),
                "lagos": (hosts: ["192.0.2.2"], password: Plain("x")),
                "abuja": (hosts: ["192.0.2.3"], password: Plain("x")),
            }},
        )"#,
        kind.max_connections
    );
    let limited = format!(r#"ulimit -n {} && exec "$0" run --simulate"#, kind.descriptors);
    let mut command = Command::new("sh");
    command.args(["-c", &limited]).arg(binary()).stderr(Stdio::piped());
    Agent::start(&mut command, &file)
}

/// The path of a test certificate or key.
fn pem(name: &str, part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/certificates/{name}.{part}.pem"))
}

/// A TLS session of a client.
fn session() -> ClientConnection {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        for name in ["page", "rsa", "rsa4096"] {
            roots.add(CertificateDer::from_pem_file(pem(name, "cert")).unwrap()).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A resumed session would cost no signature.
        config.resumption = futures_rustls::rustls::client::Resumption::disabled();
        config.into()
    });
    ClientConnection::new(config.clone(), ServerName::try_from("localhost").unwrap()).unwrap()
}

/// Memory of the kernel for TCP, in bytes.
fn kernel_memory() -> u64 {
    let sockets = fs::read_to_string("/proc/net/sockstat").unwrap();
    let mut words = sockets.lines().find_map(|line| line.strip_prefix("TCP:")).unwrap().split_whitespace();
    words.find(|word| *word == "mem").unwrap();
    words.next().unwrap().parse::<u64>().unwrap() * PAGE
}

/// A person who opens the page.
#[derive(Clone, Copy)]
struct Person {
    address: Ipv4Addr,
    /// Whether the person retries when the connection is closed, as browsers do. Clients of one address share its
    /// connections, so an attacker's next connection can evict a neighbour's. No other person's may be evicted.
    retries: bool,
    /// The time between connection and request.
    round_trip: Duration,
    uses_tls: bool,
}

const NEIGHBOUR: Person =
    Person { address: Ipv4Addr::LOCALHOST, retries: true, round_trip: Duration::ZERO, uses_tls: false };

const OTHER: Person = Person { address: Ipv4Addr::new(127, 0, 0, 2), retries: false, ..NEIGHBOUR };

/// Requests the page as this person's browser does. Returns the time, and the number of connections that were closed.
fn request_page(agent: &Agent, person: Person) -> (Duration, usize) {
    let began = Instant::now();
    let mut closed = 0;
    let answer = loop {
        match try_request(agent, person) {
            Ok(answer) => break answer,
            Err(error) if person.retries && is_closed(&error) && began.elapsed() < TIMEOUT => {
                closed += 1;
            }
            Err(error) => panic!("no page after {:?}: {error}", began.elapsed()),
        }
    };
    let took = began.elapsed();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    assert!(took < TIMEOUT, "the page took {took:?}");
    (took, closed)
}

fn try_request(agent: &Agent, person: Person) -> io::Result<String> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let stream = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&stream, &SocketAddrV4::new(person.address, 0))?;
    connect(&stream, &agent.address)?;
    let stream = std::net::TcpStream::from(stream);
    stream.set_read_timeout(Some(TIMEOUT))?;
    thread::sleep(person.round_trip);
    if person.uses_tls { answer(StreamOwned::new(session(), stream)) } else { answer(stream) }
}

fn answer(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let is_whole = answer.trim_end().ends_with("</html>");
    if is_whole { Ok(answer) } else { Err(io::Error::new(ErrorKind::UnexpectedEof, format!("{answer:?}"))) }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
}

/// One attacker, connection after connection: the agent may close any of them.
async fn attack(attack: Attack, address: SocketAddr, from: Option<Ipv4Addr>, delay: Duration) {
    Timer::after(delay).await;
    loop {
        let stream = match (attack, from) {
            (Attack::Hoards, _) => connect(address, Ipv4Addr::LOCALHOST, true).await,
            (_, Some(from)) => connect(address, from, false).await,
            (_, None) => TcpStream::connect(address).await,
        };
        // If the agent has ended, the persons notice it.
        if let Ok(stream) = stream {
            attack_once(attack, stream).await;
        }
        Timer::after(RECONNECT_AFTER).await;
    }
}

/// Connects from this address. With the smallest buffers here, nearly all of the kernel's memory is for the agent's side.
async fn connect(address: SocketAddr, from: Ipv4Addr, has_smallest_buffers: bool) -> io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
    if has_smallest_buffers {
        set_socket_recv_buffer_size(&socket, 0)?;
        set_socket_send_buffer_size(&socket, 0)?;
    }
    bind(&socket, &SocketAddrV4::new(from, 0))?;
    match connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let stream = Async::new(std::net::TcpStream::from(socket))?;
    stream.writable().await?;
    Ok(stream.into())
}

async fn attack_once(attack: Attack, mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    match attack {
        Attack::Holds(sent) => {
            let _ = stream.write_all(sent).await;
            while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
        }
        Attack::Drips(sent) => {
            let mut wrote = stream.write_all(sent).await;
            while wrote.is_ok() {
                let closed = async { stream.clone().read(&mut bytes).await.is_ok_and(|count| count > 0) };
                let waited = async {
                    Timer::after(Duration::from_secs(1)).await;
                    true
                };
                if !or(closed, waited).await {
                    return;
                }
                wrote = stream.write_all(b"x").await;
            }
        }
        Attack::Pours(sent) => {
            let much = sent.repeat(16 * 1024 / sent.len());
            while stream.write_all(&much).await.is_ok() {}
        }
        Attack::Sips => {
            let _ = stream.write_all(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50)).await;
            while stream.read(&mut bytes[..1]).await.is_ok_and(|count| count > 0) {
                Timer::after(Duration::from_secs(1)).await;
            }
        }
        Attack::Hoards => {
            let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200);
            while stream.write_all(&requests).await.is_ok() {}
        }
        Attack::Replays => {
            static HELLO: OnceLock<Vec<u8>> = OnceLock::new();
            let hello = HELLO.get_or_init(|| {
                let mut hello = Vec::new();
                session().write_tls(&mut hello).unwrap();
                hello
            });
            let _ = stream.write_all(hello).await;
            let answered = async {
                let _ = stream.read(&mut bytes).await;
            };
            let late = async {
                Timer::after(HELLO_TIMEOUT).await;
            };
            or(answered, late).await;
            // Otherwise this program would run out of ports.
            let _ = set_socket_linger(&stream, Some(Duration::ZERO));
        }
        Attack::Resets => {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let _ = set_socket_linger(&stream, Some(Duration::ZERO));
        }
        Attack::Repeats(sent) => {
            while stream.write_all(sent).await.is_ok()
                && stream.read(&mut bytes).await.is_ok_and(|count| count > 0)
            {}
        }
        Attack::Smuggles(sent) => {
            let _ = stream.write_all(sent).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let refused = answer.starts_with(b"HTTP/1.1 400 ") || answer.starts_with(b"HTTP/1.1 501 ");
            assert!(answer.is_empty() || refused, "{}", String::from_utf8_lossy(&answer));
        }
        Attack::Wrk => {}
    }
}

/// One person's response times until the attack is over, and how many connections were closed.
fn request_pages(agent: &Agent, person: Person, is_over: &AtomicBool) -> (Vec<Duration>, usize) {
    let (mut waits, mut all_closed) = (Vec::new(), 0);
    while !is_over.load(Ordering::Relaxed) {
        let (wait, closed) = request_page(agent, person);
        waits.push(wait);
        all_closed += closed;
        thread::sleep(REQUEST_EVERY);
    }
    waits.sort_unstable();
    (waits, all_closed)
}

fn run(kind: &Kind, time: Duration) {
    let agent = start(kind);
    let uses_tls = kind.certificate.is_some();
    let neighbour = Person { uses_tls, ..NEIGHBOUR };
    let retries = kind.round_trip > Duration::ZERO;
    let distant = Person { uses_tls, retries, round_trip: kind.round_trip, ..OTHER };
    // Warm up: the memory for the first pages is not caused by the attack.
    for _ in 0..20 {
        request_page(&agent, Person { round_trip: Duration::ZERO, ..distant });
    }
    let (before, kernel_before) = (agent.memory("VmRSS"), kernel_memory());
    let (lines_before, began) = (agent.lines(), Instant::now());
    let is_over = AtomicBool::new(false);
    let (same, other, kernel) = thread::scope(|scope| {
        let (agent, is_over) = (&agent, &is_over);
        let same = scope.spawn(move || request_pages(agent, neighbour, is_over));
        let other = scope.spawn(move || request_pages(agent, distant, is_over));
        let kernel = scope.spawn(move || {
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(kernel_memory());
                thread::sleep(REQUEST_EVERY);
            }
            most.saturating_sub(kernel_before)
        });
        if let Attack::Wrk = kind.attack {
            let output = Command::new("wrk")
                .args(["-t1", &format!("-c{}", kind.clients), &format!("-d{}s", time.as_secs())])
                .arg(format!("http://{}/", agent.address))
                .output()
                .expect("expected wrk");
            let output = String::from_utf8_lossy(&output.stdout).into_owned();
            for line in
                output.lines().filter(|line| line.contains("Requests/sec") || line.contains("Socket errors"))
            {
                println!("    {}", line.trim());
            }
        } else {
            let executor = Rc::new(LocalExecutor::new());
            let attackers: Vec<_> = (0..kind.clients)
                .map(|number| {
                    let delay = START.mul_f64(number as f64 / kind.clients as f64);
                    let from = u32::try_from(number).unwrap().checked_rem(kind.addresses);
                    let from = from.map(|number| Ipv4Addr::from_bits(0x7f01_0000 + number));
                    executor.spawn(attack(kind.attack, agent.address, from, delay))
                })
                .collect();
            smol::block_on(executor.run(Timer::after(time)));
            assert!(attackers.iter().all(|attacker| !attacker.is_finished()));
        }
        is_over.store(true, Ordering::Relaxed);
        (same.join().unwrap(), other.join().unwrap(), kernel.join().unwrap())
    });
    // The remaining connections end with the attackers or at their deadlines.
    let ended = Instant::now();
    while agent.memory("VmRSS") >= before + MORE_AFTER && ended.elapsed() < FREED_WITHIN {
        thread::sleep(REQUEST_EVERY);
    }
    let (most, after) = (agent.memory("VmHWM"), agent.memory("VmRSS"));
    let (lines, seconds) = (agent.lines() - lines_before, began.elapsed().as_secs_f64());
    let summary = |(waits, closed): &(Vec<Duration>, usize)| {
        let share = |share: usize| waits[(waits.len() - 1) * share / 100];
        format!(
            "{} pages, {closed} connections closed, half within {:.1?}, 99% {:.1?}, all {:.1?}",
            waits.len(),
            share(50),
            share(99),
            share(100)
        )
    };
    println!("{:20} same address: {}", kind.name, summary(&same));
    println!("{:20} another:      {}", "", summary(&other));
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "{:20} memory: {:.1} MB before, at most {:.1}, {:.1} after; of the kernel at most {:.1} more",
        "",
        megabytes(before),
        megabytes(most),
        megabytes(after),
        megabytes(kernel)
    );
    if let Attack::Hoards = kind.attack {
        assert!(
            kernel < MOST_UNREAD,
            "{}: expected less kernel memory than {:.1} MB",
            kind.name,
            megabytes(kernel)
        );
    }
    println!("{:20} log: {lines} lines in {seconds:.1} s", "");
    let most_lines = BURST_OF_LINES as f64 + MOST_LINES as f64 * seconds;
    assert!(
        lines as f64 <= most_lines,
        "{}: expected fewer log lines than {lines} in {seconds:.1} s",
        kind.name
    );
    assert!(most < MOST_MEMORY, "{}: expected less memory than {:.1} MB", kind.name, megabytes(most));
    assert!(
        after < before + MORE_AFTER,
        "{}: expected the agent to free more, {:.1} MB stayed",
        kind.name,
        megabytes(after - before)
    );
}

fn main() {
    agent::allow_descriptors(DESCRIPTORS);

    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let seconds = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(30);
    let name = arguments.iter().find(|word| word.parse::<u64>().is_err()).map_or("", String::as_str);
    let chosen: Vec<&Kind> = KINDS.iter().filter(|kind| kind.name.contains(name)).collect();
    assert!(!chosen.is_empty(), "unknown attack {name}");
    for kind in chosen {
        run(kind, Duration::from_secs(seconds));
    }
}

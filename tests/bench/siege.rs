//! The front door under attack: each kind held for a while, and meanwhile a person at the attacker's own
//! address and one at another ask for the page.
//!
//! Tells how long they waited, and what the agent took of memory. It fails where a page does not come
//! whole, or memory passes its bound; times are only told, for a machine may be busy.
//!
//! ```sh
//! cargo bench --bench siege              # 30 seconds each
//! cargo bench --bench siege -- slow 10   # those of this name, for 10 seconds
//! ```

// Helpers may stop at the first thing that is not as it must be.
#![allow(clippy::unwrap_used)]

mod agent;
#[path = "../support/binary.rs"]
mod binary;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use agent::Agent;
use async_net::TcpStream;
use binary::binary;
use rustix::net::sockopt::set_socket_linger;
use smol::future::or;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{LocalExecutor, Timer};

/// The longest that anybody waits for the page, whatever goes on.
const PATIENCE: Duration = Duration::from_secs(5);

/// From one page to the next, of each person.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// All attackers have begun within this time.
const BEGIN: Duration = Duration::from_secs(1);

/// From the end of an attacker's connection to its next one. More of them at once would measure who has more
/// of this machine's processors.
const AGAIN: Duration = Duration::from_secs(1);

/// The most memory that the agent may have, in bytes: an agent for the first time under attack.
const MOST_MEMORY: u64 = 24_000_000;

/// How much more it may have after an attack than before any. A freed heap stays with glibc in part; musl,
/// for which the agent is built, gives it back.
const MORE_AFTER: u64 = if cfg!(target_env = "musl") { 2_000_000 } else { 6_000_000 };

/// Descriptors of this program.
const DESCRIPTORS: u64 = 8192;

/// How a client attacks, over and over.
#[derive(Clone, Copy)]
enum Attack {
    /// Sends this and then nothing, until it is closed.
    Holds(&'static [u8]),
    /// Sends this, and then a byte of the rest each second.
    Drips(&'static [u8]),
    /// Sends this without end.
    Pours(&'static [u8]),
    /// Asks for fifty pages at once, and reads a byte each second.
    Sips,
    /// Asks and resets.
    Resets,
    /// Sends this, and wants to be refused.
    Smuggles(&'static [u8]),
    /// `wrk` asks for the page as often as it can.
    Wrk,
}

struct Kind {
    name: &'static str,
    attack: Attack,
    /// How many at a time.
    clients: usize,
    /// How many descriptors the agent has.
    descriptors: u64,
    max_connections: usize,
}

const fn kind(name: &'static str, attack: Attack, clients: usize) -> Kind {
    Kind { name, attack, clients, descriptors: 4096, max_connections: 512 }
}

const HALF: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ";

const KINDS: [Kind; 15] = [
    // What the others are to be held against: how this machine is meanwhile.
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
    Kind { descriptors: 256, max_connections: 4000, ..kind("no descriptor left", Attack::Holds(HALF), 1000) },
    kind("wrk", Attack::Wrk, 256),
];

/// An agent of three simulated sites, as this kind of attack finds it.
fn start(kind: &Kind) -> Agent {
    let file = format!(
        r#"(
            http: (listen: "127.0.0.1:0", max_connections: {}),
            defaults: (user: "api-user", refresh: "2s"),
            sites: {{
                "awka": (hosts: ["192.0.2.1"], password: Plain("x")),
                "lagos": (hosts: ["192.0.2.2"], password: Plain("x")),
                "abuja": (hosts: ["192.0.2.3"], password: Plain("x")),
            }},
        )"#,
        kind.max_connections
    );
    let limited = format!(r#"ulimit -n {} && exec "$0" run --simulate --log error"#, kind.descriptors);
    let mut command = Command::new("sh");
    command.args(["-c", &limited]).arg(binary()).stderr(Stdio::null());
    Agent::start(&mut command, &file)
}

/// A person who opens the page.
#[derive(Clone, Copy)]
struct Person {
    address: Ipv4Addr,
    /// Whether the person tries again when the connection is closed, as browsers do. Clients of one address share
    /// its connections, so that an attacker's next connection can close a neighbour's. Nobody else's may be closed.
    tries_again: bool,
}

const NEIGHBOUR: Person = Person { address: Ipv4Addr::LOCALHOST, tries_again: true };

const STRANGER: Person = Person { address: Ipv4Addr::new(127, 0, 0, 2), tries_again: false };

/// Asks for the page as this person's browser does; how long it took, and how many connections were closed.
fn page(agent: &Agent, person: Person) -> (Duration, usize) {
    let began = Instant::now();
    let mut closed = 0;
    let answer = loop {
        match request(agent, person.address) {
            Ok(answer) => break answer,
            Err(error) if person.tries_again && is_closed(&error) && began.elapsed() < PATIENCE => {
                closed += 1;
            }
            Err(error) => panic!("no page after {:?}: {error}", began.elapsed()),
        }
    };
    let took = began.elapsed();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    assert!(took < PATIENCE, "the page took {took:?}");
    (took, closed)
}

fn request(agent: &Agent, from: Ipv4Addr) -> io::Result<String> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let stream = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&stream, &SocketAddrV4::new(from, 0))?;
    connect(&stream, &agent.address)?;
    let mut stream = std::net::TcpStream::from(stream);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let is_whole = answer.trim_end().ends_with("</html>");
    if is_whole { Ok(answer) } else { Err(io::Error::new(ErrorKind::UnexpectedEof, format!("{answer:?}"))) }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
}

/// One client's attacks. However one ends, the next follows: the agent closes what it can't bear.
async fn attack(attack: Attack, address: SocketAddr, delay: Duration) {
    Timer::after(delay).await;
    loop {
        // A refusal to connect would be an end of the agent, which those who ask for the page notice.
        if let Ok(stream) = TcpStream::connect(address).await {
            once(attack, stream).await;
        }
        Timer::after(AGAIN).await;
    }
}

async fn once(attack: Attack, mut stream: TcpStream) {
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
        Attack::Resets => {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let _ = set_socket_linger(&stream, Some(Duration::ZERO));
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

/// One person's waits until it is over, and how many connections were closed.
fn ask(agent: &Agent, person: Person, is_over: &AtomicBool) -> (Vec<Duration>, usize) {
    let (mut waits, mut all_closed) = (Vec::new(), 0);
    while !is_over.load(Ordering::Relaxed) {
        let (wait, closed) = page(agent, person);
        waits.push(wait);
        all_closed += closed;
        thread::sleep(ASK_EVERY);
    }
    waits.sort_unstable();
    (waits, all_closed)
}

fn hold(kind: &Kind, time: Duration) {
    let agent = start(kind);
    // Warm: what the first pages take is no attacker's doing.
    for _ in 0..20 {
        page(&agent, STRANGER);
    }
    let before = agent.memory("VmRSS");
    let is_over = AtomicBool::new(false);
    let (same, other) = thread::scope(|scope| {
        let (agent, is_over) = (&agent, &is_over);
        let same = scope.spawn(move || ask(agent, NEIGHBOUR, is_over));
        let other = scope.spawn(move || ask(agent, STRANGER, is_over));
        if let Attack::Wrk = kind.attack {
            let told = Command::new("wrk")
                .args(["-t1", &format!("-c{}", kind.clients), &format!("-d{}s", time.as_secs())])
                .arg(format!("http://{}/", agent.address))
                .output()
                .expect("wrk is installed");
            let told = String::from_utf8_lossy(&told.stdout).into_owned();
            for line in
                told.lines().filter(|line| line.contains("Requests/sec") || line.contains("Socket errors"))
            {
                println!("    {}", line.trim());
            }
        } else {
            let executor = Rc::new(LocalExecutor::new());
            let attackers: Vec<_> = (0..kind.clients)
                .map(|number| {
                    let delay = BEGIN.mul_f64(number as f64 / kind.clients as f64);
                    executor.spawn(attack(kind.attack, agent.address, delay))
                })
                .collect();
            smol::block_on(executor.run(Timer::after(time)));
            assert!(attackers.iter().all(|attacker| !attacker.is_finished()));
        }
        is_over.store(true, Ordering::Relaxed);
        (same.join().unwrap(), other.join().unwrap())
    });
    // Those that are still held are let go by their deadlines, or gone with the attackers.
    thread::sleep(Duration::from_secs(2));
    let (most, after) = (agent.memory("VmHWM"), agent.memory("VmRSS"));
    let told = |(waits, closed): &(Vec<Duration>, usize)| {
        let share = |share: usize| waits[(waits.len() - 1) * share / 100];
        format!(
            "{} pages, {closed} connections closed, half within {:.1?}, 99% {:.1?}, all {:.1?}",
            waits.len(),
            share(50),
            share(99),
            share(100)
        )
    };
    println!("{:20} same address: {}", kind.name, told(&same));
    println!("{:20} another:      {}", "", told(&other));
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "{:20} memory: {:.1} MB before, {:.1} at the most, {:.1} after",
        "",
        megabytes(before),
        megabytes(most),
        megabytes(after)
    );
    assert!(most < MOST_MEMORY, "{}: it had {:.1} MB", kind.name, megabytes(most));
    assert!(after < before + MORE_AFTER, "{}: {:.1} MB stay", kind.name, megabytes(after - before));
}

fn main() {
    agent::allow_descriptors(DESCRIPTORS);

    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let seconds = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(30);
    let name = arguments.iter().find(|word| word.parse::<u64>().is_err()).map_or("", String::as_str);
    let chosen: Vec<&Kind> = KINDS.iter().filter(|kind| kind.name.contains(name)).collect();
    assert!(!chosen.is_empty(), "no attack is called {name}");
    for kind in chosen {
        hold(kind, Duration::from_secs(seconds));
    }
}

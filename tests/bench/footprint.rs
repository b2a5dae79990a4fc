//! The footprint of a binary: memory with three routers and a thousand requests, and the time from start to the first
//! page.
//!
//! It measures the shipped binary, because memory depends on the C library and the build. `PHSWEB_AGENT_BINARY` names
//! another one. It fails if the memory exceeds its limit; times are only printed, because the machine may be busy.
//!
//! ```sh
//! cross/build.sh x86_64-unknown-linux-musl
//! cargo bench --bench footprint               # 10 minutes
//! cargo bench --bench footprint -- 0.5        # half a minute
//! ```

// Helpers may panic.
#![allow(clippy::unwrap_used)]

// This benchmark does not use all helpers.
#[allow(dead_code)]
mod agent;
// The path of the binary that cargo builds is not used.
#[allow(dead_code)]
#[path = "../support/binary.rs"]
mod binary;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent::Agent;
use phsweb_agent::simulator::{Router, Settings};

/// The output of `cross/build.sh x86_64-unknown-linux-musl`.
const SHIPPED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/target/cross/x86_64-unknown-linux-musl/release/phsweb-agent");

const SITES: [&str; 3] = ["awka", "lagos", "abuja"];

/// The sessions of each site, and the mean time between two logins or logouts.
const ACTIVE: usize = 25;
const CHURN: Duration = Duration::from_secs(5);

const REQUESTS: u32 = 1000;

/// The requested paths in turn: pages, JSON, metrics.
const PATHS: [&str; 5] = ["/", "/api/hotspot/stats", "/metrics", "/sites/awka", "/api/sites"];

/// Upper bound of the resident memory at the end, in bytes: 2.5 MiB, and a tenth for the system's way of mapping the binary.
const MAX_MEMORY: u64 = (5 << 19) * 11 / 10;

const STARTS: usize = 20;

/// Timeout of a response.
const TIMEOUT: Duration = Duration::from_secs(10);

fn routers() -> Vec<Router> {
    let settings = |seed| Settings { active: ACTIVE, churn: CHURN, seed, ..Settings::default() };
    let start = |seed| Router::start(([127, 0, 0, 1], 0).into(), settings(seed)).unwrap();
    (1..).map(start).take(SITES.len()).collect()
}

fn file(routers: &[Router]) -> String {
    let site = |(key, router): (&&str, &Router)| {
        format!("\"{key}\": (hosts: [\"{}\"], password: Plain(\"password\")),", router.addr())
    };
    let sites: String = SITES.iter().zip(routers).map(site).collect();
    format!(
        "(http: (listen: \"127.0.0.1:0\"), defaults: (user: \"api-user\", refresh: \"1s\"), sites: {{{sites}}})"
    )
}

fn start(binary: &Path, file: &str) -> Agent {
    Agent::start(Command::new(binary).arg("run").env_clear().stderr(Stdio::null()), file)
}

/// Sends a request over a new connection.
fn request(address: SocketAddr, path: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
}

/// The times from start to the first page, sorted.
fn start_times(binary: &Path, file: &str) -> Vec<Duration> {
    let one = |_| {
        let began = Instant::now();
        let agent = start(binary, file);
        request(agent.address, "/");
        began.elapsed()
    };
    let mut took: Vec<Duration> = (0..STARTS).map(one).collect();
    took.sort_unstable();
    took
}

fn print_memory(agent: &Agent, when: &str) {
    let mebibytes = |name: &str| agent.memory(name) as f64 / f64::from(1 << 20);
    println!(
        "{when:>12}: {:.2} MiB resident, {:.2} of it anonymous and {:.2} of the binary; peak {:.2}",
        mebibytes("VmRSS"),
        mebibytes("RssAnon"),
        mebibytes("RssFile"),
        mebibytes("VmHWM")
    );
}

/// Sends a thousand requests over this time and prints the memory.
fn measure(binary: &Path, file: &str, time: Duration) {
    let agent = start(binary, file);
    request(agent.address, "/");
    print_memory(&agent, "start");
    let (began, mut minutes) = (Instant::now(), 0);
    for (number, path) in (0..REQUESTS).zip(PATHS.iter().cycle()) {
        thread::sleep((time * number / REQUESTS).saturating_sub(began.elapsed()));
        let passed = began.elapsed().as_secs() / 60;
        if passed > minutes {
            minutes = passed;
            print_memory(&agent, &format!("{minutes} min"));
        }
        request(agent.address, path);
    }
    thread::sleep(time.saturating_sub(began.elapsed()));
    print_memory(&agent, "end");
    let resident = agent.memory("VmRSS");
    assert!(resident <= MAX_MEMORY, "expected at most {MAX_MEMORY} resident bytes, got {resident}");
}

fn main() {
    let minutes = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(10.0);
    let binary = binary::binary_or(SHIPPED);
    let routers = routers();
    let file = file(&routers);
    let took = start_times(&binary, &file);
    println!(
        "from exec to the first page: half of {STARTS} starts within {:.1?}, all within {:.1?}",
        took[(STARTS - 1) / 2],
        took[STARTS - 1]
    );
    measure(&binary, &file, Duration::from_secs_f64(60.0 * minutes));
}

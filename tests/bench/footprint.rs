//! What a binary takes of a small machine: memory while it asks three routers and a thousand requests come,
//! and the time from its start to its first page.
//!
//! What is measured is the binary that ships, since memory goes by the C library and the build; another is
//! measured where `PHSWEB_AGENT_BINARY` names it. It fails where memory passes its bound; times are only told, for a
//! machine may be busy.
//!
//! ```sh
//! cross/build.sh x86_64-unknown-linux-musl
//! cargo bench --bench footprint               # 10 minutes
//! cargo bench --bench footprint -- 0.5        # half a minute
//! ```

// Helpers may stop at the first thing that is not as it must be.
#![allow(clippy::unwrap_used)]

// What it has for the others is not used here.
#[allow(dead_code)]
mod agent;
// As cargo builds it is not how it ships.
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

/// What `cross/build.sh x86_64-unknown-linux-musl` makes.
const SHIPPED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/target/cross/x86_64-unknown-linux-musl/release/phsweb-agent");

const SITES: [&str; 3] = ["awka", "lagos", "abuja"];

/// People online at each site, and how often one of them comes or goes.
const ACTIVE: usize = 25;
const CHURN: Duration = Duration::from_secs(5);

const REQUESTS: u32 = 1000;

/// What they ask for by turns: pages, JSON, metrics.
const PATHS: [&str; 5] = ["/", "/api/hotspot/stats", "/metrics", "/sites/awka", "/api/sites"];

/// The most that may be resident after them, in bytes: 3 MiB.
const MOST_MEMORY: u64 = 3 << 20;

const STARTS: usize = 20;

/// An answer that has not come by then never comes.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// Asks as a program does that keeps no connection.
fn ask(address: SocketAddr, path: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
}

/// How long it takes from the start to the first page, from the shortest on.
fn starts(binary: &Path, file: &str) -> Vec<Duration> {
    let one = |_| {
        let began = Instant::now();
        let agent = start(binary, file);
        ask(agent.address, "/");
        began.elapsed()
    };
    let mut took: Vec<Duration> = (0..STARTS).map(one).collect();
    took.sort_unstable();
    took
}

fn tell(agent: &Agent, when: &str) {
    let mebibytes = |name: &str| agent.memory(name) as f64 / f64::from(1 << 20);
    println!(
        "{when:>12}: {:.2} MiB resident, {:.2} of it its own and {:.2} of its file; at the most {:.2}",
        mebibytes("VmRSS"),
        mebibytes("RssAnon"),
        mebibytes("RssFile"),
        mebibytes("VmHWM")
    );
}

/// A thousand requests, spread over this time, and the memory meanwhile.
fn measure(binary: &Path, file: &str, time: Duration) {
    let agent = start(binary, file);
    ask(agent.address, "/");
    tell(&agent, "start");
    let (began, mut minutes) = (Instant::now(), 0);
    for (number, path) in (0..REQUESTS).zip(PATHS.iter().cycle()) {
        thread::sleep((time * number / REQUESTS).saturating_sub(began.elapsed()));
        let passed = began.elapsed().as_secs() / 60;
        if passed > minutes {
            minutes = passed;
            tell(&agent, &format!("{minutes} min"));
        }
        ask(agent.address, path);
    }
    thread::sleep(time.saturating_sub(began.elapsed()));
    tell(&agent, "end");
    let resident = agent.memory("VmRSS");
    assert!(resident <= MOST_MEMORY, "{resident} bytes are resident, of at most {MOST_MEMORY}");
}

fn main() {
    let minutes = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(10.0);
    let binary = binary::binary_or(SHIPPED);
    let routers = routers();
    let file = file(&routers);
    let took = starts(&binary, &file);
    println!(
        "from exec to the first page: half of {STARTS} starts within {:.1?}, all within {:.1?}",
        took[(STARTS - 1) / 2],
        took[STARTS - 1]
    );
    measure(&binary, &file, Duration::from_secs_f64(60.0 * minutes));
}

//! The HTTP server: requests per second and response times, and memory per subscriber of events.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use crate::phsweb::Phsweb;
use crate::report::Report;
use crate::simulator::Simulator;

const ROUTERS: usize = 50;
const SESSIONS: usize = 20;
const PATHS: [&str; 3] = ["/", "/api/hotspot/stats", "/metrics"];

const SUBSCRIBERS: usize = 500;

const TIMEOUT: Duration = Duration::from_secs(10);

fn start() -> (Simulator, Phsweb) {
    let simulator = Simulator::start(ROUTERS, SESSIONS, Duration::ZERO, 0);
    let agent = Phsweb::configured(&simulator.addresses, "30s", "");
    (simulator, agent)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Requests {
    path: &'static str,
    per_second: f64,
    /// As wrk prints them, such as `1.23ms`.
    median: String,
    percentile99: String,
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { path, per_second, median, percentile99 } = self;
        write!(
            f,
            "GET {path:20} {per_second:>8.0} requests/s, half within {median}, 99% within {percentile99}"
        )
    }
}

pub(crate) fn measure_requests(report: &mut Report) {
    report.print(&format!("\n16 connections of wrk, with {ROUTERS} routers of {SESSIONS} sessions"));
    let (_simulator, agent) = start();
    for path in PATHS {
        let run =
            Command::new("wrk").args(["-t1", "-c16", "-d3s", "--latency"]).arg(agent.url(path)).output();
        let output = match run {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(error) => return report.missing("wrk", &error.to_string()),
        };
        assert!(!output.contains("Non-2xx"), "{output}");
        let after = |name: &str| {
            let value = output.lines().find_map(|line| line.trim().strip_prefix(name));
            value.unwrap_or_else(|| panic!("expected {name} in {output}")).trim().to_string()
        };
        let per_second = after("Requests/sec:").parse().unwrap();
        report.add("http", &Requests { path, per_second, median: after("50%"), percentile99: after("99%") });
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subscribers {
    subscribers: usize,
    bytes_each: u64,
}

impl fmt::Display for Subscribers {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { subscribers, bytes_each } = self;
        write!(f, "\nMemory of each of {subscribers} subscribers of events: {bytes_each} bytes")
    }
}

pub(crate) fn measure_subscribers(report: &mut Report) {
    let (_simulator, agent) = start();
    let subscribe = || {
        let mut stream = TcpStream::connect(agent.agent.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        // The first bytes of the response: the subscription exists.
        assert_ne!(stream.read(&mut [0; 256]).unwrap(), 0);
        stream
    };
    // What the first one needs, all share.
    let _first = subscribe();
    let before = agent.agent.memory("VmRSS");
    let _streams: Vec<_> = (0..SUBSCRIBERS).map(|_| subscribe()).collect();
    let more = agent.agent.memory("VmRSS").saturating_sub(before);
    report
        .add("subscribers", &Subscribers { subscribers: SUBSCRIBERS, bytes_each: more / SUBSCRIBERS as u64 });
}

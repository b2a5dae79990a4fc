//! Refreshes of a fleet by each program: time, CPU, bytes, commands and memory, and their ratio to the physical limit.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::needed::{self, Needed};
use crate::options::Options;
use crate::program::{PROGRAMS, Program};
use crate::report::Report;
use crate::simulator::Simulator;

/// The time to a reply, as over a slow link: no refresh can be faster.
const LATENCY: Duration = Duration::from_millis(100);

/// Refreshes that are measured, after one that is not.
const REFRESHES: u32 = 5;

/// What fifty routers may take: the agent asks them in parallel, and each in one round trip.
const LIMIT: (usize, usize, f64) = (50, 20, 115.0);

/// One refresh of all routers, on average; the time is the median.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refresh {
    program: &'static str,
    routers: usize,
    sessions: usize,
    milliseconds: f64,
    cpu_milliseconds: f64,
    sent: u64,
    received: u64,
    commands: u64,
    memory: u64,
    simulator_cpu_milliseconds: f64,
    /// The time, and the received bytes, divided by those of the physical limit.
    times_limit: f64,
    bytes_limit: f64,
}

impl fmt::Display for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{:16} {:>8.1} ms {:>6.2}× {:>10.2} {:>9} {:>11} {:>6.2}× {:>8} {:>9.1} {:>10.1}",
            self.program,
            self.milliseconds,
            self.times_limit,
            self.cpu_milliseconds,
            self.sent,
            self.received,
            self.bytes_limit,
            self.commands,
            self.memory as f64 / f64::from(1 << 20),
            self.simulator_cpu_milliseconds,
        )
    }
}

pub(crate) fn measure(options: &Options, report: &mut Report) {
    for &(routers, sessions) in &options.cells {
        report.print(&format!(
            "\nRefresh of {routers} routers with {sessions} sessions each, which reply after {LATENCY:?}"
        ));
        report.print(&format!(
            "{:16} {:>11} {:>7} {:>10} {:>9} {:>11} {:>7} {:>8} {:>9} {:>10}",
            "", "time", "limit", "CPU ms", "B sent", "B received", "limit", "commands", "MiB", "simulator"
        ));
        let mut simulator = Simulator::start(routers, sessions, LATENCY, 0);
        let needed = needed::of_router(&simulator.addresses[0]);
        let count = routers as u64;
        report.print(&format!(
            "{:16} {:>8.1} ms {:>7} {:>10} {:>9} {:>11} {:>7} {:>8}",
            "physical limit",
            LATENCY.as_secs_f64() * 1e3,
            "",
            "",
            needed.sent * count,
            needed.received * count,
            "",
            needed.commands * count
        ));
        for (name, most_sessions, start) in PROGRAMS {
            if routers * sessions > most_sessions {
                report.missing(name, &format!("more than {most_sessions} sessions"));
                continue;
            }
            match start(&simulator.addresses, routers * sessions) {
                Ok(mut program) => {
                    let mut result = run(&mut *program, &mut simulator, needed);
                    (result.program, result.routers, result.sessions) = (name, routers, sessions);
                    report.add("refresh", &result);
                    if (routers, sessions) == (LIMIT.0, LIMIT.1) && name == PROGRAMS[0].0 {
                        report.limit("milliseconds of a refresh of 50 routers", result.milliseconds, LIMIT.2);
                    }
                }
                Err(why) => report.missing(name, &why),
            }
        }
    }
}

fn run(program: &mut dyn Program, simulator: &mut Simulator, needed: Needed) -> Refresh {
    program.refresh();
    thread::sleep(program.pause());
    let (before, cpu_before) = (simulator.counts(), program.cpu());
    let mut times = Vec::new();
    for _ in 0..REFRESHES {
        let began = Instant::now();
        program.refresh();
        times.push(began.elapsed());
        thread::sleep(program.pause());
    }
    times.sort_unstable();
    let (counts, cpu) = (simulator.counts().since(before), program.cpu() - cpu_before);
    let each = |sum: u64| sum / u64::from(REFRESHES);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let time = times[times.len() / 2];
    let bytes = needed.received * simulator.addresses.len() as u64;
    Refresh {
        program: "",
        routers: 0,
        sessions: 0,
        milliseconds: milliseconds(time),
        cpu_milliseconds: milliseconds(cpu / REFRESHES),
        sent: each(counts.received),
        received: each(counts.sent),
        commands: each(counts.commands),
        memory: program.memory(),
        simulator_cpu_milliseconds: milliseconds(counts.cpu / REFRESHES),
        times_limit: time.as_secs_f64() / LATENCY.as_secs_f64(),
        bytes_limit: each(counts.sent) as f64 / bytes as f64,
    }
}

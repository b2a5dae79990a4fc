//! A large fleet over time: memory, the share of a core, logins and bytes.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::phsweb::Phsweb;
use crate::program::Program;
use crate::report::Report;
use crate::simulator::Simulator;

pub(crate) const ROUTERS: usize = 1000;
pub(crate) const SESSIONS: usize = 20;
pub(crate) const REFRESH: &str = "30s";
pub(crate) const LATENCY: Duration = Duration::from_millis(100);

/// The time between a login or logout at each router.
pub(crate) const CHURN_S: u64 = 120;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Large {
    seconds: f64,
    memory: u64,
    peak_memory: u64,
    /// Of a core.
    cpu: f64,
    simulator_cpu: f64,
    /// Since the start.
    logins: u64,
    commands_per_second: f64,
    received_per_second: f64,
}

impl fmt::Display for Large {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(
            f,
            "\n{ROUTERS} routers of {SESSIONS} sessions, each read every {REFRESH}, over {:.0} s: {:.1} MB (peak {:.1}), \
             {:.1} % of a core (simulator {:.1} %), {} logins, {:.0} commands/s, {:.0} kB/s",
            self.seconds,
            megabytes(self.memory),
            megabytes(self.peak_memory),
            100.0 * self.cpu,
            100.0 * self.simulator_cpu,
            self.logins,
            self.commands_per_second,
            self.received_per_second / 1e3
        )
    }
}

pub(crate) fn measure(time: Duration, report: &mut Report) {
    let mut simulator = Simulator::start(ROUTERS, SESSIONS, LATENCY, CHURN_S);
    let agent = Phsweb::configured(&simulator.addresses, REFRESH, "");
    let (before, cpu_before, began) = (simulator.counts(), agent.cpu(), Instant::now());
    thread::sleep(time);
    let (counts, cpu, seconds) =
        (simulator.counts(), agent.cpu() - cpu_before, began.elapsed().as_secs_f64());
    let new = counts.since(before);
    let result = Large {
        seconds,
        memory: agent.agent.memory("VmRSS"),
        peak_memory: agent.agent.memory("VmHWM"),
        cpu: cpu.as_secs_f64() / seconds,
        simulator_cpu: new.cpu.as_secs_f64() / seconds,
        logins: counts.logins,
        commands_per_second: new.commands as f64 / seconds,
        received_per_second: new.sent as f64 / seconds,
    };
    report.add("large", &result);
    report.limit("logins at a thousand routers", result.logins as f64, ROUTERS as f64);
}

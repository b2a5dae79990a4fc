//! What alerts cost: an agent with twenty rules and one without, at the same thousand routers at the same time.

use std::fmt;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::large::{CHURN_S, LATENCY, REFRESH, ROUTERS, SESSIONS};
use crate::phsweb::Phsweb;
use crate::program::Program;
use crate::report::Report;
use crate::simulator::Simulator;

/// What the agent with rules may take of CPU and memory, compared with the one without.
const CPU_LIMIT: f64 = 1.05;
const MEMORY_LIMIT: f64 = 1.1;

const RULES: [&str; 20] = [
    "SiteDown(after: \"90s\")",
    "Rebooted",
    "PluginFailing(after: \"10m\")",
    "ClockWrong(by: \"5m\", after: \"10m\")",
    "CertificateExpires(within: \"14days\")",
    "ConfigRejected(after: \"1m\")",
    "LoginsRefused",
    "Above(figure: CpuLoad, limit: 90, after: \"10m\")",
    "Above(figure: CpuLoad, limit: 99, after: \"5m\")",
    "Above(figure: MemoryUsed, limit: 90, after: \"10m\")",
    "Above(figure: MemoryUsed, limit: 97, after: \"5m\")",
    "Above(figure: Temperature, limit: 75, after: \"10m\")",
    "Above(figure: Temperature, limit: 90, after: \"5m\")",
    "Above(figure: ActiveUsers, limit: 500, after: \"10m\")",
    "Above(figure: PoolUsed, limit: 95, after: \"10m\")",
    "Above(figure: LicenceUsed, limit: 95, after: \"10m\")",
    "Below(figure: ActiveUsers, limit: 1, after: \"2h\")",
    "Below(figure: CpuLoad, limit: 0, after: \"2h\")",
    "Below(figure: MemoryUsed, limit: 1, after: \"2h\")",
    "Below(figure: Temperature, limit: 1, after: \"2h\")",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alerts {
    cpu_with: f64,
    cpu_without: f64,
    memory_with: u64,
    memory_without: u64,
}

impl fmt::Display for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "\n{ROUTERS} routers with {} rules: {:.3} × the CPU ({:.2} s, without {:.2} s), {:.3} × the memory ({:.1} MB, \
             without {:.1} MB)",
            RULES.len(),
            self.cpu_with / self.cpu_without,
            self.cpu_with,
            self.cpu_without,
            self.memory_with as f64 / self.memory_without as f64,
            self.memory_with as f64 / 1e6,
            self.memory_without as f64 / 1e6
        )
    }
}

pub(crate) fn measure(time: Duration, report: &mut Report) {
    let simulator = Simulator::start(ROUTERS, SESSIONS, LATENCY, CHURN_S);
    let rules = format!("alerts: (on: [{}])", RULES.join(", "));
    let agents = [rules.as_str(), "alerts: (on: [])"]
        .map(|alerts| Phsweb::configured(&simulator.addresses, REFRESH, alerts));
    let before = agents.each_ref().map(Program::cpu);
    thread::sleep(time);
    let after = agents.each_ref().map(Program::cpu);
    let [cpu_with, cpu_without] = [0, 1].map(|at| (after[at] - before[at]).as_secs_f64());
    let [memory_with, memory_without] = agents.each_ref().map(|agent| agent.agent.memory("VmRSS"));
    report.add("alerts", &Alerts { cpu_with, cpu_without, memory_with, memory_without });
    report.limit("CPU with alerts, compared with none,", cpu_with / cpu_without, CPU_LIMIT);
    let memory = memory_with as f64 / memory_without as f64;
    report.limit("memory with alerts, compared with none,", memory, MEMORY_LIMIT);
}

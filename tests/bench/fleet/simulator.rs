//! Simulated routers in a process of their own, so that their CPU time does not count as that of a program.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::agent::process;
use crate::binary::binary;

/// The version of all routers: the last one without `!empty`, which node-routeros takes for an error.
const VERSION: &str = "7.17.2";

pub(crate) struct Simulator {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// `HOST:PORT` of each router.
    pub(crate) addresses: Vec<String>,
}

/// What all routers have counted since their start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) logins: u64,
    pub(crate) commands: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) cpu: Duration,
}

impl Counts {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            logins: self.logins - before.logins,
            commands: self.commands - before.commands,
            received: self.received - before.received,
            sent: self.sent - before.sent,
            cpu: self.cpu - before.cpu,
        }
    }
}

impl Simulator {
    /// Starts routers that reply after this time, and where somebody comes or goes every `churn_s` seconds, or never.
    pub(crate) fn start(routers: usize, sessions: usize, latency: Duration, churn_s: u64) -> Self {
        let options = [
            ("--routers", routers.to_string()),
            ("--active", sessions.to_string()),
            // At a hotspot with vouchers most users are offline.
            ("--users", sessions.max(150).to_string()),
            ("--latency", latency.as_millis().to_string()),
            ("--churn", churn_s.to_string()),
            ("--version", VERSION.into()),
            ("--port", "0".into()),
        ];
        let words = options.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        let mut command = Command::new(binary());
        command.arg("simulate").args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = |line: String| line.split(' ').next().unwrap().to_string();
        let addresses: Vec<_> = lines.by_ref().take(routers).map(|line| address(line.unwrap())).collect();
        assert_eq!(addresses.len(), routers, "expected the addresses of all simulated routers");
        assert!(lines.next().unwrap().unwrap().starts_with("Log in as"));
        Self { process, lines, addresses }
    }

    pub(crate) fn counts(&mut self) -> Counts {
        let id = Pid::from_child(&self.process);
        kill_process(id, Signal::HUP).unwrap();
        let line = self.lines.next().unwrap().unwrap();
        let count = |name: &str| {
            let word = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            word.unwrap_or_else(|| panic!("expected {name} in {line:?}")).parse().unwrap()
        };
        Counts {
            logins: count("logins"),
            commands: count("commands"),
            received: count("received"),
            sent: count("sent"),
            cpu: process::cpu(self.process.id()),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

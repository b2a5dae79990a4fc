//! Clients of other people's libraries: scripts that read the sessions, users and resources of all routers at once.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::agent::process;
use crate::program::Program;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/fleet");

pub(crate) struct Script {
    process: Child,
    requests: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    sessions: usize,
}

impl Script {
    pub(crate) fn node_routeros(addresses: &[String], sessions: usize) -> Result<Self, String> {
        let mut command = Command::new("node");
        if std::env::var_os("NODE_PATH").is_none() {
            command.env("NODE_PATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/node_modules"));
        }
        Self::start(command.arg(format!("{FOLDER}/node_routeros.js")), addresses, sessions)
    }

    pub(crate) fn librouteros(addresses: &[String], sessions: usize) -> Result<Self, String> {
        Self::start(
            Command::new("python3").arg(format!("{FOLDER}/librouteros_threads.py")),
            addresses,
            sessions,
        )
    }

    /// Starts a script, which prints a line once it is logged in to all routers.
    fn start(command: &mut Command, addresses: &[String], sessions: usize) -> Result<Self, String> {
        let piped =
            command.args(addresses).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = piped.spawn().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        let requests = process.stdin.take().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        if lines.next().is_none() {
            let mut errors = String::new();
            process.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            let _ = process.wait();
            let why = errors.lines().find(|line| line.contains("Error")).unwrap_or("it ended").to_string();
            return Err(format!("{why} (tests/clients has requirements.txt and package.json)"));
        }
        Ok(Self { process, requests, lines, sessions })
    }
}

impl Program for Script {
    fn refresh(&mut self) {
        self.requests.write_all(b"refresh\n").unwrap();
        let rows = self.lines.next().expect("expected the number of sessions").unwrap();
        assert_eq!(rows, self.sessions.to_string(), "expected all sessions");
    }

    fn cpu(&self) -> Duration {
        process::cpu(self.process.id())
    }

    fn memory(&self) -> u64 {
        process::memory(self.process.id(), "VmRSS")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

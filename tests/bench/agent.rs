//! An agent in a process of its own, for those who stand at its front door.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::process::{Resource, getrlimit, setrlimit};

pub(crate) struct Agent {
    process: Child,
    pub(crate) address: SocketAddr,
    lines: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl Agent {
    /// Runs the command where this is `sites.ron`, until it tells its address.
    pub(crate) fn start(command: &mut Command, file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("sites.ron"), file).unwrap();
        let command = command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let logged = Arc::<AtomicUsize>::default();
        if let Some(log) = process.stderr.take() {
            let logged = logged.clone();
            thread::spawn(move || {
                let ends = BufReader::new(log).bytes().map_while(Result::ok).filter(|byte| *byte == b'\n');
                ends.for_each(|_| _ = logged.fetch_add(1, Ordering::Relaxed));
            });
        }
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = { lines }.find_map(|line| {
            line.strip_prefix("The page is at ")?.split_once("://")?.1.strip_suffix('/')?.parse().ok()
        });
        Self { process, address: address.unwrap(), lines: logged, _folder: folder }
    }

    /// How many lines it has logged, where its standard error is piped.
    #[allow(dead_code, reason = "not every benchmark looks at the log")]
    pub(crate) fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    /// A figure of its memory, in bytes: `VmRSS` now, `VmHWM` at the most.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lets this program, and an agent started after, have so many descriptors, as far as it may.
pub(crate) fn allow_descriptors(count: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(count.min(limit.maximum.unwrap_or(count)));
    setrlimit(Resource::Nofile, limit).unwrap();
}

//! An agent in its own process, for benchmarks.

#[path = "process.rs"]
pub(crate) mod process;

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
    /// Runs the command in a folder with this `sites.ron`, and waits for its address.
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

    /// The number of logged lines, if its standard error is piped.
    #[allow(dead_code, reason = "not every benchmark reads the log")]
    pub(crate) fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    /// Memory in bytes, see [`process::memory`].
    pub(crate) fn memory(&self, name: &str) -> u64 {
        process::memory(self.id(), name)
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Raises the limit of descriptors for this process and agents that it starts, as far as permitted.
pub(crate) fn allow_descriptors(count: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(count.min(limit.maximum.unwrap_or(count)));
    setrlimit(Resource::Nofile, limit).unwrap();
}

//! Kills a process at random moments while it writes stored data, on a normal and on a full file system.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use phsweb_agent::state::{Reload, Store};
use phsweb_agent::storage::{Persist, Storage};
use phsweb_agent::timings::Timings;

use super::beside_others;

/// The variable with the directory of a writing process.
const VARIABLE: &str = "STORAGE_TEST_DIRECTORY";

/// How many numbers a part keeps.
const KEPT: usize = 100;

/// How often a process is killed.
const KILLS: usize = 300;

/// Timeout of the lock and of each wait. The lock may be held for a moment by a process that another test is starting.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The intervals of the policies, with this time between regular writes.
fn timings(state_write: Duration) -> Timings {
    Timings { state_write, state_lock: TIMEOUT, state_timeout: TIMEOUT, ..Timings::default() }
}

/// Counts: each time that it is asked for pending records, it has more. It prints the last number on disk.
#[derive(Default)]
struct Numbers(Mutex<State>);

#[derive(Default)]
struct State {
    kept: VecDeque<u64>,
    next: u64,
    written: u64,
    offered: u64,
}

impl State {
    fn records(&mut self, from: u64) -> Vec<Vec<u8>> {
        self.offered = self.next;
        // Some are short, and some have zeros.
        let record =
            |number: &u64| [&number.to_le_bytes()[..], &vec![b'x'; (number % 300) as usize]].concat();
        self.kept.iter().filter(|number| **number >= from).map(record).collect()
    }
}

impl Persist for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    fn restore(&self, record: &[u8], _: u16) -> Result<(), String> {
        let number = u64::from_le_bytes(*record.first_chunk().ok_or("it is short")?);
        let mut state = self.0.lock().unwrap();
        if let Some(last) = state.kept.back().filter(|last| **last + 1 != number) {
            return Err(format!("{number} after {last}"));
        }
        state.kept.push_back(number);
        (state.next, state.written) = (number + 1, number + 1);
        Ok(())
    }

    fn records(&self, is_all: bool) -> Vec<Vec<u8>> {
        let mut state = self.0.lock().unwrap();
        if is_all {
            return state.records(0);
        }
        for _ in 0..fastrand::usize(1..10) {
            let next = state.next;
            state.kept.push_back(next);
            state.next += 1;
        }
        let excess = state.kept.len().saturating_sub(KEPT);
        state.kept.drain(..excess);
        let written = state.written;
        state.records(written)
    }

    fn written(&self) {
        let mut state = self.0.lock().unwrap();
        state.written = state.offered;
        println!("written {}", state.written);
    }
}

/// Restores from a directory. Returns the next number, and the problems.
fn restored(directory: &Path) -> (u64, Vec<String>) {
    let part = Arc::new(Numbers::default());
    let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
    let timings = timings(Duration::from_secs(3600));
    drop(smol::block_on(Storage::open(directory.into(), vec![part.clone()], store.clone(), &timings)));
    let problems = store.snapshot().storage.problems.iter().map(|problem| problem.message.clone()).collect();
    let next = part.0.lock().unwrap().next;
    (next, problems)
}

/// Not a test: the process that the tests kill.
#[test]
fn writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os(VARIABLE) else { return };
    let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
    let timings = timings(Duration::ZERO);
    let parts: Vec<Arc<dyn Persist>> = vec![Arc::new(Numbers::default())];
    let _storage = smol::block_on(Storage::open(directory.into(), parts, store.clone(), &timings));
    loop {
        thread::sleep(Duration::from_millis(1));
        if store.snapshot().storage.errors > 0 {
            println!("full");
        }
    }
}

/// Starts the process and kills it after a while. Returns the number that it wrote last, and whether it met a full disk.
fn run_and_kill(directory: &Path, limit_kib: Option<u64>) -> (u64, bool) {
    // On a full disk nothing ends the program; the signal of the limit would.
    let limit = limit_kib.map_or(String::new(), |kib| format!("trap '' XFSZ; ulimit -f {}; ", 2 * kib));
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limit}exec \"$0\" --exact storage::writes_until_it_is_killed --nocapture")]);
    command.arg(std::env::current_exe().unwrap()).env(VARIABLE, directory);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap()).lines();
    let (report, reports) = mpsc::channel();
    thread::spawn(move || {
        let is_report = |line: &String| line == "full" || line.starts_with("written ");
        // An error means that the test has failed.
        output.map_while(Result::ok).filter(is_report).try_for_each(|line| report.send(line))
    });
    // Most are killed after some writes, however long these take, and a few while they start.
    let writes = if fastrand::u8(..8) > 0 { fastrand::usize(1..12) } else { 0 };
    let mut lines: Vec<String> = (0..writes).map_while(|_| reports.recv_timeout(TIMEOUT).ok()).collect();
    thread::sleep(Duration::from_micros(fastrand::u64(0..if writes > 0 { 3000 } else { 30_000 })));
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended by itself");
    lines.extend(reports);
    let written = lines.iter().rev().find_map(|line| line.strip_prefix("written ")?.parse().ok());
    (written.unwrap_or(0), lines.iter().any(|line| line == "full"))
}

/// Kills the process many times. After each, everything up to the last write is there.
fn kill_often(limit_kib: impl Fn() -> Option<u64>) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let (mut last, mut full, mut longest) = (0, 0, 0);
    for round in 0..KILLS {
        let (written, was_full) = run_and_kill(folder.path(), limit_kib());
        full += usize::from(was_full);
        let (next, problems) = restored(folder.path());
        assert!(next >= written && next >= last, "{round}: {next} of {written}, before {last}: {problems:?}");
        let is_torn = |problem: &String| problem.contains("bytes are incomplete");
        assert!(problems.iter().all(is_torn), "{round}: {problems:?}");
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            assert!(["lock", "numbers", "numbers.new"].contains(&name.as_str()), "{round}: {name}");
            longest = longest.max(entry.metadata().unwrap().len());
        }
        last = next;
    }
    println!("{last} records; the longest file had {longest} bytes; {full} processes met a full disk");
    assert!(last > 1000, "only {last} records were written");
    assert!(longest < 150_000, "a file has {longest} bytes");
    full
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_written() {
    let _shared = beside_others();
    assert_eq!(kill_often(|| None), 0);
}

#[test]
fn a_kill_at_any_moment_on_a_full_disk_loses_nothing_that_was_written() {
    let _shared = beside_others();
    let full = kill_often(|| Some(fastrand::u64(60..140)).filter(|_| fastrand::u8(..4) > 0));
    assert!(full > 3, "only {full} processes met a full disk");
}

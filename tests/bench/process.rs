//! The CPU time and the memory of a process, from Linux's `/proc`.

use std::fs;
use std::time::Duration;

/// Memory in bytes: `VmRSS` is the current use, `VmHWM` the peak.
pub(crate) fn memory(id: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// CPU time of all threads that run now, in nanoseconds.
#[allow(dead_code, reason = "not every benchmark measures it")]
pub(crate) fn cpu(id: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let time = |thread: fs::DirEntry| {
        let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.flatten().filter_map(time).sum())
}

/// CPU time of all threads, also of those that have ended, in hundredths of a second.
#[allow(dead_code, reason = "not every benchmark measures it")]
pub(crate) fn cpu_with_ended_threads(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The second word is the program's name in parentheses, which may have any characters.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let ticks = rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

//! The memory, CPU time and descriptors of this process, from Linux's `/proc`.

use std::fs::{self, File};
use std::io::Read;

/// Maximum number of bytes read from a file in `/proc`. The values are in the first thousand bytes, or after the list
/// of the process's groups, which may have hundreds.
const MAX_FILE: u64 = 16 * 1024;

/// Maximum number of open descriptors that are counted: more than the HTTP server and any number of sites can have.
const MAX_FDS: usize = 64 * 1024;

/// Clock ticks per second in `/proc`: a constant of Linux's interface, independent of the kernel's internal ticks.
const TICKS: f64 = 100.0;

/// The figures of this process; `None` if the system does not provide them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Process {
    /// Resident memory.
    pub(super) resident_bytes: Option<u64>,
    /// CPU time, in user space and in the kernel.
    pub(super) cpu_seconds: Option<f64>,
    /// Open descriptors.
    pub(super) open_fds: Option<usize>,
}

impl Process {
    /// The current figures.
    pub(super) fn now() -> Self {
        Self {
            resident_bytes: text_of("/proc/self/status").and_then(|status| resident_bytes(&status)),
            cpu_seconds: text_of("/proc/self/stat").and_then(|stat| cpu_seconds(&stat)),
            open_fds: open_fds(),
        }
    }
}

fn text_of(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The line `VmRSS:      5432 kB` of `/proc/self/status`.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The ticks in user space and in the kernel, the 14th and 15th word of `/proc/self/stat`.
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second word is the program's name in parentheses, which may have any characters.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, kernel) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((user as f64 + kernel as f64) / TICKS)
}

fn open_fds() -> Option<usize> {
    // One of them is for the directory that is read here.
    fs::read_dir("/proc/self/fd").ok()?.take(MAX_FDS).count().checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_parsed_from_proc() {
        let status = "Name:\tphsweb-agent\nVmHWM:\t    9000 kB\nVmRSS:\t    5432 kB\nThreads:\t9\n";
        assert_eq!(resident_bytes(status), Some(5432 * 1024));
        for none in ["", "VmRSS:\t5432 MB\n", "VmRSS:\tlots kB\n", "VmRSS:\t18446744073709551615 kB\n"] {
            assert_eq!(resident_bytes(none), None, "{none:?}");
        }
        for (stat, seconds) in [
            ("7 (phsweb-agent) S 1 7 7 0 -1 4194560 500 0 0 0 120 30 0 0 20 0 9 0 8000", Some(1.5)),
            ("7 (a) S 1 (b c) S 1 7 7 0 -1 4194560 500 0 0 0 3 4 0 0", Some(0.07)),
            ("7 (a) S 1 7 7 0 -1 4194560 500 0 0 0 3", None),
            ("7 (a) S 1 7 7 0 -1 4194560 500 0 0 0 x 3", None),
            ("", None),
        ] {
            assert_eq!(cpu_seconds(stat), seconds, "{stat:?}");
        }
    }

    #[test]
    fn this_process_has_figures() {
        let began = Process::now();
        let file = File::open("/proc/self/status").unwrap();
        let mut spent = 0_u64;
        while Process::now().cpu_seconds == began.cpu_seconds {
            spent = spent.wrapping_add(1);
        }
        let now = Process::now();
        assert!(now.cpu_seconds > began.cpu_seconds, "after {spent} rounds");
        assert!(now.resident_bytes.unwrap() > 1024 * 1024, "{now:?}");
        assert!(now.open_fds.unwrap() > 3, "{now:?}");
        drop(file);
    }
}

//! Restarts the program in place after a panic.
//!
//! A panic is always a bug of the agent. The panic hook restarts the program with `exec`: the process keeps its id and
//! its arguments, so that its supervisor sees no restart. The state in memory is lost, and the agent reads it from the
//! routers again. The stack is not unwound: the code for that would be a sixth of a release binary.

use std::env;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::panic::{self, PanicHookInfo};
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::signals::Signals;
use crate::logging;
use crate::timings::Timings;

/// The environment variable in which a program passes the number of restarts in a row to the next one.
pub const RESTARTS: &str = "PHSWEB_AGENT_RESTARTS";

/// Runs a long-running command, and restarts the program if it panics. If it panics soon after each start, the wait
/// before the next one grows. A signal ends that wait, and the command does not run.
///
/// # Errors
///
/// The error of the command, or an error if signals can't be received.
pub fn run_restarting(command: impl FnOnce(Signals, Timings) -> Result<(), Failure>) -> Result<(), Failure> {
    let (signals, timings) = prepare()?;
    command(signals, timings)
}

/// Restarts the program at each panic from now on, and waits if it has just been restarted.
fn prepare() -> Result<(Signals, Timings), Failure> {
    let timings = Timings::from_environment().map_err(Failure::Usage)?;
    let restarts = env::var(RESTARTS).ok().and_then(|count| count.parse().ok()).unwrap_or_default();
    let started_at = Instant::now();
    let wait = wait(&timings, restarts);
    let restart_reset = timings.restart_reset;
    panic::set_hook(Box::new(move |panic| {
        let uptime = started_at.elapsed();
        restart(panic, wait.saturating_sub(uptime), next_count(restart_reset, restarts, uptime));
    }));
    let signals = Signals::receive(disarm)?;
    if restarts > 0 {
        log::warn!(
            "restarts_in_a_row={restarts} wait={} msg=\"restarted after a panic in the agent\"",
            humantime::format_duration(wait)
        );
        thread::sleep(wait);
    }
    Ok((signals, timings))
}

/// From now on a panic ends the program, because it is shutting down.
pub fn disarm() {
    drop(panic::take_hook());
}

/// The number of restarts in a row after a panic at this uptime.
fn next_count(restart_reset: Duration, restarts: u32, uptime: Duration) -> u32 {
    if uptime < restart_reset { restarts.saturating_add(1) } else { 1 }
}

/// How long the program waits after this many restarts in a row.
fn wait(timings: &Timings, restarts: u32) -> Duration {
    let doublings = restarts.checked_sub(2);
    let doubled = |n: u32| timings.restart_min.saturating_mul(2u32.saturating_pow(n));
    doublings.map_or(Duration::ZERO, |n| doubled(n).min(timings.restart_max))
}

/// The panic hook: logs the panic and restarts the program. A panic in this function aborts the process.
fn restart(panic: &PanicHookInfo<'_>, remaining_wait: Duration, restarts: u32) {
    static HAS_STARTED: AtomicBool = AtomicBool::new(false);
    if HAS_STARTED.swap(true, Ordering::Relaxed) {
        // Another thread is already replacing the program, which ends this thread.
        loop {
            thread::park();
        }
    }
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let message = text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    log::error!(
        "thread={} at={} panic={message:?} msg=\"this is a bug in the agent, please report it; restarting\"",
        thread::current().name().unwrap_or_default(),
        panic.location().map(ToString::to_string).unwrap_or_default()
    );
    logging::end();
    // If the panic occurred during the delay of this restart, for lack of descriptors or threads, the rest of it is
    // waited for here. Signals then have their default effect.
    thread::sleep(remaining_wait);
    let error = replace(restarts);
    // If standard error is closed, the exit code still shows the failure.
    let _ = writeln!(io::stderr(), "can't restart: {error}");
    process::abort();
}

/// Restarts the program in the same process with the same arguments. Returns only if that fails. All descriptors except
/// the first three are closed.
fn replace(restarts: u32) -> io::Error {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<_> = arguments.collect();
    let execute = |program: PathBuf| {
        Command::new(program).arg0(&name).args(&arguments).env(RESTARTS, restarts.to_string()).exec()
    };
    // The path is not valid if an upgrade replaced the file (the kernel appends "(deleted)"), and missing without
    // /proc. The name of the program is the fallback.
    let _ = env::current_exe().map(execute);
    execute(PathBuf::from(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_to_a_minute() {
        for (restarts, seconds) in
            [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 32), (8, 60), (9, 60), (u32::MAX, 60)]
        {
            assert_eq!(wait(&Timings::default(), restarts), Duration::from_secs(seconds), "{restarts}");
        }
    }

    #[test]
    fn a_long_uptime_resets_the_count_of_restarts() {
        let (short, long) = (Duration::from_millis(599_999), Duration::from_secs(600));
        for (restarts, uptime, expected) in [
            (0, Duration::ZERO, 1),
            (1, Duration::ZERO, 2),
            (7, short, 8),
            (7, long, 1),
            (0, 2 * long, 1),
            (u32::MAX, Duration::ZERO, u32::MAX),
        ] {
            let count = next_count(Timings::default().restart_reset, restarts, uptime);
            assert_eq!(count, expected, "{restarts} after {uptime:?}");
        }
    }
}

//! What a panic costs, which is always a mistake in this program: a restart in place.
//!
//! The hook replaces the program by itself: the process stays, with its id and its arguments, so that who started
//! it sees nothing of that. What was known is learnt again. Nothing unwinds, and none of what that takes is in a
//! release: it would be a sixth of it.

use std::env;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::panic::{self, PanicHookInfo};
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Failure, Signals};
use crate::logging;
use crate::timings::Timings;

/// The environment variable that tells the program how often in a row it has started anew.
const TIMES: &str = "PHSWEB_AGENT_ANEW";

/// Runs a command that lasts, and lets a panic start the program anew meanwhile. Where it panics soon after each
/// start it waits before the next, longer and longer; a signal ends that, and nothing is run.
///
/// # Errors
///
/// Those of the command; when signals can't be received.
pub fn run_restarting(command: impl FnOnce(Signals, Timings) -> Result<(), Failure>) -> Result<(), Failure> {
    let timings = Timings::from_environment().map_err(Failure::Usage)?;
    let times = env::var(TIMES).ok().and_then(|times| times.parse().ok()).unwrap_or_default();
    let began = Instant::now();
    let wait = wait(&timings, times);
    let restart_reset = timings.restart_reset;
    panic::set_hook(Box::new(move |panic| {
        let ran = began.elapsed();
        begin(panic, wait.saturating_sub(ran), next(restart_reset, times, ran));
    }));
    let signals = Signals::receive(disarm)?;
    if times > 0 {
        log::warn!(
            "restarted after a panic in the agent, {times} in a row; waiting {} first",
            humantime::format_duration(wait)
        );
        thread::sleep(wait);
    }
    command(signals, timings)
}

/// Lets a panic end the program from now on: it was to end anyway.
pub fn disarm() {
    drop(panic::take_hook());
}

/// How often in a row it will have started anew, after a panic when it has run for so long.
fn next(restart_reset: Duration, times: u32, ran: Duration) -> u32 {
    if ran < restart_reset { times.saturating_add(1) } else { 1 }
}

/// How long a program waits that has started anew so often in a row.
fn wait(timings: &Timings, times: u32) -> Duration {
    let doublings = times.checked_sub(2);
    let doubled = |n: u32| timings.restart_min.saturating_mul(2u32.saturating_pow(n));
    doublings.map_or(Duration::ZERO, |n| doubled(n).min(timings.restart_max))
}

/// Says what happened and takes the program's place, as the `times`-th in a row: the hook. A panic in here aborts
/// the process.
fn begin(panic: &PanicHookInfo<'_>, rest_of_wait: Duration, times: u32) {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    if BEGUN.swap(true, Ordering::Relaxed) {
        // Another thread is at it, and ends this one with all others.
        loop {
            thread::park();
        }
    }
    log::error!("this is a mistake in the agent, please report it; starting anew: {}", told(panic));
    logging::end();
    // Where the panic came before the wait was over, for want of descriptors or threads. No signal is handled
    // then, so that each has its own effect.
    thread::sleep(rest_of_wait);
    let error = replace(times);
    // Where nobody reads it, the exit code still says so.
    let _ = writeln!(io::stderr(), "can't start anew: {error}");
    process::abort();
}

/// Where it happened and, in quotes, as what it says may come from anywhere, what.
fn told(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let message = text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    let thread = thread::current();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    format!("thread {:?} panicked at {place}: {message:?}", thread.name().unwrap_or_default())
}

/// Becomes the same program with the same arguments; where it can't, says why. Descriptors but the first three
/// are closed by that.
fn replace(times: u32) -> io::Error {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<_> = arguments.collect();
    let apply_config = |program: PathBuf| {
        Command::new(program).arg0(&name).args(&arguments).env(TIMES, times.to_string()).exec()
    };
    // A path that an upgrade has removed the file from is told with a mark that makes it none; without /proc none
    // is told.
    let _ = env::current_exe().map(apply_config);
    apply_config(PathBuf::from(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_to_a_minute() {
        for (times, seconds) in
            [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 32), (8, 60), (9, 60), (u32::MAX, 60)]
        {
            assert_eq!(wait(&Timings::default(), times), Duration::from_secs(seconds), "{times}");
        }
    }

    #[test]
    fn who_has_begun_well_begins_to_count_anew() {
        let (not_quite, well) = (Duration::from_millis(599_999), Duration::from_secs(600));
        for (times, ran, expected) in [
            (0, Duration::ZERO, 1),
            (1, Duration::ZERO, 2),
            (7, not_quite, 8),
            (7, well, 1),
            (0, 2 * well, 1),
            (u32::MAX, Duration::ZERO, u32::MAX),
        ] {
            assert_eq!(next(Timings::default().restart_reset, times, ran), expected, "{times} after {ran:?}");
        }
    }
}

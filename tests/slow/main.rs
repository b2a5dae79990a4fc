//! Tests that measure memory or time, or load the machine. Those that measure time run alone, see [`alone`].
//!
//! Those marked `#[ignore = "takes …"]` run before a release.

// Test helpers may panic, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod abuse;
mod faults;
mod history;
mod large_hotspots;
mod memory;
mod memory_budget;
mod reload_soak;
mod soak;
mod storage;
// This target does not use all helpers.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

use std::process::Command;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use support::raw_router as peer;
use support::{agent, cgroup, hostile, open_files, reloading_agent, router};

static MACHINE: RwLock<()> = RwLock::new(());

/// Locks the machine for one test of this process. For nextest, which runs each test in its own process, its
/// configuration says the same.
fn alone() -> RwLockWriteGuard<'static, ()> {
    // A failed test leaves nothing behind that affects the next one.
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Set in the process of one test.
const OWN_PROCESS: &str = "SLOW_TEST_OWN_PROCESS";

/// Runs the test with this name again in a process of its own, after `setup` of a shell, and prints its figures. In that
/// process it returns true.
#[track_caller]
fn is_own_process(name: &str, setup: &str) -> bool {
    if std::env::var_os(OWN_PROCESS).is_some() {
        return true;
    }
    let mut process = Command::new("sh");
    process.args(["-c", &format!(r#"{setup} && exec "$0" --exact --nocapture "$1""#)]);
    let done =
        process.arg(std::env::current_exe().unwrap()).arg(name).env(OWN_PROCESS, "1").output().unwrap();
    let output = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{output}{}", String::from_utf8_lossy(&done.stderr));
    assert!(output.contains(" 1 passed"), "{output}");
    for figures in output.lines().filter(|line| line.contains(" MB ") || line.contains(" KiB ")) {
        println!("{figures}");
    }
    false
}

/// Lets glibc have one heap and return freed memory to the system, like the allocator of the shipped binary.
fn returning_memory(given: agent::AgentBuilder) -> agent::AgentBuilder {
    let given = given.variable("MALLOC_ARENA_MAX", "1").variable("MALLOC_TRIM_THRESHOLD_", "65536");
    given.variable("MALLOC_MMAP_THRESHOLD_", "65536")
}

/// Lets other tests run that measure no time.
fn beside_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

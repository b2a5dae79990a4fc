//! Tests that measure memory or time, or load the machine. Each runs alone, see [`alone`].
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

use std::sync::{Mutex, MutexGuard, PoisonError};

use support::raw_router as peer;
use support::{agent, cgroup, hostile, open_files, reloading_agent, router};

/// Locks the machine for one test of this process. nextest, which runs each test in its own process, uses a test
/// group instead.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A failed test leaves nothing behind that affects the next one.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Tests that measure memory or time, or load the machine: each has it for itself, see [`alone`].
//!
//! Those marked `#[ignore = "takes …"]` run before a release.

// Helpers of tests may stop at the first thing that is not as it must be, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod abuse;
mod faults;
mod large_hotspots;
mod memory;
mod memory_budget;
mod reload_soak;
mod soak;
// What it has for the other targets is not used here.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

use support::raw_router as peer;
use support::{agent, cgroup, hostile, kept, open_files, router};

/// Held by a test for as long as it wants the machine for itself. nextest, which gives each test a process of its
/// own, does the same by a group.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // One that failed has not left anything behind that matters to the next.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

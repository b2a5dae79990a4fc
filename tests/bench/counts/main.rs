//! Counts that are the same on every machine: allocations and instructions of a refresh and of the responses.
//!
//! They show a slower program where times would only show a busy machine. Each is compared with the accepted one in
//! `tests/bench/counts.txt`, and one that has grown by more than 3 % fails. Valgrind counts the instructions.
//!
//! ```sh
//! cargo bench --profile dev --bench counts                # compares
//! cargo bench --profile dev --bench counts -- --accept    # accepts the counts of now
//! ```

// Helpers panic at the first error.
#![allow(clippy::unwrap_used)]

mod accepted;
mod instructions;
mod router;
mod workload;

use std::collections::BTreeMap;
use std::process::ExitCode;

use accepted::Accepted;

/// The counts by their names, such as `refresh allocations`.
type Counts = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let has = |option: &str| std::env::args().any(|word| word == option);
    if has(instructions::ONLY_WORK) {
        instructions::only_work();
        return ExitCode::SUCCESS;
    }
    let mut counts = Counts::new();
    workload::run_each(|name, work| {
        let info = allocation_counter::measure(work);
        counts.insert(format!("{name} allocations"), info.count_total);
        counts.insert(format!("{name} bytes"), info.bytes_total);
    });
    let has_instructions = instructions::count(&mut counts);
    if has("--accept") {
        assert!(has_instructions, "expected valgrind, to accept all counts; .ci/recipe tools installs it");
        accepted::write(&counts);
        return ExitCode::SUCCESS;
    }
    Accepted::read().compare(&counts)
}

//! What a fleet costs: refreshes against the physical limit and against other programs, at the same simulated routers in
//! a process of their own, and the HTTP server, event subscribers, searches in the journal, a large fleet and its alerts.
//!
//! ```sh
//! cargo bench --bench fleet                                      # 3 minutes: refresh login http subscribers
//! cargo bench --bench fleet -- refresh --routers 1,1000 --sessions 20
//! cargo bench --bench fleet -- journal large alerts --seconds 120
//! cargo bench --bench fleet -- --json > figures.json
//! ```
//!
//! The other programs are those of `tests/clients`, and `wrk`. One that is not installed is named in the output. The
//! process fails if a limit is exceeded: on a busy machine, times exceed it too.

// Helpers panic at the first error.
#![allow(clippy::unwrap_used)]

#[path = "../agent.rs"]
mod agent;
mod alerts;
#[allow(dead_code)]
#[path = "../../support/binary.rs"]
mod binary;
mod journal;
mod large;
mod login;
mod mktxp;
mod needed;
mod options;
mod phsweb;
mod program;
mod refresh;
mod report;
mod script;
mod simulator;
mod web;

use std::process::ExitCode;

use options::{Options, Part};
use report::Report;

/// Descriptors for a thousand routers and their clients.
const DESCRIPTORS: u64 = 16_384;

fn main() -> ExitCode {
    agent::allow_descriptors(DESCRIPTORS);
    let options = Options::parse();
    let mut report = Report::new(options.json);
    for part in &options.parts {
        match part {
            Part::Refresh => refresh::measure(&options, &mut report),
            Part::Login => login::measure(&mut report),
            Part::Http => web::measure_requests(&mut report),
            Part::Subscribers => web::measure_subscribers(&mut report),
            Part::Large => large::measure(options.time, &mut report),
            Part::Alerts => alerts::measure(options.time, &mut report),
            Part::Journal => journal::measure(&mut report),
        }
    }
    report.finish()
}

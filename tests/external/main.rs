//! Tests that need other programs or root: each names them in its `#[ignore = "needs …"]`. CI runs all of them.

// Test helpers may panic, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clock;
mod examples;
mod foreign_clients;
mod image;
mod librouteros;
mod metrics;
mod nginx;
mod notify;
mod openapi;
mod package;
mod page;
mod sbom;
mod storage;
mod terminal;
// This target does not use all helpers.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;
mod types;

use support::raw_router as peer;
use support::{agent, router};

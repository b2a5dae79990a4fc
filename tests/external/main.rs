//! Tests that need other people's programs, or root: each says in its `#[ignore = "needs …"]` what. CI has them all.

// Helpers of tests may stop at the first thing that is not as it must be, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clock;
mod foreign_clients;
mod image;
mod librouteros;
mod metrics;
mod nginx;
mod openapi;
mod package;
mod page;
mod sbom;
// What it has for the other targets is not used here.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;
mod types;

use support::raw_router as peer;
use support::{agent, router};

//! The file is changed while the agent runs: what is other by that, what stays, and what is told of it.

mod orders;
mod page;
mod plugin;
mod reach;
mod sites;
mod wait;
mod written;

use crate::support::{agent, browser, kept, router, taking};

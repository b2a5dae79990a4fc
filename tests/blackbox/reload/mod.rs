//! Reloads of a changed file: what changes, what stays, and how problems are reported.

mod connection;
mod page;
mod plugin;
mod requests;
mod sites;
mod wait;
mod written;

use crate::support::{agent, browser, reloading_agent, router, router_with_password};

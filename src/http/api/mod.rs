//! The JSON endpoints, one file each: a handler and the shape of its JSON.
//!
//! Names are in camelCase, times in RFC 3339 and UTC, sizes in bytes, durations in seconds next to a form for people. An
//! unknown value is null, and an old one carries its age. The only exception is [`stats`], whose shape is older than
//! this agent.

pub(super) mod actions;
pub(super) mod active;
pub(super) mod alerts;
pub(super) mod availability;
pub(super) mod badge;
mod by_site;
mod capacity;
pub(super) mod config;
mod error;
pub(super) mod events;
pub(super) mod history;
pub(super) mod journal;
pub(super) mod openapi;
mod parameters;
pub(super) mod plugin;
pub(super) mod probes;
pub(super) mod routers;
pub(super) mod sessions;
pub(super) mod sites;
pub(super) mod stats;
pub(super) mod users;
mod view;

pub(super) use config::config;
pub(super) use error::problem_of;
pub(super) use sessions::find_sessions;
pub(super) use stats::{Stats, stats};
pub(super) use view::View;

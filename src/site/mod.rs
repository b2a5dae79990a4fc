//! Sites: one task per router, which connects, queries, follows changes and recovers from failures.
//!
//! A task holds one connection to one router for days. Each refresh queries all due plugins in one write and puts the
//! result into the store; between refreshes `listen` reports logins and logouts. A failure affects only the state of
//! this site. The task ends only when its site is removed from the configuration.
//!
//! `sites` starts and stops the tasks. In a task, `supervisor` decides which host to use and when to retry, with
//! `backoff` and `failback`; `session` is one connection, with `schedule`, `listen_tracker` and `row_check`. Everything
//! else reaches a task through its `handle`, which puts requests into its `mailbox`.

mod backoff;
mod context;
mod failback;
pub mod handle;
mod heartbeat;
mod listen_tracker;
mod mailbox;
mod row_check;
mod schedule;
mod session;
mod sites;
mod supervisor;

pub use context::SiteContext;
pub use mailbox::{JobQueue, Refreshed};
pub use sites::Sites;

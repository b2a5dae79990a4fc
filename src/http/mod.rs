//! The HTTP server: connections, worker threads, and the routes that answer.
//!
//! ```text
//! client ⇄ gate: door, connection, head  →  workers   →  routes → auth, api, page, metrics
//!          admission, TLS, deadlines,       a few         pure functions of a
//!          sizes, request syntax            threads       request and a snapshot
//! ```
//!
//! Connections are async and belong to clients, however slow or hostile they are. Workers see complete requests only and
//! produce complete responses, so no client ever occupies one. From one request to the next only `auth` keeps something:
//! who is logged in, and who sent wrong tokens.

mod actions;
mod api;
mod auth;
mod embedded;
mod message;
mod metrics;
mod page;
mod peer;
mod process;
mod routes;
pub mod server;
mod sse;

pub use message::{EventStream, Field, Method, Reply, Request, Response, problem};
pub use routes::Routes;
pub use sse::{Events, Subscription};

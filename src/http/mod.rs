//! The HTTP server: connections, worker threads, and the routes that answer.
//!
//! ```text
//! client ⇄ server: connection, head      →  workers   →  dispatch → auth, routes → api, page, metrics
//!          admission, TLS, deadlines,       a few         pure functions of a
//!          sizes, request syntax            threads       request and a snapshot
//! ```
//!
//! Connections are async, so slow or hostile clients occupy only their own connection. Workers receive only complete
//! requests and produce complete responses, so a client never occupies a worker. Only two modules keep state between
//! requests: `auth` login sessions and counts of wrong tokens, and `render_cache` responses of the last second.

mod actions;
mod alert_actions;
#[allow(clippy::unnecessary_wraps, reason = "all handlers have one signature")]
mod api;
mod auth;
mod context;
mod csv;
mod dispatch;
mod embedded;
mod gzip;
mod listed_session;
mod message;
#[allow(clippy::unnecessary_wraps, reason = "all handlers have one signature")]
mod metrics;
#[allow(clippy::unnecessary_wraps, reason = "all handlers have one signature")]
mod page;
mod peer;
mod render_cache;
mod routes;
pub mod server;
mod sort_key;
mod sse;
mod user_list;

pub use context::Dependencies;
pub use dispatch::Dispatcher;
pub use message::{
    EventStream, HandlerOutput, HeaderField, LaterResponse, Method, Request, Response, problem,
};
pub use routes::{ROUTES, Route};
pub use sse::{EventData, Events, Subscription};

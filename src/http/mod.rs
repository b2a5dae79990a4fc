//! The HTTP front: clients reach the gate, only the gate reaches the engine, and the engine asks the routes.
//!
//! ```text
//! client ⇄ gate: door, connection, head, engine  ⇄  server (tiny_http)  ⇄  routes → auth, api, page, metrics
//!          who may come in, TLS, deadlines, sizes,  worker threads:        pure functions of a
//!          what a request may be, lanes inward      Request → Response     request and a snapshot
//! ```
//!
//! The left of it is async and belongs to clients, however slow or hostile they
//! are; the right is a few blocking threads that see whole requests only and
//! hand back whole answers, so that no client ever holds one of them. From one request to
//! the next only `auth` keeps something: who is logged in, and who sent wrong tokens.

mod actions;
mod api;
mod auth;
mod embedded;
mod events;
pub mod gate;
mod message;
mod metrics;
mod page;
mod peer;
mod process;
mod routes;
mod server;

pub use api::StepJson;
pub use events::{Events, Follower};
pub use gate::Engine;
pub use message::{Field, Method, Reply, Request, Response, problem};
pub use routes::Routes;
pub use server::start;

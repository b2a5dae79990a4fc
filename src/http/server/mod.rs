//! The HTTP server: accepts clients, reads complete requests within limits, and writes the responses.
//!
//! ```text
//! acceptor → tls (handshakes) → connection: read (head, body) → workers → write (output)
//!    ↑                              ↑
//! control                        admission: permits, order of eviction, unread responses
//! ```
//!
//! `tiny_http`'s own server waits forever for a head of any length, gives each connection a thread, and stops for good
//! when one `accept` fails. So only its types and its serialiser are used. Here a connection is a task of some hundred
//! bytes until it sends something. Each step that a client controls has a deadline and a size limit. If there are too many
//! connections, those without a request are evicted first, so that people are always served.

mod acceptor;
mod admission;
mod connection;
mod context;
mod control;
mod deadline_io;
mod error;
mod handshakes;
mod head;
mod limits;
mod output;
mod proxies;
mod socket;
mod tls;
mod workers;

use std::convert::Infallible;

use async_net::TcpListener;
use smol::Executor;

use acceptor::Acceptor;
use context::ServerContext;
use control::ControlMessage;
pub use control::{ControlMessages, ServerHandle, control_channel};
pub use limits::{Limits, MAX_BODY, MAX_HEAD};
pub use workers::WorkerPool;

use crate::config::Https;
pub use crate::http::message::MAX_ANSWER;

/// Serves clients of `listener` with `workers` until the future is dropped: that closes the listener and every connection
/// at once. The workers can serve again, or serve two listeners at a time.
///
/// With `https` it serves HTTPS only. Changes by its [`ServerHandle`] apply to later connections.
pub async fn serve(
    listener: TcpListener,
    workers: WorkerPool,
    limits: Limits,
    https: Option<Https>,
    control: ControlMessages,
) -> Infallible {
    let executor = Executor::new();
    let mut acceptor = Acceptor::new(ServerContext::new(limits, workers), &executor);
    acceptor.handle(ControlMessage::Listen(listener));
    acceptor.handle(ControlMessage::Secure(https));
    executor.run(acceptor.run(control)).await
}

//! The gate: lets clients in, and keeps each of them to limits.
//!
//! `tiny_http` alone is ended by clients: it waits for ever for a head of any
//! length, gives each connection a thread, and stops for good when one `accept`
//! fails. So it never meets one. Here a connection costs some hundred bytes until
//! it sends something; everything it decides has a deadline and a size; and when
//! there are too many, those that ask for nothing go first, so that people always
//! get in.

mod certificate;
mod connection;
mod door;
pub(super) mod engine;
mod head;
mod limits;
mod stream;
mod tls;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_net::{TcpListener, TcpStream};
use smol::future::{or, pending, yield_now};
use smol::lock::Semaphore;
use smol::{Executor, Timer};

use certificate::Certificate;
use connection::Connection;
use door::Door;
pub use engine::Engine;
use limits::Gate;
pub use limits::{Limits, MAX_ANSWER, MAX_BODY, MAX_HEAD};

use crate::config::Https;

/// Bodies over 4 KiB that are taken at once: 2 MiB together. Held open on purpose
/// they could take all of a router's memory.
const MAX_LARGE_BODIES: usize = 32;

/// Clients that the system completes the handshake for before they are accepted.
/// The usual 128 overflow in a burst, and those left out try again a second later.
/// Linux makes no more of it than its own limit, which has been this for years.
const BACKLOG: i32 = 4096;

/// Most connections taken in one go before those that are in get their turn.
const ACCEPTED_AT_ONCE: usize = 16;

/// Wait after an `accept` that failed, for descriptors or memory to come free:
/// short enough that a client hardly notices, long enough to cost nothing.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Least time between two log lines about an `accept` that failed.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Serves clients of `listener` from `engine`, until it is dropped: that closes the
/// listener and every connection at once. The engine is left as it is and can
/// serve again, or serve two listeners at a time.
///
/// With `https` that is what it speaks, and it follows the certificate's files.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    limits: Limits,
    https: Option<Https>,
) -> Infallible {
    if let Err(error) = rustix::net::listen(&listener, BACKLOG) {
        log::debug!("the listener keeps its short backlog: {error}");
    }
    let executor = Executor::new();
    let certificate = https.map(|https| Certificate::new(&https));
    let clients = accept(&listener, &engine, limits, certificate.as_ref(), &executor);
    let following = async {
        match &certificate {
            Some(certificate) => certificate.follow().await,
            None => pending().await,
        }
    };
    executor.run(engine.run(or(clients, following))).await
}

async fn accept(
    listener: &TcpListener,
    engine: &Engine,
    limits: Limits,
    certificate: Option<&Certificate>,
    executor: &Executor<'static>,
) -> Infallible {
    let gate = Gate { limits, large_bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES)) };
    let door = Arc::new(Door::new(limits.max_connections));
    let mut warned: Option<Instant> = None;
    let mut at_once = 0;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let peer = address.ip().to_canonical();
                door.admit(peer, |seat| {
                    let connection = Connection::new(without_delay(stream), peer, seat, gate.clone());
                    match certificate.map(Certificate::settings) {
                        Some(tls) => executor.spawn(connection.run_secured(tls, engine.clone())),
                        None => executor.spawn(connection.run(engine.clone())),
                    }
                });
            }
            Err(error) if ended_early(&error) => {}
            Err(error) => {
                if warned.is_none_or(|at| at.elapsed() > WARN_EVERY) {
                    log::warn!("connections are closed to make room for new ones: {error}");
                    warned = Some(Instant::now());
                }
                door.shrink();
                Timer::after(ACCEPT_PAUSE).await;
            }
        }
        at_once += 1;
        if at_once == ACCEPTED_AT_ONCE {
            at_once = 0;
            yield_now().await;
        }
    }
}

/// Whether only the one connection is gone that was to be accepted.
fn ended_early(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Without Nagle's delay: it makes the end of an answer wait for the client's
/// acknowledgement of the begin, up to 40 ms.
fn without_delay(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        // The client is gone, which the first read will tell.
        log::debug!("a connection keeps its delay: {error}");
    }
    stream
}

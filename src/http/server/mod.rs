//! The gate: lets clients in, and keeps each of them to limits.
//!
//! `tiny_http`'s own server waits forever for a head of any length, gives each connection a thread, and stops for good
//! when one `accept` fails. So only its types and its serialiser are used. Here a connection costs some hundred bytes until
//! it sends something; everything it decides has a deadline and a size; and when
//! there are too many, those that ask for nothing go first, so that people always
//! get in.

mod admission;
mod chunked;
mod connection;
mod control;
mod deadline_io;
mod handshakes;
mod head;
mod limits;
mod output;
mod proxies;
mod socket;
mod tls;
mod workers;

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_net::{TcpListener, TcpStream};
use futures_rustls::rustls::ServerConfig;
use smol::future::{or, pending, yield_now};
use smol::lock::Semaphore;
use smol::{Executor, Timer};

use admission::Admission;
use connection::HttpConnection;
use control::ControlMessage;
pub use control::{ControlMessages, ServerHandle, control_channel};
use limits::ServerContext;
pub use limits::{Limits, MAX_ANSWER, MAX_BODY, MAX_HEAD};
pub use workers::WorkerPool;

use crate::config::Https;

/// Bodies over 4 KiB that are taken at once: 2 MiB together. Held open on purpose
/// they could take all of a router's memory.
const MAX_LARGE_BODIES: usize = 32;

/// Most heads over the small size at once: an office behind single sign-on, each for a moment. All together are 1 MiB.
const MAX_LARGE_HEADS: usize = 64;

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

/// Serves clients of `listener` with `workers`, until it is dropped: that closes the listener and every connection at
/// once. The workers can serve again, or serve two listeners at a time.
///
/// With `https` that is what it speaks. What its [`ServerHandle`] orders counts for connections yet to come.
pub async fn serve(
    listener: TcpListener,
    workers: WorkerPool,
    limits: Limits,
    https: Option<Https>,
    orders: ControlMessages,
) -> Infallible {
    let executor = Executor::new();
    let acceptor = Acceptor {
        listener: None,
        tls: None,
        server: ServerContext {
            limits,
            large_heads: Arc::new(Semaphore::new(MAX_LARGE_HEADS)),
            large_bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES)),
            proxies: Arc::default(),
        },
        admission: Arc::new(Admission::new(limits.max_connections, limits.unread)),
        workers,
        executor: &executor,
    };
    let clients = acceptor.serve(listener, https, orders);
    executor.run(clients).await
}

/// Where clients come in.
struct Acceptor<'e> {
    listener: Option<TcpListener>,
    /// What new connections are secured with.
    tls: Option<Arc<ServerConfig>>,
    server: ServerContext,
    admission: Arc<Admission>,
    workers: WorkerPool,
    executor: &'e Executor<'static>,
}

impl Acceptor<'_> {
    async fn serve(
        mut self,
        listener: TcpListener,
        https: Option<Https>,
        orders: ControlMessages,
    ) -> Infallible {
        self.handle(ControlMessage::Listen(listener));
        self.handle(ControlMessage::Secure(https));
        let mut warned: Option<Instant> = None;
        let mut at_once = 0;
        loop {
            let order = async { Err(orders.next().await) };
            match or(order, async { Ok(self.accept().await) }).await {
                Err(order) => self.handle(order),
                Ok(Ok((stream, peer))) => self.admit(stream, peer),
                Ok(Err(error)) if ended_early(&error) => {}
                Ok(Err(error)) => {
                    if warned.is_none_or(|at| at.elapsed() > WARN_EVERY) {
                        log::warn!("connections are closed to make room for new ones: {error}");
                        warned = Some(Instant::now());
                    }
                    self.admission.shrink();
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

    async fn accept(&self) -> io::Result<(TcpStream, IpAddr)> {
        match &self.listener {
            Some(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((stream, address.ip().to_canonical()))
            }
            None => pending().await,
        }
    }

    fn admit(&self, stream: TcpStream, peer: IpAddr) {
        // Until a request is read it is not known for whom a proxy opened the connection.
        let from = (!self.server.proxies.contain(peer)).then_some(peer);
        self.admission.admit(from, |permit| {
            let connection = HttpConnection::new(without_delay(stream), peer, permit, self.server.clone());
            match &self.tls {
                Some(tls) => self.executor.spawn(connection.run_secured(tls.clone(), self.workers.clone())),
                None => self.executor.spawn(connection.run(self.workers.clone())),
            }
        });
    }

    fn handle(&mut self, order: ControlMessage) {
        match order {
            ControlMessage::Listen(listener) => {
                if let Err(error) = rustix::net::listen(&listener, BACKLOG) {
                    log::debug!("the listener keeps its short backlog: {error}");
                }
                socket::limit_buffers(listener.as_fd());
                self.listener = Some(listener);
            }
            // Dropped, which tells who waits.
            ControlMessage::Release(_released) => self.listener = None,
            ControlMessage::Resize(max_connections) => self.admission.resize(max_connections),
            ControlMessage::Trust(proxies) => self.server.proxies.set(proxies),
            ControlMessage::Secure(https) => {
                // Sessions of the one before are not resumed: its settings go with them.
                self.tls = https.map(|https| tls::settings(https.server()));
            }
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

//! The accept loop: admits clients, and applies what the [`ServerHandle`](super::ServerHandle) requests.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_net::{TcpListener, TcpStream};
use futures_rustls::rustls::ServerConfig;
use smol::future::{or, pending, yield_now};
use smol::{Executor, Timer};

use super::admission::Admission;
use super::connection::HttpConnection;
use super::context::ServerContext;
use super::control::{ControlMessage, ControlMessages};
use super::socket::{self, Socket};
use super::tls;

/// Clients whose TCP handshake the system completes before they are accepted. The usual 128 overflow in a burst, and the
/// clients left out retry a second later. Linux has an upper limit of its own, which has been this for years.
const BACKLOG: i32 = 4096;

/// Most clients accepted before the open connections get their turn.
const ACCEPTED_AT_ONCE: usize = 16;

/// Wait after a failed `accept`, for descriptors or memory to become free: short enough that a client hardly notices, long
/// enough to cost nothing.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Least time between two log lines about a failed `accept`.
const WARN_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Acceptor<'e> {
    listener: Option<TcpListener>,
    /// The TLS settings of new connections; `None`: plain HTTP.
    tls: Option<Arc<ServerConfig>>,
    context: Arc<ServerContext>,
    admission: Arc<Admission>,
    executor: &'e Executor<'static>,
}

impl<'e> Acceptor<'e> {
    pub(super) fn new(context: ServerContext, executor: &'e Executor<'static>) -> Self {
        let admission = Admission::new(context.limits.max_connections, context.limits.unread);
        Self {
            listener: None,
            tls: None,
            context: Arc::new(context),
            admission: Arc::new(admission),
            executor,
        }
    }

    pub(super) async fn run(mut self, control: ControlMessages) -> Infallible {
        let mut warned: Option<Instant> = None;
        let mut at_once = 0;
        loop {
            let message = async { Err(control.next().await) };
            match or(message, async { Ok(self.accept().await) }).await {
                Err(message) => self.handle(message),
                Ok(Ok((stream, peer))) => self.admit(stream, peer),
                // The client has disconnected before it was accepted.
                Ok(Err(error))
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
                Ok(Err(error)) => {
                    if warned.is_none_or(|at| at.elapsed() > WARN_EVERY) {
                        log::warn!(
                            "msg=\"can't accept a connection: some of the open ones are closed\" error={error:?}"
                        );
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
        let Some(listener) = &self.listener else { return pending().await };
        let (stream, address) = listener.accept().await?;
        Ok((stream, address.ip().to_canonical()))
    }

    fn admit(&self, stream: TcpStream, peer: IpAddr) {
        // Only its first request names the client of a proxy's connection.
        let client = (!self.context.proxies.contain(peer)).then_some(peer);
        self.admission.admit(client, |permit| {
            let head_by = Instant::now() + self.context.limits.head;
            let socket = Socket::new(&stream);
            let connection = HttpConnection::new(stream, socket, peer, permit, self.context.clone());
            match &self.tls {
                Some(tls) => self.executor.spawn(connection.run_tls(tls.clone(), head_by)),
                None => self.executor.spawn(connection.run(head_by)),
            }
        });
    }

    pub(super) fn handle(&mut self, message: ControlMessage) {
        match message {
            ControlMessage::Listen(listener) => {
                if let Err(error) = rustix::net::listen(&listener, BACKLOG) {
                    log::debug!("msg=\"the listener keeps its short backlog\" error={error:?}");
                }
                socket::limit_buffers(listener.as_fd());
                self.listener = Some(listener);
            }
            // Dropping the sender is the answer.
            ControlMessage::Release(_released) => self.listener = None,
            ControlMessage::Resize(max_connections) => self.admission.resize(max_connections),
            ControlMessage::Trust(proxies) => self.context.proxies.set(proxies),
            // New settings have a session cache of their own: sessions of the previous certificate are not resumed.
            ControlMessage::Secure(https) => self.tls = https.map(|https| tls::settings(https.server())),
        }
    }
}

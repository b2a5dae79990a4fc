//! The accept loop: admits clients, and applies what the [`ServerHandle`](super::ServerHandle) requests.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_net::{TcpListener, TcpStream};
use futures_rustls::rustls::ServerConfig;
use smol::future::{FutureExt, or, pending, yield_now};
use smol::{Executor, Timer};

use super::admission::Admission;
use super::connection::HttpConnection;
use super::context::ServerContext;
use super::control::{ControlMessage, ControlMessages};
use super::socket::{self, Socket};
use super::tls;

/// Clients whose TCP handshake the system completes before they are accepted. The usual 128 overflow in a burst, and
/// rejected clients retry only a second later. This is also Linux's default upper limit.
const BACKLOG: i32 = 4096;

/// Maximum number of clients that are accepted before other tasks run.
const ACCEPTED_AT_ONCE: usize = 16;

/// Pause after a failed `accept`, in which descriptors or memory may become free. It is short enough that clients
/// hardly notice, and long enough to use little CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Minimum time between two log lines about a failed `accept`.
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
        let admission = Admission::new(context.limits.max_connections, context.limits.unread_bytes);
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
                            "error={error:?} msg=\"can't accept a connection: some of the open ones are closed\""
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
        // A proxy's connection is assigned to a client by its first request.
        let client = (!self.context.proxies.contain(peer)).then_some(peer);
        self.admission.admit(client, |permit| {
            let head_by = Instant::now() + self.context.limits.head_timeout;
            let socket = Socket::new(&stream);
            let connection = HttpConnection::new(stream, socket, peer, permit, self.context.clone());
            // Boxed, so that the code of a task exists once.
            self.executor.spawn(match &self.tls {
                Some(tls) => connection.run_tls(tls.clone(), head_by).boxed(),
                None => connection.run(head_by).boxed(),
            })
        });
    }

    pub(super) fn handle(&mut self, message: ControlMessage) {
        match message {
            ControlMessage::Listen(listener) => {
                if let Err(error) = rustix::net::listen(&listener, BACKLOG) {
                    log::debug!("error={error:?} msg=\"the listener keeps its short backlog\"");
                }
                socket::limit_buffers(listener.as_fd());
                self.listener = Some(listener);
            }
            // Dropping the sender signals completion.
            ControlMessage::Release(_released) => self.listener = None,
            ControlMessage::Resize(max_connections) => self.admission.resize(max_connections),
            ControlMessage::Trust(proxies) => self.context.proxies.set(proxies),
            // New settings start with an empty session cache: sessions of the previous certificate are not resumed.
            ControlMessage::Secure(https) => self.tls = https.map(|https| tls::settings(https.server())),
        }
    }
}

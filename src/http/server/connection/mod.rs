//! One client's connection: serves request after request, and then closes.
//!
//! ```text
//! accepted → [TLS handshake] → head → body → worker → response ─→ head of the next request …
//!                                │      │       │        ├ events, until the client disconnects
//!                                └──────┴───────┴────────┴→ End: error response, linger, close
//! ```

mod read;
mod write;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_net::TcpStream;
use futures_rustls::rustls::ServerConfig;
use smol::future::{or, poll_once};
use smol::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use smol::stream::StreamExt;

use super::admission::{Permit, Phase};
use super::context::ServerContext;
use super::deadline_io::{CHUNK, read_more, within};
use super::error::HttpError;
use super::output::ResponseBytes;
use super::socket::{SEND_BUFFER, Socket};
use super::tls::{self, Accepted};
use crate::http::message::{EventStream, Method, Request};
use crate::http::peer;

/// Longest wait, before a close, for the client to read the last response and to close. Closing while the client still
/// sends would reset the connection and discard the response.
const LINGER: Duration = Duration::from_secs(2);

/// Maximum number of bytes discarded in that time: four bodies of the largest size.
const MAX_LINGER: usize = 256 * 1024;

/// One connection, over TCP or TLS.
pub(super) struct HttpConnection<S> {
    stream: S,
    /// The TCP socket of `stream`.
    socket: Socket,
    peer: IpAddr,
    /// The client of the current request. Behind a trusted proxy it differs from the peer.
    client: IpAddr,
    /// The method of the current request, which decides whether an error response has a body.
    method: Method,
    permit: Permit,
    context: Arc<ServerContext>,
    /// Received and not used yet: at most a head, and then its body.
    buffer: Vec<u8>,
}

/// Why a connection ends.
enum End {
    /// The client has disconnected or was too slow, so nothing can be sent.
    Gone,
    /// The client is sent an error.
    Error(HttpError),
    /// All requests are answered.
    Done,
}

impl From<HttpError> for End {
    fn from(error: HttpError) -> Self {
        Self::Error(error)
    }
}

impl HttpConnection<TcpStream> {
    /// Performs the TLS handshake, and serves the requests that come over it. The handshake and the first request's head
    /// must be complete by `head_by`.
    pub(super) async fn run_tls(self, settings: Arc<ServerConfig>, head_by: Instant) {
        let Self { stream, socket, peer, permit, context, .. } = self;
        match within(head_by, tls::accept(stream, settings, peer::network(peer))).await {
            Some(Ok(Accepted::Tls(stream))) => {
                HttpConnection::new(stream, socket, peer, permit, context).run(head_by).await;
            }
            Some(Ok(Accepted::PlainHttp(stream))) => {
                let error = HttpError::new(400, "This port expects HTTPS. Use https:// instead of http://.");
                HttpConnection::new(stream, socket, peer, permit, context).close(End::Error(error)).await;
            }
            Some(Err(error)) => {
                log::debug!("peer={peer} error={:?} msg=\"the TLS handshake failed\"", error.to_string());
            }
            None => log::debug!("peer={peer} msg=\"the TLS handshake timed out\""),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> HttpConnection<S> {
    pub(super) fn new(
        stream: S,
        socket: Socket,
        peer: IpAddr,
        permit: Permit,
        context: Arc<ServerContext>,
    ) -> Self {
        let (client, method, buffer) = (peer, Method::Get, Vec::new());
        Self { stream, socket, peer, client, method, permit, context, buffer }
    }

    /// Serves requests until the connection ends. The first one's head must be complete by `head_by`.
    pub(super) async fn run(mut self, mut head_by: Instant) {
        let end = loop {
            match self.serve_request(head_by).await {
                Ok(()) => head_by = Instant::now() + self.context.limits.idle_timeout,
                Err(end) => break end,
            }
        };
        self.close(end).await;
    }

    /// Serves one request, whose first byte must come by `begins_by`.
    async fn serve_request(&mut self, begins_by: Instant) -> Result<(), End> {
        (self.client, self.method) = (self.peer, Method::Get);
        let head = self.read_head(begins_by).await?;
        self.method = head.request.method;
        let client = self.context.proxies.client(self.peer, &head.forwarded_for, &head.forwarded_proto);
        self.client = client.address;
        self.permit.assign(client.address);
        let (began, keep_alive) = (Instant::now(), head.keep_alive);
        let summary = log::log_enabled!(log::Level::Debug).then(|| head.summary());
        let output = {
            let (body, _large_body) = self.read_body(&head).await?;
            self.permit.set_phase(Phase::Requested);
            let request = Request { body, peer: client.address, is_https: client.is_https, ..head.request };
            self.context.workers.run(request, self.context.limits.answer_timeout).await
        };
        self.permit.set_phase(Phase::Reading);
        let (mut response, events) = output?;
        // Events end with the connection.
        let keep_alive = keep_alive && events.is_none();
        response.set_connection(keep_alive);
        let (status, bytes) = (response.status, response.len());
        self.send(response).await?;
        if let Some(summary) = summary {
            let ms = began.elapsed().as_millis();
            log::debug!("peer={} {summary} status={status} bytes={bytes} ms={ms}", self.client);
        }
        if let Some(events) = events
            && self.method != Method::Head
        {
            return self.send_events(events).await;
        }
        if !keep_alive {
            return Err(End::Done);
        }
        self.permit.set_phase(Phase::Idle);
        Ok(())
    }

    /// Sends events until the stream ends or the client disconnects. Other data from the client is discarded.
    async fn send_events(&mut self, mut events: EventStream) -> Result<(), End> {
        self.permit.set_phase(Phase::Streaming);
        loop {
            let disconnected = async {
                let _ = read_more(&mut self.stream, &mut self.buffer, CHUNK).await;
                None
            };
            let Some(bytes) = or(disconnected, events.next()).await else {
                return Err(End::Gone);
            };
            let queued = bytes.len().min(SEND_BUFFER);
            self.permit.hold(bytes.len(), Some(&bytes), queued);
            let acknowledged_by = self.write(&bytes).await?;
            drop(bytes);
            self.permit.hold(0, None, queued);
            self.wait_acknowledged(acknowledged_by).await?;
        }
    }

    async fn close(&mut self, end: End) {
        match end {
            End::Gone => {
                // A TLS connection that ends without `close_notify` looks truncated by an attacker. It is sent only if
                // that does not block.
                let _ = poll_once(self.stream.close()).await;
                return;
            }
            End::Done => {}
            End::Error(error) => {
                log::debug!("peer={} status={} msg={:?}", self.client, error.status, error.detail);
                let mut response = ResponseBytes::error(error, self.method);
                response.set_connection(false);
                if self.send(response).await.is_err() {
                    return;
                }
            }
        }
        self.linger().await;
    }

    /// Closes the connection in a way that lets the client read the last response.
    async fn linger(&mut self) {
        // No further request is read.
        self.permit.set_phase(Phase::New);
        let deadline = Instant::now() + LINGER;
        let mut discarded = self.buffer.len();
        let drained = async {
            self.stream.close().await?;
            while discarded < MAX_LINGER {
                self.buffer.clear();
                match read_more(&mut self.stream, &mut self.buffer, CHUNK).await? {
                    0 => break,
                    count => discarded += count,
                }
            }
            io::Result::Ok(())
        };
        // Whatever the result, the connection is dropped now.
        let _ = within(deadline, drained).await;
    }
}

//! One client's connection, from its first byte to its close: request after
//! request, each with a deadline for every part that the client decides.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_net::TcpStream;
use futures_rustls::rustls::ServerConfig;
use smol::future::{or, poll_once};
use smol::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use smol::lock::SemaphoreGuardArc;
use smol::stream::StreamExt;

use super::admission::{Permit, Phase};
use super::chunked::Chunked;
use super::deadline_io::{CHUNK, read_more, within};
use super::head::{self, Framing, Head, HttpError, refuse};
use super::limits::{MAX_HEAD, ServerContext};
use super::output::ResponseBytes;
use super::socket::{SEND_BUFFER, Socket};
use super::tls::{self, Accepted};
use super::workers::{WorkerOutput, WorkerPool};
use crate::http::message::{EventStream, Method, problem};
use crate::http::peer;

/// Most CR and LF before a request: two empty lines. A client that sends nothing
/// else would be read for ever, and nobody else meanwhile.
const MAX_BLANKS: usize = 4;

/// Largest head that is taken whatever the others send. Larger ones share a few places, see [`ServerContext::large_heads`].
const SMALL_HEAD: usize = 8 * 1024;

/// Largest body that is taken whatever the others send; every action's and the
/// login's fit by far. Larger ones share a few places, see [`ServerContext::large_bodies`].
const SMALL_BODY: usize = 4 * 1024;

/// The slowest reader that is waited for, in bytes a second, over a whole answer:
/// a poor GPRS link. It stops one that takes a byte now and then for ever.
const SLOWEST_READER: usize = 1024;

/// Longest wait, before a close, for the client to have read the last answer and
/// closed. Closing over what it still sends would take the answer from it again.
const LINGER: Duration = Duration::from_secs(2);

/// Most bytes thrown away in that time: four bodies of the largest size.
const MAX_LINGER: usize = 256 * 1024;

/// Has a client send the body that it announced.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// One connection, over anything that carries bytes both ways.
pub(super) struct HttpConnection<S> {
    stream: S,
    /// What is beneath the stream.
    socket: Socket,
    peer: IpAddr,
    /// Whom the current request is from, if it is known: not the same behind a proxy.
    client: IpAddr,
    permit: Permit,
    server: ServerContext,
    /// When the first request's head must have come.
    opens_by: Instant,
    /// What has come and is not yet used: at most a head, and then its body.
    buffer: Vec<u8>,
}

/// Why a connection ends.
enum End {
    /// There is nobody to say anything to: closed, broken, or silent for too long.
    Gone,
    /// The client is told, in answer to a request with this method.
    Refused(Method, HttpError),
    /// All is answered.
    Done,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl HttpConnection<TcpStream> {
    pub(super) fn new(stream: TcpStream, peer: IpAddr, permit: Permit, server: ServerContext) -> Self {
        let opens_by = Instant::now() + server.limits.head;
        let socket = Socket::new(&stream);
        Self { stream, socket, peer, client: peer, permit, server, opens_by, buffer: Vec::new() }
    }

    /// Does the handshake, and serves what comes over it to its end.
    pub(super) async fn run_secured(self, settings: Arc<ServerConfig>, workers: WorkerPool) {
        let Self { stream, socket, peer, client, permit, server, opens_by, buffer } = self;
        match within(opens_by, tls::accept(stream, settings, peer::network(peer))).await {
            Some(Ok(Accepted::Tls(stream))) => {
                HttpConnection { stream, socket, peer, client, permit, server, opens_by, buffer }
                    .run(workers)
                    .await;
            }
            Some(Ok(Accepted::PlainHttp(stream))) => {
                let refusal = refuse(400, "this port speaks HTTPS: ask for https:// in place of http://");
                let plain = HttpConnection { stream, socket, peer, client, permit, server, opens_by, buffer };
                plain.end(End::Refused(Method::Get, refusal)).await;
            }
            Some(Err(error)) => log::debug!("{peer} has not got through the handshake: {error}"),
            None => log::debug!("{peer} has not got through the handshake in time"),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> HttpConnection<S> {
    /// Serves it to its end.
    pub(super) async fn run(mut self, workers: WorkerPool) {
        let mut begins_by = self.opens_by;
        let end = loop {
            match self.turn(&workers, begins_by).await {
                Ok(()) => begins_by = Instant::now() + self.server.limits.idle,
                Err(end) => break end,
            }
        };
        self.end(end).await;
    }

    async fn end(mut self, end: End) {
        match end {
            End::Gone => {
                // Over TLS an end that was not said looks like one that somebody else made. It is not
                // waited for that this can be said.
                let _ = poll_once(self.stream.close()).await;
                return;
            }
            End::Done => {}
            End::Refused(method, refusal) => {
                log::debug!("{} refused: {} {}", self.client, refusal.status, refusal.detail);
                if self.write(refused(method, refusal)).await.is_err() {
                    return;
                }
            }
        }
        self.linger().await;
    }

    /// One request, whose first byte must come by `begins_by`, and its answer.
    async fn turn(&mut self, workers: &WorkerPool, begins_by: Instant) -> Result<(), End> {
        self.client = self.peer;
        let mut head = self.read_head(begins_by).await?;
        let client = self.server.proxies.client(self.peer, &head.forwarded_for, &head.forwarded_proto);
        self.client = client.address;
        self.permit.assign(client.address);
        let began = Instant::now();
        let output = {
            let (length, _place) = self.read_body(&head).await?;
            self.permit.set_phase(Phase::Requested);
            let mut request = head.request(client);
            request.body = self.buffer[..length].to_vec();
            self.consume(length);
            workers.run(request, self.server.limits.answer).await
        };
        self.permit.set_phase(Phase::Reading);
        let mut response = match output.map_err(|refusal| End::Refused(head.method, refusal))? {
            WorkerOutput::Response(response) => response,
            WorkerOutput::Events(response, events) => return self.follow(&head, response, events).await,
        };
        response.set_connection(head.keep_alive);
        let (status, bytes) = (response.status, response.len());
        self.write(response).await?;
        if log::log_enabled!(log::Level::Debug) {
            let took = began.elapsed();
            log::debug!("{} {} {status} {bytes} B {took:.1?}", self.client, head.summary());
        }
        if !head.keep_alive {
            return Err(End::Done);
        }
        self.permit.set_phase(Phase::Idle);
        Ok(())
    }

    /// Writes events as they come, until the client goes: it is not to ask for anything else.
    async fn follow(
        &mut self,
        head: &Head,
        mut response: ResponseBytes,
        mut events: EventStream,
    ) -> Result<(), End> {
        // The end of the connection is the end of the body.
        response.set_connection(false);
        self.write(response).await?;
        if head.method == Method::Head {
            return Err(End::Done);
        }
        log::debug!("{} follows {}", self.client, head.summary());
        self.permit.set_phase(Phase::Streaming);
        loop {
            let left = async {
                let _ = read_more(&mut self.stream, &mut self.buffer, CHUNK).await;
                None
            };
            let Some(bytes) = or(left, events.next()).await else {
                return Err(End::Gone);
            };
            let queued = bytes.len().min(SEND_BUFFER);
            self.permit.hold_shared(&bytes, queued);
            let deadline = self.put(&bytes).await?;
            drop(bytes);
            self.permit.hold(0, queued);
            self.acknowledged(deadline).await?;
        }
    }

    async fn read_head(&mut self, begins_by: Instant) -> Result<Head, End> {
        let mut deadline = begins_by;
        let mut begun = false;
        let mut seen = 0;
        let mut blanks = 0;
        let mut place = None;
        let refused = |status, detail| End::Refused(Method::Get, refuse(status, detail));
        loop {
            // Some clients send an empty line after a body (RFC 9112, 2.2).
            let blank = self.buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            if seen == 0 && blank > 0 {
                blanks += blank;
                self.consume(blank);
                if blanks > MAX_BLANKS {
                    return Err(refused(400, "this is no HTTP request"));
                }
            }
            if let Some(first) = self.buffer.first() {
                if !first.is_ascii_alphabetic() {
                    return Err(refused(400, "this is no HTTP request"));
                }
                if !begun {
                    begun = true;
                    deadline = deadline.min(Instant::now() + self.server.limits.head);
                }
            }
            if let Some(end) = head::end(&self.buffer, seen) {
                let head = head::parse(&self.buffer[..end]);
                self.consume(end);
                return head.map_err(|refusal| End::Refused(Method::Get, refusal));
            }
            if self.buffer.len() >= MAX_HEAD {
                return Err(if self.buffer.contains(&b'\n') {
                    refused(431, "the head is over 16 KiB")
                } else {
                    refused(414, "the request line is over 16 KiB")
                });
            }
            let most = if self.buffer.len() < SMALL_HEAD { SMALL_HEAD } else { MAX_HEAD };
            if most == MAX_HEAD && place.is_none() {
                place = self.server.large_heads.try_acquire_arc();
                if place.is_none() {
                    return Err(refused(503, "too many long heads at once: try again in a moment"));
                }
            }
            seen = self.buffer.len();
            match within(deadline, read_more(&mut self.stream, &mut self.buffer, most)).await {
                Some(Ok(1..)) => {}
                None if begun => return Err(refused(408, "the head took too long")),
                _ => return Err(End::Gone),
            }
        }
    }

    /// Waits for the whole body, which is at the front of the buffer then. Returns its length, and its place among
    /// the large ones, to be held for as long as the body is.
    async fn read_body(&mut self, head: &Head) -> Result<(usize, Option<SemaphoreGuardArc>), End> {
        let deadline = Instant::now() + self.server.limits.body;
        match head.framing {
            Framing::Length(length) => {
                let place = self.place_for(head, length)?;
                if head.expects_continue && self.buffer.len() < length {
                    self.put(CONTINUE).await?;
                }
                while self.buffer.len() < length {
                    self.read_some(head, deadline, length).await?;
                }
                Ok((length, place))
            }
            Framing::Chunked => {
                if head.expects_continue && self.buffer.is_empty() {
                    self.put(CONTINUE).await?;
                }
                let (mut chunked, mut place) = (Chunked::default(), None);
                while !chunked.take(&mut self.buffer).map_err(|refusal| End::Refused(head.method, refusal))? {
                    if place.is_none() {
                        place = self.place_for(head, chunked.body.len())?;
                    }
                    self.read_some(head, deadline, self.buffer.len() + CHUNK).await?;
                }
                let length = chunked.body.len();
                chunked.body.append(&mut self.buffer);
                self.buffer = chunked.body;
                Ok((length, place))
            }
        }
    }

    /// A place among the large bodies, where one of this length needs it.
    fn place_for(&self, head: &Head, length: usize) -> Result<Option<SemaphoreGuardArc>, End> {
        if length <= SMALL_BODY {
            return Ok(None);
        }
        let too_many = refuse(503, "too many long bodies at once: try again in a moment");
        let place = self.server.large_bodies.try_acquire_arc();
        place.map(Some).ok_or(End::Refused(head.method, too_many))
    }

    /// Waits for more of a body, until the buffer has `most` bytes at most.
    async fn read_some(&mut self, head: &Head, deadline: Instant, most: usize) -> Result<(), End> {
        match within(deadline, read_more(&mut self.stream, &mut self.buffer, most)).await {
            Some(Ok(1..)) => Ok(()),
            None => Err(End::Refused(head.method, refuse(408, "the body took too long"))),
            _ => Err(End::Gone),
        }
    }

    async fn write(&mut self, response: ResponseBytes) -> Result<(), End> {
        let queued = response.len().min(SEND_BUFFER);
        self.permit.hold(response.len(), queued);
        let mut deadline = self.put(&response.first).await?;
        if !response.rest.is_empty() {
            deadline = self.put(&response.rest).await?;
        }
        drop(response);
        self.permit.hold(0, queued);
        self.acknowledged(deadline).await
    }

    /// Hands bytes to the kernel. Returns when the client must have acknowledged them.
    async fn put(&mut self, bytes: &[u8]) -> Result<Instant, End> {
        self.socket.has_unread = true;
        let end = Instant::now()
            + self.server.limits.write
            + Duration::from_secs((bytes.len() / SLOWEST_READER) as u64);
        let mut rest = bytes;
        while !rest.is_empty() {
            let deadline = end.min(Instant::now() + self.server.limits.write);
            match within(deadline, self.stream.write(rest)).await {
                Some(Ok(count @ 1..)) => rest = &rest[count..],
                _ => return Err(End::Gone),
            }
        }
        // What TLS still has of it.
        let deadline = end.min(Instant::now() + self.server.limits.write);
        match within(deadline, self.stream.flush()).await {
            Some(Ok(())) => Ok(end),
            _ => Err(End::Gone),
        }
    }

    /// Waits until the client has what was written: the kernel would take the answers to some hundred requests that
    /// come at once ahead of a client that reads none.
    async fn acknowledged(&mut self, deadline: Instant) -> Result<(), End> {
        let Some(Ok(())) = within(deadline, self.socket.acknowledged()).await else { return Err(End::Gone) };
        self.socket.has_unread = false;
        self.permit.hold(0, 0);
        Ok(())
    }

    /// Closes so that the client can still read what was written last.
    async fn linger(mut self) {
        self.permit.set_phase(Phase::New);
        let deadline = Instant::now() + LINGER;
        let mut thrown = self.buffer.len();
        let drained = async {
            self.stream.close().await?;
            while thrown < MAX_LINGER {
                self.buffer.clear();
                match read_more(&mut self.stream, &mut self.buffer, CHUNK).await? {
                    0 => break,
                    count => thrown += count,
                }
            }
            io::Result::Ok(())
        };
        // However it went, the connection is dropped now.
        let _ = within(deadline, drained).await;
    }

    /// Forgets the first bytes, and the buffer too once it is empty.
    fn consume(&mut self, count: usize) {
        self.buffer.drain(..count);
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }
}

/// A refusal as it goes to the client; the connection ends with it.
fn refused(method: Method, refusal: HttpError) -> ResponseBytes {
    let HttpError { status, detail } = refusal;
    let title = tiny_http::StatusCode(status).default_reason_phrase();
    let mut response = ResponseBytes::new(problem(status, title, detail), method);
    response.set_connection(false);
    response
}

//! Reading a request: its head and its body, each with a deadline and a size limit.

use std::time::Instant;

use smol::io::{AsyncRead, AsyncWrite};
use smol::lock::SemaphoreGuardArc;

use super::{End, HttpConnection};
use crate::http::server::deadline_io::{CHUNK, read_more, within};
use crate::http::server::error::HttpError;
use crate::http::server::head::{self, Framing, Head};
use crate::http::server::limits::{MAX_BODY, MAX_HEAD};
use crate::net::chunked::Chunked;

/// Maximum number of CR and LF before a request: two empty lines. Without this limit, a client that sends only line
/// breaks would be read forever, and other connections would starve.
const MAX_BLANKS: usize = 4;

/// Longest head that needs no permit of [`ServerContext::large_heads`](crate::http::server::context::ServerContext).
const SMALL_HEAD: usize = 8 * 1024;

/// Longest body that needs no permit of [`ServerContext::large_bodies`](crate::http::server::context::ServerContext). Those
/// of all actions and of the login are much shorter.
const SMALL_BODY: usize = 4 * 1024;

/// Requests the body that a client has announced (RFC 9110, 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

const NOT_HTTP: HttpError = HttpError::new(400, "This is not an HTTP request.");
const LINE_TOO_LONG: HttpError = HttpError::new(414, "The request line exceeds 16 KiB.");
const HEAD_TOO_LONG: HttpError = HttpError::new(431, "The head exceeds 16 KiB.");
const TOO_MANY_LARGE_HEADS: HttpError =
    HttpError::new(503, "Too many long heads at once. Try again in a moment.");
const TOO_MANY_LARGE_BODIES: HttpError =
    HttpError::new(503, "Too many long bodies at once. Try again in a moment.");

impl<S: AsyncRead + AsyncWrite + Unpin> HttpConnection<S> {
    /// Reads the next head, whose first byte must come by `begins_by`.
    pub(super) async fn read_head(&mut self, begins_by: Instant) -> Result<Head, End> {
        let (mut deadline, mut has_begun) = (begins_by, false);
        let (mut searched, mut blanks) = (0, 0);
        let mut large_head = None;
        loop {
            // Some clients send an empty line after a body (RFC 9112, 2.2).
            let blank = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if searched == 0 && blank > 0 {
                blanks += blank;
                self.consume(blank);
                if blanks > MAX_BLANKS {
                    return Err(NOT_HTTP.into());
                }
            }
            if let Some(first) = self.buffer.first() {
                if !first.is_ascii_alphabetic() {
                    return Err(NOT_HTTP.into());
                }
                if !has_begun {
                    has_begun = true;
                    deadline = deadline.min(Instant::now() + self.context.limits.head_timeout);
                }
            }
            if let Some(end) = head::end(&self.buffer, searched) {
                let head = head::parse(&self.buffer[..end], self.peer);
                self.consume(end);
                return Ok(head?);
            }
            searched = self.buffer.len();
            if searched >= MAX_HEAD {
                let is_line_complete = self.buffer.contains(&b'\n');
                return Err(if is_line_complete { HEAD_TOO_LONG } else { LINE_TOO_LONG }.into());
            }
            let most = if searched < SMALL_HEAD { SMALL_HEAD } else { MAX_HEAD };
            if most == MAX_HEAD && large_head.is_none() {
                large_head = Some(self.context.large_heads.try_acquire_arc().ok_or(TOO_MANY_LARGE_HEADS)?);
            }
            match within(deadline, read_more(&mut self.stream, &mut self.buffer, most)).await {
                Some(Ok(1..)) => {}
                None if has_begun => return Err(HttpError::new(408, "The head took too long.").into()),
                _ => return Err(End::Gone),
            }
        }
    }

    /// Reads the complete body. Returns it with its permit among the large ones, to be kept as long as the body is.
    pub(super) async fn read_body(
        &mut self,
        head: &Head,
    ) -> Result<(Vec<u8>, Option<SemaphoreGuardArc>), End> {
        let deadline = Instant::now() + self.context.limits.body_timeout;
        match head.framing {
            Framing::Length(length) => {
                let large_body = self.large_body(length)?;
                if head.expects_continue && self.buffer.len() < length {
                    self.write(CONTINUE).await?;
                }
                while self.buffer.len() < length {
                    self.read_more_of_body(deadline, length).await?;
                }
                let body = self.buffer[..length].to_vec();
                self.consume(length);
                Ok((body, large_body))
            }
            Framing::Chunked => {
                if head.expects_continue && self.buffer.is_empty() {
                    self.write(CONTINUE).await?;
                }
                let (mut chunked, mut body, mut large_body) = (Chunked::new(MAX_BODY), Vec::new(), None);
                while !chunked.decode(&mut self.buffer, &mut body).map_err(HttpError::from)? {
                    if large_body.is_none() {
                        large_body = self.large_body(body.len())?;
                    }
                    self.read_more_of_body(deadline, self.buffer.len() + CHUNK).await?;
                }
                self.consume(0);
                Ok((body, large_body))
            }
        }
    }

    /// The permit for a body of this length, if it needs one.
    fn large_body(&self, length: usize) -> Result<Option<SemaphoreGuardArc>, HttpError> {
        if length <= SMALL_BODY {
            return Ok(None);
        }
        self.context.large_bodies.try_acquire_arc().map(Some).ok_or(TOO_MANY_LARGE_BODIES)
    }

    /// Reads once, so that the buffer has at most `most` bytes.
    async fn read_more_of_body(&mut self, deadline: Instant, most: usize) -> Result<(), End> {
        match within(deadline, read_more(&mut self.stream, &mut self.buffer, most)).await {
            Some(Ok(1..)) => Ok(()),
            None => Err(HttpError::new(408, "The body took too long.").into()),
            _ => Err(End::Gone),
        }
    }

    /// Removes the first bytes of the buffer, and frees it once it is empty.
    fn consume(&mut self, count: usize) {
        self.buffer.drain(..count);
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }
}

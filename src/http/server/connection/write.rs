//! Writing a response, at least as fast as the slowest client that is served.

use std::time::{Duration, Instant};

use smol::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{End, HttpConnection};
use crate::http::server::deadline_io::within;
use crate::http::server::output::ResponseBytes;
use crate::http::server::socket::SEND_BUFFER;

/// The slowest client that is served, in bytes per second over a whole response: a poor GPRS link. Without this limit,
/// a client could read single bytes forever.
const SLOWEST_READER: usize = 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> HttpConnection<S> {
    /// Sends a response and waits until the client has it.
    pub(super) async fn send(&mut self, response: ResponseBytes) -> Result<(), End> {
        let queued = response.len().min(SEND_BUFFER);
        self.permit.hold(response.len(), None, queued);
        let mut acknowledged_by = self.write(&response.first).await?;
        if !response.rest.is_empty() {
            acknowledged_by = self.write(&response.rest).await?;
        }
        drop(response);
        self.permit.hold(0, None, queued);
        self.wait_acknowledged(acknowledged_by).await
    }

    /// Passes bytes to the kernel. Returns when the client must have acknowledged them.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<Instant, End> {
        self.socket.has_unread = true;
        let stall = self.context.limits.write_timeout;
        let end = Instant::now() + stall + Duration::from_secs((bytes.len() / SLOWEST_READER) as u64);
        let mut rest = bytes;
        while !rest.is_empty() {
            let deadline = end.min(Instant::now() + stall);
            match within(deadline, self.stream.write(rest)).await {
                Some(Ok(count @ 1..)) => rest = &rest[count..],
                _ => return Err(End::Gone),
            }
        }
        // TLS may still buffer a part of it.
        let deadline = end.min(Instant::now() + stall);
        match within(deadline, self.stream.flush()).await {
            Some(Ok(())) => Ok(end),
            _ => Err(End::Gone),
        }
    }

    /// Waits until the client has acknowledged what was written. Otherwise the kernel would buffer the responses to
    /// some hundred pipelined requests of a client that reads none.
    pub(super) async fn wait_acknowledged(&mut self, deadline: Instant) -> Result<(), End> {
        let Some(Ok(())) = within(deadline, self.socket.wait_acknowledged()).await else {
            return Err(End::Gone);
        };
        self.socket.has_unread = false;
        self.permit.hold(0, None, 0);
        Ok(())
    }
}

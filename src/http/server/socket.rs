//! The kernel's buffers of a client's socket.
//!
//! The kernel keeps written bytes until the client has acknowledged them, and received bytes until they are read. By
//! default it lets both buffers grow to some MB for each connection. This memory does not count as memory of the agent.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size};
use smol::Async;

/// Bytes of responses that the kernel takes ahead of a client. It doubles the number for its own overhead, so up to 64 KiB
/// are in flight: 200 KB/s over a link with a round trip of 300 ms.
pub(super) const SEND_BUFFER: usize = 32 * 1024;

/// Bytes that the kernel takes from a client before they are read, doubled in the same way: the longest head twice, the
/// longest body in few round trips. With half of it, uploads over loopback sometimes stall, because its segments have
/// up to 64 KiB.
const RECEIVE_BUFFER: usize = 32 * 1024;

/// The smallest send buffer, which the kernel raises to 4.5 KiB. A socket is writable while less than two thirds of its
/// buffer are in use: with this one, once the client has acknowledged all but 3 KiB with overhead.
const SMALLEST_BUFFER: usize = 0;

/// Limits the buffers of a connection, or of all that a listener accepts from now on: bytes that clients send before they
/// are accepted must be limited, too.
pub(super) fn limit_buffers(socket: BorrowedFd) {
    let limited = set_socket_send_buffer_size(socket, SEND_BUFFER)
        .and_then(|()| set_socket_recv_buffer_size(socket, RECEIVE_BUFFER));
    if let Err(error) = limited {
        log::debug!("error={error:?} msg=\"a socket keeps its default buffers\"");
    }
}

/// A client's TCP socket.
pub(super) struct Socket {
    stream: Arc<Async<TcpStream>>,
    /// Whether the client may not have read all that was written. If so, closing discards the rest: otherwise the
    /// kernel would keep it for minutes after the close.
    pub(super) has_unread: bool,
}

impl Socket {
    /// Configures a socket that was just accepted.
    pub(super) fn new(stream: &async_net::TcpStream) -> Self {
        // Nagle's algorithm would delay the end of a response until the client has acknowledged its beginning: up to
        // 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            // The client has disconnected, which the first read will report.
            log::debug!("error={error:?} msg=\"a socket keeps Nagle's delay\"");
        }
        // A socket that the system accepted before the listener's limits were set does not have them.
        limit_buffers(stream.as_fd());
        Self { stream: stream.clone().into(), has_unread: false }
    }

    /// Waits until the client has acknowledged what was written, apart from a few KiB at most.
    pub(super) async fn wait_acknowledged(&self) -> io::Result<()> {
        set_socket_send_buffer_size(&*self.stream, SMALLEST_BUFFER)?;
        self.stream.writable().await?;
        Ok(set_socket_send_buffer_size(&*self.stream, SEND_BUFFER)?)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.has_unread
            && let Err(error) = set_socket_linger(&*self.stream, Some(Duration::ZERO))
        {
            log::debug!("error={error:?} msg=\"the kernel keeps an unread response\"");
        }
    }
}

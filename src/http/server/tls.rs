//! TLS with a client: the handshake, and limits of the buffers.
//!
//! A silent connection needs 8 KiB more than one without TLS.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use async_net::TcpStream;
use futures_rustls::TlsAcceptor;
use futures_rustls::rustls::ServerConfig;
use futures_rustls::rustls::server::{ServerConnection, ServerSessionMemoryCache};
use futures_rustls::server::TlsStream;
use smol::Async;
use smol::channel::bounded;
use smol::io::{AsyncRead, AsyncWrite};

use super::handshakes;

/// The application protocols (ALPN, RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// Sessions kept for resumption, so that a browser's next connections need no signature. 40 KiB together.
const SESSIONS: usize = 128;

/// Session tickets that a client gets at each handshake. It uses each once.
const SESSIONS_OFFERED: usize = 1;

/// Maximum number of bytes of a response that are encrypted before the socket takes them, and so the longest record.
/// Each connection whose client does not read holds as much besides the response itself.
const MAX_UNSENT: usize = 8 * 1024;

/// Maximum number of bytes of a `ClientHello`: a browser's is 2 KiB. rustls alone would buffer 64 KiB of it for each
/// new connection.
const MAX_HELLO: usize = 8 * 1024;

/// Maximum number of bytes received after it without any application data: the end of the handshake, the longest record
/// and one more read. Otherwise a client could send up to 64 KiB of a handshake message that never ends.
const MAX_WITHOUT_DATA: usize = 24 * 1024;

/// Settings for an HTTP server with the certificate of `server`.
pub(super) fn settings(server: &ServerConfig) -> Arc<ServerConfig> {
    let mut settings = server.clone();
    settings.alpn_protocols = PROTOCOLS.map(Vec::from).into();
    settings.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    settings.send_tls13_tickets = SESSIONS_OFFERED;
    settings.into()
}

/// The protocol of a client, detected by its first bytes.
pub(super) enum Accepted {
    /// The handshake succeeded.
    Tls(TlsConnection),
    /// They look like HTTP without TLS, and are still unread.
    PlainHttp(TcpStream),
}

/// Waits for a client's first byte, and performs the handshake unless it is HTTP. Handshakes are fair by `network`.
pub(super) async fn accept(
    stream: TcpStream,
    settings: Arc<ServerConfig>,
    network: IpAddr,
) -> io::Result<Accepted> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first[0].is_ascii_alphabetic() {
        return Ok(Accepted::PlainHttp(stream));
    }
    let readiness: Arc<Async<std::net::TcpStream>> = stream.clone().into();
    let limited = |session: &mut ServerConnection| session.set_buffer_limit(Some(MAX_UNSENT));
    let socket = MeteredSocket { stream, left: MAX_HELLO };
    // Boxed: otherwise each connection's task would have room for it several times.
    let mut handshake = Box::new(TlsAcceptor::from(settings).accept_with(socket, limited));
    loop {
        // Only reads can block here: the written bytes fit into an empty send buffer.
        readiness.readable().await?;
        let (sender, done) = bounded(1);
        let step = move || {
            // The connection may have been closed meanwhile.
            if !sender.is_closed() {
                let polled = Pin::new(&mut handshake).poll(&mut Context::from_waker(Waker::noop()));
                let _ = sender.try_send((handshake, polled));
            }
        };
        handshakes::submit(network, Box::new(step));
        let dropped = |_| io::Error::other("too many handshakes are waiting");
        let (unfinished, polled) = done.recv().await.map_err(dropped)?;
        match polled {
            Poll::Ready(stream) => return Ok(Accepted::Tls(TlsConnection(Box::new(stream?)))),
            Poll::Pending => handshake = unfinished,
        }
    }
}

/// A client's connection after its handshake.
pub(super) struct TlsConnection(Box<TlsStream<MeteredSocket>>);

impl AsyncRead for TlsConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.0).poll_read(context, buffer));
        if let Ok(1..) = read {
            let (socket, _) = self.0.get_mut();
            socket.left = MAX_WITHOUT_DATA;
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}

/// The socket below TLS. It fails after `left` received bytes without application data.
struct MeteredSocket {
    stream: TcpStream,
    left: usize,
}

impl AsyncRead for MeteredSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("too many bytes without application data")));
        }
        let most = buffer.len().min(self.left);
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer[..most]));
        if let Ok(count) = read {
            self.left -= count;
        }
        Poll::Ready(read)
    }
}

impl MeteredSocket {
    /// rustls writes only after it has received a complete message, such as a `ClientHello`.
    fn writing(&mut self) -> Pin<&mut TcpStream> {
        self.left = MAX_WITHOUT_DATA;
        Pin::new(&mut self.stream)
    }
}

impl AsyncWrite for MeteredSocket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writing().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        pieces: &[IoSlice],
    ) -> Poll<io::Result<usize>> {
        self.writing().poll_write_vectored(context, pieces)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

//! Connects to a host: resolves its name, opens a TCP connection and secures it with TLS.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_net::TcpStream;
use rustix::net::sockopt;
use smol::io::{AsyncRead, AsyncWrite};

use super::deadline::within;
use super::error::{Cause, Error};
use super::tls::{self, Agreed, Tls};

/// The kernel detects a vanished peer after a minute and a half of silence: `KEEPALIVE_IDLE` + 3 ×
/// `KEEPALIVE_INTERVAL`.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// A bidirectional byte stream: a socket, TLS over a socket, or a stream in a test.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug> Stream for S {}

/// Opens a connection to the first address of `host` that accepts one, and secures it. Returns the result of the TLS
/// handshake, too.
///
/// # Errors
///
/// That of [`resolve`], [`open`] or [`secure`], all within `timeout`.
pub async fn connect(
    (host, port): (&str, u16),
    tls: &Tls,
    timeout: Duration,
) -> Result<(Box<dyn Stream>, Option<Agreed>), Error> {
    let began = Instant::now();
    let left = || timeout.saturating_sub(began.elapsed());
    let addresses = resolve((host, port), timeout).await?;
    let stream = open(&addresses, left()).await?;
    secure(stream, host, tls, left()).await
}

/// The addresses of a host.
///
/// # Errors
///
/// `Dns` if there are none, `Timeout` if there was no answer within `timeout`.
pub async fn resolve(host: (&str, u16), timeout: Duration) -> Result<Vec<SocketAddr>, Error> {
    let resolving = async_net::resolve(host);
    let resolved = within(resolving, timeout, Cause::Timeout, "the name was not resolved").await?;
    let addresses = resolved.map_err(|error| Error::new(Cause::Dns, error.to_string()))?;
    if addresses.is_empty() { Err(no_address()) } else { Ok(addresses) }
}

/// Opens a TCP connection to the first of these addresses that accepts one. Each address gets a share of the time, so
/// that an address that never answers leaves time for the next ones.
///
/// # Errors
///
/// That of the last address: `Refused`, `Unreachable`, `Closed`, or `Timeout`.
pub async fn open(addresses: &[SocketAddr], timeout: Duration) -> Result<TcpStream, Error> {
    let began = Instant::now();
    let mut last = no_address();
    for (at, address) in addresses.iter().enumerate() {
        let left = timeout.saturating_sub(began.elapsed());
        let share = left / u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        match within(TcpStream::connect(address), share, Cause::Timeout, "nothing answered").await {
            Ok(Ok(stream)) => {
                prepare(&stream).map_err(|error| Error::connection_lost(&error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = Error::connecting(&error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn no_address() -> Error {
    Error::new(Cause::Dns, "the name has no address")
}

/// Secures a connection to `host`, unless `tls` is off. Returns the result of the TLS handshake.
///
/// # Errors
///
/// Those of TLS, `Closed`, or `HandshakeTimeout`.
pub async fn secure(
    stream: TcpStream,
    host: &str,
    tls: &Tls,
    timeout: Duration,
) -> Result<(Box<dyn Stream>, Option<Agreed>), Error> {
    if *tls == Tls::Off {
        return Ok((Box::new(stream), None));
    }
    let what = "the TLS handshake was not answered";
    let handshake = within(tls::handshake(stream, host, tls), timeout, Cause::HandshakeTimeout, what);
    let (stream, agreed) = handshake.await??;
    Ok((Box::new(stream), Some(agreed)))
}

/// Disables Nagle's algorithm, and enables keepalive probes.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    Ok(())
}

//! From a host's name to an open connection: resolve, open, secure.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_net::TcpStream;
use rustix::net::sockopt;
use smol::future::FutureExt;

use super::client::{self, Client, Connection, late};
use super::error::{Cause, Error};
use super::tls::{self, Agreed, Tls};

/// A link that died without a word is noticed by the kernel after a minute and a half
/// of silence: `KEEPALIVE_IDLE` + 3 × `KEEPALIVE_INTERVAL`.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// Opens a connection to the first address of `host` that takes one.
///
/// # Errors
///
/// `dns`, `refused`, `unreachable`, `connect_timeout`, or what [`secure`] says, all within `timeout`.
pub async fn connect(
    (host, port): (&str, u16),
    tls: &Tls,
    timeout: Duration,
) -> Result<(Client, Connection), Error> {
    let began = Instant::now();
    let left = || timeout.saturating_sub(began.elapsed());
    let addresses = resolve((host, port), timeout).await?;
    let stream = open(&addresses, tls, left()).await?;
    let (client, connection, _) = secure(stream, host, tls, left()).await?;
    Ok((client, connection))
}

/// The addresses of a host.
///
/// # Errors
///
/// `dns` where there is none, `connect_timeout` where nobody said within `timeout`.
pub async fn resolve(host: (&str, u16), timeout: Duration) -> Result<Vec<SocketAddr>, Error> {
    let resolving = async {
        let addresses =
            async_net::resolve(host).await.map_err(|error| Error::new(Cause::Dns, error.to_string()))?;
        if addresses.is_empty() {
            return Err(Error::new(Cause::Dns, "the name has no address"));
        }
        Ok(addresses)
    };
    resolving.or(late(Instant::now(), timeout, Cause::ConnectTimeout, "the name was not resolved")).await
}

/// Opens a TCP connection to the first of these that takes one. Each gets a share of
/// the time, so that one that never answers leaves some for those after it.
///
/// # Errors
///
/// That of the last address: `refused`, `unreachable`, `closed`, or `connect_timeout`.
pub async fn open(addresses: &[SocketAddr], tls: &Tls, timeout: Duration) -> Result<TcpStream, Error> {
    let began = Instant::now();
    let mut opened = Err(Error::new(Cause::Dns, "the name has no address"));
    for (at, address) in addresses.iter().enumerate() {
        let left = timeout.saturating_sub(began.elapsed());
        let share = left / u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let opening = async { TcpStream::connect(address).await.map_err(|error| Error::connecting(&error)) };
        opened = opening.or(late(Instant::now(), share, Cause::ConnectTimeout, "nothing answered")).await;
        if opened.is_ok() {
            break;
        }
    }
    let stream = opened.map_err(|error| match error.cause {
        // Not to be told how to turn on what is spoken in clear.
        Cause::Refused if *tls != Tls::Off => Error { hint: tls::HINT_REFUSED, ..error },
        _ => error,
    })?;
    prepare(&stream).map_err(|error| Error::lost(&error))?;
    Ok(stream)
}

/// Does the TLS handshake with the router called `host`, where there is to be one.
///
/// # Errors
///
/// `tls`, `tls_pin`, `tls_no_certificate`, `closed`, or `connect_timeout`.
pub async fn secure(
    stream: TcpStream,
    host: &str,
    tls: &Tls,
    timeout: Duration,
) -> Result<(Client, Connection, Option<Agreed>), Error> {
    if *tls == Tls::Off {
        let (client, connection) = client::over(stream);
        return Ok((client, connection, None));
    }
    let late = async {
        let told = "the TLS handshake was not answered";
        let late = late(Instant::now(), timeout, Cause::ConnectTimeout, told).await;
        // The port takes connections: it may be of what waits for something else than TLS.
        late.map_err(|error| Error { hint: tls::HINT_NO_TLS, ..error })
    };
    let (stream, agreed) = tls::secure(stream, host, tls).or(late).await?;
    let (client, connection) = client::over(stream);
    Ok((client, connection, Some(agreed)))
}

/// Sends at once what is written, and asks an idle peer for a sign of life.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    Ok(())
}

//! TLS of `api-ssl`: certificates and handshakes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_net::TcpStream;
use futures_rustls::TlsAcceptor;
use futures_rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use futures_rustls::rustls::ServerConfig;
use futures_rustls::rustls::crypto::ring::default_provider;
use futures_rustls::server::TlsStream;
use ring::digest::{SHA256, digest};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Timer, future};

use super::fault::Fault;
use super::shared::{ConnectionGuard, Shared};
use crate::text::hex;

/// Handshake timeout. Clients give up after a few seconds.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(30);

/// A TLS record with the fatal alert `handshake_failure`.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// Upper bound of an unencrypted TLS record, in bytes.
const MAX_RECORD: usize = 1 << 14;

/// A certificate and its key, in DER. The keys are public, so they are for simulated routers only.
///
/// The certificates are self-signed like those of a router: RSA with 2048 bits, X.509 v3, CN = router, no
/// other name. They are valid from 2020 to 2120 and were made by `openssl req -new -newkey rsa:2048 -nodes
/// -subj /CN=router`, `openssl ca -selfsign` and `openssl pkcs8 -topk8 -nocrypt -outform DER`.
struct TlsIdentity {
    certificate: &'static [u8],
    key: &'static [u8],
}

/// The certificate of the router.
const ROUTER: TlsIdentity = TlsIdentity {
    certificate: include_bytes!("certificates/router.crt.der"),
    key: include_bytes!("certificates/router.key.der"),
};

/// Another certificate with the same name, as after a renewal or with a man in the middle.
const OTHER: TlsIdentity = TlsIdentity {
    certificate: include_bytes!("certificates/other.crt.der"),
    key: include_bytes!("certificates/other.key.der"),
};

/// `sha256:` and the SHA-256 of the certificate that new connections get.
pub(super) fn fingerprint(fault: Option<Fault>) -> String {
    let identity = if fault == Some(Fault::OtherCertificate) { OTHER } else { ROUTER };
    format!("sha256:{}", hex(digest(&SHA256, identity.certificate).as_ref()))
}

/// The TLS configuration of the service.
#[derive(Clone)]
pub(super) struct RouterTls {
    router: TlsAcceptor,
    other: TlsAcceptor,
}

impl RouterTls {
    /// # Errors
    ///
    /// When the certificates can't be used.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { router: acceptor(&ROUTER)?, other: acceptor(&OTHER)? })
    }

    /// Runs the handshake with a client; `None` if it fails.
    pub(super) async fn accept(
        self,
        shared: Arc<Shared>,
        guard: &ConnectionGuard,
        stream: TcpStream,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake = async {
            let fault = shared.state().fault;
            match fault {
                Some(Fault::Stall) => stall(guard, stream).await,
                Some(Fault::NoCertificate) => refuse(guard, stream).await.ok()?,
                Some(Fault::OtherCertificate) => {
                    guard.mark_broken();
                    return self.other.accept(stream).await.ok();
                }
                _ => return self.router.accept(stream).await.ok(),
            }
            None
        };
        let timeout = async {
            loop {
                Timer::after(HANDSHAKE_WAIT).await;
                // A stalled router does not close the connection either.
                if shared.state().fault != Some(Fault::Stall) {
                    return None;
                }
            }
        };
        future::or(handshake, timeout).await
    }
}

fn acceptor(identity: &TlsIdentity) -> io::Result<TlsAcceptor> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key));
    // TLS 1.2 and 1.3.
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            config.with_no_client_auth().with_single_cert(vec![identity.certificate.into()], key)
        })
        .map_err(io::Error::other)?;
    Ok(Arc::new(config).into())
}

/// Reads from a client until it disconnects.
async fn stall(guard: &ConnectionGuard, mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(1..) = stream.read(&mut buffer).await {
        guard.mark_broken();
        // A client that never pauses must not block the executor.
        future::yield_now().await;
    }
}

/// Answers a client's first record like a router without a certificate. Such a router offers anonymous key
/// exchange only, and a client that does not support it gets this alert.
async fn refuse(guard: &ConnectionGuard, mut stream: TcpStream) -> io::Result<()> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[3], head[4]])).min(MAX_RECORD);
    // Reads all of it: closing a connection with unread bytes resets it, and the alert may be lost.
    stream.read_exact(&mut vec![0; length]).await?;
    guard.mark_broken();
    stream.write_all(&HANDSHAKE_FAILURE).await?;
    stream.close().await
}

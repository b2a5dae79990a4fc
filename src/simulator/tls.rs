//! `api-ssl`: the certificates, and what a client meets before the API.

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
use super::login::hex;
use super::shared::{Counted, Shared};

/// How long a handshake may take. Clients give up after a few seconds.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(30);

/// The alert `handshake_failure`, fatal, as a record.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// Most bytes of a record of TLS that is not encrypted.
const MAX_RECORD: usize = 1 << 14;

/// A certificate and its key, in DER. The keys are no secret: everybody has them, so they are for
/// simulated routers only.
///
/// They are as a router signs them itself: RSA with 2048 bits, X.509 v3, CN = router, no other
/// name. They were made once, valid from 2020 to 2120, by `openssl req -new -newkey rsa:2048 -nodes
/// -subj /CN=router`, `openssl ca -selfsign` and `openssl pkcs8 -topk8 -nocrypt -outform DER`.
struct TlsIdentity {
    certificate: &'static [u8],
    key: &'static [u8],
}

/// The certificate that a router has.
const ROUTER: TlsIdentity = TlsIdentity {
    certificate: include_bytes!("certificates/router.crt.der"),
    key: include_bytes!("certificates/router.key.der"),
};

/// Another one of the same name, as after somebody made a new one or stands in between.
const OTHER: TlsIdentity = TlsIdentity {
    certificate: include_bytes!("certificates/other.crt.der"),
    key: include_bytes!("certificates/other.key.der"),
};

/// `sha256:` and the SHA-256 of the certificate that new connections get.
pub(super) fn fingerprint(fault: Option<Fault>) -> String {
    let identity = if fault == Some(Fault::OtherCertificate) { OTHER } else { ROUTER };
    format!("sha256:{}", hex(digest(&SHA256, identity.certificate).as_ref()))
}

/// What the service does handshakes with.
#[derive(Clone)]
pub(super) struct RouterTls {
    router: TlsAcceptor,
    other: TlsAcceptor,
}

impl RouterTls {
    /// # Errors
    ///
    /// When TLS can't be had with these certificates.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { router: acceptor(&ROUTER)?, other: acceptor(&OTHER)? })
    }

    /// Does the handshake with a client; `None` where there is no connection to go on with.
    pub(super) async fn accept(
        self,
        shared: Arc<Shared>,
        counted: &Counted,
        stream: TcpStream,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake = async {
            let fault = shared.state().fault;
            match fault {
                Some(Fault::Stall) => stall(counted, stream).await,
                Some(Fault::NoCertificate) => refuse(counted, stream).await.ok()?,
                Some(Fault::OtherCertificate) => {
                    counted.broken();
                    return self.other.accept(stream).await.ok();
                }
                _ => return self.router.accept(stream).await.ok(),
            }
            None
        };
        let late = async {
            loop {
                Timer::after(HANDSHAKE_WAIT).await;
                // A router that says nothing does not take its leave either.
                if shared.state().fault != Some(Fault::Stall) {
                    return None;
                }
            }
        };
        future::or(handshake, late).await
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

/// Takes what a client says, until it leaves.
async fn stall(counted: &Counted, mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(1..) = stream.read(&mut buffer).await {
        counted.broken();
        // A client that never pauses must not keep the executor from everybody else.
        future::yield_now().await;
    }
}

/// Answers a client's first record as a router without a certificate does. It offers anonymous key
/// exchange alone, and a client that does not speak that sees this alert.
async fn refuse(counted: &Counted, mut stream: TcpStream) -> io::Result<()> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[3], head[4]])).min(MAX_RECORD);
    // All of it: a connection closed with something unread is reset, and the alert may be lost.
    stream.read_exact(&mut vec![0; length]).await?;
    counted.broken();
    stream.write_all(&HANDSHAKE_FAILURE).await?;
    stream.close().await
}

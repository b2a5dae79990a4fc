//! A TLS client that trusts a pinned certificate, or those that the operator's CA has signed.
//!
//! Routers sign their certificates themselves, without a name that a client could verify, and with a wrong date after
//! each boot. So a [`Fingerprint`] of the leaf certificate is the usual choice: it replaces the checks of name, dates
//! and issuer. The signature in the handshake still proves that the peer holds the certificate's key.
//!
//! Limits of rustls: no TLS 1.0 and 1.1, no key exchange by DHE or without a certificate (`api-ssl` offers nothing else
//! until it has one), no RSA keys under 2048 bits, no certificates before X.509 v3. Each case has its own cause.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use futures_rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use futures_rustls::rustls::crypto::{self, CryptoProvider, ring as provider};
use futures_rustls::rustls::server::ParsedCertificate;
use futures_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, OtherError,
    PeerIncompatible, RootCertStore, SignatureScheme,
};
use smol::io::{AsyncRead, AsyncWrite};

use super::error::{Cause, Error};
use crate::text::hex;

pub use super::authorities::Authorities;

/// Length of the shortest RSA key whose signatures rustls accepts.
const MIN_RSA_BITS: usize = 2048;

/// The text of rustls's error for a certificate before X.509 v3, whose type is private.
const OLD_CERTIFICATE: &str = "UnsupportedCertVersion";

/// The end of the range of RFC 3339, since the Unix epoch.
const END_OF_9999: Duration = Duration::from_secs(253_402_300_799);

/// How a connection is secured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// No TLS.
    #[default]
    Off,
    /// By TLS with this certificate.
    Pin(Fingerprint),
    /// By TLS with a certificate that one of these has signed, that has the host's name and is valid today.
    Ca(Authorities),
}

/// The SHA-256 of a certificate's DER form, as RouterOS shows it in `/certificate print detail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub fn of(certificate: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex(&self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = ();

    /// `sha256:` and 64 hexadecimal digits; colons between them, as openssl writes them, are ignored.
    fn from_str(text: &str) -> Result<Self, ()> {
        let digits: String = text.strip_prefix("sha256:").ok_or(())?.split(':').collect();
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(());
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(drop)?;
        }
        Ok(Self(bytes))
    }
}

/// The result of a TLS handshake: version and certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: &'static str,
    /// The peer's certificate.
    pub fingerprint: Option<Fingerprint>,
    /// When that ends, see [`certificate_ends`].
    pub ends: Option<Duration>,
}

/// When a certificate ends, since the Unix epoch; `None` if its dates can't be read.
pub fn certificate_ends(certificate: &CertificateDer) -> Option<Duration> {
    match date_error(certificate, UnixTime::since_unix_epoch(END_OF_9999))? {
        CertificateError::ExpiredContext { not_after, .. } => Some(Duration::from_secs(not_after.as_secs())),
        _ => None,
    }
}

/// The error of a certificate at a time, which is about its dates if these are not valid then.
pub fn date_error(certificate: &CertificateDer, time: UnixTime) -> Option<CertificateError> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    // This always fails, because no authority is trusted here. But the dates are checked first.
    let authorities = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(&parsed, &authorities, &[], time, &[]).err()? {
        rustls::Error::InvalidCertificate(why) => Some(why),
        _ => None,
    }
}

/// What is wrong with the dates of a certificate, if an error is about these: `ended at …`.
pub fn date_problem(error: &CertificateError) -> Option<String> {
    let date = |time: &UnixTime| {
        let since = Duration::from_secs(time.as_secs()).min(END_OF_9999);
        humantime::format_rfc3339_seconds(UNIX_EPOCH + since)
    };
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            Some(format!("ended at {}, and it is {} here", date(not_after), date(time)))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let (begin, now) = (date(not_before), date(time));
            Some(format!("begins at {begin}, and it is {now} here; is this machine's clock set?"))
        }
        _ => None,
    }
}

/// Performs the handshake with the peer named `host`.
///
/// # Errors
///
/// Those of TLS, or `Closed`.
pub(super) async fn handshake<S>(stream: S, host: &str, tls: &Tls) -> Result<(TlsStream<S>, Agreed), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let provider = Arc::new(provider::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let config = match tls {
        Tls::Ca(authorities) => config.with_root_certificates(authorities.roots()),
        // Without an authority, no certificate is trusted.
        Tls::Off => config.with_root_certificates(RootCertStore::empty()),
        Tls::Pin(expected) => {
            let pinned = Pinned { expected: *expected, provider };
            config.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
        }
    };
    let config = Arc::new(config.with_no_client_auth());
    // A zone is local to this machine, so no certificate contains it.
    let host = host.split('%').next().unwrap_or_default();
    let name = ServerName::try_from(host.to_string())
        .map_err(|_| Error::new(Cause::Tls, format!("{host:?} is not a name that a certificate can have")))?;
    let stream =
        TlsConnector::from(config).connect(name, stream).await.map_err(|error| handshake_failed(&error))?;
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    let agreed = Agreed {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS 1.2",
        },
        fingerprint: leaf.map(|leaf| Fingerprint::of(leaf)),
        ends: leaf.and_then(certificate_ends),
    };
    Ok((stream, agreed))
}

/// Accepts only the expected certificate, and ignores its name, dates and issuer.
#[derive(Debug)]
struct Pinned {
    expected: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen = Fingerprint::of(leaf);
        if seen == self.expected {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Rejection::Pin { seen, expected: self.expected }.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verified = crypto::verify_tls12_signature(message, leaf, signed, algorithms);
        verified.map_err(|error| bad_signature(error, signed))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verified = crypto::verify_tls13_signature(message, leaf, signed, algorithms);
        verified.map_err(|error| bad_signature(error, signed))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Why a signature in the handshake is invalid. rustls reports a key that is too short like another key, but an RSA
/// signature is as long as its key.
fn bad_signature(error: rustls::Error, signed: &DigitallySignedStruct) -> rustls::Error {
    use SignatureScheme as By;
    if error != CertificateError::BadSignature.into() {
        return error;
    }
    let is_rsa = matches!(
        signed.scheme,
        By::RSA_PKCS1_SHA256
            | By::RSA_PKCS1_SHA384
            | By::RSA_PKCS1_SHA512
            | By::RSA_PSS_SHA256
            | By::RSA_PSS_SHA384
            | By::RSA_PSS_SHA512
    );
    let bits = signed.signature().len() * 8;
    let is_short = is_rsa && bits < MIN_RSA_BITS;
    let rejection = if is_short { Rejection::ShortKey(bits) } else { Rejection::OtherKey };
    rejection.into()
}

/// Why the verifier of a pinned certificate has rejected the peer.
#[derive(Debug)]
enum Rejection {
    /// The certificate is not the pinned one.
    Pin { seen: Fingerprint, expected: Fingerprint },
    /// The handshake is signed by an RSA key of this many bits.
    ShortKey(usize),
    /// The handshake is signed by another key than the certificate's.
    OtherKey,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pin { seen, expected } => {
                write!(f, "found a certificate with the fingerprint {seen}; expected {expected}")
            }
            Self::ShortKey(bits) => {
                write!(f, "the certificate has an RSA key of {bits} bits; expected {MIN_RSA_BITS} or more")
            }
            Self::OtherKey => {
                f.write_str("the certificate is the pinned one, but the peer does not have its key")
            }
        }
    }
}

impl std::error::Error for Rejection {}

impl From<Rejection> for rustls::Error {
    fn from(rejection: Rejection) -> Self {
        CertificateError::Other(OtherError(Arc::new(rejection))).into()
    }
}

/// Why a handshake failed.
fn handshake_failed(error: &io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(error) => failed(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::new(Cause::HandshakeClosed, "the connection was closed in the TLS handshake")
        }
        None => Error::connection_lost(error),
    }
}

fn failed(error: &rustls::Error) -> Error {
    use AlertDescription::{HandshakeFailure, ProtocolVersion};
    match error {
        rustls::Error::AlertReceived(HandshakeFailure) => {
            Error::new(Cause::HandshakeRefused, "the TLS handshake was ended with alert 40")
        }
        rustls::Error::AlertReceived(ProtocolVersion)
        | rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => Error::new(Cause::OldTls, "the service at this port does not support TLS 1.2 or 1.3"),
        rustls::Error::InvalidMessage(_) => {
            Error::new(Cause::NoTls, "the service at this port does not use TLS")
        }
        rustls::Error::InvalidCertificate(why) => certificate_error(why),
        other => Error::new(Cause::Tls, format!("the TLS handshake failed: {other}")),
    }
}

fn certificate_error(why: &CertificateError) -> Error {
    use CertificateError as Why;
    let message = match why {
        Why::Other(OtherError(other)) => {
            let message = other.to_string();
            let (cause, message) = match other.downcast_ref() {
                Some(Rejection::Pin { .. }) => (Cause::Pin, message),
                Some(Rejection::OtherKey) => (Cause::NoKey, message),
                Some(Rejection::ShortKey(_)) => (Cause::WeakCertificate, message),
                None if message == OLD_CERTIFICATE => {
                    (Cause::WeakCertificate, "the certificate is of X.509 version 1; expected 3".into())
                }
                None => (Cause::Certificate, format!("the certificate is not accepted: {message}")),
            };
            return Error::new(cause, message);
        }
        // The signature of the chain or of the handshake: rustls does not report which.
        Why::BadSignature => "the certificate is signed by another authority of the same name as one that \
            is trusted, or its RSA key is under 2048 bits, or the peer does not have its key"
            .into(),
        Why::UnknownIssuer => "the certificate is signed by none of the authorities that are trusted".into(),
        other => match date_problem(other) {
            Some(problem) => format!("the certificate {problem}"),
            None => format!("the certificate is not accepted: {other}"),
        },
    };
    Error::new(Cause::Certificate, message)
}

#[cfg(test)]
mod tests {
    use futures_rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let ends = |pem: &[u8]| certificate_ends(&CertificateDer::from_pem_slice(pem).unwrap());
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(ends(include_bytes!("../../tests/certificates/ended.cert.pem")), seconds(1_609_459_200));
        assert_eq!(ends(include_bytes!("../../tests/certificates/page.cert.pem")), seconds(4_733_510_400));
        assert_eq!(certificate_ends(&CertificateDer::from(vec![1, 2, 3])), None);
    }

    #[test]
    fn fingerprints_are_read_in_both_usual_forms() {
        // The SHA-256 of the empty input.
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let fingerprint = Fingerprint::of(b"");
        assert_eq!(fingerprint.to_string(), format!("sha256:{hex}"));
        let upper = hex.to_uppercase();
        let pairs: Vec<&str> = (0..64).step_by(2).map(|at| &upper[at..at + 2]).collect();
        for text in
            [format!("sha256:{hex}"), format!("sha256:{upper}"), format!("sha256:{}", pairs.join(":"))]
        {
            assert_eq!(text.parse(), Ok(fingerprint), "{text}");
        }
        for text in ["", "sha256:", hex, &format!("sha1:{hex}"), &format!("sha256:{hex}0"), "sha256:é"] {
            assert_eq!(text.parse::<Fingerprint>(), Err(()), "{text}");
        }
    }
}

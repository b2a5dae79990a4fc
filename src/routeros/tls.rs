//! TLS to a router: a pinned certificate, or one that a CA of ours has signed.
//!
//! Routers sign their certificates themselves, with no name in them that a client could check,
//! and begin with a wrong date after each boot. So a [`Fingerprint`] of the leaf is the usual
//! way: it stands for the name, the dates and the issuer. That the router holds the
//! certificate's key is checked all the same, by its signature in the handshake.
//!
//! What rustls does not speak, and so neither does this: TLS 1.0 and 1.1, key exchange by DHE or
//! without a certificate (which is all that `api-ssl` offers until it is given one), RSA keys
//! under 2048 bits, certificates before X.509 v3. Each is told by name, with what to do.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::crypto::{self, CryptoProvider, ring as provider};
use futures_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, OtherError,
    PeerIncompatible, RootCertStore, SignatureScheme,
};
use smol::io::{AsyncRead, AsyncWrite};

use super::error::{Cause, Error};

/// The shortest RSA key whose signatures are taken.
const LEAST_RSA_BITS: usize = 2048;

/// How rustls names a certificate before X.509 v3; the type of that is not to be had.
const OLD_CERTIFICATE: &str = "UnsupportedCertVersion";

/// How a connection to a router is secured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// Not at all: `api`, port 8728.
    #[default]
    Off,
    /// `api-ssl`, and its certificate is this one.
    Pin(Fingerprint),
    /// `api-ssl`, and one of these has signed its certificate, which has the host's name and is of today.
    Ca(Authorities),
}

/// The SHA-256 of a certificate's DER form, as `/certificate print detail` shows it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = ();

    /// `sha256:` and 64 hexadecimal digits; colons between them, as openssl writes them, are passed over.
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

/// Certificates of CAs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Reads a PEM file's text, which holds at least one certificate.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let certificates = certificates.map_err(|error| format!("is no PEM file: {error}"))?;
        if certificates.is_empty() {
            return Err("holds no certificate; expected -----BEGIN CERTIFICATE-----".into());
        }
        let authorities = Self(certificates);
        authorities.roots().map_err(|error| format!("holds a certificate that can't be read: {error}"))?;
        Ok(authorities)
    }

    fn roots(&self) -> Result<RootCertStore, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for certificate in &self.0 {
            roots.add(certificate.clone())?;
        }
        Ok(roots)
    }
}

/// What a handshake has agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: &'static str,
    /// The router's certificate.
    pub fingerprint: Option<Fingerprint>,
}

/// Does the handshake with the router that is called `host`.
///
/// # Errors
///
/// `tls_no_certificate`, `tls_pin`, `tls`, or `closed` where the router ended it without a word.
pub(super) async fn secure<S>(stream: S, host: &str, tls: &Tls) -> Result<(TlsStream<S>, Agreed), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let provider = Arc::new(provider::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let config = match tls {
        Tls::Ca(authorities) => {
            config.with_root_certificates(authorities.roots().map_err(|error| failed(&error))?)
        }
        // With nothing to hold it against, no certificate is the right one.
        Tls::Off => config.with_root_certificates(RootCertStore::empty()),
        Tls::Pin(expected) => {
            let pinned = Pinned { expected: *expected, provider };
            config.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
        }
    };
    let config = Arc::new(config.with_no_client_auth());
    // No certificate has a zone in it: that is of this machine.
    let host = host.split('%').next().unwrap_or_default();
    let name = ServerName::try_from(host.to_string())
        .map_err(|_| Error::new(Cause::Tls, format!("{host:?} is no name that a certificate could have")))?;
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|error| refused(&error))?;
    let (_, session) = stream.get_ref();
    let agreed = Agreed {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS 1.2",
        },
        fingerprint: session.peer_certificates().and_then(<[_]>::first).map(|leaf| Fingerprint::of(leaf)),
    };
    Ok((stream, agreed))
}

/// Takes the one certificate that is expected, whatever its name, dates and issuer.
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
        let other = OtherError(Arc::new(OtherCertificate { seen, expected: self.expected }));
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verified = crypto::verify_tls12_signature(message, leaf, signed, algorithms);
        verified.map_err(|error| unsigned(error, signed))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verified = crypto::verify_tls13_signature(message, leaf, signed, algorithms);
        verified.map_err(|error| unsigned(error, signed))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Why a signature in the handshake does not stand. One by a key that is too short is refused like one by
/// another key, but an RSA signature is as long as its key.
fn unsigned(error: rustls::Error, signed: &DigitallySignedStruct) -> rustls::Error {
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
    let why = if is_rsa && bits < LEAST_RSA_BITS { Unsigned::Short(bits) } else { Unsigned::ByAnother };
    CertificateError::Other(OtherError(Arc::new(why))).into()
}

/// What is wrong with the signature that is to show that the router holds the pinned certificate's key.
#[derive(Debug)]
enum Unsigned {
    /// It is by an RSA key of so many bits.
    Short(usize),
    /// It is by another key.
    ByAnother,
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(bits) => {
                write!(f, "the certificate has an RSA key of {bits} bits; expected {LEAST_RSA_BITS} or more")
            }
            Self::ByAnother => {
                f.write_str("the certificate is the right one, but what answers does not hold its key")
            }
        }
    }
}

impl std::error::Error for Unsigned {}

/// The router has another certificate than the pinned one.
#[derive(Debug)]
struct OtherCertificate {
    seen: Fingerprint,
    expected: Fingerprint,
}

impl fmt::Display for OtherCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen, expected } = self;
        write!(f, "found a certificate with the fingerprint {seen}; expected {expected}")
    }
}

impl std::error::Error for OtherCertificate {}

/// Why a handshake failed.
fn refused(error: &io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(error) => failed(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            let told = "the router closed the connection in the TLS handshake";
            Error { hint: HINT_NO_TLS, ..Error::new(Cause::Closed, told) }
        }
        None => Error::lost(error),
    }
}

fn failed(error: &rustls::Error) -> Error {
    use AlertDescription::{HandshakeFailure, ProtocolVersion};
    let tls = |message: String, hint| Error { hint, ..Error::new(Cause::Tls, message) };
    match error {
        rustls::Error::AlertReceived(HandshakeFailure) => Error::new(
            Cause::TlsNoCertificate,
            "the router ended the TLS handshake with alert 40: most often api-ssl has no certificate",
        ),
        rustls::Error::AlertReceived(ProtocolVersion)
        | rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => tls("the router speaks no TLS 1.2 or 1.3".into(), HINT_OLD),
        rustls::Error::InvalidMessage(_) => {
            tls("what answers at this port speaks no TLS".into(), HINT_NO_TLS)
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other)))
            if other.is::<OtherCertificate>() =>
        {
            Error::new(Cause::TlsPin, other.to_string())
        }
        rustls::Error::InvalidCertificate(why) => certificate(why),
        other => Error::new(Cause::Tls, format!("the TLS handshake failed: {other}")),
    }
}

fn certificate(why: &CertificateError) -> Error {
    use CertificateError as Why;
    let date = |time: UnixTime| {
        // To the end of year 9999, the range of the format.
        let since = Duration::from_secs(time.as_secs().min(253_402_300_799));
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since)
    };
    let tls = |message: String, hint| Error { hint, ..Error::new(Cause::Tls, message) };
    let message = match why {
        Why::Other(OtherError(other)) => {
            let told = other.to_string();
            match other.downcast_ref() {
                Some(Unsigned::ByAnother) => return tls(told, HINT_NOT_THE_OWNER),
                Some(Unsigned::Short(_)) => return tls(told, HINT_ANOTHER),
                None if told == OLD_CERTIFICATE => {
                    return tls("the certificate is of X.509 version 1; expected 3".into(), HINT_ANOTHER);
                }
                None => format!("the certificate is not accepted: {told}"),
            }
        }
        // Of the chain or of the handshake: which of them is not told.
        Why::BadSignature => "the certificate is signed by another authority of the same name as one in the \
            Ca file, or its RSA key is under 2048 bits, or what answers does not hold its key"
            .into(),
        Why::ExpiredContext { time, not_after } => {
            format!("the certificate ended at {}, and it is {} here", date(*not_after), date(*time))
        }
        Why::NotValidYetContext { time, not_before } => format!(
            "the certificate begins at {}, and it is {} here; is this machine's clock set?",
            date(*not_before),
            date(*time)
        ),
        Why::UnknownIssuer => "the certificate is signed by none of the authorities in the Ca file".into(),
        other => format!("the certificate is not accepted: {other}"),
    };
    tls(message, HINT_CERTIFICATE)
}

const HINT_OLD: &str = "Upgrade RouterOS: /system package update install. Until then use tls: Off with the plain \
    api over a VPN or a management network. On RouterOS 6: /ip service set api-ssl tls-version=only-1.2";

pub(super) const HINT_NO_TLS: &str = "api-ssl listens at 8729 unless set otherwise, and api, at 8728, speaks no TLS; \
    either may be limited to other addresses, or api-ssl be without a certificate. On the router: \
    /ip service print detail where name~\"api\"";

pub(super) const HINT_REFUSED: &str = "The service may be off or on another port. On the router: /ip service print, then \
    /ip service enable [find name=api-ssl and !dynamic], which needs a certificate: /ip service print detail where name=api-ssl";

const HINT_NOT_THE_OWNER: &str = "Somebody else may answer at this address with a copy of the router's certificate. \
    See whose address it is, on the way there and on the router: /ip address print";

const HINT_ANOTHER: &str = "Give the router another. On it: /certificate add name=api2 common-name=router \
    key-size=2048 days-valid=3650 key-usage=digital-signature,key-encipherment,tls-server, then \
    /certificate sign api2, then /ip service set [find name=api-ssl and !dynamic] certificate=api2, and its fingerprint into tls: Pin(…)";

const HINT_CERTIFICATE: &str = "A certificate that the router signed itself is best pinned: tls: Pin(\"sha256:…\") \
    with the fingerprint of /certificate print detail. For Ca, sign one with the host's name or address in \
    subject-alt-name, and an RSA key of 2048 bits or more";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_in_both_usual_forms() {
        // The SHA-256 of nothing.
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

    #[test]
    fn a_ca_file_holds_certificates() {
        for (text, words) in [
            ("", "holds no certificate"),
            ("-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n", "can't be read"),
            ("-----BEGIN CERTIFICATE-----\n", "no PEM file"),
        ] {
            let error = Authorities::from_pem(text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}

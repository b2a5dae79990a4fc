//! HTTPS for the agent's own page: its certificate and key, from two PEM files.
//!
//! [`Https`] is a pair that has been found good.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_rustls::pki_types::pem::{self, PemObject};
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use futures_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use futures_rustls::rustls::crypto::CryptoProvider;
use futures_rustls::rustls::crypto::ring::{default_provider, sign::any_supported_type};
use futures_rustls::rustls::server::ParsedCertificate;
use futures_rustls::rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use futures_rustls::rustls::{CertificateError, Error, RootCertStore, ServerConfig, SignatureAlgorithm};
use ring::digest::{Context, SHA256};

use super::document::{Document, Node};
use super::fields::HTTPS;
use super::fingerprint::{Digest, Fingerprints, is_open_to_all};

/// Longest file taken, in bytes: a chain of ten certificates with the longest RSA keys is a third of it.
const MAX_PEM_FILE: u64 = 64 * 1024;

/// A certificate and its key, as they were in their files when these were read.
#[derive(Clone)]
pub struct Https {
    cert: PathBuf,
    key: PathBuf,
    /// Tells what was in them from what may be in them later.
    digest: Digest,
    key_is_open: bool,
    has_long_rsa_key: bool,
    leaf: CertificateDer<'static>,
    server: Arc<ServerConfig>,
}

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Cert,
    Key,
}

/// What is wrong with one of the files, in words that repeat nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableCertificate {
    part: Part,
    path: PathBuf,
    why: String,
}

impl UnusableCertificate {
    /// The message, with the file by this name.
    fn naming(&self, file: &str) -> String {
        format!("the file {file} {}", self.why)
    }
}

impl fmt::Display for UnusableCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.naming(&self.path.display().to_string()))
    }
}

/// Only where it came from: what it holds never prints.
impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Https({self})")
    }
}

impl fmt::Display for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.cert.display(), self.key.display())
    }
}

/// The same certificate and key, from the same files.
impl PartialEq for Https {
    fn eq(&self, other: &Self) -> bool {
        (&self.cert, &self.key, self.digest, self.key_is_open)
            == (&other.cert, &other.key, other.digest, other.key_is_open)
    }
}

impl Https {
    /// Reads and checks two PEM files: a certificate, with those that it is signed by behind it if
    /// there are any, and its key.
    ///
    /// # Errors
    ///
    /// What is wrong with either, or with both.
    pub fn load(cert: PathBuf, key: PathBuf) -> Result<Self, Vec<UnusableCertificate>> {
        Self::read(cert, key, &mut Fingerprints::default())
    }

    fn read(
        cert: PathBuf,
        key: PathBuf,
        contents: &mut Fingerprints,
    ) -> Result<Self, Vec<UnusableCertificate>> {
        let key_is_open = is_open_to_all(&key);
        let (cert_pem, key_pem) = (contents.read(&cert, MAX_PEM_FILE), contents.read(&key, MAX_PEM_FILE));
        let digest = digest([&cert_pem, &key_pem].map(|pem| pem.as_deref().unwrap_or_default()));
        let unfit = |part, why: String| {
            let path = if part == Part::Cert { &cert } else { &key }.clone();
            UnusableCertificate { part, path, why }
        };
        let chain = cert_pem.and_then(|pem| chain(&pem)).map_err(|why| unfit(Part::Cert, why));
        let signing_key = key_pem.and_then(|pem| signing_key(&pem)).map_err(|why| unfit(Part::Key, why));
        let (chain, signing_key) = match (chain, signing_key) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
        };
        let leaf = chain[0].clone();
        let has_long_rsa_key = is_long_rsa(&*signing_key);
        let certified = CertifiedKey::new(chain, signing_key);
        if certified.keys_match().is_err() {
            let why =
                format!("is not the key of {}; expected that of the first certificate there", cert.display());
            return Err(vec![unfit(Part::Key, why)]);
        }
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| vec![unfit(Part::Cert, format!("can't be served: {error}"))])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        Ok(Self { cert, key, digest, key_is_open, has_long_rsa_key, leaf, server: Arc::new(server) })
    }

    /// TLS 1.2 and 1.3 with this certificate.
    #[must_use]
    pub fn server(&self) -> &ServerConfig {
        &self.server
    }

    /// What should be changed about it, though it is served.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings_by_part().into_iter().map(|(_, warning)| warning).collect()
    }

    fn warnings_by_part(&self) -> Vec<(Part, String)> {
        let open = self.key_is_open.then(|| {
            let key = self.key.display();
            (Part::Key, format!("every user of this machine can read the key {key}: chmod 600 it"))
        });
        let long = self.has_long_rsa_key.then(|| {
            let key = self.key.display();
            let told = "is of RSA with more than 2048 bits, which makes each handshake many times slower";
            (Part::Key, format!("the key {key} {told}; use ECDSA with P-256 instead"))
        });
        let cert = self.cert.display();
        let out_of_date =
            out_of_date(&self.leaf).map(|why| (Part::Cert, format!("the certificate {cert} {why}")));
        open.into_iter().chain(long).chain(out_of_date).collect()
    }
}

/// One digest of two files.
fn digest(files: [&[u8]; 2]) -> Digest {
    let mut context = Context::new(&SHA256);
    for bytes in files {
        context.update(&bytes.len().to_be_bytes());
        context.update(bytes);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Reads `http.tls`.
pub(super) fn read<'f>(reader: &mut Document<'f>, node: Node<'f>) -> Option<Https> {
    const EXPECTED: &str = "the path of a PEM file, in quotes";
    let before = reader.count();
    let fields = reader.fields("tls", node, &HTTPS)?;
    let [Some(cert), Some(key)] = HTTPS.map(|name| fields.get(name)) else {
        if reader.count() == before {
            reader.missing(
                node,
                "tls: cert or key is missing; expected (cert: \"cert.pem\", key: \"key.pem\")",
            );
        }
        return None;
    };
    let cert_path: Option<PathBuf> = reader.value("tls.cert", cert, EXPECTED);
    let key_path: Option<PathBuf> = reader.value("tls.key", key, EXPECTED);
    let (cert_path, key_path) = (cert_path?, key_path?);
    let (cert_file, key_file) = (reader.relative(&cert_path), reader.relative(&key_path));
    let loaded = Https::read(cert_file, key_file, &mut reader.contents);
    for (part, warning) in loaded.iter().flat_map(Https::warnings_by_part) {
        match part {
            Part::Cert => reader.warn(cert, format!("tls.cert: {warning}")),
            Part::Key => reader.warn(key, format!("tls.key: {warning}")),
        }
    }
    let told = |unfits: Vec<UnusableCertificate>| {
        for unfit in unfits {
            let (field, node, text) = match unfit.part {
                Part::Cert => ("cert", cert, &cert_path),
                Part::Key => ("key", key, &key_path),
            };
            let message = |file: &str| format!("tls.{field}: {}", unfit.naming(file));
            reader.problem_with_file(node, (text, &unfit.path), message);
        }
    };
    loaded.map_err(told).ok()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

/// The certificates of a PEM file, at least one, of which the first can be read.
fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    // What the error says repeats what is in the file.
    let chain = chain.map_err(|_| "is no PEM file")?;
    let Some(leaf) = chain.first() else {
        return Err(if PrivateKeyDer::from_pem_slice(pem).is_ok() {
            "holds a key and no certificate; do cert and key stand in each other's place?".into()
        } else {
            "holds no certificate; expected -----BEGIN CERTIFICATE-----".into()
        });
    };
    if ParsedCertificate::try_from(leaf).is_err() {
        return Err("begins with a certificate that can't be read; expected X.509 version 3".into());
    }
    Ok(chain)
}

/// The key of a PEM file.
fn signing_key(pem: &[u8]) -> Result<Arc<dyn SigningKey>, String> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let holds = |words: &str| pem.windows(words.len()).any(|at| at == words.as_bytes());
        match error {
            _ if holds("ENCRYPTED") => {
                "holds an encrypted key; expected it in clear, as openssl pkey -in … -out … writes it"
            }
            pem::Error::NoItemsFound if holds("BEGIN CERTIFICATE") => {
                "holds a certificate and no key; do cert and key stand in each other's place?"
            }
            pem::Error::NoItemsFound => "holds no key; expected -----BEGIN PRIVATE KEY-----",
            _ => "is no PEM file",
        }
    })?;
    any_supported_type(&key).map_err(|_| {
        "holds a key of a kind that is not spoken; expected ECDSA with P-256 or P-384, \
         Ed25519, or RSA of 2048 to 4096 bits"
            .into()
    })
}

/// Whether a key is of RSA with more than 2048 bits. Its public half tells, which grows with them.
fn is_long_rsa(key: &dyn SigningKey) -> bool {
    /// Bytes of a public key of 2048 bits, as X.509 has it; the next usual length has 422.
    const OF_2048_BITS: usize = 294;
    key.algorithm() == SignatureAlgorithm::RSA
        && key.public_key().is_some_and(|public| public.as_ref().len() > OF_2048_BITS + 4)
}

/// What is wrong with a certificate's dates by this machine's clock.
fn out_of_date(leaf: &CertificateDer) -> Option<String> {
    let date = |time: UnixTime| {
        // To the end of year 9999, the range of the format.
        let since = Duration::from_secs(time.as_secs().min(253_402_300_799));
        humantime::format_rfc3339_seconds(UNIX_EPOCH + since)
    };
    let parsed = ParsedCertificate::try_from(leaf).ok()?;
    // Nobody is trusted here, so this fails in any case; the dates come first.
    let nobody = RootCertStore::empty();
    let verified =
        verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], UnixTime::now(), &[]).err()?;
    let Error::InvalidCertificate(why) = verified else { return None };
    match why {
        CertificateError::ExpiredContext { time, not_after } => {
            Some(format!("ended at {}, and it is {} here", date(not_after), date(time)))
        }
        CertificateError::NotValidYetContext { time, not_before } => Some(format!(
            "begins at {}, and it is {} here; is this machine's clock set?",
            date(not_before),
            date(time)
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! HTTPS for the agent's own page: a certificate and its key from two PEM files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::pki_types::pem::{self, PemObject};
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use futures_rustls::rustls::crypto::CryptoProvider;
use futures_rustls::rustls::crypto::ring::{default_provider, sign::any_supported_type};
use futures_rustls::rustls::server::ParsedCertificate;
use futures_rustls::rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use futures_rustls::rustls::{ServerConfig, SignatureAlgorithm};
use ring::digest::{Context, SHA256};

use super::fingerprint::{Digest, Fingerprints, is_open_to_all};
use super::table::Section;
use super::validator::{FieldValue, Validator};
use crate::net::tls::{certificate_ends, date_error, date_problem};

/// Maximum size of a file, in bytes: a chain of ten certificates with the longest RSA keys has a third of it.
const MAX_PEM_FILE: u64 = 64 * 1024;

/// A valid certificate with its key, as their files contained them when they were read.
#[derive(Clone)]
pub struct Https {
    cert: PathBuf,
    key: PathBuf,
    /// The digest of both files.
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

/// A problem of one of the files. The message does not quote the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableCertificate {
    part: Part,
    path: PathBuf,
    why: String,
}

impl fmt::Display for UnusableCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file {} {}", self.path.display(), self.why)
    }
}

/// Shows the paths, never the content.
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
    /// Reads and validates two PEM files: a certificate, followed by its chain if there is one, and its key.
    ///
    /// # Errors
    ///
    /// The problems of either or both.
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
        let problem = |part, why: String| {
            let path = if part == Part::Cert { &cert } else { &key }.clone();
            UnusableCertificate { part, path, why }
        };
        let chain = cert_pem.and_then(|pem| chain(&pem)).map_err(|why| problem(Part::Cert, why));
        let signing_key = key_pem.and_then(|pem| signing_key(&pem)).map_err(|why| problem(Part::Key, why));
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
            return Err(vec![problem(Part::Key, why)]);
        }
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| vec![problem(Part::Cert, format!("can't be served: {error}"))])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        Ok(Self { cert, key, digest, key_is_open, has_long_rsa_key, leaf, server: Arc::new(server) })
    }

    /// TLS 1.2 and 1.3 with this certificate.
    pub fn server(&self) -> &ServerConfig {
        &self.server
    }

    /// When the certificate ends, since the Unix epoch; `None` if its dates can't be read.
    pub fn ends(&self) -> Option<Duration> {
        certificate_ends(&self.leaf)
    }

    /// Problems that do not prevent its use.
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
            let problem = "is of RSA with more than 2048 bits, which makes each handshake many times slower";
            (Part::Key, format!("the key {key} {problem}; use ECDSA with P-256 instead"))
        });
        let cert = self.cert.display();
        let out_of_date = date_error(&self.leaf, UnixTime::now()).and_then(|error| date_problem(&error));
        let out_of_date = out_of_date.map(|why| (Part::Cert, format!("the certificate {cert} {why}")));
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
pub(super) fn read<'f>(check: &mut Validator<'f>, value: FieldValue<'f>) -> Option<Https> {
    let fields = check.structure(Section::Https, "http.tls", value.node)?;
    check.require("http.tls", value.node, &fields, &|_| false);
    check.scoped("tls", |check| {
        let (cert, key) = (fields.get("cert"), fields.get("key"));
        let [cert_path, key_path] = [cert, key].map(|value| value.and_then(|value| check.text_of(value)));
        let (cert, key, cert_path, key_path) = (cert?, key?, cert_path?, key_path?);
        let [cert_file, key_file] =
            [&cert_path, &key_path].map(|path| check.document.relative(Path::new(path)));
        let loaded = Https::read(cert_file, key_file, &mut check.document.fingerprints);
        for (part, warning) in loaded.iter().flat_map(Https::warnings_by_part) {
            check.warn(if part == Part::Cert { cert } else { key }, &warning);
        }
        let report = |problems: Vec<UnusableCertificate>| {
            for problem in problems {
                let (value, text) = match problem.part {
                    Part::Cert => (cert, &cert_path),
                    Part::Key => (key, &key_path),
                };
                check.report_file(value, (text, &problem.path), "the file", &problem.why);
            }
        };
        loaded.map_err(report).ok()
    })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

/// The certificates of a PEM file: at least one, and the first one is readable.
fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    // The error itself would repeat the content of the file.
    let chain = chain.map_err(|_| "is not a PEM file")?;
    let Some(leaf) = chain.first() else {
        return Err(if PrivateKeyDer::from_pem_slice(pem).is_ok() {
            "holds a key and no certificate; are cert and key swapped?".into()
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
                "holds a certificate and no key; are cert and key swapped?"
            }
            pem::Error::NoItemsFound => "holds no key; expected -----BEGIN PRIVATE KEY-----",
            _ => "is not a PEM file",
        }
    })?;
    any_supported_type(&key).map_err(|_| {
        "holds a key of a kind that is not supported; expected ECDSA with P-256 or P-384, \
         Ed25519, or RSA of 2048 to 4096 bits"
            .into()
    })
}

/// Whether a key is of RSA with more than 2048 bits, by the length of its public half.
fn is_long_rsa(key: &dyn SigningKey) -> bool {
    /// Bytes of a public key of 2048 bits, as X.509 has it; the next usual length has 422.
    const OF_2048_BITS: usize = 294;
    key.algorithm() == SignatureAlgorithm::RSA
        && key.public_key().is_some_and(|public| public.as_ref().len() > OF_2048_BITS + 4)
}

#[cfg(test)]
mod tests;

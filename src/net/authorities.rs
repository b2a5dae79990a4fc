//! Certificate authorities that a TLS client trusts: from a PEM file, from the system, or built in.

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, Der, TrustAnchor};
use futures_rustls::rustls::{self, RootCertStore};

/// Where systems keep the authorities that they trust, as one PEM file: Debian and Alpine; Fedora; openSUSE; and others.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The variable of OpenSSL that names another file.
const SYSTEM_VARIABLE: &str = "SSL_CERT_FILE";

/// Maximum size of the system's file, in bytes. Debian's has 220 KB.
const MAX_SYSTEM_FILE: u64 = 4 << 20;

/// The subject and the public key of each built-in authority, in DER, as they are in its root certificate. These are
/// those that the services for messages use, and the second one of each authority that has an RSA and an EC root.
const BUILT_IN: [(&[u8], &[u8]); 8] = [
    // Telegram.
    (include_bytes!("roots/go-daddy-g2.subject"), include_bytes!("roots/go-daddy-g2.key")),
    // ntfy.sh: Let's Encrypt.
    (include_bytes!("roots/isrg-x1.subject"), include_bytes!("roots/isrg-x1.key")),
    (include_bytes!("roots/isrg-x2.subject"), include_bytes!("roots/isrg-x2.key")),
    // Discord: Google Trust Services.
    (include_bytes!("roots/gts-r1.subject"), include_bytes!("roots/gts-r1.key")),
    (include_bytes!("roots/gts-r4.subject"), include_bytes!("roots/gts-r4.key")),
    // Slack.
    (include_bytes!("roots/digicert-g2.subject"), include_bytes!("roots/digicert-g2.key")),
    (include_bytes!("roots/digicert-g3.subject"), include_bytes!("roots/digicert-g3.key")),
    (include_bytes!("roots/amazon-1.subject"), include_bytes!("roots/amazon-1.key")),
];

/// Certificates of certificate authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities(Vec<TrustAnchor<'static>>);

impl Authorities {
    /// Reads a PEM file's text, which holds at least one certificate.
    ///
    /// # Errors
    ///
    /// The problem of the file, as a message.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let certificates = certificates.map_err(|error| format!("is not a PEM file: {error}"))?;
        if certificates.is_empty() {
            return Err("holds no certificate; expected -----BEGIN CERTIFICATE-----".into());
        }
        let mut roots = RootCertStore::empty();
        let added: Result<(), rustls::Error> =
            certificates.into_iter().try_for_each(|certificate| roots.add(certificate));
        added.map_err(|error| format!("holds a certificate that can't be read: {error}"))?;
        Ok(Self(roots.roots))
    }

    /// The authorities of the services for messages.
    pub fn built_in() -> Self {
        let anchor = |(subject, key): (&'static [u8], &'static [u8])| TrustAnchor {
            subject: Der::from_slice(subject),
            subject_public_key_info: Der::from_slice(key),
            name_constraints: None,
        };
        Self(BUILT_IN.map(anchor).to_vec())
    }

    /// The authorities that the system trusts. It reads a file, so it blocks.
    ///
    /// # Errors
    ///
    /// The file that can't be read, or where files were searched for.
    pub fn of_system() -> Result<Self, String> {
        let named = env::var_os(SYSTEM_VARIABLE).map(PathBuf::from);
        let usual = || SYSTEM_FILES.into_iter().map(PathBuf::from).find(|path| path.exists());
        let path = named.or_else(usual).ok_or_else(|| {
            format!(
                "this machine has no list of certificate authorities: none of {}",
                SYSTEM_FILES.join(", ")
            )
        })?;
        let bytes = read(&path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        let mut roots = RootCertStore::empty();
        // The file may have old certificates that can't be read. The others count.
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bytes).flatten());
        if roots.is_empty() {
            return Err(format!("{} holds no certificate", path.display()));
        }
        Ok(Self(roots.roots))
    }

    /// These and other authorities.
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    pub(super) fn roots(&self) -> RootCertStore {
        RootCertStore { roots: self.0.clone() }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SYSTEM_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_holds_certificates() {
        for (text, words) in [
            ("", "holds no certificate"),
            ("-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n", "can't be read"),
            ("-----BEGIN CERTIFICATE-----\n", "not a PEM file"),
        ] {
            let error = Authorities::from_pem(text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }

    #[test]
    #[ignore = "needs the package ca-certificates"]
    fn built_in_authorities_are_those_of_the_system() {
        let system = Authorities::of_system().unwrap();
        for anchor in Authorities::built_in().0 {
            assert!(system.0.contains(&anchor), "expected {anchor:?} in the system's list");
        }
    }
}

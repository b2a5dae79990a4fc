//! Which certificate of an HTTPS server is trusted.

use super::error::{Cause, Error};
use super::tls::{Authorities, Fingerprint, Tls};
use super::url::HttpUrl;

/// Domains of the services whose authorities are built in, because a router or a minimal container has no list of
/// authorities.
const BUILT_IN_FOR: [&str; 6] =
    ["telegram.org", "ntfy.sh", "slack.com", "discord.com", "discordapp.com", "slack-gov.com"];

/// Which certificate is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// One of the system's authorities. For some services, also the built-in ones.
    #[default]
    Automatic,
    /// One of the system's authorities.
    System,
    /// One of these authorities.
    Ca(Authorities),
    /// This certificate.
    Pin(Fingerprint),
}

impl Trust {
    /// How the connection to a URL is secured.
    ///
    /// # Errors
    ///
    /// If the system's authorities are needed, and it has none.
    pub async fn tls_for(&self, url: &HttpUrl) -> Result<Tls, Error> {
        if !url.is_https {
            return Ok(Tls::Off);
        }
        let authorities = match self {
            Self::Pin(fingerprint) => return Ok(Tls::Pin(*fingerprint)),
            Self::Ca(authorities) => authorities.clone(),
            Self::Automatic if has_built_in(&url.host) => {
                // The service may have changed its authority since this version.
                let system = smol::unblock(Authorities::of_system).await.ok();
                system.into_iter().fold(Authorities::built_in(), Authorities::and)
            }
            Self::Automatic | Self::System => {
                smol::unblock(Authorities::of_system).await.map_err(|error| {
                    let message = format!(
                        "{error}; install the package ca-certificates, or set `ca` to a PEM file or the \
                     certificate's fingerprint"
                    );
                    Error::new(Cause::Certificate, message)
                })?
            }
        };
        Ok(Tls::Ca(authorities))
    }
}

fn has_built_in(host: &str) -> bool {
    let is_in =
        |domain| host.strip_suffix(domain).is_some_and(|rest: &str| rest.is_empty() || rest.ends_with('.'));
    BUILT_IN_FOR.into_iter().any(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_built_in_for_some_services() {
        for (host, expected) in [
            ("api.telegram.org", true),
            ("ntfy.sh", true),
            ("hooks.slack.com", true),
            ("discord.com", true),
            ("myntfy.sh", false),
            ("ntfy.sh.example", false),
        ] {
            assert_eq!(has_built_in(host), expected, "{host}");
        }
    }

    #[test]
    fn http_needs_no_certificate() {
        let url = HttpUrl::parse("http://ntfy.sh/").unwrap();
        for trust in [Trust::Automatic, Trust::System, Trust::Ca(Authorities::built_in())] {
            assert_eq!(smol::block_on(trust.tls_for(&url)), Ok(Tls::Off));
        }
    }
}

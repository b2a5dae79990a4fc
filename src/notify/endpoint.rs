//! A URL that requests are sent to: sends one, and shows the response without secrets.

use std::cmp::Reverse;
use std::time::Duration;

use crate::config::{Secret, ServerTrust};
use crate::net::http_client::{HttpClient, HttpClientError, HttpRequest, HttpResponse};
use crate::net::trust::Trust;
use crate::net::url::HttpUrl;
use crate::text::visible;

/// Longest part of a server's response that is shown, in characters.
const MAX_SHOWN: usize = 200;

/// Shortest part of a URL that is redacted, in bytes: it may be a token. `api` and `webhooks` are none.
const MIN_TOKEN_PART: usize = 10;

/// Replaces a secret that a server repeats.
const REDACTED: &str = "…";

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server has accepted it, with this status.
    Delivered(String),
    /// The server refuses this request, or all of them.
    Refused(String),
    /// A later attempt may succeed.
    Failed {
        /// Why.
        error: String,
        /// Whether it fails until somebody changes something, such as a wrong token.
        is_permanent: bool,
        /// The time that the server asks to wait.
        retry_after: Duration,
    },
}

impl Outcome {
    /// The status, or the error.
    pub(super) fn into_result(self) -> Result<String, String> {
        match self {
            Self::Delivered(status) => Ok(status),
            Self::Refused(error) | Self::Failed { error, .. } => Err(error),
        }
    }
}

/// The error in the body of a response, and the seconds to wait, as a service describes them.
pub(super) type ErrorReader = fn(&str) -> Option<(String, Option<f64>)>;

/// A URL, and what must not be shown of the requests to it.
#[derive(Clone)]
pub(super) struct Endpoint {
    url: HttpUrl,
    trust: Trust,
    /// Texts that must not be shown if the server repeats them.
    secrets: Vec<String>,
}

impl Endpoint {
    /// Prepares an endpoint. Besides the URL, the `secrets` are redacted.
    pub(super) fn new(url: HttpUrl, trust: &ServerTrust, secrets: &[&Secret]) -> Self {
        let trust = match trust {
            ServerTrust::BuiltIn => Trust::Automatic,
            ServerTrust::System => Trust::System,
            ServerTrust::Ca(authorities) => Trust::Ca(authorities.clone()),
            ServerTrust::Pin(fingerprint) => Trust::Pin(*fingerprint),
        };
        let parts = url.target.split(['/', '?', '&', '=']).filter(|part| part.len() >= MIN_TOKEN_PART);
        let login = url.login.iter().flat_map(|login| login.split(':'));
        let exposed = secrets.iter().map(|secret| secret.expose());
        let mut secrets: Vec<String> = parts.chain(login).chain(exposed).map(Into::into).collect();
        secrets.retain(|secret| !secret.is_empty());
        // The longest first: it may contain another one.
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        Self { url, trust, secrets }
    }

    /// Sends a request.
    pub(super) async fn send(
        &self,
        client: &HttpClient,
        method: &'static str,
        (fields, body): (Vec<(String, String)>, Vec<u8>),
        read_error: ErrorReader,
    ) -> Outcome {
        let request = HttpRequest { method, url: self.url.clone(), trust: self.trust.clone(), fields, body };
        match client.send(&request).await {
            Ok(response) => self.outcome(&response, read_error),
            Err(error) => Outcome::Failed {
                error: self.shown(&error.to_string(), usize::MAX),
                is_permanent: matches!(error, HttpClientError::Redirect { .. }),
                retry_after: Duration::ZERO,
            },
        }
    }

    fn outcome(&self, response: &HttpResponse, read_error: ErrorReader) -> Outcome {
        let status = self.shown(&format!("{} {}", response.status, response.reason), MAX_SHOWN);
        if response.is_success() {
            return Outcome::Delivered(status);
        }
        let (body, seconds) = read_error(&response.body).unwrap_or_else(|| (response.body.clone(), None));
        let body = self.shown(&body, MAX_SHOWN);
        let error = if body.is_empty() { status } else { format!("{status}: {body}") };
        let asked = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        match response.status {
            // The message is invalid or too long for the server, or something of the channel is.
            400 | 413 | 422 => Outcome::Refused(error),
            status => Outcome::Failed {
                error,
                is_permanent: (400..500).contains(&status) && !matches!(status, 408 | 425 | 429),
                retry_after: asked.or(response.retry_after).unwrap_or_default(),
            },
        }
    }

    /// A text of the server on one line, without secrets and control characters, and truncated.
    fn shown(&self, text: &str, max: usize) -> String {
        let redacted =
            self.secrets.iter().fold(text.to_string(), |text, secret| text.replace(secret, REDACTED));
        let line = redacted.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut characters = line.chars().map(visible);
        let mut shown: String = characters.by_ref().take(max).collect();
        if characters.next().is_some() {
            shown.push('…');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        let secret = Secret::new("s3cret".into());
        Endpoint::new(HttpUrl::parse(url).unwrap(), &ServerTrust::BuiltIn, &[&secret])
    }

    fn outcome(status: u16, body: &str, retry_after: Option<u64>) -> Outcome {
        let retry_after = retry_after.map(Duration::from_secs);
        let (reason, body) = ("Why".into(), body.into());
        let response = HttpResponse { status, reason, retry_after, location: None, body };
        endpoint("http://a/").outcome(&response, |_| None)
    }

    #[test]
    fn outcomes_depend_on_the_status() {
        let failed = |error: &str, is_permanent, seconds| Outcome::Failed {
            error: error.into(),
            is_permanent,
            retry_after: Duration::from_secs(seconds),
        };
        for (status, body, retry_after, expected) in [
            (200, "", None, Outcome::Delivered("200 Why".into())),
            (204, "", None, Outcome::Delivered("204 Why".into())),
            (400, "bad", None, Outcome::Refused("400 Why: bad".into())),
            (413, "", None, Outcome::Refused("413 Why".into())),
            (401, "no", None, failed("401 Why: no", true, 0)),
            (404, "", None, failed("404 Why", true, 0)),
            (429, "slow", Some(7), failed("429 Why: slow", false, 7)),
            (500, " a\r\n\tb\u{1b}[2J ", None, failed("500 Why: a b\u{fffd}[2J", false, 0)),
            (503, "", Some(9), failed("503 Why", false, 9)),
        ] {
            assert_eq!(outcome(status, body, retry_after), expected);
        }
        let long = outcome(500, &"é".repeat(5000), None).into_result().unwrap_err();
        assert_eq!(long.chars().count(), "500 Why: ".len() + MAX_SHOWN + 1);
    }

    #[test]
    fn secrets_that_a_server_repeats_are_redacted() {
        let endpoint = endpoint("https://ada:pa%40ss@a/services/T000/B000/abcdefghijkl?key=mnopqrstuvwx");
        for text in [
            "no service /services/T000/B000/abcdefghijkl",
            "key mnopqrstuvwx",
            "for ada",
            "pa@ss",
            "X-Key: s3cret",
        ] {
            let shown = endpoint.shown(text, MAX_SHOWN);
            for secret in ["abcdefghijkl", "mnopqrstuvwx", "ada", "pa@ss", "s3cret"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
}

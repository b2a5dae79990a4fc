//! The errors of authorization, as texts for programs and for people.

use std::time::Duration;

use crate::config::MIN_TOKEN;
use crate::http::message::{Response, problem};

/// The reason why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum AccessError {
    /// It needs the admin's token, and none is configured.
    AdminDisabled,
    /// It needs a token and has none.
    MissingToken,
    /// The token is wrong. The response is delayed by this time.
    WrongToken(Duration),
    /// It needs the admin's token, and a viewer's was sent.
    AdminRequired,
    /// Too many wrong tokens came from its address. For this time, further wrong ones are refused, and short ones are not
    /// checked.
    TooManyAttempts(Duration),
}

impl AccessError {
    pub(super) fn status(self) -> u16 {
        match self {
            Self::AdminDisabled | Self::AdminRequired => 403,
            Self::MissingToken | Self::WrongToken(_) => 401,
            Self::TooManyAttempts(_) => 429,
        }
    }

    pub(super) fn delay(self) -> Duration {
        if let Self::WrongToken(delay) = self { delay } else { Duration::ZERO }
    }

    /// The response for a program.
    pub(in crate::http) fn problem(self) -> Response {
        let advice = match self {
            Self::AdminDisabled => {
                " To enable them, set the admin's token in sites.ron: http: (admin: Token(Env(\"PHSWEB_ADMIN_TOKEN\")))"
            }
            Self::MissingToken | Self::WrongToken(_) => " Send a token as Authorization: Bearer TOKEN.",
            Self::AdminRequired | Self::TooManyAttempts(_) => "",
        };
        self.with_fields(problem(self.status(), &(self.notice() + advice)))
    }

    /// The message, which is also shown above the login form.
    pub(super) fn notice(self) -> String {
        match self {
            Self::AdminDisabled => "Personal details and actions are disabled.".into(),
            Self::MissingToken => "This needs a token.".into(),
            Self::WrongToken(_) => "This token is wrong. Check that it was copied completely.".into(),
            Self::AdminRequired => "This needs the admin's token. Yours is a viewer's.".into(),
            Self::TooManyAttempts(wait) => {
                let seconds = whole_seconds(wait);
                let unit = if seconds == 1 { "second" } else { "seconds" };
                format!(
                    "Too many wrong tokens were sent. Try again in {seconds} {unit}. A correct token of at least \
                     {MIN_TOKEN} characters is accepted at any time."
                )
            }
        }
    }

    /// Adds the header field of the status: `WWW-Authenticate` to 401 (RFC 9110, 11.6.1), `Retry-After` to 429 (RFC 6585, 4).
    pub(super) fn with_fields(self, response: Response) -> Response {
        match self {
            Self::AdminDisabled | Self::AdminRequired => response,
            Self::MissingToken | Self::WrongToken(_) => response.with("WWW-Authenticate", "Bearer"),
            Self::TooManyAttempts(wait) => response.with("Retry-After", whole_seconds(wait).to_string()),
        }
    }
}

/// Rounded up, so that a client that retries after this time does not have to wait again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        for (wait_ms, seconds) in [(1, "1"), (1000, "1"), (1001, "2"), (60_000, "60")] {
            let error = AccessError::TooManyAttempts(Duration::from_millis(wait_ms));
            let response = error.problem();
            assert_eq!(response.headers, [("Retry-After", seconds.to_string())], "{wait_ms} ms");
            assert!(error.notice().contains(&format!(" {seconds} second")), "{}", error.notice());
        }
    }
}

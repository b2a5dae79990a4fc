//! Why a request may not have what it asks for, in words for programs and for people.

use std::time::Duration;

use crate::config::MIN_TOKEN;
use crate::http::message::{Response, problem};

/// Why a request may not have what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum AccessError {
    /// It is the admin's, and there is none.
    AdminDisabled,
    /// It needs a token, and none came.
    MissingToken,
    /// It needs a token, and the one that came is none.
    WrongToken,
    /// It needs the admin's token, and a viewer's came.
    AdminRequired,
    /// No further wrong token is answered for so long.
    TooManyAttempts(Duration),
}

impl AccessError {
    pub(super) fn status(self) -> u16 {
        match self {
            Self::AdminDisabled | Self::AdminRequired => 403,
            Self::MissingToken | Self::WrongToken => 401,
            Self::TooManyAttempts(_) => 429,
        }
    }

    /// For a program.
    pub(in crate::http) fn problem(self) -> Response {
        const SEND: &str = "Send one as Authorization: Bearer TOKEN.";
        let (title, detail) = match self {
            Self::AdminDisabled => (
                "Off",
                "Details of people and actions are off. To turn them on, give the admin a token in \
                 sites.ron: http: (admin: Token(Env(\"PHSWEB_ADMIN_TOKEN\")))"
                    .into(),
            ),
            Self::MissingToken => ("Unauthorized", format!("This needs a token. {SEND}")),
            Self::WrongToken => {
                ("Unauthorized", format!("This needs a token, and the one sent is wrong. {SEND}"))
            }
            Self::AdminRequired => {
                ("Forbidden", "This needs the admin's token; the token sent is a viewer's.".into())
            }
            Self::TooManyAttempts(wait) => ("Too Many Requests", too_many(wait)),
        };
        self.with_fields(problem(self.status(), title, &detail))
    }

    /// For a person, above the form that takes a token.
    pub(super) fn notice(self) -> String {
        match self {
            Self::AdminDisabled => "Details of people and actions are off.".into(),
            Self::MissingToken => "This page needs a token.".into(),
            Self::WrongToken => "This token is wrong. Check that the whole of it was copied.".into(),
            Self::AdminRequired => "This page needs the admin's token; yours is a viewer's.".into(),
            Self::TooManyAttempts(wait) => too_many(wait),
        }
    }

    /// The same with the header fields that its status asks for.
    pub(super) fn with_fields(self, response: Response) -> Response {
        match self {
            Self::AdminDisabled | Self::AdminRequired => response,
            Self::MissingToken | Self::WrongToken => response.with("WWW-Authenticate", "Bearer"),
            Self::TooManyAttempts(wait) => response.with("Retry-After", whole_seconds(wait).to_string()),
        }
    }
}

fn too_many(wait: Duration) -> String {
    let seconds = whole_seconds(wait);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    format!(
        "Too many wrong tokens were sent: try again in {seconds} {unit}. A correct one of at least {MIN_TOKEN} characters is \
         accepted at any time."
    )
}

/// Rounded up: who comes back then need not wait again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds() {
        for (wait_ms, seconds) in [(1, "1"), (1000, "1"), (1001, "2"), (60_000, "60")] {
            let refusal = AccessError::TooManyAttempts(Duration::from_millis(wait_ms));
            let answer = refusal.problem();
            assert_eq!(answer.headers, [("Retry-After", seconds.to_string())], "{wait_ms} ms");
            assert!(refusal.notice().contains(&format!(" {seconds} second")), "{}", refusal.notice());
        }
    }
}

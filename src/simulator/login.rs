//! The API's `/login`: with a plain password, and with a challenge before RouterOS 6.43.

use super::reply::TrapReply;
use super::settings::{Login, Policies};
use super::state::State;
use crate::routeros::wire::Sentence;
use crate::text::hex;

/// The number of refused logins at which RouterOS closes a connection.
const MAX_REFUSED: u8 = 5;

/// The login attempts of one connection.
#[derive(Debug, Default)]
pub(super) struct LoginState {
    refused: u8,
    challenge: Option<[u8; 16]>,
}

/// The result of a `/login`.
pub(super) enum LoginOutcome {
    /// The user's name and policies.
    Accepted(String, Policies),
    /// The challenge in hex, which a second `/login` has to answer.
    Challenge(String),
    Refused(TrapReply),
    /// Refused for the last time: the connection is closed.
    TooManyAttempts,
}

impl LoginState {
    /// Handles a `/login`. Every version answers a bare one with a challenge. Versions before 6.43 accept
    /// only the response to it, later versions only the password.
    pub(super) fn handle(&mut self, command: &Sentence, state: &mut State) -> LoginOutcome {
        let by_challenge = state.settings.version.logs_in_by_challenge();
        let (password, response) = (command.get("password"), command.get("response"));
        if response.is_none() && (by_challenge || password.is_none()) {
            let challenge = std::array::from_fn(|_| state.rng.u8(..));
            self.challenge = Some(challenge);
            return LoginOutcome::Challenge(hex(&challenge));
        }
        let name = command.get("name").unwrap_or_default();
        let challenge = self.challenge.take();
        let is_authentic = |login: &&Login| match (by_challenge, challenge) {
            (true, Some(challenge)) => {
                response == Some(challenge_response(&login.password, &challenge).as_bytes())
            }
            (true, None) => false,
            (false, _) => password == Some(login.password.as_slice()),
        };
        let login = state.settings.logins.iter().find(|login| login.name == name).filter(is_authentic);
        if let Some(login) = login.filter(|login| login.policies.api && !state.refuses_logins()) {
            return LoginOutcome::Accepted(String::from_utf8_lossy(&login.name).into_owned(), login.policies);
        }
        self.refused += 1;
        if self.refused >= MAX_REFUSED {
            return LoginOutcome::TooManyAttempts;
        }
        let message = if by_challenge { "cannot log in" } else { "invalid user name or password (6)" };
        LoginOutcome::Refused(TrapReply::new(message))
    }
}

/// The response to a challenge: `00` and the MD5 of a zero byte, the password and the challenge.
fn challenge_response(password: &[u8], challenge: &[u8]) -> String {
    let hashed = md5::compute([&[0], password, challenge].concat());
    format!("00{hashed:x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A known pair of challenge and response, from a client library's tests.
    #[test]
    fn challenge_response_is_as_documented() {
        assert_eq!(
            challenge_response(b"passTest", &[0xAB, 0xC1, 0x23]),
            "0021277bff9ac7caf06aa608e46616d47f"
        );
    }
}

//! Who may come in: the plain login, and the one by challenge before 6.43.

use std::net::{IpAddr, SocketAddr};

use super::menus::{ADMINISTRATOR, SERVICE, api};
use super::reply::Trap;
use super::row::{Row, Value, unix_s};
use super::settings::{Login, Policies};
use super::state::State;
use crate::routeros::wire::Sentence;

/// Refused logins of one connection at which RouterOS ends it.
const MAX_REFUSED: u8 = 5;

/// Administrators who are logged in without the API: name, address, how, and since how many seconds.
const ADMINISTRATORS: [(&str, &str, &str, u64); 2] =
    [("admin", "192.168.88.10", "winbox", 5400), ("admin", "192.168.88.11", "ssh", 260)];

/// The logins of one connection so far.
#[derive(Debug, Default)]
pub(super) struct LoginState {
    refused: u8,
    challenge: Option<[u8; 16]>,
}

/// What came of a `/login`.
pub(super) enum LoginOutcome {
    /// The name, and what it may do.
    Accepted(String, Policies),
    /// The challenge in hex, to be answered by a second `/login`.
    Challenge(String),
    Refused(Trap),
    /// Refused, and once too often.
    TooOften,
}

impl LoginState {
    /// Answers a `/login`. A bare one gets a challenge from every version, but only those before
    /// 6.43 accept the answer to it, and those accept nothing else.
    pub(super) fn ask(&mut self, asked: &Sentence, state: &mut State) -> LoginOutcome {
        let by_challenge = state.settings.version.logs_in_by_challenge();
        let (password, response) = (asked.get("password"), asked.get("response"));
        if response.is_none() && (by_challenge || password.is_none()) {
            let challenge = std::array::from_fn(|_| state.rng.u8(..));
            self.challenge = Some(challenge);
            return LoginOutcome::Challenge(hex(&challenge));
        }
        let name = asked.get("name").unwrap_or_default();
        let challenge = self.challenge.take();
        let knows = |login: &&Login| match (by_challenge, challenge) {
            (true, Some(challenge)) => response == Some(answer(&login.password, &challenge).as_bytes()),
            (true, None) => false,
            (false, _) => password == Some(login.password.as_slice()),
        };
        let login = state.settings.logins.iter().find(|login| login.name == name);
        let may = |login: &&Login| login.policies.api && !state.refuses_logins();
        if let Some(login) = login.filter(knows).filter(may) {
            return LoginOutcome::Accepted(String::from_utf8_lossy(&login.name).into_owned(), login.policies);
        }
        self.refused += 1;
        if self.refused >= MAX_REFUSED {
            return LoginOutcome::TooOften;
        }
        let message = if by_challenge { "cannot log in" } else { "invalid user name or password (6)" };
        LoginOutcome::Refused(Trap::new(message))
    }
}

impl State {
    /// Counts a login and lists its session in `/user/active`, in place of the one the connection
    /// had before; its `.id` there.
    pub(super) fn list_session(
        &mut self,
        before: Option<String>,
        name: &str,
        policies: Policies,
        from: IpAddr,
    ) -> Option<String> {
        self.unlist_session(before);
        self.counters.logins += 1;
        self.log("system,info,account", &format!("user {name} logged in from {from} via api"));
        let group = if policies == Policies::ALL { "full" } else { "read" };
        self.list(name, &from.to_string(), "api", group, unix_s())
    }

    /// Lists an open connection in `/ip/service`, where the version does so; its `.id` there.
    pub(super) fn list_connection(&mut self, peer: SocketAddr) -> Option<String> {
        if !self.settings.version.lists_connections() {
            return None;
        }
        let (name, port) = api(self.settings.tls);
        let row = Row::new()
            .with("name", name)
            .with("port", port)
            .with("remote", peer.to_string())
            .with("connection", "")
            .with("disabled", false)
            .with("dynamic", true);
        self.insert(SERVICE, row).ok()
    }

    /// The administrators who are there when it begins.
    pub(super) fn welcome_administrators(&mut self) {
        for (name, from, via, ago) in ADMINISTRATORS {
            self.list(name, from, via, "full", unix_s().saturating_sub(ago.min(self.up().as_secs())));
        }
    }

    fn list(&mut self, name: &str, from: &str, via: &str, group: &str, when: u64) -> Option<String> {
        let row = Row::new()
            .with("when", Value::Date(when))
            .with("name", name)
            .with("address", from)
            .with("via", via)
            .with("group", group)
            .with("radius", false);
        self.insert(ADMINISTRATOR, row).ok()
    }

    /// Takes a session out of `/user/active`.
    pub(super) fn unlist_session(&mut self, listed: Option<String>) {
        if let Some(row) = listed.and_then(|id| self.remove(ADMINISTRATOR, &id)) {
            let text = |key| String::from_utf8_lossy(row.text(key)).into_owned();
            let (name, from) = (text("name"), text("address"));
            self.log("system,info,account", &format!("user {name} logged out from {from} via api"));
        }
    }
}

/// The answer to a challenge: `00` and the MD5 of a zero byte, the password and the challenge.
fn answer(password: &[u8], challenge: &[u8]) -> String {
    let hashed = md5::compute([&[0], password, challenge].concat());
    format!("00{hashed:x}")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A known pair of challenge and response, from a client library's tests.
    #[test]
    fn a_challenge_is_answered_as_documented() {
        assert_eq!(answer(b"passTest", &[0xAB, 0xC1, 0x23]), "0021277bff9ac7caf06aa608e46616d47f");
    }
}

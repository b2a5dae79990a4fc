//! One login session, and its record on disk.
//!
//! Neither the table of sessions nor the disk has what a cookie contains. A session is found by a hash of its id, and
//! proves its token by an HMAC whose key is the id. So without the cookie, a copy of the file opens no session and reveals
//! nothing about the token.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ring::{digest, hmac};

use super::role::Role;
use crate::clock::{Clock, Moment};
use crate::config::Secret;

/// How far in the future a stored date may be: a clock that was set back an hour. Later ones are not accepted, because the
/// age of the session is unknown.
const CLOCK_SLACK: Duration = Duration::from_secs(2 * 3600);

/// The hash of an id.
pub(super) type SessionKey = [u8; 16];

/// One login session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoginSession {
    /// The HMAC of the token that was sent to log in. Its role is looked up at each use, so the session ends with its
    /// token.
    proof: [u8; 32],
    /// The role at the login.
    pub(super) role: Role,
    /// The network of the login.
    pub(super) from: IpAddr,
    pub(super) begun: Moment,
    pub(super) used: Moment,
    /// `used` as it is on disk; `None` if the session is not there.
    pub(super) saved: Option<Moment>,
    /// `used` as it is in a record that is being written.
    pub(super) offered: Option<Moment>,
}

/// The key of the session with this id.
pub(super) fn key(id: &str) -> SessionKey {
    let digest = digest::digest(&digest::SHA256, format!("session {id}").as_bytes());
    std::array::from_fn(|at| digest.as_ref()[at])
}

fn hmac_key(id: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, id.as_bytes())
}

impl LoginSession {
    /// A session with this id that begins now.
    pub(super) fn new(id: &str, token: &Secret, role: Role, from: IpAddr, now: Moment) -> Self {
        let tag = hmac::sign(&hmac_key(id), token.expose().as_bytes());
        let proof = std::array::from_fn(|at| tag.as_ref()[at]);
        Self { proof, role, from, begun: now, used: now, saved: None, offered: None }
    }

    /// Whether it began with this token. The comparison takes constant time.
    pub(super) fn has_token(&self, id: &str, token: &Secret) -> bool {
        hmac::verify(&hmac_key(id), token.expose().as_bytes(), &self.proof).is_ok()
    }
}

/// The record of an open session, or of one that has ended.
pub(super) fn encode(key: &SessionKey, session: Option<&LoginSession>, clock: Clock) -> Vec<u8> {
    let mut record = key.to_vec();
    if let Some(LoginSession { proof, role, from, begun, used, .. }) = session {
        let from = match from {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => *v6,
        };
        record.extend(proof);
        record.push(u8::from(*role == Role::Admin));
        record.extend(from.octets());
        for moment in [*begun, *used] {
            record.extend(clock.unix(moment).as_secs().to_le_bytes());
        }
    }
    record
}

/// The session of a record, `None` if it has ended or its age is unknown.
pub(super) fn decode(record: &[u8], clock: Clock, now: Moment) -> Option<(SessionKey, Option<LoginSession>)> {
    let (key, rest) = record.split_first_chunk()?;
    if rest.is_empty() {
        return Some((*key, None));
    }
    let (proof, rest) = rest.split_first_chunk()?;
    let ([is_admin], rest) = rest.split_first_chunk()?;
    let (from, rest) = rest.split_first_chunk::<16>()?;
    let (begun, rest) = rest.split_first_chunk()?;
    let used = rest.try_into().ok()?;
    let role = [Role::Viewer, Role::Admin].get(usize::from(*is_admin))?;
    let moment = |seconds: [u8; 8]| {
        let (at, now_unix) = (Duration::from_secs(u64::from_le_bytes(seconds)), clock.unix(now));
        let is_known = at <= now_unix + CLOCK_SLACK;
        is_known.then(|| now.before(now_unix.saturating_sub(at)))
    };
    let session = moment(*begun).zip(moment(used)).map(|(begun, used)| LoginSession {
        proof: *proof,
        role: *role,
        from: Ipv6Addr::from(*from).to_canonical(),
        begun,
        used,
        saved: Some(used),
        offered: None,
    });
    Some((*key, session))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(now: Moment) -> LoginSession {
        LoginSession::new("id", &Secret::new("token".into()), Role::Admin, [192, 0, 2, 1].into(), now)
    }

    #[test]
    fn a_record_has_the_session_but_neither_its_id_nor_its_token() {
        let (clock, now) = (Clock::system(), Moment::now());
        let then = now.before(Duration::from_secs(90));
        for (from, role) in [("192.0.2.1", Role::Admin), ("2001:db8::", Role::Viewer)] {
            let mut session = LoginSession { from: from.parse().unwrap(), role, ..session(then) };
            session.used = now;
            let record = encode(&key("id"), Some(&session), clock);
            let (its_key, read) = decode(&record, clock, now).unwrap();
            let read = read.unwrap();
            assert_eq!((its_key, read.role, read.from), (key("id"), role, session.from));
            assert!(
                read.begun.apart(then) < Duration::from_secs(2)
                    && read.used.apart(now) < Duration::from_secs(2)
            );
            let token = |text: &str| Secret::new(text.into());
            assert!(read.has_token("id", &token("token")));
            assert!(!read.has_token("id", &token("other")) && !read.has_token("other", &token("token")));
            assert!(
                ![&b"id"[..], b"token"].iter().any(|part| record.windows(part.len()).any(|at| at == *part))
            );
            for length in 0..record.len() {
                let cut = decode(&record[..length], clock, now);
                assert_eq!(cut.map(|(_, session)| session), (length == 16).then_some(None), "{length}");
            }
        }
        assert_eq!(decode(&encode(&key("id"), None, clock), clock, now), Some((key("id"), None)));
    }

    #[test]
    fn a_session_from_the_future_is_not_opened_because_its_age_is_unknown() {
        let (clock, now) = (Clock::system(), Moment::now());
        for (ahead, is_open) in [(Duration::ZERO, true), (CLOCK_SLACK / 2, true), (2 * CLOCK_SLACK, false)] {
            let record = encode(&key("id"), Some(&session(now.after(ahead))), clock);
            let (_, read) = decode(&record, clock, now).unwrap();
            assert_eq!(read.is_some(), is_open, "{ahead:?}");
            assert!(read.is_none_or(|read| read.used <= now));
        }
    }
}

//! Login sessions: which cookie stands for which token. In memory only, so a restart ends them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

use crate::clock::Moment;
use crate::config::Secret;

/// Most sessions at once: browsers of all who know a token. Each holds its token.
const MAX_SESSIONS: usize = 256;

/// A session without use for so long ends: a working day. An open page uses its own.
const IDLE: Duration = Duration::from_secs(12 * 3600);

/// A session this old ends however it is used, so that a cookie that got away does, too.
pub(super) const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The open ones, by their ids.
#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<String, Session>>,
}

struct Session {
    /// What was sent to log in; what it may do is asked at each use, so it ends with its token.
    token: Secret,
    begun: Moment,
    used: Moment,
}

/// An id is as good as a token.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// Begins one that stands for `token`, and gives its id: 128 random bits in hex. There
    /// is none where the system has no random bytes.
    pub(super) fn begin(&self, token: Secret, now: Moment) -> Option<String> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let id = format!("{:032x}", u128::from_ne_bytes(bytes));
        let mut open = self.lock();
        open.retain(|_, session| session.is_open(now));
        if open.len() >= MAX_SESSIONS {
            let unused = open.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone());
            unused.and_then(|id| open.remove(&id));
        }
        open.insert(id.clone(), Session { token, begun: now, used: now });
        Some(id)
    }

    /// Uses one: what `stands_for` makes of its token. If that is nothing the session ends.
    pub(super) fn find<T>(
        &self,
        id: &str,
        now: Moment,
        stands_for: impl FnOnce(&Secret) -> Option<T>,
    ) -> Option<T> {
        let mut open = self.lock();
        let session = open.get_mut(id)?;
        let found = if session.is_open(now) { stands_for(&session.token) } else { None };
        if found.is_some() {
            session.used = now;
        } else {
            open.remove(id);
        }
        found
    }

    /// Ends one.
    pub(super) fn end(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_open(&self, now: Moment) -> bool {
        now.since(self.used) < IDLE && now.since(self.begun) < MAX_AGE
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn begin(sessions: &Sessions, token: &str, now: Moment) -> String {
        sessions.begin(Secret::new(token.into()), now).unwrap()
    }

    /// The token that a session stands for.
    fn token(sessions: &Sessions, id: &str, now: Moment) -> Option<String> {
        sessions.find(id, now, |token| Some(token.expose().to_string()))
    }

    #[test]
    fn a_session_stands_for_its_token_until_it_ends() {
        let (sessions, now) = (Sessions::default(), Moment::now());
        let (first, second) = (begin(&sessions, "a", now), begin(&sessions, "b", now));
        assert!(first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
        assert_eq!(token(&sessions, &first, now).as_deref(), Some("a"));
        assert_eq!(token(&sessions, &second, now).as_deref(), Some("b"));
        for unknown in ["", "0", &first[1..], &first.to_uppercase().replace(char::is_numeric, "A")] {
            assert_eq!(token(&sessions, unknown, now), None, "{unknown}");
        }
        sessions.end(&first);
        assert_eq!(token(&sessions, &first, now), None);
        assert_eq!(token(&sessions, &second, now).as_deref(), Some("b"));
    }

    #[test]
    fn a_session_ends_with_its_token() {
        let (sessions, now) = (Sessions::default(), Moment::now());
        let id = begin(&sessions, "a", now);
        assert_eq!(sessions.find(&id, now, |_| None::<()>), None);
        assert_eq!(token(&sessions, &id, now), None, "though the token be one again");
    }

    #[test]
    fn a_session_ends_12_hours_after_its_last_use_and_after_30_days() {
        const HOUR: u64 = 3600;
        for (uses, open) in [
            (vec![12 * HOUR - 1], true),
            (vec![12 * HOUR], false),
            (vec![11 * HOUR, 22 * HOUR], true),
            (vec![11 * HOUR, 23 * HOUR], false),
            // Nothing wakes it again.
            (vec![12 * HOUR, 12 * HOUR + 1], false),
            ((1..30 * 24).map(|hour| hour * HOUR).collect(), true),
            ((1..=30 * 24).map(|hour| hour * HOUR).collect(), false),
        ] {
            let (sessions, start) = (Sessions::default(), Moment::now());
            let id = begin(&sessions, "a", start);
            let found = uses.iter().map(|&s| token(&sessions, &id, start.after(Duration::from_secs(s))));
            assert_eq!(found.last().unwrap().is_some(), open, "{:?}", uses.last());
        }
    }

    #[test]
    fn the_one_unused_for_longest_goes_when_there_are_too_many() {
        let (sessions, start) = (Sessions::default(), Moment::now());
        let at = |second| start.after(Duration::from_secs(second));
        let ids: Vec<String> =
            (0..MAX_SESSIONS as u64).map(|number| begin(&sessions, "a", at(number))).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), MAX_SESSIONS);
        assert!(token(&sessions, &ids[0], at(1000)).is_some());
        let last = begin(&sessions, "a", at(1001));
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
        assert_eq!(token(&sessions, &ids[1], at(1001)), None);
        for id in [&ids[0], &ids[2], &last] {
            assert!(token(&sessions, id, at(1001)).is_some());
        }
        // Those that have ended make room first.
        begin(&sessions, "a", at(1001 + 12 * 3600));
        assert_eq!(sessions.lock().len(), 1);
    }

    #[test]
    fn no_id_is_printed() {
        let sessions = Sessions::default();
        let id = begin(&sessions, "a", Moment::now());
        assert!(!format!("{sessions:?}").contains(&id));
    }
}

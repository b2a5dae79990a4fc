//! Login sessions: the token of each cookie. In memory only, so a restart ends them.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_listener::Event;
use ring::rand::{SecureRandom, SystemRandom};
use smol::Timer;
use smol::future::FutureExt;

use super::role::Role;
use crate::clock::Moment;
use crate::config::Secret;
use crate::http::peer;

/// Maximum number of sessions of each role at once. Each holds its token. Viewers evict no session of the admin.
const MAX_PER_ROLE: usize = 256;

/// Maximum number of sessions of a role from one address: an office behind NAT, or a few devices of one person.
const MAX_PER_ADDRESS: usize = 16;

/// Maximum number of logins of a role from one address within [`LOGIN_WINDOW`] that each add a session. Further ones
/// replace the newest.
const MAX_LOGINS: usize = 8;

/// See [`MAX_LOGINS`].
const LOGIN_WINDOW: Duration = Duration::from_secs(60);

/// Maximum age of a session, even if it is used. It limits the time for which a stolen cookie is valid.
pub(super) const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Resolves when a session ends.
pub(in crate::http) type SessionEnd = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The open login sessions.
pub(super) struct LoginSessions(Arc<OpenSessions>);

struct OpenSessions {
    /// By their ids.
    open: Mutex<HashMap<String, LoginSession>>,
    /// Notified when any session has ended.
    ended: Event,
    /// A session that is not used for this time ends.
    idle: Duration,
}

struct LoginSession {
    /// The token that was sent to log in. Its role is looked up at each use, so the session ends with its token.
    token: Secret,
    /// The role at the login.
    role: Role,
    /// The network of the login.
    from: IpAddr,
    begun: Moment,
    used: Moment,
}

/// A session that has just begun.
#[derive(Debug)]
pub(super) struct NewSession {
    pub(super) id: String,
    /// Whether it replaces another, because of many logins from its address.
    pub(super) is_replacement: bool,
}

/// Without the ids, which are secret.
impl fmt::Debug for LoginSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginSessions").finish_non_exhaustive()
    }
}

impl LoginSessions {
    /// An empty table. A session ends when it was not used for `idle`.
    pub(super) fn new(idle: Duration) -> Self {
        Self(Arc::new(OpenSessions { open: Mutex::default(), ended: Event::new(), idle }))
    }

    /// Begins a session for `token`. Its id has 128 random bits in hex. `None` if the system has no random bytes.
    ///
    /// If a limit is reached, another session ends: never one of another role, and one of another address only if the role
    /// has too many.
    pub(super) fn begin(&self, token: Secret, role: Role, peer: IpAddr, now: Moment) -> Option<NewSession> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let id = format!("{:032x}", u128::from_ne_bytes(bytes));
        let from = peer::network(peer);
        let mut open = self.0.lock();
        open.retain(|_, session| self.0.remaining(session, now).is_some());
        let all = &*open;
        let of_role = || all.iter().filter(move |(_, session)| session.role == role);
        let of_address = || of_role().filter(move |(_, session)| session.from == from);
        let recent = || of_address().filter(move |(_, session)| now.since(session.begun) < LOGIN_WINDOW);
        let is_replacement = recent().count() >= MAX_LOGINS;
        let ended = if is_replacement {
            recent().max_by_key(|(_, session)| session.begun)
        } else if of_address().count() >= MAX_PER_ADDRESS {
            of_address().min_by_key(|(_, session)| session.used)
        } else if of_role().count() >= MAX_PER_ROLE {
            of_role().min_by_key(|(_, session)| session.used)
        } else {
            None
        };
        if let Some(ended) = ended.map(|(id, _)| id.clone()) {
            open.remove(&ended);
        }
        open.insert(id.clone(), LoginSession { token, role, from, begun: now, used: now });
        drop(open);
        self.0.ended.notify(usize::MAX);
        Some(NewSession { id, is_replacement })
    }

    /// Uses a session: returns the result of `check` for its token. If that is `None`, the session ends.
    pub(super) fn find<T>(
        &self,
        id: &str,
        now: Moment,
        check: impl FnOnce(&Secret) -> Option<T>,
    ) -> Option<T> {
        let mut open = self.0.lock();
        let session = open.get_mut(id)?;
        let is_open = self.0.remaining(session, now).is_some();
        let found = if is_open { check(&session.token) } else { None };
        if found.is_some() {
            session.used = now;
        } else {
            drop(open);
            self.end(id);
        }
        found
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &str) {
        if self.0.lock().remove(id).is_some() {
            self.0.ended.notify(usize::MAX);
        }
    }

    /// Resolves when a session ends, whether by a logout, by its age or because of a limit.
    pub(super) fn wait_for_end(&self, id: String) -> SessionEnd {
        let table = self.0.clone();
        Box::pin(async move {
            loop {
                let any_end = table.ended.listen();
                let now = Moment::now();
                let remaining = table.lock().get(&id).and_then(|session| table.remaining(session, now));
                let Some(remaining) = remaining else { return };
                let expired = async {
                    Timer::after(remaining).await;
                };
                any_end.or(expired).await;
            }
        })
    }
}

impl OpenSessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, LoginSession>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a session stays open if it is not used again; `None` if it has ended.
    fn remaining(&self, session: &LoginSession, now: Moment) -> Option<Duration> {
        let unused = self.idle.saturating_sub(now.since(session.used));
        let remaining = unused.min(MAX_AGE.saturating_sub(now.since(session.begun)));
        Some(remaining).filter(|remaining| !remaining.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use smol::future::poll_once;

    use super::*;
    use crate::timings::Timings;

    const HERE: [u8; 4] = [192, 0, 2, 1];

    fn sessions() -> LoginSessions {
        LoginSessions::new(Timings::default().session_idle)
    }

    fn begin_from(sessions: &LoginSessions, role: Role, from: [u8; 4], now: Moment) -> String {
        sessions.begin(Secret::new("a".into()), role, from.into(), now).unwrap().id
    }

    fn begin(sessions: &LoginSessions, token: &str, now: Moment) -> String {
        sessions.begin(Secret::new(token.into()), Role::Admin, HERE.into(), now).unwrap().id
    }

    /// The token of a session.
    fn token(sessions: &LoginSessions, id: &str, now: Moment) -> Option<String> {
        sessions.find(id, now, |token| Some(token.expose().to_string()))
    }

    #[test]
    fn a_session_has_its_token_until_it_ends() {
        let (sessions, now) = (sessions(), Moment::now());
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
        let (sessions, now) = (sessions(), Moment::now());
        let id = begin(&sessions, "a", now);
        assert_eq!(sessions.find(&id, now, |_| None::<()>), None);
        assert_eq!(token(&sessions, &id, now), None, "although the token is valid again");
    }

    #[test]
    fn a_session_ends_12_hours_after_its_last_use_and_after_30_days() {
        const HOUR: u64 = 3600;
        for (uses, open) in [
            (vec![12 * HOUR - 1], true),
            (vec![12 * HOUR], false),
            (vec![11 * HOUR, 22 * HOUR], true),
            (vec![11 * HOUR, 23 * HOUR], false),
            // An ended session stays ended.
            (vec![12 * HOUR, 12 * HOUR + 1], false),
            ((1..30 * 24).map(|hour| hour * HOUR).collect(), true),
            ((1..=30 * 24).map(|hour| hour * HOUR).collect(), false),
        ] {
            let (sessions, start) = (sessions(), Moment::now());
            let id = begin(&sessions, "a", start);
            let found: Vec<_> =
                uses.iter().map(|&s| token(&sessions, &id, start.after(Duration::from_secs(s)))).collect();
            assert_eq!(found.last().unwrap().is_some(), open, "{:?}", uses.last());
        }
    }

    /// Sessions of this many addresses, one session each, one second apart.
    fn many(sessions: &LoginSessions, role: Role, count: usize, start: Moment) -> Vec<String> {
        let from =
            |number: usize| [10, 0, u8::try_from(number / 256).unwrap(), u8::try_from(number % 256).unwrap()];
        let at = |number| start.after(Duration::from_secs(number as u64));
        (0..count).map(|number| begin_from(sessions, role, from(number), at(number))).collect()
    }

    #[test]
    fn the_session_unused_for_longest_ends_when_a_role_has_too_many() {
        let (sessions, start) = (sessions(), Moment::now());
        let at = |second| start.after(Duration::from_secs(second));
        let admin = begin(&sessions, "a", start);
        let ids = many(&sessions, Role::Viewer, MAX_PER_ROLE, start);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), MAX_PER_ROLE);
        assert!(token(&sessions, &ids[0], at(1000)).is_some());
        let last = begin_from(&sessions, Role::Viewer, HERE, at(1001));
        assert_eq!(sessions.0.lock().len(), MAX_PER_ROLE + 1);
        assert_eq!(token(&sessions, &ids[1], at(1001)), None);
        for id in [&ids[0], &ids[2], &last, &admin] {
            assert!(token(&sessions, id, at(1001)).is_some());
        }
        // Expired sessions are removed first.
        begin(&sessions, "a", at(1001 + 12 * 3600));
        assert_eq!(sessions.0.lock().len(), 1);
    }

    #[test]
    fn logins_end_no_session_of_the_admin_or_of_another_address() {
        let (sessions, start) = (sessions(), Moment::now());
        let at = |second| start.after(Duration::from_secs(second));
        let admin = begin(&sessions, "a", start);
        let other = begin_from(&sessions, Role::Viewer, [192, 0, 2, 2], start);
        // Slow enough that each adds a session.
        let every_s = LOGIN_WINDOW.as_secs();
        let ids: Vec<String> =
            (0..100).map(|n| begin_from(&sessions, Role::Viewer, HERE, at(n * every_s))).collect();
        let now = at(100 * every_s);
        let is_open = |id: &String| token(&sessions, id, now).is_some();
        assert!(is_open(&admin) && is_open(&other));
        let open: Vec<bool> = ids.iter().map(is_open).collect();
        let expected: Vec<bool> = (0..100).map(|n| n >= 100 - MAX_PER_ADDRESS).collect();
        assert_eq!(open, expected, "the oldest of the same address and role end first");
    }

    #[test]
    fn a_burst_of_logins_replaces_its_own_newest_session() {
        let (sessions, start) = (sessions(), Moment::now());
        let early = begin(&sessions, "a", start);
        let now = start.after(LOGIN_WINDOW);
        let begun: Vec<NewSession> = (0..257)
            .map(|n| {
                let now = now.after(Duration::from_millis(n));
                sessions.begin(Secret::new("a".into()), Role::Admin, HERE.into(), now).unwrap()
            })
            .collect();
        let replacements: Vec<bool> = begun.iter().map(|begun| begun.is_replacement).collect();
        assert_eq!(replacements, (0..257).map(|n| n >= MAX_LOGINS).collect::<Vec<_>>());
        assert_eq!(sessions.0.lock().len(), 1 + MAX_LOGINS);
        let last = &begun.last().unwrap().id;
        for id in [&early, &begun[0].id, &begun[MAX_LOGINS - 2].id, last] {
            assert!(token(&sessions, id, now.after(Duration::from_secs(1))).is_some());
        }
        // The rest of the network counts as the same address.
        let (one, other) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        for n in 0..2 * MAX_LOGINS {
            let peer = if n % 2 == 0 { one } else { other };
            let begun = sessions.begin(Secret::new("a".into()), Role::Admin, peer, now).unwrap();
            assert_eq!(begun.is_replacement, n >= MAX_LOGINS);
        }
    }

    #[test]
    fn a_wait_for_the_end_of_a_session_resolves_at_each_kind_of_end() {
        smol::block_on(async {
            let sessions = LoginSessions::new(Duration::from_secs(1));
            let [ended, replaced, expiring] =
                [1, 2, 3].map(|n| begin_from(&sessions, Role::Admin, [192, 0, 2, n], Moment::now()));
            let mut ends = [&ended, &ended, &replaced].map(|id| sessions.wait_for_end(id.clone()));
            for end in &mut ends {
                assert!(poll_once(&mut *end).await.is_none());
            }
            sessions.end(&ended);
            sessions.find(&replaced, Moment::now(), |_| None::<()>);
            for end in ends {
                end.await;
            }
            // It is used meanwhile, so it lasts longer.
            let began = Moment::now();
            let end = sessions.wait_for_end(expiring.clone());
            assert!(token(&sessions, &expiring, began.after(Duration::from_millis(500))).is_some());
            end.await;
            assert!(Moment::now().since(began) >= Duration::from_millis(1300));
            sessions.wait_for_end(expiring).await;
        });
    }

    #[test]
    fn debug_output_has_no_ids() {
        let sessions = sessions();
        let id = begin(&sessions, "a", Moment::now());
        assert!(!format!("{sessions:?}").contains(&id));
    }
}

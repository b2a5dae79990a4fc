//! Login sessions: which cookie stands for which token. In memory only, so a restart ends them.

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

/// Most sessions of each role at once: browsers of all who know a token. Each holds its token. Viewers take no place
/// from the admin.
const MAX_PER_ROLE: usize = 256;

/// Most sessions of a role from one address: an office behind one address, or a few devices of one person.
const MAX_PER_ADDRESS: usize = 16;

/// Most logins of a role from one address within [`LOGIN_WINDOW`] that each begin a session beside the others. Further
/// ones take the place of the newest.
const MAX_LOGINS: usize = 8;

/// See [`MAX_LOGINS`].
const LOGIN_WINDOW: Duration = Duration::from_secs(60);

/// A session this old ends however it is used, so that a cookie that got away does, too.
pub(super) const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Resolves when a session ends.
pub(in crate::http) type SessionEnd = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The open ones, by their ids.
pub(super) struct LoginSessions(Arc<Table>);

struct Table {
    open: Mutex<HashMap<String, LoginSession>>,
    /// Notified when any of them has ended.
    ended: Event,
    /// A session without use for so long ends.
    idle: Duration,
}

struct LoginSession {
    /// What was sent to log in; what it may do is asked at each use, so it ends with its token.
    token: Secret,
    /// What the token gave at the login.
    role: Role,
    /// The address of the login, as a network.
    from: IpAddr,
    begun: Moment,
    used: Moment,
}

/// A session that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) id: String,
    /// Whether it took the place of another, because so many logins came from its address.
    pub(super) is_replacement: bool,
}

/// An id is as good as a token.
impl fmt::Debug for LoginSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl LoginSessions {
    /// None yet. Each ends after it was `idle` for so long.
    pub(super) fn new(idle: Duration) -> Self {
        Self(Arc::new(Table { open: Mutex::default(), ended: Event::new(), idle }))
    }

    /// Begins one that stands for `token`, whose id has 128 random bits in hex. There is none where the system has no
    /// random bytes.
    ///
    /// Where a limit is reached another one ends: never one of another role, and none of another address before those of
    /// this one.
    pub(super) fn begin(&self, token: Secret, role: Role, peer: IpAddr, now: Moment) -> Option<Begun> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let id = format!("{:032x}", u128::from_ne_bytes(bytes));
        let from = peer::network(peer);
        let mut open = self.0.lock();
        open.retain(|_, session| self.0.rest(session, now).is_some());
        let all = &*open;
        let of_role = || all.iter().filter(move |(_, session)| session.role == role);
        let of_address = || of_role().filter(move |(_, session)| session.from == from);
        let recent = || of_address().filter(move |(_, session)| now.since(session.begun) < LOGIN_WINDOW);
        let is_replacement = recent().count() >= MAX_LOGINS;
        let gone = if is_replacement {
            recent().max_by_key(|(_, session)| session.begun)
        } else if of_address().count() >= MAX_PER_ADDRESS {
            of_address().min_by_key(|(_, session)| session.used)
        } else if of_role().count() >= MAX_PER_ROLE {
            of_role().min_by_key(|(_, session)| session.used)
        } else {
            None
        };
        if let Some(gone) = gone.map(|(id, _)| id.clone()) {
            open.remove(&gone);
        }
        open.insert(id.clone(), LoginSession { token, role, from, begun: now, used: now });
        drop(open);
        self.0.ended.notify(usize::MAX);
        Some(Begun { id, is_replacement })
    }

    /// Uses one: what `stands_for` makes of its token. If that is nothing the session ends.
    pub(super) fn find<T>(
        &self,
        id: &str,
        now: Moment,
        stands_for: impl FnOnce(&Secret) -> Option<T>,
    ) -> Option<T> {
        let mut open = self.0.lock();
        let session = open.get_mut(id)?;
        let is_open = self.0.rest(session, now).is_some();
        let found = if is_open { stands_for(&session.token) } else { None };
        if found.is_some() {
            session.used = now;
        } else {
            drop(open);
            self.end(id);
        }
        found
    }

    /// Ends one.
    pub(super) fn end(&self, id: &str) {
        if self.0.lock().remove(id).is_some() {
            self.0.ended.notify(usize::MAX);
        }
    }

    /// Resolves when this one ends, be it by a logout, by its age or to make room.
    pub(super) fn end_of(&self, id: String) -> SessionEnd {
        let table = self.0.clone();
        Box::pin(async move {
            loop {
                let another = table.ended.listen();
                let now = Moment::now();
                let rest = table.lock().get(&id).and_then(|session| table.rest(session, now));
                let Some(rest) = rest else { return };
                let expired = async {
                    Timer::after(rest).await;
                };
                another.or(expired).await;
            }
        })
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, LoginSession>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a session stays open if it is not used again; none if it has ended.
    fn rest(&self, session: &LoginSession, now: Moment) -> Option<Duration> {
        let unused = self.idle.saturating_sub(now.since(session.used));
        let rest = unused.min(MAX_AGE.saturating_sub(now.since(session.begun)));
        Some(rest).filter(|rest| !rest.is_zero())
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

    /// The token that a session stands for.
    fn token(sessions: &LoginSessions, id: &str, now: Moment) -> Option<String> {
        sessions.find(id, now, |token| Some(token.expose().to_string()))
    }

    #[test]
    fn a_session_stands_for_its_token_until_it_ends() {
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
            let (sessions, start) = (sessions(), Moment::now());
            let id = begin(&sessions, "a", start);
            let found: Vec<_> =
                uses.iter().map(|&s| token(&sessions, &id, start.after(Duration::from_secs(s)))).collect();
            assert_eq!(found.last().unwrap().is_some(), open, "{:?}", uses.last());
        }
    }

    /// Sessions of so many addresses, one each and a second apart.
    fn many(sessions: &LoginSessions, role: Role, count: usize, start: Moment) -> Vec<String> {
        let from =
            |number: usize| [10, 0, u8::try_from(number / 256).unwrap(), u8::try_from(number % 256).unwrap()];
        let at = |number| start.after(Duration::from_secs(number as u64));
        (0..count).map(|number| begin_from(sessions, role, from(number), at(number))).collect()
    }

    #[test]
    fn the_one_unused_for_longest_goes_when_a_role_has_too_many() {
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
        // Those that have ended make room first.
        begin(&sessions, "a", at(1001 + 12 * 3600));
        assert_eq!(sessions.0.lock().len(), 1);
    }

    #[test]
    fn viewers_end_no_session_of_the_admin_and_nobody_one_of_another_address() {
        let (sessions, start) = (sessions(), Moment::now());
        let at = |second| start.after(Duration::from_secs(second));
        let admin = begin(&sessions, "a", start);
        let other = begin_from(&sessions, Role::Viewer, [192, 0, 2, 2], start);
        // Slow enough that each begins one.
        let every_s = LOGIN_WINDOW.as_secs();
        let ids: Vec<String> =
            (0..100).map(|n| begin_from(&sessions, Role::Viewer, HERE, at(n * every_s))).collect();
        let now = at(100 * every_s);
        let is_open = |id: &String| token(&sessions, id, now).is_some();
        assert!(is_open(&admin) && is_open(&other));
        let open: Vec<bool> = ids.iter().map(is_open).collect();
        let expected: Vec<bool> = (0..100).map(|n| n >= 100 - MAX_PER_ADDRESS).collect();
        assert_eq!(open, expected, "the oldest of the same address and role go first");
    }

    #[test]
    fn a_burst_of_logins_replaces_its_own_newest_session() {
        let (sessions, start) = (sessions(), Moment::now());
        let early = begin(&sessions, "a", start);
        let now = start.after(LOGIN_WINDOW);
        let begun: Vec<Begun> = (0..257)
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
    fn who_waits_for_the_end_of_a_session_learns_of_each_end() {
        smol::block_on(async {
            let sessions = LoginSessions::new(Duration::from_secs(1));
            let [ended, replaced, expiring] =
                [1, 2, 3].map(|n| begin_from(&sessions, Role::Admin, [192, 0, 2, n], Moment::now()));
            let mut ends = [&ended, &ended, &replaced].map(|id| sessions.end_of(id.clone()));
            for end in &mut ends {
                assert!(poll_once(&mut *end).await.is_none());
            }
            sessions.end(&ended);
            sessions.find(&replaced, Moment::now(), |_| None::<()>);
            for end in ends {
                end.await;
            }
            // Used meanwhile, it lasts longer.
            let began = Moment::now();
            let end = sessions.end_of(expiring.clone());
            assert!(token(&sessions, &expiring, began.after(Duration::from_millis(500))).is_some());
            end.await;
            assert!(Moment::now().since(began) >= Duration::from_millis(1300));
            sessions.end_of(expiring).await;
        });
    }

    #[test]
    fn no_id_is_printed() {
        let sessions = sessions();
        let id = begin(&sessions, "a", Moment::now());
        assert!(!format!("{sessions:?}").contains(&id));
    }
}

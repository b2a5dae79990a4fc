//! The open login sessions, their limits, and what of them is stored.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_listener::Event;

use super::login_session::{LoginSession, SessionKey, decode, encode, key};
use super::role::Role;
use crate::clock::{Clock, Moment};
use crate::config::Secret;
use crate::deadline::within;
use crate::http::peer;
use crate::storage::Persist;

/// Maximum number of sessions of each role at once. Viewers evict no session of the admin.
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

/// How much later than on disk the last use of a session may be. Otherwise an open page would cause writes forever.
const SAVED_USE: Duration = Duration::from_secs(3600);

/// How long the response to a login or a logout waits until the change is on disk.
const SAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Resolves when a session ends.
pub(in crate::http) type SessionEnd = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The open login sessions.
pub(super) struct LoginSessions(Arc<OpenSessions>);

struct OpenSessions {
    table: Mutex<SessionTable>,
    /// Notified when any session has ended.
    ended: Event,
    /// A session that is not used for this time ends.
    idle: Duration,
    /// Whether sessions are stored.
    is_stored: AtomicBool,
    /// Whether a session has begun or ended since it was last asked for.
    is_urgent: AtomicBool,
    /// Notified when a session has begun or ended.
    changed: Event,
    /// Notified when the changes are on disk.
    written: Event,
}

#[derive(Default)]
struct SessionTable {
    open: HashMap<SessionKey, LoginSession>,
    /// Ended sessions that are open on disk. Each was saved before, so there are at most as many as sessions were open.
    ended: Vec<SessionKey>,
    /// How many of them are being written.
    offered: usize,
}

/// A session that has just begun.
#[derive(Debug)]
pub(super) struct NewSession {
    pub(super) id: String,
    /// Whether it replaces another, because of many logins from its address.
    pub(super) is_replacement: bool,
}

/// Without the sessions.
impl fmt::Debug for LoginSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginSessions").finish_non_exhaustive()
    }
}

impl LoginSessions {
    /// An empty table. A session ends when it was not used for `idle`.
    pub(super) fn new(idle: Duration) -> Self {
        Self(Arc::new(OpenSessions {
            table: Mutex::default(),
            ended: Event::new(),
            idle,
            is_stored: AtomicBool::new(false),
            is_urgent: AtomicBool::new(false),
            changed: Event::new(),
            written: Event::new(),
        }))
    }

    /// Begins a session for `token`, with a random id. `None` if the system has no random bytes.
    ///
    /// If a limit is reached, another session ends: never one of another role, and one of another address only if the role
    /// has too many.
    pub(super) fn begin(&self, token: &Secret, role: Role, peer: IpAddr, now: Moment) -> Option<NewSession> {
        let id = Secret::random().ok()?.expose().to_string();
        let from = peer::network(peer);
        let mut table = self.0.lock();
        table.end_all(|session| self.0.remaining(session, now).is_none());
        let all = &table.open;
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
        if let Some(ended) = ended.map(|(key, _)| *key) {
            table.end(&ended);
        }
        table.open.insert(key(&id), LoginSession::new(&id, token, role, from, now));
        drop(table);
        self.0.ended.notify(usize::MAX);
        self.0.note_change();
        Some(NewSession { id, is_replacement })
    }

    /// Uses a session: returns the result of `check`, whose argument is true for the token that the session began with. If the
    /// result is `None`, the session ends.
    pub(super) fn find<T>(
        &self,
        id: &str,
        now: Moment,
        check: impl FnOnce(&dyn Fn(&Secret) -> bool) -> Option<T>,
    ) -> Option<T> {
        let mut table = self.0.lock();
        let session = table.open.get_mut(&key(id))?;
        let is_open = self.0.remaining(session, now).is_some();
        let found = if is_open { check(&|token| session.has_token(id, token)) } else { None };
        if found.is_some() {
            session.used = now;
        } else {
            drop(table);
            self.end(id);
        }
        found
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &str) {
        let has_ended = self.0.lock().end(&key(id));
        if has_ended {
            self.0.ended.notify(usize::MAX);
            self.0.note_change();
        }
    }

    /// Resolves when a session ends, whether by a logout, by its age or because of a limit.
    pub(super) fn wait_for_end(&self, id: &str) -> SessionEnd {
        let (sessions, key) = (self.0.clone(), key(id));
        Box::pin(async move {
            loop {
                let any_end = sessions.ended.listen();
                let now = Moment::now();
                let remaining =
                    sessions.lock().open.get(&key).and_then(|session| sessions.remaining(session, now));
                let Some(remaining) = remaining else { return };
                within(remaining, any_end).await;
            }
        })
    }

    /// The sessions, which are stored from now on.
    pub(super) fn persist(&self) -> Arc<dyn Persist> {
        self.0.is_stored.store(true, Ordering::SeqCst);
        self.0.clone()
    }

    /// Resolves when all logins and logouts are on disk, or after [`SAVE_TIMEOUT`]; `None` if they are not stored. So a
    /// restart, even after a crash, does not bring back a session whose user has seen the logout.
    pub(super) fn saved(&self) -> Option<impl Future<Output = Option<()>> + Send + use<>> {
        let sessions = self.0.clone();
        let saved = async move {
            loop {
                let written = sessions.written.listen();
                if sessions.lock().is_saved() {
                    return;
                }
                written.await;
            }
        };
        self.0.is_stored.load(Ordering::SeqCst).then(|| within(SAVE_TIMEOUT, saved))
    }
}

impl OpenSessions {
    fn lock(&self) -> MutexGuard<'_, SessionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a session stays open if it is not used again; `None` if it has ended.
    fn remaining(&self, session: &LoginSession, now: Moment) -> Option<Duration> {
        let unused = self.idle.saturating_sub(now.since(session.used));
        let remaining = unused.min(MAX_AGE.saturating_sub(now.since(session.begun)));
        Some(remaining).filter(|remaining| !remaining.is_zero())
    }

    fn note_change(&self) {
        self.is_urgent.store(true, Ordering::SeqCst);
        self.changed.notify(usize::MAX);
    }
}

impl SessionTable {
    /// Ends a session, and returns whether it was open.
    fn end(&mut self, key: &SessionKey) -> bool {
        let Some(session) = self.open.remove(key) else { return false };
        if session.saved.or(session.offered).is_some() {
            self.ended.push(*key);
        }
        true
    }

    fn end_all(&mut self, has_ended: impl Fn(&LoginSession) -> bool) {
        let ended = self.open.iter().filter(|(_, session)| has_ended(session)).map(|(key, _)| *key);
        for key in ended.collect::<Vec<_>>() {
            self.end(&key);
        }
    }

    /// Whether all logins and logouts are on disk.
    fn is_saved(&self) -> bool {
        self.ended.is_empty() && self.open.values().all(|session| session.saved.is_some())
    }

    /// The records of the open sessions that `is_needed` selects.
    fn records(&mut self, is_needed: impl Fn(&LoginSession) -> bool) -> Vec<Vec<u8>> {
        let clock = Clock::system();
        self.offered = self.ended.len();
        let mut records = Vec::new();
        for (key, session) in &mut self.open {
            session.offered = is_needed(session).then_some(session.used);
            if session.offered.is_some() {
                records.push(encode(key, Some(session), clock));
            }
        }
        records
    }
}

impl Persist for OpenSessions {
    fn name(&self) -> &'static str {
        "logins"
    }

    fn restore(&self, record: &[u8], _: u16) -> Result<(), String> {
        let now = Moment::now();
        let (key, session) = decode(record, Clock::system(), now).ok_or("it is not a login")?;
        let mut table = self.lock();
        table.open.remove(&key);
        let session = session.filter(|session| self.remaining(session, now).is_some());
        if let Some(session) = session {
            let of_role = table.open.values().filter(|other| other.role == session.role);
            if of_role.count() < MAX_PER_ROLE {
                table.open.insert(key, session);
            }
        }
        Ok(())
    }

    fn records(&self, is_all: bool) -> Vec<Vec<u8>> {
        let mut table = self.lock();
        if is_all {
            return table.records(|_| true);
        }
        let ended = table.ended.iter().map(|key| encode(key, None, Clock::system()));
        let mut records: Vec<_> = ended.collect();
        let is_new =
            |session: &LoginSession| session.saved.is_none_or(|used| session.used.since(used) >= SAVED_USE);
        records.extend(table.records(is_new));
        records
    }

    fn written(&self) {
        let mut table = self.lock();
        let offered = std::mem::take(&mut table.offered);
        table.ended.drain(..offered);
        for session in table.open.values_mut() {
            session.saved = session.offered.take().or(session.saved);
        }
        drop(table);
        self.written.notify(usize::MAX);
    }

    fn urgent(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            loop {
                let changed = self.changed.listen();
                if self.is_urgent.swap(false, Ordering::SeqCst) {
                    return;
                }
                changed.await;
            }
        })
    }
}

#[cfg(test)]
mod tests;

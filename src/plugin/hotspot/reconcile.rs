//! Answers and changes brought together: who is online, who came, who went.
//!
//! A print says who was online at some moment while it ran. A `listen` says who came and went
//! since, and on the way either may overtake the other. So, while the menu is followed:
//!
//! - Changes count as they come, in their order. Each login and each logout is counted once,
//!   however short its session was.
//! - An answer brings the counters of the sessions. Where it disagrees about who is online, a change
//!   may be on its way: the difference is a [`Discrepancy`]. One that stands at a later answer, with no
//!   change told of that session meanwhile, is a change that the router did not tell, and counts.
//! - The first answer after a `listen` has begun counts at once, for what happened while nobody
//!   listened, but for the sessions that a change has touched meanwhile: for these the changes decide.
//!
//! Where nobody listens, each answer counts at once by what differs from the one before, but for what
//! somebody here changed after the answer was asked for: that is known, and the answer is from before.
//!
//! Traffic is what the counters of a session were seen to gain from one row of it to the next. A session
//! that is new counts from its first byte, but for those that were there before anybody could look: until an
//! answer has been whole and in no doubt, who is new may be new only to us.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::data::{Counts, Discrepancy, Hotspot};
use super::session::Session;
use crate::plugin::context::{Context, Following};
use crate::plugin::limits::MAX_ID;
use crate::routeros::client::{MAX_REPLY, MAX_ROWS, Reply};
use crate::routeros::error::{Cause, Error};
use crate::routeros::value::{self, Text};
use crate::routeros::wire::Sentence;

/// How long a change may be behind the answer that it was overtaken by. Over one connection it is
/// some milliseconds; a busy small router may take longer.
const CONFIRMED_AFTER: Duration = Duration::from_secs(2);

/// Servers with counts of their own; what is beyond is counted together. No hotspot known has a tenth.
const MAX_SERVERS: usize = 64;

/// Longest name of a server that is counted by, in characters: names stay as long as the agent runs.
const MAX_SERVER_NAME: usize = 64;

/// How much of the sessions an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All: who is not in it is gone.
    Whole,
    /// Those that the router came to before it stopped: others may be there.
    Part,
    /// The first of more than are kept: the others are neither there nor gone.
    Truncated,
}

impl Extent {
    pub(super) fn of(reply: &Reply) -> Self {
        if reply.is_truncated {
            Self::Truncated
        } else if reply.traps.is_empty() {
            Self::Whole
        } else {
            Self::Part
        }
    }
}

impl Hotspot {
    /// Applies changes in their order, and gives the ids that they touched.
    ///
    /// # Errors
    ///
    /// `protocol` when there are more sessions than are taken.
    pub(in crate::plugin) fn apply(
        &mut self,
        changes: &[Sentence],
        context: &Context,
    ) -> Result<HashSet<Text>, Error> {
        let mut touched = HashSet::new();
        let mut table = SessionTable::new(self);
        for change in changes {
            let Some(id) = change.get(".id").filter(|id| id.len() <= MAX_ID) else { continue };
            let id = Text::new(id, context.codepage);
            let is_dead = change.get(".dead").is_some_and(|dead| value::boolean(dead) != Some(false));
            match table.get(&id) {
                Some(_) if is_dead => table.record_logout(&id),
                Some(known) => {
                    let known = known.clone();
                    let mut now = Session::clone(&known);
                    now.merge(change, context);
                    if known.continues_as(&now, context.took) {
                        let login = now.login_after(&known, context.took);
                        table.update(Session { login, ..now });
                    } else {
                        // The one before went without a word.
                        table.record_logout(&id);
                        let mut next = Session::read(change, context);
                        // The id is made of the address, so these are the next one's, too.
                        next.server = next.server.or_else(|| known.server.clone());
                        next.address = next.address.or_else(|| known.address.clone());
                        table.record_login(next);
                    }
                }
                // It may have been there before.
                None if table.hotspot.is_truncated => continue,
                None if !is_dead && change.get("user").is_some() => {
                    table.record_login(Session::read(change, context));
                }
                None if is_dead => {}
                // A change of one that is not known says too little; the next answer tells.
                None => continue,
            }
            table.hotspot.discrepancies.remove(&id);
            if matches!(context.following, Following::No) {
                table.hotspot.changed_at.insert(id.clone(), context.now);
            }
            touched.insert(id);
        }
        table.finish(MAX_REPLY)?;
        Ok(touched)
    }

    /// Brings an answer in: these sessions are there, and where the answer is whole, no others. Of a hotspot that has
    /// more sessions than are kept the answer counts as it is: nobody is taken to have come or gone.
    ///
    /// # Errors
    ///
    /// `protocol` when there are more sessions than are taken.
    pub(super) fn reconcile(
        &mut self,
        seen: impl IntoIterator<Item = Session>,
        extent: Extent,
        is_first: bool,
        context: &Context,
    ) -> Result<(), Error> {
        let is_uncounted = self.is_truncated || extent == Extent::Truncated;
        let asked = context.now.before(context.took);
        let changed_by_agent = std::mem::take(&mut self.changed_at);
        let touched = match context.following {
            Following::Begun(changes) => self.apply(changes, context)?,
            Following::On => HashSet::new(),
            Following::No => {
                changed_by_agent.into_iter().filter(|(_, at)| *at > asked).map(|(id, _)| id).collect()
            }
        };
        self.is_truncated = match extent {
            Extent::Whole => false,
            Extent::Part => self.is_truncated,
            Extent::Truncated => true,
        };
        let before = std::mem::take(&mut self.discrepancies);
        let mut table = SessionTable::new(self);
        // An id stands for one session, however often an answer repeats it.
        let mut present = HashSet::new();
        let mut differing: Vec<(Text, Option<Session>)> = Vec::new();
        for session in seen {
            if !present.insert(session.id.clone()) {
                continue;
            }
            match table.get(&session.id) {
                Some(known) if known.continues_as(&session, context.took) => {
                    let login = session.login_after(known, context.took);
                    let reported_login = session.reported_login.or(known.reported_login);
                    table.update(Session { login, reported_login, ..session });
                }
                _ => differing.push((session.id.clone(), Some(session))),
            }
        }
        let gone: Vec<Text> = if extent == Extent::Part {
            Vec::new()
        } else {
            table.positions.keys().filter(|id| !present.contains(*id)).cloned().collect()
        };
        drop(present);
        // Bytes of a session that was not kept were moved before.
        table.hotspot.has_baseline &= !is_uncounted;
        for (id, seen) in gone.into_iter().map(|id| (id, None)).chain(differing) {
            if is_uncounted {
                table.remove(&id);
                if let Some(session) = seen {
                    table.update(session);
                }
                continue;
            }
            let seen = seen.map(Arc::new);
            let since = before.get(&id).filter(|discrepancy| discrepancy.is_about(seen.as_deref(), context));
            let since = since.map_or(context.now, |discrepancy| discrepancy.since);
            let counts = match context.following {
                Following::No | Following::Begun(_) => !touched.contains(&id),
                Following::On => context.now.since(since) >= CONFIRMED_AFTER,
            };
            if !counts {
                table.hotspot.discrepancies.insert(id, Discrepancy { seen, since });
                continue;
            }
            if matches!(context.following, Following::On) {
                table.hotspot.missed_events += 1;
            }
            if table.get(&id).is_some() {
                table.record_logout(&id);
            }
            match seen {
                // Who is there at the first look came before there was anybody to count.
                Some(session) if is_first => table.update(Session::clone(&session)),
                Some(session) => table.record_login(Session::clone(&session)),
                None => {}
            }
        }
        // An answer is of a limited size as it came. What does not fit is cut later.
        table.finish(usize::MAX)?;
        self.has_baseline |= extent == Extent::Whole && self.discrepancies.is_empty();
        Ok(())
    }

    /// The name that a server is counted by.
    pub(super) fn server_key(&self, server: Option<&str>) -> String {
        let name: String = server.unwrap_or_default().chars().take(MAX_SERVER_NAME).collect();
        let own = self.servers.contains_key(&name) || self.servers.len() < MAX_SERVERS;
        if own { name } else { String::new() }
    }
}

impl Discrepancy {
    fn is_about(&self, seen: Option<&Session>, context: &Context) -> bool {
        match (self.seen.as_deref(), seen) {
            (Some(before), Some(now)) => before.continues_as(now, context.took),
            (None, None) => true,
            _ => false,
        }
    }
}

/// The sessions of a hotspot, to be found by id while they change.
struct SessionTable<'h> {
    hotspot: &'h mut Hotspot,
    sessions: Vec<Option<Arc<Session>>>,
    positions: HashMap<Text, usize>,
}

impl<'h> SessionTable<'h> {
    fn new(hotspot: &'h mut Hotspot) -> Self {
        let sessions: Vec<_> = std::mem::take(&mut hotspot.sessions).into_iter().map(Some).collect();
        let positions = sessions.iter().enumerate();
        let positions =
            positions.filter_map(|(at, session)| Some((session.as_ref()?.id.clone(), at))).collect();
        Self { hotspot, sessions, positions }
    }

    fn get(&self, id: &Text) -> Option<&Arc<Session>> {
        self.sessions[*self.positions.get(id)?].as_ref()
    }

    /// Puts a session in, in place of what was known of it, and counts what it has moved since.
    fn update(&mut self, mut session: Session) {
        let known = self.get(&session.id).cloned();
        let corrected = known
            .as_ref()
            .is_some_and(|known| known.login != session.login && known.login == self.hotspot.last_login);
        let (upload, download) = match known {
            Some(known) => session.traffic_since(&known),
            None if self.hotspot.has_baseline => session.traffic_since(&Session::zero()),
            None => (0, 0),
        };
        let counts = self.counts(session.server.as_deref());
        counts.upload_bytes = counts.upload_bytes.saturating_add(upload);
        counts.download_bytes = counts.download_bytes.saturating_add(download);
        let login = session.login;
        let session = Arc::new(session);
        if let Some(&at) = self.positions.get(&session.id) {
            self.sessions[at] = Some(session);
        } else {
            self.positions.insert(session.id.clone(), self.sessions.len());
            self.sessions.push(Some(session));
        }
        let last = &mut self.hotspot.last_login;
        *last = if corrected {
            self.sessions.iter().flatten().filter_map(|session| session.login).max()
        } else {
            (*last).max(login)
        };
    }

    /// Somebody logged in.
    fn record_login(&mut self, session: Session) {
        self.counts(session.server.as_deref()).logins += 1;
        self.update(session);
    }

    /// Somebody logged out.
    fn record_logout(&mut self, id: &Text) {
        if let Some(session) = self.remove(id) {
            self.counts(session.server.as_deref()).logouts += 1;
        }
    }

    /// Removes a session without counting it.
    fn remove(&mut self, id: &Text) -> Option<Arc<Session>> {
        self.positions.remove(id).and_then(|at| self.sessions[at].take())
    }

    fn counts(&mut self, server: Option<&str>) -> &mut Counts {
        let server = self.hotspot.server_key(server);
        self.hotspot.servers.entry(server).or_default()
    }

    fn finish(self, most: usize) -> Result<(), Error> {
        self.hotspot.sessions = self.sessions.into_iter().flatten().collect();
        let sessions = &self.hotspot.sessions;
        let cost: usize = sessions.iter().map(|session| session.cost()).sum();
        if sessions.len() > MAX_ROWS || cost > most {
            let message = format!(
                "the router tells of {} sessions that take {cost} bytes; {MAX_ROWS} and {most} are taken",
                sessions.len()
            );
            return Err(Error::new(Cause::Protocol, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

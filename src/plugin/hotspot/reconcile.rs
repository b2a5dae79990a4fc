//! Combines answers and changes: who is online, who logged in, who logged out.
//!
//! The answer to a print shows the sessions at some moment while it ran. A `listen` reports later logins and logouts.
//! Either may overtake the other. While a `listen` runs:
//!
//! - Changes count in the order in which they arrive. Each login and each logout is counted once, even those of very
//!   short sessions.
//! - An answer updates the counters of the sessions. If it disagrees about who is online, a change may be in transit: the
//!   difference is a [`Discrepancy`]. If a later answer confirms it, and no change of that session arrived meanwhile,
//!   the `listen` has missed a change, and the difference counts.
//! - The first answer after the start of a `listen` counts at once, for what happened before, except for sessions with a
//!   change meanwhile: for these the changes decide.
//!
//! Without a `listen`, each answer counts at once by its difference to the previous one, except for changes by the
//! agent itself after the answer was requested: the answer is older than these.
//!
//! Traffic is the increase of a session's counters from one row to the next. A new session counts from its first byte,
//! except for sessions that appear before the first complete answer without a discrepancy: these may be older than the
//! agent's first read.

use std::collections::HashSet;
use std::time::Duration;

use super::data::{Counts, Discrepancy, Hotspot};
use super::lookup::Lookup;
use super::rates::Meter;
use super::session::{RowKind, Session};
use crate::clock::Moment;
use crate::plugin::context::{Following, ReadContext};
use crate::plugin::limits::MAX_ID;
use crate::routeros::client::{MAX_REPLY, MAX_ROWS, Reply};
use crate::routeros::error::{Cause, Error};
use crate::routeros::rows::Rows;
use crate::routeros::value;

/// How long a discrepancy must last until it counts: a change may arrive this much later than the answer that overtook it.
/// Over one connection that takes some milliseconds; a busy small router may take longer.
const CONFIRMED_AFTER: Duration = Duration::from_secs(2);

/// Servers with counts of their own; others are counted together. Known hotspots have less than a tenth of this.
const MAX_SERVERS: usize = 64;

/// The completeness of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All: a session that is missing has ended.
    Whole,
    /// Those before the router stopped: there may be others.
    Part,
    /// The first ones, because there are more than are kept. The others are unknown.
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
    /// Applies changes in their order, and returns the ids of their sessions.
    ///
    /// # Errors
    ///
    /// `protocol` when there are too many sessions.
    pub(in crate::plugin) fn apply(
        &mut self,
        changes: &Rows,
        context: &ReadContext,
    ) -> Result<HashSet<Vec<u8>>, Error> {
        let mut touched = HashSet::new();
        let mut table = SessionTable::new(self, context.now, false);
        for change in changes.iter() {
            let Some(id) = change.get(".id").filter(|id| id.len() <= MAX_ID) else { continue };
            let is_dead = change.get(".dead").is_some_and(|dead| value::boolean(dead) != Some(false));
            let (at, has_user) = (table.find(id), change.get("user").is_some());
            match at.map(|at| table.hotspot.sessions[at].clone()) {
                Some(_) if is_dead => table.record_logout(id),
                Some(known) => {
                    let now = known.after(change, RowKind::Change, context);
                    if known.continues_as(&now, context.took) {
                        let login = now.login_after(&known, context.took);
                        table.update(at, Session { login, ..now });
                    } else {
                        // The router did not report the logout of the previous session.
                        table.record_logout(id);
                        if has_user {
                            table.record_login(known.after(change, RowKind::Next, context));
                        }
                    }
                }
                // It may have been there before.
                None if table.hotspot.is_truncated => continue,
                None if !is_dead && has_user => table.record_login(Session::read(change, context)),
                None if is_dead => {}
                // A change of an unknown session has too few properties; the next answer has them.
                None => continue,
            }
            table.hotspot.discrepancies.remove(id);
            if matches!(context.following, Following::No) {
                table.hotspot.changed_at.insert(id.to_vec(), context.now);
            }
            touched.insert(id.to_vec());
        }
        table.finish(MAX_REPLY)?;
        Ok(touched)
    }

    /// Applies an answer: these sessions are active, and if the answer is whole, no others. If there are more sessions
    /// than are kept, no logins and logouts are counted.
    ///
    /// # Errors
    ///
    /// `protocol` when there are too many sessions.
    pub(super) fn reconcile(
        &mut self,
        seen: impl IntoIterator<Item = Session>,
        extent: Extent,
        is_first: bool,
        context: &ReadContext,
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
        let mut table = SessionTable::new(self, context.now, true);
        let mut is_present = vec![false; table.hotspot.sessions.len()];
        let (mut new, mut differing) = (HashSet::new(), Vec::new());
        for session in seen {
            let at = table.find(session.id_bytes());
            // An id is one session, even if an answer repeats it.
            let is_repeated = match at {
                Some(at) => std::mem::replace(&mut is_present[at], true),
                None => !new.insert(session.id_bytes().to_vec()),
            };
            if is_repeated {
                continue;
            }
            match at.map(|at| &table.hotspot.sessions[at]) {
                Some(known) if known.continues_as(&session, context.took) => {
                    let login = session.login_after(known, context.took);
                    let reported_login = session.reported_login.or(known.reported_login);
                    table.update(at, Session { login, reported_login, ..session });
                }
                _ => differing.push((session.id_bytes().to_vec(), Some(session))),
            }
        }
        let is_gone = |(_, is_present): &(_, &bool)| !**is_present && extent != Extent::Part;
        let gone = table.hotspot.sessions.iter().zip(&is_present).filter(is_gone);
        let gone: Vec<_> = gone.map(|(session, _)| (session.id_bytes().to_vec(), None)).collect();
        // The traffic of a session that was not kept is unknown.
        table.hotspot.has_baseline &= !is_uncounted;
        for (id, seen) in gone.into_iter().chain(differing) {
            if is_uncounted {
                table.remove(&id);
                if let Some(session) = seen {
                    table.update(None, session);
                }
                continue;
            }
            let since = before.get(&id).filter(|discrepancy| discrepancy.is_about(seen.as_ref(), context));
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
            table.record_logout(&id);
            match seen {
                // A session in the first answer logged in before the agent counted.
                Some(session) if is_first => table.update(None, session),
                Some(session) => table.record_login(session),
                None => {}
            }
        }
        // The size of an answer is already limited. Sessions that do not fit into the memory are removed later.
        table.finish(usize::MAX)?;
        self.conclude(extent, context.now);
        Ok(())
    }

    /// What a whole answer completes: the baseline of the traffic, and the window of the rates.
    fn conclude(&mut self, extent: Extent, now: Moment) {
        self.has_baseline |= extent == Extent::Whole && self.discrepancies.is_empty();
        if extent != Extent::Part {
            let Counts { upload_bytes, download_bytes, .. } = std::mem::take(&mut self.unmeasured);
            let measured = |meter: Meter| meter.advance((upload_bytes, download_bytes), Some(now));
            let whole = self.meter.map_or(Meter::begin(now), measured);
            self.meter = (extent == Extent::Whole).then_some(whole);
        }
    }

    /// The name in `servers` under which a server is counted.
    pub(super) fn server_key<'s>(&self, server: Option<&'s str>) -> &'s str {
        let has_own = |name: &&str| self.servers.contains_key(*name) || self.servers.len() < MAX_SERVERS;
        server.filter(has_own).unwrap_or_default()
    }
}

impl Discrepancy {
    fn is_about(&self, seen: Option<&Session>, context: &ReadContext) -> bool {
        match (self.seen.as_ref(), seen) {
            (Some(before), Some(now)) => before.continues_as(now, context.took),
            (None, None) => true,
            _ => false,
        }
    }
}

/// The sessions of a hotspot while they change.
struct SessionTable<'h> {
    hotspot: &'h mut Hotspot,
    lookup: Lookup,
    /// When the rows arrived, and whether they answer a query.
    now: Moment,
    is_answer: bool,
    /// What was counted.
    counted: Counts,
}

impl<'h> SessionTable<'h> {
    fn new(hotspot: &'h mut Hotspot, now: Moment, is_answer: bool) -> Self {
        Self { hotspot, lookup: Lookup::default(), now, is_answer, counted: Counts::default() }
    }

    fn find(&mut self, id: &[u8]) -> Option<usize> {
        self.lookup.find(&self.hotspot.sessions, id)
    }

    /// Replaces the session at a position or inserts a new one, and counts its traffic since it was known.
    fn update(&mut self, at: Option<usize>, mut session: Session) {
        let known = at.map(|at| &self.hotspot.sessions[at]);
        let is_corrected =
            known.is_some_and(|known| known.login != session.login && known.login == self.hotspot.last_login);
        let (upload_bytes, download_bytes) = match known {
            Some(known) => session.traffic_since(known, self.now, self.is_answer),
            None if self.hotspot.has_baseline => session.traffic_since(&Session::zero(), self.now, false),
            None => (0, 0),
        };
        if known.is_none() {
            session.meter = Meter::begin(self.now);
        }
        self.count(session.server(), Counts { upload_bytes, download_bytes, ..Counts::default() });
        let login = session.login;
        let sessions = &mut self.hotspot.sessions;
        if let Some(at) = at {
            sessions[at] = session;
        } else {
            self.lookup.insert(session.id_bytes(), sessions.len());
            sessions.push(session);
        }
        let last = &mut self.hotspot.last_login;
        *last = if is_corrected {
            sessions.iter().filter_map(|session| session.login).max()
        } else {
            (*last).max(login)
        };
    }

    /// Inserts a session and counts its login.
    fn record_login(&mut self, session: Session) {
        self.count(session.server(), Counts { logins: 1, ..Counts::default() });
        self.update(None, session);
    }

    /// Removes a session, if it is there, and counts its logout.
    fn record_logout(&mut self, id: &[u8]) {
        if let Some(at) = self.remove(id) {
            let session = self.hotspot.sessions[at].clone();
            self.count(session.server(), Counts { logouts: 1, ..Counts::default() });
        }
    }

    /// Removes a session without counting it.
    fn remove(&mut self, id: &[u8]) -> Option<usize> {
        self.lookup.remove(&self.hotspot.sessions, id)
    }

    fn count(&mut self, server: Option<&str>, more: Counts) {
        self.counted = self.counted.plus(more);
        if let Some(counts) = self.hotspot.servers.get_mut(server.unwrap_or_default()) {
            *counts = counts.plus(more);
        } else {
            let server = self.hotspot.server_key(server).to_string();
            let counts = self.hotspot.servers.entry(server).or_default();
            *counts = counts.plus(more);
        }
    }

    /// Removes what was removed from the list, and measures all traffic.
    fn finish(self, max_bytes: usize) -> Result<(), Error> {
        self.hotspot.unmeasured = self.hotspot.unmeasured.plus(self.counted);
        let sessions = &mut self.hotspot.sessions;
        let mut at = 0..;
        sessions.retain(|_| at.next().is_some_and(|at| !self.lookup.removed.contains(&at)));
        // The list grows by half of itself or more, and stays until the next change.
        sessions.shrink_to_fit();
        let cost: usize = sessions.iter().map(Session::cost).sum();
        if sessions.len() > MAX_ROWS || cost > max_bytes {
            let message = format!(
                "the router reports {} sessions that take {cost} bytes; the limits are {MAX_ROWS} and {max_bytes}",
                sessions.len()
            );
            return Err(Error::new(Cause::Protocol, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

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

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::data::{Counts, Discrepancy, Hotspot};
use super::rates::Meter;
use super::session::Session;
use crate::clock::Moment;
use crate::plugin::context::{Following, ReadContext};
use crate::plugin::limits::MAX_ID;
use crate::routeros::client::{MAX_REPLY, MAX_ROWS, Reply};
use crate::routeros::error::{Cause, Error};
use crate::routeros::rows::Rows;
use crate::routeros::value::{self, Text};

/// How long a discrepancy must last until it counts: a change may arrive this much later than the answer that overtook it.
/// Over one connection that takes some milliseconds; a busy small router may take longer.
const CONFIRMED_AFTER: Duration = Duration::from_secs(2);

/// Servers with counts of their own; others are counted together. Known hotspots have less than a tenth of this.
const MAX_SERVERS: usize = 64;

/// Longest name of a server with counts of its own, in characters: these names are kept as long as the agent runs.
const MAX_SERVER_NAME: usize = 64;

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
    ) -> Result<HashSet<Text>, Error> {
        let mut touched = HashSet::new();
        let mut table = SessionTable::new(self, context.now, false);
        for change in changes.iter() {
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
                        // The router did not report the logout of the previous session.
                        table.record_logout(&id);
                        let mut next = Session::read(change, context);
                        // The id is derived from the address, so the next session has the same address and server.
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
                // A change of an unknown session has too few properties; the next answer has them.
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
        // An id is one session, even if an answer repeats it.
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
        // The traffic of a session that was not kept is unknown.
        table.hotspot.has_baseline &= !is_uncounted;
        for (id, seen) in gone.into_iter().map(|id| (id, None)).chain(differing) {
            if is_uncounted {
                table.remove(&id);
                if let Some(session) = seen {
                    table.update(session);
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
                table.hotspot.discrepancies.insert(id, Discrepancy { seen: seen.map(Arc::new), since });
                continue;
            }
            if matches!(context.following, Following::On) {
                table.hotspot.missed_events += 1;
            }
            if table.get(&id).is_some() {
                table.record_logout(&id);
            }
            match seen {
                // A session in the first answer logged in before the agent counted.
                Some(session) if is_first => table.update(session),
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
        self.meter = match (self.meter, extent) {
            (_, Extent::Truncated) => None,
            (meter, Extent::Part) => meter,
            (Some(meter), Extent::Whole) => Some(meter.advance((0, 0), Some(now))),
            (None, Extent::Whole) => Some(Meter::begin(now)),
        };
    }

    /// The name in `servers` under which a server is counted.
    pub(super) fn server_key(&self, server: Option<&str>) -> String {
        let name: String = server.unwrap_or_default().chars().take(MAX_SERVER_NAME).collect();
        let has_own = self.servers.contains_key(&name) || self.servers.len() < MAX_SERVERS;
        if has_own { name } else { String::new() }
    }
}

impl Discrepancy {
    fn is_about(&self, seen: Option<&Session>, context: &ReadContext) -> bool {
        match (self.seen.as_deref(), seen) {
            (Some(before), Some(now)) => before.continues_as(now, context.took),
            (None, None) => true,
            _ => false,
        }
    }
}

/// The sessions of a hotspot, indexed by id while they change.
struct SessionTable<'h> {
    hotspot: &'h mut Hotspot,
    sessions: Vec<Option<Arc<Session>>>,
    positions: HashMap<Text, usize>,
    /// When the rows arrived, and whether they answer a query.
    now: Moment,
    is_answer: bool,
}

impl<'h> SessionTable<'h> {
    fn new(hotspot: &'h mut Hotspot, now: Moment, is_answer: bool) -> Self {
        let sessions: Vec<_> = std::mem::take(&mut hotspot.sessions).into_iter().map(Some).collect();
        let positions = sessions.iter().enumerate();
        let positions =
            positions.filter_map(|(at, session)| Some((session.as_ref()?.id.clone(), at))).collect();
        Self { hotspot, sessions, positions, now, is_answer }
    }

    fn get(&self, id: &Text) -> Option<&Arc<Session>> {
        self.sessions[*self.positions.get(id)?].as_ref()
    }

    /// Inserts or replaces a session, and counts its traffic since it was known.
    fn update(&mut self, mut session: Session) {
        let known = self.get(&session.id).cloned();
        let is_corrected = known
            .as_ref()
            .is_some_and(|known| known.login != session.login && known.login == self.hotspot.last_login);
        let (upload, download) = match &known {
            Some(known) => session.traffic_since(known, self.now, self.is_answer),
            None if self.hotspot.has_baseline => session.traffic_since(&Session::zero(), self.now, false),
            None => (0, 0),
        };
        if known.is_none() {
            session.meter = Meter::begin(self.now);
        }
        let meter = &mut self.hotspot.meter;
        *meter = meter.map(|meter| meter.advance((upload, download), None));
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
        *last = if is_corrected {
            self.sessions.iter().flatten().filter_map(|session| session.login).max()
        } else {
            (*last).max(login)
        };
    }

    fn record_login(&mut self, session: Session) {
        self.counts(session.server.as_deref()).logins += 1;
        self.update(session);
    }

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

    /// Returns the sessions to the hotspot.
    fn finish(self, max_bytes: usize) -> Result<(), Error> {
        self.hotspot.sessions = self.sessions.into_iter().flatten().collect();
        let sessions = &self.hotspot.sessions;
        let cost: usize = sessions.iter().map(|session| session.cost()).sum();
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

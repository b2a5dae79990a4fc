//! The data of a hotspot: sessions, users, and counts of events at its servers.

use std::collections::{BTreeMap, HashMap};

use super::command::{self, SESSION};
use super::rates::{Meter, Rates};
use super::session::Session;
use crate::clock::Moment;
use crate::memory::{self, ALLOCATION};
use crate::routeros::client::Command;

/// The sessions and users of a hotspot, and counts of events since the agent's first read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hotspot {
    /// The active sessions. What changes is inline, and what stays is shared, so a copy of the list is cheap.
    pub sessions: Vec<Session>,
    /// How many users are configured, without the trial's row.
    pub configured_users: Option<u64>,
    /// How many rows of users are that of the trial. It rarely changes, so it is only read with whole rows.
    pub(super) trial_rows: Option<u64>,
    /// The most recent login seen, though its session may have ended since.
    pub last_login: Option<Moment>,
    /// The counts of each server, by its name, since the agent's first read. The empty name stands for sessions without
    /// a server, and for servers above the limit.
    pub servers: BTreeMap<String, Counts>,
    /// Logins and logouts that an answer revealed although a `listen` should have reported them.
    pub missed_events: u64,
    /// The ids of sessions of which an answer with figures only does not show enough. Data with such is never kept.
    pub(super) lacking: Vec<Vec<u8>>,
    /// Sessions of the last answer that were left out because of their `.id`.
    pub(in crate::plugin) left_out: usize,
    /// Whether some sessions are not kept. A session that appears may then be older.
    pub is_truncated: bool,
    /// Disagreements between the last answer and the changes, by the session's id.
    pub(super) discrepancies: HashMap<Vec<u8>, Discrepancy>,
    /// Whether an answer was complete. A session that appears later has then logged in since.
    pub(super) has_baseline: bool,
    /// When the agent itself changed the session at an id while no `listen` ran: an answer that was requested earlier is
    /// too old for it.
    pub(super) changed_at: HashMap<Vec<u8>, Moment>,
    /// Measures the traffic of `servers`, from the first whole answer on.
    pub(super) meter: Option<Meter>,
    /// What was counted since the last whole answer, which may be above what a meter holds.
    pub(super) unmeasured: Counts,
}

/// Counts of the events at one server that the agent saw. They never decrease.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Logins.
    pub logins: u64,
    /// Logouts for any reason.
    pub logouts: u64,
    /// Bytes that users uploaded, without those of a session before its first read or after its last.
    pub upload_bytes: u64,
    /// Bytes that users downloaded, counted likewise.
    pub download_bytes: u64,
}

impl Counts {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// The increase since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    fn with(self, other: Self, combine: fn(u64, u64) -> u64) -> Self {
        Self {
            logins: combine(self.logins, other.logins),
            logouts: combine(self.logouts, other.logouts),
            upload_bytes: combine(self.upload_bytes, other.upload_bytes),
            download_bytes: combine(self.download_bytes, other.download_bytes),
        }
    }
}

impl Hotspot {
    /// Bytes uploaded by the active sessions.
    pub fn bytes_in(&self) -> u64 {
        self.sessions.iter().fold(0, |sum, session| sum.saturating_add(session.bytes_in()))
    }

    /// Bytes downloaded by the active sessions.
    pub fn bytes_out(&self) -> u64 {
        self.sessions.iter().fold(0, |sum, session| sum.saturating_add(session.bytes_out()))
    }

    /// The counts of all servers together.
    pub fn counts(&self) -> Counts {
        self.servers.values().fold(Counts::default(), |sum, counts| sum.plus(*counts))
    }

    /// The rates of all traffic, that of sessions that ended included. Unknown until the second whole answer, and while
    /// some sessions are not kept.
    pub fn rates(&self) -> Option<Rates> {
        self.meter.as_ref()?.rates()
    }

    /// Whether the last answer and the changes of the `listen` disagree.
    pub fn has_discrepancy(&self) -> bool {
        !self.discrepancies.is_empty()
    }

    /// Whether the next refresh may query figures only: all sessions are known.
    pub(in crate::plugin) fn is_complete(&self) -> bool {
        self.has_baseline && !self.is_truncated && !self.has_discrepancy()
    }

    /// The command for the whole rows of the sessions of which an answer with figures does not show enough. The plugin must
    /// then be read again, with its answer added.
    pub fn lacking(&self) -> Option<Command> {
        let ids: Vec<&[u8]> = self.lacking.iter().map(Vec::as_slice).collect();
        (!ids.is_empty()).then(|| command::sessions_at(&ids))
    }

    /// Bytes of memory that it takes.
    pub(in crate::plugin) fn cost(&self) -> usize {
        self.sessions.iter().map(Session::cost).sum::<usize>()
            + self.discrepancies.values().map(Discrepancy::cost).sum::<usize>()
    }

    /// The same with the first sessions only, up to `max_bytes` bytes.
    pub(in crate::plugin) fn truncated(&self, max_bytes: usize) -> Self {
        Self {
            sessions: memory::first(&self.sessions, Session::cost, max_bytes).to_vec(),
            servers: self.servers.clone(),
            is_truncated: true,
            configured_users: self.configured_users,
            trial_rows: self.trial_rows,
            last_login: self.last_login,
            missed_events: self.missed_events,
            left_out: self.left_out,
            ..Self::default()
        }
    }

    /// The names of the columns of [`Session::row`].
    pub(in crate::plugin) fn columns() -> Vec<String> {
        // People do not need the `.id`.
        SESSION.split(',').skip(1).map(Into::into).collect()
    }
}

/// An answer that disagrees with the changes that a `listen` has reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Discrepancy {
    /// The session that the answer has at this id.
    pub(super) seen: Option<Session>,
    pub(super) since: Moment,
}

impl Discrepancy {
    fn cost(&self) -> usize {
        self.seen.as_ref().map_or(0, Session::cost) + size_of::<(Vec<u8>, Self)>() * 2 + ALLOCATION
    }
}

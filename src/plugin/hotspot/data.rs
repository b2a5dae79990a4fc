//! What is known of a hotspot: its sessions, its users, and counts of what happened at its servers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::command::SESSION;
use super::session::Session;
use crate::clock::Moment;
use crate::memory::{self, ALLOCATION};
use crate::routeros::value::Text;

/// What a hotspot says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hotspot {
    /// The sessions under way.
    pub sessions: Vec<Arc<Session>>,
    /// How many users are configured, the trial's row left out.
    pub configured_users: Option<u64>,
    /// The most recent login seen, though its session may have ended since.
    pub last_login: Option<Moment>,
    /// What happened at each server by its name, since the agent's first look.
    /// The empty name stands for sessions that tell of no server, and for servers that are too many.
    pub servers: BTreeMap<String, Counts>,
    /// Logins and logouts that an answer showed, and that a `listen` under way did not tell.
    pub missed_events: u64,
    /// Sessions of the last answer that were left out because of their `.id`.
    pub(in crate::plugin) left_out: usize,
    /// Whether there are sessions that are not kept: who is new to us may have been there before.
    pub(super) is_truncated: bool,
    /// Where the last answer and the changes disagree, by the session's id.
    pub(super) discrepancies: HashMap<Text, Discrepancy>,
    /// Whether an answer has shown all who were there, so that who is new has come since.
    pub(super) has_baseline: bool,
    /// When somebody changed what is at an id, where no `listen` tells: an answer that was asked for before
    /// that is too old to say.
    pub(super) changed_at: HashMap<Text, Moment>,
}

/// What was seen to happen at one server. No count ever goes down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Logins.
    pub logins: u64,
    /// Logouts, of whatever reason.
    pub logouts: u64,
    /// Bytes that users uploaded. What a session moved before the first look, or after the last look at
    /// it, is not among them.
    pub upload_bytes: u64,
    /// Bytes that users downloaded, in the same way.
    pub download_bytes: u64,
}

impl Hotspot {
    /// Bytes uploaded by the sessions under way.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.sessions.iter().fold(0, |sum, session| sum.saturating_add(session.bytes_in))
    }

    /// Bytes downloaded by the sessions under way.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.sessions.iter().fold(0, |sum, session| sum.saturating_add(session.bytes_out))
    }

    /// What happened at all servers together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.servers.values().fold(Counts::default(), |sum, counts| Counts {
            logins: sum.logins + counts.logins,
            logouts: sum.logouts + counts.logouts,
            upload_bytes: sum.upload_bytes.saturating_add(counts.upload_bytes),
            download_bytes: sum.download_bytes.saturating_add(counts.download_bytes),
        })
    }

    /// Whether the last answer and the changes told disagree.
    #[must_use]
    pub fn has_discrepancy(&self) -> bool {
        !self.discrepancies.is_empty()
    }

    /// Bytes of memory that it takes.
    pub(in crate::plugin) fn cost(&self) -> usize {
        self.sessions.iter().map(session_cost).sum::<usize>()
            + self.discrepancies.values().map(Discrepancy::cost).sum::<usize>()
    }

    /// The first sessions of it, up to so many bytes.
    pub(in crate::plugin) fn truncated(&self, max_bytes: usize) -> Self {
        Self {
            sessions: memory::first(&self.sessions, session_cost, max_bytes).to_vec(),
            servers: self.servers.clone(),
            is_truncated: true,
            configured_users: self.configured_users,
            last_login: self.last_login,
            missed_events: self.missed_events,
            left_out: self.left_out,
            ..Self::default()
        }
    }

    /// The names of the columns of [`Session::row`].
    pub(in crate::plugin) fn columns() -> Vec<String> {
        // The `.id` is of no use to a person.
        SESSION[1..].iter().map(ToString::to_string).collect()
    }
}

fn session_cost(session: &Arc<Session>) -> usize {
    // Its place in the list, the counts of the `Arc`, and up to eight texts.
    session.cost() + 9 * ALLOCATION
}

/// An answer that disagrees with the changes that a `listen` has reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Discrepancy {
    /// The session that the answer has at this id.
    pub(super) seen: Option<Arc<Session>>,
    pub(super) since: Moment,
}

impl Discrepancy {
    fn cost(&self) -> usize {
        self.seen.as_ref().map_or(0, |session| session.cost()) + size_of::<(Text, Self)>() * 2
    }
}

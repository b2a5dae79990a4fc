//! Finds sessions by their ids in a list that changes.

use std::collections::{HashMap, HashSet};

use super::session::Session;

/// The positions of sessions in a list. Removed sessions stay in the list until the end, so that no position changes.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// Where the next session of an answer probably is: most answers have the order of the previous one.
    next: usize,
    /// The positions of all ids, once a session was not where it was expected.
    positions: Option<HashMap<Vec<u8>, usize>>,
    pub(super) removed: HashSet<usize>,
}

impl Lookup {
    /// The position of the session with this id.
    pub(super) fn find(&mut self, sessions: &[Session], id: &[u8]) -> Option<usize> {
        let is_there = |at: usize, session: &Session| session.id_bytes() == id && !self.removed.contains(&at);
        let expected = Some(self.next).filter(|at| sessions.get(*at).is_some_and(|of| is_there(*at, of)));
        let at = expected.or_else(|| {
            let all = sessions.iter().enumerate().filter(|(at, _)| !self.removed.contains(at));
            let all = all.map(|(at, session)| (session.id_bytes().to_vec(), at));
            self.positions.get_or_insert_with(|| all.collect()).get(id).copied()
        })?;
        self.next = at + 1;
        Some(at)
    }

    /// Adds a session, which will be at this position.
    pub(super) fn insert(&mut self, id: &[u8], at: usize) {
        if let Some(positions) = &mut self.positions {
            positions.insert(id.to_vec(), at);
        }
    }

    /// Removes the session with this id, and returns its position.
    pub(super) fn remove(&mut self, sessions: &[Session], id: &[u8]) -> Option<usize> {
        let at = self.find(sessions, id)?;
        if let Some(positions) = &mut self.positions {
            positions.remove(id);
        }
        self.removed.insert(at);
        Some(at)
    }
}

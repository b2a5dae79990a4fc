//! A counter over rows that come, grow, begin anew and go.

use std::collections::{HashMap, HashSet};

use super::declaration::{Metric, number_of};
use crate::memory::ALLOCATION;
use crate::plugin::context::Context;
use crate::plugin::limits;
use crate::plugin::metric::Family;
use crate::routeros::wire::Sentence;

/// Most rows remembered: as many as two answers have. They are remembered though they are gone from an answer, for they
/// may come back: a query leaves out a port while its cable is. Past this, those that are gone are forgotten.
const MAX_REMEMBERED: usize = 2 * limits::DECLARED.rows;

/// What a property of the rows has grown so far. Never goes down.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counter {
    pub(super) metric: Metric,
    pub(super) total: Family,
    /// What each row showed last.
    rows: HashMap<Box<[u8]>, f64>,
    /// Whether a complete answer was read. Until then a row that is new here may be old on the router.
    has_baseline: bool,
}

impl Counter {
    pub(super) fn new(metric: Metric) -> Self {
        let total = Family::counter(metric.name.clone(), "");
        Self { metric, total, rows: HashMap::new(), has_baseline: false }
    }

    /// Adds what these rows grew. The first complete answer is the baseline and adds nothing: what the router
    /// had counted by then does not belong to the time that the agent has watched.
    pub(super) fn count(&mut self, column: &str, rows: &[&Sentence], is_complete: bool, context: &Context) {
        self.total.next_round();
        let mut seen = HashSet::new();
        for (at, row) in rows.iter().enumerate() {
            let id = id_of(row, at);
            let before = self.rows.get(&id).copied();
            let value = number_of(row, column).filter(|value| *value >= 0.0);
            seen.insert(id.clone());
            // One that says nothing this time is still the same.
            let Some(now) = value.or(before) else { continue };
            let grown = match before {
                Some(before) if now >= before => now - before,
                // The router has reset its counter, or the row is new on the router.
                Some(_) => now,
                None if self.has_baseline => now,
                None => 0.0,
            };
            self.total.add(self.metric.labels_of(row, context), grown);
            self.rows.insert(id, now);
        }
        self.has_baseline |= is_complete;
        if self.rows.len() > MAX_REMEMBERED {
            self.rows.retain(|id, _| seen.contains(id));
        }
    }
}

impl Counter {
    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        let rows = self.rows.keys().map(|id| size_of::<(Box<[u8]>, f64)>() * 2 + ALLOCATION + id.len());
        self.total.cost() + rows.sum::<usize>()
    }

    /// Forgets what it has counted: there is no room for it. The next complete answer is its baseline.
    pub(super) fn clear(&mut self) {
        self.total.clear();
        self.rows = HashMap::new();
        self.has_baseline = false;
    }
}

/// What a row is known by; the one row of a menu that has no more has no `.id`.
fn id_of(row: &Sentence, at: usize) -> Box<[u8]> {
    row.get(".id").map_or_else(|| at.to_string().into_bytes().into(), Into::into)
}

//! A counter over rows that come, grow, begin anew and go.

use std::collections::HashMap;

use super::{Metric, number_of};
use crate::plugin::{Context, Family};
use crate::routeros::wire::Sentence;

/// Most rows remembered of a menu of which only parts come: a few answers' worth. What finds no room
/// is not counted, so that no row ever counts twice.
const MAX_REMEMBERED: usize = 8192;

/// What a property of the rows has grown so far. Never goes down.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counter {
    pub(super) metric: Metric,
    pub(super) total: Family,
    /// What each row showed last.
    rows: HashMap<Box<[u8]>, f64>,
}

impl Counter {
    pub(super) fn new(metric: Metric, help: String) -> Self {
        let total = Family::counter(metric.name.clone(), help);
        Self { metric, total, rows: HashMap::new() }
    }

    /// Counts what these rows grew. Those that are not among them are gone where the answer is whole.
    pub(super) fn count(&mut self, column: &str, rows: &[&Sentence], is_whole: bool, context: &Context) {
        let mut known = if is_whole { HashMap::new() } else { self.rows.clone() };
        for (at, row) in rows.iter().enumerate() {
            let id = id_of(row, at);
            let before = self.rows.get(&id).copied();
            let value = number_of(row, column).filter(|value| *value >= 0.0);
            // One that says nothing this time is still the same.
            let Some(now) = value.or(before) else { continue };
            if before.is_none() && known.len() >= MAX_REMEMBERED {
                continue;
            }
            // What fell began anew.
            let grown = before.filter(|before| now >= *before).map_or(now, |before| now - before);
            self.total.add(self.metric.labels_of(row, context), grown);
            known.insert(id, now);
        }
        self.rows = known;
    }
}

/// What a row is known by; the one row of a menu that has no more has no `.id`.
fn id_of(row: &Sentence, at: usize) -> Box<[u8]> {
    row.get(".id").map_or_else(|| at.to_string().into_bytes().into(), Into::into)
}

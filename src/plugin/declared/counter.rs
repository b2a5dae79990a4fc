//! The sum of a growing property over rows that appear, disappear and are reset.

use std::collections::{HashMap, HashSet};

use super::declaration::{Metric, number_of};
use crate::memory::ALLOCATION;
use crate::plugin::context::ReadContext;
use crate::plugin::limits;
use crate::plugin::metric::Family;
use crate::routeros::wire::SentenceRef;

/// Maximum number of rows that are remembered: twice those of an answer. A row that is missing from an answer is
/// remembered, because it may reappear. For example, a query may exclude a port while its cable is unplugged. Above the
/// limit, all missing rows are forgotten, and the answer counts as partial; one that reappears later counts as new, with
/// its whole value.
const MAX_REMEMBERED: usize = 2 * limits::DECLARED.rows;

/// The increase of a property of the rows so far. Never decreases.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RunningTotal {
    pub(super) metric: Metric,
    pub(super) total: Family,
    /// The last value of each row.
    rows: HashMap<Box<[u8]>, f64>,
    /// Whether a complete answer was read. Until then, an unknown row may have existed before the agent
    /// started, so its value is not counted.
    has_baseline: bool,
    /// How many missing rows the last answer made it forget.
    forgotten: usize,
}

impl RunningTotal {
    pub(super) fn new(metric: Metric) -> Self {
        let total = Family::counter(metric.name.clone(), "");
        Self { metric, total, rows: HashMap::new(), has_baseline: false, forgotten: 0 }
    }

    /// Adds the increase of these rows. The first complete answer is the baseline and adds nothing, because the router
    /// counted it before the agent's first read. A missing row keeps its part of the total and its last value; a value that
    /// fell counts whole.
    pub(super) fn count(
        &mut self,
        column: &str,
        rows: &[SentenceRef],
        is_complete: bool,
        context: &ReadContext,
    ) {
        self.total.next_round();
        let mut seen = HashSet::new();
        for (at, row) in rows.iter().enumerate() {
            let id = id_of(*row, at);
            let before = self.rows.get(&id).copied();
            let value = number_of(*row, column).filter(|value| *value >= 0.0);
            seen.insert(id.clone());
            // A row without a value keeps its last one.
            let Some(now) = value.or(before) else { continue };
            let increase = match before {
                Some(before) if now >= before => now - before,
                // The router has reset its counter.
                Some(_) => now,
                // The row is new on the router.
                None if self.has_baseline => now,
                None => 0.0,
            };
            self.total.add(self.metric.labels_of(*row, context), increase);
            self.rows.insert(id, now);
        }
        self.has_baseline |= is_complete;
        let known = self.rows.len();
        if known > MAX_REMEMBERED {
            self.rows.retain(|id, _| seen.contains(id));
        }
        self.forgotten = known - self.rows.len();
    }

    /// The message about the rows that the last answer made it forget; `None` if there are none.
    pub(super) fn forgotten(&self) -> Option<String> {
        (self.forgotten > 0).then(|| {
            let (name, rows) = (&self.total.name, self.forgotten);
            format!("{name} remembers {MAX_REMEMBERED} rows: it has forgotten {rows} that were missing")
        })
    }

    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        let rows = self.rows.keys().map(|id| size_of::<(Box<[u8]>, f64)>() * 2 + ALLOCATION + id.len());
        self.total.cost() + rows.sum::<usize>()
    }

    /// Drops its values for lack of memory. The next complete answer is the baseline.
    pub(super) fn clear(&mut self) {
        self.total.clear();
        self.rows = HashMap::new();
        self.has_baseline = false;
    }
}

/// The identity of a row: its `.id`, or else its position. Menus without an `.id` have one row.
fn id_of(row: SentenceRef, at: usize) -> Box<[u8]> {
    row.get(".id").map_or_else(|| at.to_string().into_bytes().into(), Into::into)
}

//! An accumulator: the minimum, maximum and time-weighted sum of one series over a span.

use std::time::Duration;

/// The values of one series over a span, weighted by the time that each was valid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Accumulator {
    /// Each value times its milliseconds; for a series of sums, the sum.
    pub(super) sum: f64,
    /// Milliseconds in which the value was known.
    pub(super) known_ms: u32,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Accumulator {
    pub(super) const EMPTY: Self = Self { sum: 0.0, known_ms: 0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// Adds a value that was valid for this time.
    pub(super) fn add(&mut self, value: f64, ms: u32) {
        let span = Self { sum: value * f64::from(ms), known_ms: ms, min: value, max: value };
        self.merge(&span);
    }

    /// Adds the values of another span.
    pub(super) fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.known_ms = self.known_ms.saturating_add(other.known_ms);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known_ms == 0 && self.sum == 0.0
    }

    /// The average over the known time.
    pub(super) fn average(&self) -> f64 {
        self.sum / f64::from(self.known_ms.max(1))
    }

    /// The known part of a slot of this length, from 0 to 1.
    pub(super) fn coverage(&self, step: Duration) -> f64 {
        (f64::from(self.known_ms) / (step.as_secs_f64() * 1000.0)).min(1.0)
    }
}

//! The slots of earlier runs in one resolution.
//!
//! Some may begin after this run: its clock is behind, or another one was ahead when they were stored. Nothing shows
//! them before their date is reached. They have a ring of their own, so that they can't displace the others.

use super::ring::Ring;
use super::slot::Slot;

/// The slots of earlier runs in one resolution.
#[derive(Debug)]
pub(super) struct RestoredSlots {
    past: Ring,
    future: Ring,
    /// The index of the slot in which this run began, the last one of `past`.
    began: i64,
    /// Whether `future` was recorded later than `past`, and so is kept if there is no room for both.
    is_future_newer: bool,
}

impl RestoredSlots {
    pub(super) fn new(capacity: usize, began: i64) -> Self {
        let [past, future] = [Ring::new(capacity), Ring::new(capacity)];
        Self { past, future, began, is_future_newer: false }
    }

    pub(super) fn get(&self, index: i64) -> Option<&Slot> {
        if index > self.began { self.future.get(index) } else { self.past.get(index) }
    }

    /// The index of the last slot by date, if there is one.
    pub(super) fn last(&self) -> Option<i64> {
        self.future.last().or(self.past.last())
    }

    /// The slots with their indexes, in the order of their dates.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Slot)> {
        self.past.iter().chain(self.future.iter())
    }

    /// Adds a slot that was recorded after those before, and replaces the one with its index. In the past, a slot is too
    /// old if a clock was far behind.
    pub(super) fn restore(&mut self, index: i64, slot: Slot) {
        self.is_future_newer = index > self.began;
        if self.is_future_newer && self.future.entry(index).is_none() {
            // The clock was set back by more than the ring holds: what was recorded before that is older.
            self.future.clear();
        }
        self.complete(index, slot);
    }

    /// Replaces a slot, unless it is too old.
    pub(super) fn complete(&mut self, index: i64, slot: Slot) {
        if let Some(place) = self.ring(index).entry(index) {
            *place = slot;
        }
    }

    fn ring(&mut self, index: i64) -> &mut Ring {
        if index > self.began { &mut self.future } else { &mut self.past }
    }

    /// Drops the slots that were recorded first, down to this number.
    pub(super) fn resize(&mut self, capacity: usize) {
        let Self { past, future, .. } = self;
        let (newer, older) = if self.is_future_newer { (future, past) } else { (past, future) };
        newer.resize(capacity);
        older.resize(capacity - newer.len());
    }

    /// Bytes of memory that the slots take.
    pub(super) fn cost(&self) -> usize {
        self.past.cost() + self.future.cost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Restores slots of these indexes into five places, in a run that began at index 100, and leaves so many places.
    fn kept(indexes: &[i64], places: usize) -> Vec<i64> {
        let mut slots = RestoredSlots::new(5, 100);
        for index in indexes {
            slots.restore(*index, Slot::from_bytes([1; Slot::SIZE]));
        }
        slots.resize(places);
        assert!(slots.iter().all(|(index, slot)| slots.get(index) == Some(slot)), "{indexes:?}");
        assert!(slots.cost() <= places * Slot::SIZE);
        slots.iter().map(|(index, _)| index).collect()
    }

    #[test]
    fn what_was_recorded_last_is_kept_if_there_is_no_room() {
        for (case, indexes, places, expected) in [
            ("all of them fit", &[98, 99, 100, 101][..], 5, &[98, 99, 100, 101][..]),
            ("the clock is behind", &[98, 99, 100, 101, 102, 103, 104], 5, &[100, 101, 102, 103, 104]),
            ("it is far behind", &[98, 99, 900, 901, 902], 4, &[99, 900, 901, 902]),
            ("another one was far ahead", &[98, 900, 901, 99, 100], 4, &[98, 99, 100, 901]),
            ("the present takes all places", &[98, 900], 0, &[]),
            ("another one was far behind", &[98, 99, 100, 20], 5, &[98, 99, 100]),
            ("two were ahead", &[900, 901, 120, 121], 5, &[120, 121]),
        ] {
            assert_eq!(kept(indexes, places), expected, "{case}");
        }
    }
}

//! The finished slots of a site: those of this run of the agent, and those restored from earlier ones.
//!
//! The slots of this run follow the monotonic clock: if the system's clock is set, they move with it. The restored ones
//! keep their dates.

use std::array;

use super::accumulator::Accumulator;
use super::restored::RestoredSlots;
use super::ring::{Resolution, Ring};
use super::series::Series;
use super::slot::Slot;

/// The maximum number of slots of each resolution.
pub(super) type Capacities = [usize; 4];

/// The values of each series.
type Values = [(Series, Accumulator); 7];

/// The finished slots of a site.
#[derive(Debug)]
pub(super) struct Timeline {
    capacities: Capacities,
    live: [Ring; 4],
    /// They make room for those of this run.
    restored: [RestoredSlots; 4],
}

impl Timeline {
    /// An empty timeline of a run that began at this date.
    pub(super) fn new(capacities: Capacities, began_ms: i64) -> Self {
        let restored = Resolution::ALL.map(|resolution| {
            RestoredSlots::new(capacities[resolution as usize], began_ms.div_euclid(resolution.step_ms()))
        });
        Self { capacities, live: capacities.map(Ring::new), restored }
    }

    pub(super) fn capacity(&self, resolution: Resolution) -> usize {
        self.capacities[resolution as usize]
    }

    pub(super) fn resize(&mut self, capacities: Capacities) {
        self.capacities = capacities;
        for (ring, capacity) in self.live.iter_mut().zip(capacities) {
            ring.resize(capacity);
        }
        for resolution in Resolution::ALL {
            self.make_room(resolution);
        }
    }

    /// Bytes of memory that the slots take.
    pub(super) fn cost(&self) -> usize {
        let live: usize = self.live.iter().map(Ring::cost).sum();
        live + self.restored.iter().map(RestoredSlots::cost).sum::<usize>()
    }

    /// The slot with this index, which is empty if nothing is known.
    pub(super) fn slot(&self, resolution: Resolution, index: i64) -> Slot {
        let at = resolution as usize;
        match (self.live[at].get(index), self.restored[at].get(index)) {
            (Some(one), None | Some(&Slot::EMPTY)) | (None | Some(&Slot::EMPTY), Some(one)) => *one,
            (None, None) => Slot::EMPTY,
            (Some(live), Some(restored)) => {
                let mut slot = *restored;
                slot.add(live.values(resolution.step()), resolution.step());
                slot
            }
        }
    }

    /// The indexes of the slots from `from` on, oldest first.
    pub(super) fn indexes(&self, resolution: Resolution, from: i64) -> Vec<i64> {
        let (restored, live) = (&self.restored[resolution as usize], &self.live[resolution as usize]);
        let indexes = restored.iter().chain(live.iter()).map(|(index, _)| index);
        let mut indexes: Vec<i64> = indexes.filter(|index| *index >= from).collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes
    }

    /// Adds these values to a slot of this run.
    pub(super) fn record(
        &mut self,
        resolution: Resolution,
        index: i64,
        values: impl Iterator<Item = (Series, Accumulator)>,
    ) {
        let mut values = values.filter(|(_, value)| !value.is_empty()).peekable();
        if values.peek().is_none() {
            return;
        }
        if let Some(slot) = self.live[resolution as usize].entry(index) {
            slot.add(values, resolution.step());
            self.make_room(resolution);
        }
    }

    /// Adds a slot of an earlier run. If it was restored before, it replaces that.
    pub(super) fn restore(&mut self, resolution: Resolution, index: i64, slot: Slot) {
        self.restored[resolution as usize].restore(index, slot);
    }

    /// The index of the last slot of earlier runs.
    pub(super) fn last_restored(&self, resolution: Resolution) -> Option<i64> {
        self.restored[resolution as usize].last()
    }

    /// Computes restored slots that were not finished from finer ones, if these know more.
    pub(super) fn complete_restored(&mut self) {
        for pair in Resolution::ALL.windows(2) {
            let &[fine, coarse] = pair else { continue };
            let factor = coarse.step_ms() / fine.step_ms();
            let slots = self.restored[fine as usize].iter();
            for (index, sum) in sums(slots.map(|(index, slot)| (index.div_euclid(factor), slot)), fine) {
                let mut slot = Slot::EMPTY;
                slot.add(sum, coarse.step());
                let known = |slot: &Slot| slot.coverage(Series::Reachable);
                if known(&slot) > self.restored[coarse as usize].get(index).map_or(0.0, known) {
                    self.restored[coarse as usize].complete(index, slot);
                }
            }
        }
        for resolution in Resolution::ALL {
            self.make_room(resolution);
        }
    }

    /// Moves the slots of this run, which began at `began_ms`, by this time. Each one moves to the slot that contains its
    /// middle. Coarse slots are computed again from the finest ones that reach back far enough.
    pub(super) fn shift(&mut self, began_ms: i64, by_ms: i64) {
        let old = std::mem::replace(&mut self.live, self.capacities.map(Ring::new));
        let mut bounds: [i64; 4] = array::from_fn(|fine| complete_from(&old, fine, began_ms));
        for fine in (1..3).rev() {
            bounds[fine - 1] = bounds[fine - 1].max(bounds[fine]);
        }
        for (at, coarse) in Resolution::ALL.into_iter().enumerate() {
            let mut until = i64::MAX;
            for (fine, ring) in Resolution::ALL.into_iter().zip(&old).take(at + 1) {
                let from = if fine == coarse { i64::MIN } else { bounds[fine as usize] };
                let step = fine.step_ms();
                let slots = ring.iter().filter(|(index, _)| (from..until).contains(&(index * step)));
                let moved = |index: i64| (index * step + step / 2 + by_ms).div_euclid(coarse.step_ms());
                let ring = &mut self.live[at];
                for (index, sum) in sums(slots.map(|(index, slot)| (moved(index), slot)), fine) {
                    if let Some(place) = ring.entry(index) {
                        place.add(sum, coarse.step());
                    }
                }
                until = from;
            }
            self.make_room(coarse);
        }
    }

    /// Drops restored slots that are above the capacity.
    fn make_room(&mut self, resolution: Resolution) {
        let at = resolution as usize;
        self.restored[at].resize(self.capacities[at].saturating_sub(self.live[at].len()));
    }
}

/// The sums of slots of a resolution that have the same index, which ascends. They are rounded only once.
fn sums<'s>(slots: impl Iterator<Item = (i64, &'s Slot)>, resolution: Resolution) -> Vec<(i64, Values)> {
    let mut sums: Vec<(i64, Values)> = Vec::new();
    for (index, slot) in slots {
        let values = slot.values(resolution.step());
        match sums.last_mut().filter(|(last, _)| *last == index) {
            Some((_, sum)) => {
                for ((_, sum), (_, value)) in sum.iter_mut().zip(&values) {
                    sum.merge(value);
                }
            }
            None => sums.push((index, values)),
        }
    }
    sums
}

/// The moment from which a ring has everything of this run: the start of a slot of the next resolution.
fn complete_from(rings: &[Ring; 4], fine: usize, began_ms: i64) -> i64 {
    let (Some(fine), Some(coarse)) = (Resolution::ALL.get(fine), Resolution::ALL.get(fine + 1)) else {
        return i64::MAX;
    };
    let Some(first) = rings[*fine as usize].first() else { return i64::MAX };
    let (first, step) = (first * fine.step_ms(), coarse.step_ms());
    if first <= began_ms { first.div_euclid(step) * step } else { -(-first).div_euclid(step) * step }
}

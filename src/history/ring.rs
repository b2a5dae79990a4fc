//! A ring: the latest slots of one resolution. It takes memory as slots fill.

use std::collections::VecDeque;
use std::time::Duration;

use super::slot::Slot;

/// The length of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// One minute, for 3 hours.
    Minute,
    /// Five minutes, for 48 hours.
    FiveMinutes,
    /// One hour, for 35 days.
    Hour,
    /// One day in UTC, for 400 days.
    Day,
}

impl Resolution {
    /// All resolutions, the finest first.
    pub const ALL: [Self; 4] = [Self::Minute, Self::FiveMinutes, Self::Hour, Self::Day];

    /// The length of a slot.
    pub const fn step(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3600,
            Self::Day => 86_400,
        })
    }

    /// The number of slots, unless the memory is too small for them.
    pub(super) const fn slots(self) -> usize {
        match self {
            Self::Minute => 180,
            Self::FiveMinutes => 576,
            Self::Hour => 840,
            Self::Day => 400,
        }
    }

    /// The length of a slot in milliseconds.
    pub(super) const fn step_ms(self) -> i64 {
        self.step().as_secs().cast_signed() * 1000
    }
}

/// The latest slots of one resolution. A slot's index is the number of such spans from the Unix epoch to its start.
#[derive(Debug, Default)]
pub(super) struct Ring {
    slots: VecDeque<Slot>,
    /// The index of the first slot.
    first: i64,
    /// Maximum number of slots.
    capacity: usize,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self { slots: VecDeque::new(), first: 0, capacity }
    }

    /// The number of slots, including empty ones between others.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The index of the first slot, if there is one.
    pub(super) fn first(&self) -> Option<i64> {
        (!self.slots.is_empty()).then_some(self.first)
    }

    /// The index of the last slot, if there is one.
    pub(super) fn last(&self) -> Option<i64> {
        Some(self.first()? + i64::try_from(self.slots.len()).unwrap_or(0) - 1)
    }

    pub(super) fn get(&self, index: i64) -> Option<&Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    /// The slots with their indexes, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Slot)> {
        (self.first..).zip(&self.slots)
    }

    /// The slot with this index, which is added if it is missing. The oldest slots are dropped if there are too many.
    /// `None` if it is too old itself.
    pub(super) fn entry(&mut self, index: i64) -> Option<&mut Slot> {
        let capacity = i64::try_from(self.capacity).unwrap_or(i64::MAX);
        let end = self.first.saturating_add(i64::try_from(self.slots.len()).unwrap_or(i64::MAX));
        if capacity == 0 || (!self.slots.is_empty() && index < end.saturating_sub(capacity)) {
            return None;
        }
        if self.slots.is_empty() || index >= end.saturating_add(capacity) {
            self.slots.clear();
            self.first = index;
        }
        while index < self.first {
            self.reserve();
            self.slots.push_front(Slot::EMPTY);
            self.first -= 1;
        }
        while self.get(index).is_none() {
            if self.slots.len() >= self.capacity {
                self.slots.pop_front();
                self.first += 1;
            }
            self.reserve();
            self.slots.push_back(Slot::EMPTY);
        }
        self.slots.get_mut(usize::try_from(index - self.first).ok()?)
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
    }

    /// Changes the capacity, and drops the oldest slots that are above it.
    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        let excess = self.slots.len().saturating_sub(capacity);
        self.slots.drain(..excess);
        self.first += i64::try_from(excess).unwrap_or(0);
        self.slots.shrink_to(capacity);
    }

    /// Bytes of memory that the slots take. The system provides reserved memory only when it is used first.
    pub(super) fn cost(&self) -> usize {
        self.len() * Slot::SIZE
    }

    /// Reserves the address space of all slots at once: a queue that grows step by step leaves unused memory behind.
    fn reserve(&mut self) {
        let len = self.slots.len();
        if len == self.slots.capacity() {
            self.slots.reserve_exact(self.capacity.saturating_sub(len));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(ring: &Ring) -> Vec<i64> {
        ring.iter().map(|(index, _)| index).collect()
    }

    #[test]
    fn the_oldest_slots_make_room_for_newer_ones() {
        let mut ring = Ring::new(3);
        for (index, is_there, expected) in [
            (10, true, &[10][..]),
            (12, true, &[10, 11, 12]),
            (9, false, &[10, 11, 12]),
            (13, true, &[11, 12, 13]),
            (11, true, &[11, 12, 13]),
            (100, true, &[100]),
            (98, true, &[98, 99, 100]),
            (97, false, &[98, 99, 100]),
        ] {
            assert_eq!(ring.entry(index).is_some(), is_there, "{index}");
            assert_eq!(indexes(&ring), expected, "{index}");
        }
        assert!(Ring::new(0).entry(1).is_none());
    }

    #[test]
    fn a_ring_takes_memory_as_it_fills_and_never_more_than_its_capacity() {
        let mut ring = Ring::new(100);
        for index in 0..300_i64 {
            ring.entry(index);
            let slots = usize::try_from(index + 1).unwrap().min(100);
            assert_eq!((ring.cost(), ring.slots.capacity()), (slots * Slot::SIZE, 100), "{index}");
        }
        ring.resize(10);
        assert_eq!((indexes(&ring), ring.slots.capacity()), ((290..300).collect(), 10));
    }
}

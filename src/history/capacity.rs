//! The number of slots per site that fit the memory for the history.

use super::mark::Mark;
use super::ring::Resolution;
use super::slot::Slot;
use super::timeline::Capacities;

/// Maximum number of marks of a site: an outage a day for four months, or a night on a bad link.
const MAX_MARKS: usize = 128;

/// The part of a site's memory that marks may take: a sixteenth.
const MARKS_PART: usize = 16;

/// The fewest slots of each resolution, as long as the days have at least as many: ten minutes, an hour, a day, a month.
const LEAST: Capacities = [10, 12, 24, 31];

/// The memory of one site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) slots: Capacities,
    pub(super) marks: usize,
}

/// The capacity of each of this many sites, which take `fixed` bytes without slots; `None` if there is no room for that
/// many. The finest slots are left out first.
pub(super) fn capacity(memory: usize, sites: usize, fixed: usize) -> Option<Capacity> {
    let own = (memory / sites.max(1)).checked_sub(fixed)?;
    let marks = (own / MARKS_PART / size_of::<Mark>()).min(MAX_MARKS);
    let room = (own - marks * size_of::<Mark>()) / Slot::SIZE;
    let mut slots = Resolution::ALL.map(Resolution::slots);
    for least in [LEAST, [0; 4]] {
        for at in 0..slots.len() {
            let excess = slots.iter().sum::<usize>().saturating_sub(room);
            slots[at] -= excess.min(slots[at].saturating_sub(least[at]));
        }
    }
    Some(Capacity { slots, marks })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;
    const FIXED: usize = 1400;

    #[test]
    fn the_finest_slots_are_left_out_first() {
        assert_eq!(capacity(4 * MIB, 3, FIXED).unwrap().slots, [180, 576, 840, 400]);
        assert_eq!(capacity(4 * MIB, 40, FIXED).unwrap().slots, [180, 576, 840, 400]);
        let mut last = [180, 576, 840, 400];
        for sites in 40..3000 {
            let Some(Capacity { slots, marks }) = capacity(4 * MIB, sites, FIXED) else { break };
            let is_shortened = |at: usize| slots[at] < last[at];
            for coarse in 1..4 {
                let is_finest = slots[..coarse].iter().zip(LEAST).all(|(slots, least)| *slots <= least);
                assert!(!is_shortened(coarse) || is_finest, "{sites}: {last:?} became {slots:?}");
            }
            let bytes =
                sites * (FIXED + marks * size_of::<Mark>() + slots.iter().sum::<usize>() * Slot::SIZE);
            assert!(bytes <= 4 * MIB, "{sites}: {bytes}");
            assert!(
                slots.iter().sum::<usize>() == 1996 || bytes > 4 * MIB - sites * 2 * Slot::SIZE,
                "{sites}: {bytes}"
            );
            last = slots;
        }
        assert_eq!(last[..3], [0; 3], "the days are left out last");
        assert_eq!(capacity(MIB, 4000, FIXED), None);
    }
}

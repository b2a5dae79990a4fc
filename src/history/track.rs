//! A track: series that are known up to the same moment, accumulated in one open slot of each resolution.

use super::accumulator::Accumulator;
use super::ring::Resolution;
use super::series::Series;
use super::timeline::Timeline;

/// Series that are known up to the same moment.
#[derive(Debug)]
pub(super) struct Track<const N: usize> {
    series: [Series; N],
    /// The moment up to which the values are recorded, in milliseconds since the Unix epoch.
    until_ms: i64,
    open: [OpenSlot<N>; 4],
}

/// The slot that contains the end of the recorded time.
#[derive(Debug)]
struct OpenSlot<const N: usize> {
    index: i64,
    values: [Accumulator; N],
}

impl<const N: usize> OpenSlot<N> {
    /// Adds values that were valid for this time.
    fn add(&mut self, values: [Option<f64>; N], ms: i64) {
        let ms = u32::try_from(ms).unwrap_or(u32::MAX);
        for (sum, value) in self.values.iter_mut().zip(values) {
            if let Some(value) = value {
                sum.add(value, ms);
            }
        }
    }
}

impl<const N: usize> Track<N> {
    pub(super) fn new(series: [Series; N], from_ms: i64) -> Self {
        let open = |resolution: Resolution| OpenSlot {
            index: from_ms.div_euclid(resolution.step_ms()),
            values: [Accumulator::EMPTY; N],
        };
        Self { series, until_ms: from_ms, open: Resolution::ALL.map(open) }
    }

    pub(super) fn until_ms(&self) -> i64 {
        self.until_ms
    }

    /// Records that these were the values from the end of the recorded time to `to_ms`.
    pub(super) fn advance(&mut self, to_ms: i64, values: [Option<f64>; N], timeline: &mut Timeline) {
        if to_ms <= self.until_ms {
            return;
        }
        for (at, resolution) in Resolution::ALL.into_iter().enumerate() {
            let step = resolution.step_ms();
            // Almost always: without divisions, which are slow.
            if to_ms < (self.open[at].index + 1) * step {
                self.open[at].add(values, to_ms - self.until_ms);
                continue;
            }
            // Slots before these would be dropped again.
            let kept = step.saturating_mul(i64::try_from(resolution.slots()).unwrap_or(i64::MAX));
            let mut from = self.until_ms.max(to_ms.saturating_sub(kept));
            while from < to_ms && values.iter().any(Option::is_some) {
                let index = from.div_euclid(step);
                let end = to_ms.min((index + 1) * step);
                self.roll(at, index, timeline);
                self.open[at].add(values, end - from);
                from = end;
            }
            self.roll(at, to_ms.div_euclid(step), timeline);
        }
        self.until_ms = to_ms;
    }

    /// Adds to a sum at the end of the recorded time.
    pub(super) fn count(&mut self, series: Series, count: f64) {
        let place = self.series.iter().position(|known| *known == series);
        for open in &mut self.open {
            if let Some(sum) = place.and_then(|place| open.values.get_mut(place)) {
                sum.sum += count;
            }
        }
    }

    /// The values of the open slot, if it is the one with this index.
    pub(super) fn open(
        &self,
        resolution: Resolution,
        index: i64,
    ) -> impl Iterator<Item = (Series, Accumulator)> + '_ {
        let open = self.open.get(resolution as usize).filter(|open| open.index == index);
        open.into_iter().flat_map(|open| self.series.into_iter().zip(open.values))
    }

    /// Stores the open slots, and continues `by_ms` later.
    pub(super) fn shift(&mut self, by_ms: i64) {
        *self = Self::new(self.series, self.until_ms.saturating_add(by_ms));
    }

    /// Stores the open slots as they are.
    pub(super) fn close(&mut self, timeline: &mut Timeline) {
        for (resolution, open) in Resolution::ALL.into_iter().zip(&mut self.open) {
            let values = std::mem::replace(&mut open.values, [Accumulator::EMPTY; N]);
            timeline.record(resolution, open.index, self.series.into_iter().zip(values));
        }
    }

    /// Opens the slot with this index, and stores the previous one.
    fn roll(&mut self, at: usize, index: i64, timeline: &mut Timeline) {
        let open = &mut self.open[at];
        if open.index != index {
            let values = std::mem::replace(&mut open.values, [Accumulator::EMPTY; N]);
            timeline.record(Resolution::ALL[at], open.index, self.series.into_iter().zip(values));
            open.index = index;
        }
    }
}

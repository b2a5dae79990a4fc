//! A series of values in equal intervals.

use crate::history::Figure;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Values in equal intervals. `None` is a gap: nothing is known.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::http::page) struct Curve {
    /// When the first interval begins, in seconds since the Unix epoch.
    pub(in crate::http::page) from: i64,
    /// The length of an interval in seconds, at least 1.
    pub(in crate::http::page) step: i64,
    pub(in crate::http::page) slots: Vec<Option<Figure>>,
    /// The known part of each interval, from 0 to 1: the weight of its average.
    pub(in crate::http::page) coverage: Vec<f64>,
}

impl Curve {
    /// When the last interval ends.
    pub(super) fn until(&self) -> i64 {
        self.start_of(self.slots.len())
    }

    /// When an interval begins.
    pub(super) fn start_of(&self, index: usize) -> i64 {
        self.from.saturating_add(self.step.saturating_mul(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    /// The known intervals with their starts.
    pub(super) fn known(&self) -> impl DoubleEndedIterator<Item = (i64, Figure)> {
        self.weighted().map(|(at, slot, _)| (at, slot))
    }

    /// The known intervals with their starts and coverage.
    pub(super) fn weighted(&self) -> impl DoubleEndedIterator<Item = (i64, Figure, f64)> {
        let slots = self.slots.iter().zip(&self.coverage).enumerate();
        slots.filter_map(|(index, (slot, coverage))| Some((self.start_of(index), (*slot)?, *coverage)))
    }

    /// The interval with the highest value, and its start.
    pub(super) fn peak(&self) -> Option<(i64, Figure)> {
        self.known().max_by(|(_, a), (_, b)| a.max.total_cmp(&b.max))
    }

    /// The curve in longer intervals, `count` or fewer, which begin at multiples of their length plus `shift`. Then
    /// they do not change while time passes. Extremes keep their height.
    pub(super) fn within(&self, count: usize, shift: i64) -> Self {
        let factor = i64::try_from(self.slots.len().div_ceil(count.max(1))).unwrap_or(i64::MAX).max(1);
        // One more than the quotient, if the ends are not at such multiples.
        let step = lengths(self.step).find(|step| *step >= self.step.saturating_mul(factor));
        let step = step.unwrap_or(self.step.saturating_mul(factor));
        // Days are those of UTC already.
        let shift = if self.step < DAY { shift } else { 0 };
        let number = |at: i64| (at - shift).div_euclid(step);
        let first = number(self.from);
        let group = |at: i64| usize::try_from(number(at) - first).unwrap_or(0);
        let count = self.slots.len().checked_sub(1).map_or(0, |last| group(self.start_of(last)) + 1);
        let mut groups = vec![Vec::new(); count];
        for (at, slot, coverage) in self.weighted() {
            groups[group(at)].push((slot, coverage));
        }
        let coverage = groups.iter().map(|group| weight(group) * self.step as f64 / step as f64).collect();
        let slots = groups.iter().map(|group| merge(group)).collect();
        Self { from: first.saturating_mul(step).saturating_add(shift), step, slots, coverage }
    }
}

/// Lengths of intervals that people expect, of multiples of `step`: from a minute to 100 days.
fn lengths(step: i64) -> impl Iterator<Item = i64> {
    let minutes = [1, 2, 5, 10, 15, 30].map(|count| count * MINUTE);
    let hours = [1, 2, 3, 4, 6, 12].map(|count| count * HOUR);
    let days = [1, 2, 4, 7, 14, 28, 50, 100].map(|count| count * DAY);
    minutes.into_iter().chain(hours).chain(days).filter(move |length| length % step == 0)
}

/// The known part of several intervals, in intervals.
fn weight(known: &[(Figure, f64)]) -> f64 {
    known.iter().map(|(_, coverage)| coverage).sum()
}

/// Several intervals as one, which has their extremes; none if nothing is known of any.
fn merge(known: &[(Figure, f64)]) -> Option<Figure> {
    (!known.is_empty()).then(|| Figure {
        min: known.iter().map(|(figure, _)| figure.min).fold(f64::INFINITY, f64::min),
        avg: known.iter().map(|(figure, coverage)| figure.avg * coverage).sum::<f64>() / weight(known),
        max: known.iter().map(|(figure, _)| figure.max).fold(f64::NEG_INFINITY, f64::max),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A curve of equal minimum, average and maximum; `-` is a gap.
    pub(in crate::http::page::chart) fn curve(from: i64, step: i64, values: &str) -> Curve {
        let slot =
            |value: &str| value.parse().ok().map(|value| Figure { min: value, avg: value, max: value });
        let slots: Vec<_> = values.split(' ').map(slot).collect();
        let coverage = slots.iter().map(|slot| f64::from(u8::from(slot.is_some()))).collect();
        Curve { from, step, slots, coverage }
    }

    #[test]
    fn longer_intervals_keep_extremes_and_gaps() {
        let merged = curve(300, 300, "1 5 - - - 3 9 7").within(3, 0);
        let slot = |min, avg, max| Some(Figure { min, avg, max });
        // Five minutes to fifteen: 0:05 and 0:10, then 0:15 to 0:25, then 0:30 to 0:40.
        let slots = vec![slot(1., 3., 5.), None, slot(3., 19. / 3., 9.)];
        let expected = Curve { from: 0, step: 900, slots, coverage: vec![2. / 3., 0., 1.] };
        assert_eq!(merged, expected);
        let weighted = Curve { coverage: vec![0.25, 1.0], ..curve(0, 300, "8 3") }.within(1, 0);
        assert_eq!(
            (weighted.slots[0], weighted.coverage[0]),
            (slot(3., 4., 8.), 0.625 * 600.0 / weighted.step as f64)
        );
        assert_eq!(merged.peak(), Some((1800, expected.slots[2].unwrap())));
        assert_eq!(curve(0, 60, "1 2 -").within(3, 0), curve(0, 60, "1 2 -"));
    }

    #[test]
    fn longer_intervals_begin_at_local_multiples() {
        let hours = curve(0, 3600, &["1"; 48].join(" "));
        let days = hours.within(3, -3600);
        assert_eq!((days.from, days.step, days.slots.len()), (-3600, 86_400, 3));
        assert_eq!(days.until(), 3 * 86_400 - 3600);
    }

    #[test]
    fn a_curve_without_values_has_no_peak() {
        assert_eq!(curve(0, 60, "- -").peak(), None);
        assert_eq!(Curve { from: 0, step: 60, slots: vec![], coverage: vec![] }.within(5, 0).slots, []);
    }
}

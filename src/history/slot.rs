//! A slot: all series of a site over one span of time, in 42 bytes.
//!
//! Rounding: users and percentages keep the minimum and maximum to 1 user and 1/600 percent, which is exact for all
//! values that routers send as whole numbers, and the average to 1/131,070 of the difference between both. Rates and
//! sums of logins are rounded to whole numbers up to 4,095, and have a relative error of at most 1/4,096 above. Shares of time are rounded
//! to 1/131,070 of the span. Rounding keeps the order of values, so the maximum of a day is the largest maximum of its
//! minutes.

use std::time::Duration;

use super::accumulator::Accumulator;
use super::series::Series;

/// The number of 16-bit fields.
const FIELDS: usize = 21;

/// A fraction of one as a field.
const ONE: f64 = 65_535.0;

/// The largest value of the floating-point format: 4.4 Tbit/s.
const LARGEST: f64 = 4095.0 * (1 << 30) as f64;

/// How the fields from `at` store the values of a series.
#[derive(Debug, Clone, Copy)]
enum Codec {
    /// Minimum and maximum times `scale`, between them the average as a fraction of their difference.
    Linear { at: usize, scale: f64 },
    /// Minimum, average and maximum in the floating-point format of [`to_float`].
    Float { at: usize },
    /// A sum in the same format.
    Sum { at: usize },
    /// The part of the known time in which the value was 1.
    Share { at: usize },
}

/// The field with the known part of the span, for all series of one source.
#[derive(Debug, Clone, Copy)]
enum Coverage {
    Reachable = 17,
    Hotspot,
    Traffic,
    Resource,
}

impl Series {
    fn codec(self) -> Codec {
        match self {
            Self::Users => Codec::Linear { at: 0, scale: 1.0 },
            Self::Upload => Codec::Float { at: 3 },
            Self::Download => Codec::Float { at: 6 },
            Self::Cpu => Codec::Linear { at: 9, scale: 600.0 },
            Self::Memory => Codec::Linear { at: 12, scale: 600.0 },
            Self::Logins => Codec::Sum { at: 15 },
            Self::Reachable => Codec::Share { at: 16 },
        }
    }

    fn coverage(self) -> Coverage {
        match self {
            Self::Users | Self::Logins => Coverage::Hotspot,
            Self::Upload | Self::Download => Coverage::Traffic,
            Self::Cpu | Self::Memory => Coverage::Resource,
            Self::Reachable => Coverage::Reachable,
        }
    }
}

/// All series over one span: the fields that `Series::codec` names, then those of `Coverage`. An unknown series is
/// absent, not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot([u16; FIELDS]);

/// The values of a series over the span of a slot. For a series of sums, each of them is the sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The smallest value.
    pub min: f64,
    /// The average over the time in which the value was known.
    pub avg: f64,
    /// The largest value.
    pub max: f64,
}

impl Slot {
    /// The length of [`Slot::to_bytes`].
    pub const SIZE: usize = 2 * FIELDS;

    /// A slot in which nothing is known. The minimum of an unknown gauge is above its maximum.
    pub(super) const EMPTY: Self = {
        let mut fields = [0; FIELDS];
        let mut gauge = 0;
        while gauge < 5 {
            fields[3 * gauge] = u16::MAX;
            gauge += 1;
        }
        Self(fields)
    };

    /// A slot of length `step` in which these series were known all the time.
    pub fn of(figures: impl IntoIterator<Item = (Series, Figure)>, step: Duration) -> Self {
        let known_ms = step.as_millis().try_into().unwrap_or(u32::MAX);
        let values = figures.into_iter().map(|(series, Figure { min, avg, max })| {
            let sum = if series.is_sum() { avg } else { avg * f64::from(known_ms) };
            (series, Accumulator { sum, known_ms, min, max })
        });
        let mut slot = Self::EMPTY;
        slot.add(values, step);
        slot
    }

    /// The slot as bytes, for a file.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (bytes, field) in bytes.chunks_exact_mut(2).zip(self.0) {
            bytes.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// The slot of [`Slot::to_bytes`]. Any bytes are a slot.
    pub fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let mut fields = [0; FIELDS];
        for (field, bytes) in fields.iter_mut().zip(bytes.chunks_exact(2)) {
            *field = bytes.iter().rev().fold(0, |field, byte| field << 8 | u16::from(*byte));
        }
        Self(fields)
    }

    /// The values of a series; `None` if they are unknown.
    pub fn figure(&self, series: Series) -> Option<Figure> {
        let figure = |min, avg, max| Some(Figure { min, avg, max });
        let is_known = self.0[series.coverage() as usize] > 0;
        match series.codec() {
            Codec::Linear { at, scale } => {
                let [min, avg, max] = self.gauge(at).filter(|_| is_known)?.map(f64::from);
                figure(min / scale, (min + (max - min) * avg / ONE) / scale, max / scale)
            }
            Codec::Float { at } => {
                let [min, avg, max] = self.gauge(at).filter(|_| is_known)?.map(from_float);
                figure(min, avg, max)
            }
            Codec::Sum { at } => {
                let sum = from_float(self.0[at]);
                if is_known || sum > 0.0 { figure(sum, sum, sum) } else { None }
            }
            Codec::Share { at } => {
                let share = self.0[at];
                let is_one = |is_one| f64::from(u8::from(is_one));
                if !is_known {
                    return None;
                }
                figure(is_one(share == u16::MAX), f64::from(share) / ONE, is_one(share > 0))
            }
        }
    }

    /// The part of the span in which the series was known, from 0 to 1. For [`Series::Reachable`] it is the part in
    /// which the agent was running.
    pub fn coverage(&self, series: Series) -> f64 {
        f64::from(self.0[series.coverage() as usize]) / ONE
    }

    /// Adds the values of spans inside this slot, which has the length `step`.
    pub(super) fn add(&mut self, values: impl IntoIterator<Item = (Series, Accumulator)>, step: Duration) {
        let before = *self;
        for (series, value) in values {
            if !value.is_empty() {
                let mut sum = before.accumulator(series, step);
                sum.merge(&value);
                self.put(series, &sum, step);
            }
        }
    }

    /// The values of this slot, which has the length `step`.
    pub(super) fn values(&self, step: Duration) -> [(Series, Accumulator); 7] {
        Series::ALL.map(|series| (series, self.accumulator(series, step)))
    }

    fn accumulator(&self, series: Series, step: Duration) -> Accumulator {
        let Some(Figure { min, avg, max }) = self.figure(series) else { return Accumulator::EMPTY };
        // At most a day.
        let known_ms = whole(self.coverage(series) * step.as_secs_f64() * 1000.0);
        let sum = if series.is_sum() { avg } else { avg * f64::from(known_ms) };
        Accumulator { sum, known_ms, min, max }
    }

    fn put(&mut self, series: Series, value: &Accumulator, step: Duration) {
        let part = |part: f64| field(part * ONE);
        match series.codec() {
            Codec::Linear { at, scale } => {
                let [min, max] = [value.min, value.max].map(|edge| (edge * scale).round());
                let fraction = (value.average() * scale - min) / (max - min).max(1.0);
                self.0[at..at + 3].copy_from_slice(&[field(min), part(fraction), field(max)]);
            }
            Codec::Float { at } => {
                let gauge = [value.min, value.average(), value.max].map(to_float);
                self.0[at..at + 3].copy_from_slice(&gauge);
            }
            Codec::Sum { at } => self.0[at] = to_float(value.sum),
            // A short outage in a long span is not rounded away.
            Codec::Share { at } => {
                let share = part(value.average());
                self.0[at] = match value.average() {
                    average if average <= 0.0 => 0,
                    average if average >= 1.0 => u16::MAX,
                    _ => share.clamp(1, u16::MAX - 1),
                }
            }
        }
        let known = part(value.coverage(step)).max(u16::from(value.known_ms > 0));
        let coverage = &mut self.0[series.coverage() as usize];
        *coverage = known.max(*coverage);
    }

    /// Minimum, average and maximum of a gauge that is known.
    fn gauge(&self, at: usize) -> Option<[u16; 3]> {
        let gauge = [self.0[at], self.0[at + 1], self.0[at + 2]];
        (gauge[0] <= gauge[2]).then_some(gauge)
    }
}

/// A number as 5 bits of exponent and 11 bits of mantissa, which are those of a whole number up to 4,095.
fn to_float(value: f64) -> u16 {
    let (mut mantissa, mut exponent) = (value.clamp(0.0, LARGEST), 0);
    while mantissa >= 4096.0 {
        (mantissa, exponent) = (mantissa / 2.0, exponent + 1);
    }
    // A mantissa that is rounded up to 4096 continues in the next exponent.
    (exponent << 11) + field(mantissa)
}

fn from_float(code: u16) -> f64 {
    let code = u64::from(code);
    if code < 4096 {
        return code as f64;
    }
    (((code & 2047) + 2048) << ((code >> 11) - 1)) as f64
}

/// The nearest value of a field.
fn field(value: f64) -> u16 {
    u16::try_from(whole(value)).unwrap_or(u16::MAX)
}

/// The nearest whole number of 32 bits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the conversion saturates")]
fn whole(value: f64) -> u32 {
    value.round() as u32
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn rounding_keeps_the_order_and_is_as_stated() {
        let mut last = 0;
        for exact in 0..=4095u32 {
            assert_eq!(from_float(to_float(f64::from(exact))), f64::from(exact));
        }
        for code in 0..=u16::MAX {
            assert_eq!(to_float(from_float(code)), code, "a rounded value is not rounded again");
        }
        for step in 0..4000 {
            let value = 1.008_f64.powi(step).min(LARGEST);
            let code = to_float(value);
            assert!(code >= last, "{value}");
            let error = (from_float(code) - value).abs();
            assert!(error <= (value / 4096.0).max(0.5), "{value}: {error}");
            last = code;
        }
        assert_eq!(from_float(to_float(1e30)), LARGEST);
    }

    /// A slot with one series whose values were valid for a second each.
    fn slot(series: Series, values: &[f64]) -> Slot {
        let mut sum = Accumulator::EMPTY;
        for value in values {
            sum.add(*value, 1000);
        }
        let mut slot = Slot::EMPTY;
        slot.add([(series, sum)], MINUTE);
        slot
    }

    #[test]
    fn each_series_is_kept_with_its_coverage() {
        for (series, values, min, avg, max) in [
            (Series::Users, &[0.0, 3.0, 3.0][..], 0.0, 2.0, 3.0),
            (Series::Users, &[16_384.0], 16_384.0, 16_384.0, 16_384.0),
            (Series::Upload, &[0.0, 1000.0, 2000.0], 0.0, 1000.0, 2000.0),
            (Series::Cpu, &[100.0, 0.0], 0.0, 50.0, 100.0),
            (Series::Memory, &[0.5], 0.5, 0.5, 0.5),
            (Series::Reachable, &[1.0], 1.0, 1.0, 1.0),
            (Series::Reachable, &[0.0, 1.0], 0.0, 0.5, 1.0),
        ] {
            let slot = slot(series, values);
            let figure = slot.figure(series).unwrap();
            assert_eq!((figure.min, figure.max), (min, max), "{series:?}");
            assert!((figure.avg - avg).abs() < 0.001, "{series:?}: {figure:?}");
            assert!((slot.coverage(series) - values.len() as f64 / 60.0).abs() < 1e-5);
            let known = Series::ALL.into_iter().filter(|series| slot.figure(*series).is_some());
            let is_same_source = |other: Series| other.coverage() as usize == series.coverage() as usize;
            assert!(known.clone().all(is_same_source), "{series:?}: {:?}", known.collect::<Vec<_>>());
            assert_eq!(Slot::from_bytes(slot.to_bytes()), slot);
        }
        assert_eq!(Series::ALL.map(|series| Slot::EMPTY.figure(series)), [None; 7]);
    }

    #[test]
    fn merged_slots_are_weighted_by_their_coverage() {
        let mut sum = slot(Series::Users, &[10.0]);
        sum.add(slot(Series::Users, &[4.0, 4.0]).values(MINUTE), MINUTE);
        let figure = sum.figure(Series::Users).unwrap();
        assert_eq!((figure.min, figure.max), (4.0, 10.0));
        assert!((figure.avg - 6.0).abs() < 0.01, "{figure:?}");
        assert!((sum.coverage(Series::Users) - 0.05).abs() < 1e-4);
        let mut hour = Slot::EMPTY;
        hour.add(sum.values(MINUTE), Duration::from_secs(3600));
        assert_eq!(hour.figure(Series::Users).unwrap().max, 10.0);
        assert!((hour.coverage(Series::Users) - 3.0 / 3600.0).abs() < 1e-4);
    }

    #[test]
    fn an_outage_of_a_second_in_a_day_is_not_rounded_away() {
        let mut sum = Accumulator::EMPTY;
        sum.add(1.0, 86_399_900);
        sum.add(0.0, 100);
        let mut day = Slot::EMPTY;
        day.add([(Series::Reachable, sum)], Duration::from_secs(86_400));
        assert!(day.figure(Series::Reachable).unwrap().avg < 1.0);
    }
}

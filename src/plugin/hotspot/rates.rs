//! Traffic rates, measured between answers of the router.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Moment;

/// Shortest time over which a rate is measured. Routers update their counters about once a second, and answers are late
/// by a varying fraction of one: over a shorter time the rate would mostly show that.
const MIN_WINDOW: Duration = Duration::from_secs(5);

/// The same for the first rate, so that the second of two reads at the shortest `refresh` has one: a rough one is better
/// than none.
const MIN_FIRST_WINDOW: Duration = Duration::from_millis(900);

/// Traffic rates, as the user sees them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Bits per second from users.
    pub upload: u64,
    /// Bits per second to users.
    pub download: u64,
}

/// Measures the rates of two byte counters, upload and download. Each session has one, so it is small: 32 bits are enough
/// for 34 Gbit/s, and between two answers within [`MIN_WINDOW`] for 6.8 Gbit/s. Above that it shows these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Meter {
    /// The beginning of the window.
    since: Moment,
    /// Bytes that moved in the window until now.
    bytes: [u32; 2],
    /// Bytes per second in the previous window, plus one; `None` if there is none.
    rates: [Option<NonZeroU32>; 2],
}

impl Meter {
    /// A meter without a rate, whose first window begins now.
    pub(super) fn begin(now: Moment) -> Self {
        Self { since: now, ..Self::default() }
    }

    /// Adds bytes. An answer at `read_at` ends the window if that is long enough; changes between answers don't, because
    /// they rarely have counters.
    pub(super) fn advance(self, (upload, download): (u64, u64), read_at: Option<Moment>) -> Self {
        let [more_upload, more_download] = self.bytes.map(u64::from);
        let bytes = [upload.saturating_add(more_upload), download.saturating_add(more_download)];
        let least = if self.rates().is_some() { MIN_WINDOW } else { MIN_FIRST_WINDOW };
        match read_at.map(|now| (now, now.since(self.since))).filter(|(_, window)| *window >= least) {
            Some((now, window)) => {
                let per_second = |bytes: u64| narrow(u128::from(bytes) * 1000 / window.as_millis());
                let rates = bytes.map(|bytes| Some(NonZeroU32::MIN.saturating_add(per_second(bytes))));
                Self { rates, ..Self::begin(now) }
            }
            None => Self { bytes: bytes.map(narrow), ..self },
        }
    }

    /// The rates in the last window.
    pub(super) fn rates(&self) -> Option<Rates> {
        let bits = |rate: NonZeroU32| (u64::from(rate.get()) - 1) * 8;
        let [upload, download] = self.rates;
        Some(Rates { upload: bits(upload?), download: bits(download?) })
    }
}

fn narrow(count: impl TryInto<u32>) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIGABYTE: u64 = 1_000_000_000;

    #[test]
    fn a_rate_spans_at_least_five_seconds_unless_it_is_the_first() {
        /// Answers as milliseconds since the previous one and bytes of upload, and the rate after each in bit/s.
        type Answers = &'static [(u64, u64, Option<u64>)];
        let cases: [(&str, Answers); 6] = [
            ("a slow refresh", &[(30_000, 300_000, Some(80_000)), (30_000, 0, Some(0))]),
            (
                "a fast refresh",
                &[
                    (800, 1000, None),
                    (200, 4000, Some(40_000)),
                    (1000, 0, Some(40_000)),
                    (1000, 0, Some(40_000)),
                    (1000, 0, Some(40_000)),
                    (1000, 5000, Some(40_000)),
                    (1000, 9000, Some(22_400)),
                    (1000, 0, Some(22_400)),
                    (4000, 1000, Some(1600)),
                ],
            ),
            (
                "an extra refresh",
                &[(30_000, 3000, Some(800)), (1000, 800, Some(800)), (29_000, 2200, Some(800))],
            ),
            ("a late answer", &[(5500, 5500, Some(8000)), (4999, 0, Some(8000)), (1, 5000, Some(8000))]),
            ("almost nothing", &[(5000, 4, Some(0)), (5000, 5, Some(8))]),
            (
                "too much",
                &[
                    (5000, 40 * GIGABYTE, Some(34_359_738_352)),
                    (1000, 5 * GIGABYTE, Some(34_359_738_352)),
                    (9000, 0, Some(3_435_973_832)),
                ],
            ),
        ];
        for (case, answers) in cases {
            let mut now = Moment::START;
            let mut meter = Meter::begin(now);
            assert_eq!(meter.rates(), None, "{case}");
            for (at, (millis, bytes, expected)) in answers.iter().enumerate() {
                now = now.after(Duration::from_millis(*millis));
                meter = meter.advance((*bytes, 2 * bytes), Some(now));
                assert_eq!(meter.rates().map(|rates| rates.upload), *expected, "{case}, answer {at}");
            }
        }
        assert_eq!(size_of::<Meter>(), 24, "each session has one");
    }

    #[test]
    fn changes_count_but_end_no_window() {
        let later = Moment::START.after(Duration::from_secs(10));
        let meter = Meter::begin(Moment::START).advance((1000, 10_000), None);
        assert_eq!(meter.rates(), None);
        let rates = meter.advance((250, 0), Some(later)).rates();
        assert_eq!(rates, Some(Rates { upload: 1000, download: 8000 }));
    }
}

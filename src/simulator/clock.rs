//! The router's clocks: the monotonic one, from which uptimes and counters are computed, and the local time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::version::Version;

/// The inputs from which a moving value is computed.
pub(super) struct Now<'a> {
    /// The time of the router's clock.
    pub(super) at: Duration,
    /// The local time, in seconds since 1970.
    pub(super) unix_s: u64,
    pub(super) version: &'a Version,
}

/// The monotonic clock starts far from zero, so that events before the start have a time too.
#[derive(Debug)]
pub(super) struct RouterClock {
    start: Instant,
    /// Seconds that the local time is ahead of UTC.
    utc_offset_s: i32,
    /// Whether the local time is wrong.
    is_slow: bool,
}

impl RouterClock {
    /// The time at the start: ten years of 52 weeks, longer than any simulated uptime.
    const START: Duration = Duration::from_secs(520 * 7 * 86_400);

    /// How slow a wrong clock is.
    const SLOW_S: i64 = 7200;

    pub(super) fn start(utc_offset_s: i32) -> Self {
        Self { start: Instant::now(), utc_offset_s, is_slow: false }
    }

    /// Makes the local time wrong, or right.
    pub(super) fn set_slow(&mut self, is_slow: bool) {
        self.is_slow = is_slow;
    }

    pub(super) fn at(&self) -> Duration {
        Self::START + self.start.elapsed()
    }

    pub(super) fn now<'a>(&self, version: &'a Version) -> Now<'a> {
        Now { at: self.at(), unix_s: self.unix_s(), version }
    }

    /// The local time, in seconds since 1970.
    pub(super) fn unix_s(&self) -> u64 {
        let error_s = if self.is_slow { -Self::SLOW_S } else { 0 };
        unix_s().saturating_add_signed(i64::from(self.utc_offset_s) + error_s)
    }
}

/// Seconds since 1970 UTC; 0 on a machine whose clock is before that.
fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

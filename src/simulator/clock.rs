//! The router's clock, which uptimes and counters are computed from.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::version::Version;

/// The inputs from which a moving value is computed.
pub(super) struct Now<'a> {
    /// The time of the router's clock.
    pub(super) at: Duration,
    pub(super) unix_s: u64,
    pub(super) version: &'a Version,
}

/// A monotonic clock. It starts far from zero, so that events before the start have a time too.
#[derive(Debug)]
pub(super) struct RouterClock {
    start: Instant,
}

impl RouterClock {
    /// The time at the start: ten years of 52 weeks, longer than any simulated uptime.
    const START: Duration = Duration::from_secs(520 * 7 * 86_400);

    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn at(&self) -> Duration {
        Self::START + self.start.elapsed()
    }

    pub(super) fn now<'a>(&self, version: &'a Version) -> Now<'a> {
        Now { at: self.at(), unix_s: unix_s(), version }
    }
}

/// Seconds since 1970 UTC; 0 on a machine whose clock is before that.
pub(super) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

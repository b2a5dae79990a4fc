//! Monotonic moments, and their conversion to wall-clock dates.
//!
//! A small board without a battery starts in 1970 and learns the date minutes later. So the agent stores a [`Moment`],
//! and converts it to a date only for display, with a [`Clock`] that follows when the system's clock is set.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A moment on the monotonic clock, which includes the time while the host is suspended. It may be before the agent's
/// start, as a session's login often is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Milliseconds since the agent's start.
    millis: i64,
}

impl Moment {
    /// The agent's start.
    pub const START: Self = Self { millis: 0 };

    /// The current moment.
    pub fn now() -> Self {
        // Read before the clock, so that no moment of this process is before it.
        static START: LazyLock<i64> = LazyLock::new(since_boot);
        let start = *START;
        Self { millis: since_boot() - start }
    }

    /// The moment that is `ago` earlier.
    pub fn before(self, ago: Duration) -> Self {
        Self { millis: self.millis.saturating_sub(millis(ago)) }
    }

    /// The moment that is `later` after this one.
    pub fn after(self, later: Duration) -> Self {
        Self { millis: self.millis.saturating_add(millis(later)) }
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.millis.saturating_sub(earlier.millis)).unwrap_or(0))
    }

    /// The time between two moments, in any order.
    pub fn apart(self, other: Self) -> Duration {
        Duration::from_millis(self.millis.abs_diff(other.millis))
    }
}

/// The wall-clock time of the agent's start, according to the system's clock now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds since the Unix epoch.
    start: i64,
}

impl Clock {
    /// Largest drift of the system's clock that does not count as setting it. If the clock followed each small
    /// correction, the dates on the page would keep changing.
    const SLACK: Duration = Duration::from_secs(2);

    /// Earliest date that a clock shows once it was set, in seconds since the Unix epoch: 2020.
    pub const EARLIEST_S: u32 = 1_577_836_800;

    /// Whether the system's clock was set.
    pub fn is_set(self) -> bool {
        self.unix(Moment::now()).as_secs() >= Self::EARLIEST_S.into()
    }

    /// The clock according to the system.
    pub fn system() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: millis(wall).saturating_sub(Moment::now().millis) }
    }

    /// This clock, or the system's if that was set since.
    pub fn follow(self, system: Self) -> Self {
        let apart = Duration::from_millis(self.start.abs_diff(system.start));
        if apart > Self::SLACK { system } else { self }
    }

    /// The moment as RFC 3339 in UTC, to the second: `2026-05-31T09:54:33Z`.
    pub fn rfc3339(self, moment: Moment) -> String {
        rfc3339(self.unix(moment))
    }

    /// The time from the Unix epoch to the moment; zero if it is before the epoch.
    pub fn unix(self, moment: Moment) -> Duration {
        let millis = self.start.saturating_add(moment.millis);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

/// A time since the Unix epoch as RFC 3339 in UTC, to the second.
pub fn rfc3339(unix: Duration) -> String {
    // The format ends with the year 9999.
    humantime::format_rfc3339_seconds(UNIX_EPOCH + unix.min(Duration::from_secs(253_402_300_799))).to_string()
}

/// An age in words: `just now`, `2 minutes ago`, `3 days ago`.
pub fn ago(age: Duration) -> String {
    let (count, unit) = match age.as_secs() {
        0..5 => return "just now".into(),
        seconds @ 5..60 => (seconds, "second"),
        seconds @ 60..3600 => (seconds / 60, "minute"),
        seconds @ 3600..86_400 => (seconds / 3600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// Milliseconds since the host booted, including suspended time. `Instant` excludes it, and the uptimes of routers
/// include it.
fn since_boot() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    // The width of both fields depends on the platform.
    #[allow(clippy::useless_conversion)]
    let (seconds, nanos) = (i64::from(time.tv_sec), i64::from(time.tv_nsec));
    seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Clock {
        /// A clock that showed these seconds since the Unix epoch at the agent's start.
        pub(crate) fn starting_at(unix_s: i64) -> Self {
            Self { start: unix_s * 1000 }
        }
    }

    #[test]
    fn moments_become_dates() {
        let clock = Clock { start: 1_780_221_273_900 };
        assert_eq!(clock.rfc3339(Moment::START), "2026-05-31T09:54:33Z");
        assert_eq!(clock.unix(Moment { millis: 50 }), Duration::from_millis(1_780_221_273_950));
        assert_eq!(clock.unix(Moment { millis: i64::MIN }), Duration::ZERO);
        assert_eq!(clock.rfc3339(Moment { millis: 100 }), "2026-05-31T09:54:34Z");
        assert_eq!(clock.rfc3339(Moment { millis: -86_400_000 }), "2026-05-30T09:54:33Z");
        assert_eq!(clock.rfc3339(Moment { millis: i64::MIN }), "1970-01-01T00:00:00Z");
        assert_eq!(clock.rfc3339(Moment { millis: i64::MAX }), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn the_clock_follows_only_if_the_system_clock_was_set() {
        let clock = Clock { start: 10_000 };
        assert_eq!(clock.follow(Clock { start: 11_999 }), clock);
        let set = Clock { start: 1_780_221_273_900 };
        assert_eq!(clock.follow(set), set);
    }

    #[test]
    fn ages_in_words() {
        for (seconds, words) in [
            (0, "just now"),
            (5, "5 seconds ago"),
            (60, "1 minute ago"),
            (179, "2 minutes ago"),
            (3600, "1 hour ago"),
            (86_399, "23 hours ago"),
            (200_000, "2 days ago"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), words);
        }
    }
}

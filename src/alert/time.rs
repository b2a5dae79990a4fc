//! Time as a value: ticks of a timeline that continues over restarts, and the dates that they stand for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Moment, rfc3339};

/// A moment in milliseconds. The timeline is monotonic: it does not follow when the system's clock is set. With
/// persistent state, a later process continues it, so stored ticks keep their meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tick(u64);

impl Tick {
    /// The tick at a time since the Unix epoch, for a new timeline.
    pub fn at(unix: Duration) -> Self {
        Self(u64::try_from(unix.as_millis()).unwrap_or(u64::MAX))
    }

    /// The tick that is `later` after this one.
    pub fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(Self::at(later).0))
    }

    /// The tick that is `ago` earlier.
    pub fn before(self, ago: Duration) -> Self {
        Self(self.0.saturating_sub(Self::at(ago).0))
    }

    /// The time from `earlier` to this tick; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The current moment: its tick, and the system's date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTime {
    /// On the timeline.
    pub tick: Tick,
    /// The time since the Unix epoch, according to the system.
    pub unix: Duration,
}

impl AlertTime {
    /// The date of a tick, in RFC 3339.
    pub fn date(self, tick: Tick) -> String {
        rfc3339(self.unix_of(tick))
    }

    /// The time from the Unix epoch to a tick, by the system's clock as it is now.
    pub fn unix_of(self, tick: Tick) -> Duration {
        (self.unix + tick.since(self.tick)).saturating_sub(self.tick.since(tick))
    }

    /// The local time at a place with this offset from UTC, in seconds; unknown until the system's clock is set.
    pub fn local(self, utc_offset: i32) -> Option<Duration> {
        let offset = Duration::from_secs(utc_offset.unsigned_abs().into());
        self.is_dated()
            .then(|| if utc_offset < 0 { self.unix.saturating_sub(offset) } else { self.unix + offset })
    }

    /// Whether the system's clock was set, so that its date is right.
    pub fn is_dated(self) -> bool {
        self.unix.as_secs() >= Clock::EARLIEST_S.into()
    }
}

/// Maps the moments of this process to ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct AlertClock {
    /// The tick of the agent's start.
    start: Tick,
}

impl AlertClock {
    /// A new timeline. Its ticks are the dates of the system's clock at the start of the agent, right or wrong.
    pub(super) fn new(clock: Clock) -> Self {
        Self { start: Tick::at(clock.unix(Moment::START)) }
    }

    /// The continuation of a timeline, whose last moment is known. If the system's clock is behind that, it is not set
    /// yet, or it was not set then: the time in between is unknown, and counts as none.
    pub(super) fn resume(last: AlertTime, clock: Clock) -> Self {
        let elapsed = clock.unix(Moment::START).saturating_sub(last.unix);
        Self { start: last.tick.after(if last.is_dated() { elapsed } else { Duration::ZERO }) }
    }

    /// The tick of a moment. A moment before the agent's start has an earlier one.
    pub(super) fn tick(self, moment: Moment) -> Tick {
        self.start.after(moment.since(Moment::START)).before(Moment::START.since(moment))
    }

    /// The tick and the date of a moment.
    pub(super) fn now(self, moment: Moment, clock: Clock) -> AlertTime {
        AlertTime { tick: self.tick(moment), unix: clock.unix(moment) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_clock_and_ticks_do_not() {
        let tick = Tick::at(Duration::from_secs(1000));
        let later = tick.after(Duration::from_secs(60));
        let unset = AlertTime { tick: later, unix: Duration::from_secs(100) };
        assert_eq!(unset.date(tick), "1970-01-01T00:00:40Z");
        let set = AlertTime { unix: Duration::from_secs(1_780_221_273), ..unset };
        assert_eq!(set.date(tick), "2026-05-31T09:53:33Z");
        assert_eq!(set.date(later.after(Duration::from_secs(7))), "2026-05-31T09:54:40Z");
        assert_eq!(AlertTime { unix: Duration::ZERO, ..set }.unix_of(tick), Duration::ZERO);
        assert_eq!(set.local(3600), set.local(-3600).map(|local| local + Duration::from_secs(7200)));
        assert_eq!(unset.local(3600), None);
    }

    #[test]
    fn a_timeline_continues_after_a_restart() {
        let clock = Clock::system();
        let unix = clock.unix(Moment::START);
        let hour = Duration::from_secs(3600);
        let tick = Tick::at(Duration::from_secs(5));
        let unset = Duration::from_secs(100);
        for (last, expected) in
            [(unix.saturating_sub(hour), tick.after(hour)), (unix + hour, tick), (unset, tick)]
        {
            let timeline = AlertClock::resume(AlertTime { tick, unix: last }, clock);
            assert_eq!(timeline.tick(Moment::START), expected);
            assert_eq!(timeline.tick(Moment::START.before(hour)), expected.before(hour));
            assert_eq!(timeline.tick(Moment::START.after(hour)), expected.after(hour));
        }
    }
}

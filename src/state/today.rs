//! Totals of a site since its local midnight.
//!
//! What was counted between two reads belongs to the day of the second one. A day is known by its date, and by the moment
//! of its first read: if the system's clock is set or the router's UTC offset changes, a day that now lies wholly in
//! another date continues under that date, together with what was already known of it. So nothing is lost when a board
//! that started in 1970 learns the time, and nothing counts twice when a clock passes midnight again after it was set
//! back. Otherwise a day keeps its date, so that a small correction around midnight does not move a whole day.

use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::plugin::Counts;

/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// The totals of one day at a site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayTotals {
    /// The local date, in days since 1970-01-01.
    pub day: i64,
    /// Seconds that the site's time is ahead of UTC, if known.
    pub utc_offset_s: Option<i32>,
    /// Traffic and logins.
    pub counts: Counts,
    /// Largest number of users who were online at once.
    pub peak_users: u64,
    /// When they were first so many, since the Unix epoch.
    pub peak_at: Duration,
}

/// The time at a site.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalTime {
    pub(super) now: Moment,
    pub(super) clock: Clock,
    /// Seconds that it is ahead of UTC, if known.
    pub(super) utc_offset_s: Option<i32>,
}

/// The totals of the current day, and of the previous one in case the clock goes back to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Today {
    /// The latest day first.
    days: [Option<Day>; 2],
}

/// The totals of a day while it lasts.
#[derive(Debug, Clone, Copy)]
struct Day {
    totals: DayTotals,
    /// The first read; absent if a part was restored.
    since: Option<Moment>,
    /// The moment of the peak, from which `peak_at` follows; absent if it was restored.
    peak: Option<Moment>,
}

impl LocalTime {
    /// The date at a moment.
    fn day(&self, moment: Moment) -> i64 {
        let unix_s = i64::try_from(self.clock.unix(moment).as_secs()).unwrap_or(i64::MAX);
        unix_s.saturating_add(self.utc_offset_s.unwrap_or(0).into()).div_euclid(DAY_S)
    }
}

impl Today {
    /// The offset that was last known.
    pub(super) fn utc_offset_s(&self) -> Option<i32> {
        self.days[0]?.totals.utc_offset_s
    }

    /// The totals of the day; unknown if nothing was read since midnight.
    pub(super) fn totals(&self, time: LocalTime) -> Option<DayTotals> {
        let Day { totals, peak, .. } = self.day(time)?;
        Some(DayTotals { peak_at: peak.map_or(totals.peak_at, |peak| time.clock.unix(peak)), ..totals })
    }

    /// Adds what was counted until a read that found this many users.
    pub(super) fn add(&mut self, counted: Counts, users: usize, time: LocalTime) {
        let past = self.days.into_iter().flatten().find(|day| !day.is_on(time));
        let mut day = self.day(time).unwrap_or_else(|| Day::begin(time));
        day.totals.counts = day.totals.counts.plus(counted);
        if users as u64 > day.totals.peak_users {
            (day.totals.peak_users, day.peak) = (users as u64, Some(time.now));
        }
        self.days = [Some(day), past];
    }

    /// Adds the totals of a day that were known before the agent's start.
    pub(super) fn restore(&mut self, totals: DayTotals) {
        let restored = Some(Day { totals, since: None, peak: None });
        self.days = match self.days {
            [None, _] => [restored, None],
            [current, _] => [current, restored],
        };
    }

    /// The day on the date of this time.
    fn day(&self, time: LocalTime) -> Option<Day> {
        let mut day = self.days.into_iter().flatten().filter(|day| day.is_on(time)).reduce(Day::with)?;
        (day.totals.day, day.totals.utc_offset_s) = (time.day(time.now), time.utc_offset_s);
        Some(day)
    }
}

impl Day {
    fn begin(time: LocalTime) -> Self {
        let LocalTime { now, utc_offset_s, .. } = time;
        let totals = DayTotals { day: time.day(now), utc_offset_s, ..DayTotals::default() };
        Self { totals, since: Some(now), peak: Some(now) }
    }

    /// Whether it has the date of this time, or all of it lies in that date by now.
    fn is_on(&self, time: LocalTime) -> bool {
        let today = time.day(time.now);
        self.totals.day == today || self.since.is_some_and(|since| time.day(since) == today)
    }

    /// Both parts of a day.
    fn with(self, earlier: Self) -> Self {
        let counts = self.totals.counts.plus(earlier.totals.counts);
        let highest = if earlier.totals.peak_users >= self.totals.peak_users { earlier } else { self };
        let since = self.since.zip(earlier.since).map(|(since, earlier)| since.min(earlier));
        Self { totals: DayTotals { counts, ..highest.totals }, since, peak: highest.peak }
    }
}

#[cfg(test)]
mod tests;

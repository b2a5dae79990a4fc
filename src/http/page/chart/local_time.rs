//! Dates and times of day at a site, and the ticks of a time axis.

use std::time::{Duration, UNIX_EPOCH};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The end of the year 9999, with which the format of dates ends.
const MAX_UNIX: u64 = 253_402_300_799;

/// What a site's local time is ahead of UTC, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::http::page) struct UtcOffset(pub(in crate::http::page) i64);

impl UtcOffset {
    /// `UTC`, `UTC+1`, `UTC−3:30`.
    pub(in crate::http::page) fn name(self) -> String {
        let (sign, minutes) = (if self.0 < 0 { "−" } else { "+" }, self.0.unsigned_abs() / 60);
        match (minutes / 60, minutes % 60) {
            (0, 0) => "UTC".into(),
            (hours, 0) => format!("UTC{sign}{hours}"),
            (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
        }
    }

    /// The local day, counted from 1 January 1970, a Thursday.
    pub(super) fn day(self, unix: i64) -> i64 {
        unix.saturating_add(self.0).div_euclid(DAY)
    }

    /// When the local day with this number begins.
    pub(super) fn start_of_day(self, day: i64) -> i64 {
        day.saturating_mul(DAY).saturating_sub(self.0)
    }

    /// The day of the week from Monday, and the hour.
    pub(super) fn weekday_and_hour(self, unix: i64) -> (usize, usize) {
        let hours = unix.saturating_add(self.0).div_euclid(HOUR);
        // 1970 began with a Thursday.
        let index = |number: i64, count: i64| usize::try_from(number.rem_euclid(count)).unwrap_or(0);
        (index(hours.div_euclid(24) + 3, 7), index(hours, 24))
    }

    /// `03:10`.
    pub(super) fn time(self, unix: i64) -> String {
        self.date(unix).get(11..16).unwrap_or_default().into()
    }

    /// `28 Nov`.
    pub(super) fn day_and_month(self, unix: i64) -> String {
        let date = self.date(unix);
        let day = date.get(8..10).unwrap_or_default().trim_start_matches('0');
        format!("{day} {}", month(&date))
    }

    /// `28 Nov 03:10`, or without the time if `step` is at least a day.
    pub(super) fn moment(self, unix: i64, step: i64) -> String {
        let day = self.day_and_month(unix);
        if step >= DAY { day } else { format!("{day} {}", self.time(unix)) }
    }

    /// The local date in the format of RFC 3339.
    fn date(self, unix: i64) -> String {
        let local = u64::try_from(unix.saturating_add(self.0)).unwrap_or(0).min(MAX_UNIX);
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(local)).to_string()
    }

    /// At most `count` round moments of a range, with their names: times of day, days or months.
    pub(super) fn ticks(self, from: i64, until: i64, count: i64) -> Vec<(i64, String)> {
        let minutes = [5, 15, 30].map(|count| count * HOUR / 60);
        let hours = [1, 2, 3, 6, 12].map(|count| count * HOUR);
        let days = [1, 2, 7, 14].map(|count| count * DAY);
        let mut steps = minutes.into_iter().chain(hours).chain(days);
        let step = steps.find(|step| (until - from) / step <= count);
        let Some(step) = step else { return self.months(from, until, count) };
        // Weeks begin on Monday, which was the fifth day of 1970.
        let shift = if step % (7 * DAY) == 0 { 4 * DAY } else { 0 } - self.0;
        let first = (from - shift).div_euclid(step) + 1;
        let ticks = (first..).map(|number| number * step + shift).take_while(|at| *at < until);
        ticks.map(|at| (at, self.tick(at, step))).collect()
    }

    /// A time of day; at midnight the day.
    fn tick(self, at: i64, step: i64) -> String {
        let is_midnight = (at + self.0).rem_euclid(DAY) == 0;
        if step >= DAY || is_midnight { self.day_and_month(at) } else { self.time(at) }
    }

    /// The first days of months, or of each second or third month; January as its year.
    fn months(self, from: i64, until: i64, count: i64) -> Vec<(i64, String)> {
        let firsts = (self.day(from) + 1..=self.day(until)).map(|day| self.start_of_day(day));
        let dates = firsts.map(|at| (at, self.date(at))).filter(|(_, date)| date.get(8..10) == Some("01"));
        let dates: Vec<(i64, String)> = dates.collect();
        let every = usize::try_from(count).ok().map_or(1, |count| dates.len().div_ceil(count.max(1))).max(1);
        let number = |date: &str| date.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
        let shown = dates.into_iter().filter(|(_, date)| (number(date) - 1).is_multiple_of(every));
        let name = |date: String| match month(&date) {
            "Jan" => date.get(..4).unwrap_or_default().into(),
            name => name.into(),
        };
        shown.map(|(at, date)| (at, name(date))).collect()
    }
}

/// The short name of a date's month.
fn month(date: &str) -> &'static str {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = date.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    MONTHS.get(number.wrapping_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-29T14:10:00Z, a Sunday.
    const SUNDAY: i64 = 1_795_961_400;

    #[test]
    fn local_times_have_names() {
        let (utc, lagos, marquesas) = (UtcOffset(0), UtcOffset(3600), UtcOffset(-34_200));
        assert_eq!([utc, lagos, marquesas].map(UtcOffset::name), ["UTC", "UTC+1", "UTC−9:30"]);
        assert_eq!(lagos.moment(SUNDAY, 300), "29 Nov 15:10");
        assert_eq!(lagos.moment(SUNDAY, DAY), "29 Nov");
        assert_eq!(marquesas.time(SUNDAY), "04:40");
        assert_eq!(lagos.weekday_and_hour(SUNDAY), (6, 15));
        assert_eq!(lagos.weekday_and_hour(SUNDAY + 9 * HOUR), (0, 0));
        assert_eq!(lagos.start_of_day(lagos.day(SUNDAY)), SUNDAY - 15 * HOUR - 600);
        assert_eq!(utc.day_and_month(7 * DAY), "8 Jan");
        // A clock that was never set, and one that is wrong.
        assert_eq!((utc.time(-5), utc.time(i64::MAX)), ("00:00".into(), "23:59".into()));
    }

    #[test]
    fn time_ticks_are_round_local_times() {
        let names = |range: i64| -> String {
            let ticks = UtcOffset(3600).ticks(SUNDAY - range, SUNDAY, 8);
            let names: Vec<String> = ticks.into_iter().map(|(_, name)| name).collect();
            names.join(", ")
        };
        assert_eq!(names(3 * HOUR), "12:30, 13:00, 13:30, 14:00, 14:30, 15:00");
        assert_eq!(names(DAY), "18:00, 21:00, 29 Nov, 03:00, 06:00, 09:00, 12:00, 15:00");
        assert_eq!(names(2 * DAY), "18:00, 28 Nov, 06:00, 12:00, 18:00, 29 Nov, 06:00, 12:00");
        assert_eq!(names(35 * DAY), "26 Oct, 2 Nov, 9 Nov, 16 Nov, 23 Nov");
        assert_eq!(names(400 * DAY), "Nov, 2026, Mar, May, Jul, Sep, Nov");
    }
}

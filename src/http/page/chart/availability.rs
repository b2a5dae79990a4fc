//! The share of time in which a router was reachable: by period, and a bar with one part for each day.

use std::fmt::Write;

use askama::Template;

use super::curve::Curve;
use super::local_time::UtcOffset;
use crate::history::Availability;

/// Maximum number of days in the bar: on a phone, each has three pixels.
const DAYS: usize = 90;

/// Days are those of UTC.
const UTC: UtcOffset = UtcOffset(0);

/// At least this share of a day counts as all of it: less than a minute and a half is missing.
const FULL: f64 = 0.999;

/// Less than this share of a day is a bad day.
const BAD: f64 = 0.95;

#[derive(Template)]
#[template(path = "chart/availability.html")]
pub(in crate::http::page) struct AvailabilityBar {
    /// The name of each period, its share, and its coverage if it is not complete.
    periods: Vec<(&'static str, String, Option<String>)>,
    /// The first day of which anything is known.
    since: Option<String>,
    /// The number of days in the bar, and the first of them.
    count: usize,
    first: String,
    /// The paths of days that are good, and of those of which nothing is known.
    good: String,
    unknown: String,
    /// All other days: position, class and text.
    others: Vec<(usize, &'static str, String)>,
}

impl AvailabilityBar {
    /// `reachable`: the share of each day, of which the last is today.
    pub(in crate::http::page) fn new(periods: &[(&'static str, Availability)], reachable: &Curve) -> Self {
        let start = reachable.slots.len().saturating_sub(DAYS);
        let days = reachable.slots.iter().enumerate().skip(start);
        let days: Vec<(String, Option<f64>)> = days
            .map(|(index, day)| (UTC.day_and_month(reachable.start_of(index)), day.map(|day| day.avg)))
            .collect();
        let bars = |is_shown: fn(Option<f64>) -> bool| {
            let mut path = String::new();
            for (_, index) in days.iter().zip(0..).filter(|((_, share), _)| is_shown(*share)) {
                let _ = write!(path, "M{} 0h4v1h-4z", index * 5);
            }
            path
        };
        let others = days.iter().zip(0..).filter_map(|((day, share), index)| {
            let share = share.filter(|share| *share < FULL)?;
            let class = if share < BAD { "bad" } else { "part" };
            Some((index * 5, class, format!("{day}: {}", percent(share))))
        });
        let periods = periods.iter().map(|(name, period)| {
            let coverage = (period.coverage < FULL).then(|| format!("{} known", percent(period.coverage)));
            (*name, period.share.map_or_else(|| "–".into(), percent), coverage)
        });
        Self {
            periods: periods.collect(),
            since: reachable.known().next().map(|(at, _)| UTC.day_and_month(at)),
            count: days.len(),
            first: days.first().map(|(day, _)| day.clone()).unwrap_or_default(),
            good: bars(|share| share.is_some_and(|share| share >= FULL)),
            unknown: bars(|share| share.is_none()),
            others: others.collect(),
        }
    }
}

/// `99.4 %`: rounded down, so that 100 % means all.
fn percent(share: f64) -> String {
    let tenths = (share.clamp(0.0, 1.0) * 1000.0 + 1e-6).floor();
    format!("{} %", tenths / 10.0)
}

#[cfg(test)]
mod tests {
    use super::super::curve::tests::curve;
    use super::*;

    #[test]
    fn percentages_are_rounded_down() {
        for (share, text) in
            [(1.0, "100 %"), (0.9999, "99.9 %"), (0.9949, "99.4 %"), (0.0, "0 %"), (2.0, "100 %")]
        {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn days_with_outages_are_named() {
        let days = curve(0, 86_400, "- 1 0.97 0.5");
        let period = ("7 days", Availability { share: Some(0.8233), coverage: 0.5 });
        let bar = AvailabilityBar::new(&[period], &days);
        assert_eq!((bar.since, bar.first, bar.count), (Some("2 Jan".into()), "1 Jan".into(), 4));
        assert_eq!(bar.unknown, "M0 0h4v1h-4z");
        assert_eq!(bar.good, "M5 0h4v1h-4z");
        let expected = [(10, "part", "3 Jan: 97 %".to_string()), (15, "bad", "4 Jan: 50 %".to_string())];
        assert_eq!(bar.others, expected);
        assert_eq!(bar.periods, [("7 days", "82.3 %".into(), Some("50 % known".into()))]);
    }
}

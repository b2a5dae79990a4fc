//! A range of times of the day, and a set of weekdays.

use std::fmt;
use std::time::Duration;

const MINUTES_PER_DAY: u16 = 24 * 60;
const SECONDS_PER_DAY: u64 = 86_400;

/// A range of times of the day, to the minute. It may include midnight: `22:00` to `07:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyRange {
    /// Minutes since midnight.
    from: u16,
    to: u16,
}

impl DailyRange {
    /// The range from one `HH:MM` to another. `24:00` is accepted as its end. Equal times are no range.
    pub fn parse(from: &str, to: &str) -> Option<Self> {
        let (from, to) = (minutes(from)? % MINUTES_PER_DAY, minutes(to)?);
        (from != to).then_some(Self { from, to })
    }

    /// Whether a local time, in seconds since the Unix epoch, is in the range.
    pub fn contains(self, local: Duration) -> bool {
        let time = local.as_secs() % SECONDS_PER_DAY / 60;
        let (from, to) = (u64::from(self.from), u64::from(self.to));
        if from < to { (from..to).contains(&time) } else { time >= from || time < to }
    }
}

impl fmt::Display for DailyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02} to {:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

/// `HH:MM` as minutes since midnight.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let is_number = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
    Some(hours * 60 + minutes).filter(|time| minutes < 60 && *time <= MINUTES_PER_DAY)
}

/// A set of weekdays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays(u8);

impl Weekdays {
    /// All days.
    pub const ALL: Self = Self(0x7f);
    /// The names in the file, from Monday.
    pub const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

    /// The days with these names.
    pub fn parse<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<Self> {
        let mut days = 0;
        for name in names {
            days |= 1 << Self::NAMES.iter().position(|day| *day == name)?;
        }
        Some(Self(days))
    }

    /// Whether the day of a local time, in seconds since the Unix epoch, is in the set.
    pub fn contains(self, local: Duration) -> bool {
        // The epoch began on a Thursday.
        let day = (local.as_secs() / SECONDS_PER_DAY + 3) % 7;
        self.0 & (1 << day) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: u64, hours: u64, minutes: u64) -> Duration {
        Duration::from_secs(days * SECONDS_PER_DAY + hours * 3600 + minutes * 60)
    }

    #[test]
    fn a_range_contains_its_start_and_not_its_end() {
        for (from, to, inside, outside) in [
            ("08:00", "22:00", vec![(8, 0), (21, 59)], vec![(7, 59), (22, 0), (0, 0)]),
            ("22:00", "07:00", vec![(22, 0), (23, 59), (0, 0), (6, 59)], vec![(7, 0), (21, 59)]),
            ("00:00", "24:00", vec![(0, 0), (23, 59)], vec![]),
            ("22:00", "24:00", vec![(22, 0), (23, 59)], vec![(0, 0)]),
            ("22:00", "00:00", vec![(22, 0), (23, 59)], vec![(0, 0), (21, 59)]),
        ] {
            let range = DailyRange::parse(from, to).unwrap();
            assert!(inside.iter().all(|(h, m)| range.contains(at(20_000, *h, *m))), "{range}");
            assert!(!outside.iter().any(|(h, m)| range.contains(at(20_000, *h, *m))), "{range}");
        }
        for (from, to) in
            [("8:00", "22:00"), ("08:00", "24:01"), ("08:60", "09:00"), ("08:00", "08:00"), ("", "")]
        {
            assert_eq!(DailyRange::parse(from, to), None, "{from} {to}");
        }
    }

    #[test]
    fn weekdays_are_those_of_the_calendar() {
        let weekend = Weekdays::parse(["Sat", "Sun"]).unwrap();
        // 2026-05-30 was a Saturday.
        let days = (20_603..20_610).map(|day| weekend.contains(at(day, 12, 0)));
        assert_eq!(days.collect::<Vec<_>>(), [true, true, false, false, false, false, false]);
        assert!((0..7).all(|day| Weekdays::ALL.contains(at(day, 0, 0))));
        assert_eq!(Weekdays::parse(["Saturday"]), None);
    }
}

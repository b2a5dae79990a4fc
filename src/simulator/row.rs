//! A row of a menu: its attributes, and the values that go on moving by the clock.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::version::Version;

/// A value of an attribute. All are text on the wire; those that move are computed when they are
/// read, so nothing has to tick. Moments are of the router's clock, which
/// [`Router::now`](super::Router::now) tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Bytes as they are, in whatever code page the person typing had.
    Text(Vec<u8>),
    /// A duration that stands still, such as the uptime a user has used up.
    Duration(Duration),
    /// The time passed since a moment of the router's clock.
    Since(Duration),
    /// The time left until a moment of the router's clock; `0s` after it.
    Until(Duration),
    /// The time passed since the last time of something that comes again and again.
    SinceLast {
        /// The first time, on the router's clock.
        first: Duration,
        /// From one to the next.
        every: Duration,
    },
    /// The time left of what begins anew each time that something comes again.
    UntilLast {
        /// The first time, on the router's clock.
        first: Duration,
        /// From one to the next.
        every: Duration,
        /// How long it lasts each time.
        lasts: Duration,
    },
    /// A count that grows.
    Count {
        /// What it was at `since`.
        from: u64,
        /// What it gains each second.
        per_second: u64,
        /// The moment it began, on the router's clock.
        since: Duration,
    },
    /// What is left of an allowance; it stops at 0.
    Remainder {
        /// What it was at `since`.
        from: u64,
        /// What it loses each second.
        per_second: u64,
        /// The moment it began, on the router's clock.
        since: Duration,
    },
    /// A figure that goes up and down around a middle, another one each second.
    Around {
        /// The middle, in units of the last decimal shown.
        middle: u64,
        /// The most it is away from the middle.
        swing: u64,
        /// Decimals shown.
        decimals: u8,
    },
    /// A short duration, another one each second: how long a device has said nothing.
    Idle {
        /// It is below this many seconds.
        below_s: u64,
    },
    /// A date, in seconds since 1970 UTC, written as the version writes dates.
    Date(u64),
    /// A log entry's time, in seconds since 1970 UTC.
    LogTime(u64),
    /// Today's date, UTC, as the version writes it.
    Today,
    /// The time of day, UTC.
    TimeOfDay,
    /// Values side by side in one text, such as the two counts of `1234/5678`.
    Joined(Vec<Self>),
}

impl Value {
    /// The value as it goes over the wire.
    pub(super) fn render(&self, now: &Now<'_>) -> Cow<'_, [u8]> {
        let text = match *self {
            Self::Text(ref bytes) => return Cow::Borrowed(bytes),
            Self::Duration(duration) => duration_text(duration),
            Self::Since(start) => duration_text(now.at.saturating_sub(start)),
            Self::Until(end) => duration_text(end.saturating_sub(now.at)),
            Self::SinceLast { first, every } => duration_text(since_last(first, every, now.at)),
            Self::UntilLast { first, every, lasts } => {
                duration_text(lasts.saturating_sub(since_last(first, every, now.at)))
            }
            Self::Count { from, per_second, since } => {
                from.saturating_add(gained(per_second, since, now.at)).to_string()
            }
            Self::Remainder { from, per_second, since } => {
                from.saturating_sub(gained(per_second, since, now.at)).to_string()
            }
            Self::Around { middle, swing, decimals } => {
                let width = swing.saturating_mul(2).saturating_add(1);
                let figure = (middle.saturating_add(scramble(now.at.as_secs().wrapping_add(middle)) % width))
                    .saturating_sub(swing);
                let unit = 10u64.saturating_pow(u32::from(decimals));
                match decimals {
                    0 => figure.to_string(),
                    _ => {
                        format!("{}.{:0width$}", figure / unit, figure % unit, width = usize::from(decimals))
                    }
                }
            }
            Self::Idle { below_s } => {
                duration_text(Duration::from_secs(scramble(now.at.as_secs()) % below_s.max(1)))
            }
            Self::Date(unix_s) => now.version.date(unix_s),
            Self::LogTime(unix_s) => now.version.log_time(unix_s, now.unix_s),
            Self::Today => day_and_time(now).0,
            Self::TimeOfDay => day_and_time(now).1,
            Self::Joined(ref values) => {
                let parts: Vec<_> = values.iter().map(|value| value.render(now)).collect();
                return Cow::Owned(parts.concat());
            }
        };
        Cow::Owned(text.into_bytes())
    }

    /// Two values with this between them.
    pub(super) fn pair(first: Self, between: &str, second: Self) -> Self {
        Self::Joined(vec![first, between.into(), second])
    }

    /// Has what counts begin again at zero.
    pub(super) fn restart(&mut self, at: Duration) {
        match self {
            Self::Count { from, since, .. } => (*from, *since) = (0, at),
            Self::Joined(values) => values.iter_mut().for_each(|value| value.restart(at)),
            _ => {}
        }
    }

    /// Whether it moves by itself, or counts: such a value is never pushed to a `listen`.
    pub(super) fn is_counter(&self) -> bool {
        !matches!(self, Self::Text(_))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into_bytes())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Text(bytes.to_vec())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::from(if flag { "true" } else { "false" })
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::from(number.to_string())
    }
}

/// A row: its `.id` (none in a menu of one row) and its attributes in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    pub(super) id: String,
    pub(super) attributes: Vec<(String, Value)>,
}

impl Row {
    /// A row without attributes. It gets a `.id` of its own when it comes into a menu.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The row with this `.id`, such as `*1F`.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = id.to_string();
        self
    }

    /// The row with one attribute more, or another value of one it has.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.set(key, value.into());
        self
    }

    pub(super) fn set(&mut self, key: &str, value: Value) {
        match self.attributes.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((key.to_string(), value)),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find_map(|(k, value)| (k == key).then_some(value))
    }

    /// The attribute's bytes where it is one that stands still; empty otherwise.
    pub(super) fn text(&self, key: &str) -> &[u8] {
        match self.get(key) {
            Some(Value::Text(bytes)) => bytes,
            _ => b"",
        }
    }

    /// Whether the attribute is one that stands still as it is: no size that moves or is counted.
    pub(super) fn is_text(&self, key: &[u8]) -> bool {
        let value = self.attributes.iter().find(|(k, _)| k.as_bytes() == key);
        value.is_none_or(|(_, value)| !value.is_counter())
    }

    /// The value of `key` now, as it goes over the wire. `.id` counts as an attribute.
    pub(super) fn read(&self, key: &[u8], now: &Now<'_>) -> Option<Cow<'_, [u8]>> {
        if key == b".id" {
            return (!self.id.is_empty()).then_some(Cow::Borrowed(self.id.as_bytes()));
        }
        let (_, value) = self.attributes.iter().find(|(k, _)| k.as_bytes() == key)?;
        Some(value.render(now))
    }
}

/// What a moving value is read by.
pub(super) struct Now<'a> {
    /// The router's clock.
    pub(super) at: Duration,
    pub(super) unix_s: u64,
    pub(super) version: &'a Version,
}

/// The router's clock. It begins far from zero, so that what began before the start has a moment too.
#[derive(Debug)]
pub(super) struct RouterClock {
    start: Instant,
}

impl RouterClock {
    /// What the clock shows at the start; no uptime of the simulation is longer.
    pub(super) const START: Duration = Duration::from_secs(520 * 7 * 86_400);

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

/// A duration as RouterOS writes it: weeks are the largest unit, zero units are left out,
/// parts of a second are not shown.
pub(super) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 604_800, 'w'),
        (seconds / 86_400 % 7, 'd'),
        (seconds / 3600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let shown = parts.iter().filter(|(n, _)| *n > 0);
    let text = shown.fold(String::new(), |text, (n, unit)| text + &format!("{n}{unit}"));
    if text.is_empty() { "0s".to_string() } else { text }
}

/// Seconds of a duration written by [`duration_text`]; `None` for other text.
pub(super) fn duration_seconds(text: &[u8]) -> Option<u64> {
    let mut total = 0u64;
    let mut number = None;
    for &byte in text {
        let unit = match byte {
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                number = Some(number.unwrap_or(0u64).checked_mul(10)?.checked_add(digit)?);
                continue;
            }
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && !text.is_empty()).then_some(total)
}

/// The time passed since the last time of what comes every so often.
fn since_last(first: Duration, every: Duration, at: Duration) -> Duration {
    Duration::from_secs(at.saturating_sub(first).as_secs() % every.as_secs().max(1))
}

fn day_and_time(now: &Now<'_>) -> (String, String) {
    let date = now.version.date(now.unix_s);
    let (day, time) = date.split_once(' ').unwrap_or_default();
    (day.to_string(), time.to_string())
}

/// What a count gained between two moments.
fn gained(per_second: u64, since: Duration, at: Duration) -> u64 {
    let elapsed_ms = u64::try_from(at.saturating_sub(since).as_millis()).unwrap_or(u64::MAX);
    per_second.saturating_mul(elapsed_ms) / 1000
}

/// Spreads a number over all of u64, always the same way (the end of `SplitMix64`).
pub(super) fn scramble(number: u64) -> u64 {
    let n = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ n >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ n >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ n >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_leave_out_zero_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (3600, "1h"),
            (93_784, "1d2h3m4s"),
            (604_800, "1w"),
            (15 * 604_800 + 3 * 86_400 + 3 * 3600 + 42 * 60 + 53, "15w3d3h42m53s"),
        ] {
            assert_eq!(duration_text(Duration::from_secs(seconds)), text);
            assert_eq!(duration_seconds(text.as_bytes()), Some(seconds));
        }
        for text in ["", "5", "s", "1h5", "1x", "99999999999999999999s"] {
            assert_eq!(duration_seconds(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn values_move_by_the_clock() {
        let version = "7.20".parse().unwrap();
        let second = Duration::from_secs;
        let at = |s| Now { at: second(s), unix_s: 0, version: &version };
        let read = |value: &Value, s| String::from_utf8(value.render(&at(s)).to_vec()).unwrap();
        let count = Value::Count { from: 5, per_second: 10, since: second(100) };
        assert_eq!((read(&count, 100), read(&count, 103)), ("5".into(), "35".into()));
        let left = Value::Remainder { from: 25, per_second: 10, since: second(100) };
        assert_eq!((read(&left, 102), read(&left, 103)), ("5".into(), "0".into()));
        assert_eq!(read(&Value::Since(second(40)), 100), "1m");
        assert_eq!(read(&Value::Until(second(40)), 100), "0s");
        let (first, every, lasts) = (second(100), second(30), second(60));
        let seen = Value::SinceLast { first, every };
        assert_eq!(
            (read(&seen, 129), read(&seen, 130), read(&seen, 195)),
            ("29s".into(), "0s".into(), "5s".into())
        );
        let left = Value::UntilLast { first, every, lasts };
        assert_eq!(
            (read(&left, 129), read(&left, 130), read(&left, 195)),
            ("31s".into(), "1m".into(), "55s".into())
        );
        let both = Value::pair(count, "/", Value::Joined(vec!["-".into(), Value::Since(second(40))]));
        assert_eq!((read(&both, 101), both.is_counter()), ("15/-1m1s".into(), true));
        assert_eq!(
            (read(&Value::Today, 0), read(&Value::TimeOfDay, 0)),
            ("1970-01-01".into(), "00:00:00".into())
        );
        let voltage = Value::Around { middle: 240, swing: 3, decimals: 1 };
        let figures: Vec<f64> = (0..100).map(|s| read(&voltage, s).parse().unwrap()).collect();
        assert!(figures.iter().all(|v| (23.7..=24.3).contains(v)), "{figures:?}");
        assert!(figures.iter().any(|v| *v < 24.0) && figures.iter().any(|v| *v > 24.0), "{figures:?}");
    }
}

//! Values of attributes: fixed bytes, and values computed from the router's clock when they are read.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use super::clock::Now;
use super::rng::mix;

/// A value of an attribute. Every value is text on the wire. A value that moves is computed when it
/// is read, so nothing has to tick. Times are of the router's clock, see
/// [`Router::now`](super::Router::now).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Bytes in the code page in which they were typed.
    Text(Vec<u8>),
    /// A fixed duration, such as the uptime that a user has used up.
    Duration(Duration),
    /// The time since a moment.
    Since(Duration),
    /// The time until a moment; `0s` after it.
    Until(Duration),
    /// The time since the last occurrence of a periodic event.
    SinceLast {
        /// The first occurrence.
        first: Duration,
        /// The period.
        every: Duration,
    },
    /// The time until something expires that each occurrence of a periodic event renews.
    UntilLast {
        /// The first occurrence.
        first: Duration,
        /// The period.
        every: Duration,
        /// The lifetime after each occurrence.
        lasts: Duration,
    },
    /// A counter that grows.
    Count {
        /// Its value at `since`.
        from: u64,
        /// Its growth per second.
        per_second: u64,
        /// When it started.
        since: Duration,
    },
    /// The rest of an allowance, down to 0.
    Remainder {
        /// Its value at `since`.
        from: u64,
        /// Its loss per second.
        per_second: u64,
        /// When it started.
        since: Duration,
    },
    /// A gauge that changes each second around a middle.
    Around {
        /// The middle, in units of the last decimal.
        middle: u64,
        /// The greatest distance from the middle.
        swing: u64,
        /// The number of decimals.
        decimals: u8,
    },
    /// An idle time: a short duration that changes each second.
    Idle {
        /// The upper bound in seconds, exclusive.
        below_s: u64,
    },
    /// A date in the version's format, from seconds since 1970 UTC.
    Date(u64),
    /// The time of a log entry, from seconds since 1970 UTC.
    LogTime(u64),
    /// Today's date, UTC, in the version's format.
    Today,
    /// The time of day, UTC.
    TimeOfDay,
    /// Several values in one text, such as the two counters of `1234/5678`.
    Joined(Vec<Self>),
}

impl Value {
    /// The bytes of the value on the wire.
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
                let range = swing.saturating_mul(2).saturating_add(1);
                let offset = mix(now.at.as_secs().wrapping_add(middle)) % range;
                let figure = middle.saturating_add(offset).saturating_sub(swing).to_string();
                with_decimals(figure, usize::from(decimals))
            }
            Self::Idle { below_s } => {
                duration_text(Duration::from_secs(mix(now.at.as_secs()) % below_s.max(1)))
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

    /// Two values with a separator.
    pub(super) fn pair(first: Self, separator: &str, second: Self) -> Self {
        Self::Joined(vec![first, separator.into(), second])
    }

    /// A gauge of whole numbers.
    pub(super) fn around(middle: u64, swing: u64) -> Self {
        Self::Around { middle, swing, decimals: 0 }
    }

    /// Resets counters to zero.
    pub(super) fn restart(&mut self, at: Duration) {
        match self {
            Self::Count { from, since, .. } => (*from, *since) = (0, at),
            Self::Joined(values) => values.iter_mut().for_each(|value| value.restart(at)),
            _ => {}
        }
    }

    /// Whether the value moves or counts. RouterOS does not push such values to a `listen`.
    pub(super) fn is_counter(&self) -> bool {
        !matches!(self, Self::Text(_))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Text(bytes.to_vec())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into_bytes())
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

/// A duration as RouterOS writes it: weeks are the largest unit, zero units and fractions of a second
/// are left out.
pub(super) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 604_800, 'w'),
        (seconds / 86_400 % 7, 'd'),
        (seconds / 3600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let mut text = String::new();
    for (n, unit) in parts.iter().filter(|(n, _)| *n > 0) {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{n}{unit}");
    }
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

/// The time since the last occurrence of a periodic event.
fn since_last(first: Duration, every: Duration, at: Duration) -> Duration {
    Duration::from_secs(at.saturating_sub(first).as_secs() % every.as_secs().max(1))
}

/// Puts a decimal point before the last `decimals` digits.
fn with_decimals(mut digits: String, decimals: usize) -> String {
    if decimals > 0 {
        digits = format!("{digits:0>width$}", width = decimals + 1);
        digits.insert(digits.len() - decimals, '.');
    }
    digits
}

fn day_and_time(now: &Now<'_>) -> (String, String) {
    let date = now.version.date(now.unix_s);
    let (day, time) = date.split_once(' ').unwrap_or_default();
    (day.to_string(), time.to_string())
}

/// The increase of a counter between two moments.
fn gained(per_second: u64, since: Duration, at: Duration) -> u64 {
    let elapsed_ms = u64::try_from(at.saturating_sub(since).as_millis()).unwrap_or(u64::MAX);
    per_second.saturating_mul(elapsed_ms) / 1000
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
        let pair = Value::pair(count, "/", Value::Joined(vec!["-".into(), Value::Since(second(40))]));
        assert_eq!((read(&pair, 101), pair.is_counter()), ("15/-1m1s".into(), true));
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

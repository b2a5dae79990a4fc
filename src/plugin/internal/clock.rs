//! The router's clock: its UTC offset, and its difference from the agent's clock.

use crate::clock::{Clock, Moment};
use crate::plugin::context::ReadContext;
use crate::plugin::limits::ONE_ROW;
use crate::routeros::client::{Command, Reply};

/// Largest UTC offset of any time zone, in hours.
const MAX_OFFSET_HOURS: i32 = 14;

/// 2020-01-01 in milliseconds since 1970. A host whose clock is earlier does not know the time yet.
const AGENT_CLOCK_SET: i64 = 1_577_836_800_000;

/// What `/system/clock` showed at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemClock {
    /// Seconds that the router's local time is ahead of UTC.
    pub utc_offset: Option<i32>,
    /// The router's time in whole seconds, as milliseconds since 1970 UTC.
    utc_millis: Option<i64>,
    /// When the router read its clock: in the middle between the command and the reply.
    at: Moment,
}

impl SystemClock {
    /// Seconds that the router's clock is ahead of the agent's, which is `clock`.
    pub fn error(&self, clock: Clock) -> Option<i64> {
        let agent = i64::try_from(clock.unix(self.at).as_millis()).ok()?;
        // The router omits the fraction of a second, so equal clocks differ by 0 to 999 ms.
        let error = self.utc_millis?.checked_add(999)?.checked_sub(agent)?.div_euclid(1000);
        (agent >= AGENT_CLOCK_SET).then_some(error)
    }
}

pub(super) fn command() -> Command {
    Command::new("/system/clock/print").proplist("date,time,gmt-offset").at_most(ONE_ROW)
}

/// Reads the answer to [`command`].
pub(super) fn read(reply: &Reply, context: &ReadContext) -> SystemClock {
    let text = |key| std::str::from_utf8(reply.rows.first()?.get(key)?).ok();
    let utc_offset = text("gmt-offset").and_then(seconds);
    let utc_millis = || {
        let local = local_millis(text("date")?, text("time")?)?;
        local.checked_sub(i64::from(utc_offset?) * 1000)
    };
    SystemClock { utc_offset, utc_millis: utc_millis(), at: context.now.before(context.took / 2) }
}

/// A date, `2026-11-30` or before RouterOS 7.10 `nov/30/2026`, and a time of day as milliseconds since 1970.
fn local_millis(date: &str, time: &str) -> Option<i64> {
    const MONTHS: &str = "janfebmaraprmayjunjulaugsepoctnovdec";
    let date = match date.split_once('/') {
        None => date.to_string(),
        Some((month, rest)) if month.len() == 3 => {
            let month = MONTHS.find(&month.to_ascii_lowercase()).filter(|at| at % 3 == 0)? / 3 + 1;
            let (day, year) = rest.split_once('/')?;
            format!("{year}-{month:02}-{day}")
        }
        Some(_) => return None,
    };
    // The parser ignores what follows the time.
    let text = format!("{date}T{time}Z");
    let local =
        humantime::parse_rfc3339(&text).ok().filter(|_| text.len() == "2026-11-30T09:54:33Z".len())?;
    i64::try_from(local.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// An offset such as `+01:00` or `-03:30`, in seconds.
fn seconds(offset: &str) -> Option<i32> {
    let (sign, digits) = match offset.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, offset.strip_prefix('+').unwrap_or(offset)),
    };
    let (hours, minutes) = digits.split_once(':')?;
    let number = |text: &str, max| {
        let is_number = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i32>().ok().filter(|number| is_number && *number <= max)
    };
    Some(sign * (number(hours, MAX_OFFSET_HOURS)? * 3600 + number(minutes, 59)? * 60))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::wire::Sentence;

    fn read_at(words: &[&str], now: Moment, took: Duration) -> SystemClock {
        let words = std::iter::once("!re").chain(words.iter().copied());
        let reply = Reply { rows: [Sentence::from_words(words)].into_iter().collect(), ..Reply::default() };
        let context = ReadContext { took, ..ReadContext::new(now, Codepage::named("windows-1252").unwrap()) };
        read(&reply, &context)
    }

    #[test]
    fn dates_of_both_formats_are_read_and_malformed_ones_are_unknown() {
        let unix = |date, time| local_millis(date, time).map(|millis| millis / 1000);
        for (date, time, expected) in [
            ("2026-11-30", "09:54:33", Some(1_796_032_473)),
            ("nov/30/2026", "09:54:33", Some(1_796_032_473)),
            ("Nov/30/2026", "09:54:33", Some(1_796_032_473)),
            ("jan/02/1970", "02:00:09", Some(93_609)),
            ("2028-02-29", "00:00:00", Some(1_835_395_200)),
            ("2027-02-29", "00:00:00", None),
            ("feb/30/2026", "00:00:00", None),
            ("anf/30/2026", "00:00:00", None),
            ("november/30/2026", "00:00:00", None),
            ("2026-13-01", "00:00:00", None),
            ("2026-11-30", "24:00:00", None),
            ("2026-11-30", "", None),
            ("", "09:54:33", None),
            ("nov/30", "09:54:33", None),
            ("2026-11-30", "09:54:33Z\n", None),
        ] {
            assert_eq!(unix(date, time), expected, "{date:?} {time:?}");
        }
    }

    #[test]
    fn utc_offsets() {
        for (text, expected) in [
            ("+00:00", Some(0)),
            ("+01:00", Some(3600)),
            ("-03:30", Some(-12_600)),
            ("+05:45", Some(20_700)),
            ("+14:00", Some(50_400)),
            ("01:00", Some(3600)),
            ("+15:00", None),
            ("+1:00", None),
            ("+01:60", None),
            ("+-1:00", None),
            ("+01", None),
            ("", None),
            ("UTC", None),
        ] {
            assert_eq!(seconds(text), expected, "{text:?}");
        }
    }

    #[test]
    fn error_is_corrected_by_half_the_time_of_the_reply() {
        let agent = Clock::system();
        let now = Moment::now();
        for (slow_s, took_ms, offset) in
            [(0, 0, "+00:00"), (0, 4000, "+01:00"), (7200, 4000, "-03:30"), (-86_400, 10, "+05:45")]
        {
            let took = Duration::from_millis(took_ms);
            let at = agent.unix(now.before(took / 2));
            let ahead = i64::from(seconds(offset).unwrap());
            let local = i64::try_from(at.as_secs()).unwrap() + ahead - slow_s;
            let local = std::time::UNIX_EPOCH + Duration::from_secs(local.try_into().unwrap());
            let text = humantime::format_rfc3339_seconds(local).to_string();
            let (date, time) = text.trim_end_matches('Z').split_once('T').unwrap();
            let words = [format!("=date={date}"), format!("=time={time}"), format!("=gmt-offset={offset}")];
            let clock = read_at(&words.each_ref().map(String::as_str), now, took);
            assert_eq!(clock.error(agent), Some(-slow_s), "{slow_s} s, {took_ms} ms, {offset}");
            assert_eq!(i64::from(clock.utc_offset.unwrap()), ahead);
        }
    }

    #[test]
    fn unknown_parts_of_the_clock_are_absent() {
        let (now, agent) = (Moment::now(), Clock::system());
        let known = |words: &[&str]| {
            let clock = read_at(words, now, Duration::ZERO);
            (clock.utc_offset, clock.error(agent).is_some())
        };
        assert_eq!(known(&["=date=2026-11-30", "=time=09:54:33"]), (None, false));
        assert_eq!(known(&["=date=soon", "=time=09:54:33", "=gmt-offset=+01:00"]), (Some(3600), false));
        assert_eq!(known(&[]), (None, false));
        let full = ["=date=1970-01-01", "=time=00:00:00", "=gmt-offset=+01:00"];
        assert_eq!(known(&full), (Some(3600), true), "a router that booted without the time");
        let long_ago = now.before(Duration::from_secs(60 * 366 * 86_400));
        assert_eq!(read_at(&full, long_ago, Duration::ZERO).error(agent), None, "the agent's is not set");
    }
}

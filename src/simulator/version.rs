//! RouterOS versions, and the differences between them that an API client can see.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::clock;

/// Upper bound of a version text in bytes: the longest real one, with its channel, has under 30.
const MAX_TEXT: usize = 40;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A RouterOS version, such as `6.49.10 (stable)`, `7.20.7 (long-term)` or `7.21`. The text is
/// shown in `/system/resource` unchanged; its first two numbers decide how the router behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    text: String,
    number: (u16, u16),
}

impl Version {
    /// A version with known numbers.
    pub(super) fn new(major: u16, minor: u16, text: &str) -> Self {
        Self { text: text.to_string(), number: (major, minor) }
    }

    /// Whether login works with a challenge only: before 6.43.
    pub fn logs_in_by_challenge(&self) -> bool {
        self.number < (6, 43)
    }

    /// Whether `count-only` ignores the query: seen on 6.28, assumed for earlier versions.
    pub(super) fn count_ignores_query(&self) -> bool {
        self.number <= (6, 28)
    }

    /// Whether it is RouterOS 7: unknown menus give two traps, health has one row per sensor.
    pub fn is_v7(&self) -> bool {
        self.number.0 >= 7
    }

    /// Whether a reply without rows has an `!empty`: from 7.18 on.
    pub fn sends_empty(&self) -> bool {
        self.number >= (7, 18)
    }

    /// Whether dates are `2026-05-31 00:00:00` (from 7.10 on) instead of `may/31/2026 00:00:00`.
    pub fn has_iso_dates(&self) -> bool {
        self.number >= (7, 10)
    }

    /// Whether a watched host has a `type`: from 7.4 on.
    pub(super) fn has_probe_types(&self) -> bool {
        self.number >= (7, 4)
    }

    /// Whether radios are in `/interface/wifi` (from 7.13 on) instead of `/interface/wireless`.
    pub(super) fn has_wifi(&self) -> bool {
        self.number >= (7, 13)
    }

    /// Whether `/ip/service` has `max-sessions`: from 7.16 on.
    pub(super) fn has_max_sessions(&self) -> bool {
        self.number >= (7, 16)
    }

    /// Whether `/ip/service` lists open connections as dynamic rows: from 7.19 on.
    pub(super) fn lists_connections(&self) -> bool {
        self.number >= (7, 19)
    }

    /// The key of the allowed addresses in `/ip/service`: `available-from` from 7.24 on.
    pub(super) fn allowed_addresses_key(&self) -> &'static str {
        if self.number >= (7, 24) { "available-from" } else { "address" }
    }

    /// A date in this version's format, from seconds since 1970 UTC.
    pub(super) fn date(&self, unix_s: u64) -> String {
        let rfc3339 = clock::rfc3339(Duration::from_secs(unix_s));
        let (date, time) = (&rfc3339[..10], &rfc3339[11..19]);
        if self.has_iso_dates() {
            return format!("{date} {time}");
        }
        let month = date[5..7].parse().map_or("", |month: usize| MONTHS[month - 1]);
        format!("{month}/{}/{} {time}", &date[8..], &date[..4])
    }

    /// The time of a log entry: before 7.10, an entry of today has only the time of day.
    pub(super) fn log_time(&self, unix_s: u64, now_s: u64) -> String {
        let date = self.date(unix_s);
        if self.has_iso_dates() {
            return date;
        }
        let (day, time) = date.split_once(' ').unwrap_or_default();
        if unix_s / 86_400 == now_s / 86_400 {
            time.to_string()
        } else {
            // `sep/15 09:54:33`: the year is left out.
            format!("{} {time}", &day[..day.len() - 5])
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text that is not a RouterOS version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadVersion(String);

impl fmt::Display for BadVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a RouterOS version; expected one such as 6.49.10 or \"7.20.7 (long-term)\"",
            self.0
        )
    }
}

impl std::error::Error for BadVersion {}

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion(text.chars().take(MAX_TEXT).collect());
        if text.len() > MAX_TEXT {
            return Err(bad());
        }
        let (major, rest) = text.split_once('.').ok_or_else(bad)?;
        // `7.21rc1` and `7.21beta2` are 7.21.
        let minor = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        let number = |digits: &str| digits.parse().map_err(|_| bad());
        Ok(Self { text: text.to_string(), number: (number(major)?, number(minor)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_keeps_its_text() {
        for (text, number) in [
            ("6.42.12", (6, 42)),
            ("6.49.10 (stable)", (6, 49)),
            ("7.20.7 (long-term)", (7, 20)),
            ("7.21rc1", (7, 21)),
            ("7.9", (7, 9)),
        ] {
            let version: Version = text.parse().unwrap();
            assert_eq!((version.number, version.to_string()), (number, text.to_string()));
        }
        for text in ["", "7", "x.1", "7.", "7.x", &"7.1".repeat(20)] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn date_format_changes_with_7_10() {
        let (old, new): (Version, Version) = ("7.9".parse().unwrap(), "7.10".parse().unwrap());
        assert_eq!(old.date(86_400 + 7209), "jan/02/1970 02:00:09");
        assert_eq!(new.date(1_780_185_600), "2026-05-31 00:00:00");
        assert_eq!(new.date(951_782_400), "2000-02-29 00:00:00");
        let sep_15 = 1_694_771_673;
        assert_eq!(old.log_time(sep_15, sep_15 + 10), "09:54:33");
        assert_eq!(old.log_time(sep_15, sep_15 + 86_400), "sep/15 09:54:33");
    }
}

//! The query of a search in the journal, and the page that it finds.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::entry::{EndTime, JournalEntry};
use crate::clock::Clock;
use crate::text;

/// The place of an entry in the journal, which stays the same while others are added or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub(super) end: EndTime,
    pub(super) number: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            EndTime::Date(millis) => write!(f, "d{millis}.{}", self.number),
            EndTime::Moment(millis) => write!(f, "m{millis}.{}", self.number),
        }
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (end, number) = text.split_once('.').ok_or(())?;
        let number = number.parse().map_err(|_| ())?;
        let end = match (end.strip_prefix('d'), end.strip_prefix('m')) {
            (Some(millis), _) => EndTime::Date(millis.parse().map_err(|_| ())?),
            (_, Some(millis)) => EndTime::Moment(millis.parse().map_err(|_| ())?),
            _ => return Err(()),
        };
        Ok(Self { end, number })
    }
}

/// Selects entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalQuery {
    /// Text that the user, MAC address or address must contain, in any case; all entries if it is empty.
    pub search: String,
    /// The sites and MAC addresses of devices whose name contains the text.
    pub devices: HashSet<(String, String)>,
    /// The key of the site.
    pub site: Option<String>,
    /// The first end, since 1970.
    pub from: Option<Duration>,
    /// The end must be before this time, since 1970.
    pub to: Option<Duration>,
    /// Maximum number of entries of the page.
    pub limit: usize,
    /// The page begins after the entry at this position.
    pub after: Option<Position>,
}

impl JournalQuery {
    /// Whether an entry is selected, on any page.
    pub(super) fn matches(&self, entry: &JournalEntry, clock: Clock) -> bool {
        let end = entry.end.unix(clock);
        self.site.as_ref().is_none_or(|site| *site == entry.site)
            && self.from.is_none_or(|from| end >= from)
            && self.to.is_none_or(|to| end < to)
            && (self.search.is_empty() || self.is_found_in(entry))
    }

    fn is_found_in(&self, entry: &JournalEntry) -> bool {
        let texts = [Some(&entry.user), entry.mac.as_ref(), entry.address.as_ref()];
        let is_device = |mac: &str| {
            !self.devices.is_empty()
                && self.devices.contains(&(entry.site.to_string(), mac.to_ascii_uppercase()))
        };
        text::any_contains(texts.into_iter().flatten().map(AsRef::as_ref), &self.search)
            || entry.mac.as_deref().is_some_and(is_device)
    }
}

/// A page of entries, newest first.
#[derive(Debug, Default)]
pub struct FoundEntries {
    /// The encoded entries of the page: decoding them when they are rendered takes less memory.
    pub entries: Vec<Box<[u8]>>,
    /// How many entries match on all pages.
    pub total: usize,
    /// The position of the last entry of the page.
    pub(super) last: Option<Position>,
    /// The position after which the next page begins; `None` on the last page.
    pub next: Option<Position>,
    /// The end of the oldest entry that the journal has, matching or not, since 1970.
    pub oldest: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;
    use crate::clock::Moment;

    #[test]
    fn a_position_is_read_back() {
        for end in [EndTime::Date(1_780_221_273_900), EndTime::Moment(5)] {
            let position = Position { end, number: 7 };
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for text in ["", "5", "m5", "x5.1", "m.1", "m5.", "m5.-1", "m5.1.1", "m5.4294967296"] {
            assert_eq!(text.parse::<Position>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_query_selects_by_text_site_and_time() {
        let clock = Clock::system();
        let at = clock.unix(Moment::START.after(Duration::from_secs(60)));
        let second = Duration::from_secs(1);
        let search = |text: &str| JournalQuery { search: text.to_lowercase(), ..JournalQuery::default() };
        let device = |site: &str, mac: &str| JournalQuery {
            devices: [(site.to_string(), mac.to_string())].into(),
            ..search("phone")
        };
        for (query, expected) in [
            (search(""), true),
            (search("ÀGB"), true),
            (search("8c:f5"), true),
            (search("10.5.50.2"), true),
            (search("10.5.50.3"), false),
            // The server and the site are not searched.
            (search("hotspot1"), false),
            (search("awka"), false),
            (device("awka", "8C:F5:A3:12:34:56"), true),
            (device("lagos", "8C:F5:A3:12:34:56"), false),
            (device("awka", "8C:F5:A3:12:34:57"), false),
            (JournalQuery { site: Some("awka".into()), ..search("") }, true),
            (JournalQuery { site: Some("lagos".into()), ..search("") }, false),
            (JournalQuery { from: Some(at), to: Some(at + second), ..search("") }, true),
            (JournalQuery { from: Some(at + second), ..search("") }, false),
            (JournalQuery { to: Some(at), ..search("") }, false),
            (JournalQuery { from: Some(at), site: Some("lagos".into()), ..search("àgb") }, false),
        ] {
            assert_eq!(query.matches(&entry("Àgbè", 60_000), clock), expected, "{query:?}");
        }
    }
}

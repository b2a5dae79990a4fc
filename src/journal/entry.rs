//! One ended session, and its compact encoding, which is the same in memory and in a file.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::reason::Reason;
use crate::clock::{Clock, Moment};
use crate::plugin::Session;

/// Longest text of an entry, in bytes: a user's name has up to 253 characters, of up to four bytes each.
const MAX_TEXT: usize = 4 * 256;

/// The flags of an encoded entry.
const DATED: u8 = 1;
const HAS_LENGTH: u8 = 1 << 1;
const HAS_MAC: u8 = 1 << 2;
/// The MAC address is six bytes instead of a text.
const PACKED_MAC: u8 = 1 << 3;
const HAS_ADDRESS: u8 = 1 << 4;
/// The address is the four bytes of IPv4 instead of a text.
const PACKED_ADDRESS: u8 = 1 << 5;
const HAS_SERVER: u8 = 1 << 6;

/// When a session ended. Every date of an earlier run is before every moment of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndTime {
    /// A date of an earlier run of the agent: milliseconds since 1970.
    Date(u64),
    /// A moment of this run, in milliseconds since its start. Its date follows the clock if that is set.
    Moment(u64),
}

impl EndTime {
    /// The time of this moment.
    pub fn of(moment: Moment) -> Self {
        Self::Moment(millis(moment.since(Moment::START)))
    }

    /// The time since 1970.
    pub fn unix(self, clock: Clock) -> Duration {
        match self {
            Self::Date(millis) => Duration::from_millis(millis),
            Self::Moment(millis) => clock.unix(Moment::START.after(Duration::from_millis(millis))),
        }
    }
}

/// A session that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry<'e> {
    /// The site's key.
    pub site: Cow<'e, str>,
    /// The user's name.
    pub user: Cow<'e, str>,
    /// The device's MAC address.
    pub mac: Option<Cow<'e, str>>,
    /// The device's IP address.
    pub address: Option<Cow<'e, str>>,
    /// Name of the hotspot server.
    pub server: Option<Cow<'e, str>>,
    /// When it ended.
    pub end: EndTime,
    /// How long it lasted.
    pub length: Option<Duration>,
    /// Uploaded bytes.
    pub upload_bytes: u64,
    /// Downloaded bytes.
    pub download_bytes: u64,
    /// Why it ended.
    pub reason: Option<Reason>,
}

impl<'e> JournalEntry<'e> {
    /// The entry of a session at a site, which ended at this moment.
    pub fn of(site: &'e str, session: &'e Session, end: Moment, reason: Option<Reason>) -> Self {
        Self {
            site: site.into(),
            user: session.user().into(),
            mac: session.mac().map(Cow::from),
            address: session.address().map(Cow::from),
            server: session.server().map(Cow::from),
            end: EndTime::of(end),
            length: session.login.map(|login| end.since(login)),
            upload_bytes: session.bytes_in(),
            download_bytes: session.bytes_out(),
            reason,
        }
    }

    /// The times of its beginning and end, since 1970.
    pub fn times(&self, clock: Clock) -> (Option<Duration>, Duration) {
        let end = self.end.unix(clock);
        (self.length.map(|length| end.saturating_sub(length)), end)
    }

    /// The entry with its date according to this clock, as a file needs it.
    pub fn dated(self, clock: Clock) -> Self {
        Self { end: EndTime::Date(millis(self.end.unix(clock))), ..self }
    }

    /// The bytes of the entry. Texts are limited to `MAX_TEXT` bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mac = self.mac.as_deref().map(|mac| pack_mac(mac).ok_or(mac));
        let address = self.address.as_deref();
        let address = address.map(|text| pack_address(text).ok_or(text));
        let (is_dated, end) = match self.end {
            EndTime::Date(millis) => (true, millis),
            EndTime::Moment(millis) => (false, millis),
        };
        let flags = [
            (is_dated, DATED),
            (self.length.is_some(), HAS_LENGTH),
            (mac.is_some(), HAS_MAC),
            (matches!(mac, Some(Ok(_))), PACKED_MAC),
            (address.is_some(), HAS_ADDRESS),
            (matches!(address, Some(Ok(_))), PACKED_ADDRESS),
            (self.server.is_some(), HAS_SERVER),
        ];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag);
        let mut bytes = vec![Reason::encode(self.reason), flags];
        put_number(&mut bytes, end);
        if let Some(length) = self.length {
            put_number(&mut bytes, millis(length));
        }
        put_number(&mut bytes, self.upload_bytes);
        put_number(&mut bytes, self.download_bytes);
        put_text(&mut bytes, &self.site);
        put_text(&mut bytes, &self.user);
        match mac {
            Some(Ok(packed)) => bytes.extend(packed),
            Some(Err(text)) => put_text(&mut bytes, text),
            None => {}
        }
        match address {
            Some(Ok(packed)) => bytes.extend(packed),
            Some(Err(text)) => put_text(&mut bytes, text),
            None => {}
        }
        if let Some(server) = &self.server {
            put_text(&mut bytes, server);
        }
        bytes
    }

    /// The entry of these bytes; `None` if they are not one. They may come from a file, so every length is checked.
    pub fn decode(bytes: &'e [u8]) -> Option<Self> {
        let (head, mut rest) = bytes.split_at_checked(2)?;
        let (reason, flags) = (Reason::decode(head[0]), head[1]);
        let has = |flag: u8| flags & flag != 0;
        let rest = &mut rest;
        let end = take_number(rest)?;
        let entry = Self {
            end: if has(DATED) { EndTime::Date(end) } else { EndTime::Moment(end) },
            length: if has(HAS_LENGTH) { Some(Duration::from_millis(take_number(rest)?)) } else { None },
            upload_bytes: take_number(rest)?,
            download_bytes: take_number(rest)?,
            site: take_text(rest)?.into(),
            user: take_text(rest)?.into(),
            mac: match (has(HAS_MAC), has(PACKED_MAC)) {
                (false, _) => None,
                (true, true) => Some(unpack_mac(take(rest, 6)?).into()),
                (true, false) => Some(take_text(rest)?.into()),
            },
            address: match (has(HAS_ADDRESS), has(PACKED_ADDRESS)) {
                (false, _) => None,
                (true, true) => Some(Ipv4Addr::from(*take(rest, 4)?.first_chunk::<4>()?).to_string().into()),
                (true, false) => Some(take_text(rest)?.into()),
            },
            server: if has(HAS_SERVER) { Some(take_text(rest)?.into()) } else { None },
            reason,
        };
        rest.is_empty().then_some(entry)
    }
}

/// The time of an encoded entry, without decoding the rest.
pub(super) fn end_of(bytes: &[u8]) -> Option<EndTime> {
    let (head, mut rest) = bytes.split_at_checked(2)?;
    let end = take_number(&mut rest)?;
    Some(if head[1] & DATED == 0 { EndTime::Moment(end) } else { EndTime::Date(end) })
}

/// Replaces the reason of an encoded entry.
pub(super) fn set_reason(bytes: &mut [u8], reason: Reason) {
    if let Some(byte) = bytes.first_mut() {
        *byte = Reason::encode(Some(reason));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The six bytes of a MAC address as RouterOS writes it: only that form is the same after unpacking.
fn pack_mac(text: &str) -> Option<[u8; 6]> {
    let mut packed = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut packed {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    (unpack_mac(&packed) == text).then_some(packed)
}

fn unpack_mac(packed: &[u8]) -> String {
    let mut text = String::with_capacity(17);
    for byte in packed {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        if !text.is_empty() {
            text.push(':');
        }
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn pack_address(text: &str) -> Option<[u8; 4]> {
    let address: Ipv4Addr = text.parse().ok()?;
    Some(address.octets())
}

/// Appends a number in groups of seven bits, the lowest first (LEB128).
#[allow(clippy::cast_possible_truncation, reason = "the values have seven bits")]
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let mut length = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    let text = &text[..length];
    put_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

fn take<'b>(rest: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        let bits = u64::from(byte & 0x7f);
        number |= bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take_text<'b>(rest: &mut &'b [u8]) -> Option<&'b str> {
    let length = usize::try_from(take_number(rest)?).ok().filter(|length| *length <= MAX_TEXT)?;
    std::str::from_utf8(take(rest, length)?).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A typical entry.
    pub(in crate::journal) fn entry(user: &str, end: u64) -> JournalEntry<'_> {
        JournalEntry {
            site: "awka".into(),
            user: user.into(),
            mac: Some("8C:F5:A3:12:34:56".into()),
            address: Some("10.5.50.23".into()),
            server: Some("hotspot1".into()),
            end: EndTime::Moment(end),
            length: Some(Duration::from_secs(3600)),
            upload_bytes: 123_456_789,
            download_bytes: 12_345_678_901,
            reason: None,
        }
    }

    #[test]
    fn an_entry_is_decoded_as_it_was_encoded() {
        let typical = entry("chidi", 86_400_000);
        for entry in [
            typical.clone(),
            JournalEntry { end: EndTime::Date(1_780_221_273_900), ..typical.clone() },
            JournalEntry { mac: None, address: None, server: None, length: None, ..typical.clone() },
            JournalEntry { mac: Some("8c:f5:a3:12:34:56".into()), ..typical.clone() },
            JournalEntry { mac: Some("8C:F5:A3:12:34:56:78".into()), ..typical.clone() },
            JournalEntry { mac: Some("".into()), address: Some("".into()), ..typical.clone() },
            JournalEntry { address: Some("fe80::1".into()), ..typical.clone() },
            JournalEntry { address: Some("010.5.50.23".into()), ..typical.clone() },
            JournalEntry { reason: Some(Reason::Reboot), user: "ÀGBÈ".into(), ..typical.clone() },
            JournalEntry { upload_bytes: u64::MAX, download_bytes: 0, ..typical.clone() },
        ] {
            let bytes = entry.encode();
            assert_eq!(JournalEntry::decode(&bytes), Some(entry.clone()));
            assert_eq!(end_of(&bytes), Some(entry.end));
        }
    }

    #[test]
    fn bytes_that_are_not_an_entry_are_refused() {
        let bytes = entry("chidi", 86_400_000).encode();
        for length in 0..bytes.len() {
            assert_eq!(JournalEntry::decode(&bytes[..length]), None, "{length}");
        }
        assert_eq!(JournalEntry::decode(&[bytes.as_slice(), b"x"].concat()), None, "more bytes");
        // Each byte with other values: no panic, and nothing longer than its bytes.
        for place in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] = value;
                let decoded = JournalEntry::decode(&changed);
                assert!(decoded.is_none_or(|entry| entry.user.len() <= bytes.len()));
            }
        }
        let endless = [&[0, 0][..], &[0xff; 20]].concat();
        assert_eq!(JournalEntry::decode(&endless), None);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let long = "é".repeat(MAX_TEXT);
        let bytes = entry(&long, 1).encode();
        assert_eq!(JournalEntry::decode(&bytes).unwrap().user, "é".repeat(MAX_TEXT / 2));
    }

    #[test]
    fn dates_follow_the_clock_until_the_entry_is_dated() {
        let clock = Clock::system();
        let moment = entry("chidi", 5000);
        let (start, end) = moment.times(clock);
        let at = clock.unix(Moment::START.after(Duration::from_secs(5)));
        assert_eq!((start, end), (at.checked_sub(Duration::from_secs(3600)), at));
        let dated = moment.dated(clock);
        assert_eq!((dated.end, dated.times(clock).1), (EndTime::Date(millis(at)), at));
    }
}

//! Parsers of RouterOS's values, which are all text on the wire.
//!
//! They do not guess: a value with trailing characters or out of range is `None`, never a zero, which would look like a
//! real value.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::codepage::Codepage;

/// A duration such as `1w2d3h4m5s`, `6w4d17:20:41`, `14:40:26`, `170ms` or `14ms612us`.
///
/// Weeks are the largest unit and zero units are omitted. Each unit appears at most once, in decreasing order. `none`,
/// `never`, the empty value and any other form are `None`, as are durations of more than 2⁶⁴ microseconds.
pub fn duration(value: &[u8]) -> Option<Duration> {
    const HOUR: u64 = 3_600_000_000;
    let (mut micros, mut smallest, mut rest) = (0u64, u64::MAX, value);
    loop {
        let (digits, tail) = rest.split_at(rest.iter().position(|byte| !byte.is_ascii_digit())?);
        let (unit, after) = match tail {
            [b':', ..] if smallest > HOUR => (1, &[][..]),
            [b'w', after @ ..] => (168 * HOUR, after),
            [b'd', after @ ..] => (24 * HOUR, after),
            [b'h', after @ ..] => (HOUR, after),
            [b'm', b's', after @ ..] => (1000, after),
            [b'm', after @ ..] => (60_000_000, after),
            [b's', after @ ..] => (1_000_000, after),
            [b'u', b's', after @ ..] => (1, after),
            _ => return None,
        };
        if unit >= smallest {
            return None;
        }
        let count = if tail[0] == b':' { clock(rest) } else { number(digits) };
        micros = micros.checked_add(count?.checked_mul(unit)?)?;
        if after.is_empty() {
            return Some(Duration::from_micros(micros));
        }
        (smallest, rest) = (unit, after);
    }
}

/// `hh:mm:ss`, the end of a duration in older versions, in microseconds.
fn clock(text: &[u8]) -> Option<u64> {
    let mut parts = text.split(|byte| *byte == b':').map(number);
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || minutes > 59 || seconds > 59 {
        return None;
    }
    hours.checked_mul(3600)?.checked_add(minutes * 60 + seconds)?.checked_mul(1_000_000)
}

/// A duration in whole seconds, such as `15d23h45m` or `0s`: the format of `RouterOS`, but with days as the largest unit,
/// because few people can read weeks at a glance.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut text = String::new();
    for (unit, seconds) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if rest >= seconds {
            text += &(rest / seconds).to_string();
            text += unit;
            rest %= seconds;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// `true` or `false`; documentation and older versions have `yes` and `no`. A flag that is present with an empty
/// value, such as `=fib=`, is true.
pub fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        b"true" | b"yes" | b"" => Some(true),
        b"false" | b"no" => Some(false),
        _ => None,
    }
}

/// An integer from 0 to 2⁶⁴−1.
pub fn number(value: &[u8]) -> Option<u64> {
    // `parse` accepts a sign, which no counter has, and checks for UTF-8 first.
    let add = |number: u64, byte: &u8| {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 { number.checked_mul(10)?.checked_add(digit.into()) } else { None }
    };
    if value.is_empty() { None } else { value.iter().try_fold(0, add) }
}

/// A number with a sign or a fraction: temperatures and voltages, `-5`, `24.1`.
pub fn decimal(value: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(value).ok()?;
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    // Very many digits parse as infinity, which JSON can't represent.
    if plain { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// Text for display: UTF-8 if it is valid UTF-8, else decoded by the site's code page. Values that are sent back to a
/// router must keep their original bytes, see [`Text`].
pub fn text<'v>(value: &'v [u8], codepage: &'static Codepage) -> Cow<'v, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => (codepage.decode)(value),
    }
}

/// [`text`] of at most `max_chars` characters: a longer one ends with an ellipsis.
pub fn short_text(value: &[u8], max_chars: usize, codepage: &'static Codepage) -> String {
    shown(value, max_chars, codepage).0.into_owned()
}

/// [`text`] of at most `max_chars` characters, and the original bytes if they differ. Those of a shortened text are its own:
/// the ellipsis keeps it from being the value of another item.
pub fn shown<'v>(
    value: &'v [u8],
    max_chars: usize,
    codepage: &'static Codepage,
) -> (Cow<'v, str>, Option<&'v [u8]>) {
    let shown = text(value, codepage);
    if let Some(short) = shortened(&shown, max_chars) {
        return (Cow::Owned(short), None);
    }
    let original = matches!(shown, Cow::Owned(_)).then_some(value);
    (shown, original)
}

/// The text with an ellipsis as the last of `max_chars` characters, if it has more.
fn shortened(text: &str, max_chars: usize) -> Option<String> {
    // Most need not be counted, because each character takes at least a byte.
    (text.len() > max_chars).then(|| text.char_indices().nth(max_chars))??;
    let (end, _) = text.char_indices().nth(max_chars.saturating_sub(1))?;
    Some([&text[..end], "…"].concat())
}

/// A router's text, displayed like [`text`], with its original bytes, so that it can be sent back. Two are equal if their
/// bytes are.
#[derive(Clone, Default, Eq)]
pub struct Text {
    shown: String,
    /// The original bytes, if they differ from those of `shown`.
    raw: Option<Box<[u8]>>,
}

impl Text {
    /// A text of at most `max_chars` characters, see [`shown`].
    pub fn short(value: &[u8], max_chars: usize, codepage: &'static Codepage) -> Self {
        let (shown, raw) = shown(value, max_chars, codepage);
        Self { shown: shown.into_owned(), raw: raw.map(Into::into) }
    }

    /// The original bytes.
    pub fn bytes(&self) -> &[u8] {
        self.raw.as_deref().unwrap_or(self.shown.as_bytes())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.shown
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_every_known_form() {
        const DAY: u64 = 86_400;
        for (text, expected) in [
            ("0s", Some(0)),
            ("5s", Some(5)),
            ("1w2d3h4m5s", Some(9 * DAY + 3 * 3600 + 4 * 60 + 5)),
            ("15w3d3h42m53s", Some(108 * DAY + 3 * 3600 + 42 * 60 + 53)),
            ("6w4d17:20:41", Some(46 * DAY + 17 * 3600 + 20 * 60 + 41)),
            ("14:40:26", Some(14 * 3600 + 40 * 60 + 26)),
            ("1d00:00:00", Some(DAY)),
            ("100h", Some(360_000)),
            ("5124095576:01:49", Some(u64::MAX / 1_000_000)),
            ("30500568w6d8:01:49", Some(u64::MAX / 1_000_000)),
            ("2w", Some(14 * DAY)),
            // No duration.
            ("", None),
            ("none", None),
            ("never", None),
            ("unlimited", None),
            // Leftovers, wrong order, repeats, signs, overflow.
            ("5", None),
            ("5s3", None),
            ("5s ", None),
            ("s", None),
            ("-5s", None),
            ("3m4h", None),
            ("5s5s", None),
            ("1h00:00:01", None),
            ("14:40", None),
            ("14:60:00", None),
            ("1:2:3:4", None),
            ("+1:+2:+3", None),
            ("5124095576:01:50", None),
            ("30500568w6d8:01:50", None),
            ("5124095576030431:59:59", None),
            ("14:40:26s", None),
            ("99999999999999999999s", None),
            ("99999999999999999s", None),
            ("5\u{663}s", None),
        ] {
            assert_eq!(duration(text.as_bytes()), expected.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(duration(b"170ms"), Some(Duration::from_millis(170)));
        assert_eq!(duration(b"14ms612us"), Some(Duration::from_micros(14_612)));
        assert_eq!(duration(b"1m1ms"), Some(Duration::from_millis(60_001)));
        assert_eq!(duration(b"\xff\xfe"), None);
    }

    #[test]
    fn durations_are_formatted_in_days_to_seconds() {
        for (seconds, text) in
            [(0, "0s"), (5, "5s"), (60, "1m"), (1_381_500, "15d23h45m"), (172_799, "1d23h59m59s")]
        {
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(format_duration(Duration::from_millis(1999)), "1s");
    }

    #[test]
    fn booleans_numbers_and_decimals() {
        for (value, expected) in [
            ("true", Some(true)),
            ("yes", Some(true)),
            ("false", Some(false)),
            ("no", Some(false)),
            ("", Some(true)),
            ("on", None),
        ] {
            assert_eq!(boolean(value.as_bytes()), expected, "{value:?}");
        }
        for (value, expected) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("", None),
            ("12%", None),
        ] {
            assert_eq!(number(value.as_bytes()), expected, "{value:?}");
        }
        for (value, expected) in
            [("24.1", Some(24.1)), ("-5", Some(-5.0)), ("", None), ("nan", None), ("1e9", None), (".", None)]
        {
            assert_eq!(decimal(value.as_bytes()), expected, "{value:?}");
        }
        assert_eq!(decimal(&[b'9'; 400]), None);
    }

    #[test]
    fn text_is_shown_in_its_code_page() {
        let cyrillic = Codepage::named("windows-1251").unwrap();
        let latin = Codepage::named("windows-1252").unwrap();
        assert_eq!(text("Chidí".as_bytes(), cyrillic), "Chidí");
        assert_eq!(text(b"\xcf\xf0\xe8\xe2\xe5\xf2", cyrillic), "Привет");
        assert_eq!(text(b"caf\xe9", latin), "café");
        assert_eq!(text(b"\x81\x00", latin), "\u{81}\0", "every byte decodes to a character");
    }

    #[test]
    fn long_text_ends_with_an_ellipsis_and_splits_no_character() {
        let latin = Codepage::named("windows-1252").unwrap();
        for (value, max_chars, shown) in [
            (&b""[..], 3, ""),
            (b"abc", 3, "abc"),
            (b"abcd", 3, "ab…"),
            ("ééé".as_bytes(), 3, "ééé"),
            ("éééé".as_bytes(), 3, "éé…"),
            ("a𝄞𝄞𝄞".as_bytes(), 3, "a𝄞…"),
            // Each byte of these is a character.
            (b"\xe9\xe9\xe9\xe9", 3, "éé…"),
            (b"ab", 1, "…"),
        ] {
            assert_eq!(short_text(value, max_chars, latin), shown);
            let text = Text::short(value, max_chars, latin);
            assert_eq!(&*text, shown);
            let is_short = shown.ends_with('…');
            assert_eq!(text.bytes(), if is_short { shown.as_bytes() } else { value });
        }
        let (long, other) = ([b"a".repeat(300), b"b".to_vec()].concat(), b"a".repeat(300));
        assert_ne!(
            Text::short(&long, 255, latin),
            Text::short(&other[..254], 400, latin),
            "it is not equal to another value"
        );
    }

    #[test]
    fn a_text_keeps_its_original_bytes() {
        let (latin, cyrillic) =
            (Codepage::named("windows-1252").unwrap(), Codepage::named("windows-1251").unwrap());
        for (bytes, shown) in
            [(&b"caf\xe9"[..], "café"), ("café".as_bytes(), "café"), (b"", ""), (b"\xff", "ÿ")]
        {
            let text = Text::short(bytes, 400, latin);
            assert_eq!((&*text, text.bytes()), (shown, bytes));
        }
        let typed = Text::short(b"caf\xe9", 400, latin);
        assert_ne!(typed, Text::short("café".as_bytes(), 400, latin), "displayed alike, and not equal");
        assert_eq!(typed, Text::short(b"caf\xe9", 400, cyrillic), "however it is displayed");
    }
}

//! Makes text from routers and clients safe for a terminal or the log, and searches it.

use std::io::{self, Write};

/// Replaces a character that controls the terminal or the text around it, or that is invisible, by U+FFFD. With such
/// characters a text could imitate another one, or several lines.
pub fn visible(c: char) -> char {
    let is_deceptive = c.is_control()
        || matches!(
            c,
            // Soft hyphen and invisible characters.
            '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
            // Direction: marks, embeddings, overrides and isolates.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Annotations and tags.
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        );
    if is_deceptive { char::REPLACEMENT_CHARACTER } else { c }
}

/// The same for a text of several lines: line ends and tabs stay.
pub fn visible_lines(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\n' | '\t') { c } else { visible(c) }).collect()
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// At most `max` bytes of a text, to the last whole character.
pub fn shortened(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or_default()]
}

/// Quotes at most `max` characters of another's text for a log line or an error. The quotes keep it from forging a line.
/// Escapes can make it ten times as long, so the escaped text is limited to four bytes a character.
pub fn quoted(text: &str, max: usize) -> String {
    let beginning = text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end]);
    let escaped = format!("{beginning:?}");
    let quoted = shortened(&escaped, 4 * max + 2);
    let is_short = quoted.len() == escaped.len() && beginning.len() == text.len();
    format!("{quoted}{}", if is_short { "" } else { "…" })
}

/// Whether any of these texts contains `search`, which is in lower case, in any case.
pub fn any_contains<'t>(texts: impl IntoIterator<Item = &'t str>, search: &str) -> bool {
    texts.into_iter().any(|text| text.to_lowercase().contains(search))
}

/// Prints a line on standard output. Errors are ignored: a closed output must not end the program.
pub fn print_line(line: &str) {
    let _ = writeln!(io::stdout(), "{}", visible_lines(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_invisible_characters_are_replaced() {
        for c in "\0\u{1b}\r\u{7f}\u{85}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}".chars() {
            assert_eq!(visible(c), '\u{fffd}', "{c:?}");
        }
        // Letters of all scripts, joiners, and emoji.
        for text in ["Ọja", "مرحبا", "שלום", "क्\u{200d}ष", "می\u{200c}خواهم", "👩\u{200d}🔧", "a b\u{a0}c"]
        {
            assert_eq!(visible_lines(text), text);
        }
        assert_eq!(visible_lines("a\tb\nc\rd"), "a\tb\nc\u{fffd}d");
    }

    #[test]
    fn a_quoted_text_is_short_however_it_is_escaped() {
        assert_eq!(quoted("ada \"x\"", 100), r#""ada \"x\"""#);
        assert_eq!(quoted(&"é".repeat(101), 100), format!("\"{}\"…", "é".repeat(100)));
        let escaped = quoted(&"\u{10FFFD}".repeat(100), 100);
        assert!(escaped.len() <= 402 + '…'.len_utf8() && escaped.ends_with('…'), "{escaped}");
        assert_eq!((shortened("aé", 2), shortened("aé", 3), shortened("aé", 9)), ("a", "aé", "aé"));
    }
}

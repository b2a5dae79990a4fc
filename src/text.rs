//! Makes text from routers and clients safe for a terminal or the log, and searches it.

use std::io::{self, Write};

/// Replaces a character that controls the terminal or the text around it, or that is invisible, by U+FFFD. With such
/// characters a text could imitate another one, or several lines.
#[must_use]
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
#[must_use]
pub fn visible_lines(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\n' | '\t') { c } else { visible(c) }).collect()
}

/// Whether any of these texts contains `search`, which is in lower case, in any case.
#[must_use]
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
}

//! Redacts secrets in diagnostics: decides which parts of the file's text a message may quote.

use std::ops::Range;
use std::path::Path;

use super::fields::{contains_word_of_secret, hides_texts, is_reserved};
use crate::text::visible;

/// Longest value of the file that an error repeats, in characters.
const MAX_VALUE: usize = 40;

/// Longest excerpt of a line, in characters: a file may consist of one line.
const MAX_EXCERPT: usize = 160;

/// The part of a line around `place` without its secrets, and the column of `place` in it, from 1. The texts in `place`
/// are shown only if `is_shown`.
pub(super) fn excerpt(line: &str, place: Range<usize>, is_shown: bool) -> (String, usize) {
    window(masked(line, place, is_shown))
}

/// A line of the file without its secrets: it keeps its structure, reserved words, the keys of maps, the values of fields
/// that hold no secret, and the texts in `place` if `is_shown`. Everything after a word that is not reserved is left out,
/// because it may be the value of a mistyped field. Also returns the column of `place` in the result, from 1.
fn masked(line: &str, place: Range<usize>, is_shown: bool) -> (String, usize) {
    /// Replaces any value, and hides its length.
    const MASK: &str = "···";
    let mut shown = String::new();
    let mut column = None;
    let mut at = 0;
    let mut scanner = LineScanner::default();
    while let Some(first) = line[at..].chars().next() {
        let rest = &line[at..];
        let piece = match first {
            '"' => quoted(rest),
            _ => &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len()).max(first.len_utf8())],
        };
        let may_show = piece.trim().is_empty() || scanner.may_show(piece, &rest[piece.len()..]);
        // A piece outside the excerpt is scanned, but not copied.
        if at + piece.len() + MAX_EXCERPT < place.start {
            shown = "…".into();
            at += piece.len();
            continue;
        }
        if at > place.start + MAX_EXCERPT {
            shown.push('…');
            break;
        }
        if at + piece.len() > place.start {
            column.get_or_insert(shown.chars().count() + 1);
        }
        match first {
            '"' if !is_shown && place.contains(&at) => shown.extend(["\"", MASK, "\""]),
            _ if may_show || (is_shown && place.contains(&at)) => shown += piece,
            '"' => shown.extend(["\"", MASK, "\""]),
            _ if shown.ends_with(MASK) => {}
            _ => shown += MASK,
        }
        at += piece.len();
    }
    let column = column.unwrap_or(shown.chars().count() + 1);
    (shown, column)
}

/// Reads a line piece by piece and decides which of them may be shown.
#[derive(Default)]
struct LineScanner {
    /// Whether the field that is being read holds no secret.
    is_harmless: bool,
    /// Brackets open since its name.
    depth: i32,
    /// Whether only its name and a colon were read so far.
    is_first: bool,
    /// Whether the rest of the line may be anything.
    is_lost: bool,
    /// The first character of the last piece.
    previous: char,
}

impl LineScanner {
    /// Whether a piece may be shown that is followed by the `rest` of the line.
    fn may_show(&mut self, piece: &str, rest: &str) -> bool {
        let is_name = rest.trim_start().starts_with(':');
        let first = piece.chars().next().unwrap_or_default();
        // A bracket after a word does not open a tuple.
        let is_after_word = is_word(std::mem::replace(&mut self.previous, first));
        let is_first = std::mem::take(&mut self.is_first);
        match piece {
            ":" => self.is_first = is_first,
            "," | "(" | ")" | "[" | "]" | "{" | "}" => {
                self.depth += i32::from("([{".contains(piece)) - i32::from(")]}".contains(piece));
                self.is_harmless &= (self.depth > 0 || (self.depth == 0 && piece != ","))
                    // Each value of a tuple may be anything.
                    && (piece != "(" || is_after_word);
            }
            _ if self.is_lost => return is_reserved(piece),
            _ if piece.starts_with('"') => {
                // A missing or additional quote swaps texts and the space between them.
                self.is_lost = piece.len() < 2
                    || !piece.ends_with('"')
                    || contains_word_of_secret(piece)
                    || piece.contains('@');
                let is_key = is_name && rest.trim_start_matches([':', ' ']).starts_with('(');
                let may_show = !self.is_lost && (is_key || self.is_harmless && !piece.contains(['=', '?']));
                self.is_harmless &= !is_name;
                return may_show;
            }
            _ if is_reserved(piece) => {
                if hides_texts(piece) {
                    self.is_harmless = false;
                } else if is_name {
                    (self.is_harmless, self.is_first, self.depth) = (true, true, 0);
                }
            }
            _ => {
                let is_value = is_first && self.is_harmless;
                self.is_harmless &= is_value;
                // A mistyped field extends to the next known one.
                self.is_lost = !is_value && !is_name;
                return is_value;
            }
        }
        true
    }
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text in quotes that `rest` begins with, or all of it where the quotes don't close.
pub(super) fn quoted(rest: &str) -> &str {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &rest[..=at],
            _ => {}
        }
    }
    rest
}

/// Replaces a name that must not be shown.
pub(super) const UNNAMED: &str = "…";

/// Whether a text is the name of a variable and probably not a secret: words in capitals separated by `_`, perhaps with
/// a number at the end. `hunter2` and base32 do not match.
pub(super) fn is_variable_like(text: &str) -> bool {
    /// Longest name and longest word in it, in bytes.
    const LENGTHS: (usize, usize) = (64, 15);
    /// Maximum number of digits at the end of a word.
    const DIGITS: usize = 4;
    let is_word = |word: &str| {
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
        word.len() - letters.len() <= DIGITS
            && letters.len() <= LENGTHS.1
            && letters.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    text.len() <= LENGTHS.0
        && text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.split('_').all(is_word)
}

/// Whether a text is the path of a file and probably not a secret: the file exists, its name ends like that of a
/// certificate or a secret file, or it is in an existing folder. Base64 also has slashes, but unlike most paths it has
/// capitals.
pub(super) fn is_path_like(text: &str, path: &Path) -> bool {
    const ENDS: [&str; 9] =
        [".cer", ".crt", ".key", ".password", ".pem", ".pwd", ".secret", ".token", ".txt"];
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let has_known_end = ENDS.iter().any(|end| text.ends_with(end));
    // Any text that begins with a slash is below the root.
    let is_folder = |folder: &Path| folder.parent().is_some() && folder.is_dir();
    let is_in_folder = text.contains('/')
        && (!text.contains(|c: char| c.is_ascii_uppercase()) || path.parent().is_some_and(is_folder));
    path.exists() || (text.chars().all(is_plain) && (has_known_end || is_in_folder))
}

/// The kind of a value, from its first characters, if the value itself may not be repeated.
pub(super) fn kind(value: &str) -> String {
    let word = &value[..value.find(|c| !is_word(c)).unwrap_or(value.len())];
    if is_reserved(word) {
        let inside = if value[word.len()..].starts_with('(') { "(…) of another form" } else { "" };
        return format!("{word}{inside}");
    }
    let kind = match value.chars().next() {
        Some('"') => "a text",
        Some('[') => "a list",
        Some('{') => "a map",
        Some('(') => "a structure",
        Some(c) if c.is_ascii_digit() || c == '-' => "a number",
        Some(c) if c.is_alphabetic() => "a word",
        _ => "a sign",
    };
    kind.into()
}

/// Describes a rejected value: a short text, number or word is quoted, other values only by their kind, because a value
/// may be a misplaced secret. An `@`, a `=` or a `?` may separate a secret from its name.
pub(super) fn described(value: &str) -> String {
    let is_text = value.starts_with('"') && quoted(value) == value;
    let is_plain = (is_text && !value.contains(['@', '=', '?', '\n', '\r']))
        || value == "[]"
        || value.chars().all(char::is_alphabetic)
        || value.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte));
    match value.chars().count() {
        0..=MAX_VALUE if is_plain => value.into(),
        length if is_text && length > MAX_VALUE => format!("a text of {} characters", length - 2),
        _ => kind(value),
    }
}

/// Replaces each character that controls a terminal or ends a line of the log.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { c } else { visible(c) }).collect()
}

/// The part of a line around the column: the line may be long.
fn window((line, column): (String, usize)) -> (String, usize) {
    let line = printable(&line);
    let left = column.saturating_sub(1).saturating_sub(MAX_EXCERPT / 2);
    let right = line.chars().count().saturating_sub(left + MAX_EXCERPT);
    if left == 0 && right == 0 {
        return (line, column);
    }
    let middle: String = line.chars().skip(left).take(MAX_EXCERPT).collect();
    let [before, after] = [left, right].map(|cut| if cut > 0 { "…" } else { "" });
    (format!("{before}{middle}{after}"), column - left + before.chars().count())
}

//! What is wrong with the file, and how that is shown: its place, and the line there without its values.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::string::FromUtf8Error;

use super::fields::is_own;
use crate::text::visible;

/// Longest value of the file that an error repeats, in characters.
const SHOWN: usize = 40;

/// Longest excerpt of a line, in characters: a file may be all in one.
const MAX_EXCERPT: usize = 160;

/// Something in the configuration that can't stand, or a warning: something that is accepted, but should be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `sites.ron:12:9`, or the environment variable.
    place: String,
    /// What was found, what was expected and what to do.
    message: String,
    /// Where in the file, in bytes; problems elsewhere come last.
    pub(super) offset: usize,
    /// The line of the file and where in it, from 1.
    excerpt: Option<(String, usize)>,
    severity: Severity,
    /// The same without a name that may be a secret in the wrong place, for the network and the log.
    public: Option<Box<Diagnostic>>,
}

/// What a problem comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// The configuration is not accepted.
    Error,
    /// Earlier versions accepted it: `check` fails, and `run` warns.
    Deprecation,
    /// It is accepted.
    Warning,
}

impl Diagnostic {
    /// A problem that is not at a place in the file.
    pub fn elsewhere(place: impl Into<String>, message: impl Into<String>) -> Self {
        let (place, message) = (printable(&place.into()), printable(&message.into()));
        Self { place, message, offset: usize::MAX, excerpt: None, severity: Severity::Error, public: None }
    }

    /// A problem at a place of a file's text, which may be repeated in its excerpt.
    pub(super) fn at(path: &Path, text: &str, place: Range<usize>, message: impl Into<String>) -> Self {
        Self::shown_at(path, text, place, true, message)
    }

    /// The same, of a place whose texts may be secrets and are not repeated.
    pub(super) fn hiding(path: &Path, text: &str, place: Range<usize>, message: impl Into<String>) -> Self {
        Self::shown_at(path, text, place, false, message)
    }

    fn shown_at(
        path: &Path,
        text: &str,
        place: Range<usize>,
        is_shown: bool,
        message: impl Into<String>,
    ) -> Self {
        let (line, column) = position(text, place.start);
        let start = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
        let source = text[start..].lines().next().unwrap_or_default();
        Self {
            place: printable(&format!("{}:{line}:{column}", path.display())),
            message: printable(&message.into()),
            offset: place.start,
            excerpt: Some(window(masked(source, place.start - start..place.end - start, is_shown))),
            severity: Severity::Error,
            public: None,
        }
    }

    /// The same as a warning.
    pub(super) fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// The same as a deprecation.
    pub(super) fn deprecation(self) -> Self {
        Self { severity: Severity::Deprecation, ..self }
    }

    /// Whether it is a warning for an existing file only, and a problem in a check.
    #[must_use]
    pub fn is_deprecation(&self) -> bool {
        self.severity == Severity::Deprecation
    }

    /// A file that can't be read as text.
    pub(super) fn not_text(path: &Path, error: &FromUtf8Error) -> Self {
        let end = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..end]);
        Self::at(path, &text, end..end, "what stands here is no UTF-8; expected the file saved as UTF-8")
    }

    /// The same for a terminal; over the network and in the log it is `public`.
    pub(super) fn with_public(self, public: Self) -> Self {
        Self { public: Some(Box::new(public)), ..self }
    }

    /// The problem as the network and the log may show it: a secret may stand where the name of a variable or a file
    /// belongs.
    #[must_use]
    pub fn public(&self) -> &Self {
        self.public.as_deref().unwrap_or(self)
    }

    /// `sites.ron:12:9`, or what else it is about.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What was found, what was expected and what to do.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line of the file, and under it a caret at the place.
    #[must_use]
    pub fn excerpt(&self) -> Option<String> {
        let (line, column) = self.excerpt.as_ref()?;
        // The caret stands under its character even where tabs indent the line.
        let indent: String =
            line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        Some(format!("{line}\n{indent}^"))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Warning { "warning: " } else { "" };
        write!(f, "{}: {severity}{}", self.place, self.message)?;
        for line in self.excerpt().iter().flat_map(|excerpt| excerpt.lines()) {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// A line of the file without its secrets: it has its structure, the file's own words, the keys of maps, the values of
/// fields that hold no secret, and what lies in `told` unless its texts are not to be shown. Whatever the line says after
/// a word that is not the file's own is left out, because it may be the value of a mistyped field. Also gives where in
/// it, in characters from 1, what stood at `at` is now.
fn masked(line: &str, told: Range<usize>, is_shown: bool) -> (String, usize) {
    /// In place of any value, so that not even its length shows.
    const MASK: &str = "···";
    let mut shown = String::new();
    let mut column = None;
    let mut at = 0;
    let mut reader = LineReader::default();
    while let Some(first) = line[at..].chars().next() {
        let rest = &line[at..];
        let piece = match first {
            '"' => quoted(rest),
            _ => &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len()).max(first.len_utf8())],
        };
        let plain = piece.trim().is_empty() || reader.may_show(piece, &rest[piece.len()..]);
        // What would not be shown in any case costs a look alone.
        if at + piece.len() + MAX_EXCERPT < told.start {
            shown = "…".into();
            at += piece.len();
            continue;
        }
        if at > told.start + MAX_EXCERPT {
            shown.push('…');
            break;
        }
        if at + piece.len() > told.start {
            column.get_or_insert(shown.chars().count() + 1);
        }
        match first {
            '"' if !is_shown && told.contains(&at) => shown.extend(["\"", MASK, "\""]),
            _ if plain || (is_shown && told.contains(&at)) => shown += piece,
            '"' => shown.extend(["\"", MASK, "\""]),
            _ if shown.ends_with(MASK) => {}
            _ => shown += MASK,
        }
        at += piece.len();
    }
    let column = column.unwrap_or(shown.chars().count() + 1);
    (shown, column)
}

/// Reads a line piece by piece and tells which of them may be shown.
#[derive(Default)]
struct LineReader {
    /// Whether the field that is being read holds no secret.
    is_harmless: bool,
    /// Brackets open since its name.
    depth: i32,
    /// Whether nothing but its name and a colon were read of it.
    is_first: bool,
    /// Whether the rest may be anything.
    is_lost: bool,
    /// What the last piece began with.
    before: char,
}

impl LineReader {
    /// Whether a piece may be shown that has the `rest` of the line behind it.
    fn may_show(&mut self, piece: &str, rest: &str) -> bool {
        /// Fields whose values are secrets, or may have one in them, and the words that a secret stands in.
        const SECRET: [&str; 9] =
            ["password", "view", "admin", "query", "Plain", "Env", "File", "Token", "PRIVATE KEY"];
        /// Fields and words whose values are no texts, or the paths of files, where a secret may stand instead.
        const NO_TEXT: [&str; 8] = ["cert", "key", "Ca", "http", "defaults", "sites", "plugins", "metrics"];
        let is_name = rest.trim_start().starts_with(':');
        let first = piece.chars().next().unwrap_or_default();
        // A bracket behind a word opens no tuple.
        let is_after_word = is_word(std::mem::replace(&mut self.before, first));
        let is_first = std::mem::take(&mut self.is_first);
        match piece {
            ":" => self.is_first = is_first,
            "," | "(" | ")" | "[" | "]" | "{" | "}" => {
                self.depth += i32::from("([{".contains(piece)) - i32::from(")]}".contains(piece));
                self.is_harmless &= (self.depth > 0 || (self.depth == 0 && piece != ","))
                    // Of a tuple each value may be anything.
                    && (piece != "(" || is_after_word);
            }
            _ if self.is_lost => return is_own(piece),
            _ if piece.starts_with('"') => {
                // A quote that is missing or too many turns texts inside out.
                self.is_lost = piece.len() < 2
                    || !piece.ends_with('"')
                    || SECRET.iter().any(|word| piece.contains(word))
                    || piece.contains('@');
                let is_key = is_name && rest.trim_start_matches([':', ' ']).starts_with('(');
                let may_show = !self.is_lost && (is_key || self.is_harmless && !piece.contains(['=', '?']));
                self.is_harmless &= !is_name;
                return may_show;
            }
            _ if is_own(piece) => {
                if SECRET.contains(&piece) || NO_TEXT.contains(&piece) {
                    self.is_harmless = false;
                } else if is_name {
                    (self.is_harmless, self.is_first, self.depth) = (true, true, 0);
                }
            }
            _ => {
                let is_value = is_first && self.is_harmless;
                self.is_harmless &= is_value;
                // A mistyped field goes as far as the next one that is known.
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

/// The line and the column of a place in a text, from 1; columns count characters.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// Stands for a name that is not repeated.
pub(super) const UNNAMED: &str = "…";

/// Whether a text is the name of a variable and hardly a secret: words in capitals with `_` between them, which may end
/// with a number. `hunter2` and base32 are neither.
pub(super) fn is_variable_like(text: &str) -> bool {
    /// Longest name and longest word in it, in bytes.
    const LENGTHS: (usize, usize) = (64, 15);
    /// Most digits at the end of a word.
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

/// Whether a text is the path of a file and hardly a secret: there is such a file, it ends like the files that are meant,
/// or it leads into a folder. Base64 has slashes, too, but capitals as well.
pub(super) fn is_path_like(text: &str, path: &Path) -> bool {
    const ENDS: [&str; 9] =
        [".cer", ".crt", ".key", ".password", ".pem", ".pwd", ".secret", ".token", ".txt"];
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let ends_so = ENDS.iter().any(|end| text.ends_with(end));
    // The root is above any text that begins with a slash.
    let leads_into = |folder: &Path| folder.parent().is_some() && folder.is_dir();
    let is_in_folder = text.contains('/')
        && (!text.contains(|c: char| c.is_ascii_uppercase()) || path.parent().is_some_and(leads_into));
    path.exists() || (text.chars().all(is_plain) && (ends_so || is_in_folder))
}

/// What a value is by how it begins, for where it may not be repeated.
pub(super) fn kind(value: &str) -> String {
    let word = &value[..value.find(|c| !is_word(c)).unwrap_or(value.len())];
    if is_own(word) {
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

/// What was found where something else belongs: a short text, number or word, or else only its kind, for it may be a
/// secret in the wrong place. An `@`, a `=` or a `?` may separate one from its name.
pub(super) fn described(value: &str) -> String {
    let is_text = value.starts_with('"') && quoted(value) == value;
    let is_plain = (is_text && !value.contains(['@', '=', '?', '\n', '\r']))
        || value == "[]"
        || value.chars().all(char::is_alphabetic)
        || value.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte));
    match value.chars().count() {
        0..=SHOWN if is_plain => value.into(),
        length if is_text && length > SHOWN => format!("a text of {} characters", length - 2),
        _ => kind(value),
    }
}

/// The text without what would steer a terminal or end a line of the log; so many characters as it had.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { c } else { visible(c) }).collect()
}

/// What stands around the column of a line, which may be long.
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

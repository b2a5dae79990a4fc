//! Explains syntax errors: adds to the error of `ron` which bracket, text or comment is open, and where it begins.

use ron::error::Error;

use super::diagnostic::position;
use super::redact::{is_word, kind, quoted};

/// The offset of a syntax error, in bytes, and a message. `offset` is where `ron` found it.
pub(super) fn explain(text: &str, error: &Error, offset: usize) -> (usize, String) {
    let at = offset + gap(&text[offset..]);
    let open = Open::at(text, at);
    if let Some(comment) = open.comment {
        return (comment, "the comment that begins here is not closed; expected */ at its end".into());
    }
    if let Some(long) = open.long_text {
        let message = "the text that begins here continues on the next line; a quote is missing or too many";
        return (long, message.into());
    }
    let innermost = open.brackets.last().map(|&bracket| {
        let (line, column) = position(text, bracket);
        (closing(text, bracket), format!("the `{}` at {line}:{column}", &text[bracket..=bracket]))
    });
    let Some(found) = text[at..].chars().next() else {
        let closings: String = open.brackets.iter().rev().map(|&bracket| closing(text, bracket)).collect();
        let message = match innermost {
            Some((_, bracket)) => {
                format!("the file ends here, and {bracket} is not closed; expected `{closings}`")
            }
            None => "the file is empty; expected ( sites: { … } )".into(),
        };
        return (text.trim_end().len(), message);
    };
    let (closing, bracket) = innermost.unwrap_or_default();
    let close = format!("`{closing}`, which closes {bracket}");
    let found = match found {
        '#' | '/' => return (at, format!("found `{found}`; a comment begins with //")),
        '\'' | '“' | '”' | '„' | '‘' | '’' | '«' | '»' => {
            return (at, format!("found `{found}`; a text is written in straight double quotes: \"…\""));
        }
        ')' | ']' | '}' if bracket.is_empty() => {
            return (at, format!("found `{found}`, which closes nothing"));
        }
        _ if found.is_ascii_punctuation() && !"\"([{-".contains(found) => format!("`{found}`"),
        _ => kind(&text[at..]),
    };
    let expected = match error {
        Error::ExceededRecursionLimit => {
            return (at, "the brackets are nested too deeply".into());
        }
        Error::InvalidEscape(_) => {
            return (at, "this text contains a backslash; expected two for each, or r\"…\"".into());
        }
        Error::InvalidIdentifier(_) | Error::SuggestRawIdentifier(_) => {
            return (at, "a name must be letters, digits and _, beginning with a letter".into());
        }
        Error::ExpectedFloat | Error::ExpectedInteger | Error::InvalidIntegerDigit { .. } => {
            return (at, "this is not a number; a text is written in quotes".into());
        }
        Error::TrailingCharacters => "nothing after the file's one structure, ( … )".into(),
        Error::ExpectedMapColon => "a colon, and the value after it".into(),
        Error::ExpectedComma => format!("a comma, or {close}"),
        Error::ExpectedIdentifier => format!("a field's name, or {close}"),
        _ => "a value: a text in quotes, a number, true or false, or a bracket".into(),
    };
    (at, format!("found {found}; expected {expected}"))
}

/// The brackets, text or comment that are open at a place of the text, by their offsets.
#[derive(Default)]
struct Open {
    /// From the outermost to the innermost.
    brackets: Vec<usize>,
    /// The first text that continues on another line, which is almost never intended.
    long_text: Option<usize>,
    comment: Option<usize>,
}

impl Open {
    /// Scans up to a place before which `ron` found no error, so that brackets match.
    fn at(text: &str, place: usize) -> Self {
        let mut open = Self::default();
        let mut at = 0;
        while at <= place
            && let Some(first) = text[at..].chars().next()
        {
            let rest = &text[at..];
            let mut length = first.len_utf8();
            match first {
                '"' => length = quoted(rest).len(),
                'r' if !text[..at].ends_with(is_word) => length = raw_text(rest).unwrap_or(length),
                '/' => {
                    let Some(comment) = comment(rest) else {
                        open.comment = Some(at);
                        return open;
                    };
                    length = comment.max(length);
                }
                '(' | '[' | '{' if at < place => open.brackets.push(at),
                ')' | ']' | '}' if at < place => {
                    open.brackets.pop();
                }
                _ => {}
            }
            if first != '/' && open.long_text.is_none() && rest[..length].contains('\n') && length > 1 {
                open.long_text = Some(at);
            }
            at += length;
        }
        open
    }
}

fn closing(text: &str, bracket: usize) -> &'static str {
    match &text[bracket..=bracket] {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

/// The length of the space and the comments that `rest` begins with.
pub(super) fn gap(rest: &str) -> usize {
    let mut at = 0;
    loop {
        let space = rest[at..].len() - rest[at..].trim_start().len();
        let length = space + comment(&rest[at + space..]).unwrap_or_default();
        if length == 0 {
            return at;
        }
        at += length;
    }
}

/// The length of the comment that `rest` begins with, or 0; `None` if the comment is not closed.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return Some(0);
    }
    let (mut at, mut depth) = (2, 1);
    while depth > 0 {
        let sign = at + rest[at..].find(['/', '*'])?;
        let (length, deeper) = match rest.get(sign..sign + 2) {
            Some("/*") => (2, 1),
            Some("*/") => (2, -1),
            _ => (1, 0),
        };
        at = sign + length;
        depth += deeper;
    }
    Some(at)
}

/// The length of `r#"…"#`, if `rest` begins with one.
fn raw_text(rest: &str) -> Option<usize> {
    let inside = rest[1..].trim_start_matches('#');
    let hashes = &rest[1..rest.len() - inside.len()];
    let inside = inside.strip_prefix('"')?;
    let begin = rest.len() - inside.len();
    let end = format!("\"{hashes}");
    Some(inside.find(&end).map_or(rest.len(), |at| begin + at + end.len()))
}

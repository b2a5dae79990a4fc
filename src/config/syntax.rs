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

/// Makes RON of values with a name before their fields, such as `("rx-byte", title: "Received")`: replaces the colons by
/// commas. All other places stay the same, so that diagnostics can show the original.
pub(super) fn with_commas(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    // The first character in each open bracket.
    let mut open: Vec<(char, Option<char>)> = Vec::new();
    while let Some(first) = text[replaced.len()..].chars().next() {
        // After a comment that is not closed, `ron` reports an error.
        let at = replaced.len();
        let length = token_length(text, at).unwrap_or(text.len() - at);
        let token = &text[at..at + length];
        let is_after_name = || replaced.trim_end().ends_with(is_word);
        if first == ':' && open.last() == Some(&('(', Some('"'))) && is_after_name() {
            replaced.push(',');
            continue;
        }
        replaced += token;
        if first.is_whitespace() || token.starts_with("//") || token.starts_with("/*") {
            continue;
        }
        if let Some((_, inside)) = open.last_mut() {
            inside.get_or_insert(first);
        }
        match first {
            '(' | '[' | '{' => open.push((first, None)),
            ')' | ']' | '}' => drop(open.pop()),
            _ => {}
        }
    }
    replaced
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
            let Some(length) = token_length(text, at) else {
                open.comment = Some(at);
                return open;
            };
            match first {
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

/// The length of the text in quotes, comment or character at a place; `None` if the comment is not closed.
fn token_length(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let length = rest.chars().next().map_or(0, char::len_utf8);
    Some(match rest.as_bytes().first() {
        Some(b'"') => quoted(rest).len(),
        Some(b'r') if !text[..at].ends_with(is_word) => raw_text(rest).unwrap_or(length),
        Some(b'/') => comment(rest)?.max(length),
        _ => length,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_after_a_first_text_become_commas_and_no_others() {
        for (text, expected) in [
            (r#"("a", title: "b: c", unit :X)"#, r#"("a", title, "b: c", unit ,X)"#),
            (
                r#"( /* : */ "a", // (":
              t: (x: 1))"#,
                r#"( /* : */ "a", // (":
              t, (x: 1))"#,
            ),
            (r#"(a: "b", c: ["d", ("e", f: 1)])"#, r#"(a: "b", c: ["d", ("e", f, 1)])"#),
            (r##"{"a": (b: r#"(":"#), "c": ("d")}"##, r##"{"a": (b: r#"(":"#), "c": ("d")}"##),
            (r#"("a": (b: 1))"#, r#"("a": (b: 1))"#),
            (r#"(["a", b: 1])"#, r#"(["a", b: 1])"#),
            ("/* (", "/* ("),
            ("(\"a", "(\"a"),
        ] {
            assert_eq!(with_commas(text), expected);
        }
    }
}

//! The header fields and the body that a service gets for a message.

use serde::Serialize;

use crate::alert::{AlertState, Notification};

/// Header fields and a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Payload {
    /// A body that is sent as JSON.
    pub(super) fn json_text(body: String) -> Self {
        let fields = vec![("Content-Type".into(), "application/json".into())];
        Self { fields, body: body.into_bytes() }
    }
}

/// Whether any alert of a message fires.
pub(super) fn is_firing(message: &Notification) -> bool {
    message.alerts.iter().any(|alert| alert.state() == AlertState::Firing)
}

/// The title and the text.
pub(super) fn plain(message: &Notification) -> String {
    if message.text.is_empty() {
        message.title.clone()
    } else {
        format!("{}\n{}", message.title, message.text)
    }
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Payload {
    // Only a map with keys other than strings can't be serialised.
    Payload::json_text(serde_json::to_string(value).unwrap_or_default())
}

/// A text of at most `max` units of UTF-16, in which services count. A longer one ends with `…`.
pub(super) fn truncated(text: &str, max: usize) -> String {
    shorten(text, max, char::len_utf16)
}

/// The same in bytes.
pub(super) fn truncated_bytes(text: &str, max: usize) -> String {
    shorten(text, max, char::len_utf8)
}

fn shorten(text: &str, max: usize, length: fn(char) -> usize) -> String {
    if text.chars().map(length).sum::<usize>() <= max {
        return text.into();
    }
    let mut left = max.saturating_sub(length('…'));
    let fits = |c: &char| {
        let fits = length(*c) <= left;
        left = left.saturating_sub(length(*c));
        fits
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_truncated_between_characters() {
        for (text, max, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("a😀b", 4, "a😀b"),
            ("a😀bc", 4, "a😀…"),
            ("a😀bc", 3, "a…"),
            ("", 0, ""),
        ] {
            assert_eq!(truncated(text, max), expected, "{text} {max}");
        }
        assert_eq!(truncated_bytes("ééé", 6), "ééé");
        assert_eq!(truncated_bytes("éééé", 6), "é…");
    }
}

//! Messages to ntfy, whose header fields hold all but the text.

use super::payload::{Payload, is_firing, truncated_bytes};
use crate::alert::Notification;
use crate::net::base64::base64;

/// ntfy turns a longer text into an attachment. In bytes.
const MAX_TEXT: usize = 4096;

/// Longest title in bytes, so that the header field stays short.
const MAX_TITLE: usize = 250;

/// Bytes in one encoded word of a header field, which has at most 75 characters (RFC 2047).
const MAX_WORD: usize = 45;

pub(super) fn payload(token: Option<&str>, message: &Notification) -> Payload {
    let (priority, tag) =
        if is_firing(message) { ("high", "rotating_light") } else { ("default", "white_check_mark") };
    let mut fields = vec![
        ("Title".into(), header_text(&truncated_bytes(&message.title, MAX_TITLE))),
        ("Priority".into(), priority.into()),
        ("Tags".into(), tag.into()),
    ];
    fields.extend(token.map(|token| ("Authorization".into(), format!("Bearer {token}"))));
    Payload { fields, body: truncated_bytes(&message.text, MAX_TEXT).into_bytes() }
}

/// A text as the value of a header field: encoded words of RFC 2047 unless it is visible ASCII.
fn header_text(text: &str) -> String {
    if text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) && !text.contains("=?") {
        return text.into();
    }
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= MAX_WORD => word.push(c),
            _ => words.push(c.into()),
        }
    }
    let words = words.iter().map(|word| format!("=?UTF-8?B?{}?=", base64(word.as_bytes())));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::{firing, message};

    #[test]
    fn header_fields_are_ascii() {
        for (text, expected) in [
            ("Awka is down", "Awka is down"),
            ("Ọja", "=?UTF-8?B?4buMamE=?="),
            ("a\r\nb", "=?UTF-8?B?YQ0KYg==?="),
            ("=?a", "=?UTF-8?B?PT9h?="),
        ] {
            assert_eq!(header_text(text), expected);
        }
        let words = header_text(&"é".repeat(100));
        assert!(words.split(' ').all(|word| word.len() <= 75) && words.split(' ').count() == 5, "{words}");
    }

    #[test]
    fn priority_and_tags_depend_on_the_state() {
        let field = |payload: &Payload, name: &str| {
            payload.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let down = payload(Some("tk_1"), &message("Down", "x", vec![firing("SiteDown", "awka")]));
        assert_eq!(field(&down, "Priority").as_deref(), Some("high"));
        assert_eq!(field(&down, "Authorization").as_deref(), Some("Bearer tk_1"));
        let up = payload(None, &message("Up", &"x".repeat(9000), vec![]));
        assert_eq!(field(&up, "Tags").as_deref(), Some("white_check_mark"));
        assert_eq!((field(&up, "Authorization"), up.body.len()), (None, MAX_TEXT));
    }
}

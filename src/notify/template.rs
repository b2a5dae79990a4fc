//! Templates of a webhook's body.

use serde::Serialize;

use super::payload::is_firing;
use crate::alert::{Alert, Notification};

/// The placeholders. The last four are of the first alert, and empty if it has no such value.
pub const PLACEHOLDERS: [&str; 8] = ["title", "text", "state", "alerts", "id", "kind", "site", "name"];

/// Replaces each `{placeholder}` in a template. Values are escaped, so that they can stand between the quotes of a JSON
/// string; `{alerts}` is the JSON array of `alerts`. Other braces stay as they are.
pub(super) fn fill(template: &str, message: &Notification, alerts: &[Alert]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, from_brace) = rest.split_at(at);
        filled += before;
        let name = from_brace[1..].split_once('}').map(|(name, _)| name);
        if let Some((name, value)) = name.and_then(|name| Some((name, value(name, message, alerts)?))) {
            filled += &value;
            rest = &from_brace[name.len() + 2..];
        } else {
            filled.push('{');
            rest = &from_brace[1..];
        }
    }
    filled + rest
}

fn value(name: &str, message: &Notification, alerts: &[Alert]) -> Option<String> {
    let first = alerts.first();
    let value = match name {
        "title" => message.title.as_str(),
        "text" => &message.text,
        "state" if is_firing(message) => "firing",
        "state" => "resolved",
        "alerts" => return Some(json(alerts)),
        "id" => first.map_or("", |alert| &alert.id),
        "kind" => first.map_or("", |alert| &alert.kind),
        "site" => first.and_then(|alert| alert.site.as_deref()).unwrap_or_default(),
        "name" => first.and_then(|alert| alert.name.as_deref()).unwrap_or_default(),
        _ => return None,
    };
    let quoted = json(&value);
    Some(quoted[1..quoted.len() - 1].to_string())
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    // Only a map with keys other than strings can't be serialised.
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::{firing, message, now};

    fn filled(template: &str, message: &Notification) -> String {
        fill(template, message, &message.alerts.iter().map(|alert| alert.alert(now())).collect::<Vec<_>>())
    }

    #[test]
    fn placeholders_are_replaced_by_escaped_values() {
        let odd = message("a \"b\" \\ {text}", "c\nd\u{1}é", vec![firing("SiteDown", "awka")]);
        for (template, expected) in [
            ("", ""),
            ("{title}", r#"a \"b\" \\ {text}"#),
            (r#"{"content":"{text}"}"#, r#"{"content":"c\nd\u0001é"}"#),
            ("{{state}}", "{firing}"),
            ("{kind} {site}/{name} {id}", "SiteDown awka/Awka SiteDown-awka"),
            ("{other} {Title} {} {", "{other} {Title} {} {"),
            ("é{title", "é{title"),
        ] {
            assert_eq!(filled(template, &odd), expected, "{template}");
        }
        let array = filled("{alerts}", &odd);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&array).unwrap()[0]["kind"], "SiteDown");
        let none = message("t", "x", vec![]);
        assert_eq!(filled("{state}|{site}|{id}|{alerts}", &none), "resolved|||[]");
    }

    #[test]
    fn each_placeholder_has_a_value() {
        for name in PLACEHOLDERS {
            assert_ne!(value(name, &message("t", "x", vec![]), &[]), None, "{name}");
        }
    }
}

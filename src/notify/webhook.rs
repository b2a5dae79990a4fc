//! Messages as the POST of JSON to any server.

use ring::hmac;
use serde::Serialize;

use super::payload::{Payload, json};
use super::template;
use crate::alert::{Alert, Notification};
use crate::text::hex;

/// The version of the JSON. It changes if a field is removed or changes its meaning.
const VERSION: u8 = 1;

#[derive(Serialize)]
struct Body<'m> {
    version: u8,
    title: &'m str,
    text: &'m str,
    alerts: &'m [Alert],
}

/// The body from the template, or the JSON of the message; signed if there is a key.
pub(super) fn payload(template: Option<&str>, key: Option<&str>, message: &Notification) -> Payload {
    let Notification { title, text, alerts, .. } = message;
    let mut payload = match template {
        Some(template) => Payload::json_text(template::fill(template, message)),
        None => json(&Body { version: VERSION, title, text, alerts }),
    };
    if let Some(key) = key {
        let signature = format!("sha256={}", signature(key.as_bytes(), &payload.body));
        payload.fields.push(("X-Signature".into(), signature));
    }
    payload
}

/// The HMAC with SHA-256 in hexadecimal digits (RFC 2104).
fn signature(key: &[u8], body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), body);
    hex(tag.as_ref())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::notify::samples::{firing, message};

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let test_2 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(b"Jefe", b"what do ya want for nothing?"), test_2);
    }

    #[test]
    fn the_body_is_json_of_the_message_or_the_template() {
        let message = message("Awka is down", "…", vec![firing("SiteDown", "awka")]);
        let plain = payload(None, None, &message);
        let body: Value = serde_json::from_slice(&plain.body).unwrap();
        let alert = json!({
            "id": "SiteDown-awka", "kind": "SiteDown", "site": "awka", "name": "Awka", "state": "firing",
            "since": "2026-05-31T09:54:33Z", "until": null, "value": null, "message": "Awka is down",
            "hint": "check its power",
        });
        assert_eq!(body, json!({"version": 1, "title": "Awka is down", "text": "…", "alerts": [alert]}));
        assert_eq!(plain.fields, [("Content-Type".to_string(), "application/json".to_string())]);
        let signed = payload(Some("{title}!"), Some("Jefe"), &message);
        assert_eq!(signed.body, b"Awka is down!");
        let expected = format!("sha256={}", signature(b"Jefe", b"Awka is down!"));
        assert_eq!(signed.fields[1], ("X-Signature".to_string(), expected));
    }
}

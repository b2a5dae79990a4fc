//! Messages as the POST of JSON to any server.

use ring::hmac;
use serde::Serialize;

use super::payload::{Payload, json};
use super::template;
use crate::alert::{Alert, AlertTime, Notification};
use crate::text::hex;

/// The version of the JSON. It changes if a field is removed or changes its meaning.
const VERSION: u8 = 1;

#[derive(Serialize)]
struct Body<'m> {
    version: u8,
    title: &'m str,
    text: &'m str,
    alerts: Vec<Alert>,
}

/// The body from the template, or the JSON of the message; signed if there is a key.
pub(super) fn payload(
    template: Option<&str>,
    key: Option<&str>,
    message: &Notification,
    now: AlertTime,
) -> Payload {
    let Notification { title, text, .. } = message;
    let alerts: Vec<Alert> = message.alerts.iter().map(|alert| alert.alert(now)).collect();
    let mut payload = match template {
        Some(template) => Payload::json_text(template::fill(template, message, &alerts)),
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
    use crate::notify::samples::{firing, message, now, undated};

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let test_2 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(b"Jefe", b"what do ya want for nothing?"), test_2);
    }

    #[test]
    fn the_body_is_json_of_the_message_or_the_template() {
        let message = message("Awka is down", "…", vec![firing("SiteDown", "awka")]);
        let plain = payload(None, None, &message, now());
        let body: Value = serde_json::from_slice(&plain.body).unwrap();
        let alert = json!({
            "id": "SiteDown-awka", "kind": "SiteDown", "site": "awka", "name": "Awka", "state": "firing",
            "since": "2026-05-31T09:54:33Z", "until": null, "value": null, "message": "Awka is down",
            "hint": "check its power",
        });
        assert_eq!(body, json!({"version": 1, "title": "Awka is down", "text": "…", "alerts": [alert]}));
        assert_eq!(plain.fields, [("Content-Type".to_string(), "application/json".to_string())]);
        let signed = payload(Some("{title}!"), Some("Jefe"), &message, now());
        assert_eq!(signed.body, b"Awka is down!");
        let expected = format!("sha256={}", signature(b"Jefe", b"Awka is down!"));
        assert_eq!(signed.fields[1], ("X-Signature".to_string(), expected));
    }

    #[test]
    fn a_message_that_waits_until_the_clock_is_set_has_its_date() {
        let message = message("t", "x", vec![firing("SiteDown", "awka")]);
        for (now, expected) in [(undated(), "1970-01-01T00:01:40Z"), (now(), "2026-05-31T09:54:33Z")] {
            for (template, of) in [(None, "/alerts/0/since"), (Some("{alerts}"), "/0/since")] {
                let body: Value =
                    serde_json::from_slice(&payload(template, None, &message, now).body).unwrap();
                assert_eq!(body.pointer(of), Some(&json!(expected)), "{body}");
            }
        }
    }
}

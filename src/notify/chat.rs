//! Messages to chats: Telegram, Slack and Discord. Each gets plain text: names of sites and routers can't format it,
//! or mention anybody.

use serde_json::{Value, json as object};

use super::payload::{Payload, json, plain, truncated};
use crate::alert::Notification;

/// The limits of the services, in units of UTF-16.
const MAX_TELEGRAM: usize = 4096;
const MAX_SLACK: usize = 4000;
const MAX_DISCORD: usize = 2000;

pub(super) fn telegram(chat: &str, message: &Notification) -> Payload {
    let text = truncated(&plain(message), MAX_TELEGRAM);
    json(&object!({"chat_id": chat, "text": text, "link_preview_options": {"is_disabled": true}}))
}

pub(super) fn slack(message: &Notification) -> Payload {
    // Slack interprets these three characters, such as in <!channel>. The limit counts them as they are.
    let text = truncated(&plain(message), MAX_SLACK);
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json(&object!({"text": text}))
}

pub(super) fn discord(message: &Notification) -> Payload {
    let content = truncated(&plain(message), MAX_DISCORD);
    json(&object!({"content": content, "allowed_mentions": {"parse": []}}))
}

/// The error in Telegram's response, with how to fix it, and the seconds to wait.
pub(super) fn telegram_error(body: &str) -> Option<(String, Option<f64>)> {
    let body: Value = serde_json::from_str(body).ok()?;
    let description = body["description"].as_str()?;
    let new_chat = body["parameters"]["migrate_to_chat_id"].as_i64();
    let hint = match description {
        _ if new_chat.is_some() => "; set `chat` to the new identifier",
        "Unauthorized" | "Not Found" => "; is the token that of @BotFather?",
        "Bad Request: chat not found" => "; send the bot a message first, or add it to the group",
        _ => "",
    };
    let new_chat = new_chat.map(|chat| format!(" {chat}")).unwrap_or_default();
    Some((format!("{description}{new_chat}{hint}"), body["parameters"]["retry_after"].as_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::message;

    fn parsed(payload: &Payload) -> Value {
        serde_json::from_slice(&payload.body).unwrap()
    }

    #[test]
    fn each_service_gets_its_own_json() {
        let message = message("Awka & <!channel> @everyone", "line", vec![]);
        let text = "Awka & <!channel> @everyone\nline";
        assert_eq!(
            parsed(&telegram("-100", &message)),
            object!({"chat_id": "-100", "text": text, "link_preview_options": {"is_disabled": true}})
        );
        assert_eq!(
            parsed(&slack(&message)),
            object!({"text": "Awka &amp; &lt;!channel&gt; @everyone\nline"})
        );
        assert_eq!(parsed(&discord(&message)), object!({"content": text, "allowed_mentions": {"parse": []}}));
    }

    #[test]
    fn long_messages_are_truncated_to_the_limit_of_the_service() {
        let long = message("t", &"😀".repeat(9000), vec![]);
        for (payload, field, max) in [
            (telegram("1", &long), "text", 4096),
            (slack(&long), "text", 4000),
            (discord(&long), "content", 2000),
        ] {
            let length = parsed(&payload)[field].as_str().unwrap().encode_utf16().count();
            assert!(length <= max && length > max - 2, "{length}");
        }
    }

    #[test]
    fn errors_of_telegram_are_explained() {
        for (body, expected) in [
            ("<html>", None),
            ("{}", None),
            (
                r#"{"description":"Unauthorized"}"#,
                Some(("Unauthorized; is the token that of @BotFather?", None)),
            ),
            (
                r#"{"description":"Too Many Requests: retry after 7","parameters":{"retry_after":7}}"#,
                Some(("Too Many Requests: retry after 7", Some(7.0))),
            ),
            (
                r#"{"description":"upgraded to","parameters":{"migrate_to_chat_id":-1009}}"#,
                Some(("upgraded to -1009; set `chat` to the new identifier", None)),
            ),
        ] {
            let found = telegram_error(body);
            let expected = expected.map(|(text, wait): (&str, Option<f64>)| (text.to_string(), wait));
            assert_eq!(found, expected, "{body}");
        }
    }
}

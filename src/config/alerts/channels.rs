//! The channels: reading their services, secrets and the certificates that are trusted.

use std::collections::HashSet;
use std::net::IpAddr;

use super::rows::SERVICES;
use super::types::{ChannelConfig, ChannelService, HeartbeatConfig, ServerTrust};
use super::variant;
use crate::config::document::Node;
use crate::config::secret::Secret;
use crate::config::secret_source;
use crate::config::site::read_authorities;
use crate::config::table::Section;
use crate::config::validator::{FieldValue, Fields, Validator};
use crate::net::http_client::is_field;
use crate::net::url::HttpUrl;

/// Maximum length of a URL or a header, in bytes: servers refuse longer ones.
const MAX_TEXT: usize = 4096;

/// Maximum length of the name of a header, in bytes.
const MAX_NAME: usize = 100;

/// Reads `alerts.to`.
pub(super) fn read_all<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> Vec<ChannelConfig> {
    let Some(value) = fields.get("to") else { return Vec::new() };
    let mut names = HashSet::new();
    let mut channels = Vec::new();
    for (key, node) in check.map(value) {
        let name = check.key("channel", key, "", "");
        if let Some(name) = &name
            && !names.insert(name.clone())
        {
            check.document.report(key, &format!("the channel {name:?} is repeated; expected each name once"));
        }
        let part = format!("to.{}", name.as_deref().unwrap_or("…"));
        let channel = check.scoped(&part, |check| read(check, FieldValue { node, ..value }));
        channels.extend(channel.zip(name).map(|((service, trust), name)| ChannelConfig {
            name,
            service,
            trust,
        }));
    }
    channels
}

fn read<'f>(check: &mut Validator<'f>, value: FieldValue<'f>) -> Option<(ChannelService, ServerTrust)> {
    let (word, fields) = variant::read(check, value, Section::Channel, "service", SERVICES)?;
    let url = fields.get("url").and_then(|value| read_url(check, value));
    let token = fields.get("token").and_then(|value| read_secret(check, value));
    let trust = read_trust(check, &fields);
    let service = match word {
        "Webhook" => {
            let (headers, body) = (read_headers(check, &fields), check.text(&fields, "body"));
            let secret = fields.get("secret").and_then(|value| read_secret(check, value));
            ChannelService::Webhook { url: url?, headers, secret, body }
        }
        "Telegram" => {
            // The token becomes a part of a URL.
            let is_url = |token: &Secret| HttpUrl::parse(&format!("https://host/{}", token.expose())).is_ok();
            if let Some(value) = fields.get("token").filter(|_| token.as_ref().is_some_and(|t| !is_url(t))) {
                check.report_hidden(
                    value,
                    "the token has characters that no token has; expected the one from @BotFather",
                );
            }
            ChannelService::Telegram { chat: check.text(&fields, "chat")?, token: token? }
        }
        "Ntfy" => ChannelService::Ntfy { url: url?, token },
        "Slack" => ChannelService::Slack { url: url? },
        "Discord" => ChannelService::Discord { url: url? },
        _ => ChannelService::Alertmanager { url: url? },
    };
    Some((service, trust))
}

/// Reads `alerts.heartbeat`.
pub(super) fn read_heartbeat<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> Option<HeartbeatConfig> {
    let value = fields.get("heartbeat")?;
    let fields = check.structure(Section::Heartbeat, "alerts.heartbeat", value.node)?;
    check.require("alerts.heartbeat", value.node, &fields, &|_| false);
    check.scoped("heartbeat", |check| {
        let url = fields.get("url").and_then(|value| read_url(check, value));
        let every = check.duration(&fields, "every");
        let trust = read_trust(check, &fields);
        Some(HeartbeatConfig { url: url?, every: every?, trust })
    })
}

/// Reads a token or a key, which must not be empty.
fn read_secret<'f>(check: &mut Validator<'f>, value: FieldValue<'f>) -> Option<Secret> {
    let source = secret_source::read(check, value, Some(value.node))?;
    let secret = secret_source::fetch(check, value, source)?;
    sendable(check, value, secret)
}

/// Reads a text, or a secret from its source.
fn read_text<'f>(check: &mut Validator<'f>, value: FieldValue<'f>) -> Option<Secret> {
    match value.node.text() {
        Some(text) => sendable(check, value, Secret::new(text)),
        None => read_secret(check, value),
    }
}

/// Reports a text that can't be part of a request.
fn sendable<'f>(check: &mut Validator<'f>, value: FieldValue<'f>, secret: Secret) -> Option<Secret> {
    let text = secret.expose();
    if !text.is_empty() && text.len() <= MAX_TEXT && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Some(secret);
    }
    check.report_hidden(value, "the value is empty, too long, or has characters that can't be sent");
    None
}

fn read_url<'f>(check: &mut Validator<'f>, value: FieldValue<'f>) -> Option<Secret> {
    let url = read_text(check, value)?;
    let parsed = match HttpUrl::parse(url.expose()) {
        Ok(parsed) => parsed,
        Err(problem) => {
            let expected = "expected https://host/path, or http:// in the own network";
            check.report_hidden(value, &format!("{problem}; {expected}"));
            return None;
        }
    };
    if !parsed.is_https && !is_local(&parsed.host) {
        check.warn(value, "messages and tokens cross the Internet in clear; expected https://");
    }
    Some(url)
}

/// Whether a host is this machine or in a private network.
fn is_local(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(v4)) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        Err(_) => {
            !host.contains('.')
                || [".local", ".lan", ".internal", ".home.arpa"].iter().any(|end| host.ends_with(end))
        }
    }
}

fn read_headers<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> Vec<(String, Secret)> {
    let Some(value) = fields.get("headers") else { return Vec::new() };
    let mut headers = Vec::new();
    for (key, node) in check.map(value) {
        let name = key.text().filter(|name| name.len() <= MAX_NAME && is_field(name, ""));
        if name.is_none() {
            let expected = "the name of a header that the agent does not send itself, such as \"X-Key\"";
            check.document.reject("header", key, expected);
        }
        headers.extend(name.zip(read_header(check, value, node)));
    }
    headers
}

fn read_header<'f>(check: &mut Validator<'f>, value: FieldValue<'f>, node: Node<'f>) -> Option<Secret> {
    read_text(check, FieldValue { node, ..value })
}

fn read_trust<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> ServerTrust {
    let Some(value) = fields.get("ca") else { return ServerTrust::BuiltIn };
    let trust = match value.node.variant() {
        ("System", None) => Some(ServerTrust::System),
        ("File", Some(argument)) => match argument.text() {
            Some(path) => {
                return read_authorities(check, value, &path).map(ServerTrust::Ca).unwrap_or_default();
            }
            None => None,
        },
        ("Pin", Some(argument)) => argument.text().and_then(|pin| Some(ServerTrust::Pin(pin.parse().ok()?))),
        _ => None,
    };
    if trust.is_none() {
        check.reject(value);
    }
    trust.unwrap_or_default()
}

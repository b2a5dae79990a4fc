//! The channels: reading their services, secrets and the certificates that are trusted.

use std::collections::HashSet;
use std::net::IpAddr;

use super::types::{ChannelConfig, ChannelService, HeartbeatConfig, ServerTrust};
use super::variant::{self, Variant};
use crate::config::document::Node;
use crate::config::secret::Secret;
use crate::config::secret_source;
use crate::config::site::read_authorities;
use crate::config::table::Section;
use crate::config::validator::{FieldValue, Fields, Validator};

/// Maximum length of a URL or a header, in bytes: servers refuse longer ones.
const MAX_TEXT: usize = 4096;

/// Headers that the client sends itself.
const OWN_HEADERS: [&str; 6] =
    ["connection", "content-length", "content-type", "host", "transfer-encoding", "x-signature"];

/// The services with their fields.
const SERVICES: &[Variant] = &[
    ("Webhook", &["url"], &["headers", "secret", "body", "ca"]),
    ("Telegram", &["token", "chat"], &["ca"]),
    ("Ntfy", &["url"], &["token", "ca"]),
    ("Slack", &["url"], &["ca"]),
    ("Discord", &["url"], &["ca"]),
    ("Alertmanager", &["url"], &["ca"]),
];

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
        "Telegram" => ChannelService::Telegram { chat: check.text(&fields, "chat")?, token: token? },
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
    let Some((is_secure, host)) = host_of(url.expose()) else {
        check.report_hidden(
            value,
            "the value is not a URL; expected https://host/path, or http:// in the own network",
        );
        return None;
    };
    if !is_secure && !is_local(host) {
        check.warn(value, "messages and tokens cross the Internet in clear; expected https://");
    }
    Some(url)
}

/// Whether a URL is of HTTPS, and its host, without brackets; `None` if it is not a URL.
fn host_of(url: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let is_secure = scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?,
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    let has_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let is_url = (is_secure || scheme.eq_ignore_ascii_case("http")) && has_port && !url.contains([' ', '@']);
    Some((is_secure, host)).filter(|_| is_url && !host.is_empty())
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
        let is_own = |name: &str| OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str());
        let name = key.text().filter(|name| is_header(name) && !is_own(name));
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

fn is_header(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
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

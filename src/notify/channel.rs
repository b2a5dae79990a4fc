//! A channel: sends a message to its service, in the service's own form.

use std::time::Duration;

use super::endpoint::{Endpoint, ErrorReader, Outcome};
use super::payload::Payload;
use super::{alertmanager, chat, ntfy, webhook};
use crate::alert::{AlertTime, Notification};
use crate::config::{ChannelConfig, ChannelService, Secret};
use crate::net::http_client::HttpClient;
use crate::net::url::HttpUrl;

/// The API for Telegram bots.
const TELEGRAM: &str = "https://api.telegram.org";

/// A channel whose URL is parsed.
pub(super) struct Channel {
    service: ChannelService,
    endpoint: Endpoint,
    /// The interval at which alerts are sent again.
    resend: Duration,
}

impl Channel {
    /// Prepares a channel.
    ///
    /// # Errors
    ///
    /// The problem of its URL, which is not part of the message.
    pub(super) fn new(config: &ChannelConfig, resend: Duration) -> Result<Self, &'static str> {
        let service = config.service.clone();
        let url = match &service {
            ChannelService::Telegram { token, .. } => {
                HttpUrl::parse(&format!("{TELEGRAM}/bot{}/sendMessage", token.expose()))
            }
            ChannelService::Alertmanager { url } => {
                HttpUrl::parse(url.expose()).map(|url| url.join("/api/v2/alerts"))
            }
            ChannelService::Webhook { url, .. }
            | ChannelService::Ntfy { url, .. }
            | ChannelService::Slack { url }
            | ChannelService::Discord { url } => HttpUrl::parse(url.expose()),
        };
        let secrets: Vec<&Secret> = match &service {
            ChannelService::Webhook { headers, secret, .. } => {
                headers.iter().map(|(_, value)| value).chain(secret).collect()
            }
            ChannelService::Telegram { token, .. } => vec![token],
            ChannelService::Ntfy { token, .. } => token.iter().collect(),
            _ => Vec::new(),
        };
        let endpoint = Endpoint::new(url?, &config.trust, &secrets);
        Ok(Self { service, endpoint, resend })
    }

    /// Whether alerts that fire must be sent again and again.
    pub(super) fn needs_resending(&self) -> bool {
        matches!(self.service, ChannelService::Alertmanager { .. })
    }

    /// Sends a message once, with dates by the clock as it is `now`.
    pub(super) async fn send(&self, client: &HttpClient, message: &Notification, now: AlertTime) -> Outcome {
        let Payload { fields, body } = self.payload(message, now);
        let read_error: ErrorReader = match self.service {
            ChannelService::Telegram { .. } => chat::telegram_error,
            _ => |_| None,
        };
        self.endpoint.send(client, "POST", (fields, body), read_error).await
    }

    fn payload(&self, message: &Notification, now: AlertTime) -> Payload {
        match &self.service {
            ChannelService::Webhook { headers, secret, body, .. } => {
                let key = secret.as_ref().map(Secret::expose);
                let mut payload = webhook::payload(body.as_deref(), key, message, now);
                let is_given = |name: &str| headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
                payload.fields.retain(|(name, _)| !is_given(name));
                let given = headers.iter().map(|(name, value)| (name.clone(), value.expose().to_string()));
                payload.fields.extend(given);
                payload
            }
            ChannelService::Telegram { chat, .. } => chat::telegram(chat, message),
            ChannelService::Ntfy { token, .. } => ntfy::payload(token.as_ref().map(Secret::expose), message),
            ChannelService::Slack { .. } => chat::slack(message),
            ChannelService::Discord { .. } => chat::discord(message),
            ChannelService::Alertmanager { .. } => alertmanager::payload(message, now, self.resend),
        }
    }
}

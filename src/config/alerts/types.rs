//! Rules, channels and the rest of the section `alerts` as plain data.

use std::time::Duration;

use super::daily_range::{DailyRange, Weekdays};
use crate::config::secret::Secret;
use crate::net::tls::{Authorities, Fingerprint};

/// The section `alerts`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertsConfig {
    /// What is reported, unless a site has other rules.
    pub rules: Vec<AlertRule>,
    /// Where messages are sent, in the file's order.
    pub channels: Vec<ChannelConfig>,
    /// The time between reminders of an alert that nobody acknowledged; `None`: no reminders.
    pub remind: Option<Duration>,
    /// The quiet hours of each day.
    pub quiet: Vec<DailyRange>,
    /// The monitor that expects a request as long as the agent is alive.
    pub heartbeat: Option<HeartbeatConfig>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRule {
    /// What is reported.
    pub condition: AlertCondition,
    /// How long the condition must last before it is reported.
    pub after: Duration,
    /// The hours of the day in which it is checked, in local time; `None`: all day.
    pub between: Option<DailyRange>,
    /// The days on which it is checked, in local time.
    pub days: Weekdays,
}

/// What a rule reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AlertCondition {
    /// A router can't be reached, or refuses the login.
    SiteDown,
    /// A router rebooted.
    Rebooted,
    /// A plugin has no current data although the router answers.
    PluginFailing,
    /// A figure is above a limit.
    Above(Threshold),
    /// A figure is below a limit.
    Below(Threshold),
    /// A router's clock differs from the agent's by more than this.
    ClockWrong(Duration),
    /// The certificate of the agent's page ends within this time.
    CertificateExpires(Duration),
    /// The configuration file has problems, so that its last changes are not in use.
    ConfigRejected,
    /// Many logins as admin were refused.
    LoginsRefused,
}

/// A limit of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The figure.
    pub figure: AlertFigure,
    /// The alert fires beyond this value.
    pub limit: f64,
    /// The alert resolves at this value or on its other side.
    pub clear: f64,
}

/// A figure of a site that a rule compares with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertFigure {
    /// Load of the router's CPU, in percent.
    CpuLoad,
    /// Used memory of the router, in percent.
    MemoryUsed,
    /// The highest temperature of its sensors, in degrees Celsius.
    Temperature,
    /// Users that are logged in.
    ActiveUsers,
    /// Used addresses of the fullest address pool, in percent.
    PoolUsed,
    /// Used share of the users that the licence allows, in percent.
    LicenceUsed,
}

impl AlertFigure {
    /// All figures, in the order of the field table.
    pub const ALL: [Self; 6] = [
        Self::CpuLoad,
        Self::MemoryUsed,
        Self::Temperature,
        Self::ActiveUsers,
        Self::PoolUsed,
        Self::LicenceUsed,
    ];

    /// Its word in the file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CpuLoad => "CpuLoad",
            Self::MemoryUsed => "MemoryUsed",
            Self::Temperature => "Temperature",
            Self::ActiveUsers => "ActiveUsers",
            Self::PoolUsed => "PoolUsed",
            Self::LicenceUsed => "LicenceUsed",
        }
    }

    /// Whether it is from 0 to 100.
    pub fn is_percentage(self) -> bool {
        !matches!(self, Self::Temperature | Self::ActiveUsers)
    }
}

/// The rules of one site.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum SiteAlerts {
    /// The rules of the file.
    #[default]
    Default,
    /// No alerts.
    Off,
    /// These rules replace those of the same kind and figure.
    Rules(Vec<AlertRule>),
}

/// A channel: where messages are sent, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelConfig {
    /// Its name in the file.
    pub name: String,
    /// The service and its credentials.
    pub service: ChannelService,
    /// Which certificates of the server are trusted.
    pub trust: ServerTrust,
}

/// The service that a channel sends to. A URL may contain a token, so it is a secret.
#[derive(Debug, Clone, PartialEq)]
pub enum ChannelService {
    /// A POST of JSON.
    Webhook {
        /// Where to.
        url: Secret,
        /// Additional headers.
        headers: Vec<(String, Secret)>,
        /// The key of the signature in `X-Signature`.
        secret: Option<Secret>,
        /// A template of the body; `None`: the JSON that `docs/alerts.md` describes.
        body: Option<String>,
    },
    /// A Telegram bot.
    Telegram {
        /// The bot's token.
        token: Secret,
        /// The chat's identifier.
        chat: String,
    },
    /// ntfy.
    Ntfy {
        /// The server and the topic.
        url: Secret,
        /// The access token.
        token: Option<Secret>,
    },
    /// Slack, or a service that accepts the same messages.
    Slack {
        /// The URL of the incoming webhook.
        url: Secret,
    },
    /// Discord.
    Discord {
        /// The URL of the webhook.
        url: Secret,
    },
    /// Alertmanager, by its API v2.
    Alertmanager {
        /// The server, without `/api/v2/alerts`.
        url: Secret,
    },
}

/// Which certificates of a channel's server are trusted.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ServerTrust {
    /// Those that the authorities of the well-known services signed, which are built in.
    #[default]
    BuiltIn,
    /// Those that an authority in the machine's own list signed.
    System,
    /// Those that one of these authorities signed.
    Ca(Authorities),
    /// This certificate only.
    Pin(Fingerprint),
}

/// The monitor that expects a request from time to time.
#[derive(Debug, Clone, PartialEq)]
pub struct HeartbeatConfig {
    /// What to request. It may contain a token, so it is a secret.
    pub url: Secret,
    /// How often.
    pub every: Duration,
    /// Which certificates of the server are trusted.
    pub trust: ServerTrust,
}

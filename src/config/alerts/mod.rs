//! The section `alerts`: the rules that decide what is reported, and the channels that messages are sent to.

mod channels;
mod daily_range;
pub(super) mod rows;
mod rules;
mod section;
mod types;
mod variant;

pub use daily_range::{DailyRange, Weekdays};
pub(super) use rules::read_site;
pub use rules::rule_words;
pub(super) use section::read;
pub use types::{
    AlertCondition, AlertFigure, AlertRule, AlertsConfig, ChannelConfig, ChannelService, HeartbeatConfig,
    ServerTrust, SiteAlerts, Threshold,
};

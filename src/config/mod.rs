//! The configuration file `sites.ron`: the routers, the logins to them, and access to the agent itself.
//!
//! [`load`] accepts the whole file or returns every problem at once, each with its place, what was found and what was
//! expected. A [`Watch`] loads it again when it or a file that it names changes, and [`Changes`] is the difference.
//!
//! | file | its subject |
//! | --- | --- |
//! | `table`, `fields` | every field: scope, type, range, default, effect of a change, documentation |
//! | `document`, `syntax` | the text as values with their places, and explanations of text that is not RON |
//! | `validator` | reads values by the table |
//! | `load`, `http`, `https`, `site`, `plugin`, `history`, `journal`, `alerts/` | one section each, and `load` the whole file |
//! | `secret`, `secret_source`, `environment` | secrets, and fetching them |
//! | `host`, `network`, `property` | the formats of some values |
//! | `diagnostic`, `redact`, `suggestion` | messages, without secrets |
//! | `fingerprint`, `watch`, `changes` | noticing and comparing changed files |

mod alerts;
mod changes;
mod diagnostic;
mod document;
mod environment;
mod fields;
mod fingerprint;
mod history;
mod host;
mod http;
mod https;
mod journal;
mod load;
mod network;
mod new_site;
mod plugin;
mod property;
mod redact;
mod secret;
mod secret_source;
mod site;
mod suggestion;
mod syntax;
mod table;
mod validator;
mod watch;

pub use alerts::{
    AlertCondition, AlertFigure, AlertRule, AlertsConfig, ChannelConfig, ChannelService, DailyRange,
    HeartbeatConfig, ServerTrust, SiteAlerts, Threshold, Weekdays, rule_words,
};
pub use changes::{Change, Changes};
pub use diagnostic::Diagnostic;
pub use environment::{Environment, environment};
pub use fields::{FieldReference, reference};
pub use history::HistoryConfig;
pub use host::{API_PORT, API_TLS_PORT, Host};
pub use http::Http;
pub use https::{Https, UnusableCertificate};
pub use load::{Config, Diagnostics, StateDirectory, load, parse};
pub use network::Network;
pub use new_site::{NewSite, NewSiteField};
pub use plugin::catalogue;
pub use secret::{MIN_TOKEN, SHORT_TOKEN, Secret, is_short};
pub use site::Site;
pub use suggestion::{nearest, unknown};
pub use table::Effect;
pub use watch::Watch;

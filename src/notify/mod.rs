//! Sends messages about alerts to the channels of the file, and the heartbeat.
//!
//! Each channel has its own queue and task, so that a slow or unreachable service delays nothing else.
//!
//! | file | its subject |
//! | --- | --- |
//! | `notifier` | all channels and the heartbeat: applies the configuration, accepts messages, saves those that wait |
//! | `delivery`, `queue`, `saved` | the task of a channel, the messages that wait, and their form in the state directory |
//! | `channel`, `endpoint` | a message to a service; a request to a URL and its outcome, without secrets |
//! | `webhook`, `template`, `chat`, `ntfy`, `alertmanager`, `payload` | what each service gets |
//! | `attempts`, `delivery_log` | results for the page, the metrics and the log; what became of the messages about each alert |
//! | `heartbeat` | the GET at each interval |

mod alertmanager;
mod channel;
mod chat;
mod delivery;
mod delivery_log;
mod delivery_record;
mod endpoint;
mod heartbeat;
mod notifier;
mod ntfy;
mod payload;
mod queue;
#[cfg(test)]
mod samples;
mod saved;
mod template;
#[cfg(test)]
mod tests;
mod webhook;

pub use delivery::ChannelStatus;
pub use delivery_log::{AlertDelivery, DeliveryResult};
pub use delivery_record::{Attempt, DeliveryRecord};
pub use notifier::{Notifier, http_client, send_once};
pub use queue::MAX_QUEUED;
pub use saved::SavedMessages;
pub use template::PLACEHOLDERS;

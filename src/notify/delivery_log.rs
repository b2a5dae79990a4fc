//! What became of the messages about each alert, for the page and the JSON.

use std::collections::VecDeque;

use crate::alert::{AlertState, Notification};
use crate::clock::Moment;

/// Maximum number of entries of a channel: of 200 past alerts, and of 50 that fire, two each. The oldest are dropped, so that
/// nothing is known about them.
const MAX_ENTRIES: usize = 500;

/// What became of the last message of a channel about a state of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertDelivery {
    /// The alert's identifier.
    pub alert: String,
    /// The state that the message reports.
    pub state: AlertState,
    /// Since when this holds.
    pub at: Moment,
    /// What became of it.
    pub result: DeliveryResult,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryResult {
    /// It waits, perhaps for the next attempt.
    Queued,
    /// The server has accepted it.
    Delivered,
    /// It was given up: the queue was full, or the server refuses it.
    Dropped,
}

impl DeliveryResult {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Dropped => "dropped",
        }
    }
}

/// The entries of a channel, the latest last.
#[derive(Debug, Default)]
pub(super) struct DeliveryLog(VecDeque<AlertDelivery>);

impl DeliveryLog {
    /// Records what became of a message, for each of its alerts.
    pub(super) fn record(&mut self, message: &Notification, result: DeliveryResult) {
        let at = Moment::now();
        for alert in &message.alerts {
            let is_same = |known: &AlertDelivery| (&known.alert, known.state) == (&alert.id, alert.state());
            if let Some(known) = self.0.iter().position(is_same) {
                self.0.remove(known);
            } else if self.0.len() >= MAX_ENTRIES {
                self.0.pop_front();
            }
            self.0.push_back(AlertDelivery { alert: alert.id.clone(), state: alert.state(), at, result });
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &AlertDelivery> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::{firing, message, resolved};

    #[test]
    fn the_last_result_of_each_alert_and_state_is_kept() {
        let mut log = DeliveryLog::default();
        let record = |log: &mut DeliveryLog, alert, result| log.record(&message("", "", vec![alert]), result);
        record(&mut log, firing("SiteDown", "awka"), DeliveryResult::Queued);
        record(&mut log, resolved("SiteDown", "awka"), DeliveryResult::Dropped);
        record(&mut log, firing("SiteDown", "awka"), DeliveryResult::Delivered);
        let entries: Vec<_> = log.entries().map(|entry| (entry.state, entry.result.name())).collect();
        assert_eq!(entries, [(AlertState::Resolved, "dropped"), (AlertState::Firing, "delivered")]);
        for site in 0..MAX_ENTRIES {
            record(&mut log, firing("SiteDown", &site.to_string()), DeliveryResult::Queued);
        }
        assert_eq!(log.entries().count(), MAX_ENTRIES);
        assert!(log.entries().all(|entry| entry.result == DeliveryResult::Queued));
    }
}

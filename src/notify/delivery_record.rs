//! The results of the attempts to send something, for the page, the metrics and the log.

use std::fmt;

use crate::clock::Moment;

/// The attempts of a channel or of the heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// How many succeeded.
    pub delivered: u64,
    /// How many failed.
    pub failed: u64,
    /// The last one.
    pub last: Option<Attempt>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it ended.
    pub at: Moment,
    /// The server's status, such as `200 OK`, or the error.
    pub result: Result<String, String>,
}

impl DeliveryRecord {
    /// The number of attempts.
    pub(super) fn count(&self) -> u64 {
        self.delivered + self.failed
    }

    /// Records an attempt, and logs it if its result is new. `target` is the beginning of the line.
    pub(super) fn record(&mut self, target: impl fmt::Display, result: Result<String, String>) {
        let is_new = self.last.as_ref().is_none_or(|last| last.result != result);
        match &result {
            Ok(status) => {
                self.delivered += 1;
                if is_new {
                    log::info!("{target} result=delivered status={status:?}");
                }
            }
            Err(error) => {
                self.failed += 1;
                if is_new {
                    log::warn!("{target} result=failed msg={error:?}");
                }
            }
        }
        self.last = Some(Attempt { at: Moment::now(), result });
    }
}

//! The task of a channel: sends its messages one after another, and retries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event;
use smol::{Task, Timer, future};

use super::alertmanager::FiringAlerts;
use super::channel::Channel;
use super::delivery_log::{AlertDelivery, DeliveryLog, DeliveryResult};
use super::delivery_record::DeliveryRecord;
use super::endpoint::Outcome;
use super::queue::DeliveryQueue;
use super::saved::SavedChannel;
use crate::alert::{AlertTime, Alerts, Notification};
use crate::config::ChannelConfig;
use crate::deadline::within;
use crate::net::http_client::HttpClient;
use crate::timings::Timings;

/// Longest `Retry-After` that is respected: a longer one is probably a mistake, and alerts are urgent.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What a channel has sent, and what it still has to send. It outlives the task if the channel's settings change.
#[derive(Debug)]
pub(super) struct ChannelState {
    name: String,
    content: Mutex<Content>,
    /// Notified of each new message.
    queued: Event,
    /// Locked during an attempt to send something.
    pub(super) attempt: smol::lock::Mutex<()>,
    /// Notified of each change that must be saved.
    changed: Arc<Event>,
}

#[derive(Debug, Default)]
struct Content {
    queue: DeliveryQueue,
    firing: FiringAlerts,
    attempts: DeliveryRecord,
    log: DeliveryLog,
    /// Increases with each change that must be saved.
    revision: u64,
}

/// A channel as the page, the JSON and the metrics show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Its name in the file.
    pub name: String,
    /// The number of messages that wait.
    pub queued: usize,
    /// The number of messages that were dropped: the queue was full, or the server refuses them.
    pub dropped: u64,
    /// The attempts to send one.
    pub attempts: DeliveryRecord,
    /// What became of the latest messages, since the agent's start.
    pub deliveries: Vec<AlertDelivery>,
}

impl ChannelState {
    pub(super) fn new(name: &str, saved: SavedChannel, changed: Arc<Event>) -> Self {
        let mut content = Content {
            queue: DeliveryQueue::restored(saved.queued, saved.dropped),
            firing: FiringAlerts::restored(saved.firing),
            ..Content::default()
        };
        content.queue.messages().for_each(|message| content.log.record(message, DeliveryResult::Queued));
        let (content, queued) = (Mutex::new(content), Event::new());
        Self { name: name.into(), content, queued, attempt: smol::lock::Mutex::new(()), changed }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, message: Arc<Notification>) {
        let mut content = self.lock();
        content.log.record(&message, DeliveryResult::Queued);
        let Content { queue, firing, .. } = &mut *content;
        let dropped = queue.push(message, |id| firing.has(id));
        content.revision += 1;
        for message in &dropped {
            content.log.record(message, DeliveryResult::Dropped);
        }
        if !dropped.is_empty() {
            log::warn!("channel={} dropped={} msg=\"the queue is full\"", self.name, content.queue.dropped());
        }
        drop(content);
        self.queued.notify(usize::MAX);
        self.changed.notify(usize::MAX);
    }

    pub(super) fn status(&self) -> ChannelStatus {
        let content = self.lock();
        ChannelStatus {
            name: self.name.clone(),
            queued: content.queue.messages().len(),
            dropped: content.queue.dropped(),
            attempts: content.attempts.clone(),
            deliveries: content.log.entries().cloned().collect(),
        }
    }

    /// A number that increases with each attempt, and with each message that is queued or dropped.
    pub(super) fn activity(&self) -> u64 {
        let content = self.lock();
        content.revision + content.attempts.count()
    }

    pub(super) fn revision(&self) -> u64 {
        self.lock().revision
    }

    pub(super) fn saved(&self) -> SavedChannel {
        let content = self.lock();
        SavedChannel {
            queued: content.queue.messages().map(|message| (**message).clone()).collect(),
            dropped: content.queue.dropped(),
            firing: content.firing.alerts().to_vec(),
        }
    }

    pub(super) fn retain_firing(&self, is_firing: &impl Fn(&str) -> bool) {
        let mut content = self.lock();
        if content.firing.retain(is_firing) {
            content.revision += 1;
            self.changed.notify(usize::MAX);
        }
    }

    /// Records the outcome of sending a message, and returns the wait that it requires before the next attempt.
    fn record(&self, message: &Arc<Notification>, outcome: Outcome, retries: &mut Retries) -> Duration {
        let mut content = self.lock();
        let target = format!("channel={}", self.name);
        match outcome {
            Outcome::Delivered(status) => {
                content.queue.delivered(message);
                content.log.record(message, DeliveryResult::Delivered);
                content.firing.record(message);
                content.revision += 1;
                self.changed.notify(usize::MAX);
                content.attempts.record(target, Ok(status));
                retries.failures = 0;
                Duration::ZERO
            }
            Outcome::Refused(error) => {
                if content.queue.refused(message) {
                    content.log.record(message, DeliveryResult::Dropped);
                    content.revision += 1;
                    self.changed.notify(usize::MAX);
                    log::warn!("{target} dropped={} msg={error:?}", content.queue.dropped());
                }
                content.attempts.record(target, Err(error));
                retries.next()
            }
            Outcome::Failed { error, is_permanent, retry_after } => {
                content.attempts.record(target, Err(error));
                let least =
                    if is_permanent { retries.timings.notify_permanent_retry } else { Duration::ZERO };
                retries.next().max(least).max(retry_after.min(MAX_RETRY_AFTER))
            }
        }
    }
}

/// Waits that double with each consecutive failure.
struct Retries {
    timings: Arc<Timings>,
    failures: u32,
}

impl Retries {
    fn next(&mut self) -> Duration {
        let Timings { notify_retry_min, notify_retry_max, .. } = *self.timings;
        let wait = notify_retry_min.saturating_mul(2u32.saturating_pow(self.failures)).min(notify_retry_max);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

/// Sends the messages of a channel until the task is dropped. The `previous` task of the channel first ends its attempt:
/// otherwise the server could get a message twice.
pub(super) async fn deliver(
    state: Arc<ChannelState>,
    previous: Option<Task<()>>,
    config: ChannelConfig,
    alerts: Arc<Alerts>,
    client: HttpClient,
    timings: Arc<Timings>,
) {
    if let Some(previous) = previous {
        let _idle = state.attempt.lock().await;
        previous.cancel().await;
    }
    let resend = timings.notify_resend;
    let mut retries = Retries { timings, failures: 0 };
    let channel = match Channel::new(&config, resend) {
        Ok(channel) => channel,
        Err(error) => {
            state.lock().attempts.record(format!("channel={}", state.name), Err(error.into()));
            return future::pending().await;
        }
    };
    let mut resend_at = Instant::now() + resend;
    loop {
        let queued = state.queued.listen();
        // Also while a message waits: the server must not resolve what still fires.
        if channel.needs_resending() && Instant::now() >= resend_at {
            resend_at = Instant::now() + resend;
            send_again(&state, &channel, &client, alerts.now()).await;
        }
        let message = state.lock().queue.next().cloned();
        if let Some(message) = message {
            let attempt = state.attempt.lock().await;
            let outcome = channel.send(&client, &message, alerts.now()).await;
            let wait = state.record(&message, outcome, &mut retries);
            drop(attempt);
            // If the channel has changed, its next task is waiting for the lock.
            future::yield_now().await;
            Timer::after(wait).await;
        } else if channel.needs_resending() {
            within(resend_at.saturating_duration_since(Instant::now()), queued).await;
        } else {
            queued.await;
        }
    }
}

/// Sends the alerts that fire once more. It is not retried, because it is repeated.
async fn send_again(state: &ChannelState, channel: &Channel, client: &HttpClient, now: AlertTime) {
    let message = state.lock().firing.message();
    if let Some(message) = message {
        let result = channel.send(client, &message, now).await.into_result();
        state.lock().attempts.record(format!("channel={}", state.name), result);
    }
}

//! All channels and the heartbeat.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener};
use smol::Task;

use super::channel::Channel;
use super::delivery::{ChannelState, ChannelStatus, deliver};
use super::delivery_record::DeliveryRecord;
use super::heartbeat::beat;
use super::saved::SavedMessages;
use crate::alert::{AlertTime, Alerts, Notification};
use crate::config::{AlertsConfig, ChannelConfig, HeartbeatConfig};
use crate::deadline::within;
use crate::executor;
use crate::net::http_client::HttpClient;
use crate::net::proxy::ProxySettings;
use crate::timings::Timings;

/// How long attempts may continue when the agent ends: a message whose attempt is cancelled may arrive twice. With the waits
/// for actions and for the last write, the agent ends within 2 s.
const LAST_ATTEMPT: Duration = Duration::from_millis(300);

/// Sends messages to all channels.
pub struct Notifier {
    /// Dates the ticks of messages.
    alerts: Arc<Alerts>,
    client: HttpClient,
    timings: Arc<Timings>,
    running: Mutex<Running>,
    /// Notified of each change that must be saved.
    changed: Arc<Event>,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Running {
    channels: Vec<RunningChannel>,
    heartbeat: Option<RunningHeartbeat>,
    /// Messages of channels that are not configured yet.
    saved: SavedMessages,
    /// Revisions of channels that were removed.
    removed: u64,
}

struct RunningChannel {
    config: ChannelConfig,
    state: Arc<ChannelState>,
    /// `None` once it was stopped.
    task: Option<Task<()>>,
}

struct RunningHeartbeat {
    config: HeartbeatConfig,
    attempts: Arc<Mutex<DeliveryRecord>>,
    _task: Task<()>,
}

impl Notifier {
    /// A notifier without channels.
    pub fn new(alerts: Arc<Alerts>, timings: Arc<Timings>, proxies: ProxySettings) -> Self {
        let (client, running, changed) = (http_client(&timings, proxies), Mutex::default(), Arc::default());
        Self { alerts, client, timings, running, changed }
    }

    /// Adopts the messages of an earlier process. To be called before [`Notifier::configure`].
    pub fn restore(&self, saved: SavedMessages) {
        self.lock().saved = saved;
    }

    /// Ends all attempts to send messages, those in progress after a short time. What was not delivered stays queued.
    pub async fn stop(&self) {
        let until = Instant::now() + LAST_ATTEMPT;
        let running = |channel: &mut RunningChannel| Some((channel.state.clone(), channel.task.take()?));
        let channels: Vec<_> = self.lock().channels.iter_mut().filter_map(running).collect();
        for (state, task) in channels {
            let _idle = within(until.saturating_duration_since(Instant::now()), state.attempt.lock()).await;
            task.cancel().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts, changes and ends channels. One that has other settings keeps its messages; the messages of one that was
    /// removed are dropped. So are the saved messages of channels that the first configuration lacks.
    pub fn configure(&self, config: &AlertsConfig) {
        let mut running = self.lock();
        let mut before = std::mem::take(&mut running.channels);
        for config in &config.channels {
            let old = before.iter().position(|old| old.config.name == config.name);
            let channel = match old.map(|at| before.swap_remove(at)) {
                Some(old) if old.config == *config => old,
                Some(old) => self.start(config, old.state.clone(), old.task),
                None => {
                    let saved = running.saved.channels.remove(&config.name).unwrap_or_default();
                    let state = ChannelState::new(&config.name, saved, self.changed.clone());
                    self.start(config, state.into(), None)
                }
            };
            running.channels.push(channel);
        }
        running.removed += before.iter().map(|old| old.state.revision() + 1).sum::<u64>();
        let saved = std::mem::take(&mut running.saved).channels;
        let waited = before.iter().map(|old| (old.config.name.clone(), old.state.status().queued));
        for (name, count) in waited.chain(saved.into_iter().map(|(name, saved)| (name, saved.queued.len()))) {
            if count > 0 {
                log::warn!(
                    "channel={name} dropped={count} msg=\"the channel is no longer in the file: its messages that waited are \
                     dropped\""
                );
            }
        }
        let is_same = |old: &RunningHeartbeat| Some(&old.config) == config.heartbeat.as_ref();
        if !running.heartbeat.as_ref().is_some_and(is_same) {
            running.heartbeat = config.heartbeat.as_ref().map(|config| self.start_heartbeat(config));
        }
    }

    fn start(
        &self,
        config: &ChannelConfig,
        state: Arc<ChannelState>,
        previous: Option<Task<()>>,
    ) -> RunningChannel {
        let (alerts, client, timings) = (self.alerts.clone(), self.client.clone(), self.timings.clone());
        let delivery = deliver(state.clone(), previous, config.clone(), alerts, client, timings);
        RunningChannel { config: config.clone(), state, task: Some(executor::spawn(delivery)) }
    }

    fn start_heartbeat(&self, config: &HeartbeatConfig) -> RunningHeartbeat {
        let attempts = Arc::new(Mutex::new(DeliveryRecord::default()));
        let beating = beat(config.clone(), self.client.clone(), attempts.clone());
        RunningHeartbeat { config: config.clone(), attempts, _task: executor::spawn(beating) }
    }

    /// Queues a message for all channels.
    pub fn send(&self, message: Notification) {
        let message = Arc::new(message);
        self.lock().channels.iter().for_each(|channel| channel.state.push(message.clone()));
    }

    /// Ends the repetition of alerts that do not fire any more: no message says so if their rule or site was removed.
    pub fn retain_firing(&self, is_firing: impl Fn(&str) -> bool) {
        self.lock().channels.iter().for_each(|channel| channel.state.retain_firing(&is_firing));
    }

    /// The channels, in the order of the file.
    pub fn channels(&self) -> Vec<ChannelStatus> {
        self.lock().channels.iter().map(|channel| channel.state.status()).collect()
    }

    /// The attempts to send the heartbeat, if there is one.
    pub fn heartbeat(&self) -> Option<DeliveryRecord> {
        let running = self.lock();
        let heartbeat = running.heartbeat.as_ref()?;
        Some(heartbeat.attempts.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// A number that changes with what [`Notifier::channels`] and [`Notifier::heartbeat`] return.
    pub fn activity(&self) -> u64 {
        let heartbeat = self.heartbeat().map_or(0, |attempts| attempts.count());
        let running = self.lock();
        let channels = running.channels.iter().map(|channel| channel.state.activity());
        running.removed + heartbeat + channels.sum::<u64>()
    }

    /// A number that increases with each change of what [`Notifier::saved`] returns.
    pub fn revision(&self) -> u64 {
        let running = self.lock();
        running.removed + running.channels.iter().map(|channel| channel.state.revision()).sum::<u64>()
    }

    /// Resolves when a message was queued, delivered or dropped after this call.
    pub fn changed(&self) -> EventListener {
        self.changed.listen()
    }

    /// The messages that wait, for the next process.
    pub fn saved(&self) -> SavedMessages {
        let running = self.lock();
        let of = |channel: &RunningChannel| (channel.config.name.clone(), channel.state.saved());
        let mut channels = running.saved.channels.clone();
        channels.extend(running.channels.iter().map(of));
        SavedMessages::of(channels)
    }
}

/// The client for all channels.
pub fn http_client(timings: &Timings, proxies: ProxySettings) -> HttpClient {
    HttpClient { proxies, connect_timeout: timings.notify_connect, exchange_timeout: timings.notify_exchange }
}

/// Sends a message to a channel once, and returns the server's status.
///
/// # Errors
///
/// Why it was not delivered.
pub async fn send_once(
    config: &ChannelConfig,
    client: &HttpClient,
    message: &Notification,
    now: AlertTime,
    timings: &Timings,
) -> Result<String, String> {
    Channel::new(config, timings.notify_resend)?.send(client, message, now).await.into_result()
}

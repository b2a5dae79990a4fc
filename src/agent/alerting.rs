//! Alerts of the running agent: follows the store, and hands notifications to the channels.

use std::sync::Arc;
use std::time::Duration;

use smol::future::race;
use smol::stream::StreamExt;
use smol::{Task, Timer};

use crate::alert::Alerts;
use crate::config::{AlertsConfig, Config, environment};
use crate::executor;
use crate::net::proxy::ProxySettings;
use crate::notify::{Notifier, SavedMessages};
use crate::state::Store;
use crate::timings::Timings;

/// The alerts and their channels.
pub(super) struct Alerting {
    alerts: Arc<Alerts>,
    notifier: Arc<Notifier>,
    /// The settings that the channels have.
    configured: AlertsConfig,
    _task: Task<()>,
}

/// A notifier without channels yet.
pub(super) fn notifier(timings: &Arc<Timings>) -> Arc<Notifier> {
    let proxies = ProxySettings::from_environment(&environment).unwrap_or_else(|error| {
        log::warn!("proxy=unused msg={error:?}");
        ProxySettings::default()
    });
    // The heartbeat is sent by the executor that also runs the sites: if it is sent, that works.
    let is_healthy = Arc::new(|| true);
    Arc::new(Notifier::new(timings.clone(), proxies, is_healthy, SavedMessages::default()))
}

impl Alerting {
    /// Follows the store until it is dropped. There are no rules yet.
    pub(super) fn start(
        alerts: Arc<Alerts>,
        notifier: Arc<Notifier>,
        store: &Arc<Store>,
        timings: &Timings,
    ) -> Self {
        let task =
            executor::spawn(follow(alerts.clone(), store.clone(), notifier.clone(), timings.alert_tick));
        Self { alerts, notifier, configured: AlertsConfig::default(), _task: task }
    }

    /// Adopts a configuration. Alerts and channels that it does not change continue.
    pub(super) fn configure(&mut self, config: &Config) {
        self.alerts.configure(config);
        if self.configured != config.alerts {
            self.notifier.configure(&config.alerts);
            self.configured.clone_from(&config.alerts);
        }
    }
}

async fn follow(alerts: Arc<Alerts>, store: Arc<Store>, notifier: Arc<Notifier>, tick: Duration) {
    let mut events = store.subscribe();
    // An interval does not starve while events arrive all the time.
    let mut ticks = Timer::interval(tick);
    loop {
        let event = async { Some(events.next().await) };
        let passed = async {
            ticks.next().await;
            None
        };
        match race(event, passed).await {
            Some(event) => alerts.apply(&event),
            None => {
                if let Some(notification) = alerts.advance(&store.snapshot()) {
                    log::info!("alerts={} msg={:?}", notification.alerts.len(), notification.title);
                    notifier.send(notification);
                }
            }
        }
    }
}

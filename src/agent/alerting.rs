//! Alerts of the running agent: follows the store, and hands notifications to the channels.

use std::sync::Arc;
use std::time::Duration;

use smol::{Task, Timer};

use super::alert_storage::AlertStorage;
use crate::alert::Alerts;
use crate::config::{AlertsConfig, Config, environment};
use crate::executor;
use crate::net::proxy::ProxySettings;
use crate::notify::Notifier;
use crate::state::Store;
use crate::storage::Persist;
use crate::timings::Timings;

/// The alerts and their channels.
pub(super) struct Alerting {
    alerts: Arc<Alerts>,
    notifier: Arc<Notifier>,
    /// The settings that the channels have.
    configured: AlertsConfig,
    storage: Arc<AlertStorage>,
    task: Task<()>,
}

/// The proxies of the environment. If they are not valid, none is used.
pub(super) fn proxies() -> ProxySettings {
    ProxySettings::from_environment(&environment).unwrap_or_else(|error| {
        log::warn!("proxy=unused msg={error:?}");
        ProxySettings::default()
    })
}

impl Alerting {
    /// Follows the store until it is dropped. There are no rules yet.
    pub(super) fn start(
        alerts: Arc<Alerts>,
        notifier: Arc<Notifier>,
        store: &Arc<Store>,
        timings: &Timings,
    ) -> Self {
        let storage = Arc::new(AlertStorage::new(alerts.clone(), notifier.clone()));
        let task =
            executor::spawn(follow(alerts.clone(), store.clone(), storage.clone(), timings.alert_tick));
        Self { alerts, notifier, configured: AlertsConfig::default(), storage, task }
    }

    /// What of it is stored.
    pub(super) fn persist(&self) -> Arc<dyn Persist> {
        self.storage.clone()
    }

    /// Sends nothing more, so that what is stored next stays true.
    pub(super) async fn stop(self) {
        self.task.cancel().await;
        self.notifier.stop().await;
    }

    /// Adopts a configuration. Alerts and channels that it does not change continue.
    pub(super) fn configure(&mut self, config: &Config) {
        // The channels first: from the configuration on, alerts make messages.
        if self.configured != config.alerts {
            self.notifier.configure(&config.alerts);
            self.configured.clone_from(&config.alerts);
        }
        self.alerts.configure(config);
    }
}

async fn follow(alerts: Arc<Alerts>, store: Arc<Store>, storage: Arc<AlertStorage>, tick: Duration) {
    let mut events = store.subscribe();
    let mut ticks = Timer::interval(tick);
    loop {
        match events.next_or_tick(&mut ticks).await {
            Some(event) => alerts.apply(&event),
            None => storage.advance(&store.snapshot()),
        }
    }
}

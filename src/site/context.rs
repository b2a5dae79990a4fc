//! The context of a site, which its task and its actions share: configuration, state and current client.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use event_listener::Event;

use crate::config::{self, Change};
use crate::plugin::Hotspot;
use crate::routeros::client::Client;
use crate::routeros::error::{Cause, Error};
use crate::state::{ConnectionState, SiteState, Store};
use crate::timings::Timings;

/// One site.
#[derive(Debug)]
pub struct SiteContext {
    /// Its key in the configuration.
    pub key: String,
    config: RwLock<Arc<config::Site>>,
    config_changed: Event,
    /// The store that holds its state.
    pub store: Arc<Store>,
    pub(super) timings: Arc<Timings>,
    /// The client of the session, while the router answers.
    client: Mutex<Option<Client>>,
}

impl SiteContext {
    /// A site that has no connection yet.
    pub fn new(config: Arc<config::Site>, store: Arc<Store>, timings: Arc<Timings>) -> Self {
        Self {
            key: config.key.clone(),
            config: RwLock::new(config),
            config_changed: Event::new(),
            store,
            timings,
            client: Mutex::default(),
        }
    }

    /// The current configuration. It may change at any time.
    pub fn config(&self) -> Arc<config::Site> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_config(&self, config: Arc<config::Site>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        self.config_changed.notify(usize::MAX);
    }

    /// Waits until the configuration differs from `known`.
    pub(super) async fn config_differs(&self, known: &Arc<config::Site>) {
        self.config_until(|config| !Arc::ptr_eq(config, known)).await;
    }

    /// Waits until a connection that was made with the configuration `known` must be replaced.
    pub(super) async fn must_reconnect(&self, known: &config::Site) {
        let must_reconnect =
            |config: &Arc<_>| matches!(known.change_to(config), Some(Change::Reconnect | Change::Restart));
        self.config_until(must_reconnect).await;
    }

    async fn config_until(&self, holds: impl Fn(&Arc<config::Site>) -> bool) {
        loop {
            let changed = self.config_changed.listen();
            if holds(&self.config()) {
                return;
            }
            changed.await;
        }
    }

    /// The client of the connection to the router.
    ///
    /// # Errors
    ///
    /// The reason why the site has none.
    pub fn client(&self) -> Result<Client, Error> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        client.ok_or_else(|| match self.store.snapshot().site(&self.key).map(|site| &site.connection) {
            Some(ConnectionState::Offline { error, .. }) => error.clone(),
            _ => Error::new(Cause::Unreachable, "the router has not answered yet"),
        })
    }

    pub(super) fn set_client(&self, client: Option<Client>) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }

    /// Something in the last data of the hotspot plugin.
    pub fn hotspot<T>(&self, of: impl FnOnce(&Hotspot) -> T) -> Option<T> {
        self.store.snapshot().site(&self.key)?.hotspot().map(of)
    }

    /// Changes its state, unless the site was removed.
    pub fn update<T>(&self, change: impl FnOnce(&mut SiteState) -> T) -> Option<T> {
        self.store.update(&self.key, change)
    }
}

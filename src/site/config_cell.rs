//! A site's configuration as it is now, which may change while its task works.

use std::sync::{Arc, PoisonError, RwLock};

use event_listener::Event;

use crate::config::{Change, Site};

/// Shared by all that work for a site.
#[derive(Debug, Clone)]
pub(super) struct ConfigCell(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    site: RwLock<Arc<Site>>,
    changed: Event,
}

impl ConfigCell {
    pub(super) fn new(site: Arc<Site>) -> Self {
        Self(Arc::new(Shared { site: RwLock::new(site), changed: Event::new() }))
    }

    pub(super) fn now(&self) -> Arc<Site> {
        self.0.site.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, site: Arc<Site>) {
        *self.0.site.write().unwrap_or_else(PoisonError::into_inner) = site;
        self.0.changed.notify(usize::MAX);
    }

    /// Waits until it is other than `known` in anything.
    pub(super) async fn changed(&self, known: &Arc<Site>) {
        self.until(|now| !Arc::ptr_eq(now, known)).await;
    }

    /// Waits until the connection that is there, or is being made, as `known` says is of no use any more.
    pub(super) async fn reconnects(&self, known: &Site) {
        self.until(|now| matches!(known.change_to(now), Some(Change::Reconnect | Change::Restart))).await;
    }

    async fn until(&self, holds: impl Fn(&Arc<Site>) -> bool) {
        loop {
            let changed = self.0.changed.listen();
            if holds(&self.now()) {
                return;
            }
            changed.await;
        }
    }
}

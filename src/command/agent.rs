//! The parts of the agent that depend on the configuration.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::listener::Listener;
use super::problems::{in_a_line, shown};
use crate::clock::Moment;
use crate::config::{Changes, Config};
use crate::http::Dispatcher;
use crate::site::Sites;
use crate::state::{Reload, ReloadDiagnostic, Store};

/// The parts that go by the configuration.
pub(super) struct Agent {
    pub(super) config: Config,
    pub(super) store: Arc<Store>,
    pub(super) routes: Arc<Dispatcher>,
    pub(super) sites: Sites,
    pub(super) listener: Listener,
}

impl Agent {
    /// Makes all parts as `new` says, by what has changed, and gives that in words. Logs its warnings.
    pub(super) async fn apply_config(&mut self, new: Config) -> String {
        raise_descriptors(&new);
        let changes = Changes::between(&self.config, &new);
        self.sites.apply(&changes, &new).await;
        if changes.http {
            self.routes.configure(new.http.clone());
            self.listener.configure(new.http.clone());
        }
        let told = changes.to_string();
        let warnings: Vec<ReloadDiagnostic> = new.warnings.iter().map(shown).collect();
        if !warnings.is_empty() {
            log::warn!("the configuration has warnings: {}", in_a_line(&warnings));
        }
        self.store.note_reload(|reload| reload.warn(warnings));
        self.config = new;
        told
    }

    /// Moves the page to where it should be, if it is not there.
    pub(super) async fn rebind(&mut self) -> Result<(), ReloadDiagnostic> {
        self.listener.rebind().await
    }

    /// Whether it has had no configuration yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.store.snapshot().reload.succeeded.is_none()
    }

    /// The files of the configuration were looked at to the end.
    pub(super) fn looked(&self) {
        self.store.snapshot().reload.last_look.set(Moment::now());
    }

    pub(super) fn note_reload(&self, note: impl FnOnce(&mut Reload)) {
        self.store.note_reload(note);
    }
}

/// Lets the process have a descriptor for each connection and router, as far as the system lets it: the
/// usual 1,024 are few.
pub(super) fn raise_descriptors(config: &Config) {
    /// For the log, files, and a second way to some routers.
    const REST: usize = 128;
    let wanted = (config.http.max_connections + 2 * config.sites.len() + REST) as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let current = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit });
    if raised.is_err() || current < wanted {
        log::warn!(
            "this process may open {} files, and {wanted} are wanted: fewer than {} clients find room. \
             Raise LimitNOFILE= of the service, or ulimit -n, or lower http.max_connections",
            getrlimit(Resource::Nofile).current.unwrap_or_default(),
            config.http.max_connections
        );
    }
}

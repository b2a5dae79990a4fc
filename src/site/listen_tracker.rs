//! Tracks the `listen` of one connection: the changes that the router reports between two answers of a plugin.

use smol::future;

use crate::config;
use crate::plugin::{Following, Plugin};
use crate::routeros::client::{Client, Command};
use crate::routeros::error::Cause;
use crate::routeros::listen::Listen;
use crate::routeros::rows::Rows;

/// A `listen` is stopped after this many answers revealed changes that it had not reported, unless it reported more
/// changes than that.
const MAX_MISSED: usize = 3;

/// A `listen` that the router has ended more often than this over one connection begins again with the next refresh only,
/// because each time everything is read.
const MAX_ENDED: usize = 3;

/// The `listen` of one connection. It begins just before the plugin is queried, so that there is no gap; its changes
/// wait until the answer has arrived.
pub(super) struct ListenTracker {
    /// The site's key, for the log.
    site: String,
    /// The name of the plugin and its `listen` command.
    plugin: Option<(String, Command)>,
    state: ListenState,
    /// Changes that the router reported.
    reported: usize,
    /// Answers with changes that it did not report.
    missed: usize,
    /// How often the router has ended it.
    ended: usize,
}

enum ListenState {
    /// Begins with the next refresh.
    Off,
    /// The plugin's first answer has not arrived yet.
    Begun(Listen),
    /// Changes count as they arrive.
    On(Listen),
    /// The router has ended it.
    Ended,
}

/// The first of the site's plugins that has a `listen`, if the configuration enables `live`.
fn followed(config: &config::Site) -> Option<(String, Command)> {
    let listen = |plugin: &Plugin| Some((plugin.name().to_string(), plugin.listen()?));
    config.plugins.iter().filter(|_| config.live).find_map(listen)
}

impl ListenTracker {
    pub(super) fn new(config: &config::Site) -> Self {
        let (site, plugin) = (config.key.clone(), followed(config));
        Self { site, plugin, state: ListenState::Off, reported: 0, missed: 0, ended: 0 }
    }

    /// Applies another configuration. Returns whether another plugin is followed, or another `listen` of it: it begins
    /// with the next refresh. Otherwise the state of the current `listen` is kept.
    pub(super) fn adopt(&mut self, old: &config::Site, new: &config::Site) -> bool {
        let has_changed = followed(old) != followed(new);
        if has_changed {
            *self = Self::new(new);
        }
        has_changed
    }

    /// Begins unless it has begun.
    pub(super) fn begin(&mut self, client: &Client) {
        if let (ListenState::Off | ListenState::Ended, Some((_, command))) = (&self.state, &self.plugin) {
            self.state = ListenState::Begun(client.listen(command));
        }
    }

    /// Begins again with the next refresh, if it reports changes since an answer. Returns whether it did.
    pub(super) fn restart(&mut self) -> bool {
        let is_on = matches!(self.state, ListenState::On(_) | ListenState::Ended);
        if is_on {
            self.state = ListenState::Off;
        }
        is_on
    }

    /// Whether this plugin is followed.
    pub(super) fn follows(&self, plugin: &str) -> bool {
        self.plugin.as_ref().is_some_and(|(name, _)| name == plugin)
    }

    /// The plugin to whose reading changes can be applied now.
    pub(super) fn applies_to(&self) -> Option<&str> {
        self.plugin
            .as_ref()
            .map(|(name, _)| name.as_str())
            .filter(|_| matches!(self.state, ListenState::On(_)))
    }

    /// Whether the router has ended the `listen`, so that changes are missed until it begins again, which is worthwhile.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, ListenState::Ended) && self.plugin.is_some() && self.ended <= MAX_ENDED
    }

    /// Waits until there are changes to apply.
    pub(super) async fn changed(&self) {
        match &self.state {
            ListenState::On(listen) => listen.changed().await,
            ListenState::Off | ListenState::Begun(_) | ListenState::Ended => future::pending().await,
        }
    }

    /// The changes that have arrived. If the router has ended the `listen`, it begins again with the next refresh; if the
    /// router does not support or allow it, the site is polled.
    pub(super) fn take(&mut self) -> Rows {
        let (ListenState::Begun(listen) | ListenState::On(listen)) = &self.state else {
            return Rows::default();
        };
        match listen.take() {
            Ok(changes) => {
                self.reported += changes.len();
                changes
            }
            Err(error) => {
                self.state = if matches!(self.state, ListenState::On(_)) {
                    self.ended += 1;
                    ListenState::Ended
                } else {
                    ListenState::Off
                };
                if matches!(error.cause, Cause::Unsupported | Cause::Permission) {
                    self.plugin = None;
                }
                log::debug!("site={} msg={:?}", self.site, format!("the listen ended: {error}"));
                Rows::default()
            }
        }
    }

    /// How to interpret an answer of the followed plugin, given the changes that arrived before it.
    pub(super) fn following<'c>(&self, changes: &'c Rows) -> Following<'c> {
        match &self.state {
            ListenState::Off => Following::No,
            ListenState::Begun(_) => Following::Begun(changes),
            // If it ended during the query, the changes until then were reported.
            ListenState::On(_) | ListenState::Ended => Following::On,
        }
    }

    /// Records that the plugin's query failed: without data to apply them to, changes would accumulate.
    pub(super) fn unanswered(&mut self) {
        if matches!(self.state, ListenState::Begun(_)) {
            self.state = ListenState::Off;
        }
    }

    /// Records an answer of the plugin; `missed`: it revealed changes that were not reported.
    pub(super) fn answered(&mut self, missed: bool) {
        self.state = match std::mem::replace(&mut self.state, ListenState::Off) {
            ListenState::Begun(listen) => ListenState::On(listen),
            state => state,
        };
        self.missed += usize::from(missed);
        if self.missed >= MAX_MISSED && self.missed > self.reported {
            log::info!(
                "site={} msg=\"the router's listen does not report all changes: it is polled instead\"",
                self.site
            );
            self.plugin = None;
            self.state = ListenState::Off;
        }
    }
}

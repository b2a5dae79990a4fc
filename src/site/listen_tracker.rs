//! Follows what changes on the router between the answers, for the plugin that can be followed.

use smol::future;

use crate::config;
use crate::plugin::{Following, Plugin};
use crate::routeros::client::{Client, Command};
use crate::routeros::error::Cause;
use crate::routeros::listen::Listen;
use crate::routeros::wire::Sentence;

/// Answers with changes that the `listen` should have told and did not, after which it is of no use
/// if it did not tell more than that.
const MAX_UNTOLD: usize = 3;

/// The `listen` of one connection. It begins just before the plugin is asked, so that there is no gap;
/// what comes waits until the answer is there.
pub(super) struct ListenTracker {
    /// The site's key, for the log.
    site: String,
    /// The name of the plugin, and what tells its changes.
    plugin: Option<(String, Command)>,
    state: State,
    /// Changes that the router told, and answers that showed some which it did not.
    told: usize,
    untold: usize,
}

enum State {
    /// Begins with the next refresh.
    Off,
    /// The plugin's first answer is not there yet.
    Begun(Listen),
    /// Changes count as they come.
    On(Listen),
    /// It was on, and the router has ended it.
    Ended,
}

/// What a site is to follow.
fn followed(config: &config::Site) -> Option<(String, Command)> {
    let listen = |plugin: &Plugin| Some((plugin.name().to_string(), plugin.listen()?));
    config.plugins.iter().filter(|_| config.live).find_map(listen)
}

impl ListenTracker {
    /// Follows the first of the site's plugins that can be, if it is to.
    pub(super) fn new(config: &config::Site) -> Self {
        Self { site: config.key.clone(), plugin: followed(config), state: State::Off, told: 0, untold: 0 }
    }

    /// Goes by another configuration: what is not to be followed any more is not, and what is now begins with
    /// the next refresh. Gives whether that is anything else than before.
    pub(super) fn adopt(&mut self, old: &config::Site, new: &config::Site) -> bool {
        // Where it is the same, what was learnt of the router's `listen` holds.
        let is_other = followed(old) != followed(new);
        if is_other {
            *self = Self::new(new);
        }
        is_other
    }

    /// Begins where nothing is followed yet.
    pub(super) fn begin(&mut self, client: &Client) {
        if let (State::Off | State::Ended, Some((_, command))) = (&self.state, &self.plugin) {
            self.state = State::Begun(client.listen(command.clone()));
        }
    }

    /// Whether it is this plugin that is followed.
    pub(super) fn follows(&self, plugin: &str) -> bool {
        self.plugin.as_ref().is_some_and(|(name, _)| name == plugin)
    }

    /// The plugin whose changes are to be applied now.
    pub(super) fn applies_to(&self) -> Option<&str> {
        self.plugin.as_ref().map(|(name, _)| name.as_str()).filter(|_| matches!(self.state, State::On(_)))
    }

    /// Waits until there are changes that count.
    pub(super) async fn changed(&self) {
        match &self.state {
            State::On(listen) => listen.changed().await,
            State::Off | State::Begun(_) | State::Ended => future::pending().await,
        }
    }

    /// The changes that have come. Where the router has ended the `listen`, it begins again with
    /// the next refresh; where it has none, or does not allow it, the site is polled.
    pub(super) fn take(&mut self) -> Vec<Sentence> {
        let (State::Begun(listen) | State::On(listen)) = &self.state else { return Vec::new() };
        match listen.take() {
            Ok(changes) => {
                self.told += changes.len();
                changes
            }
            Err(error) => {
                self.state = if matches!(self.state, State::On(_)) { State::Ended } else { State::Off };
                if matches!(error.cause, Cause::Unsupported | Cause::Permission) {
                    self.plugin = None;
                }
                log::debug!("{}: the listen has ended: {error}", self.site);
                Vec::new()
            }
        }
    }

    /// How an answer of the followed plugin is to be taken, given the changes that came until it.
    pub(super) fn following<'c>(&self, changes: &'c [Sentence]) -> Following<'c> {
        match &self.state {
            State::Off => Following::No,
            State::Begun(_) => Following::Begun(changes),
            // Where it ended while this was asked, the changes until then were told.
            State::On(_) | State::Ended => Following::On,
        }
    }

    /// The plugin was asked and there is no answer: changes have nothing to be applied to, and are not
    /// to pile up. The next refresh begins anew.
    pub(super) fn unanswered(&mut self) {
        if matches!(self.state, State::Begun(_)) {
            self.state = State::Off;
        }
    }

    /// An answer of the plugin was taken; it showed changes that were `untold`, or none.
    pub(super) fn answered(&mut self, untold: bool) {
        self.state = match std::mem::replace(&mut self.state, State::Off) {
            State::Begun(listen) => State::On(listen),
            State::Ended => State::Off,
            state => state,
        };
        self.untold += usize::from(untold);
        if self.untold >= MAX_UNTOLD && self.untold > self.told {
            log::info!("{}: the router's listen does not tell all changes: it is polled instead", self.site);
            self.plugin = None;
            self.state = State::Off;
        }
    }
}

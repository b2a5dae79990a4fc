//! Records each session that ends, from the store's events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smol::Timer;

use super::entry::JournalEntry;
use super::reason::Reason;
use super::router_log::{last_read, new_logouts};
use super::shared::Journal;
use crate::clock::Moment;
use crate::plugin::Session;
use crate::state::{ConnectionState, EventReceiver, SiteChange, SiteEvent, SiteState, Store, StoreEvent};

/// How often entries that are too old are removed.
const EXPIRY_CHECK: Duration = Duration::from_secs(600);

/// The accuracy of the time that a session has left: RouterOS reports whole seconds, and an answer may be late.
const LIMIT_SLACK: Duration = Duration::from_secs(5);

/// The longest time between the end of a session and the line about it in the router's log, besides polls.
const LOG_SLACK: Duration = Duration::from_secs(30);

/// Compares each state of a site with the one before.
#[derive(Debug)]
pub struct Recorder {
    journal: Arc<Journal>,
    /// The last state of each site. It is the store's own, so it takes no memory of its own.
    sites: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    state: Arc<SiteState>,
    /// When the router booted, if it was rebooted while the agent knew it.
    booted: Option<Moment>,
}

impl Recorder {
    /// A recorder for this journal.
    pub fn new(journal: Arc<Journal>) -> Self {
        Self { journal, sites: BTreeMap::new() }
    }

    /// Records until the future is dropped.
    pub async fn run(mut self, store: &Store, mut events: EventReceiver) {
        let mut checks = Timer::interval(EXPIRY_CHECK);
        loop {
            match events.next_or_tick(&mut checks).await {
                Some(event) => self.handle(&event),
                None => self.journal.expire(Moment::now(), store.snapshot().clock),
            }
        }
    }

    /// Records what an event says.
    pub fn handle(&mut self, event: &StoreEvent) {
        match event {
            StoreEvent::SiteAdded(site) => self.add(site),
            StoreEvent::SiteChanged(change) => self.record(change, true),
            // Its sessions go on, without the agent.
            StoreEvent::SiteRemoved(site) => drop(self.sites.remove(&site.key)),
            StoreEvent::Resync(snapshot) => {
                self.sites.retain(|key, _| snapshot.site(key).is_some());
                for site in &snapshot.sites {
                    match self.sites.get(&site.key) {
                        Some(known) => {
                            let state = known.state.clone();
                            self.record(&SiteChange::between(state, site.clone(), Moment::now()), false);
                        }
                        None => self.add(site),
                    }
                }
            }
            StoreEvent::ConfigReloaded => {}
        }
    }

    fn add(&mut self, site: &Arc<SiteState>) {
        self.sites.insert(site.key.clone(), Known { state: site.clone(), booted: None });
    }

    /// Records the logouts of a change. Several changes at once (not `is_single`) don't show which sessions were kicked.
    fn record(&mut self, change: &SiteChange, is_single: bool) {
        let (old, new) = (&change.old, &change.new);
        let mut booted = self.sites.get(&new.key).and_then(|known| known.booted);
        // A poll notices the end of a session up to this much later than the log.
        let delay = new.refresh + LOG_SLACK;
        // Log lines first: a session may end in the change that has its line.
        let logouts = if self.journal.is_enabled() { new_logouts(old, new) } else { Vec::new() };
        if !logouts.is_empty() {
            let since = last_read(old).min().unwrap_or(change.at).before(LOG_SLACK);
            self.journal.explain(logouts, since, change.at.after(delay));
        }
        for event in &change.events {
            match event {
                SiteEvent::Rebooted { booted: at } => booted = Some(*at),
                SiteEvent::Logout { session, is_kick } => {
                    let end = end_of(change);
                    let reason = reason(session, *is_kick && is_single, booted, end, change.at);
                    self.journal.record(JournalEntry::of(&new.key, session, end, reason), change.at);
                }
                _ => {}
            }
        }
        self.sites.insert(new.key.clone(), Known { state: new.clone(), booted });
    }
}

/// When the sessions ended that are missing after this change: now, or when they were last seen, if the agent could not
/// see the hotspot meanwhile.
fn end_of(change: &SiteChange) -> Moment {
    let last_seen = |site: &SiteState| site.hotspot_reading().and_then(|reading| reading.at);
    let (old, new) = (last_seen(&change.old), last_seen(&change.new));
    let since = |site: &SiteState| match site.connection {
        ConnectionState::Online { since, .. } => Some(since),
        ConnectionState::Connecting | ConnectionState::Offline { .. } => None,
    };
    // A change that the router or this agent reported, and not an answer.
    let is_event = old == new;
    let has_failed = change.old.hotspot_reading().is_some_and(|reading| reading.error.is_some());
    let was_seen =
        is_event || (since(&change.old).is_some() && since(&change.old) == since(&change.new) && !has_failed);
    if was_seen { change.at } else { old.unwrap_or(change.at) }
}

/// Why a session ended, as far as it is known without the router's log. It was missing at `noticed`.
fn reason(
    session: &Session,
    is_kick: bool,
    booted: Option<Moment>,
    end: Moment,
    noticed: Moment,
) -> Option<Reason> {
    let limit = || Some(session.login?.after(session.uptime()?).after(session.time_left()?));
    if is_kick {
        Some(Reason::Kicked)
    } else if booted.is_some_and(|booted| session.login.is_none_or(|login| login < booted) && end < booted) {
        Some(Reason::Reboot)
    } else if end == noticed && limit().is_some_and(|limit| limit <= end.after(LIMIT_SLACK)) {
        Some(Reason::TimeLimit)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;

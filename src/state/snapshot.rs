//! All sites at one moment, and the one place where it is replaced.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Reading, ReadingState, Reload};
use crate::clock::{Clock, Moment};
use crate::plugin::{Health, Hotspot, Plugin, Resource};
use crate::routeros::error::{Cause, Error};
use crate::routeros::value;

/// Most connection events kept of a site: about a night of a bad link.
const MAX_EVENTS: usize = 32;

/// How much later a router may seem to have booted than before, and still be the same boot: its clock and
/// ours drift apart during a long outage, and its answers come late.
const BOOT_SLACK: Duration = Duration::from_secs(30);

/// Everything that is known, at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Grows with each change.
    pub generation: u64,
    /// How its moments show as dates.
    pub clock: Clock,
    /// How reading the configuration went.
    pub reload: Reload,
    /// The sites, in the file's order.
    pub sites: Vec<Arc<SiteState>>,
}

impl Snapshot {
    /// The site of this key.
    #[must_use]
    pub fn site(&self, key: &str) -> Option<&SiteState> {
        self.sites.iter().find(|site| site.key == key).map(AsRef::as_ref)
    }
}

/// What is known of one site.
#[derive(Debug, Clone)]
pub struct SiteState {
    /// The name in paths, JSON and metrics.
    pub key: String,
    /// The name for people.
    pub name: String,
    /// From one refresh to the next.
    pub refresh: Duration,
    /// Whether its router answers.
    pub link: ConnectionState,
    /// Where the router is, in the order to try.
    pub hosts: Vec<Host>,
    /// One for each plugin that it collects, in the file's order.
    pub readings: Vec<Reading>,
    /// The latest connections and losses, newest last.
    pub events: VecDeque<ConnectionEvent>,
    /// What the agent has cost the router since the agent's start.
    pub usage: Usage,
    /// Sessions that the admin has ended through this agent.
    pub kicks: u64,
    /// When the router booted, as its uptime told last.
    booted: Option<Moment>,
    /// The causes of the outage under way: each is an event once, however they alternate.
    reported_causes: Vec<Cause>,
    /// When the log was last told that there is no memory for all of it.
    pub(super) cut_at: Option<Moment>,
}

/// An address of a site's router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Name or address, with the port.
    pub address: String,
    /// Why the last try failed, if it did.
    pub error: Option<Error>,
}

/// Whether a site's router answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// Not known yet: the first try is under way.
    Connecting,
    /// Logged in, and answering.
    Online {
        /// Which of the hosts is in use.
        host: usize,
        /// Since when.
        since: Moment,
    },
    /// It can't be reached or logged in to.
    Offline {
        /// Why, at the last try.
        error: Error,
        /// When it was lost, or first not reached.
        since: Moment,
    },
}

/// A connection made or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionEvent {
    /// When.
    pub at: Moment,
    /// The address, or why it was lost or not reached.
    pub outcome: Result<String, Error>,
}

/// What the agent has cost a router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes sent to it.
    pub sent_bytes: u64,
    /// Bytes received from it.
    pub received_bytes: u64,
    /// Commands it was given, logins included.
    pub commands: u64,
    /// Logins it accepted: each is a line in its log.
    pub logins: u64,
    /// Answers that nobody waited for: late ones, or ones to nothing asked.
    pub stray_replies: u64,
    /// How long it took over the last refresh, as seen from here.
    pub reply_time: Option<Duration>,
}

impl Usage {
    /// Adds what a connection has cost.
    pub fn add(&mut self, more: Self) {
        self.sent_bytes += more.sent_bytes;
        self.received_bytes += more.received_bytes;
        self.commands += more.commands;
        self.logins += more.logins;
        self.stray_replies += more.stray_replies;
    }
}

impl SiteState {
    /// A site before its first try.
    #[must_use]
    pub fn new(
        key: &str,
        name: &str,
        refresh: Duration,
        hosts: impl IntoIterator<Item = String>,
        plugins: impl IntoIterator<Item = Plugin>,
    ) -> Self {
        Self {
            key: key.into(),
            name: name.into(),
            refresh,
            link: ConnectionState::Connecting,
            hosts: hosts.into_iter().map(|address| Host { address, error: None }).collect(),
            readings: plugins.into_iter().map(Reading::new).collect(),
            events: VecDeque::new(),
            usage: Usage::default(),
            kicks: 0,
            booted: None,
            reported_causes: Vec::new(),
            cut_at: None,
        }
    }

    /// Bytes of memory that its readings take.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.readings.iter().map(|reading| reading.cost).sum()
    }

    /// The site goes on under another configuration. What was read by plugins stays as far as it holds.
    pub fn reconfigure(&mut self, new: Self) {
        let known = std::mem::take(&mut self.readings);
        let inherited = |new: Reading| {
            let from = known.iter().find(|known| known.plugin.name() == new.plugin.name());
            from.map_or(new.clone(), |from| new.inherit(from))
        };
        self.readings = new.readings.into_iter().map(inherited).collect();
        self.name = new.name;
        self.refresh = new.refresh;
        if !self.hosts.iter().map(|host| &host.address).eq(new.hosts.iter().map(|host| &host.address)) {
            self.hosts = new.hosts;
        }
    }

    /// The connection was given up for one that is made in another way.
    pub fn reset_connection(&mut self) {
        self.link = ConnectionState::Connecting;
        self.reported_causes.clear();
    }

    /// Whether the router answers.
    #[must_use]
    pub fn is_online(&self) -> bool {
        matches!(self.link, ConnectionState::Online { .. })
    }

    /// The reading of the plugin of this name.
    #[must_use]
    pub fn reading(&self, plugin: &str) -> Option<&Reading> {
        self.readings.iter().find(|reading| reading.plugin.name() == plugin)
    }

    /// What the hotspot says, as far as that may stand for now: the router answers, though one
    /// try for newer figures may have failed.
    #[must_use]
    pub fn hotspot_now(&self) -> Option<&Hotspot> {
        let state = self.hotspot_reading()?.state(true);
        let stands = self.is_online() && matches!(state, ReadingState::Ok | ReadingState::Stale);
        self.hotspot().filter(|_| stands)
    }

    /// The reading of the hotspot, if the site collects it.
    #[must_use]
    pub fn hotspot_reading(&self) -> Option<&Reading> {
        self.readings.iter().find(|reading| reading.plugin == Plugin::Hotspot)
    }

    /// The reading of the router's resources, if the site collects them.
    #[must_use]
    pub fn resource_reading(&self) -> Option<&Reading> {
        self.readings.iter().find(|reading| reading.plugin == Plugin::Resource)
    }

    /// What the hotspot last said, whenever that was.
    #[must_use]
    pub fn hotspot(&self) -> Option<&Hotspot> {
        self.hotspot_reading()?.data.as_deref()?.hotspot()
    }

    /// What the router last said of itself, whenever that was.
    #[must_use]
    pub fn resource(&self) -> Option<&Resource> {
        self.resource_reading()?.data.as_deref()?.resource()
    }

    /// What the router's sensors last said, whenever that was.
    #[must_use]
    pub fn health(&self) -> Option<&Health> {
        self.readings.iter().find_map(|reading| reading.data.as_deref()?.health())
    }

    /// The address in use.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        match self.link {
            ConnectionState::Online { host, .. } => self.hosts.get(host).map(|host| host.address.as_str()),
            ConnectionState::Connecting | ConnectionState::Offline { .. } => None,
        }
    }

    /// The router answers at the host of this number.
    pub fn connected(&mut self, host: usize, now: Moment) {
        // Those after it are not tried while it is well, so why they failed before is no news.
        for at in host..self.hosts.len() {
            self.host_tried(at, None);
        }
        self.link = ConnectionState::Online { host, since: now };
        self.reported_causes.clear();
        let address = self.hosts.get(host).map(|host| host.address.clone()).unwrap_or_default();
        self.note(ConnectionEvent { at: now, outcome: Ok(address) });
    }

    /// A try of the host of this number failed, or with no error did not.
    pub fn host_tried(&mut self, host: usize, error: Option<Error>) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.error = error;
        }
    }

    /// The router does not answer. Gives whether that is news: another state, or trouble of a kind
    /// that was not told since it began. A boot or a bad link goes through many causes and is one trouble.
    pub fn mark_offline(&mut self, error: &Error, now: Moment) -> bool {
        let since = match &self.link {
            ConnectionState::Offline { since, .. } => *since,
            ConnectionState::Connecting | ConnectionState::Online { .. } => now,
        };
        self.link = ConnectionState::Offline { error: error.clone(), since };
        let news = !self
            .reported_causes
            .iter()
            .any(|reported_causes| reported_causes.is_passing() == error.cause.is_passing());
        if !self.reported_causes.contains(&error.cause) {
            self.reported_causes.push(error.cause);
            self.note(ConnectionEvent { at: now, outcome: Err(error.clone()) });
        }
        news
    }

    /// The router has been up for so long. Gives whether that shows a reboot since it last told, which it
    /// may over a `new` connection only.
    pub fn note_uptime(&mut self, uptime: Duration, now: Moment, new: bool) -> bool {
        let booted = now.before(uptime);
        let before = self.booted.replace(booted).filter(|_| new);
        let rebooted = before.is_some_and(|before| booted.since(before) > BOOT_SLACK);
        if rebooted {
            let reported_causes = format!("the router was rebooted {} ago", value::format_duration(uptime));
            self.note(ConnectionEvent {
                at: booted,
                outcome: Err(Error::new(Cause::Rebooting, reported_causes)),
            });
        }
        rebooted
    }

    /// Puts a newer reading in its plugin's place. One of a plugin that is not wanted in this way any more is
    /// left out.
    pub fn put(&mut self, reading: Reading) {
        if let Some(at) = self.readings.iter().position(|known| known.plugin == reading.plugin) {
            self.readings[at] = reading;
        }
    }

    fn note(&mut self, event: ConnectionEvent) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    fn site(key: &str) -> SiteState {
        SiteState::new(key, key, Duration::from_secs(30), ["10.0.0.1:8728".to_string()], [])
    }

    #[test]
    fn a_snapshot_stays_as_it_is_while_the_store_goes_on() {
        let store = Store::new(Reload::first(None, Vec::new()));
        store.rearrange(|_| [site("a"), site("b")].map(Arc::new).into());
        let before = store.snapshot();
        store.update("a", |site| site.connected(0, Moment::now()));
        let after = store.snapshot();
        assert!(!before.site("a").unwrap().is_online() && after.site("a").unwrap().is_online());
        assert!(after.generation > before.generation);
        assert!(Arc::ptr_eq(&before.sites[1], &after.sites[1]), "an untouched site is shared");
        assert!(store.update("gone", |_| ()).is_none());
        assert_eq!(store.snapshot().generation, after.generation);
    }

    #[test]
    fn an_outage_keeps_when_it_began_and_tells_each_cause_once() {
        let mut site = site("a");
        let began = Moment::now();
        let refused = Error::new(Cause::Refused, "first");
        assert!(site.mark_offline(&refused, began));
        let later = Moment::now();
        assert!(!site.mark_offline(&Error::new(Cause::Refused, "again"), later));
        assert!(!site.mark_offline(&Error::new(Cause::Unreachable, "of the same kind"), later));
        assert!(site.mark_offline(&Error::new(Cause::Auth, "other"), later));
        assert!(!site.mark_offline(&Error::new(Cause::Refused, "and back"), later));
        assert!(!site.mark_offline(&Error::new(Cause::Auth, "and forth"), later));
        let ConnectionState::Offline { since, error } = &site.link else { panic!() };
        assert_eq!((*since, error.cause), (began, Cause::Auth));
        assert_eq!(site.events.len(), 3);
        for _ in 0..100 {
            site.connected(0, later);
        }
        assert_eq!(site.events.len(), MAX_EVENTS);
    }
}

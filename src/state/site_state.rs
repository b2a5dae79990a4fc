//! The state of one site: its connection, the readings of its plugins, and what happened.

use std::collections::VecDeque;
use std::time::Duration;

use super::today::Today;
use super::{Reading, ReadingState};
use crate::clock::Moment;
use crate::plugin::{Data, Health, Hotspot, Plugin, Resource, Session};
use crate::routeros::error::{Cause, Error};
use crate::routeros::value;

/// Maximum number of connection events kept per site: enough for about a night on a bad link.
const MAX_EVENTS: usize = 32;

/// Largest difference between two computed boot times of the same boot: the clocks of router and host drift apart during
/// a long outage, and replies arrive late.
const BOOT_SLACK: Duration = Duration::from_secs(30);

/// Longest time from the command that ends a session to its logout: an admin's action takes at most 25 s.
const KICK_WINDOW: Duration = Duration::from_secs(30);

/// The state of one site.
#[derive(Debug, Clone)]
pub struct SiteState {
    /// The name in paths, JSON and metrics.
    pub key: String,
    /// The display name.
    pub name: String,
    /// The heading under which it is on the page.
    pub group: Option<String>,
    /// The interval between refreshes.
    pub refresh: Duration,
    /// Whether the router answers.
    pub connection: ConnectionState,
    /// The addresses of the router, in the order in which they are tried.
    pub hosts: Vec<HostState>,
    /// One for each plugin of the site, in the order of the file.
    pub readings: Vec<Reading>,
    /// One for each internal plugin of the site.
    pub internal: Vec<Reading>,
    /// When the certificate of the router ends, since the Unix epoch: that of the last connection over TLS.
    pub certificate_ends: Option<Duration>,
    /// The latest connections and losses, newest last.
    pub connection_events: VecDeque<ConnectionEvent>,
    /// The agent's overhead on the router since the agent's start.
    pub usage: Usage,
    /// Sessions that the admin ended through this agent.
    pub kicks: u64,
    /// The last command to end a session. Boxed, because few sites have one.
    last_kick: Option<Box<KickAttempt>>,
    /// When the router booted, according to the last uptime, and when it reported that.
    booted: Option<(Moment, Moment)>,
    /// The boot that the agent noticed by a shorter uptime: the last reboot.
    pub(super) rebooted: Option<Moment>,
    /// What was counted since midnight.
    pub(super) today: Today,
}

/// A command to end a session, whose result may be unknown.
#[derive(Debug, Clone)]
struct KickAttempt {
    session: Session,
    at: Moment,
}

/// An address of a site's router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostState {
    /// Name or address, with the port.
    pub address: String,
    /// The error of the last attempt, if it failed.
    pub error: Option<Error>,
}

/// Whether a site's router answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// Unknown, because the first attempt has not ended.
    Connecting,
    /// Logged in, and the router answers.
    Online {
        /// The index of the host in use.
        host: usize,
        /// When the router answered first.
        since: Moment,
    },
    /// The router can't be reached, or refuses the login.
    Offline {
        /// Why the last attempt failed.
        error: Error,
        /// When the connection was lost, or the first attempt failed.
        since: Moment,
    },
}

impl ConnectionState {
    /// The name in JSON and on the page.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Online { .. } => "online",
            Self::Offline { .. } => "offline",
        }
    }
}

/// A connection that was established or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionEvent {
    /// The time of the event.
    pub at: Moment,
    /// The address, or the error with which the connection was lost or could not be established.
    pub outcome: Result<String, Error>,
}

/// The agent's overhead on a router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes sent to it.
    pub sent_bytes: u64,
    /// Bytes received from it.
    pub received_bytes: u64,
    /// Commands sent to it, logins included.
    pub commands: u64,
    /// Logins it accepted. RouterOS logs each.
    pub logins: u64,
    /// Unsolicited replies, including those that arrived too late.
    pub unsolicited_replies: u64,
    /// The duration of the last refresh.
    pub reply_time: Option<Duration>,
}

impl Usage {
    /// Adds the overhead of a connection.
    pub fn add(&mut self, more: Self) {
        self.sent_bytes += more.sent_bytes;
        self.received_bytes += more.received_bytes;
        self.commands += more.commands;
        self.logins += more.logins;
        self.unsolicited_replies += more.unsolicited_replies;
    }
}

impl SiteState {
    /// A site before the first attempt to connect.
    pub fn new(
        key: &str,
        name: &str,
        refresh: Duration,
        hosts: impl IntoIterator<Item = String>,
        plugins: impl IntoIterator<Item = Plugin>,
    ) -> Self {
        let plugins: Vec<Plugin> = plugins.into_iter().collect();
        Self {
            key: key.into(),
            name: name.into(),
            group: None,
            refresh,
            connection: ConnectionState::Connecting,
            hosts: hosts.into_iter().map(|address| HostState { address, error: None }).collect(),
            internal: Plugin::internal(&plugins).map(Reading::new).collect(),
            readings: plugins.into_iter().map(Reading::new).collect(),
            certificate_ends: None,
            connection_events: VecDeque::new(),
            usage: Usage::default(),
            kicks: 0,
            last_kick: None,
            booted: None,
            rebooted: None,
            today: Today::default(),
        }
    }

    /// Bytes of memory that the readings take.
    pub fn cost(&self) -> usize {
        self.readings.iter().map(|reading| reading.cost).sum()
    }

    /// Adopts another configuration, given as the initial state of a site with this configuration. Readings that are
    /// valid for it are kept.
    pub fn reconfigure(&mut self, new: Self) {
        for (readings, new) in [(&mut self.readings, new.readings), (&mut self.internal, new.internal)] {
            let old = std::mem::take(readings);
            let inherited = |new: Reading| {
                let from = old.iter().find(|old| old.plugin.name() == new.plugin.name());
                from.map_or(new.clone(), |from| new.inherit(from))
            };
            *readings = new.into_iter().map(inherited).collect();
        }
        self.name = new.name;
        self.group = new.group;
        self.refresh = new.refresh;
        if !self.hosts.iter().map(|host| &host.address).eq(new.hosts.iter().map(|host| &host.address)) {
            self.hosts = new.hosts;
        }
    }

    /// Resets the connection state, because the configuration requires another connection.
    pub fn reset_connection(&mut self) {
        self.connection = ConnectionState::Connecting;
    }

    /// Whether the router can't be reached, or refuses the login.
    pub fn is_offline(&self) -> bool {
        matches!(self.connection, ConnectionState::Offline { .. })
    }

    /// Whether the router answers.
    pub fn is_online(&self) -> bool {
        matches!(self.connection, ConnectionState::Online { .. })
    }

    /// The reading of this plugin, unless the plugin was removed or is declared differently by now.
    pub fn reading_of(&self, plugin: &Plugin) -> Option<&Reading> {
        self.readings.iter().chain(&self.internal).find(|reading| reading.plugin == *plugin)
    }

    /// The reading of the plugin with this name, which is not an internal one.
    pub fn reading(&self, plugin: &str) -> Option<&Reading> {
        self.readings.iter().find(|reading| reading.plugin.name() == plugin)
    }

    /// The hotspot's data if it is current: the router answers, though the last refresh of the hotspot may have failed.
    pub fn hotspot_now(&self) -> Option<&Hotspot> {
        let state = self.hotspot_reading()?.state(true);
        let is_current = self.is_online() && matches!(state, ReadingState::Ok | ReadingState::Stale);
        self.hotspot().filter(|_| is_current)
    }

    /// The reading of the hotspot, if the site collects it.
    pub fn hotspot_reading(&self) -> Option<&Reading> {
        self.reading_of(&Plugin::Hotspot)
    }

    /// The reading of the router's resources, if the site collects them.
    pub fn resource_reading(&self) -> Option<&Reading> {
        self.reading_of(&Plugin::Resource)
    }

    /// The data of a kind, if the router answers and the last read succeeded.
    pub fn current<'s, T>(&'s self, kind: impl Fn(&'s Data) -> Option<&'s T>) -> Option<&'s T> {
        let readings =
            self.readings.iter().filter(|reading| reading.state(self.is_online()) == ReadingState::Ok);
        readings.filter_map(|reading| reading.data.as_deref()).find_map(kind)
    }

    /// The hotspot's last data, of any age.
    pub fn hotspot(&self) -> Option<&Hotspot> {
        self.hotspot_reading()?.data.as_deref()?.hotspot()
    }

    /// The last data about the router itself, of any age.
    pub fn resource(&self) -> Option<&Resource> {
        self.resource_reading()?.data.as_deref()?.resource()
    }

    /// The last data of the router's sensors, of any age.
    pub fn health(&self) -> Option<&Health> {
        self.readings.iter().find_map(|reading| reading.data.as_deref()?.health())
    }

    /// The address in use.
    pub fn address(&self) -> Option<&str> {
        match self.connection {
            ConnectionState::Online { host, .. } => self.hosts.get(host).map(|host| host.address.as_str()),
            ConnectionState::Connecting | ConnectionState::Offline { .. } => None,
        }
    }

    /// Records that the router answers at the host with this index.
    pub fn connected(&mut self, host: usize, now: Moment) {
        // Hosts after it are not tried while it is in use, so their old errors no longer matter.
        for at in host..self.hosts.len() {
            self.host_tried(at, None);
        }
        self.connection = ConnectionState::Online { host, since: now };
        let address = self.hosts.get(host).map(|host| host.address.clone()).unwrap_or_default();
        self.note(ConnectionEvent { at: now, outcome: Ok(address) });
    }

    /// Records the result of an attempt to reach the host with this index.
    pub fn host_tried(&mut self, host: usize, error: Option<Error>) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.error = error;
        }
    }

    /// Records that the router does not answer. Each cause adds one connection event per outage, even if causes
    /// alternate.
    pub fn mark_offline(&mut self, error: &Error, now: Moment) {
        let since = match &self.connection {
            ConnectionState::Offline { since, .. } => *since,
            ConnectionState::Connecting | ConnectionState::Online { .. } => now,
        };
        self.connection = ConnectionState::Offline { error: error.clone(), since };
        if !self.outage_causes().any(|cause| cause == error.cause) {
            self.note(ConnectionEvent { at: now, outcome: Err(error.clone()) });
        }
    }

    /// The causes of the current outage; none while the router answers. There are fewer causes than kept events.
    pub(super) fn outage_causes(&self) -> impl Iterator<Item = Cause> {
        let began = match &self.connection {
            ConnectionState::Offline { since, .. } => Some(*since),
            ConnectionState::Connecting | ConnectionState::Online { .. } => None,
        };
        let failures = self
            .connection_events
            .iter()
            .rev()
            .map_while(|event| Some((event.at, event.outcome.as_ref().err()?)));
        failures
            .take_while(move |(at, _)| began.is_some_and(|began| *at >= began))
            .map(|(_, error)| error.cause)
    }

    /// Records the router's uptime. Over a `new` connection it may show that the router rebooted: a reboot ends all
    /// connections. A boot before the last report is that of another router at one of the hosts, or the clocks drifted apart.
    pub fn note_uptime(&mut self, uptime: Duration, now: Moment, new: bool) {
        let booted = now.before(uptime);
        let before = self.booted.replace((booted, now)).filter(|_| new);
        let is_later =
            |(before, reported)| booted.since(before) > BOOT_SLACK && booted.after(BOOT_SLACK) >= reported;
        if before.is_some_and(is_later) {
            self.rebooted = Some(booted);
            let message = format!("the router was rebooted {} ago", value::format_duration(uptime));
            self.note(ConnectionEvent { at: booted, outcome: Err(Error::new(Cause::Rebooting, message)) });
        }
    }

    /// Records that the router is about to receive the command to end this session, so that its logout counts as a
    /// kick even if the router reports it before it confirms the command.
    pub fn begin_kick(&mut self, session: &Session, now: Moment) {
        self.last_kick = Some(KickAttempt { session: session.clone(), at: now }.into());
    }

    /// Records that the router refused the last command to end a session.
    pub fn kick_failed(&mut self) {
        self.last_kick = None;
    }

    /// Whether the admin ended this session, which logged out at `now`.
    pub(super) fn is_kicked(&self, session: &Session, now: Moment) -> bool {
        self.last_kick.as_ref().is_some_and(|kick| {
            let is_same = |of: fn(&Session) -> &[u8]| of(&kick.session) == of(session);
            is_same(Session::id_bytes) && is_same(Session::user_bytes) && now.since(kick.at) <= KICK_WINDOW
        })
    }

    /// The user whose session with this id the admin ended a moment ago.
    pub fn kicked_user(&self, id: &str, now: Moment) -> Option<&str> {
        let kick = self.last_kick.as_ref().filter(|kick| kick.session.id() == id)?;
        (now.since(kick.at) <= KICK_WINDOW).then_some(kick.session.user())
    }

    /// Replaces the reading of a plugin, unless the plugin was removed or is declared differently by now.
    pub fn put(&mut self, reading: Reading) {
        let mut readings = self.readings.iter_mut().chain(&mut self.internal);
        if let Some(old) = readings.find(|old| old.plugin == reading.plugin) {
            *old = reading;
        }
    }

    fn note(&mut self, event: ConnectionEvent) {
        if self.connection_events.len() == MAX_EVENTS {
            self.connection_events.pop_front();
        }
        self.connection_events.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_keeps_its_beginning_and_has_each_cause_once() {
        let mut site = SiteState::new("a", "a", Duration::from_secs(30), ["h:8728".into()], []);
        let began = Moment::now();
        site.mark_offline(&Error::new(Cause::Refused, "first"), began);
        let later = began.after(Duration::from_secs(1));
        for cause in [Cause::Refused, Cause::Unreachable, Cause::Auth, Cause::Refused, Cause::Auth] {
            site.mark_offline(&Error::new(cause, "another"), later);
        }
        let ConnectionState::Offline { since, error } = &site.connection else { panic!() };
        assert_eq!((*since, error.cause), (began, Cause::Auth));
        assert_eq!(site.connection_events.len(), 3);
        assert!(site.outage_causes().eq([Cause::Auth, Cause::Unreachable, Cause::Refused]));
        site.reset_connection();
        assert_eq!(site.outage_causes().count(), 0);
        site.mark_offline(
            &Error::new(Cause::Auth, "over the new address"),
            later.after(Duration::from_secs(1)),
        );
        assert!(site.outage_causes().eq([Cause::Auth]), "another outage");
        for _ in 0..100 {
            site.connected(0, later);
        }
        assert_eq!(site.connection_events.len(), MAX_EVENTS);
    }
}

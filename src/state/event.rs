//! Events: the changes from one snapshot to the next.
//!
//! The log, the event streams and every other consumer of changes receive these from
//! [`Store::subscribe`](super::Store::subscribe). No other code decides what counts as a change. The comparison is a
//! pure function of an old and a new state.

use std::collections::HashMap;
use std::sync::Arc;

use super::site_state::{ConnectionState, SiteState};
use super::snapshot::Snapshot;
use crate::clock::Moment;
use crate::plugin::Session;
use crate::routeros::error::{Cause, Error};

/// An event for subscribers.
#[derive(Debug, Clone)]
pub enum StoreEvent {
    /// The configuration has a new site.
    SiteAdded(Arc<SiteState>),
    /// The configuration no longer has this site. This is its last state.
    SiteRemoved(Arc<SiteState>),
    /// A site changed.
    SiteChanged(Arc<SiteChange>),
    /// The configuration was read again, with or without success.
    ConfigReloaded,
    /// The first event of a subscription, and the first after events were dropped because the subscriber was too slow:
    /// the current state, which includes all changes until now.
    Resync(Arc<Snapshot>),
}

/// One change of one site.
#[derive(Debug)]
pub struct SiteChange {
    /// When the change was made.
    pub at: Moment,
    /// The state before.
    pub old: Arc<SiteState>,
    /// The state after.
    pub new: Arc<SiteState>,
    /// What happened, for logs and journals. Empty if, for example, only figures changed: a consumer that counts states
    /// compares `old` and `new`.
    pub events: Vec<SiteEvent>,
}

/// Something that happened to a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteEvent {
    /// The router rebooted. The event comes with the next connection, before its [`SiteEvent::Online`].
    Rebooted {
        /// When the router booted.
        booted: Moment,
    },
    /// A connection was established, and the router answers.
    Online {
        /// The address in use.
        host: String,
        /// When the router first answered.
        since: Moment,
    },
    /// The connection was lost, or the first attempt failed.
    Offline {
        /// The cause of the last attempt.
        error: Error,
        /// When the outage began.
        since: Moment,
    },
    /// During an outage, the cause changed from a temporary one to one that needs a fix, or the other way round.
    /// Changes between causes of one kind, as during a boot or on a bad link, cause no event.
    CauseChanged {
        /// The cause of the last attempt.
        error: Error,
        /// When the outage began.
        since: Moment,
    },
    /// A plugin fails, or fails with another cause than before.
    PluginFailed {
        /// The plugin's name.
        plugin: String,
        /// The error of its last attempt.
        error: Error,
    },
    /// A plugin that failed has data again.
    PluginRecovered {
        /// The plugin's name.
        plugin: String,
    },
    /// A plugin's data is incomplete from now on.
    PluginPartial {
        /// The plugin's name.
        plugin: String,
        /// The reason why it is incomplete.
        reason: String,
    },
    /// A session began.
    Login(Session),
    /// A session ended.
    Logout {
        /// The session with its last counters.
        session: Session,
        /// Whether the admin ended it through this agent.
        is_kick: bool,
    },
}

impl SiteChange {
    /// Compares two states of a site.
    pub fn between(old: Arc<SiteState>, new: Arc<SiteState>, at: Moment) -> Self {
        let mut events = connection_events(&old, &new);
        plugin_events(&old, &new, &mut events);
        session_events(&old, &new, at, &mut events);
        Self { at, old, new, events }
    }

    /// Bytes of the old state that it does not share with the new one.
    fn cost(&self) -> usize {
        let mut cost = 0;
        for reading in &self.old.readings {
            let new = self.new.reading(reading.plugin.name()).and_then(|new| new.data.as_ref());
            let is_shared = reading.data.as_ref().zip(new).is_some_and(|(old, new)| Arc::ptr_eq(old, new));
            cost += if is_shared { 0 } else { reading.cost };
        }
        cost
    }
}

impl StoreEvent {
    /// The changes from one snapshot to the next.
    pub(super) fn between(old: &Snapshot, new: &Snapshot, at: Moment) -> Vec<Self> {
        let mut events = Vec::new();
        let mut added = 0;
        for (place, site) in new.sites.iter().enumerate() {
            // Almost all sites are unchanged and in their places: for those it reads nothing but pointers.
            let in_place = old.sites.get(place).filter(|known| Arc::ptr_eq(known, site));
            match in_place.or_else(|| old.place(&site.key).map(|place| &old.sites[place])) {
                Some(known) if Arc::ptr_eq(known, site) => {}
                Some(known) => {
                    let change = SiteChange::between(known.clone(), site.clone(), at);
                    events.push(Self::SiteChanged(change.into()));
                }
                None => {
                    added += 1;
                    events.push(Self::SiteAdded(site.clone()));
                }
            }
        }
        if old.sites.len() + added > new.sites.len() {
            let removed = old.sites.iter().filter(|site| new.site(&site.key).is_none());
            events.extend(removed.cloned().map(Self::SiteRemoved));
        }
        if old.reload != new.reload || old.storage.problems != new.storage.problems {
            events.push(Self::ConfigReloaded);
        }
        events
    }

    /// Bytes of memory that can't be freed as long as the event exists.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::SiteChanged(change) => change.cost(),
            Self::SiteRemoved(site) => site.cost(),
            Self::SiteAdded(_) | Self::ConfigReloaded | Self::Resync(_) => 0,
        }
    }
}

fn connection_events(old: &SiteState, new: &SiteState) -> Vec<SiteEvent> {
    use ConnectionState::{Connecting, Offline, Online};
    let mut events = Vec::new();
    if let Some(booted) = new.rebooted.filter(|booted| old.rebooted != Some(*booted)) {
        events.push(SiteEvent::Rebooted { booted });
    }
    match (&old.connection, &new.connection) {
        (Online { since: old, .. }, Online { since, .. }) if old == since => {}
        (_, Online { since, .. }) => {
            let host = new.address().unwrap_or_default().to_string();
            events.push(SiteEvent::Online { host, since: *since });
        }
        (Offline { since: began, .. }, Offline { error, since }) if began == since => {
            let is_known = |cause: Cause| cause.is_passing() == error.cause.is_passing();
            if !old.outage_causes().any(is_known) {
                events.push(SiteEvent::CauseChanged { error: error.clone(), since: *since });
            }
        }
        (_, Offline { error, since }) => {
            events.push(SiteEvent::Offline { error: error.clone(), since: *since });
        }
        (_, Connecting) => {}
    }
    events
}

fn plugin_events(old: &SiteState, new: &SiteState, events: &mut Vec<SiteEvent>) {
    for reading in &new.readings {
        let plugin = || reading.plugin.name().to_string();
        // A plugin with a changed declaration starts without earlier data.
        let old = old.reading(reading.plugin.name()).filter(|old| old.plugin == reading.plugin);
        match (old.and_then(|old| old.error.as_ref()), &reading.error) {
            (Some(old), Some(error)) if old.cause == error.cause => {}
            (_, Some(error)) => {
                events.push(SiteEvent::PluginFailed { plugin: plugin(), error: error.clone() });
            }
            (Some(_), None) if reading.data.is_some() => {
                events.push(SiteEvent::PluginRecovered { plugin: plugin() });
            }
            (_, None) => {}
        }
        if let Some(reason) = &reading.partial
            && old.is_none_or(|old| old.partial.is_none())
        {
            events.push(SiteEvent::PluginPartial { plugin: plugin(), reason: reason.message.clone() });
        }
    }
}

/// Compares the sessions, if the hotspot counted a login or logout. The first answer and a truncated hotspot count
/// none, because a session that is new to the agent may be older. A session that began and ended between two states is
/// counted by the hotspot, but has no events.
fn session_events(old: &SiteState, new: &SiteState, at: Moment, events: &mut Vec<SiteEvent>) {
    let (Some(before), Some(after)) = (old.hotspot(), new.hotspot()) else { return };
    if std::ptr::eq(before, after) || before.is_truncated || after.is_truncated {
        return;
    }
    let (old_counts, new_counts) = (before.counts(), after.counts());
    if (old_counts.logins, old_counts.logouts) == (new_counts.logins, new_counts.logouts) {
        return;
    }
    let mut new_sessions: HashMap<&[u8], &Session> =
        after.sessions.iter().map(|session| (session.id_bytes(), session)).collect();
    for session in &before.sessions {
        if new_sessions.get(session.id_bytes()).is_some_and(|now| is_same_session(session, now)) {
            new_sessions.remove(session.id_bytes());
        } else {
            let is_kick = new.kicks > old.kicks || new.is_kicked(session, at);
            events.push(SiteEvent::Logout { session: session.clone(), is_kick });
        }
    }
    let is_new = |session: &&Session| new_sessions.contains_key(session.id_bytes());
    events.extend(after.sessions.iter().filter(is_new).cloned().map(SiteEvent::Login));
}

/// Whether two states of an id belong to one session. The id is derived from the address, and the same user may log in
/// again, so the login time decides. A session keeps its first login time, and a correction can only make it earlier: a
/// later login time means another session.
fn is_same_session(old: &Session, new: &Session) -> bool {
    let is_later = old.login.zip(new.login).is_some_and(|(old, new)| new > old);
    old.is_same_user(new) && !is_later
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plugin::{Data, Following, Plugin, ReadContext};
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::wire::Sentence;
    use crate::state::Reading;

    const HOST: &str = "10.0.1.1:8728";

    fn seconds(seconds: u64) -> Moment {
        Moment::START.after(Duration::from_secs(seconds))
    }

    fn site() -> SiteState {
        let plugins = [Plugin::Hotspot, Plugin::Health];
        SiteState::new("awka", "Awka", Duration::from_secs(30), [HOST.to_string()], plugins)
    }

    /// The events of this change, in short.
    fn events(old: &SiteState, change: impl FnOnce(&mut SiteState)) -> Vec<String> {
        let mut new = old.clone();
        change(&mut new);
        between(old, &new)
    }

    fn between(old: &SiteState, new: &SiteState) -> Vec<String> {
        let change = SiteChange::between(old.clone().into(), new.clone().into(), seconds(100));
        let in_short = |event: &SiteEvent| match event {
            SiteEvent::Rebooted { booted } => format!("rebooted {}", booted.since(Moment::START).as_secs()),
            SiteEvent::Online { host, since } => {
                format!("online {host} {}", since.since(Moment::START).as_secs())
            }
            SiteEvent::Offline { error, since } => {
                format!("offline {} {}", error.cause.name(), since.since(Moment::START).as_secs())
            }
            SiteEvent::CauseChanged { error, since } => {
                format!("cause {} {}", error.cause.name(), since.since(Moment::START).as_secs())
            }
            SiteEvent::PluginFailed { plugin, error } => format!("{plugin} failed {}", error.cause.name()),
            SiteEvent::PluginRecovered { plugin } => format!("{plugin} recovered"),
            SiteEvent::PluginPartial { plugin, reason } => format!("{plugin} partial {reason}"),
            SiteEvent::Login(session) => format!("login {}", session.user()),
            SiteEvent::Logout { session, is_kick } => {
                format!(
                    "{} {} {}",
                    if *is_kick { "kick" } else { "logout" },
                    session.user(),
                    session.bytes_in()
                )
            }
        };
        change.events.iter().map(in_short).collect()
    }

    fn error(cause: Cause) -> Error {
        Error::new(cause, "words")
    }

    #[test]
    fn a_connection_that_is_made_or_lost_is_an_event_with_its_times() {
        let connecting = site();
        assert_eq!(events(&connecting, |_| ()), [""; 0]);
        let is_online = |site: &mut SiteState| site.connected(0, seconds(1));
        assert_eq!(events(&connecting, is_online), [format!("online {HOST} 1")]);
        let mut online = site();
        is_online(&mut online);
        assert_eq!(events(&online, |site| site.usage.logins += 1), [""; 0]);
        assert_eq!(events(&online, |site| site.connected(0, seconds(9))), [format!("online {HOST} 9")]);
        let lost = |site: &mut SiteState| site.mark_offline(&error(Cause::Closed), seconds(5));
        assert_eq!(events(&online, lost), ["offline closed 5"]);
        assert_eq!(events(&connecting, lost), ["offline closed 5"]);
        assert_eq!(events(&online, SiteState::reset_connection), [""; 0]);
    }

    #[test]
    fn an_outage_is_one_event_for_each_kind_of_cause() {
        let mut offline = site();
        offline.mark_offline(&error(Cause::Refused), seconds(5));
        for (at, (cause, expected)) in [
            (Cause::Refused, None),
            (Cause::Unreachable, None),
            (Cause::Auth, Some("cause auth 5")),
            (Cause::Refused, None),
            (Cause::Tls, None),
            (Cause::QueryTimeout, None),
        ]
        .into_iter()
        .enumerate()
        {
            let before = offline.clone();
            offline.mark_offline(&error(cause), seconds(6 + at as u64));
            let expected: Vec<&str> = expected.into_iter().collect();
            assert_eq!(between(&before, &offline), expected, "{at}: {cause:?}");
        }
        offline.reset_connection();
        let again = |site: &mut SiteState| site.mark_offline(&error(Cause::Refused), seconds(20));
        assert_eq!(events(&offline, again), ["offline refused 20"], "over another connection");
    }

    #[test]
    fn a_lower_uptime_over_a_new_connection_is_a_reboot() {
        let mut known = site();
        known.note_uptime(Duration::from_secs(40), seconds(50), true);
        for (uptime, is_new, expected) in [
            (90, true, None),
            // The clocks drifted apart.
            (61, true, None),
            (59, true, Some("rebooted 41")),
            (5, false, None),
            (5, true, Some("rebooted 95")),
        ] {
            let noted =
                events(&known, |site| site.note_uptime(Duration::from_secs(uptime), seconds(100), is_new));
            assert_eq!(noted, expected.into_iter().collect::<Vec<&str>>(), "{uptime}, {is_new}");
        }
        let reconnected = |site: &mut SiteState| {
            site.note_uptime(Duration::from_secs(5), seconds(100), true);
            site.connected(0, seconds(101));
        };
        assert_eq!(events(&known, reconnected), ["rebooted 95".to_string(), format!("online {HOST} 101")]);
    }

    #[test]
    fn a_boot_before_the_last_answer_is_that_of_another_router() {
        let mut first = site();
        first.note_uptime(Duration::from_secs(7200), seconds(10_000), true);
        for (uptime, expected) in
            [(3600, None), (131, None), (129, Some("rebooted 9971")), (50, Some("rebooted 10050"))]
        {
            let failed_over =
                |site: &mut SiteState| site.note_uptime(Duration::from_secs(uptime), seconds(10_100), true);
            assert_eq!(events(&first, failed_over), expected.into_iter().collect::<Vec<&str>>(), "{uptime}");
        }
    }

    /// A change of a reading, and its event.
    type Change<'s> = (&'s dyn Fn(&mut Reading), Option<&'s str>);

    #[test]
    fn a_plugin_is_compared_by_its_cause_and_whether_it_is_partial() {
        let health = |site: &mut SiteState, change: &dyn Fn(&mut Reading)| change(&mut site.readings[1]);
        let failed = |cause: Cause| move |reading: &mut Reading| reading.error = Some(error(cause));
        let whole = |reading: &mut Reading| {
            (reading.error, reading.partial) = (None, None);
            reading.data = Some(Arc::new(Data::Health(crate::plugin::Health::default())));
        };
        let partial =
            |why: &'static str| move |reading: &mut Reading| reading.partial = Some(why.to_string().into());
        let mut known = site();
        let steps: [Change; 9] = [
            (&failed(Cause::QueryTimeout), Some("health failed query_timeout")),
            (&failed(Cause::QueryTimeout), None),
            (&failed(Cause::Permission), Some("health failed permission")),
            (&whole, Some("health recovered")),
            (&whole, None),
            (&partial("a part"), Some("health partial a part")),
            (&partial("another part"), None),
            (&whole, None),
            (&partial("a part"), Some("health partial a part")),
        ];
        for (at, (change, expected)) in steps.into_iter().enumerate() {
            let before = known.clone();
            health(&mut known, change);
            assert_eq!(between(&before, &known), expected.into_iter().collect::<Vec<&str>>(), "step {at}");
        }
        health(&mut known, &failed(Cause::Permission));
        let untried = Reading::new(Plugin::Health);
        let replaced = events(&known, |site| site.readings[1] = untried);
        assert_eq!(replaced, [""; 0], "without data it has not recovered");
    }

    /// A row of the hotspot: its id, user and uptime in seconds.
    type Row = (&'static str, &'static str, u64);

    /// Adds an answer of the hotspot.
    fn answer(site: &mut SiteState, rows: &[Row], at: u64) {
        let row = |(id, user, uptime): &Row| {
            let [id, user] = [format!("=.id={id}"), format!("=user={user}")];
            Sentence::from_words([
                "!re",
                &id,
                &user,
                "=mac-address=M",
                &format!("=uptime={uptime}s"),
                "=bytes-in=7",
            ])
        };
        let answers = [Ok(Reply { rows: rows.iter().map(row).collect(), ..Reply::default() })];
        let (at, codepage) = (seconds(at), Codepage::named("windows-1252").unwrap());
        let reading = site.readings[0].clone().after(&answers, at, at, codepage, Following::No);
        site.put(reading);
    }

    #[test]
    fn sessions_that_differ_between_two_answers_logged_in_or_out() {
        let mut known = site();
        let first: &[Row] = &[("*1", "ada", 50), ("*2", "bayo", 40), ("*3", "chidi", 30)];
        assert_eq!(
            events(&known, |site| answer(site, first, 60)),
            [""; 0],
            "they may have been there before"
        );
        answer(&mut known, first, 60);
        let cases: [(&[Row], &[&str]); 6] = [
            (&[("*1", "ada", 90), ("*2", "bayo", 80), ("*3", "chidi", 70)], &[]),
            (&[("*3", "chidi", 70), ("*1", "ada", 90)], &["logout bayo 7"]),
            (&[("*1", "ada", 90), ("*2", "bayo", 80), ("*3", "chidi", 70), ("*4", "efe", 1)], &["login efe"]),
            // The address, and therefore the id, belongs to another user.
            (&[("*1", "dayo", 3), ("*2", "bayo", 80), ("*3", "chidi", 70)], &["logout ada 7", "login dayo"]),
            // The same user logged in again.
            (&[("*1", "ada", 3), ("*2", "bayo", 80), ("*3", "chidi", 70)], &["logout ada 7", "login ada"]),
            // The router's clock was corrected: the sessions are older than they seemed.
            (&[("*1", "ada", 900), ("*2", "bayo", 800), ("*3", "chidi", 700)], &[]),
        ];
        for (rows, expected) in cases {
            assert_eq!(events(&known, |site| answer(site, rows, 100)), expected, "{rows:?}");
        }
        let gone = events(&known, |site| answer(site, &[], 100));
        assert_eq!(gone, ["logout ada 7", "logout bayo 7", "logout chidi 7"]);
        let truncated = events(&known, |site| site.readings[0].truncate(1));
        assert_eq!(truncated.len(), 1, "nobody logged out: {truncated:?}");
        assert!(truncated[0].starts_with("hotspot partial "), "{truncated:?}");
        known.readings[0].truncate(1);
        assert_eq!(events(&known, |site| answer(site, first, 100)), [""; 0], "nobody logged in");
    }

    #[test]
    fn a_logout_that_follows_a_kick_of_the_session_is_a_kick() {
        let mut known = site();
        answer(&mut known, &[("*1", "ada", 50), ("*2", "bayo", 40)], 60);
        let row = Sentence::from_words(["!re", "=.id=*1", "=user=ada"]);
        let ada =
            Session::read(&row, &ReadContext::new(seconds(60), Codepage::named("windows-1252").unwrap()));
        let both_gone = |kick: &dyn Fn(&mut SiteState)| {
            let mut before = known.clone();
            kick(&mut before);
            events(&before, |site| answer(site, &[], 100))
        };
        let logouts = ["logout ada 7", "logout bayo 7"];
        assert_eq!(both_gone(&|_| ()), logouts);
        assert_eq!(both_gone(&|site| site.begin_kick(&ada, seconds(99))), ["kick ada 7", "logout bayo 7"]);
        assert_eq!(both_gone(&|site| site.begin_kick(&ada, seconds(60))), logouts, "long ago");
        let failed = |site: &mut SiteState| {
            site.begin_kick(&ada, seconds(99));
            site.kick_failed();
        };
        assert_eq!(both_gone(&failed), logouts);
        // The end of all sessions of that user is confirmed with the count of kicks.
        let confirmed = events(&known, |site| {
            site.kicks += 2;
            answer(site, &[], 100);
        });
        assert_eq!(confirmed, ["kick ada 7", "kick bayo 7"]);
    }
}

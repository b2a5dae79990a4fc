//! Who is online at the hotspot, and how many users are configured.

pub mod command;
mod follow;
mod measure;
mod session;
mod user;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Answer, Context, Data, Plugin, Table, first, lengths};
use crate::clock::Moment;
use crate::memory::{self, ALLOCATION};
use crate::routeros::client::Command;
use crate::routeros::error::Error;
use crate::routeros::value::{self, Text};
use crate::routeros::wire::Sentence;

use follow::{Discrepancy, Extent};
pub use session::Session;
pub use user::{Used, User};

/// Properties of an active session that are shown or measured, in the order of the columns.
const SESSION: [&str; 12] = [
    ".id",
    "user",
    "address",
    "mac-address",
    "server",
    "login-by",
    "uptime",
    "idle-time",
    "session-time-left",
    "bytes-in",
    "bytes-out",
    "comment",
];

/// A row of `/ip/hotspot/user` that is no configured user: RouterOS keeps the trial's profile in it.
const TRIAL: &str = "default-trial";

/// What a hotspot says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hotspot {
    /// The sessions under way.
    pub sessions: Vec<Arc<Session>>,
    /// How many users are configured, the trial's row left out.
    pub configured_users: Option<u64>,
    /// The most recent login seen, though its session may have ended since.
    pub last_login: Option<Moment>,
    /// What happened at each server by its name, since the agent's first look.
    /// The empty name stands for sessions that tell of no server, and for servers that are too many.
    pub servers: BTreeMap<String, Counts>,
    /// Logins and logouts that an answer showed, and that a `listen` under way did not tell.
    pub missed_events: u64,
    /// Sessions of the last answer that were left out because of their `.id`.
    pub(super) left_out: usize,
    /// Whether there are sessions that are not kept: who is new to us may have been there before.
    is_cut: bool,
    /// Where the last answer and the changes disagree, by the session's id.
    doubts: HashMap<Text, Discrepancy>,
    /// Whether an answer has shown all who were there, so that who is new has come since.
    has_looked: bool,
    /// When somebody changed what is at an id, where no `listen` tells: an answer that was asked for before
    /// that is too old to say.
    changed: HashMap<Text, Moment>,
}

/// What was seen to happen at one server. No count ever goes down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Logins.
    pub logins: u64,
    /// Logouts, of whatever reason.
    pub logouts: u64,
    /// Bytes that users uploaded. What a session moved before the first look, or after the last look at
    /// it, is not among them.
    pub upload_bytes: u64,
    /// Bytes that users downloaded, in the same way.
    pub download_bytes: u64,
}

impl Hotspot {
    /// Bytes uploaded by the sessions under way.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.sessions.iter().fold(0, |sum, session| sum.saturating_add(session.bytes_in))
    }

    /// Bytes downloaded by the sessions under way.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.sessions.iter().fold(0, |sum, session| sum.saturating_add(session.bytes_out))
    }

    /// What happened at all servers together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.servers.values().fold(Counts::default(), |sum, counts| Counts {
            logins: sum.logins + counts.logins,
            logouts: sum.logouts + counts.logouts,
            upload_bytes: sum.upload_bytes.saturating_add(counts.upload_bytes),
            download_bytes: sum.download_bytes.saturating_add(counts.download_bytes),
        })
    }

    /// Whether the last answer and the changes told disagree.
    #[must_use]
    pub fn has_discrepancy(&self) -> bool {
        !self.doubts.is_empty()
    }

    /// Whether sessions are missing because there is no memory for them.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        self.sessions.iter().map(session_cost).sum::<usize>()
            + self.doubts.values().map(Discrepancy::cost).sum::<usize>()
    }

    /// The first sessions of it, up to so many bytes.
    pub(super) fn cut(&self, most: usize) -> Self {
        Self {
            sessions: memory::first(&self.sessions, session_cost, most).to_vec(),
            servers: self.servers.clone(),
            is_cut: true,
            configured_users: self.configured_users,
            last_login: self.last_login,
            missed_events: self.missed_events,
            left_out: self.left_out,
            ..Self::default()
        }
    }

    /// The sessions as rows.
    #[must_use]
    pub fn table(&self) -> Table {
        Table { columns: Self::columns(), rows: self.sessions.iter().map(|session| session.row()).collect() }
    }

    pub(super) fn columns() -> Vec<String> {
        // The `.id` tells a person nothing.
        SESSION[1..].iter().map(ToString::to_string).collect()
    }
}

fn session_cost(session: &Arc<Session>) -> usize {
    // Its place in the list, the counts of the `Arc`, and up to eight texts.
    session.cost() + 9 * ALLOCATION
}

pub(super) struct HotspotPlugin;

impl Plugin for HotspotPlugin {
    fn name(&self) -> &'static str {
        "hotspot"
    }

    fn title(&self) -> &'static str {
        "Hotspot"
    }

    fn private(&self) -> bool {
        true
    }

    fn commands(&self) -> Vec<Command> {
        vec![
            Command::new("/ip/hotspot/active/print").proplist(&SESSION),
            Command::new("/ip/hotspot/user/print").attribute("count-only", ""),
            // The servers, so that one without sessions has its series too.
            Command::new("/ip/hotspot/print").proplist(&["name"]),
            // To be left out of the count. RouterOS 6.28 ignores a query on `count-only`, and answers one on rows.
            Command::new("/ip/hotspot/user/print").proplist(&["name"]).query_equal("name", TRIAL.as_bytes()),
        ]
    }

    fn count(&self) -> Option<Command> {
        Some(Command::new("/ip/hotspot/active/print").attribute("count-only", ""))
    }

    fn read(&self, answers: &[Answer], context: &Context) -> Result<Data, Error> {
        let active = first(answers)?;
        // Who is online is worth knowing without how many there could be.
        let reply = |at: usize| answers.get(at).and_then(|answer| answer.as_ref().ok());
        let previous = match context.previous {
            Some(Data::Hotspot(hotspot)) => Some(hotspot),
            _ => None,
        };
        let mut hotspot = previous.cloned().unwrap_or_default();
        hotspot.left_out = active.rows.iter().filter(|row| !lengths::has_usable_id(row)).count();
        let sessions = active
            .rows
            .iter()
            // RouterOS sends a bare `!re` now and then: a row of nothing.
            .filter(|row| row.attributes().next().is_some() && lengths::has_usable_id(row))
            .map(|row| Session::read(row, context));
        hotspot.reconcile(sessions, Extent::of(active), context)?;
        let names = reply(2).into_iter().flat_map(|reply| &reply.rows).filter_map(|row| row.get("name"));
        for name in names {
            let name = hotspot.counted_as(Some(&value::short_text(name, lengths::NAME, context.codepage)));
            // The empty name stands for servers that are too many.
            if !name.is_empty() {
                hotspot.servers.entry(name).or_default();
            }
        }
        let users = reply(1).and_then(|reply| reply.ret.as_deref()).and_then(value::number);
        hotspot.configured_users = users.zip(reply(3)).map(|(users, trial)| {
            let is_trial = |row: &&Sentence| row.get("name") == Some(TRIAL.as_bytes());
            users.saturating_sub(trial.rows.iter().filter(is_trial).count() as u64)
        });
        Ok(Data::Hotspot(hotspot))
    }

    fn listen(&self) -> Option<Command> {
        // `.dead` tells that a session is gone. It is no property, but one version or another
        // might leave out what is not listed.
        let properties: Vec<&str> = SESSION.into_iter().chain([".dead"]).collect();
        Some(Command::new("/ip/hotspot/active/listen").proplist(&properties))
    }

    fn follow(&self, changes: &[Sentence], context: &Context) -> Result<Option<Data>, Error> {
        let Some(Data::Hotspot(previous)) = context.previous else { return Ok(None) };
        let mut hotspot = previous.clone();
        hotspot.apply(changes, context)?;
        Ok(Some(Data::Hotspot(hotspot)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::error::Cause;

    fn read(rows: &[&[&str]], ret: Option<&str>, now: Moment, previous: Option<&Data>) -> Hotspot {
        let rows = rows.iter().map(|row| Sentence::from_words(std::iter::once(&"!re").chain(*row))).collect();
        let users = match ret {
            Some(ret) => Ok(Reply { ret: Some(ret.as_bytes().to_vec()), ..Reply::default() }),
            None => Err(Error::new(Cause::Permission, "not enough permissions (9)")),
        };
        let trial =
            Reply { rows: vec![Sentence::from_words(["!re", "=name=default-trial"])], ..Reply::default() };
        let answers = [Ok(Reply { rows, ..Reply::default() }), users, Ok(Reply::default()), Ok(trial)];
        let codepage = Codepage::named("windows-1252").unwrap();
        let context = Context { previous, ..Context::new(now, codepage) };
        match HotspotPlugin.read(&answers, &context) {
            Ok(Data::Hotspot(hotspot)) => hotspot,
            other => panic!("{other:?}"),
        }
    }

    const CHIDI: &[&str] = &[
        "=.id=*A0A0001",
        "=user=chidi",
        "=mac-address=AA:BB:CC:00:00:01",
        "=uptime=1h2m",
        "=bytes-in=100",
        "=bytes-out=2000",
    ];

    #[test]
    fn a_row_becomes_a_session() {
        let now = Moment::now();
        let hotspot = read(&[CHIDI, &[]], Some("151"), now, None);
        assert_eq!(hotspot.configured_users, Some(150));
        assert_eq!(hotspot.sessions.len(), 1, "a bare !re is no session");
        let session = &hotspot.sessions[0];
        assert_eq!((&*session.user, session.address.as_deref()), ("chidi", None));
        assert_eq!((session.bytes_in, session.bytes_out), (100, 2000));
        assert_eq!(session.login, Some(now.before(Duration::from_secs(3720))));
        assert_eq!(hotspot.last_login, session.login);
    }

    #[test]
    fn a_login_stays_where_it_was_first_seen() {
        let first = Moment::now().before(Duration::from_secs(60));
        let before = read(&[CHIDI], None, first, None);
        let login = before.sessions[0].login;
        // 30 s later the uptime has grown by 29 s only: the answer came a little late.
        let later = Moment::now().before(Duration::from_secs(30));
        let row: Vec<&str> =
            CHIDI.iter().map(|w| if *w == "=uptime=1h2m" { "=uptime=1h2m29s" } else { w }).collect();
        let before = Data::Hotspot(before);
        assert_eq!(read(&[&row], None, later, Some(&before)).sessions[0].login, login);
        // The same id, user and device with a young uptime: logged in anew.
        let row: Vec<&str> =
            CHIDI.iter().map(|w| if *w == "=uptime=1h2m" { "=uptime=3s" } else { w }).collect();
        let anew = read(&[&row], None, later, Some(&before));
        assert_eq!(anew.sessions[0].login, Some(later.before(Duration::from_secs(3))));
        // The same id with another user is another session, whatever the uptime.
        let row: Vec<&str> =
            CHIDI.iter().map(|w| if *w == "=user=chidi" { "=user=ada" } else { w }).collect();
        assert_eq!(
            read(&[&row], None, later, Some(&before)).sessions[0].login,
            Some(later.before(Duration::from_secs(3720)))
        );
    }

    #[test]
    fn a_login_follows_the_uptime_where_drift_does_not_explain_the_difference() {
        const HOUR: u64 = 3600;
        const DAY: u64 = 24 * HOUR;
        let row = |uptime: u64| -> Vec<String> {
            let uptime = format!("=uptime={uptime}s");
            CHIDI
                .iter()
                .map(|w| if w.starts_with("=uptime") { uptime.clone() } else { (*w).to_string() })
                .collect()
        };
        let read_at = |now: Moment, uptime: u64, previous: Option<&Data>| {
            let row = row(uptime);
            read(&[&row.iter().map(String::as_str).collect::<Vec<_>>()], None, now, previous)
        };
        // The age by our clock, the age that the router tells, and whether its login is taken.
        for (age, told, follows) in [
            (HOUR, HOUR + 5, false),
            (HOUR, HOUR + 60, true),
            // A clock that stood still while the host was suspended.
            (HOUR, 9 * HOUR, true),
            // 500 ppm of 10 days are 432 s.
            (10 * DAY, 10 * DAY + 400, false),
            (10 * DAY, 10 * DAY + 500, true),
            (10 * DAY, 10 * DAY - 5, false),
        ] {
            let now = Moment::now();
            let login = now.before(Duration::from_secs(age));
            let first = Data::Hotspot(read_at(login.after(Duration::from_secs(60)), 60, None));
            let hotspot = read_at(now, told, Some(&first));
            let expected = if follows { now.before(Duration::from_secs(told)) } else { login };
            assert_eq!(hotspot.sessions[0].login, Some(expected), "{age} s, told {told} s");
            assert_eq!(hotspot.last_login, Some(expected), "{age} s, told {told} s");
            assert_eq!(hotspot.counts().logins, 0, "it is the same session");
        }
    }

    #[test]
    fn the_last_login_outlives_its_session() {
        let now = Moment::now();
        let before = Data::Hotspot(read(&[CHIDI], None, now, None));
        let empty = read(&[], Some("0"), now, Some(&before));
        assert_eq!(empty.last_login, Some(now.before(Duration::from_secs(3720))));
        assert_eq!((empty.sessions.len(), empty.configured_users), (0, Some(0)));
    }

    #[test]
    fn what_is_not_known_is_absent() {
        let hotspot = read(&[&["=user=x", "=uptime=soon", "=server="]], None, Moment::now(), None);
        let session = &hotspot.sessions[0];
        assert_eq!((session.login, session.uptime, &session.server), (None, None, &None));
        assert_eq!(hotspot.configured_users, None);
    }
}

//! Who is online at the hotspot, and how many users are configured.

use std::collections::HashMap;
use std::time::Duration;

use super::{Answer, Context, Data, Plugin, Table, first};
use crate::clock::Moment;
use crate::routeros::client::Command;
use crate::routeros::error::Error;
use crate::routeros::value::{self, Encoding};
use crate::routeros::wire::Sentence;

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

/// `RouterOS` gives a session's age in whole seconds, and the answer takes a while to come:
/// a login seen this much earlier or later than before is the same one.
const LOGIN_SLACK: Duration = Duration::from_secs(5);

/// What a hotspot says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hotspot {
    /// The sessions under way.
    pub sessions: Vec<Session>,
    /// How many users are configured, the trial's row left out.
    pub configured_users: Option<u64>,
    /// The most recent login seen, though its session may have ended since.
    pub last_login: Option<Moment>,
}

/// One session: a device that is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The router's `.id`. Made from the address, so the next one there has it again.
    pub id: String,
    /// Name of the hotspot server.
    pub server: Option<String>,
    /// The user's name.
    pub user: String,
    /// The device's IP address.
    pub address: Option<String>,
    /// The device's MAC address.
    pub mac: Option<String>,
    /// How it logged in: `http-chap`, `cookie`, `trial`, …
    pub login_by: Option<String>,
    /// When it logged in: the moment of the answer less the uptime. Stays as it was first seen.
    pub login: Option<Moment>,
    /// How long it has been online.
    pub uptime: Option<Duration>,
    /// How long nothing came from it.
    pub idle: Option<Duration>,
    /// How long it may stay; absent where there is no limit.
    pub time_left: Option<Duration>,
    /// `bytes-in`: from the user, so what the user uploaded.
    pub bytes_in: u64,
    /// `bytes-out`: to the user, so what the user downloaded.
    pub bytes_out: u64,
    /// The comment on the user.
    pub comment: Option<String>,
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

    /// The sessions as rows.
    #[must_use]
    pub fn table(&self) -> Table {
        let row = |session: &Session| {
            let duration = |d: Option<Duration>| d.map(value::format_duration);
            vec![
                Some(session.user.clone()),
                session.address.clone(),
                session.mac.clone(),
                session.server.clone(),
                session.login_by.clone(),
                duration(session.uptime),
                duration(session.idle),
                duration(session.time_left),
                Some(session.bytes_in.to_string()),
                Some(session.bytes_out.to_string()),
                session.comment.clone(),
            ]
        };
        // The `.id` tells a person nothing.
        let columns = SESSION[1..].iter().map(ToString::to_string);
        Table { columns: columns.collect(), rows: self.sessions.iter().map(row).collect() }
    }
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
            Command::new("/ip/hotspot/user/print")
                .attribute("count-only", "")
                .query(&format!("?name={TRIAL}"))
                .query("?#!"),
        ]
    }

    fn read(&self, answers: &[Answer], context: &Context) -> Result<Data, Error> {
        let active = first(answers)?;
        // Who is online is worth knowing without how many there could be.
        let users = answers.get(1).and_then(|answer| answer.as_ref().ok());
        let previous = match context.previous {
            Some(Data::Hotspot(hotspot)) => Some(hotspot),
            _ => None,
        };
        let known = previous.map(|hotspot| hotspot.sessions.as_slice()).unwrap_or_default();
        let known: HashMap<&str, &Session> =
            known.iter().map(|before| (before.id.as_str(), before)).collect();
        let sessions: Vec<Session> = active
            .rows
            .iter()
            // RouterOS sends a bare `!re` now and then: a row of nothing.
            .filter(|row| row.attributes().next().is_some())
            .map(|row| session(row, context, &known))
            .collect();
        let latest = sessions.iter().filter_map(|session| session.login).max();
        Ok(Data::Hotspot(Hotspot {
            configured_users: users.and_then(|reply| reply.ret.as_deref()).and_then(value::number),
            last_login: latest.max(previous.and_then(|hotspot| hotspot.last_login)),
            sessions,
        }))
    }
}

fn session(row: &Sentence, context: &Context, known: &HashMap<&str, &Session>) -> Session {
    let text = |key| shown(row, key, context.codepage);
    let duration = |key| row.get(key).and_then(value::duration);
    let count = |key| row.get(key).and_then(value::number).unwrap_or(0);
    let mut session = Session {
        id: text(".id").unwrap_or_default(),
        server: text("server"),
        user: text("user").unwrap_or_default(),
        address: text("address"),
        mac: text("mac-address"),
        login_by: text("login-by"),
        login: duration("uptime").map(|uptime| context.now.before(uptime)),
        uptime: duration("uptime"),
        idle: duration("idle-time"),
        time_left: duration("session-time-left"),
        bytes_in: count("bytes-in"),
        bytes_out: count("bytes-out"),
        comment: text("comment"),
    };
    if let Some(before) = known.get(session.id.as_str()).filter(|before| same(before, &session)) {
        session.login = before.login;
    }
    session
}

/// Whether two sessions of one id are the same: the id and the address are the next user's too, and the
/// same user may have come back, so the login decides.
fn same(before: &Session, now: &Session) -> bool {
    (&before.user, &before.mac) == (&now.user, &now.mac)
        && match (before.login, now.login) {
            (Some(before), Some(now)) => before.apart(now) <= LOGIN_SLACK,
            _ => false,
        }
}

fn shown(row: &Sentence, key: &str, codepage: &'static Encoding) -> Option<String> {
    row.get(key).filter(|value| !value.is_empty()).map(|value| value::text(value, codepage).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routeros::client::Reply;
    use crate::routeros::error::Cause;

    fn read(rows: &[&[&str]], ret: Option<&str>, now: Moment, previous: Option<&Data>) -> Hotspot {
        let rows = rows.iter().map(|row| Sentence::from_words(std::iter::once(&"!re").chain(*row))).collect();
        let users = match ret {
            Some(ret) => Ok(Reply { ret: Some(ret.as_bytes().to_vec()), ..Reply::default() }),
            None => Err(Error::new(Cause::Permission, "not enough permissions (9)")),
        };
        let answers = [Ok(Reply { rows, ..Reply::default() }), users];
        let context = Context { now, codepage: Encoding::for_label(b"windows-1252").unwrap(), previous };
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
        let hotspot = read(&[CHIDI, &[]], Some("150"), now, None);
        assert_eq!(hotspot.configured_users, Some(150));
        assert_eq!(hotspot.sessions.len(), 1, "a bare !re is no session");
        let session = &hotspot.sessions[0];
        assert_eq!((session.user.as_str(), session.address.as_deref()), ("chidi", None));
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

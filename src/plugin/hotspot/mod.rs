//! The plugin `hotspot`: who is online, and how many users are configured.

pub mod command;
mod data;
mod metrics;
mod rates;
mod reconcile;
mod session;
mod user;

use super::answer::{Answer, first};
use super::context::ReadContext;
use super::limits;
use crate::routeros::error::Error;
use crate::routeros::value;
use crate::routeros::wire::Sentence;
use command::TRIAL;
pub use data::{Counts, Hotspot};
pub use rates::Rates;
use reconcile::Extent;
pub use session::{Quota, Session};
pub use user::{Used, User};

/// Reads the answers to [`command::refresh`].
pub(super) fn read(
    answers: &[Answer],
    previous: Option<&Hotspot>,
    context: &ReadContext,
) -> Result<Hotspot, Error> {
    let active = first(answers)?;
    // The sessions are useful without the number of users.
    let reply = |at: usize| answers.get(at).and_then(|answer| answer.as_ref().ok());
    let mut hotspot = previous.cloned().unwrap_or_default();
    let (rows, left_out) = limits::usable(&active.rows);
    hotspot.left_out = left_out;
    let sessions = rows.iter().map(|row| Session::read(row, context));
    hotspot.reconcile(sessions, Extent::of(active), previous.is_none(), context)?;
    let names = reply(2).into_iter().flat_map(|reply| &reply.rows).filter_map(|row| row.get("name"));
    for name in names {
        let name = hotspot.server_key(Some(&value::short_text(name, limits::NAME, context.codepage)));
        // The empty name stands for servers above the limit.
        if !name.is_empty() {
            hotspot.servers.entry(name).or_default();
        }
    }
    let users = reply(1).and_then(|reply| reply.ret.as_deref()).and_then(value::number);
    hotspot.configured_users = users.zip(reply(3)).map(|(users, trial)| {
        let is_trial = |row: &&Sentence| row.get("name") == Some(TRIAL.as_bytes());
        users.saturating_sub(trial.rows.iter().filter(is_trial).count() as u64)
    });
    Ok(hotspot)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Moment;
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::error::Cause;

    fn read(rows: &[&[&str]], ret: Option<&str>, now: Moment, previous: Option<&Hotspot>) -> Hotspot {
        let rows = rows.iter().map(|row| Sentence::from_words(std::iter::once(&"!re").chain(*row))).collect();
        let users = match ret {
            Some(ret) => Ok(Reply { ret: Some(ret.as_bytes().to_vec()), ..Reply::default() }),
            None => Err(Error::new(Cause::Permission, "not enough permissions (9)")),
        };
        let trial =
            Reply { rows: vec![Sentence::from_words(["!re", "=name=default-trial"])], ..Reply::default() };
        let answers = [Ok(Reply { rows, ..Reply::default() }), users, Ok(Reply::default()), Ok(trial)];
        let codepage = Codepage::named("windows-1252").unwrap();
        super::read(&answers, previous, &ReadContext::new(now, codepage)).unwrap()
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
        assert_eq!(hotspot.sessions.len(), 1, "a bare !re is not a session");
        let session = &hotspot.sessions[0];
        assert_eq!((&*session.user, session.address.as_deref()), ("chidi", None));
        assert_eq!((session.bytes_in, session.bytes_out), (100, 2000));
        assert_eq!(session.login, Some(now.before(Duration::from_secs(3720))));
        assert_eq!(hotspot.last_login, session.login);
    }

    #[test]
    fn login_time_does_not_drift_between_reads() {
        let first = Moment::now().before(Duration::from_secs(60));
        let before = read(&[CHIDI], None, first, None);
        let login = before.sessions[0].login;
        // 30 s later the uptime is only 29 s longer: the answer was a little late.
        let later = Moment::now().before(Duration::from_secs(30));
        let row: Vec<&str> =
            CHIDI.iter().map(|w| if *w == "=uptime=1h2m" { "=uptime=1h2m29s" } else { w }).collect();
        assert_eq!(read(&[&row], None, later, Some(&before)).sessions[0].login, login);
        // The same id, user and device with a short uptime: a new login.
        let row: Vec<&str> =
            CHIDI.iter().map(|w| if *w == "=uptime=1h2m" { "=uptime=3s" } else { w }).collect();
        let again = read(&[&row], None, later, Some(&before));
        assert_eq!(again.sessions[0].login, Some(later.before(Duration::from_secs(3))));
        // The same id with another user is another session at any uptime.
        let row: Vec<&str> =
            CHIDI.iter().map(|w| if *w == "=user=chidi" { "=user=ada" } else { w }).collect();
        assert_eq!(
            read(&[&row], None, later, Some(&before)).sessions[0].login,
            Some(later.before(Duration::from_secs(3720)))
        );
    }

    #[test]
    fn login_time_is_corrected_if_drift_does_not_explain_the_difference() {
        const HOUR: u64 = 3600;
        const DAY: u64 = 24 * HOUR;
        let row = |uptime: u64| -> Vec<String> {
            let uptime = format!("=uptime={uptime}s");
            CHIDI
                .iter()
                .map(|w| if w.starts_with("=uptime") { uptime.clone() } else { (*w).to_string() })
                .collect()
        };
        let read_at = |now: Moment, uptime: u64, previous: Option<&Hotspot>| {
            let row = row(uptime);
            read(&[&row.iter().map(String::as_str).collect::<Vec<_>>()], None, now, previous)
        };
        // The age by the agent's clock, the age that the router reports, and whether the login follows the latter.
        for (age, reported, follows) in [
            (HOUR, HOUR + 5, false),
            (HOUR, HOUR + 60, true),
            // A clock that stopped while the host was suspended.
            (HOUR, 9 * HOUR, true),
            // 500 ppm of 10 days are 432 s.
            (10 * DAY, 10 * DAY + 400, false),
            (10 * DAY, 10 * DAY + 500, true),
            (10 * DAY, 10 * DAY - 5, false),
        ] {
            let now = Moment::now();
            let login = now.before(Duration::from_secs(age));
            let first = read_at(login.after(Duration::from_secs(60)), 60, None);
            let hotspot = read_at(now, reported, Some(&first));
            let expected = if follows { now.before(Duration::from_secs(reported)) } else { login };
            assert_eq!(hotspot.sessions[0].login, Some(expected), "{age} s, reported {reported} s");
            assert_eq!(hotspot.last_login, Some(expected), "{age} s, reported {reported} s");
            assert_eq!(hotspot.counts().logins, 0, "it is the same session");
        }
    }

    #[test]
    fn the_last_login_outlives_its_session() {
        let now = Moment::now();
        let before = read(&[CHIDI], None, now, None);
        let empty = read(&[], Some("0"), now, Some(&before));
        assert_eq!(empty.last_login, Some(now.before(Duration::from_secs(3720))));
        assert_eq!((empty.sessions.len(), empty.configured_users), (0, Some(0)));
    }

    #[test]
    fn unknown_properties_are_absent() {
        let hotspot = read(&[&["=user=x", "=uptime=soon", "=server="]], None, Moment::now(), None);
        let session = &hotspot.sessions[0];
        assert_eq!((session.login, session.uptime, &session.server), (None, None, &None));
        assert_eq!(hotspot.configured_users, None);
    }
}

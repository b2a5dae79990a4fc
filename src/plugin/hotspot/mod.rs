//! The plugin `hotspot`: who is online, and how many users are configured.

pub mod command;
mod data;
mod lookup;
mod metrics;
mod quota;
mod rates;
mod reconcile;
mod session;
mod texts;
mod user;

use super::answer::{Answer, first};
use super::context::ReadContext;
use super::limits;
use crate::routeros::error::Error;
use crate::routeros::value;
use crate::routeros::wire::SentenceRef;
use command::TRIAL;
pub use data::{Counts, Hotspot};
use lookup::Lookup;
pub use quota::Quota;
pub use rates::Rates;
use reconcile::Extent;
use session::RowKind;
pub use session::Session;
pub use user::{Used, User};

/// The number of commands in [`command::refresh`]. A refresh of figures has fewer.
const WHOLE_REFRESH: usize = 4;

/// The number of commands in [`command::refresh_figures`]. That of [`Hotspot::lacking`] follows.
const FIGURES_REFRESH: usize = 2;

/// Reads the answers to [`command::refresh`], or those to [`command::refresh_figures`] and [`Hotspot::lacking`].
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
    let has_figures_only = answers.len() < WHOLE_REFRESH;
    // The router may ignore the list of properties.
    let is_whole = !has_figures_only || rows.first().is_some_and(|row| row.get("user").is_some());
    let kind = if is_whole { RowKind::Whole } else { RowKind::Figures };
    let more = reply(FIGURES_REFRESH).filter(|_| has_figures_only).map(|reply| limits::usable(&reply.rows).0);
    let more = more.into_iter().flatten().map(|row| (row, RowKind::Whole));
    let rows = more.chain(rows.into_iter().map(|row| (row, kind)));
    let (unknown, mut lacking) = (Hotspot::default(), Vec::new());
    let sessions = sessions(rows, previous.unwrap_or(&unknown), &mut lacking, context);
    hotspot.reconcile(sessions, Extent::of(active), previous.is_none(), context)?;
    hotspot.lacking = if answers.len() == FIGURES_REFRESH { lacking } else { Vec::new() };
    let users = reply(1).and_then(|reply| reply.ret.as_deref()).and_then(value::number);
    if !has_figures_only {
        let names =
            reply(2).into_iter().flat_map(|reply| reply.rows.iter()).filter_map(|row| row.get("name"));
        for name in names.map(|name| value::short_text(name, limits::NAME, context.codepage)) {
            // The empty name stands for servers above the limit.
            if !hotspot.server_key(Some(&name)).is_empty() {
                hotspot.servers.entry(name).or_default();
            }
        }
        let is_trial = |row: &SentenceRef| row.get("name") == Some(TRIAL.as_bytes());
        hotspot.trial_rows = reply(3).map(|reply| reply.rows.iter().filter(is_trial).count() as u64);
    }
    hotspot.configured_users =
        users.zip(hotspot.trial_rows).map(|(users, trial)| users.saturating_sub(trial));
    Ok(hotspot)
}

/// The sessions of these rows. Of rows with figures, those of unknown sessions and of others than the known ones are left
/// out. The ids of sessions of which such rows do not show enough are added to `lacking`: they are unknown, or may be
/// others than the known ones.
fn sessions<'r>(
    rows: impl Iterator<Item = (SentenceRef<'r>, RowKind)>,
    known: &Hotspot,
    lacking: &mut Vec<Vec<u8>>,
    context: &ReadContext,
) -> impl Iterator<Item = Session> {
    let (mut lookup, unknown) = (Lookup::default(), Session::default());
    rows.filter_map(move |(row, kind)| {
        let id = row.get(".id").unwrap_or_default();
        let known = lookup.find(&known.sessions, id).map(|at| &known.sessions[at]);
        if kind == RowKind::Whole {
            return Some(known.unwrap_or(&unknown).after(row, kind, context));
        }
        let known_and_now = known.map(|known| (known, known.after(row, kind, context)));
        let is_clear = known_and_now.as_ref().is_some_and(|(known, now)| !known.is_doubtful(now, context));
        if !is_clear {
            lacking.push(id.to_vec());
        }
        let (known, now) = known_and_now?;
        (is_clear || known.is_same(&now, context.took)).then_some(now)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Moment;
    use crate::plugin::Following;
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::error::Cause;
    use crate::routeros::wire::Sentence;

    fn read(rows: &[&[&str]], ret: Option<&str>, now: Moment, previous: Option<&Hotspot>) -> Hotspot {
        let rows = rows.iter().map(|row| Sentence::from_words(std::iter::once(&"!re").chain(*row))).collect();
        let users = match ret {
            Some(ret) => Ok(Reply { ret: Some(ret.as_bytes().to_vec()), ..Reply::default() }),
            None => Err(Error::new(Cause::Permission, "not enough permissions (9)")),
        };
        let trial = Reply {
            rows: [Sentence::from_words(["!re", "=name=default-trial"])].into_iter().collect(),
            ..Reply::default()
        };
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
        assert_eq!((session.user(), session.address()), ("chidi", None));
        assert_eq!((session.bytes_in(), session.bytes_out()), (100, 2000));
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
        assert_eq!((session.login, session.uptime(), session.server()), (None, None, None));
        assert_eq!(hotspot.configured_users, None);
    }

    /// The answers to a refresh of figures, with rows of words.
    fn figures(rows: &[&str]) -> Vec<Answer> {
        let row = |row: &&str| Sentence::from_words(std::iter::once("!re").chain(row.split(' ')));
        let rows = rows.iter().map(row).collect();
        vec![
            Ok(Reply { rows, ..Reply::default() }),
            Ok(Reply { ret: Some(b"151".to_vec()), ..Reply::default() }),
        ]
    }

    /// Chidi's session with a limit, and the context of a refresh 30 s later.
    fn known() -> (Hotspot, ReadContext<'static>) {
        let now = Moment::now();
        let row = [CHIDI, &["=session-time-left=10m", "=idle-time=7s", "=comment=a"]].concat();
        let hotspot = read(&[&row], Some("151"), now.before(Duration::from_secs(30)), None);
        let context = ReadContext::new(now, Codepage::named("windows-1252").unwrap());
        (hotspot, ReadContext { following: Following::On, ..context })
    }

    #[test]
    fn figures_of_a_known_session_change_and_the_rest_stays() {
        let (known, context) = known();
        let unknown = "=.id=*A0A0002 =uptime=1s";
        let answers = figures(&["=.id=*A0A0001 =uptime=1h2m30s =bytes-in=300 =bytes-out=2000", unknown]);
        let hotspot = super::read(&answers, Some(&known), &context).unwrap();
        assert_eq!(hotspot.sessions.len(), 1, "a session without a user is not known");
        let (session, before) = (&hotspot.sessions[0], &known.sessions[0]);
        assert_eq!((session.user(), session.comment(), session.login), ("chidi", Some("a"), before.login));
        let left = Some(Duration::from_secs(570));
        assert_eq!((session.bytes_in(), session.idle(), session.time_left()), (300, None, left));
        assert_eq!((hotspot.configured_users, hotspot.counts().upload_bytes), (Some(150), 200));
    }

    #[test]
    fn whole_rows_are_queried_of_unknown_and_of_doubtful_sessions() {
        let (known, context) = known();
        let lacking = |rows: &[&str]| super::read(&figures(rows), Some(&known), &context).unwrap().lacking();
        for (row, is_missing) in [
            ("=.id=*A0A0001 =uptime=1h2m30s =bytes-in=100", false),
            // The answer was a little late.
            ("=.id=*A0A0001 =uptime=1h2m28s =bytes-in=100", false),
            ("=.id=*A0A0001 =uptime=1h2m27s =bytes-in=100", true),
            ("=.id=*A0A0001 =uptime=29s =bytes-in=100", true),
            ("=.id=*A0A0001 =bytes-in=100", true),
            ("=.id=*A0A0001 =uptime=1h2m30s =bytes-in=99", true),
            ("=.id=*A0A0001 =uptime=1h2m30s =bytes-out=1999", true),
            // No time is left, and the session goes on.
            ("=.id=*A0A0001 =uptime=1h12m", true),
            ("=.id=*A0A0001 =uptime=29s =bytes-in=0 =user=bola", false),
        ] {
            let expected = is_missing.then(|| command::session_at(b"*A0A0001"));
            assert_eq!(lacking(&[row]), expected, "{row}");
        }
        let rows: Vec<String> = (2..=20).map(|n| format!("=.id=*{n} =uptime=1s")).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        for (count, commands) in
            [(2, command::sessions_at(&[b"*2", b"*3"])), (19, command::refresh().swap_remove(0))]
        {
            assert_eq!(lacking(&rows[..count]), Some(commands));
        }
    }

    #[test]
    fn the_whole_row_of_a_session_counts_and_not_its_figures() {
        let (known, context) = known();
        let figures_row = "=.id=*A0A0001 =uptime=29s =bytes-in=7";
        let mut answers = figures(&[figures_row]);
        answers.extend(figures(&["=.id=*A0A0001 =user=bola =uptime=29s =bytes-in=7"]).into_iter().take(1));
        let context = ReadContext { following: Following::No, ..context };
        let hotspot = super::read(&answers, Some(&known), &context).unwrap();
        assert_eq!(hotspot.sessions.iter().map(Session::user).collect::<Vec<_>>(), ["bola"]);
        assert_eq!((hotspot.counts().logins, hotspot.counts().logouts), (1, 1));
    }
}

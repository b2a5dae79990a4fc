use std::collections::HashSet;

use smol::future::poll_once;

use super::*;
use crate::timings::Timings;

const HERE: [u8; 4] = [192, 0, 2, 1];

fn sessions() -> LoginSessions {
    LoginSessions::new(Timings::default().session_idle)
}

fn begin_from(sessions: &LoginSessions, role: Role, from: [u8; 4], now: Moment) -> String {
    sessions.begin(&Secret::new("a".into()), role, from.into(), now).unwrap().id
}

fn begin(sessions: &LoginSessions, token: &str, now: Moment) -> String {
    sessions.begin(&Secret::new(token.into()), Role::Admin, HERE.into(), now).unwrap().id
}

/// The token of a session.
fn token(sessions: &LoginSessions, id: &str, now: Moment) -> Option<String> {
    let tokens = ["a", "b"].map(|token| Secret::new(token.into()));
    sessions.find(id, now, |is| Some(tokens.iter().find(|token| is(token))?.expose().to_string()))
}

#[test]
fn a_session_has_its_token_until_it_ends() {
    let (sessions, now) = (sessions(), Moment::now());
    let (first, second) = (begin(&sessions, "a", now), begin(&sessions, "b", now));
    assert!(first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_eq!(token(&sessions, &first, now).as_deref(), Some("a"));
    assert_eq!(token(&sessions, &second, now).as_deref(), Some("b"));
    for unknown in ["", "0", &first[1..], &first.to_uppercase().replace(char::is_numeric, "A")] {
        assert_eq!(token(&sessions, unknown, now), None, "{unknown}");
    }
    sessions.end(&first);
    assert_eq!(token(&sessions, &first, now), None);
    assert_eq!(token(&sessions, &second, now).as_deref(), Some("b"));
}

#[test]
fn a_session_ends_with_its_token() {
    let (sessions, now) = (sessions(), Moment::now());
    let id = begin(&sessions, "a", now);
    assert_eq!(sessions.find(&id, now, |_| None::<()>), None);
    assert_eq!(token(&sessions, &id, now), None, "although the token is valid again");
}

#[test]
fn a_session_ends_12_hours_after_its_last_use_and_after_30_days() {
    const HOUR: u64 = 3600;
    for (uses, open) in [
        (vec![12 * HOUR - 1], true),
        (vec![12 * HOUR], false),
        (vec![11 * HOUR, 22 * HOUR], true),
        (vec![11 * HOUR, 23 * HOUR], false),
        // An ended session stays ended.
        (vec![12 * HOUR, 12 * HOUR + 1], false),
        ((1..30 * 24).map(|hour| hour * HOUR).collect(), true),
        ((1..=30 * 24).map(|hour| hour * HOUR).collect(), false),
    ] {
        let (sessions, start) = (sessions(), Moment::now());
        let id = begin(&sessions, "a", start);
        let found: Vec<_> =
            uses.iter().map(|&s| token(&sessions, &id, start.after(Duration::from_secs(s)))).collect();
        assert_eq!(found.last().unwrap().is_some(), open, "{:?}", uses.last());
    }
}

/// Sessions of this many addresses, one session each, one second apart.
fn many(sessions: &LoginSessions, role: Role, count: usize, start: Moment) -> Vec<String> {
    let from =
        |number: usize| [10, 0, u8::try_from(number / 256).unwrap(), u8::try_from(number % 256).unwrap()];
    let at = |number| start.after(Duration::from_secs(number as u64));
    (0..count).map(|number| begin_from(sessions, role, from(number), at(number))).collect()
}

#[test]
fn the_session_unused_for_longest_ends_when_a_role_has_too_many() {
    let (sessions, start) = (sessions(), Moment::now());
    let at = |second| start.after(Duration::from_secs(second));
    let admin = begin(&sessions, "a", start);
    let ids = many(&sessions, Role::Viewer, MAX_PER_ROLE, start);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), MAX_PER_ROLE);
    assert!(token(&sessions, &ids[0], at(1000)).is_some());
    let last = begin_from(&sessions, Role::Viewer, HERE, at(1001));
    assert_eq!(sessions.0.lock().open.len(), MAX_PER_ROLE + 1);
    assert_eq!(token(&sessions, &ids[1], at(1001)), None);
    for id in [&ids[0], &ids[2], &last, &admin] {
        assert!(token(&sessions, id, at(1001)).is_some());
    }
    // Expired sessions are removed first.
    begin(&sessions, "a", at(1001 + 12 * 3600));
    assert_eq!(sessions.0.lock().open.len(), 1);
}

#[test]
fn logins_end_no_session_of_the_admin_or_of_another_address() {
    let (sessions, start) = (sessions(), Moment::now());
    let at = |second| start.after(Duration::from_secs(second));
    let admin = begin(&sessions, "a", start);
    let other = begin_from(&sessions, Role::Viewer, [192, 0, 2, 2], start);
    // Slow enough that each adds a session.
    let every_s = LOGIN_WINDOW.as_secs();
    let ids: Vec<String> =
        (0..100).map(|n| begin_from(&sessions, Role::Viewer, HERE, at(n * every_s))).collect();
    let now = at(100 * every_s);
    let is_open = |id: &String| token(&sessions, id, now).is_some();
    assert!(is_open(&admin) && is_open(&other));
    let open: Vec<bool> = ids.iter().map(is_open).collect();
    let expected: Vec<bool> = (0..100).map(|n| n >= 100 - MAX_PER_ADDRESS).collect();
    assert_eq!(open, expected, "the oldest of the same address and role end first");
}

#[test]
fn a_burst_of_logins_replaces_its_own_newest_session() {
    let (sessions, start) = (sessions(), Moment::now());
    let early = begin(&sessions, "a", start);
    let now = start.after(LOGIN_WINDOW);
    let begun: Vec<NewSession> = (0..257)
        .map(|n| {
            let now = now.after(Duration::from_millis(n));
            sessions.begin(&Secret::new("a".into()), Role::Admin, HERE.into(), now).unwrap()
        })
        .collect();
    let replacements: Vec<bool> = begun.iter().map(|begun| begun.is_replacement).collect();
    assert_eq!(replacements, (0..257).map(|n| n >= MAX_LOGINS).collect::<Vec<_>>());
    assert_eq!(sessions.0.lock().open.len(), 1 + MAX_LOGINS);
    let last = &begun.last().unwrap().id;
    for id in [&early, &begun[0].id, &begun[MAX_LOGINS - 2].id, last] {
        assert!(token(&sessions, id, now.after(Duration::from_secs(1))).is_some());
    }
    // The rest of the network counts as the same address.
    let (one, other) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    for n in 0..2 * MAX_LOGINS {
        let peer = if n % 2 == 0 { one } else { other };
        let begun = sessions.begin(&Secret::new("a".into()), Role::Admin, peer, now).unwrap();
        assert_eq!(begun.is_replacement, n >= MAX_LOGINS);
    }
}

#[test]
fn a_wait_for_the_end_of_a_session_resolves_at_each_kind_of_end() {
    smol::block_on(async {
        let sessions = LoginSessions::new(Duration::from_secs(1));
        let [ended, replaced, expiring] =
            [1, 2, 3].map(|n| begin_from(&sessions, Role::Admin, [192, 0, 2, n], Moment::now()));
        let mut ends = [&ended, &ended, &replaced].map(|id| sessions.wait_for_end(id));
        for end in &mut ends {
            assert!(poll_once(&mut *end).await.is_none());
        }
        sessions.end(&ended);
        sessions.find(&replaced, Moment::now(), |_| None::<()>);
        for end in ends {
            end.await;
        }
        // It is used meanwhile, so it lasts longer.
        let began = Moment::now();
        let end = sessions.wait_for_end(&expiring);
        assert!(token(&sessions, &expiring, began.after(Duration::from_millis(500))).is_some());
        end.await;
        assert!(Moment::now().since(began) >= Duration::from_millis(1300));
        sessions.wait_for_end(&expiring).await;
    });
}

#[test]
fn debug_output_has_no_ids() {
    let sessions = sessions();
    let id = begin(&sessions, "a", Moment::now());
    assert!(!format!("{sessions:?}").contains(&id));
}

/// Another table with what the first one has stored.
fn restarted(from: &LoginSessions, files: &mut Vec<Vec<u8>>) -> LoginSessions {
    files.extend(from.0.records(false));
    from.0.written();
    let sessions = sessions();
    for record in files.iter() {
        sessions.0.restore(record, 1).unwrap();
    }
    sessions
}

#[test]
fn sessions_and_their_ends_survive_a_restart() {
    let (first, now, mut file) = (sessions(), Moment::now(), Vec::new());
    let [open, ended, revoked] = ["a", "a", "b"].map(|token| begin(&first, token, now));
    let second = restarted(&first, &mut file);
    assert_eq!(file.len(), 3);
    for (id, expected) in [(&open, "a"), (&ended, "a"), (&revoked, "b")] {
        assert_eq!(token(&second, id, now).as_deref(), Some(expected));
    }
    assert_eq!(second.0.records(false), [[0u8; 0]; 0], "nothing is new");
    second.end(&ended);
    second.find(&revoked, now, |_| None::<()>);
    let third = restarted(&second, &mut file);
    assert_eq!(file.len(), 5);
    assert_eq!([&open, &ended, &revoked].map(|id| token(&third, id, now).is_some()), [true, false, false]);
    // A file that is rewritten has open sessions only.
    let fourth = sessions();
    for record in third.0.records(true) {
        fourth.0.restore(&record, 1).unwrap();
    }
    assert_eq!([&open, &ended, &revoked].map(|id| token(&fourth, id, now).is_some()), [true, false, false]);
    assert_eq!(fourth.0.lock().open.len(), 1);
}

#[test]
fn a_session_that_ends_while_it_is_written_does_not_come_back() {
    let (first, now) = (sessions(), Moment::now());
    let id = begin(&first, "a", now);
    let mut file = first.0.records(false);
    first.end(&id);
    first.0.written();
    let second = restarted(&first, &mut file);
    assert_eq!((file.len(), token(&second, &id, now)), (2, None));
}

#[test]
fn a_session_that_could_not_be_written_is_offered_again() {
    let (first, now, mut file) = (sessions(), Moment::now(), Vec::new());
    let id = begin(&first, "a", now);
    assert_eq!(first.0.records(false).len(), 1);
    // Nothing was written.
    assert_eq!(token(&restarted(&first, &mut file), &id, now).as_deref(), Some("a"));
    assert_eq!(file.len(), 1);
}

#[test]
fn a_restart_extends_no_session() {
    let now = Moment::now();
    let hours = |hours: u64| now.before(Duration::from_secs(hours * 3600));
    for (begun, used, is_open) in [(1, 0, true), (13, 13, false), (30 * 24, 0, false), (29 * 24, 11, true)] {
        let (first, mut file) = (sessions(), Vec::new());
        let id = begin(&first, "a", hours(begun));
        first.0.lock().open.values_mut().for_each(|session| session.used = hours(used));
        let is_there = token(&restarted(&first, &mut file), &id, now).is_some();
        assert_eq!(is_there, is_open, "begun {begun} h ago, used {used} h ago");
    }
}

#[test]
fn the_use_of_a_session_is_written_once_an_hour() {
    let (sessions, now) = (sessions(), Moment::now());
    let id = begin(&sessions, "a", now);
    let writes = (0..240).filter(|minute| {
        token(&sessions, &id, now.after(Duration::from_secs(minute * 60))).unwrap();
        let is_written = !sessions.0.records(false).is_empty();
        sessions.0.written();
        is_written
    });
    assert_eq!(writes.collect::<Vec<_>>(), [0, 60, 120, 180]);
}

#[test]
fn a_login_is_urgent_and_waited_for_until_it_is_on_disk() {
    smol::block_on(async {
        let sessions = sessions();
        assert!(sessions.saved().is_none());
        let part = sessions.persist();
        assert!(poll_once(part.urgent()).await.is_none());
        let id = begin(&sessions, "a", Moment::now());
        for _ in 0..2 {
            assert!(poll_once(part.urgent()).await.is_some());
            assert!(poll_once(part.urgent()).await.is_none(), "once for each change");
            let mut saved = std::pin::pin!(sessions.saved().unwrap());
            assert!(poll_once(&mut saved).await.is_none());
            part.records(false);
            part.written();
            saved.await;
            sessions.end(&id);
        }
    });
}

//! Answers and changes in every order in which they may arrive.

mod rates;
mod traffic;

use std::collections::BTreeMap;

use super::*;
use crate::clock::Moment;
use crate::plugin::Plugin;
use crate::plugin::hotspot::read;
use crate::routeros::client::Reply;
use crate::routeros::codepage::Codepage;
use crate::routeros::wire::Sentence;

/// A hotspot and the time.
struct Scenario {
    hotspot: Option<Hotspot>,
    now: Moment,
}

/// A row, or without a user a change of one: `id user mac uptime`.
fn row(row: &(&str, &str, &str, &str)) -> Sentence {
    let (id, user, mac, uptime) = row;
    let words = [("id", id), ("user", user), ("mac-address", mac), ("uptime", uptime)];
    let words = words.iter().filter(|(_, value)| !value.is_empty());
    let words = words.map(|(key, value)| match *key {
        "id" => format!("=.id={value}"),
        key => format!("={key}={value}"),
    });
    Sentence::from_words(std::iter::once("!re".to_string()).chain(words))
}

fn dead(id: &str, word: &str) -> Sentence {
    Sentence::from_words(["!re", &format!("=.id={id}"), &format!("=.dead={word}")])
}

impl Scenario {
    fn new() -> Self {
        Self { hotspot: None, now: Moment::now() }
    }

    fn later(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    fn change<T>(&mut self, following: Following, act: impl FnOnce(&mut Hotspot, &ReadContext) -> T) -> T {
        let codepage = Codepage::named("windows-1252").unwrap();
        let mut hotspot = self.hotspot.clone().unwrap_or_default();
        let context = ReadContext { following, ..ReadContext::new(self.now, codepage) };
        let done = act(&mut hotspot, &context);
        self.hotspot = Some(hotspot);
        done
    }

    fn answer(&mut self, following: Following, rows: &[(&str, &str, &str, &str)]) {
        self.answer_in_part(following, rows, true);
    }

    fn answer_in_part(&mut self, following: Following, rows: &[(&str, &str, &str, &str)], is_whole: bool) {
        let is_first = self.hotspot.is_none();
        self.change(following, |hotspot, context| {
            let seen = rows.iter().map(|of| Session::read(&row(of), context));
            let extent = if is_whole { Extent::Whole } else { Extent::Part };
            hotspot.reconcile(seen, extent, is_first, context).unwrap();
        });
    }

    fn report(&mut self, changes: &[Sentence]) {
        self.change(Following::On, |hotspot, context| {
            hotspot.apply(&changes.iter().cloned().collect(), context).unwrap()
        });
    }

    /// Expects these users, logins and logouts.
    #[track_caller]
    fn check(&self, users: &str, logins: u64, logouts: u64) {
        let Some(hotspot) = &self.hotspot else { panic!("no answer yet") };
        let there: Vec<&str> = hotspot.sessions.iter().map(Session::user).collect();
        assert_eq!(there.join(" "), users);
        assert_eq!(hotspot.sessions.capacity(), there.len(), "spare memory");
        assert_eq!(hotspot.counts(), Counts { logins, logouts, ..Counts::default() });
    }

    fn has_discrepancy(&self) -> bool {
        self.hotspot.as_ref().unwrap().has_discrepancy()
    }
}

const ADA: (&str, &str, &str, &str) = ("*1", "ada", "M1", "1h");
const CHIDI: (&str, &str, &str, &str) = ("*2", "chidi", "M2", "2h");

#[test]
fn polling_counts_differences_between_answers() {
    let mut scenario = Scenario::new();
    scenario.answer(Following::No, &[ADA, CHIDI]);
    scenario.check("ada chidi", 0, 0);
    scenario.later(30);
    scenario.answer(Following::No, &[("*1", "ada", "M1", "1h30s"), ("*3", "bola", "M3", "5s")]);
    scenario.check("ada bola", 1, 1);
    scenario.later(30);
    scenario.answer(Following::No, &[("*1", "bola", "M3", "9s"), ("*3", "bola", "M3", "3s")]);
    scenario.check("bola bola", 3, 3);
    assert!(!scenario.has_discrepancy());
}

#[test]
fn changes_count_as_they_arrive() {
    let mut scenario = Scenario::new();
    scenario.answer(Following::Begun(&Rows::default()), &[ADA]);
    scenario.check("ada", 0, 0);
    scenario.report(&[row(&("*2", "chidi", "M2", "0s")), dead("*1", "true")]);
    scenario.check("chidi", 1, 1);
    // A session that ends before the next answer, and another at the same address.
    scenario.report(&[row(&("*1", "bola", "M3", "0s")), dead("*1", "yes"), row(&("*1", "ada", "M1", "0s"))]);
    scenario.check("chidi ada", 3, 2);
    // Changes of a known session, and the end of an unknown one, count nothing.
    scenario.report(&[row(&("*2", "", "", "")), row(&("*2", "chidi", "M2", "")), dead("*9", "true")]);
    scenario.check("chidi ada", 3, 2);
    // Another user at the same address, without a reported logout.
    scenario.report(&[row(&("*2", "bola", "M3", "0s"))]);
    scenario.check("ada bola", 4, 3);
    // The same user again, recognizable by the age only.
    scenario.later(60);
    scenario.report(&[row(&("*1", "ada", "M1", "0s"))]);
    scenario.check("bola ada", 5, 4);
}

#[test]
fn a_change_and_an_answer_in_any_order_count_once() {
    let mut scenario = Scenario::new();
    scenario.answer(Following::Begun(&Rows::default()), &[ADA]);
    // The answer has chidi and not ada; the changes arrive after it.
    scenario.later(1);
    scenario.answer(Following::On, &[CHIDI]);
    scenario.check("ada", 0, 0);
    assert!(scenario.has_discrepancy());
    scenario.report(&[dead("*1", "true"), row(&CHIDI)]);
    scenario.check("chidi", 1, 1);
    assert!(!scenario.has_discrepancy());
    // The answer still has chidi and not bola; the changes arrived before it.
    scenario.report(&[dead("*2", "true"), row(&("*1", "bola", "M3", "0s"))]);
    scenario.answer(Following::On, &[CHIDI]);
    scenario.check("bola", 2, 2);
    scenario.later(10);
    scenario.answer(Following::On, &[("*1", "bola", "M3", "10s")]);
    scenario.check("bola", 2, 2);
    assert!(!scenario.has_discrepancy());
}

#[test]
fn a_missed_change_counts_once_a_later_answer_confirms_it() {
    let mut scenario = Scenario::new();
    scenario.answer(Following::Begun(&Rows::default()), &[ADA]);
    for (after_s, users, logins) in [(1, "ada", 0), (1, "ada", 0), (1, "chidi", 1)] {
        scenario.later(after_s);
        scenario.answer(Following::On, &[CHIDI]);
        scenario.check(users, logins, logins);
    }
    assert_eq!(scenario.hotspot.as_ref().unwrap().missed_events, 2);
    assert!(!scenario.has_discrepancy());
}

#[test]
fn changes_before_a_listen_count_at_the_first_answer() {
    let mut scenario = Scenario::new();
    scenario.answer(Following::Begun(&Rows::default()), &[ADA]);
    scenario.later(600);
    // Meanwhile ada logged out and chidi in; bola logs in and out while the first answer is in transit.
    let changes = [row(&("*3", "bola", "M3", "0s")), dead("*3", "true")].into_iter().collect();
    scenario.answer(Following::Begun(&changes), &[CHIDI, ("*3", "bola", "M3", "0s")]);
    scenario.check("chidi", 2, 2);
    assert!(scenario.has_discrepancy(), "the answer may be older than the changes");
}

#[test]
fn a_login_before_the_very_first_answer_is_one_session() {
    let mut scenario = Scenario::new();
    let changes = std::iter::once(row(&("*3", "bola", "M3", "0s"))).collect();
    scenario.answer(Following::Begun(&changes), &[ADA, ("*3", "bola", "M3", "0s")]);
    scenario.check("bola ada", 1, 0);
}

#[test]
fn sessions_missing_from_a_partial_answer_are_kept() {
    for following in [Following::No, Following::On] {
        let mut scenario = Scenario::new();
        scenario.answer(Following::Begun(&Rows::default()), &[ADA, CHIDI]);
        scenario.later(30);
        scenario.answer_in_part(following, &[("*1", "ada", "M1", "1h30s")], false);
        scenario.check("ada chidi", 0, 0);
        assert!(!scenario.has_discrepancy());
    }
}

#[test]
fn too_many_sessions_are_an_error() {
    let mut scenario = Scenario::new();
    scenario.answer(Following::Begun(&Rows::default()), &[]);
    let many = |from: usize, to: usize| {
        (from..to).map(|n| row(&(&format!("*{n:X}"), "x", "M", "0s"))).collect::<Vec<_>>()
    };
    scenario.report(&many(0, MAX_ROWS));
    let error = scenario.change(Following::On, |hotspot, context| {
        hotspot.apply(&many(MAX_ROWS, MAX_ROWS + 1).into_iter().collect(), context).unwrap_err()
    });
    assert_eq!(error.cause, Cause::Protocol);
    // Texts are shortened, so it takes many sessions.
    let wide = "é".repeat(300);
    let mut scenario = Scenario::new();
    let error = scenario.change(Following::On, |hotspot, context| {
        let wide = |n: usize| {
            let mut row = row(&(&format!("*{n:X}"), &wide, "M", "0s"));
            row.push_attribute(b"comment", wide.as_bytes());
            row
        };
        hotspot.apply(&(0..MAX_ROWS / 2).map(wide).collect(), context).unwrap_err()
    });
    assert_eq!(error.cause, Cause::Protocol);
    assert!(error.message.contains(&MAX_REPLY.to_string()), "{error}");
}

#[test]
fn truncated_answers_count_no_logins_or_logouts() {
    let answer = |scenario: &mut Scenario, extent: Extent, users: &[&str]| {
        let is_first = scenario.hotspot.is_none();
        scenario.change(Following::No, |hotspot, context| {
            let seen = users.iter().map(|user| Session::read(&row(&(user, user, "M", "1h")), context));
            hotspot.reconcile(seen, extent, is_first, context).unwrap();
        });
    };
    let mut scenario = Scenario::new();
    answer(&mut scenario, Extent::Whole, &["ada", "bola"]);
    answer(&mut scenario, Extent::Whole, &["ada", "bola", "chidi"]);
    scenario.check("ada bola chidi", 1, 0);
    // There are sessions that are not kept; a change may belong to one of them.
    answer(&mut scenario, Extent::Truncated, &["ada", "dayo"]);
    scenario.check("ada dayo", 1, 0);
    scenario.report(&[row(&("emeka", "emeka", "M", "0s")), dead("dayo", "true")]);
    scenario.check("ada", 1, 1);
    answer(&mut scenario, Extent::Part, &["bola"]);
    scenario.check("ada bola", 1, 1);
    answer(&mut scenario, Extent::Whole, &["ada", "bola", "chidi", "dayo"]);
    scenario.check("ada bola chidi dayo", 1, 1);
    // From here on everything counts again.
    answer(&mut scenario, Extent::Whole, &["ada", "emeka"]);
    scenario.check("ada emeka", 2, 4);
}

#[test]
fn sessions_with_too_long_an_id_are_left_out_and_counted() {
    let codepage = Codepage::named("windows-1252").unwrap();
    let long = format!("*{}", "A".repeat(MAX_ID));
    let rows = [("*1", "ada", "M", "1s"), (&*long, "chidi", "M", "1s")].map(|of| row(&of));
    let answers = [Ok(Reply { rows: rows.into_iter().collect(), ..Reply::default() })];
    let data = Plugin::Hotspot.read(&answers, None, &ReadContext::new(Moment::now(), codepage)).unwrap();
    assert_eq!(
        data.incomplete().as_deref(),
        Some("rows left out because of an .id of more than 32 bytes: 1")
    );
    let mut scenario = Scenario { hotspot: data.hotspot().cloned(), ..Scenario::new() };
    scenario.check("ada", 0, 0);
    // A change does not add it either.
    scenario.report(&[row(&(&*long, "chidi", "M", "0s"))]);
    scenario.check("ada", 0, 0);
}

#[test]
fn texts_of_a_session_are_shortened() {
    let codepage = Codepage::named("windows-1252").unwrap();
    let long = "é".repeat(60_000);
    let mut row = row(&("*1", &long, &long, "1s"));
    for key in ["server", "address", "login-by", "comment"] {
        row.push_attribute(key.as_bytes(), long.as_bytes());
    }
    let session = Session::read(&row, &ReadContext::new(Moment::now(), codepage));
    let texts = [session.server(), session.address(), session.login_by(), session.comment(), session.mac()];
    for text in texts.into_iter().chain([Some(session.user())]) {
        let text = text.unwrap();
        assert!(text.chars().count() <= 253 && text.ends_with("é…"), "{text}");
    }
    assert!(session.cost() < 3000, "{}", session.cost());
    // A server has the same name in a session and in the menu of servers.
    let mut scenario = Scenario::new();
    scenario.report(&[row]);
    let servers = Reply {
        rows: [Sentence::from_words(["!re", &format!("=name={long}")])].into_iter().collect(),
        ..Reply::default()
    };
    let answers = [Ok(Reply::default()), Ok(Reply::default()), Ok(servers), Ok(Reply::default())];
    let context = ReadContext::new(Moment::now(), codepage);
    let hotspot = read(&answers, scenario.hotspot.as_ref(), &context).unwrap();
    assert_eq!(hotspot.servers.len(), 1, "{:?}", hotspot.servers.keys());
}

#[test]
fn servers_above_the_limit_are_counted_together() {
    let mut scenario = Scenario::new();
    scenario.answer(Following::Begun(&Rows::default()), &[]);
    let mut rows = Vec::new();
    for n in 0..2 * MAX_SERVERS {
        let mut row = row(&(&format!("*{n:X}"), "x", "M", "0s"));
        row.push_attribute(b"server", format!("hs{n}").as_bytes());
        rows.push(row);
    }
    scenario.report(&rows);
    let Some(hotspot) = &scenario.hotspot else { panic!() };
    assert_eq!(hotspot.servers["hs0"].logins, 1);
    assert_eq!((hotspot.servers[""].logins, hotspot.servers.len()), (64, MAX_SERVERS + 1));
    for family in hotspot.families() {
        let sum: f64 = family.series().map(|(_, value)| value).sum();
        let expected =
            if family.name.contains("logins") || family.name.contains("active") { 128.0 } else { 0.0 };
        assert!((sum - expected).abs() < 0.5, "{} includes all servers: {sum}", family.name);
    }
}

/// A slow first answer makes all logins appear later; so does a clock that drifts.
#[test]
fn an_uptime_longer_than_expected_is_no_new_login() {
    let mut scenario = Scenario::new();
    scenario.answer(Following::No, &[ADA]);
    scenario.later(30);
    scenario.answer(Following::No, &[("*1", "ada", "M1", "1h50s")]);
    scenario.check("ada", 0, 0);
    // 2 s per answer, until the difference is an hour.
    for n in 1..1800_u64 {
        scenario.later(30);
        let uptime = format!("{}s", 3600 + 50 + 28 * n);
        scenario.answer(Following::No, &[("*1", "ada", "M1", &uptime)]);
    }
    scenario.check("ada", 0, 0);
    scenario.later(30);
    scenario.answer(Following::No, &[("*1", "ada", "M1", "12s")]);
    scenario.check("ada", 1, 1);
}

#[test]
fn a_change_without_a_user_hides_no_session() {
    let mut scenario = Scenario::new();
    let change = [Sentence::from_words(["!re", "=.id=*1", "=idle-timeout=5m"])].into_iter().collect();
    scenario.answer(Following::Begun(&change), &[ADA]);
    scenario.check("ada", 0, 0);
    assert!(!scenario.has_discrepancy());
    for _ in 0..2 {
        scenario.later(3);
        scenario.answer(Following::On, &[ADA, CHIDI]);
        scenario.report(&[Sentence::from_words(["!re", "=.id=*2", "=idle-timeout=5m"])]);
    }
    scenario.check("ada chidi", 1, 0);
}

/// Found by fuzzing: a row with two ids was inserted by one of them and looked up by the other.
#[test]
fn the_first_of_two_ids_in_a_row_counts() {
    let mut twofold = row(&ADA);
    twofold.push_attribute(b".id", b"*7");
    let mut scenario = Scenario::new();
    scenario.answer(Following::Begun(&Rows::default()), &[ADA]);
    scenario.report(&[twofold.clone(), dead("*7", "true"), twofold]);
    scenario.check("ada", 0, 0);
    scenario.report(&[dead("*1", "true")]);
    scenario.check("", 0, 1);
}

#[test]
fn an_id_that_an_answer_repeats_is_one_session() {
    let mut scenario = Scenario::new();
    for _ in 0..3 {
        scenario.answer(Following::No, &[ADA, ("*1", "chidi", "M2", "1h")]);
        scenario.check("ada", 0, 0);
    }
}

//! Answers and changes in every order that they may come in.

mod traffic;

use std::collections::BTreeMap;

use super::*;
use crate::clock::Moment;
use crate::plugin::Plugin;
use crate::plugin::hotspot::read;
use crate::routeros::client::Reply;
use crate::routeros::codepage::Codepage;

/// A hotspot, and what is told of it.
struct Told {
    hotspot: Option<Hotspot>,
    now: Moment,
}

/// A row, or with no user a change of one: `id user mac uptime`.
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

impl Told {
    fn new() -> Self {
        Self { hotspot: None, now: Moment::now() }
    }

    fn later(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    fn change<T>(&mut self, following: Following, act: impl FnOnce(&mut Hotspot, &Context) -> T) -> T {
        let codepage = Codepage::named("windows-1252").unwrap();
        let mut hotspot = self.hotspot.clone().unwrap_or_default();
        let context = Context { following, ..Context::new(self.now, codepage) };
        let done = act(&mut hotspot, &context);
        self.hotspot = Some(hotspot);
        done
    }

    fn answer(&mut self, following: Following, rows: &[(&str, &str, &str, &str)]) {
        self.answer_in_part(following, rows, true);
    }

    fn answer_in_part(&mut self, following: Following, rows: &[(&str, &str, &str, &str)], whole: bool) {
        let is_first = self.hotspot.is_none();
        self.change(following, |hotspot, context| {
            let seen = rows.iter().map(|of| Session::read(&row(of), context));
            let extent = if whole { Extent::Whole } else { Extent::Part };
            hotspot.reconcile(seen, extent, is_first, context).unwrap();
        });
    }

    fn told(&mut self, changes: &[Sentence]) {
        self.change(Following::On, |hotspot, context| hotspot.apply(changes, context).unwrap());
    }

    /// Who is there, and how many logins and logouts were counted.
    #[track_caller]
    fn is(&self, users: &str, logins: u64, logouts: u64) {
        let Some(hotspot) = &self.hotspot else { panic!("nothing is known") };
        let there: Vec<&str> = hotspot.sessions.iter().map(|session| &*session.user).collect();
        assert_eq!(there.join(" "), users);
        assert_eq!(hotspot.counts(), Counts { logins, logouts, ..Counts::default() });
    }

    fn in_doubt(&self) -> bool {
        self.hotspot.as_ref().unwrap().has_discrepancy()
    }
}

const ADA: (&str, &str, &str, &str) = ("*1", "ada", "M1", "1h");
const CHIDI: (&str, &str, &str, &str) = ("*2", "chidi", "M2", "2h");

#[test]
fn polling_counts_what_differs_from_answer_to_answer() {
    let mut told = Told::new();
    told.answer(Following::No, &[ADA, CHIDI]);
    told.is("ada chidi", 0, 0);
    told.later(30);
    told.answer(Following::No, &[("*1", "ada", "M1", "1h30s"), ("*3", "bola", "M3", "5s")]);
    told.is("ada bola", 1, 1);
    told.later(30);
    told.answer(Following::No, &[("*1", "bola", "M3", "9s"), ("*3", "bola", "M3", "3s")]);
    told.is("bola bola", 3, 3);
    assert!(!told.in_doubt());
}

#[test]
fn changes_count_as_they_come() {
    let mut told = Told::new();
    told.answer(Following::Begun(&[]), &[ADA]);
    told.is("ada", 0, 0);
    told.told(&[row(&("*2", "chidi", "M2", "0s")), dead("*1", "true")]);
    told.is("chidi", 1, 1);
    // One that is gone before anybody looked again, and one more at the same address.
    told.told(&[row(&("*1", "bola", "M3", "0s")), dead("*1", "yes"), row(&("*1", "ada", "M1", "0s"))]);
    told.is("chidi ada", 3, 2);
    // What is told of what is there already, or of what is not, counts nothing.
    told.told(&[row(&("*2", "", "", "")), row(&("*2", "chidi", "M2", "")), dead("*9", "true")]);
    told.is("chidi ada", 3, 2);
    // Somebody else at the same address, without a word of who left.
    told.told(&[row(&("*2", "bola", "M3", "0s"))]);
    told.is("ada bola", 4, 3);
    // The same person again, which the age alone shows.
    told.later(60);
    told.told(&[row(&("*1", "ada", "M1", "0s"))]);
    told.is("bola ada", 5, 4);
}

#[test]
fn an_answer_that_a_change_has_overtaken_or_follows_counts_nothing_twice() {
    let mut told = Told::new();
    told.answer(Following::Begun(&[]), &[ADA]);
    // Already gone, and chidi already there, in an answer that their changes come after.
    told.later(1);
    told.answer(Following::On, &[CHIDI]);
    told.is("ada", 0, 0);
    assert!(told.in_doubt());
    told.told(&[dead("*1", "true"), row(&CHIDI)]);
    told.is("chidi", 1, 1);
    assert!(!told.in_doubt());
    // Still there, and bola not yet, in an answer that their changes came before.
    told.told(&[dead("*2", "true"), row(&("*1", "bola", "M3", "0s"))]);
    told.answer(Following::On, &[CHIDI]);
    told.is("bola", 2, 2);
    told.later(10);
    told.answer(Following::On, &[("*1", "bola", "M3", "10s")]);
    told.is("bola", 2, 2);
    assert!(!told.in_doubt());
}

#[test]
fn a_change_that_was_not_told_counts_at_the_second_look() {
    let mut told = Told::new();
    told.answer(Following::Begun(&[]), &[ADA]);
    for (after_s, users, logins) in [(1, "ada", 0), (1, "ada", 0), (1, "chidi", 1)] {
        told.later(after_s);
        told.answer(Following::On, &[CHIDI]);
        told.is(users, logins, logins);
    }
    assert_eq!(told.hotspot.as_ref().unwrap().missed_events, 2);
    assert!(!told.in_doubt());
}

#[test]
fn what_happened_while_nobody_listened_counts_at_the_first_answer() {
    let mut told = Told::new();
    told.answer(Following::Begun(&[]), &[ADA]);
    told.later(600);
    // Ada left meanwhile, chidi came; bola comes and goes while the first answer is on its way.
    let changes = [row(&("*3", "bola", "M3", "0s")), dead("*3", "true")];
    told.answer(Following::Begun(&changes), &[CHIDI, ("*3", "bola", "M3", "0s")]);
    told.is("chidi", 2, 2);
    assert!(told.in_doubt(), "the answer may be older than the changes");
}

#[test]
fn who_comes_before_the_first_answer_of_all_is_there_once() {
    let mut told = Told::new();
    let changes = [row(&("*3", "bola", "M3", "0s"))];
    told.answer(Following::Begun(&changes), &[ADA, ("*3", "bola", "M3", "0s")]);
    told.is("bola ada", 1, 0);
}

#[test]
fn what_a_part_of_an_answer_lacks_is_not_gone() {
    for following in [Following::No, Following::On] {
        let mut told = Told::new();
        told.answer(Following::Begun(&[]), &[ADA, CHIDI]);
        told.later(30);
        told.answer_in_part(following, &[("*1", "ada", "M1", "1h30s")], false);
        told.is("ada chidi", 0, 0);
        assert!(!told.in_doubt());
    }
}

#[test]
fn more_than_is_taken_is_an_error() {
    let mut told = Told::new();
    told.answer(Following::Begun(&[]), &[]);
    let many = |from: usize, to: usize| {
        (from..to).map(|n| row(&(&format!("*{n:X}"), "x", "M", "0s"))).collect::<Vec<_>>()
    };
    told.told(&many(0, MAX_ROWS));
    let error = told.change(Following::On, |hotspot, context| {
        hotspot.apply(&many(MAX_ROWS, MAX_ROWS + 1), context).unwrap_err()
    });
    assert_eq!(error.cause, Cause::Protocol);
    // Texts are shortened, so that it takes many sessions.
    let wide = "é".repeat(300);
    let mut told = Told::new();
    let error = told.change(Following::On, |hotspot, context| {
        let wide = |n: usize| {
            let mut row = row(&(&format!("*{n:X}"), &wide, "M", "0s"));
            row.push_attribute(b"comment", wide.as_bytes());
            row
        };
        hotspot.apply(&(0..MAX_ROWS / 2).map(wide).collect::<Vec<_>>(), context).unwrap_err()
    });
    assert_eq!(error.cause, Cause::Protocol);
    assert!(error.message.contains(&MAX_REPLY.to_string()), "{error}");
}

#[test]
fn nobody_comes_or_goes_while_not_all_are_kept() {
    let answer = |told: &mut Told, extent: Extent, users: &[&str]| {
        let is_first = told.hotspot.is_none();
        told.change(Following::No, |hotspot, context| {
            let seen = users.iter().map(|user| Session::read(&row(&(user, user, "M", "1h")), context));
            hotspot.reconcile(seen, extent, is_first, context).unwrap();
        });
    };
    let mut told = Told::new();
    answer(&mut told, Extent::Whole, &["ada", "bola"]);
    answer(&mut told, Extent::Whole, &["ada", "bola", "chidi"]);
    told.is("ada bola chidi", 1, 0);
    // Others are there, whom nobody asked for; a change may be of one of them.
    answer(&mut told, Extent::Cut, &["ada", "dayo"]);
    told.is("ada dayo", 1, 0);
    told.told(&[row(&("emeka", "emeka", "M", "0s")), dead("dayo", "true")]);
    told.is("ada", 1, 1);
    answer(&mut told, Extent::Part, &["bola"]);
    told.is("ada bola", 1, 1);
    answer(&mut told, Extent::Whole, &["ada", "bola", "chidi", "dayo"]);
    told.is("ada bola chidi dayo", 1, 1);
    // From here on it is as before.
    answer(&mut told, Extent::Whole, &["ada", "emeka"]);
    told.is("ada emeka", 2, 4);
}

#[test]
fn a_session_of_too_long_an_id_is_left_out_and_counted() {
    let codepage = Codepage::named("windows-1252").unwrap();
    let long = format!("*{}", "A".repeat(MAX_ID));
    let rows = [("*1", "ada", "M", "1s"), (&*long, "chidi", "M", "1s")].map(|of| row(&of));
    let answers = [Ok(Reply { rows: rows.into(), ..Reply::default() })];
    let data = Plugin::Hotspot.read(&answers, None, &Context::new(Moment::now(), codepage)).unwrap();
    assert_eq!(
        data.incomplete().as_deref(),
        Some("rows left out because of an .id of more than 32 bytes: 1")
    );
    let mut told = Told { hotspot: data.hotspot().cloned(), ..Told::new() };
    told.is("ada", 0, 0);
    // Nor does a change bring it in, or one that is a part of it.
    told.told(&[row(&(&*long, "chidi", "M", "0s"))]);
    told.is("ada", 0, 0);
}

#[test]
fn texts_of_a_session_are_shortened() {
    let codepage = Codepage::named("windows-1252").unwrap();
    let long = "é".repeat(60_000);
    let mut row = row(&("*1", &long, &long, "1s"));
    for key in ["server", "address", "login-by", "comment"] {
        row.push_attribute(key.as_bytes(), long.as_bytes());
    }
    let session = Session::read(&row, &Context::new(Moment::now(), codepage));
    let texts = [&session.server, &session.address, &session.login_by, &session.comment];
    let texts = texts.map(|text| text.as_deref().unwrap());
    for text in texts.into_iter().chain([&*session.user, session.mac.as_deref().unwrap()]) {
        assert!(text.chars().count() <= 253 && text.ends_with("é…"), "{text}");
    }
    assert!(session.cost() < 3000, "{}", session.cost());
    // A server has one name, whether a session or the menu of servers tells it.
    let mut told = Told::new();
    told.told(&[row]);
    let servers =
        Reply { rows: vec![Sentence::from_words(["!re", &format!("=name={long}")])], ..Reply::default() };
    let answers = [Ok(Reply::default()), Ok(Reply::default()), Ok(servers)];
    let context = Context::new(Moment::now(), codepage);
    let hotspot = read(&answers, told.hotspot.as_ref(), &context).unwrap();
    assert_eq!(hotspot.servers.len(), 1, "{:?}", hotspot.servers.keys());
}

#[test]
fn servers_are_counted_apart_up_to_a_bound() {
    let mut told = Told::new();
    told.answer(Following::Begun(&[]), &[]);
    let mut rows = Vec::new();
    for n in 0..2 * MAX_SERVERS {
        let mut row = row(&(&format!("*{n:X}"), "x", "M", "0s"));
        row.push_attribute(b"server", format!("hs{n}").as_bytes());
        rows.push(row);
    }
    told.told(&rows);
    let Some(hotspot) = &told.hotspot else { panic!() };
    assert_eq!(hotspot.servers["hs0"].logins, 1);
    assert_eq!((hotspot.servers[""].logins, hotspot.servers.len()), (64, MAX_SERVERS + 1));
    for family in hotspot.families() {
        let sum: f64 = family.series().map(|(_, value)| value).sum();
        let expected =
            if family.name.contains("logins") || family.name.contains("active") { 128.0 } else { 0.0 };
        assert!((sum - expected).abs() < 0.5, "all servers are in {}: {sum}", family.name);
    }
}

/// A first answer that was slow makes everybody seem to have come later; so does a clock that drifts.
#[test]
fn who_seems_to_be_online_for_longer_than_thought_did_not_come_anew() {
    let mut told = Told::new();
    told.answer(Following::No, &[ADA]);
    told.later(30);
    told.answer(Following::No, &[("*1", "ada", "M1", "1h50s")]);
    told.is("ada", 0, 0);
    // 2 s an answer, for as long as it takes to be an hour off.
    for n in 1..1800_u64 {
        told.later(30);
        let uptime = format!("{}s", 3600 + 50 + 28 * n);
        told.answer(Following::No, &[("*1", "ada", "M1", &uptime)]);
    }
    told.is("ada", 0, 0);
    told.later(30);
    told.answer(Following::No, &[("*1", "ada", "M1", "12s")]);
    told.is("ada", 1, 1);
}

#[test]
fn a_change_that_says_too_little_hides_nobody() {
    let mut told = Told::new();
    let change = [Sentence::from_words(["!re", "=.id=*1", "=idle-timeout=5m"])];
    told.answer(Following::Begun(&change), &[ADA]);
    told.is("ada", 0, 0);
    assert!(!told.in_doubt());
    for _ in 0..2 {
        told.later(3);
        told.answer(Following::On, &[ADA, CHIDI]);
        told.told(&[Sentence::from_words(["!re", "=.id=*2", "=idle-timeout=5m"])]);
    }
    told.is("ada chidi", 1, 0);
}

/// Found by fuzzing: a row that has two ids was put under one of them and looked for under the other.
#[test]
fn a_row_of_two_ids_is_of_the_first() {
    let mut twofold = row(&ADA);
    twofold.push_attribute(b".id", b"*7");
    let mut told = Told::new();
    told.answer(Following::Begun(&[]), &[ADA]);
    told.told(&[twofold.clone(), dead("*7", "true"), twofold]);
    told.is("ada", 0, 0);
    told.told(&[dead("*1", "true")]);
    told.is("", 0, 1);
}

#[test]
fn an_id_that_an_answer_repeats_is_one_session() {
    let mut told = Told::new();
    for _ in 0..3 {
        told.answer(Following::No, &[ADA, ("*1", "chidi", "M2", "1h")]);
        told.is("ada", 0, 0);
    }
}

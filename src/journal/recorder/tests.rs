//! Tests of the recorder, with made-up states of one site.

use super::*;
use crate::clock::Clock;
use crate::journal::{JournalQuery, Retention};
use crate::plugin::{Data, Declaration, Listing, Plugin, ReadContext, Table};
use crate::routeros::codepage::Codepage;
use crate::routeros::error::{Cause, Error};
use crate::routeros::wire::Sentence;
use crate::state::{Reading, Reload, Snapshot};

const MINUTE: Duration = Duration::from_secs(60);

/// The moment in this minute.
fn at(minute: u32) -> Moment {
    Moment::START.after(minute * MINUTE)
}

/// The session of a user who logged in at this minute. Its id and address belong to the user.
fn session(user: &str, login: u32, uptime: u32) -> Session {
    session_with(user, login, uptime, "none")
}

/// The same with this time left; `none` if it has no limit.
fn session_with(user: &str, login: u32, uptime: u32, left: &str) -> Session {
    let address = user.len();
    let row = format!(
        "!re =.id=*{user} =user={user} =address=10.0.0.{address} =uptime={uptime}m =session-time-left={left} \
         =bytes-in={uptime} =bytes-out={uptime}0"
    );
    let context = ReadContext::new(at(0), Codepage::named("windows-1252").unwrap());
    let mut session = Session::read(&Sentence::from_words(row.split(' ')), &context);
    session.login = Some(at(login));
    session
}

/// A journal, its recorder, and the site that both are about.
struct Recorded {
    journal: Arc<Journal>,
    recorder: Recorder,
    site: Arc<SiteState>,
}

impl Recorded {
    /// A site that was read in minute 1, when these sessions were active.
    fn new(sessions: &[Session]) -> Self {
        let journal = Arc::new(Journal::default());
        journal.configure(Some(Retention { rows: 100, keep: 1000 * MINUTE }), at(0), Clock::system());
        let log = Declaration { name: "log".into(), menu: "/log".into(), ..Declaration::default() };
        let plugins = [Plugin::Hotspot, Plugin::Declared(log.into())];
        let mut site = SiteState::new("awka", "Awka", MINUTE, ["10.0.1.1:8728".to_string()], plugins);
        site.note_uptime(1000 * MINUTE, at(1), true);
        site.connected(0, at(1));
        read(&mut site, sessions, Some(1));
        log_lines(&mut site, &["old (10.0.0.3): logged out: user request"], 1);
        let mut recorder = Recorder::new(journal.clone());
        let site = Arc::new(site);
        recorder.handle(&StoreEvent::SiteAdded(site.clone()));
        Self { journal, recorder, site }
    }

    /// Changes the site in this minute.
    fn change(&mut self, minute: u32, change: impl FnOnce(&mut SiteState)) {
        let old = self.site.clone();
        change(Arc::make_mut(&mut self.site));
        let change = SiteChange::between(old, self.site.clone(), at(minute));
        self.recorder.handle(&StoreEvent::SiteChanged(change.into()));
    }

    /// Each entry with its end in minutes, newest first.
    fn entries(&self) -> Vec<String> {
        let query = JournalQuery { limit: 100, ..JournalQuery::default() };
        let clock = Clock::system();
        let found = self.journal.search(&query, at(900), clock).unwrap();
        let start = clock.unix(Moment::START);
        let in_short = |bytes: &[u8]| {
            let entry = JournalEntry::decode(bytes).unwrap();
            let minute = entry.end.unix(clock).saturating_sub(start).as_secs() / 60;
            let reason = entry.reason.map_or("-", Reason::name);
            format!("{} {minute} {} {reason}", entry.user, entry.upload_bytes + entry.download_bytes)
        };
        found.entries.iter().map(|bytes| in_short(bytes)).collect()
    }
}

/// These sessions are active from now on: according to an answer in a minute, or to events.
fn read(site: &mut SiteState, sessions: &[Session], answer: Option<u32>) {
    let reading = site.hotspot_reading().unwrap().clone();
    let mut hotspot = site.hotspot().cloned().unwrap_or_default();
    let counts = hotspot.servers.entry(String::new()).or_default();
    counts.logouts += 1;
    hotspot.sessions = sessions.to_vec();
    let at = answer.map(at).or(reading.at);
    site.put(Reading { data: Some(Data::Hotspot(hotspot.into()).into()), at, error: None, ..reading });
}

/// The router's log has these lines in this minute.
fn log_lines(site: &mut SiteState, lines: &[&str], minute: u32) {
    let reading = site.reading("log").unwrap().clone();
    let rows = lines.iter().map(|line| vec![Some((*line).to_string())]).collect();
    let table = Table { columns: vec!["message".into()], rows };
    let mut listing = Listing::default();
    listing.table = table;
    let data = Data::Listing(listing.into());
    site.put(Reading { data: Some(data.into()), at: Some(at(minute)), ..reading });
}

#[test]
fn a_logout_is_recorded_with_its_last_counters_when_it_is_noticed() {
    let (ada, chidi) = (session("ada", 0, 1), session("chidi", 0, 1));
    let mut recorded = Recorded::new(&[ada, chidi.clone()]);
    recorded.change(5, |site| read(site, &[session("ada", 0, 5), chidi], Some(5)));
    assert_eq!(recorded.entries(), [""; 0], "both are still active");
    recorded.change(7, |site| read(site, &[session("chidi", 0, 5)], None));
    recorded.change(9, |site| read(site, &[], Some(9)));
    assert_eq!(recorded.entries(), ["chidi 9 55 -", "ada 7 55 -"]);
}

#[test]
fn the_next_session_at_an_address_is_another_one() {
    let mut recorded = Recorded::new(&[session("ada", 0, 1)]);
    recorded.change(5, |site| read(site, &[session("ada", 4, 1)], Some(5)));
    recorded.change(6, |site| read(site, &[], Some(6)));
    assert_eq!(recorded.entries(), ["ada 6 11 -", "ada 5 11 -"]);
}

#[test]
fn a_kicked_session_has_that_reason() {
    let mut recorded = Recorded::new(&[session("ada", 0, 1), session("chidi", 0, 1)]);
    recorded.change(2, |site| site.begin_kick(&session("ada", 0, 1), at(2)));
    recorded.change(2, |site| read(site, &[session("chidi", 0, 1)], None));
    recorded.change(2, |site| log_lines(site, &["ada (10.0.0.3): logged out: admin reset"], 2));
    assert_eq!(recorded.entries(), ["ada 2 11 kicked"]);
}

#[test]
fn sessions_that_a_reboot_ended_have_that_reason_and_were_last_seen_before() {
    let mut recorded = Recorded::new(&[session("ada", 0, 1), session("chidi", 0, 1)]);
    recorded.change(5, |site| site.mark_offline(&Error::new(Cause::Closed, ""), at(5)));
    recorded.change(9, |site| {
        site.note_uptime(2 * MINUTE, at(9), true);
        site.connected(0, at(9));
        read(site, &[session("chidi", 8, 1)], Some(9));
    });
    recorded.change(12, |site| read(site, &[], Some(12)));
    assert_eq!(recorded.entries(), ["chidi 12 11 -", "chidi 1 11 reboot", "ada 1 11 reboot"]);
}

#[test]
fn a_reboot_is_the_reason_even_if_the_hotspot_answers_later() {
    let mut recorded = Recorded::new(&[session("ada", 0, 1)]);
    recorded.change(5, |site| site.mark_offline(&Error::new(Cause::Closed, ""), at(5)));
    recorded.change(9, |site| {
        site.note_uptime(2 * MINUTE, at(9), true);
        site.connected(0, at(9));
        let reading = site.hotspot_reading().unwrap().clone();
        site.put(Reading { error: Some(Error::new(Cause::QueryTimeout, "")), ..reading });
    });
    recorded.change(10, |site| read(site, &[], Some(10)));
    assert_eq!(recorded.entries(), ["ada 1 11 reboot"]);
}

#[test]
fn a_session_that_ended_during_an_outage_was_last_seen_before_it() {
    let limited = session_with("ada", 0, 1, "2m");
    let mut recorded = Recorded::new(&[limited, session("chidi", 0, 1)]);
    recorded.change(5, |site| site.mark_offline(&Error::new(Cause::Closed, ""), at(5)));
    recorded.change(9, |site| {
        site.note_uptime(1008 * MINUTE, at(9), true);
        site.connected(0, at(9));
        read(site, &[session("chidi", 0, 9)], Some(9));
    });
    assert_eq!(recorded.entries(), ["ada 1 11 -"]);
}

#[test]
fn a_session_whose_time_was_used_up_has_that_reason() {
    for (left, expected) in [(2, "time_limit"), (3, "time_limit"), (4, "-")] {
        let mut recorded = Recorded::new(&[session_with("ada", 0, 1, &format!("{left}m"))]);
        recorded.change(4, |site| read(site, &[], None));
        assert_eq!(recorded.entries(), [format!("ada 4 11 {expected}")], "{left} minutes left");
    }
}

#[test]
fn reasons_of_the_routers_log_are_adopted() {
    let old = "old (10.0.0.3): logged out: user request";
    let idle = "->: ada (10.0.0.3): logged out: idle timeout";
    let other = "xada (10.0.0.3): logged out: user request";
    let logout = |site: &mut SiteState| read(site, &[], None);
    for (name, lines, expected) in [
        ("its line", &[old, idle][..], "idle"),
        ("the oldest line was dropped", &[idle], "idle"),
        ("another user", &[old, other], "-"),
        ("a line that was there before", &[old], "-"),
        ("the newest of two", &[old, "ada (10.0.0.3): logged out: user request", idle], "idle"),
    ] {
        let mut later = Recorded::new(&[session("ada", 0, 1)]);
        later.change(3, logout);
        later.change(4, |site| log_lines(site, lines, 4));
        assert_eq!(later.entries(), [format!("ada 3 11 {expected}")], "{name}, after the logout");
        let mut earlier = Recorded::new(&[session("ada", 0, 1)]);
        earlier.change(3, |site| log_lines(site, lines, 3));
        earlier.change(4, logout);
        assert_eq!(earlier.entries(), [format!("ada 4 11 {expected}")], "{name}, before the logout");
    }
}

#[test]
fn a_line_without_a_session_does_not_explain_a_much_later_one() {
    let mut recorded = Recorded::new(&[session("ada", 0, 1)]);
    recorded.change(3, |site| log_lines(site, &["ada (10.0.0.3): logged out: idle timeout"], 3));
    recorded.change(30, |site| read(site, &[], None));
    assert_eq!(recorded.entries(), ["ada 30 11 -"]);
}

#[test]
fn sessions_that_vanished_while_events_were_lost_are_recorded() {
    let mut recorded = Recorded::new(&[session("ada", 0, 1), session("chidi", 0, 1)]);
    let mut site = SiteState::clone(&recorded.site);
    site.kicks += 1;
    read(&mut site, &[session("chidi", 0, 1)], Some(5));
    let snapshot = Snapshot::new(Reload::first(None, Vec::new()), vec![site.into()]);
    let resync = StoreEvent::Resync(snapshot.into());
    recorded.recorder.handle(&resync);
    recorded.recorder.handle(&resync);
    let entries = recorded.entries();
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert!(entries[0].starts_with("ada ") && entries[0].ends_with(" 11 -"), "{entries:?}");
}

#[test]
fn a_disabled_journal_keeps_nothing() {
    let mut recorded = Recorded::new(&[session("ada", 0, 1), session("chidi", 0, 1)]);
    recorded.change(3, |site| read(site, &[session("ada", 0, 1)], None));
    let query = JournalQuery { limit: 100, ..JournalQuery::default() };
    let clock = Clock::system();
    recorded.journal.configure(None, at(3), clock);
    recorded.change(4, |site| log_lines(site, &["ada (10.0.0.3): logged out: idle timeout"], 4));
    recorded.change(5, |site| read(site, &[], None));
    assert!(recorded.journal.search(&query, at(5), clock).is_none());
    recorded.journal.configure(Some(Retention { rows: 100, keep: 1000 * MINUTE }), at(6), clock);
    assert_eq!(recorded.entries(), [""; 0]);
    assert_eq!(recorded.journal.stats().unwrap().dropped, 0);
}

//! The history, today's totals and the journal after a restart.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use phsweb_agent::clock::{Clock, Moment};
use phsweb_agent::history::{Figure, History, Mark, MarkKind, Resolution, Series, Slot, StoredHistory};
use phsweb_agent::simulator::Settings;
use phsweb_agent::state::{Reload, Store};
use phsweb_agent::storage::Storage;
use phsweb_agent::timings::Timings;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, until};
use super::journal;
use super::{router, storage};

const TOKEN: &str = "admin-token-01234";

/// Ends an agent by a signal.
fn end(mut agent: Agent, signal: &str) {
    agent.running.signal(signal);
    agent.running.wait_for_exit(Duration::from_secs(2));
}

/// An agent that stores data in this directory, often or only when it ends.
fn given(directory: &Path, write: &str) -> AgentBuilder {
    storage::given(directory).timing("state_write", write).defaults("refresh: \"1s\",")
}

/// Writes a history with users during an hour that begins so many seconds from now.
fn write_history(directory: &Path, from_now_s: i64) {
    let history = Arc::new(History::new(Clock::system()));
    history.configure(["awka"], 1 << 20, Moment::now());
    let unix_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let start_s = u32::try_from(unix_s.cast_signed() / 60 * 60 + from_now_s).unwrap();
    for minute in 0..60 {
        let [users, one] = [5.0, 1.0].map(|value| Figure { min: value, avg: value, max: value });
        let slot = Slot::of([(Series::Users, users), (Series::Reachable, one)], Duration::from_secs(60));
        history.restore("awka", Resolution::Minute, start_s + minute * 60, slot);
    }
    history.complete_restored();
    let reboot = Mark::restored(MarkKind::Reboot, start_s, None);
    history.restore_marks("awka", &[reboot]);
    save(directory, &history);
}

/// Restores the history from a directory, and stores it there.
fn save(directory: &Path, history: &Arc<History>) {
    let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
    let parts = vec![Arc::new(StoredHistory::new(history.clone())) as _];
    smol::block_on(async {
        let storage = Storage::open(directory.into(), parts, store, &Timings::default()).await;
        storage.finish().await;
    });
    // A process that another test has just forked holds the lock until it runs its program.
    let lock = File::open(directory.join("lock")).unwrap();
    until("the directory is free", || flock(&lock, FlockOperation::NonBlockingLockExclusive).ok());
}

/// The users of each minute of three hours, and the names of the marks.
fn history(agent: &Agent) -> (Vec<Option<f64>>, Vec<String>) {
    let history = agent.json("/api/sites/awka/history?series=users&range=3h");
    let users = history["series"]["users"]["max"].as_array().unwrap().iter().map(Value::as_f64);
    let marks = history["marks"].as_array().unwrap().iter();
    (users.collect(), marks.map(|mark| mark["what"].as_str().unwrap().into()).collect())
}

/// Waits until the present is in the history. Returns the number of minutes with the users of the past, and the marks.
#[track_caller]
fn wait_for_present(agent: &Agent) -> (usize, Vec<String>) {
    until("the present is in the history", || {
        let (users, marks) = history(agent);
        let is_known = users[178..].contains(&Some(23.0));
        let known = users.iter().rposition(|users| *users == Some(5.0)).unwrap();
        let gap = &users[known + 1..known + 50];
        assert!(gap.iter().all(Option::is_none), "time without the agent is unknown: {users:?}");
        is_known.then(|| (users.iter().filter(|users| **users == Some(5.0)).count(), marks))
    })
}

#[test]
fn the_history_of_earlier_runs_stays_with_a_gap_of_unknown_time() {
    let folder = tempfile::tempdir().unwrap();
    write_history(folder.path(), -7200);
    let router = router(Settings::default());
    let given = || given(folder.path(), "1h").site("awka", router.addr(), "");
    // One start is that of this program.
    let marks = |starts: usize| {
        let starts = std::iter::repeat_n("agent_start", 1 + starts);
        std::iter::once("reboot").chain(starts).map(String::from).collect::<Vec<_>>()
    };
    let agent = given().start();
    assert_eq!(wait_for_present(&agent), (60, marks(1)));
    let availability = &agent.json("/api/sites/awka/availability")["24h"];
    assert_eq!(availability["share"], 1.0);
    let coverage = availability["coverage"].as_f64().unwrap() * 24.0;
    assert!((0.95..1.06).contains(&coverage), "{coverage} hours are known");
    end(agent, "TERM");
    let agent = given().start();
    assert!(history(&agent).0[177..].contains(&Some(23.0)), "the last minute is there before the next read");
    assert_eq!(wait_for_present(&agent), (60, marks(2)));
    end(agent, "TERM");
    let path = folder.path().join("history");
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
    let agent = given().start();
    assert!(agent.page("/").contains("Some stored data is not shown."));
    agent.running.assert_logged("bytes are damaged; everything else was restored", 1);
    assert_eq!(history(&agent).1, marks(3), "one record is lost, which has slots");
}

#[test]
fn figures_of_the_future_are_hidden_reported_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    write_history(folder.path(), 86_400);
    let router = router(Settings::default());
    let agent = given(folder.path(), "50ms").site("awka", router.addr(), "").start();
    let is_known = |users: &[Option<f64>]| users[177..].contains(&Some(23.0));
    let known = || Some(history(&agent)).filter(|(users, _)| is_known(users));
    let (users, marks) = until("the present is in the history", known);
    assert!(!users.contains(&Some(5.0)) && !marks.contains(&"reboot".into()), "{users:?} {marks:?}");
    agent.running.assert_logged("lie in the future, so they are hidden until then", 1);
    assert!(agent.page("/").contains("lie in the future"));
    end(agent, "TERM");
    let history = Arc::new(History::new(Clock::system()));
    history.configure(["awka"], 1 << 20, Moment::now());
    save(folder.path(), &history);
    let minutes = history.stored("awka", Resolution::Minute, 0);
    let with = |users: f64| {
        let figures = minutes.iter().filter_map(|minute| minute.slot.figure(Series::Users));
        figures.filter(|figure| (figure.max - users).abs() < 0.5).count()
    };
    assert!(with(5.0) == 60 && with(23.0) > 0, "{minutes:?}");
}

#[test]
fn todays_totals_do_not_decrease() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(Settings::default());
    let given = |write: &str| given(folder.path(), write).site("awka", router.addr(), "");
    let today = |agent: &Agent| {
        let today = agent.stats("awka")["today"].clone();
        ["uploadBytes", "downloadBytes", "logins", "peakUsers"].map(|name| today[name].as_u64().unwrap_or(0))
    };
    let agent = given("1h").start();
    agent.wait_until_active("awka");
    router.log_in("ngozi", Ipv4Addr::new(10, 5, 70, 1), "").unwrap();
    let first = until("there is traffic", || {
        let today = today(&agent);
        (today[..3].iter().all(|count| *count > 0) && today[3] == 24).then_some(today)
    });
    end(agent, "TERM");
    let agent = given("50ms").start();
    agent.wait_until_active("awka");
    let second = today(&agent);
    assert!(second.iter().zip(first).all(|(now, before)| *now >= before), "{second:?} after {first:?}");
    let file = || fs::metadata(folder.path().join("today")).unwrap().len();
    let before = file();
    until("the totals are written", || (file() > before).then_some(()));
    end(agent, "KILL");
    let agent = given("1h").start();
    agent.wait_until_active("awka");
    let third = today(&agent);
    assert!(third.iter().zip(second).all(|(now, before)| *now >= before), "{third:?} after {second:?}");
}

#[test]
fn the_journal_survives_restarts_and_is_erased_when_it_is_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let router = journal::router_with_people();
    let given = |write: &str, more: &str| {
        let given = journal::given(&router).file(&format!("state: \"{}\", {more}", folder.path().display()));
        given.timing("state_write", write)
    };
    let entries = |agent: &Agent| {
        let entries = agent.json("/api/journal")["entries"].clone();
        let entries = entries.as_array().unwrap().clone();
        entries.into_iter().map(|entry| (entry["user"].clone(), entry["reason"].clone())).collect::<Vec<_>>()
    };
    let log_out = |agent: &Agent, id: &str, expected: &[(Value, Value)]| {
        agent.stats_when("awka", "all are online", |stats| stats["activeUsers"] == 5 - expected.len());
        router.log_out(id);
        until("the journal has it", || (entries(agent) == expected).then_some(()));
    };
    let [ada, bola] = ["ada", "bola"].map(|user| (json!(user), json!("user")));
    let agent = given("1h", "").start().with_token(TOKEN);
    log_out(&agent, "*A054601", std::slice::from_ref(&ada));
    end(agent, "TERM");
    let agent = given("50ms", "").start().with_token(TOKEN);
    let path = folder.path().join("journal");
    let before = fs::metadata(&path).unwrap().len();
    let both = [bola, ada];
    log_out(&agent, "*A054602", &both);
    until("it is written with its reason", || {
        let bytes = fs::read(&path).unwrap();
        (bytes.len() as u64 > before && entries(&agent) == both).then_some(())
    });
    // The reason may be in a record of its own.
    end(agent, "TERM");
    let agent = given("1h", "").start().with_token(TOKEN);
    assert_eq!(entries(&agent), both);
    end(agent, "KILL");
    let agent = given("1h", "journal: Off,").start().with_token(TOKEN);
    let names = || fs::read(&path).unwrap().windows(4).any(|bytes| bytes == b"bola");
    until("the names are erased", || (!names()).then_some(()));
    drop(agent);
}

//! The journal and the history of an agent that is killed at random moments while it writes.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Router, Row, Settings};
use serde_json::Value;

use super::agent::{Agent, AgentBuilder, until};
use super::router;
use super::storage;
use super::stored_logins::ADMIN;

const ACTIVE: &str = "/ip/hotspot/active";

/// Starts that are compared: the history keeps the newest 128 marks of a site.
const STARTS: usize = 100;

/// Sessions of one run, each of a user of its own.
const SESSIONS: usize = 3;

fn user(n: usize) -> String {
    format!("user-{n:05}")
}

/// Makes these users the only ones online.
fn set_online(router: &Router, users: Range<usize>) {
    let session = |n: usize| {
        let row = Row::new().id(&format!("*{n:X}")).with("server", "hotspot1").with("user", user(n));
        row.with("address", format!("10.5.70.{}", n % 250)).with("uptime", "1h").with("bytes-in", "1")
    };
    router.set_rows(ACTIVE, users.map(session).collect());
}

/// The users whose names are in a file.
fn users_in(path: &Path) -> BTreeSet<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let names = bytes.windows(10).filter(|name| name.starts_with(b"user-"));
    names.filter_map(|name| String::from_utf8(name.into()).ok()).collect()
}

fn users_of(agent: &Agent) -> BTreeSet<String> {
    let journal = agent.json("/api/journal?limit=50000");
    let entries = journal["entries"].as_array().unwrap().iter();
    let users: Vec<String> = entries.map(|entry| entry["user"].as_str().unwrap().into()).collect();
    let distinct: BTreeSet<String> = users.iter().cloned().collect();
    assert_eq!(distinct.len(), users.len(), "no entry is there twice: {users:?}");
    distinct
}

/// The moments of the agent's starts, and the minutes of the past whose users are known.
fn history_of(agent: &Agent) -> (Vec<String>, BTreeSet<i64>) {
    let history = agent.json("/api/sites/awka/history?series=users&range=3h");
    let marks = history["marks"].as_array().unwrap().iter().filter(|mark| mark["what"] == "agent_start");
    let from = humantime::parse_rfc3339(history["from"].as_str().unwrap()).unwrap();
    let first = from.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 60;
    let users = history["series"]["users"]["max"].as_array().unwrap();
    // The last two may be unfinished.
    let known = users.iter().zip(i64::try_from(first).unwrap()..).take(users.len() - 2);
    let known = known.filter(|(users, _)| !users.is_null()).map(|(_, minute)| minute);
    (marks.map(|mark| mark["at"].as_str().unwrap().into()).collect(), known.collect())
}

/// Runs an agent and kills it, again and again. Each run has what the one before had written.
fn kill_often(time: Duration, least: usize) {
    let (folder, router) =
        (tempfile::tempdir().unwrap(), router(Settings { active: 0, ..Settings::default() }));
    let path = |name: &str| folder.path().join(name);
    let given = || -> AgentBuilder {
        let given = storage::given(folder.path()).timing("state_write", "20ms").defaults("refresh: \"1s\",");
        given.site("awka", router.addr(), "")
    };
    let (began, mut runs) = (Instant::now(), 0);
    let (mut written, mut starts, mut minutes) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    while runs < least || began.elapsed() < time {
        set_online(&router, runs * SESSIONS..(runs + 1) * SESSIONS);
        let mut agent = given().start().with_token(ADMIN);
        let (users, (these_starts, these_minutes)) = (users_of(&agent), history_of(&agent));
        assert!(users.is_superset(&written), "run {runs}: {users:?} lacks some of {written:?}");
        // Of this start, the mark may be there or not yet.
        let newest = &starts[starts.len().saturating_sub(STARTS)..];
        assert!(
            newest.is_empty() || these_starts.windows(newest.len()).any(|part| part == newest),
            "run {runs}: {these_starts:?} lacks some of {newest:?}"
        );
        assert!(
            these_minutes.is_superset(&minutes),
            "run {runs}: {these_minutes:?} lacks some of {minutes:?}"
        );
        written.extend(users);
        (starts, minutes) = (these_starts, these_minutes);
        let problems = agent.json("/api/config")["storage"]["problems"].as_array().unwrap().clone();
        let is_torn = |problem: &Value| problem["message"].as_str().unwrap().contains("bytes are incomplete");
        assert!(problems.iter().all(is_torn), "run {runs}: {problems:?}");
        agent.stats_when("awka", "all are online", |stats| stats["activeUsers"] == SESSIONS);
        set_online(&router, 0..0);
        let recorded = until("the ends are recorded", || {
            let users = users_of(&agent);
            (users.len() == (runs + 1) * SESSIONS || users.contains(&user(runs * SESSIONS))).then_some(users)
        });
        until("the history is written", || {
            (!agent.json("/api/config")["storage"]["writtenAt"].is_null()).then_some(())
        });
        if runs % 2 == 0 {
            let first = user(runs * SESSIONS);
            until("they are written", || users_in(&path("journal")).contains(&first).then_some(()));
        }
        let until_killed = Instant::now() + Duration::from_micros(fastrand::u64(0..100_000));
        while Instant::now() < until_killed {
            written.extend(users_in(&path("journal")).intersection(&recorded).cloned());
        }
        agent.running.signal("KILL");
        agent.running.wait_for_exit(Duration::from_secs(2));
        runs += 1;
    }
    println!("{runs} runs; {} of {} entries were written", written.len(), runs * SESSIONS);
    assert!(written.len() >= runs, "expected more of {} entries, got {written:?}", runs * SESSIONS);
    for file in fs::read_dir(folder.path()).unwrap() {
        let (file, length) = file.map(|file| (file.file_name(), file.metadata().unwrap().len())).unwrap();
        // A file is replaced when it is longer than 64 KiB and twice what is of use.
        assert!(length < 100_000 + runs as u64 * 500, "{} has {length} bytes", file.display());
    }
}

#[test]
fn a_killed_agent_has_everything_up_to_its_last_write() {
    kill_often(Duration::from_secs(6), 3);
}

mod soak {
    use std::time::Duration;

    #[test]
    #[ignore = "takes three minutes"]
    fn an_agent_that_is_killed_for_minutes_has_everything_up_to_its_last_write() {
        super::kill_often(Duration::from_secs(180), 50);
    }
}

//! Reads of the sessions' figures only, while a `listen` reports changes: they are short, and nothing stays unnoticed.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use phsweb_agent::routeros::wire::Sentence;
use phsweb_agent::simulator::Settings;
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, until};
use super::peer::Peer;
use super::router;

const TOKEN: &str = "admin-token-01234";

fn given(more: &str) -> AgentBuilder {
    AgentBuilder::default()
        .http(&format!("admin: Token(Plain(\"{TOKEN}\")),"))
        .defaults(&format!("refresh: \"1s\", {more}"))
        .timing("recheck", "500ms")
}

/// Bytes that the agent receives per refresh of so many commands. It may have made more refreshes than the test saw, so
/// the commands say how many.
fn bytes_per_refresh(agent: &Agent, commands: u64) -> u64 {
    let usage_after = |refreshes: u64| {
        for _ in 0..refreshes {
            let before = agent.stats("awka")["fetchedAt"].clone();
            agent.stats_when("awka", "the next refresh", |stats| stats["fetchedAt"] != before);
        }
        let usage = agent.json("/api/sites/awka")["usage"].take();
        (usage["receivedBytes"].as_u64().unwrap(), usage["commands"].as_u64().unwrap())
    };
    // The first refreshes include those of the internal plugins.
    let before = usage_after(2);
    let after = usage_after(4);
    // Once in a while there is a further command, such as one that counts the rows.
    (after.0 - before.0) / ((after.1 - before.1) / commands)
}

#[test]
fn refresh_of_a_large_live_site_takes_half_of_the_bytes() {
    let router = router(Settings { active: 200, users: 500, ..Settings::default() });
    for (more, commands, least, most) in [("", 4, 10_000, 20_480), ("live: false,", 6, 30_000, 42_500)] {
        let agent = given(more).site("awka", router.addr(), "").start().with_token(TOKEN);
        agent.wait_until_active("awka");
        let bytes = bytes_per_refresh(&agent, commands);
        eprintln!("{more} {bytes} bytes per refresh");
        assert!((least..=most).contains(&bytes), "expected {least} to {most} bytes per refresh, got {bytes}");
    }
}

/// What the agent queried of the sessions.
#[derive(Debug, Clone, PartialEq)]
enum Query {
    /// All properties of all sessions.
    Whole,
    /// The figures of all sessions.
    Figures,
    /// All properties of the session with this id.
    At(String),
}

/// A session: `id user mac comment`, and its uptime in seconds.
type Row = (&'static str, u64);

/// A router with scripted sessions whose `listen` reports nothing.
struct ScriptedHotspot {
    peer: Peer,
    queries: Arc<Mutex<Vec<Query>>>,
}

impl ScriptedHotspot {
    /// `rows` gets the number of queries before this one, and the seconds since the start.
    fn start(
        has_listen: bool,
        ignores_proplist: bool,
        rows: impl Fn(usize, u64) -> Vec<Row> + Send + Sync + 'static,
    ) -> Self {
        let queries = Arc::new(Mutex::new(Vec::new()));
        let (seen, start) = (queries.clone(), Instant::now());
        let peer = Peer::replying(move |command, tag| {
            let done = |ret: &str| Sentence::from_words(["!done", tag, ret]);
            match command.first() {
                b"/ip/hotspot/active/listen" if has_listen => Vec::new(),
                b"/ip/hotspot/active/listen" => {
                    vec![Sentence::from_words(["!trap", tag, "=message=no such command"]), done("")]
                }
                b"/ip/hotspot/active/print" => {
                    let query = query(command);
                    let mut queries = seen.lock().unwrap();
                    let rows = rows(queries.len(), start.elapsed().as_secs());
                    queries.push(query.clone());
                    let is_whole = ignores_proplist || query != Query::Figures;
                    let is_selected = |row: &&Row| match &query {
                        Query::At(id) => row.0.starts_with(id.as_str()),
                        _ => true,
                    };
                    let rows = rows.iter().filter(is_selected).map(|row| sentence(tag, row, is_whole));
                    rows.chain([done("")]).collect()
                }
                b"/ip/hotspot/user/print" => vec![done("=ret=100")],
                _ => vec![Sentence::from_words(["!re", tag, "=uptime=5d"]), done("")],
            }
        });
        Self { peer, queries }
    }

    fn agent(&self, whole_read: &str) -> Agent {
        let given = given("").timing("whole_read", whole_read);
        let given = given.site("awka", self.peer.address, "collect: [\"hotspot\"]");
        let agent = given.start().with_token(TOKEN);
        agent.wait_until_active("awka");
        agent
    }

    fn queries(&self) -> Vec<Query> {
        self.queries.lock().unwrap().clone()
    }

    /// Waits for this many queries of figures.
    fn wait_for_figures(&self, count: usize) {
        until(&format!("{count} reads of figures"), || {
            let figures = self.queries().iter().filter(|query| **query == Query::Figures).count();
            (figures >= count).then_some(())
        });
    }
}

fn query(command: &Sentence) -> Query {
    let at = command.words().find_map(|word| word.strip_prefix(b"?.id="));
    let has_user = command.get(".proplist").is_some_and(|list| list.starts_with(b".id,user,"));
    match at {
        Some(id) => Query::At(String::from_utf8_lossy(id).into()),
        None if has_user => Query::Whole,
        None => Query::Figures,
    }
}

fn sentence(tag: &str, (texts, uptime): &Row, is_whole: bool) -> Sentence {
    let mut texts = texts.split(' ');
    let mut row = Sentence::from_words(["!re", tag, &format!("=.id={}", texts.next().unwrap())]);
    if is_whole {
        for (key, text) in ["user", "mac-address", "comment"].into_iter().zip(texts) {
            row.push_attribute(key.as_bytes(), text.as_bytes());
        }
    }
    row.push_attribute(b"uptime", format!("{uptime}s").as_bytes());
    row.push_attribute(b"bytes-in", (uptime * 10).to_string().as_bytes());
    row
}

/// The sessions as `user comment`.
fn people(agent: &Agent) -> Vec<String> {
    let sessions = agent.json("/api/hotspot/awka/active");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_string();
    let sessions = sessions.as_array().unwrap();
    sessions.iter().map(|of| format!("{} {}", text(&of["user"]), text(&of["comment"]))).collect()
}

#[track_caller]
fn wait_for_people(agent: &Agent, expected: &[&str]) {
    until(&format!("the sessions are {expected:?}"), || (people(agent) == expected).then_some(()));
}

/// Expects these logins and logouts.
#[track_caller]
fn check_counts(agent: &Agent, logins: u64, logouts: u64) {
    let stats = agent.stats("awka");
    assert_eq!((&stats["logins"], &stats["logouts"]), (&json!(logins), &json!(logouts)), "{stats}");
}

#[test]
fn an_unknown_session_in_a_read_of_figures_is_queried_at_once() {
    let hotspot = ScriptedHotspot::start(true, false, |queries, seconds| {
        let chidi = (queries >= 3).then_some(("*2 chidi M2 new", 1 + seconds));
        std::iter::once(("*1 ada M1 old", 3600 + seconds)).chain(chidi).collect()
    });
    let agent = hotspot.agent("10m");
    wait_for_people(&agent, &["ada old", "chidi new"]);
    check_counts(&agent, 1, 0);
    let queries = hotspot.queries();
    assert_eq!(queries[..2], [Query::Whole, Query::Figures], "{queries:?}");
    let found = queries.iter().position(|query| *query == Query::At("*2".into()));
    let found = found.expect("expected a query of the session by its id");
    assert_eq!(queries[found - 1], Query::Figures, "{queries:?}");
    assert_eq!(queries[found + 1], Query::Whole, "expected a whole read after a missed change: {queries:?}");
}

#[test]
fn an_id_that_another_session_has_between_two_reads_of_figures_is_noticed() {
    let hotspot = ScriptedHotspot::start(true, false, |queries, seconds| {
        vec![if queries < 3 { ("*1 ada M1 old", 3600 + seconds) } else { ("*1 bola M2 new", seconds) }]
    });
    let agent = hotspot.agent("10m");
    wait_for_people(&agent, &["ada old"]);
    wait_for_people(&agent, &["bola new"]);
    check_counts(&agent, 1, 1);
    assert!(hotspot.queries().contains(&Query::At("*1".into())), "{:?}", hotspot.queries());
}

#[test]
fn a_change_that_was_not_reported_shows_after_the_next_whole_read() {
    let hotspot = ScriptedHotspot::start(true, false, |queries, seconds| {
        vec![(if queries == 0 { "*1 ada M1 old" } else { "*1 ada M1 new" }, 3600 + seconds)]
    });
    let agent = hotspot.agent("6s");
    hotspot.wait_for_figures(2);
    assert_eq!(people(&agent), ["ada old"], "expected no whole read yet: {:?}", hotspot.queries());
    wait_for_people(&agent, &["ada new"]);
    check_counts(&agent, 0, 0);
    assert!(!hotspot.queries().iter().any(|query| matches!(query, Query::At(_))), "{:?}", hotspot.queries());
}

#[test]
fn without_a_listen_every_read_is_whole() {
    let hotspot = ScriptedHotspot::start(false, false, |_, seconds| vec![("*1 ada M1 old", 3600 + seconds)]);
    let agent = hotspot.agent("10m");
    wait_for_people(&agent, &["ada old"]);
    until("four reads", || (hotspot.queries().len() >= 4).then_some(()));
    assert!(hotspot.queries().iter().all(|query| *query == Query::Whole), "{:?}", hotspot.queries());
}

#[test]
fn whole_rows_of_a_router_that_ignores_the_properties_count() {
    let hotspot = ScriptedHotspot::start(true, true, |queries, seconds| {
        vec![(if queries < 2 { "*1 ada M1 old" } else { "*1 ada M1 new" }, 3600 + seconds)]
    });
    let agent = hotspot.agent("10m");
    wait_for_people(&agent, &["ada old"]);
    wait_for_people(&agent, &["ada new"]);
    hotspot.wait_for_figures(3);
    check_counts(&agent, 0, 0);
    let whole = hotspot.queries().iter().filter(|query| **query != Query::Figures).count();
    assert_eq!(whole, 1, "{:?}", hotspot.queries());
}

//! Live changes: logins and logouts show at once and count once.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Fault, Router, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, until, until_within};
use super::router;

/// Upper bound of the time from a login on the router to the agent's response: far below the interval of refreshes, and
/// enough for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The last state is reported this long before a timeout.
const JUST_BEFORE: Duration = Duration::from_millis(100);

/// The number of addresses: few, so that each `.id` is soon reused.
const ADDRESSES: u32 = 400;

/// Logins and logouts between two checks, fewer than the simulator queues for a client that does not read.
const BETWEEN_QUIET: usize = 250;

fn quiet(settings: Settings) -> Router {
    router(Settings { active: 0, users: 0, ..settings })
}

fn agent(router: &Router, times: &str) -> Agent {
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults(times)
        .timing("recheck", "500ms");
    let agent = given.site("awka", router.addr(), "").start().with_token("admin-token-01234");
    agent.wait_until_active("awka");
    agent
}

fn live(agent: &Agent) -> Value {
    agent.json("/api/sites/awka")["plugins"]["hotspot"]["live"].clone()
}

/// Random logins and logouts, and their counts.
struct Crowd {
    rng: fastrand::Rng,
    logins: u64,
    logouts: u64,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), logins: 0, logouts: 0 }
    }

    /// Logs a user in at a random address, or the one there out.
    fn act(&mut self, router: &Router) {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 5, 50, 2).to_bits() + self.rng.u32(..ADDRESSES));
        let user = format!("user-{}", self.rng.u32(..50));
        let mac = format!("8C:F5:A3:00:00:{:02X}", self.rng.u8(..50));
        if router.log_in(&user, address, &mac).is_some() {
            self.logins += 1;
        } else {
            let there = router.sessions().into_iter().find(|session| session.address == address);
            router.log_out(&there.expect("expected a session at the address").id);
            self.logouts += 1;
        }
    }

    /// Whether the agent shows the same counts.
    fn matches(&self, router: &Router, stats: &Value) -> bool {
        let figure = |name: &str| stats[name].as_u64().unwrap();
        (figure("activeUsers"), figure("logins"), figure("logouts"))
            == (router.sessions().len() as u64, self.logins, self.logouts)
    }
}

/// Who is online, as `user mac` by `.id`.
fn people(agent: &Agent) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let sessions = agent.json("/api/hotspot/awka/active");
    let person = |session: &Value| (text(&session["id"]), text(&session["user"]), text(&session["mac"]));
    let mut people: Vec<_> = sessions.as_array().unwrap().iter().map(person).collect();
    people.sort();
    people
}

/// Runs this many logins and logouts at this pace, and compares agent and router at each check. Returns the
/// maximum time until a check matched.
fn follows(router: &Router, agent: &Agent, actions: usize, pace: Duration, timeout: Duration) -> Duration {
    let mut crowd = Crowd::new(42);
    let mut slowest = Duration::ZERO;
    for _ in 0..actions.div_ceil(BETWEEN_QUIET) {
        for _ in 0..BETWEEN_QUIET {
            crowd.act(router);
            thread::sleep(pace);
        }
        let began = Instant::now();
        let mut last = Value::Null;
        until_within(timeout, "the agent shows the counts of the router", || {
            last = agent.stats("awka");
            let (matches, so_far) = (crowd.matches(router, &last), began.elapsed());
            assert!(
                matches || so_far + JUST_BEFORE < timeout,
                "{} logins, {} logouts, {} online, but the agent shows {last:#}",
                crowd.logins,
                crowd.logouts,
                router.sessions().len()
            );
            matches.then_some(())
        });
        slowest = slowest.max(began.elapsed());
        let there = router.sessions().into_iter().map(|person| (person.id, person.user, person.mac));
        let mut there: Vec<_> = there.collect();
        there.sort();
        assert_eq!(people(agent), there);
    }
    slowest
}

#[test]
fn ten_thousand_logins_and_logouts_are_counted_once_and_shown_at_once() {
    let router = quiet(Settings::default());
    let agent = agent(&router, "refresh: \"30s\",");
    assert_eq!(live(&agent), true);
    let slowest = follows(&router, &agent, 10_000, Duration::ZERO, AT_ONCE);
    eprintln!("the slowest of 40 changes showed after {slowest:?}");
    assert_eq!(router.counters().logins, 1);
}

#[test]
fn login_between_two_refreshes_shows_at_once() {
    let router = quiet(Settings::default());
    let agent = agent(&router, "refresh: \"30s\",");
    let before = agent.stats("awka")["fetchedAt"].clone();
    let login = |n: u8| router.log_in("ada", Ipv4Addr::new(10, 5, 50, n), "8C:F5:A3:00:00:01").unwrap();
    for n in 2..7 {
        let began = Instant::now();
        let _ = login(n);
        let online = u64::from(n) - 1;
        let stats = until_within(AT_ONCE, "the login shows", || {
            Some(agent.stats("awka")).filter(|stats| stats["activeUsers"] == online)
        });
        eprintln!("shown after {:?}", began.elapsed());
        assert_eq!(stats["lastActivity"], "just now");
        assert_eq!(stats["fetchedAt"], before, "expected no refresh");
    }
}

/// Late prints and late changes do not make a login count twice or not at all, with many refreshes in between.
#[test]
fn reordered_prints_and_changes_are_counted_once() {
    let slow = quiet(Settings { latency: Duration::from_millis(700), ..Settings::default() });
    let late = quiet(Settings::default());
    late.set_fault(Some(Fault::LateListen));
    let check = |router: &Router| {
        let agent = agent(router, "refresh: \"1s\",");
        // So that changes arrive before, during and after prints.
        let pace = Duration::from_millis(7);
        follows(router, &agent, 1_000, pace, Duration::from_secs(8));
        assert_eq!(live(&agent), true);
    };
    thread::scope(|scope| {
        [&slow, &late].map(|router| scope.spawn(|| check(router))).map(|done| done.join().unwrap())
    });
}

#[test]
fn without_listen_the_site_is_polled() {
    let refused = quiet(Settings::default());
    refused.set_fault(Some(Fault::NoListen));
    let off = quiet(Settings::default());
    for (router, more) in [(refused, ""), (off, "live: false,")] {
        let agent = agent(&router, &format!("refresh: \"1s\", {more}"));
        until("the site polls", || (live(&agent) == false).then_some(()));
        let _ = router.log_in("ada", Ipv4Addr::new(10, 5, 50, 2), "8C:F5:A3:00:00:01").unwrap();
        agent.stats_when("awka", "a poll shows the login", |stats| {
            (&stats["activeUsers"], &stats["logins"]) == (&json!(1), &json!(1))
        });
        assert_eq!(router.counters().logins, 1, "expected one connection");
    }
}

#[test]
fn silent_listen_is_detected() {
    let router = quiet(Settings::default());
    router.set_fault(Some(Fault::SilentListen));
    let agent = agent(&router, "refresh: \"1s\",");
    for n in 2..6_u8 {
        let _ = router.log_in("ada", Ipv4Addr::new(10, 5, 50, n), "8C:F5:A3:00:00:01").unwrap();
        agent.stats_when("awka", "an answer shows the login", |stats| {
            (&stats["activeUsers"], &stats["logins"]) == (&json!(n - 1), &json!(n - 1))
        });
    }
    until("the site is polled from then on", || (live(&agent) == false).then_some(()));
    agent.running.assert_logged("site=awka msg=\"the router's listen does not report all changes", 1);
}

/// Discrepancies between prints and listens never cause extra queries.
#[test]
fn permanent_discrepancy_causes_no_extra_queries() {
    let router = quiet(Settings::default());
    router.set_fault(Some(Fault::SilentListen));
    let agent = agent(&router, "refresh: \"1s\",");
    let mut n = 1;
    until("the site is polled", || {
        n += 1;
        let _ = router.log_in("ada", Ipv4Addr::new(10, 5, 50, n), "8C:F5:A3:00:00:01");
        thread::sleep(Duration::from_millis(300));
        (live(&agent) == false).then_some(())
    });
    let before = router.counters().commands;
    let mut seen = BTreeSet::new();
    until("the site was refreshed four times", || {
        seen.insert(agent.stats("awka")["fetchedAt"].to_string());
        (seen.len() > 4).then_some(())
    });
    let commands = router.counters().commands - before;
    assert!(commands < 100, "{commands} commands for four refreshes");
}

/// Changes during an outage are counted from the difference after it.
#[test]
fn outage_loses_only_unobservable_changes() {
    let router = quiet(Settings::default());
    let agent = agent(&router, "refresh: \"1s\",");
    let at = |n: u8| Ipv4Addr::new(10, 5, 50, n);
    let first = router.log_in("stays", at(2), "8C:F5:A3:00:00:02").unwrap();
    let second = router.log_in("leaves", at(3), "8C:F5:A3:00:00:03").unwrap();
    agent.stats_when("awka", "both sessions are shown", |stats| stats["logins"] == 2);
    router.set_fault(Some(Fault::Cut));
    agent.wait_for_error("awka", "closed");
    router.log_out(&second);
    let _ = router.log_in("comes", at(3), "8C:F5:A3:00:00:04").unwrap();
    router.set_fault(None);
    let stats = agent.stats_when("awka", "the site has recovered", |stats| stats["logins"] == 3);
    assert_eq!((&stats["activeUsers"], &stats["logouts"]), (&json!(2), &json!(1)), "{stats}");
    router.log_out(&first);
    agent.stats_when("awka", "`listen` is active again", |stats| stats["logouts"] == 2);
}

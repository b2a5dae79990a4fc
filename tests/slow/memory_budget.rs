//! The memory budget with all hostile routers at once, and with a hotspot of 16,000 people.
//!
//! With the shipped binary:
//!
//! ```sh
//! PHSWEB_AGENT_BINARY=… cargo test --test slow -- --include-ignored --nocapture memory_budget
//! ```

use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::memory::TEST_VARIABLE;
use phsweb_agent::simulator::{Counters, Fault, Router, Settings};

use super::agent::{Agent, AgentBuilder, until, until_within};
use super::cgroup::Group;
use super::hostile::{crowded, crowded_by, measured, wordy};
use super::router;
use crate::support::binary::is_release;

/// The additional memory of a build with debug assertions.
const DEBUG_EXTRA: u64 = 14 << 20;

/// Upper bound of the time with hostile routers, and of the refreshes of a large hotspot: a debug build computes for many
/// seconds, and for longer beside other work.
const MAX_DURATION: Duration = Duration::from_secs(180);

/// Refreshes of each hostile router, or new connections to it. In the second one the agent has the data of the first, too.
const ROUNDS: u64 = 2;

/// The commands of one refresh, at least.
const COMMANDS: u64 = 6;

const PEOPLE: usize = 16_000;

/// A router for each fault, and routers whose replies are as large as the limits of a connection allow.
fn hostile_routers() -> Vec<(String, Router)> {
    let faulty = |fault: Fault| {
        let router = router(Settings { users: 200, active: 200, ..Settings::default() });
        router.set_fault(Some(fault));
        (fault.to_string(), router)
    };
    let named = |name: &str, n: usize, router: Router| (format!("{name}-{n}"), router);
    let wordy = (0..4).map(|n| named("wordy", n, wordy()));
    let measured = (0..2).map(|n| named("measured", n, measured(16_383)));
    let crowded = (0..3).map(|n| named("crowded", n, crowded(16_383)));
    let wide = (0..2).map(|n| named("wide", n, crowded_by(16_383, 250)));
    Fault::ALL.map(faulty).into_iter().chain(wordy).chain(measured).chain(crowded).chain(wide).collect()
}

/// Whether the router with this key sends nothing that could take memory. A round with it takes two timeouts.
fn is_silent(key: &str) -> bool {
    const SILENT: [Fault; 6] = [
        Fault::HalfOpen,
        Fault::LoginRefused,
        Fault::LoginRefusedOnce,
        Fault::NoService,
        // The agent waits for minutes if a login is refused during a boot.
        Fault::Reboot,
        Fault::Stall,
    ];
    SILENT.iter().any(|fault| fault.name() == key)
}

/// Whether the agent has read all of a router's replies, or has lost the connection to it, several times since `before`.
fn has_been_read(now: &Counters, before: &Counters) -> bool {
    now.connections >= before.connections + ROUNDS || now.commands >= before.commands + ROUNDS * COMMANDS
}

/// Starts the agent with a memory budget. In a group the kernel kills it above the limit.
fn start(given: AgentBuilder, budget: u64, group: Option<&Group>) -> Agent {
    let given = super::returning_memory(given);
    match group {
        // It reads the limit of the group.
        Some(group) if is_release() => start_in(group, &given),
        Some(group) => start_in(group, &given.variable(TEST_VARIABLE, &budget.to_string())),
        None => given.variable(TEST_VARIABLE, &budget.to_string()).start(),
    }
}

fn start_in(group: &Group, given: &AgentBuilder) -> Agent {
    let (command, folder) = given.command();
    // It has read its file when it serves its page.
    let agent = Agent::start(group.confine(&command));
    drop(folder);
    agent
}

/// Runs a good router beside all hostile ones and requests all pages. Returns the peak memory in bytes.
fn survives_hostile_routers(budget: u64, group: Option<&Group>) -> u64 {
    let good = router(Settings::default());
    let routers = hostile_routers();
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"2s\", query_timeout: \"30s\",")
        .site("good", good.addr(), "");
    let given = routers.iter().fold(given, |given, (key, router)| {
        // Some faults last until the timeout.
        let is_fault = Fault::ALL.iter().any(|fault| fault.name() == key);
        given.site(key, router.addr(), if is_fault { "query_timeout: \"3s\"," } else { "" })
    });
    let agent = start(given.timing("retry_max", "2s"), budget, group).with_token("admin-token-01234");
    agent.wait_until_active("good");
    let began = Instant::now();
    let before: Vec<Counters> = routers.iter().map(|(_, router)| router.counters()).collect();
    let mut keys = routers.iter().map(|(key, _)| key).cycle();
    for requested in 0.. {
        let pending = routers
            .iter()
            .zip(&before)
            .filter(|((key, router), before)| !is_silent(key) && !has_been_read(&router.counters(), before));
        let pending: Vec<&str> = pending.map(|((key, _), _)| key.as_str()).collect();
        if requested >= routers.len() && pending.is_empty() {
            break;
        }
        assert!(
            began.elapsed() < MAX_DURATION,
            "expected {ROUNDS} rounds of each router within {MAX_DURATION:?}, pending: {pending:?}"
        );
        for path in ["/", "/api/hotspot/stats", "/api/routers", "/api/sites", "/metrics", "/sites/good"] {
            let answer = agent.get(path);
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        }
        let key = keys.next().unwrap();
        for path in [format!("/sites/{key}"), format!("/api/hotspot/{key}/active")] {
            let status = agent.get(&path).status;
            assert!([200, 503].contains(&status), "{path}: {status}");
        }
        // The pace of a person, not a wait for a condition.
        thread::sleep(Duration::from_millis(100));
    }
    let stats = agent.wait_until_active("good");
    assert_eq!((&stats["activeUsers"], stats["partial"].is_null()), (&23.into(), true), "{stats}");
    assert!(stats["ageSeconds"].as_u64().unwrap() < 30, "{stats}");
    assert_eq!(good.counters().logins, 1);
    for key in ["crowded-0", "measured-0", "wide-0"] {
        until(&format!("{key} is in the log"), || {
            agent.running.err().contains(&format!("site={key} plugin=")).then_some(())
        });
    }
    let log = agent.running.err();
    assert!(!log.contains("panicked"), "{log}");
    agent.running.memory_kib("VmHWM") * 1024
}

/// Lists the people of a large hotspot. Returns the peak memory in bytes and the number of listed people.
fn serves_a_large_hotspot(budget: u64, group: Option<&Group>) -> (u64, usize) {
    let router: Router = crowded(PEOPLE);
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"2s\", query_timeout: \"20s\",")
        .site("awka", router.addr(), "");
    let agent = start(given, budget, group).with_token("admin-token-01234");
    let list = || agent.get("/api/hotspot/awka/active");
    let commands = || router.counters().commands;
    let before = commands();
    until_within(MAX_DURATION, "the site was refreshed four times", || {
        list();
        (commands() > before + 4 * 8).then_some(())
    });
    // The list and the count may be from two refreshes.
    let (stats, listed) = until("the list and the count of people agree", || {
        let answer = list();
        let stats = agent.wait_until_active("awka");
        let listed = (answer.status == 200).then(|| answer.json().as_array().unwrap().len())?;
        (stats["activeUsers"] == listed).then_some((stats, listed))
    });
    assert_eq!(stats["partial"].is_null(), listed == PEOPLE, "{stats}");
    assert_eq!(router.counters().logins, 1);
    (agent.running.memory_kib("VmHWM") * 1024, listed)
}

#[track_caller]
fn assert_within(what: &str, budget: u64, used: u64) {
    println!("{what}: {:.1} MB of {:.1} MB", used as f64 / 1e6, budget as f64 / 1e6);
    let limit = budget + if is_release() { 0 } else { DEBUG_EXTRA };
    assert!(used <= limit, "{what}: expected at most {limit} bytes, used {used}");
}

/// Runs these cases at the same time: each agent has a process of its own.
fn at_once<T: Send>(cases: [T; 2], run: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| run(case));
        }
    });
}

#[test]
fn hostile_routers_together_stay_within_the_budget() {
    let _shared = super::beside_others();
    at_once([32 << 20, 64 << 20], |budget| {
        assert_within("hostile routers", budget, survives_hostile_routers(budget, None));
    });
}

#[test]
fn hotspot_of_sixteen_thousand_people_stays_within_the_budget() {
    let _shared = super::beside_others();
    at_once([(32 << 20, 8000), (64 << 20, PEOPLE)], |(budget, min)| {
        let (used, listed) = serves_a_large_hotspot(budget, None);
        assert_within(&format!("{listed} of {PEOPLE} people"), budget, used);
        assert!(listed >= min, "expected at least {min} people, listed {listed}");
    });
}

#[test]
#[ignore = "needs root and a memory cgroup"]
fn kernel_does_not_kill_the_agent_with_hostile_routers_or_a_large_hotspot() {
    let _shared = super::beside_others();
    at_once([32 << 20, 64 << 20], |budget| {
        let group = Group::new(budget + if is_release() { 0 } else { DEBUG_EXTRA });
        assert_within("hostile routers", budget, survives_hostile_routers(budget, Some(&group)));
        let (used, listed) = serves_a_large_hotspot(budget, Some(&group));
        assert_within(&format!("{listed} of {PEOPLE} people"), budget, used);
    });
}

//! One memory budget for the replies of all routers: a site above its share is partial, others are complete.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use phsweb_agent::memory::TEST_VARIABLE;
use phsweb_agent::simulator::{Router, Settings};
use serde_json::Value;

use super::agent::{Agent, AgentBuilder, TIMEOUT, until};
use super::hostile::{crowded, measured, wordy};
use super::router;

/// Most bytes of an event of a site.
const MAX_EVENT: usize = 4096;

const TIMES: &str = "refresh: \"1s\", query_timeout: \"20s\",";

/// A plugin's `partial` and its gauge in `/metrics`.
fn partial(agent: &Agent, site: &str, plugin: &str) -> (Value, bool) {
    let why = agent.json("/api/sites")[site]["plugins"][plugin]["partial"].clone();
    let gauge = format!("mikrotik_plugin_partial{{site=\"{site}\",plugin=\"{plugin}\"}} 1\n");
    (why, agent.get("/metrics").body.contains(&gauge))
}

#[test]
fn long_router_names_do_not_break_shared_responses() {
    let routers: Vec<Router> = (0..12).map(|_| wordy()).collect();
    let good = router(Settings::default());
    let given = AgentBuilder::default().defaults(TIMES).site("good", good.addr(), "");
    let given = routers.iter().enumerate().fold(given, |given, (n, router)| {
        given.site(&format!("wordy{n}"), router.addr(), "collect: [\"resource\"]")
    });
    let agent = given.start();
    agent.wait_until_active("good");
    until("every router was read", || {
        let routers = agent.json("/api/routers");
        routers.as_object().unwrap().values().all(|router| router["version"].is_string()).then_some(())
    });
    for path in ["/", "/sites/wordy0", "/api/routers", "/api/hotspot/stats", "/api/sites", "/metrics"] {
        let answer = agent.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.len() < 128 * 1024, "{path} has {} bytes", answer.body.len());
    }
    let wordy = &agent.json("/api/routers")["wordy0"];
    let version = wordy["version"].as_str().unwrap();
    assert!(version.starts_with("vv") && version.ends_with('…'), "expected a mark of truncation: {version}");
    assert_eq!(wordy["cpuLoad"], 7);

    let mut stream = TcpStream::connect(agent.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(stream, "GET /api/events HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let events = BufReader::new(stream).lines().map(Result::unwrap);
    let events: Vec<String> = events.filter(|line| line.starts_with("data: ")).take(2 * 13).collect();
    assert!(events.iter().all(|event| event.len() < MAX_EVENT), "{events:#?}");
}

#[test]
fn router_with_thousands_of_sensors_shows_a_hundred() {
    let router = measured(12_000);
    let agent = AgentBuilder::default().defaults(TIMES).site("awka", router.addr(), "").start();
    let health = || agent.json("/api/sites/awka/plugins/health")["rows"].as_array().unwrap().len();
    until("the sensors are read", || (health() > 0).then_some(()));
    assert_eq!(health(), 100);
    let why = "only the first 100 sensors are kept";
    assert_eq!(partial(&agent, "awka", "health"), (why.into(), true));
    assert_eq!(partial(&agent, "awka", "hotspot"), (Value::Null, false));
    for (plugin, expected) in [("health", why.into()), ("resource", Value::Null)] {
        for form in ["table", "objects"] {
            let rows = agent.json(&format!("/api/sites/awka/plugins/{plugin}?form={form}"));
            assert_eq!(rows["partial"], expected, "{plugin} as {form}");
        }
    }
    let page = agent.page("/sites/awka");
    assert!(page.contains(why) && page.len() < 64 * 1024, "{} bytes", page.len());
    let line = format!("site=awka plugin=health state=partial msg=\"{why}\"");
    until("the log names the site", || agent.running.err().contains(&line).then_some(()));
}

#[test]
fn sites_above_the_budget_are_partial_and_others_complete() {
    const PEOPLE: usize = 3600;
    let large = [crowded(PEOPLE), crowded(PEOPLE), crowded(PEOPLE)];
    let small = router(Settings::default());
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults(TIMES)
        // 1.4 MB of it are for what is known, and a session takes some 210 bytes.
        .variable(TEST_VARIABLE, &(16 << 20).to_string())
        .site("small", small.addr(), "");
    let given = large.iter().enumerate().fold(given, |given, (n, router)| {
        given.site(&format!("large{n}"), router.addr(), "collect: [\"hotspot\"]")
    });
    let agent = given.start().with_token("admin-token-01234");
    let count = |site: &str| {
        let answer = agent.get(&format!("/api/hotspot/{site}/active"));
        if answer.status == 200 { answer.json().as_array().unwrap().len() } else { 0 }
    };
    let keys = ["large0", "large1", "large2"];
    until("every site was read", || keys.iter().all(|key| count(key) > 0).then_some(()));
    until("the large sites are partial", || {
        keys.iter().all(|key| partial(&agent, key, "hotspot").1).then_some(())
    });
    let counts = keys.map(count);
    assert!(counts.iter().all(|count| (1200..3000).contains(count)), "{counts:?}");
    let (why, _) = partial(&agent, "large0", "hotspot");
    assert!(why.as_str().unwrap().contains("the agent has no memory for more"), "{why}");
    for page in ["/", "/sites/large0"] {
        assert!(agent.page(page).contains("the agent has no memory for more"), "{page}");
    }
    let lines = |site: &str| {
        let line = format!("site={site} plugin=hotspot state=partial");
        agent.running.err().matches(&line).count()
    };
    until("the log names the sites", || keys.iter().all(|key| lines(key) > 0).then_some(()));

    // It stays so over more refreshes, with one log line per site and no logins or logouts.
    let commands = large[0].counters().commands;
    until("the sites were read again", || (large[0].counters().commands > commands + 15).then_some(()));
    assert_eq!(keys.map(lines), [1; 3], "{}", agent.running.err());
    for key in keys {
        let stats = agent.stats(key);
        assert_eq!((&stats["logins"], &stats["logouts"]), (&0.into(), &0.into()), "{stats}");
        assert_eq!((&stats["status"], &stats["error"]), (&"active".into(), &Value::Null), "{stats}");
    }
    assert_eq!(large[0].counters().logins, 1, "expected one connection");
    let stats = agent.wait_until_active("small");
    assert_eq!((&stats["activeUsers"], &stats["partial"]), (&23.into(), &Value::Null), "{stats}");

    // When two of them have fewer people, all fit.
    for router in &large[1..] {
        router.set_rows("/ip/hotspot/active", Vec::new());
    }
    until("the other site is complete", || (count("large0") == PEOPLE).then_some(()));
    until("its hotspot is no longer partial", || {
        partial(&agent, "large0", "hotspot").0.is_null().then_some(())
    });
    assert_eq!(agent.stats("large0")["logins"], 0);
}

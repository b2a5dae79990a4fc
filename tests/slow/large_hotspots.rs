//! Hotspots of ten thousand users, which take a debug build of the simulated router seconds.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::Settings;

use super::router;
use crate::agent::{AgentBuilder, Running, program};

const USERS: usize = 10_000;

/// Upper bound of the start. Scanning all rows for each person would take minutes.
const MAX_START: Duration = Duration::from_secs(30);

#[test]
fn simulator_starts_a_large_hotspot_within_seconds() {
    let _alone = super::alone();
    let began = Instant::now();
    let router = router(Settings { users: USERS, active: USERS, ..Settings::default() });
    assert_eq!(router.sessions().len(), USERS);
    assert!(began.elapsed() < MAX_START, "expected a start within {MAX_START:?}, took {:?}", began.elapsed());
}

#[test]
fn each_of_ten_thousand_users_is_listed_once() {
    let _shared = super::beside_others();
    let users = format!("--users={USERS}");
    let router = Running::start(&mut program(["simulate", "--routers=1", &users, "--active=5", "--port=0"]));
    let address = router.line("127.0.0.1:");
    let address = format!("127.0.0.1:{}", address.split(' ').next().unwrap()).parse().unwrap();
    // A debug build of the router computes for a second per page, and for longer beside other work.
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1h\", query_timeout: \"25s\",");
    let agent = given.site("awka", address, "").start().with_token("admin-token-01234");
    agent.wait_until_active("awka");
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page = agent.json(&format!("/api/hotspot/awka/users?limit=500{after}"));
        assert_eq!(page["total"], USERS);
        let users = page["users"].as_array().unwrap();
        assert!(users.len() <= 500, "{}", users.len());
        ids.extend(users.iter().map(|user| user["id"].as_str().unwrap().to_string()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (USERS, USERS));
    assert_eq!(agent.json("/api/sites/awka")["usage"]["logins"], 1, "expected a single login");
    assert_eq!(agent.stats("awka")["totalUsers"], USERS);
}

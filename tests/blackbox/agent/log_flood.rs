//! Clients that cause many log lines: the log contains a few of them, a count of the rest, and every action.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::time::Instant;

use phsweb_agent::simulator::{Router, Settings};
use serde_json::json;

use super::agent::{Agent, AgentBuilder, TIMEOUT};
use super::browser::connect_from;
use super::router;

const VIEW: &str = "view-token-of-the-test";
const ADMIN: &str = "admin-token-of-the-test";

/// Clients of a flood, each at its own address, and requests of each client.
const CLIENTS: u8 = 200;
const REQUESTS: usize = 10;

/// The limit of lines that clients cause: lines per second, and lines at once.
const PER_SECOND: usize = 10;
const BURST: usize = 10;

/// Each client, at an address of this network, sends all requests, and then reads all answers.
fn flood(agent: &Agent, network: u8, line: &str, fields: impl Fn(usize) -> String, body: &str) {
    let streams: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let mut stream = connect_from(Ipv4Addr::new(127, 0, network, client), agent.address);
            let requests: Vec<String> = (0..REQUESTS)
                .map(|number| {
                    let fields = fields(usize::from(client) * REQUESTS + number);
                    let close = if number + 1 == REQUESTS { "Connection: close\r\n" } else { "" };
                    let length = body.len();
                    format!("{line} HTTP/1.1\r\nHost: a\r\n{close}{fields}\r\nContent-Length: {length}\r\n\r\n{body}")
                })
                .collect();
            stream.write_all(requests.concat().as_bytes()).unwrap();
            stream
        })
        .collect();
    for mut stream in streams {
        // The answers are not checked, and the connection may be closed before the last one.
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

fn dropped(agent: &Agent) -> usize {
    let metrics = agent.get("/metrics").body;
    let value = metrics.lines().find_map(|line| line.strip_prefix("phsweb_agent_log_lines_dropped_total "));
    value.map_or(0, |value| value.parse().unwrap())
}

fn kick(agent: &Agent, router: &Router) {
    let session = router.sessions().remove(0);
    let body = json!({ "id": session.id, "user": session.user, "mac": session.mac }).to_string();
    assert_eq!(agent.post("/api/hotspot/awka/kick", body).status, 200);
}

/// Sends 2,000 each of refreshes, wrong tokens and logins.
#[test]
fn floods_cause_few_lines_and_hide_no_action() {
    let router = router(Settings::default());
    let agent = AgentBuilder::default()
        .http(&format!("view: Token(Plain(\"{VIEW}\")), admin: Token(Plain(\"{ADMIN}\")),"))
        .site("awka", router.addr(), "")
        .start()
        .with_token(ADMIN);
    agent.wait_until_active("awka");
    let before = agent.running.err().lines().count();
    let began = Instant::now();
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    flood(&agent, 1, "POST /api/refresh", |_| bearer(VIEW), "");
    kick(&agent, &router);
    flood(&agent, 3, "GET /api/hotspot/awka/active", |number| bearer(&format!("wrong-{number}")), "");
    kick(&agent, &router);
    let form = |_| "Content-Type: application/x-www-form-urlencoded".to_string();
    flood(&agent, 2, "POST /login", form, &format!("token={VIEW}"));
    kick(&agent, &router);
    let (dropped, elapsed) = (dropped(&agent), began.elapsed());

    let mut running = agent.running;
    running.signal("TERM");
    running.wait_for_exit(TIMEOUT);
    let log = running.err();
    assert!(log.contains("action=login by=viewer"), "{log}");
    let lines = log.lines().count() - before;
    let limit = BURST + PER_SECOND * (usize::try_from(elapsed.as_secs()).unwrap() + 1);
    eprintln!("{lines} lines and {dropped} suppressed in {elapsed:?}");
    assert!(lines <= limit, "{lines} lines in {elapsed:?}; the limit is {limit}");
    assert_eq!(log.matches("[phsweb_agent::audit] action=kick site=awka ").count(), 3, "{log}");
    let reports = log.lines().filter_map(|line| line.split_once("suppressed=")?.1.split_once(' '));
    let reported: usize = reports.map(|(count, _)| count.parse::<usize>().unwrap()).sum();
    assert!(
        reported > 0 && reported == dropped,
        "the metric is {dropped}, the log reports {reported}: {log}"
    );
}

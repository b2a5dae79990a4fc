//! Tokens that are too short, and wrong tokens: they are delayed and limited, and do not affect correct ones.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Router, Settings};
use serde_json::json;

use super::agent::{Agent, AgentBuilder, program, until};
use super::browser::{Browser, ask_from, connect_from};
use super::router;
use crate::support::agent::run_to_end;

const ADMIN: &str = "admin: Token(Plain(\"admin-token-01234\")),";
const TOKEN: &str = "admin-token-01234";
const ACTIVE: &str = "/api/hotspot/awka/active";
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Long enough to distinguish a delayed response from a prompt one on a busy machine.
const DELAY: Duration = Duration::from_secs(4);

fn given(router: &Router, http: &str) -> AgentBuilder {
    AgentBuilder::default().http(http).defaults("refresh: \"1h\",").site("awka", router.addr(), "")
}

fn ready(given: AgentBuilder) -> Agent {
    let agent = given.start();
    until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
    agent
}

fn active(agent: &Agent, from: Ipv4Addr, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    ask_from(from, agent.address, ("GET", ACTIVE), &[("Authorization", &bearer)], "").status
}

#[test]
fn short_token_fails_check_and_is_a_warning_at_run_time() {
    let router = router(Settings::default());
    let http = "view: Token(Plain(\"a-viewers-token-01\")), admin: Token(Plain(\"admin-short\")),";
    let agent = ready(given(&router, http)).with_token("admin-short");
    agent.wait_until_active("awka");
    assert_eq!(agent.get(ACTIVE).status, 200, "expected a short token to work after an upgrade");
    let warning = "http.admin: the token has fewer than 16 characters";
    agent.running.assert_logged(warning, 1);
    let warnings = agent.json("/api/config")["warnings"].clone();
    assert!(warnings[0]["message"].as_str().unwrap().starts_with(warning), "{warnings}");
    assert!(agent.page("/").contains(warning), "expected the warning on the admin's page");
    let bearer = [("Authorization", "Bearer a-viewers-token-01")];
    assert_eq!(agent.ask("GET", "/api/config", &bearer).json()["warnings"], json!(null));

    let (command, folder) = given(&router, http).command();
    drop(command);
    let mut check = program(["check", "sites.ron"]);
    check.current_dir(folder.path());
    let ended = run_to_end(check);
    assert_eq!((ended.code, ended.err.as_str()), (Some(1), "1 problem.\n"), "{}", ended.out);
    assert!(ended.out.starts_with(&format!("sites.ron:2:84: {warning}")), "{}", ended.out);
}

#[test]
fn wrong_tokens_do_not_throttle_correct_ones_of_the_same_address() {
    let router = router(Settings::default());
    let agent = ready(given(&router, ADMIN));
    let (is_over, count) = (AtomicBool::new(false), 64);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (agent, is_over) = (&agent, &is_over);
            scope.spawn(move || {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let token = format!("wrong-{thread}-{number}");
                    let status = active(agent, HERE, &token);
                    assert!(matches!(status, 401 | 429), "{status}");
                    number += 1;
                }
            });
        }
        let mut guess = 0;
        until("wrong tokens are refused", || {
            guess += 1;
            (active(&agent, HERE, &format!("guess-{guess}")) == 429).then_some(())
        });
        for _ in 0..count {
            let status = active(&agent, HERE, TOKEN);
            let login = Browser::new(HERE.octets()).post(&agent, "/login", &format!("token={TOKEN}")).status;
            if (status, login) != (200, 303) {
                is_over.store(true, Ordering::Relaxed);
            }
            assert_eq!((status, login), (200, 303));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    // It is logged once.
    agent.running.assert_logged("wrong tokens within a minute", 1);
}

#[test]
fn refusal_of_a_wrong_token_is_delayed_without_a_thread() {
    let router = router(Settings::default());
    let delay = humantime::format_duration(DELAY).to_string();
    let agent = ready(given(&router, ADMIN).timing("wrong_token_delay", &delay));
    let began = Instant::now();
    // More than are delayed at once, which is more than there are threads.
    let streams: Vec<_> = (1..=40)
        .map(|number| {
            let mut stream = connect_from(Ipv4Addr::new(127, 0, 1, number), agent.address);
            let fields = "Host: a\r\nAuthorization: Bearer wrong\r\nConnection: close\r\n";
            write!(stream, "GET {ACTIVE} HTTP/1.1\r\n{fields}\r\n").unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(agent.get("/healthz").status, 200);
        assert_eq!(active(&agent, HERE, TOKEN), 200);
    }
    assert!(began.elapsed() < DELAY, "{:?} for answers that are not delayed", began.elapsed());
    let mut delayed = 0;
    for mut stream in streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        if answer.starts_with("HTTP/1.1 401 ") {
            delayed += 1;
        } else {
            assert!(
                answer.starts_with("HTTP/1.1 429 ") && answer.contains("\r\nRetry-After: 4\r\n"),
                "{answer}"
            );
        }
    }
    assert_eq!(delayed, 32, "expected the others to be refused at once");
    assert!(began.elapsed() >= DELAY, "{:?} for those that are", began.elapsed());
}

#[test]
fn all_addresses_share_a_budget_for_wrong_tokens() {
    let router = router(Settings::default());
    let agent = ready(given(&router, ADMIN));
    let from = |number: u32| Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number);
    let mut statuses: Vec<u16> = (0..601).map(|number| active(&agent, from(number), "wrong")).collect();
    // A busy machine may take longer than a minute for these.
    let last = statuses.pop().unwrap();
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(last, 429);
    assert_eq!(active(&agent, from(0), "wrong"), 401, "expected a repeated token not to count again");
    assert_eq!(active(&agent, from(602), TOKEN), 200);
    agent.running.assert_logged("600 wrong tokens within a minute", 1);
}

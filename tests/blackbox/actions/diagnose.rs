//! Connection tests on request; and slow actions, which must not block or cost others anything.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use phsweb_agent::simulator::Fault;
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, Answer, run_to_end, until};
use super::refresh::{ADMIN, FRESH, agent, in_parallel, logs, send_request, small};
use super::{open_files, router};
use crate::support::address::unused_address;

/// Clients that send a request and disconnect.
const GONE: usize = 500;

/// Most memory that they may leave, in KiB: their connections, once, and what glibc does not return.
const MORE_KIB: u64 = 4096;

#[test]
fn refreshes_of_viewers_do_not_block_the_admin() {
    let (healthy, stalled) = (router(small()), router(small()));
    let given = AgentBuilder::default().http(ADMIN).defaults("refresh: \"1h\", query_timeout: \"4s\",");
    let agent = given
        .site("healthy", healthy.addr(), "")
        .site("stalled", stalled.addr(), "")
        .start()
        .with_token("admin-token-01234");
    agent.wait_until_all_are_read();
    stalled.set_fault(Some(Fault::HalfOpen));
    thread::sleep(FRESH);
    let before = stalled.counters().commands;
    let clients: Vec<TcpStream> =
        (0..300).map(|_| send_request(agent.address, "/api/sites/stalled/refresh", "")).collect();
    until("the router is queried", || (stalled.counters().commands > before).then_some(()));
    for _ in 0..5 {
        let answer = agent.get("/api/hotspot/healthy/users");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    drop(clients);
}

#[test]
fn clients_that_disconnect_while_they_wait_leave_no_resources() {
    let router = router(small());
    let agent = agent(&router, "refresh: \"1h\", query_timeout: \"1s\",");
    let kick = r#"{"id": "*1", "user": "ada", "mac": ""}"#;
    let requests =
        [("/api/sites/awka/refresh", ""), ("/api/sites/awka/test", ""), ("/api/hotspot/awka/kick", kick)];
    let vanish = |count: usize| {
        router.set_fault(Some(Fault::HalfOpen));
        for n in 0..count {
            let (path, body) = requests[n % requests.len()];
            drop(send_request(agent.address, path, body));
            if n % 20 == 0 {
                assert_eq!(agent.get("/healthz").status, 200);
            }
        }
        router.set_fault(None);
        agent.stats_when("awka", "the site is online again", |stats| stats["status"] == "active");
    };
    vanish(50);
    until("their connections are closed", || (open_files(&agent) < 40).then_some(()));
    let (descriptors, memory) = (open_files(&agent), agent.running.memory_kib("VmRSS"));
    vanish(GONE);
    until("no more descriptors than before are open", || {
        (open_files(&agent) <= descriptors + 2).then_some(())
    });
    let more = agent.running.memory_kib("VmRSS").saturating_sub(memory);
    eprintln!("{GONE} disconnected clients left {more} KiB");
    assert!(more < MORE_KIB, "expected less than {MORE_KIB} KiB above {memory}, got {more}");
    assert!(!agent.running.err().contains("panicked"), "{}", agent.running.err());
}

/// The steps without their times and messages, which may differ.
fn comparable(steps: &Value) -> Vec<Value> {
    let mut steps = steps.as_array().unwrap().clone();
    for step in &mut steps {
        assert!(step["seconds"].as_f64().is_some_and(|seconds| (0.0..30.0).contains(&seconds)), "{step}");
        step["seconds"].take();
        step["error"] = step["error"]["cause"].take();
    }
    steps
}

fn test(agent: &Agent, site: &str) -> Answer {
    agent.post(&format!("/api/sites/{site}/test"), "")
}

#[test]
fn a_connection_test_has_the_steps_of_the_command() {
    let routers = [(); 5].map(|()| router(small()));
    let [healthy, closing, silent, no_listen, no_menu] = &routers;
    closing.set_fault(Some(Fault::Refuse));
    silent.set_fault(Some(Fault::HalfOpen));
    no_listen.set_fault(Some(Fault::NoListen));
    no_menu.remove_menu("/ip/hotspot/active");
    let given = || {
        let given = AgentBuilder::default().http(ADMIN).defaults("refresh: \"1h\", query_timeout: \"2s\",");
        let given = given.site("healthy", healthy.addr(), "").site("closing", closing.addr(), "");
        let given = given.site("silent", silent.addr(), "").site("no-listen", no_listen.addr(), "");
        let hosts = format!(
            "hosts: [\"{}\", \"{}\"], password: Plain(\"password\")",
            unused_address(),
            healthy.addr()
        );
        given.site("no-menu", no_menu.addr(), "live: false").raw_site("two", &hosts)
    };
    let (command, _folder) = given().argument("test").argument("--json").command();
    let given = given();
    let expected: Value = serde_json::from_str(&run_to_end(command).out).unwrap();
    let expected = comparable(&expected);
    let agent = given.start().with_token("admin-token-01234");
    for key in ["healthy", "closing", "silent", "no-listen", "no-menu", "two"] {
        let answer = test(&agent, key);
        assert_eq!(
            (answer.status, answer.field("Content-Type")),
            (200, "application/json"),
            "{key}: {answer:?}"
        );
        let own: Vec<&Value> = expected.iter().filter(|step| step["site"] == key).collect();
        let steps = comparable(&answer.json());
        assert_eq!(steps.iter().collect::<Vec<_>>(), own, "{key}");
        let failed = steps.iter().filter(|step| step["ok"] == false).count();
        let line = format!(
            "action=test site={key} by=admin peer=127.0.0.1 result=tested steps={} failed={failed}",
            steps.len()
        );
        logs(&agent, &line, 1);
    }
    assert_eq!(test(&agent, "nowhere").status, 404);
}

#[test]
fn a_connection_test_does_not_disturb_the_connection() {
    let router = router(small());
    let agent = agent(&router, "refresh: \"1s\",");
    for n in 1..4 {
        assert_eq!(test(&agent, "awka").status, 200);
        let counters = router.counters();
        assert_eq!((counters.logins, counters.broken), (1 + n, 0), "expected one login for each test");
    }
    until("the connections of the test are closed", || (router.counters().open == 1).then_some(()));
    let site = agent.json("/api/sites/awka");
    assert_eq!((&site["usage"]["logins"], &site["state"]), (&json!(1), &json!("online")), "{site}");
    assert_eq!(site["connections"].as_array().unwrap().len(), 1, "{site}");
}

#[test]
fn the_third_simultaneous_connection_test_gets_retry_after() {
    let router = router(small());
    let agent = agent(&router, "refresh: \"1h\",");
    router.set_latency(Duration::from_millis(400));
    thread::scope(|scope| {
        let first = scope.spawn(|| test(&agent, "awka"));
        until("the first test is active", || (router.counters().connections == 2).then_some(()));
        let others = [scope.spawn(|| test(&agent, "awka")), scope.spawn(|| test(&agent, "awka"))];
        let mut others = others.map(|other| other.join().unwrap());
        others.sort_by_key(|answer| answer.status);
        assert_eq!(first.join().unwrap().status, 200);
        assert_eq!(others[0].status, 200, "{others:?}");
        let (status, field) = (others[1].status, others[1].field("Content-Type"));
        assert_eq!(
            (status, field, others[1].field("Retry-After")),
            (503, "application/problem+json", "1"),
            "{others:?}"
        );
    });
    assert_eq!(router.counters().logins, 3, "expected no login by the refused request");
}

#[test]
fn only_the_admin_may_test_the_connection() {
    let router = router(small());
    let tokens = "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),";
    let agent = AgentBuilder::default().http(tokens).site("awka", router.addr(), "").start();
    until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
    for (sent, status) in [
        ("none", 401),
        ("Bearer wrong", 401),
        ("Bearer view-token-01234", 403),
        ("Bearer admin-token-01234", 200),
    ] {
        assert_eq!(
            agent.ask("POST", "/api/sites/awka/test", &[("Authorization", sent)]).status,
            status,
            "{sent}"
        );
    }
    assert_eq!(router.counters().logins, 2);
    let answer = agent.ask("GET", "/api/sites/awka/test", &[("Authorization", "Bearer admin-token-01234")]);
    assert_eq!((answer.status, answer.field("Allow")), (405, "POST"));
}

#[test]
fn the_hosts_of_a_site_are_tested_in_parallel() {
    let silent = [(); 6].map(|()| router(small()));
    for router in &silent {
        router.set_fault(Some(Fault::HalfOpen));
    }
    let hosts: Vec<String> = silent.iter().map(|router| format!("\"{}\"", router.addr())).collect();
    let site = format!("hosts: [{}], password: Plain(\"password\")", hosts.join(", "));
    let given = AgentBuilder::default().http(ADMIN).defaults("query_timeout: \"2s\",");
    let agent = given.raw_site("awka", &site).start().with_token("admin-token-01234");
    let (answer, took) = in_parallel(1, || test(&agent, "awka")).remove(0);
    assert_eq!(answer.status, 200, "{answer:?}");
    let steps = answer.json();
    let tested: Vec<&str> =
        steps.as_array().unwrap().iter().map(|step| step["host"].as_str().unwrap()).collect();
    let expected: Vec<String> = silent.iter().flat_map(|router| vec![router.addr().to_string(); 6]).collect();
    assert_eq!(tested, expected, "expected the order of the file: {steps}");
    assert!(took < Duration::from_secs(22), "expected the time of one host, not of six: {took:?}");
}

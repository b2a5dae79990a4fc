//! Requested refreshes: they are shared, limited, and cause no additional logins.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Fault, Login, Router, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, Answer, throughout, until};
use super::router;

/// Commands of one refresh of a live site: two for the hotspot, one each for resource and health.
const REFRESH: u64 = 4;

/// A result that is no older than this is reused.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// How long a client refreshes again and again.
const RESTLESS: Duration = Duration::from_secs(3);

pub(super) const ADMIN: &str = "admin: Token(Plain(\"admin-token-01234\")),";

pub(super) fn small() -> Settings {
    Settings { users: 5, active: 2, ..Settings::default() }
}

pub(super) fn agent(router: &Router, more: &str) -> Agent {
    let given = AgentBuilder::default().http(ADMIN).defaults(more);
    let agent = given.site("awka", router.addr(), "").start().with_token("admin-token-01234");
    agent.wait_until_all_are_read();
    agent
}

/// Waits until the log contains this text so many times.
#[track_caller]
pub(super) fn logs(agent: &Agent, what: &str, count: usize) {
    until(&format!("the log contains {what:?} {count} times"), || {
        (agent.running.err().matches(what).count() == count).then_some(())
    });
}

#[track_caller]
fn refreshed(answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.field("Content-Type")), (200, "application/json"), "{answer:?}");
    answer.json()
}

/// Sends this many requests in parallel; each answer with its duration.
pub(super) fn in_parallel(count: usize, ask: impl Fn() -> Answer + Sync) -> Vec<(Answer, Duration)> {
    let timed = || {
        let began = Instant::now();
        (ask(), began.elapsed())
    };
    thread::scope(|scope| {
        let requests: Vec<_> = (0..count).map(|_| scope.spawn(timed)).collect();
        requests.into_iter().map(|request| request.join().unwrap()).collect()
    })
}

#[test]
fn fifty_simultaneous_requests_share_one_refresh() {
    let router = router(small());
    let agent = agent(&router, "refresh: \"1h\",");
    let fetched = agent.stats("awka")["fetchedAt"].clone();
    for path in ["/api/refresh", "/api/sites/awka/refresh"] {
        thread::sleep(FRESH);
        let (began, before) = (Instant::now(), router.counters().commands);
        for (answer, _) in in_parallel(50, || agent.post(path, "")) {
            assert_eq!(refreshed(&answer), json!({ "refreshed": ["awka"], "failed": [], "errors": {} }));
        }
        let refreshes = (router.counters().commands - before) / REFRESH;
        // One, and another for each second that a busy machine takes for all fifty.
        assert!((1..=1 + began.elapsed().as_secs()).contains(&refreshes), "{path}: {refreshes}");
    }
    assert_ne!(agent.stats("awka")["fetchedAt"], fetched);
    // A slow one is shared, too.
    let latency = Duration::from_millis(1500);
    router.set_latency(latency);
    thread::sleep(FRESH);
    let (began, before) = (Instant::now(), router.counters().commands);
    for (answer, took) in in_parallel(50, || agent.post("/api/refresh", "")) {
        assert_eq!(refreshed(&answer)["refreshed"], json!(["awka"]));
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
    let refreshes = (router.counters().commands - before).div_ceil(REFRESH);
    // Requests that arrive after one has begun share the next.
    let most = 2 + began.elapsed().as_millis() / latency.as_millis();
    assert!(u128::from(refreshes) <= most, "got {refreshes} refreshes in {:?}", began.elapsed());
}

#[test]
fn a_site_is_refreshed_once_a_second_at_most() {
    let router = router(small());
    let agent = agent(&router, "refresh: \"1h\",");
    let (began, before) = (Instant::now(), router.counters().commands);
    let mut requests = 0;
    throughout(Duration::from_secs(4), || {
        refreshed(&agent.post("/api/refresh", ""));
        requests += 1;
    });
    let refreshes = (router.counters().commands - before).div_ceil(REFRESH);
    let most = began.elapsed().as_secs() + 1;
    assert!(
        (3..=most).contains(&refreshes) && requests > 10,
        "{refreshes} of {requests} in {:?}",
        began.elapsed()
    );
}

#[test]
fn a_refresh_shows_logins_just_before_it() {
    let router = router(small());
    let agent = agent(&router, "refresh: \"1h\", live: false,");
    thread::sleep(FRESH);
    for n in 1..4_u8 {
        let _ = router.log_in("ada", [10, 5, 70, n].into(), "8C:F5:A3:00:00:01").unwrap();
        assert_eq!(refreshed(&agent.post("/api/sites/awka/refresh", ""))["refreshed"], json!(["awka"]));
        assert_eq!(agent.stats("awka")["activeUsers"], 2 + n);
        thread::sleep(FRESH);
    }
}

#[test]
fn failed_sites_are_reported_with_their_errors_and_delay_no_other() {
    let [healthy, refusing, closing, stalled, silent] = [(); 5].map(|()| router(small()));
    let times = "refresh: \"1h\", query_timeout: \"2s\", connect_timeout: \"2s\",";
    let sites = [
        ("healthy", &healthy),
        ("refusing", &refusing),
        ("closing", &closing),
        ("stalled", &stalled),
        ("silent", &silent),
    ];
    let given = AgentBuilder::default().http(ADMIN).defaults(times);
    let agent = sites
        .iter()
        .fold(given, |given, (key, router)| given.site(key, router.addr(), ""))
        .start()
        .with_token("admin-token-01234");
    agent.wait_until_all_are_read();
    refusing.set_fault(Some(Fault::NoService));
    closing.set_fault(Some(Fault::Fatal));
    stalled.set_fault(Some(Fault::Stall));
    silent.set_fault(Some(Fault::HalfOpen));
    thread::sleep(FRESH);
    thread::scope(|scope| {
        let all = scope.spawn(|| in_parallel(1, || agent.post("/api/refresh", "")));
        let (answer, took) = in_parallel(1, || agent.post("/api/sites/healthy/refresh", "")).remove(0);
        assert_eq!(refreshed(&answer)["refreshed"], json!(["healthy"]));
        assert!(!all.is_finished(), "expected no delay by a slow site, took {took:?}");
        let (answer, took) = all.join().unwrap().remove(0);
        let json = refreshed(&answer);
        assert_eq!(json["refreshed"], json!(["healthy"]), "{json}");
        let mut failed: Vec<&str> =
            json["failed"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
        failed.sort_unstable();
        assert_eq!(failed, ["closing", "refusing", "silent", "stalled"], "{json}");
        for key in failed {
            let error = &json["errors"][key];
            assert!(
                error["cause"].is_string() && error["hint"].as_str().unwrap().len() > 10,
                "{key}: {json}"
            );
        }
        assert_eq!(json["errors"]["closing"]["cause"], "closed", "{json}");
        assert!(took < Duration::from_secs(15), "expected an end within query_timeout, took {took:?}");
    });
    // The same for each site alone, with nearly as many requests as may wait: 192 in all.
    let ask = |key: &str| {
        for (answer, took) in in_parallel(45, || agent.post(&format!("/api/sites/{key}/refresh"), "")) {
            let json = refreshed(&answer);
            assert_eq!((&json["refreshed"], &json["failed"]), (&json!([]), &json!([key])), "{json}");
            assert!(json["errors"][key]["cause"].is_string(), "{json}");
            assert!(took < Duration::from_secs(20), "{key}: {took:?}");
        }
    };
    thread::scope(|scope| {
        for (key, _) in &sites[1..] {
            scope.spawn(|| ask(key));
        }
    });
}

#[test]
fn a_site_that_exceeds_the_action_timeout_has_failed() {
    let (healthy, stalled) = (router(small()), router(small()));
    stalled.set_fault(Some(Fault::Stall));
    let given =
        AgentBuilder::default().http(ADMIN).defaults("refresh: \"1h\",").site("healthy", healthy.addr(), "");
    let given = given.site("stalled", stalled.addr(), "query_timeout: \"60s\"");
    let agent = given.timing("action_timeout", "3s").start();
    agent.wait_until_active("healthy");
    let mut client = send_request(agent.address, "/api/refresh", "");
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    let json: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&json["refreshed"], &json["failed"]), (&json!(["healthy"]), &json!(["stalled"])), "{json}");
    assert_eq!(json["errors"]["stalled"]["cause"], "query_timeout", "{json}");
}

#[test]
fn viewers_may_refresh() {
    let router = router(small());
    let paths = ["/api/refresh", "/api/sites/awka/refresh"];
    let open = AgentBuilder::default().site("awka", router.addr(), "").start();
    let tokens = "view: Token(Plain(\"view-token-01234\")), admin: Token(Plain(\"admin-token-01234\")),";
    let closed = AgentBuilder::default().http(tokens).site("awka", router.addr(), "").start();
    for agent in [&open, &closed] {
        until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
    }
    let status_of =
        |agent: &Agent, path: &str, sent: &str| agent.ask("POST", path, &[("Authorization", sent)]).status;
    for path in paths {
        for sent in ["none", "Bearer wrong", "Bearer view-token-01234"] {
            assert_eq!(status_of(&open, path, sent), 200, "{path} {sent}");
        }
        for (sent, status) in [
            ("none", 401),
            ("Bearer wrong", 401),
            ("Bearer view-token-01234", 200),
            ("Bearer admin-token-01234", 200),
        ] {
            assert_eq!(status_of(&closed, path, sent), status, "{path} {sent}");
        }
        for method in ["GET", "HEAD", "PUT"] {
            let answer = open.ask(method, path, &[]);
            assert_eq!((answer.status, answer.field("Allow")), (405, "POST"), "{method} {path}");
        }
    }
    assert_eq!(open.post("/api/sites/nowhere/refresh", "").status, 404);
    // A refresh of a single site names it.
    for (site, count) in [("awka", 2)] {
        for role in ["viewer", "admin"] {
            let role = format!("by={role} peer=127.0.0.1");
            logs(
                &closed,
                &format!("action=refresh site={site} {role} result=answered asked=1 answered=1"),
                count,
            );
        }
    }
    // Without a token the router was not queried so soon after the start, so nothing is logged.
    assert!(!open.running.err().contains("action=refresh"), "{}", open.running.err());
}

/// Every visitor of the page can request a refresh, so those must cost the router little.
#[test]
fn anonymous_requests_query_a_router_once_per_third_of_its_refresh() {
    let started = Instant::now();
    let router = router(small());
    let agent = AgentBuilder::default()
        .http(ADMIN)
        .defaults("refresh: \"9s\",")
        .site("awka", router.addr(), "")
        .start();
    agent.wait_until_all_are_read();
    let before = router.counters().commands;
    let mut requests = 0;
    until("an anonymous request or the next refresh queries the router", || {
        let (answer, took) = in_parallel(1, || agent.post("/api/refresh", "")).remove(0);
        assert_eq!(refreshed(&answer), json!({ "refreshed": ["awka"], "failed": [], "errors": {} }));
        assert!(took < Duration::from_secs(5), "{took:?}");
        requests += 1;
        (router.counters().commands > before).then_some(())
    });
    let after = started.elapsed();
    assert!(after >= Duration::from_secs(3), "queried again after {after:?}");
    assert!(requests > 10, "got only {requests} requests in {after:?}");
    // A request with a token queries the router at once.
    thread::sleep(FRESH);
    let before = router.counters().commands;
    let token = [("Authorization", "Bearer admin-token-01234")];
    assert_eq!(refreshed(&agent.ask("POST", "/api/refresh", &token))["refreshed"], json!(["awka"]));
    assert_eq!(router.counters().commands - before, REFRESH);
}

#[test]
fn anonymous_requests_do_not_shorten_the_backoff_of_an_unreachable_router() {
    let router = router(small());
    router.set_fault(Some(Fault::Refuse));
    let given =
        AgentBuilder::default().http(ADMIN).defaults("refresh: \"1h\",").site("awka", router.addr(), "");
    let agent = given.timing("retry_min", "1h").timing("retry_max", "2h").start();
    agent.wait_for_error("awka", "closed");
    let before = router.counters().connections;
    throughout(FRESH + FRESH, || {
        let (answer, took) = in_parallel(1, || agent.post("/api/refresh", "")).remove(0);
        let json = refreshed(&answer);
        assert_eq!((&json["failed"], &json["errors"]["awka"]["cause"]), (&json!(["awka"]), &json!("closed")));
        assert!(took < Duration::from_secs(5), "{took:?}");
    });
    assert_eq!(router.counters().connections, before);
    let token = [("Authorization", "Bearer admin-token-01234")];
    assert_eq!(refreshed(&agent.ask("POST", "/api/refresh", &token))["failed"], json!(["awka"]));
    assert_eq!(router.counters().connections, before + 1);
}

#[test]
fn sixty_sites_are_refreshed_in_parallel() {
    let routers: Vec<Router> = (0..60)
        .map(|seed| router(Settings { seed, latency: Duration::from_millis(300), ..small() }))
        .collect();
    let given = AgentBuilder::default().http(ADMIN).defaults("refresh: \"1h\",");
    let key = |n: usize| format!("site-{n:02}");
    let given =
        routers.iter().enumerate().fold(given, |given, (n, router)| given.site(&key(n), router.addr(), ""));
    let agent = given.start().with_token("admin-token-01234");
    agent.wait_until_all_are_read();
    thread::sleep(FRESH);
    let before: Vec<u64> = routers.iter().map(|router| router.counters().commands).collect();
    let (answer, took) = in_parallel(1, || agent.post("/api/refresh", "")).remove(0);
    let json = refreshed(&answer);
    let keys: Vec<String> = (0..60).map(key).collect();
    assert_eq!((&json["refreshed"], &json["failed"]), (&json!(keys), &json!([])));
    assert!(took < Duration::from_secs(15), "expected refreshes in parallel, took {took:?}");
    for (router, before) in routers.iter().zip(before) {
        assert_eq!(router.counters().commands - before, REFRESH);
    }
    logs(&agent, "action=refresh site=* by=admin peer=127.0.0.1 result=answered asked=60 answered=60", 1);
}

/// Each login, and each refused one, is a line in the router's log.
#[test]
fn refreshes_do_not_cause_more_logins() {
    let refused = router(Settings { logins: vec![Login::new("api-user", "another")], ..small() });
    let [fatal, cut, half_open] = [Fault::Fatal, Fault::Cut, Fault::HalfOpen].map(|fault| {
        let router = router(small());
        router.set_fault(Some(fault));
        router
    });
    let quiet: Vec<Router> = [Fault::Fatal, Fault::Cut, Fault::HalfOpen]
        .map(|fault| {
            let router = router(small());
            router.set_fault(Some(fault));
            router
        })
        .into();
    let given = AgentBuilder::default().defaults("refresh: \"1s\", query_timeout: \"300ms\",");
    let given = given.site("refused", refused.addr(), "").site("fatal", fatal.addr(), "");
    let given = given.site("cut", cut.addr(), "").site("half-open", half_open.addr(), "");
    // If one host is broken and the other refuses the login, the refused login decides.
    let garbage = router(small());
    garbage.set_fault(Some(Fault::Garbage));
    let second = router(Settings { logins: vec![Login::new("api-user", "another")], ..small() });
    let hosts =
        format!("hosts: [\"{}\", \"{}\"], password: Plain(\"password\")", garbage.addr(), second.addr());
    let agent = given.raw_site("two", &hosts).timing("retry_min", "250ms").start();
    let given = AgentBuilder::default().defaults("refresh: \"1s\", query_timeout: \"300ms\",");
    let given = quiet
        .iter()
        .enumerate()
        .fold(given, |given, (n, router)| given.site(&format!("q{n}"), router.addr(), ""));
    let _left_alone = given.timing("retry_min", "250ms").start();
    until("every site was tried", || (agent.get("/readyz").status == 200).then_some(()));
    let mut longest = Duration::ZERO;
    throughout(RESTLESS, || {
        for (answer, took) in in_parallel(2, || agent.post("/api/refresh", "")) {
            let json = refreshed(&answer);
            assert_eq!(json["refreshed"], json!([]), "{json}");
            assert_eq!(json["errors"]["refused"]["cause"], "auth", "{json}");
            longest = longest.max(took);
        }
    });
    for router in [&refused, &second] {
        let counters = router.counters();
        assert_eq!((counters.logins, counters.logins_refused), (0, 1), "{counters:?}");
    }
    let least = quiet.iter().map(|router| router.counters().logins).max().unwrap();
    for (router, name) in [(&fatal, "fatal"), (&cut, "cut"), (&half_open, "half-open")] {
        let logins = router.counters().logins;
        eprintln!("{name}: {logins} logins in {RESTLESS:?}, and {least} without refreshes");
        // A quarter, a half and a whole second apart, and some difference in when they began. One for each call would
        // be dozens.
        assert!(logins <= least + 2, "{name}: {logins} logins, {least} without refreshes");
    }
    assert!(longest < Duration::from_secs(15), "expected to wait for a short backoff only, took {longest:?}");
}

/// A failed connection is no line in the router's log, so a request may retry it early.
#[test]
fn a_refresh_reconnects_to_a_router_that_is_back() {
    let router = router(small());
    let agent = agent(&router, "refresh: \"1h\", connect_timeout: \"1s\",");
    router.set_fault(Some(Fault::NoService));
    agent.wait_for_error("awka", "refused");
    // More failures, for a longer backoff than a second or two.
    for _ in 0..4 {
        assert_eq!(refreshed(&agent.post("/api/refresh", ""))["failed"], json!(["awka"]));
    }
    router.set_fault(None);
    let (answer, took) = in_parallel(1, || agent.post("/api/refresh", "")).remove(0);
    assert_eq!(refreshed(&answer)["refreshed"], json!(["awka"]));
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn a_refresh_waits_for_a_short_backoff_to_end() {
    let router = router(small());
    let agent = agent(&router, "refresh: \"1h\",");
    router.reboot();
    agent.wait_for_error("awka", "closed");
    assert_eq!(refreshed(&agent.post("/api/refresh", ""))["refreshed"], json!(["awka"]));
}

/// A client that has sent a whole request and waits for the answer.
pub(super) fn send_request(address: SocketAddr, path: &str, body: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    let fields =
        format!("Host: x\r\nAuthorization: Bearer admin-token-01234\r\nContent-Length: {}\r\n", body.len());
    client.write_all(format!("POST {path} HTTP/1.1\r\n{fields}\r\n{body}").as_bytes()).unwrap();
    client
}

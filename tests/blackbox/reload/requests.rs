//! Requests to a site that is changed or removed while they run, and events about reloads.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Router, Settings};
use serde_json::{Value, json};

use super::agent::{AgentBuilder, Answer, TIMEOUT, until};
use super::reloading_agent::{ReloadingAgent, logins_and_connections};
use super::router;

/// Latency of the router, so that requests are active during the reload.
const SLOW: Duration = Duration::from_secs(4);

/// After this time a refresh queries the router again.
const REFRESH_REUSE: Duration = Duration::from_millis(1200);

/// Commands that all requests send at first: two of the kick, a login of the test, and the refreshes of two sites.
const MIN_COMMANDS: u64 = 7;

/// Maximum time of an answer that does not wait for the router: the next look at the file, and a busy machine.
const WITHOUT_ROUTER: Duration = Duration::from_secs(3);

fn given(router: &Router, fields: &str) -> AgentBuilder {
    // A second site, so that the first one is not the last.
    AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1h\", query_timeout: \"20s\",")
        .site("awka", router.addr(), fields)
        .site("other", router.addr(), "collect: [\"resource\"]")
}

fn without_awka(router: &Router) -> AgentBuilder {
    let text = "hosts: [\"127.0.0.1:9\"], password: Plain(\"password\")";
    AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1h\",")
        .raw_site("spare", text)
        .site("other", router.addr(), "collect: [\"resource\"]")
}

/// The answers of four requests during a change of the file, with their durations.
#[track_caller]
fn requests_during(
    change: impl Fn(&Router) -> AgentBuilder,
) -> (Router, ReloadingAgent, Vec<(Answer, Duration)>) {
    let router = router(Settings::default());
    let mut agent = ReloadingAgent::start(&given(&router, ""));
    agent.agent = agent.agent.with_token("admin-token-01234");
    agent.wait_until_active("awka");
    agent.wait_until_active("other");
    let session = agent.json("/api/hotspot/awka/active")[0].clone();
    let kick = json!({ "id": session["id"], "user": session["user"], "mac": session["mac"] }).to_string();
    let requests: [(&str, &str, &[u8]); 4] = [
        ("POST", "/api/hotspot/awka/kick", kick.as_bytes()),
        ("POST", "/api/refresh", b""),
        ("POST", "/api/sites/awka/test", b""),
        ("GET", "/api/hotspot/awka/users", b""),
    ];
    router.set_latency(SLOW);
    let before = router.counters().commands;
    // An earlier refresh would reuse the last result.
    thread::sleep(REFRESH_REUSE);
    let barrier = Barrier::new(requests.len() + 1);
    let answers = thread::scope(|scope| {
        let threads = requests.map(|(method, path, body)| {
            let (agent, barrier) = (&agent, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let began = Instant::now();
                (agent.ask_with(method, path, &[], body), began.elapsed())
            })
        });
        barrier.wait();
        until("all requests are active", || {
            (router.counters().commands >= before + MIN_COMMANDS).then_some(())
        });
        agent.save(&change(&router));
        router.set_latency(Duration::ZERO);
        threads.map(|thread| thread.join().unwrap())
    });
    (router, agent, answers.into())
}

#[test]
fn requests_to_a_renamed_site_succeed() {
    let (router, agent, answers) = requests_during(|router| given(router, "name: \"Awka\""));
    for (answer, _) in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(answers[0].0.json()["removed"].as_array().unwrap().len(), 1);
    assert_eq!(answers[1].0.json()["refreshed"], json!(["awka", "other"]));
    // Two sites use this router, and the connection test has its own login.
    assert_eq!(logins_and_connections(&router).0, 3);
    assert_eq!(agent.site("awka")["name"], "Awka");
}

#[test]
fn requests_to_a_removed_site_fail_at_once() {
    let (_router, agent, answers) = requests_during(without_awka);
    let [kick, refresh, test, users] = &answers[..] else { panic!() };
    for (answer, took) in [kick, test, users] {
        assert_eq!((answer.status, answer.json()["status"].clone()), (503, json!(503)), "{answer:?}");
        assert!(
            answer.body.contains("removed in sites.ron") && *took < WITHOUT_ROUTER,
            "{took:?} {answer:?}"
        );
    }
    let refreshed = refresh.0.json();
    assert_eq!((&refreshed["refreshed"], &refreshed["failed"]), (&json!(["other"]), &json!(["awka"])));
    assert_eq!(agent.get("/api/hotspot/awka/users").status, 404);
    assert!(!agent.running.err().contains("panicked"), "{}", agent.running.err());
}

#[test]
fn requests_to_a_reconnecting_site_use_the_new_connection_or_fail_with_a_reason() {
    let (router, agent, answers) = requests_during(|router| {
        let hosts = format!("hosts: [\"{}\", \"127.0.0.1:9\"], password: Plain(\"password\")", router.addr());
        AgentBuilder::default()
            .http("admin: Token(Plain(\"admin-token-01234\")),")
            .defaults("refresh: \"1h\", query_timeout: \"20s\",")
            .raw_site("awka", &hosts)
            .site("other", router.addr(), "collect: [\"resource\"]")
    });
    let [(kick, kicked), (refresh, _), _, (users, listed)] = &answers[..] else { panic!() };
    // They run one after another: the first is interrupted, and the second finds no connection yet.
    let mut statuses = [(kick, kicked), (users, listed)].map(|(answer, took)| {
        assert!(*took < WITHOUT_ROUTER, "{took:?} {answer:?}");
        let (words, status) = match answer.status {
            503 => ("The site was changed", 503),
            status => ("The router has not answered yet", status),
        };
        assert!(answer.body.contains(words), "{answer:?}");
        status
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [502, 503]);
    assert_eq!(refresh.json()["refreshed"], json!(["awka", "other"]), "{refresh:?}");
    assert_eq!(router.sessions().len(), 23, "expected no logout");
    assert_eq!(agent.site("awka")["state"], "online");
    assert_eq!(agent.get("/api/hotspot/awka/users").status, 200);
}

/// A stream of events.
struct EventStream(BufReader<TcpStream>);

impl EventStream {
    fn open(agent: &ReloadingAgent) -> Self {
        let mut stream = TcpStream::connect(agent.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        Self(BufReader::new(stream))
    }

    /// The data of the next `config` event.
    #[track_caller]
    fn config(&mut self) -> Value {
        loop {
            let (event, data) = self.next();
            if event == "config" {
                return data;
            }
        }
    }

    /// The name and the data of the next event.
    #[track_caller]
    fn next(&mut self) -> (String, Value) {
        let mut event = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "expected another event, but the stream ended");
            if let Some(name) = line.strip_prefix("event: ") {
                event = name.trim_end().into();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (event, serde_json::from_str(data).unwrap());
            }
        }
    }
}

#[test]
fn subscribers_get_an_event_for_each_reload() {
    let router = router(Settings::default());
    let agent = ReloadingAgent::start(&given(&router, ""));
    agent.wait_until_active("awka");
    agent.wait_until_active("other");
    let mut events = EventStream::open(&agent);
    agent.save(&without_awka(&router));
    let config = events.config();
    assert_eq!(
        (&config["isCurrent"], &config["sites"], &config["error"]),
        (&json!(true), &json!(2), &Value::Null)
    );
    agent.write("sites.ron", "(", super::reloading_agent::WriteMethod::InPlace);
    let config = events.config();
    assert_eq!((&config["isCurrent"], &config["sites"]), (&json!(false), &json!(2)));
    // The subscriber may be a viewer, and gets only the place of the problem.
    assert_eq!(config["error"]["problems"][0]["place"], "sites.ron:1:2", "{config}");
    assert!(!config.to_string().contains("not RON"), "{config}");
    agent.save(&given(&router, ""));
    let config = events.config();
    assert_eq!((&config["isCurrent"], &config["sites"]), (&json!(true), &json!(2)));
    assert!(router.log_in("ada", [10, 5, 70, 1].into(), "8C:F5:A3:00:00:01").is_some());
    loop {
        let (_, site) = events.next();
        assert_ne!(site["site"], "spare", "expected no event of the removed site: {site}");
        if site["site"] == "awka" && site["logins"] == 1 {
            break;
        }
    }
}

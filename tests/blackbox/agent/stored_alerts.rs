//! Alerts and their messages after a restart.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use phsweb_agent::simulator::{Router, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, TIMEOUT, throughout, until};
use super::storage;
use super::stored_logins::ADMIN;
use crate::support::reloading_agent::ReloadingAgent;
use crate::support::router_on_unique_host;

/// A server for webhooks.
#[derive(Default)]
struct Receiver {
    /// The alerts of the messages that it has accepted.
    accepted: Mutex<Vec<Value>>,
    /// Whether it answers that it is unavailable.
    is_down: AtomicBool,
    /// The messages that it has not accepted.
    refused: AtomicUsize,
}

impl Receiver {
    fn start() -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Arc::new(Self::default());
        let server = receiver.clone();
        thread::spawn(move || listener.incoming().for_each(|stream| server.answer(stream.unwrap())));
        (receiver, address)
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        loop {
            let mut line = String::new();
            // An agent that is killed sends no more.
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let status = if self.is_down.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            "503 Service Unavailable"
        } else {
            let message: Value = serde_json::from_slice(&body).unwrap();
            self.accepted.lock().unwrap().extend(message["alerts"].as_array().unwrap().clone());
            "200 OK"
        };
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    }

    /// The kinds and states of the alerts so far.
    fn states(&self) -> Vec<String> {
        let alerts = self.accepted.lock().unwrap();
        alerts.iter().map(|alert| format!("{} {}", alert["kind"], alert["state"]).replace('"', "")).collect()
    }

    #[track_caller]
    fn wait_for(&self, expected: &[&str]) {
        let began = std::time::Instant::now();
        while self.states() != expected {
            assert!(began.elapsed() < TIMEOUT, "expected {expected:?}, got {:?}", self.states());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn given(directory: &Path, router: SocketAddr, receiver: SocketAddr) -> AgentBuilder {
    let alerts = format!(
        "alerts: (on: [SiteDown(after: \"0s\")], to: {{\"ops\": Webhook(url: \"http://{receiver}\")}}),"
    );
    let timings = [
        ("alert_group", "20ms"),
        ("alert_tick", "20ms"),
        ("notify_retry_min", "50ms"),
        ("notify_retry_max", "50ms"),
        ("state_write", "1h"),
    ];
    let given = storage::given(directory).file(&alerts).site("awka", router, "refresh: \"1s\",");
    timings.into_iter().fold(given, |given, (name, value)| given.timing(name, value))
}

fn end(mut agent: Agent, signal: &str) {
    agent.running.signal(signal);
    agent.running.wait_for_exit(Duration::from_secs(2));
}

#[test]
fn an_outage_that_was_announced_is_resolved_once_after_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, at) = Receiver::start();
    let router = router_on_unique_host(Settings::default());
    let address = router.addr();
    let start = || given(folder.path(), address, at).start();
    let mut agent = start();
    agent.wait_until_active("awka");
    drop(router);
    receiver.wait_for(&["SiteDown firing"]);
    for signal in ["TERM", "KILL"] {
        end(agent, signal);
        agent = start();
        agent.wait_for_error("awka", "refused");
        throughout(Duration::from_millis(200), || assert_eq!(receiver.states(), ["SiteDown firing"]));
    }
    let _router = Router::start(address, Settings::default()).unwrap();
    receiver.wait_for(&["SiteDown firing", "SiteDown resolved"]);
    end(agent, "TERM");
    let agent = start();
    agent.wait_until_active("awka");
    throughout(Duration::from_millis(200), || assert_eq!(receiver.states().len(), 2));
    let (first, second) = {
        let alerts = receiver.accepted.lock().unwrap();
        (alerts[0].clone(), alerts[1].clone())
    };
    assert_eq!((&first["id"], &first["since"]), (&second["id"], &second["since"]));
}

#[test]
fn queued_messages_are_delivered_once_after_a_restart() {
    for signal in ["TERM", "KILL"] {
        let folder = tempfile::tempdir().unwrap();
        let (receiver, at) = Receiver::start();
        receiver.is_down.store(true, Ordering::SeqCst);
        let router = router_on_unique_host(Settings::default());
        let address = router.addr();
        let start = || given(folder.path(), address, at).start();
        let agent = start();
        agent.wait_until_active("awka");
        drop(router);
        until("it was tried", || (receiver.refused.load(Ordering::SeqCst) > 0).then_some(()));
        until("it is on disk", || {
            let file = fs::read(folder.path().join("alerts")).unwrap_or_default();
            file.windows(11).any(|bytes| bytes == br#""queued":[{"#).then_some(())
        });
        end(agent, signal);
        let _router = Router::start(address, Settings::default()).unwrap();
        receiver.is_down.store(false, Ordering::SeqCst);
        let agent = start();
        receiver.wait_for(&["SiteDown firing", "SiteDown resolved"]);
        agent.wait_until_active("awka");
        throughout(Duration::from_millis(200), || assert_eq!(receiver.states().len(), 2, "{signal}"));
    }
}

#[test]
fn messages_of_a_removed_channel_are_dropped_with_a_log_line() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, at) = Receiver::start();
    receiver.is_down.store(true, Ordering::SeqCst);
    let router = router_on_unique_host(Settings::default());
    let address = router.addr();
    let agent = ReloadingAgent::start(&given(folder.path(), address, at));
    agent.wait_until_active("awka");
    drop(router);
    until("it was tried", || (receiver.refused.load(Ordering::SeqCst) > 0).then_some(()));
    agent.save(&AgentBuilder::default().site("awka", address, ""));
    agent.running.assert_logged("channel=ops dropped=1", 1);
}

#[test]
fn acknowledgements_and_mutes_survive_a_reload_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, at) = Receiver::start();
    let router = router_on_unique_host(Settings::default());
    let address = router.addr();
    let given = || given(folder.path(), address, at);
    let bearer = format!("Bearer {ADMIN}");
    let kept = |agent: &Agent| {
        let alerts = agent.ask("GET", "/api/alerts", &[("Authorization", &bearer)]).json();
        (alerts["firing"][0]["acknowledged"].clone(), alerts["mutes"].clone())
    };
    let reloading = ReloadingAgent::start(&given());
    reloading.wait_until_active("awka");
    drop(router);
    receiver.wait_for(&["SiteDown firing"]);
    let post = |path: &str, body: &str| {
        reloading.ask_with("POST", path, &[("Authorization", &bearer)], body.as_bytes()).status
    };
    let id = reloading.json("/api/alerts")["firing"][0]["id"].as_str().unwrap().to_string();
    assert_eq!(post(&format!("/api/alerts/{id}/acknowledge"), ""), 200);
    assert_eq!(post("/api/alerts/mute", r#"{"site": "awka", "for": "1h"}"#), 200);
    let before = kept(&reloading);
    assert_eq!((&before.0["by"], &before.1[0]["site"]), (&json!("admin"), &json!("awka")), "{before:?}");
    reloading.save(&given().http("title: \"Another\","));
    assert_eq!(kept(&reloading), before, "after a reload");
    until("both are on disk", || {
        let file = fs::read(folder.path().join("alerts")).ok()?;
        let has = |words: &[u8]| file.windows(words.len()).any(|bytes| bytes == words);
        (has(br#""acknowledged":["admin""#) && has(br#""mutes":[{"#)).then_some(())
    });
    let ReloadingAgent { mut agent, .. } = reloading;
    for signal in ["KILL", "TERM"] {
        end(agent, signal);
        agent = given().start();
        agent.wait_for_error("awka", "refused");
        assert_eq!(kept(&agent), before, "after {signal}");
    }
    // What was announced resolves, and what is new is held back.
    let router = Router::start(address, Settings::default()).unwrap();
    receiver.wait_for(&["SiteDown firing", "SiteDown resolved"]);
    drop(router);
    until("the next outage is an alert", || {
        (agent.json("/api/alerts")["firing"].as_array().unwrap().len() == 1).then_some(())
    });
    throughout(Duration::from_millis(200), || assert_eq!(receiver.states().len(), 2));
}

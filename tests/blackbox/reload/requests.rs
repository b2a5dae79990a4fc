//! What is under way while its site is changed or taken out is answered with sense; who follows is told.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Router, Settings};
use serde_json::{Value, json};

use super::agent::{Answer, Given, PATIENCE, until};
use super::kept::{Kept, met};
use super::router;

/// How slow the router is, so that what it is asked for is under way while the file is read again.
const SLOW: Duration = Duration::from_secs(4);

/// After this a refresh asks anew.
const FRESH: Duration = Duration::from_millis(1200);

/// Commands that make up all of it, as far as it comes at once: two of the kick, a login of the test, and what
/// two sites are refreshed by.
const AT_LEAST: u64 = 9;

/// When an answer must be there that does not wait for the router: the next look at the file, and a busy machine.
const NO_WAIT: Duration = Duration::from_secs(3);

fn given(router: &Router, fields: &str) -> Given {
    // Another one, which keeps the desk from being empty.
    Given::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1h\", query_timeout: \"20s\",")
        .site("awka", router.addr(), fields)
        .site("other", router.addr(), "collect: [\"resource\"]")
}

fn none(router: &Router) -> Given {
    let text = "hosts: [\"127.0.0.1:9\"], password: Plain(\"password\")";
    Given::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1h\",")
        .raw_site("spare", text)
        .site("other", router.addr(), "collect: [\"resource\"]")
}

/// The four that a router is asked for, while the file becomes another; each answer, and how long it took.
#[track_caller]
fn asked_while(change: impl Fn(&Router) -> Given) -> (Router, Kept, Vec<(Answer, Duration)>) {
    let router = router(Settings::default());
    let mut kept = Kept::start(&given(&router, ""));
    kept.agent = kept.agent.with_token("admin-token-01234");
    kept.well("awka");
    kept.well("other");
    let session = kept.json("/api/hotspot/awka/active")[0].clone();
    let kick = json!({ "id": session["id"], "user": session["user"], "mac": session["mac"] }).to_string();
    let asked: [(&str, &str, &[u8]); 4] = [
        ("POST", "/api/hotspot/awka/kick", kick.as_bytes()),
        ("POST", "/api/refresh", b""),
        ("POST", "/api/sites/awka/test", b""),
        ("GET", "/api/hotspot/awka/users", b""),
    ];
    router.set_latency(SLOW);
    let before = router.counters().commands;
    // A refresh so soon after the last one would be answered with that.
    thread::sleep(FRESH);
    let barrier = Barrier::new(asked.len() + 1);
    let answers = thread::scope(|scope| {
        let asking = asked.map(|(method, path, body)| {
            let (kept, barrier) = (&kept, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let began = Instant::now();
                (kept.ask_with(method, path, &[], body), began.elapsed())
            })
        });
        barrier.wait();
        until("all is under way", || (router.counters().commands >= before + AT_LEAST).then_some(()));
        kept.save(&change(&router));
        router.set_latency(Duration::ZERO);
        asking.map(|asking| asking.join().unwrap())
    });
    (router, kept, answers.into())
}

#[test]
fn a_site_that_is_only_renamed_answers_as_ever() {
    let (router, kept, answers) = asked_while(|router| given(router, "name: \"Awka\""));
    for (answer, _) in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(answers[0].0.json()["removed"].as_array().unwrap().len(), 1);
    assert_eq!(answers[1].0.json()["refreshed"], json!(["awka", "other"]));
    // Two sites are at this router, and the test has its own login.
    assert_eq!(met(&router).0, 3);
    assert_eq!(kept.site("awka")["name"], "Awka");
}

#[test]
fn a_site_that_is_taken_out_leaves_nobody_waiting() {
    let (_router, kept, answers) = asked_while(none);
    let [kick, refresh, test, users] = &answers[..] else { panic!() };
    for (answer, took) in [kick, test, users] {
        assert_eq!((answer.status, answer.json()["status"].clone()), (503, json!(503)), "{answer:?}");
        assert!(answer.body.contains("taken out of sites.ron") && *took < NO_WAIT, "{took:?} {answer:?}");
    }
    let refreshed = refresh.0.json();
    assert_eq!((&refreshed["refreshed"], &refreshed["failed"]), (&json!(["other"]), &json!(["awka"])));
    assert_eq!(kept.get("/api/hotspot/awka/users").status, 404);
    assert!(!kept.running.err().contains("panicked"), "{}", kept.running.err());
}

#[test]
fn a_site_that_is_reached_anew_answers_over_the_new_connection_or_says_why_not() {
    let (router, kept, answers) = asked_while(|router| {
        let hosts = format!("hosts: [\"{}\", \"127.0.0.1:9\"], password: Plain(\"password\")", router.addr());
        Given::default()
            .http("admin: Token(Plain(\"admin-token-01234\")),")
            .defaults("refresh: \"1h\", query_timeout: \"20s\",")
            .raw_site("awka", &hosts)
            .site("other", router.addr(), "collect: [\"resource\"]")
    });
    let [(kick, kicked), (refresh, _), _, (users, listed)] = &answers[..] else { panic!() };
    // They run one by one. For the first the router did not fail, and the second finds no connection yet.
    let mut told = [(kick, kicked), (users, listed)].map(|(answer, took)| {
        assert!(*took < NO_WAIT, "{took:?} {answer:?}");
        let (words, status) = match answer.status {
            503 => ("The site was changed", 503),
            status => ("The router has not answered yet", status),
        };
        assert!(answer.body.contains(words), "{answer:?}");
        status
    });
    told.sort_unstable();
    assert_eq!(told, [502, 503]);
    assert_eq!(refresh.json()["refreshed"], json!(["awka", "other"]), "{refresh:?}");
    assert_eq!(router.sessions().len(), 23, "nobody was put out");
    assert_eq!(kept.site("awka")["state"], "online");
    assert_eq!(kept.get("/api/hotspot/awka/users").status, 200);
}

/// The events that come, by name with their data.
struct Followed(BufReader<TcpStream>);

impl Followed {
    fn of(kept: &Kept) -> Self {
        let mut stream = TcpStream::connect(kept.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
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

    /// The next event, and its data.
    #[track_caller]
    fn next(&mut self) -> (String, Value) {
        let mut event = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the events end");
            if let Some(name) = line.strip_prefix("event: ") {
                event = name.trim_end().into();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (event, serde_json::from_str(data).unwrap());
            }
        }
    }
}

#[test]
fn who_follows_is_told_of_each_re_read() {
    let router = router(Settings::default());
    let kept = Kept::start(&given(&router, ""));
    kept.well("awka");
    kept.well("other");
    let mut followed = Followed::of(&kept);
    kept.save(&none(&router));
    let config = followed.config();
    assert_eq!(
        (&config["isCurrent"], &config["sites"], &config["error"]),
        (&json!(true), &json!(2), &Value::Null)
    );
    kept.write("sites.ron", "(", super::kept::Way::InPlace);
    let config = followed.config();
    assert_eq!((&config["isCurrent"], &config["sites"]), (&json!(false), &json!(2)));
    // Who follows may be a viewer, and is told only where it is wrong.
    assert_eq!(config["error"]["problems"][0]["place"], "sites.ron:1:2", "{config}");
    assert!(!config.to_string().contains("not RON"), "{config}");
    kept.save(&given(&router, ""));
    let config = followed.config();
    assert_eq!((&config["isCurrent"], &config["sites"]), (&json!(true), &json!(2)));
    assert!(router.log_in("ada", [10, 5, 70, 1].into(), "8C:F5:A3:00:00:01").is_some());
    loop {
        let (_, site) = followed.next();
        assert_ne!(site["site"], "spare", "it is gone: {site}");
        if site["site"] == "awka" && site["logins"] == 1 {
            break;
        }
    }
}

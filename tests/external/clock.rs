//! A machine without a real-time clock: its clock starts in 1970 and is set later by NTP.

use std::env::consts::ARCH;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use phsweb_agent::simulator::Settings;
use serde_json::Value;

use super::agent::{Agent, AgentBuilder, until};
use super::router;
use crate::support::address::unused_address;

/// The time of the clock at the start, after 1970.
const BOOTED: Duration = Duration::from_secs(90);

/// The tolerance of times on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

fn moment(value: &Value) -> SystemTime {
    humantime::parse_rfc3339(value.as_str().unwrap()).unwrap()
}

fn is_now(value: &Value) -> bool {
    let moment = moment(value);
    moment.elapsed().unwrap_or_else(|error| error.duration()) < SLACK
}

#[test]
#[ignore = "needs libfaketime"]
fn times_are_corrected_when_the_clock_is_set() {
    let router = router(Settings::default());
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("refresh: \"1s\",")
        .timing("notify_retry_max", "100ms");
    let receiver = unused_address();
    let given = given.file(&format!(
        "alerts: (on: [Above(figure: ActiveUsers, limit: 0, clear: 0, after: \"0s\")], \
         to: {{\"ops\": Webhook(url: \"http://{receiver}\")}}),"
    ));
    let given = given.timing("alert_group", "0ms").timing("alert_tick", "50ms");
    let (mut command, folder) = given.site("awka", router.addr(), "").command();
    // The offset of the clock that the program sees.
    let apart = |how: &str| {
        fs::write(folder.path().join("new"), how).unwrap();
        fs::rename(folder.path().join("new"), folder.path().join("apart")).unwrap();
    };
    let began = SystemTime::now();
    apart(&format!("-{}", began.duration_since(UNIX_EPOCH + BOOTED).unwrap().as_secs()));
    let library = format!("/usr/lib/{ARCH}-linux-gnu/faketime/libfaketimeMT.so.1");
    assert!(Path::new(&library).exists(), "no {library}; apt-get install libfaketime");
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", folder.path().join("apart"));
    command.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1");
    let agent = Agent::start(command).with_token("admin-token-01234");

    let stats = agent.wait_until_active("awka");
    assert!(moment(&stats["fetchedAt"]) < UNIX_EPOCH + BOOTED + SLACK + SLACK, "{stats}");
    // An earlier time has no other date.
    assert_eq!(stats["lastActivityAt"], "1970-01-01T00:00:00Z");
    let last_activity = stats["lastActivity"].clone();
    until("a message waits", || {
        let channel = &agent.json("/api/alerts")["channels"][0];
        (channel["queued"] == 1 && channel["failed"] != 0).then_some(())
    });
    until("the log has the time", || agent.running.err().contains("1970-01-01T00:01:").then_some(()));

    apart("+0");
    let stats = agent.stats_when("awka", "its times are current", |stats| is_now(&stats["fetchedAt"]));
    assert_eq!(stats["lastActivity"], last_activity);
    let sessions = agent.json("/api/hotspot/awka/active");
    let last = { sessions.as_array().unwrap().iter() }
        .map(|session| {
            let login = moment(&session["loginTime"]);
            let uptime = Duration::from_secs(session["uptimeSeconds"].as_u64().unwrap());
            assert!(
                login + uptime + SLACK > began && login + uptime < SystemTime::now() + SLACK,
                "{session}"
            );
            login
        })
        .max();
    assert_eq!(last, Some(moment(&stats["lastActivityAt"])));
    assert!(agent.json("/api/config")["loadedAt"].as_str().is_some_and(|at| !at.starts_with("1970")));
    // The message that waited has its date.
    let listener = TcpListener::bind(receiver).unwrap();
    let mut request = BufReader::new(listener.accept().unwrap().0);
    let (mut length, mut line) = (0, String::new());
    while request.read_line(&mut line).unwrap() > 2 {
        length = line.strip_prefix("Content-Length: ").map_or(length, |value| value.trim().parse().unwrap());
        line.clear();
    }
    let mut body = vec![0; length];
    request.read_exact(&mut body).unwrap();
    let message: Value = serde_json::from_slice(&body).unwrap();
    let since = moment(&message["alerts"][0]["since"]);
    assert!(since + SLACK > began && since < SystemTime::now() + SLACK, "{message}");
    // The site is unaffected.
    assert_eq!((&stats["logins"], &stats["logouts"], router.counters().logins), (&0.into(), &0.into(), 1));
}

//! `phsweb-agent notify`: a test message to each channel.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use super::agent::{ProgramOutput, program, run_to_end};
use crate::support::address::unused_address;

/// A secret that no output may contain.
const SECRET: &str = "s3cret-of-the-channel";

/// A server that accepts the messages to `/ok`, and refuses others and repeats their path.
fn receiver() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 8192];
            let read = stream.read(&mut bytes).unwrap();
            let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
            let path = request.split(' ').nth(1).unwrap();
            let (status, body) =
                if path.starts_with("/ok") { ("200 OK", "") } else { ("404 Not Found", path) };
            let length = body.len();
            let response = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(response.as_bytes()).unwrap();
        }
    });
    address
}

/// Runs the command with these channels. Its output must contain no secret.
#[track_caller]
fn notified(channels: &str, names: &[&str]) -> ProgramOutput {
    let folder = tempfile::tempdir().unwrap();
    let alerts = if channels.is_empty() { String::new() } else { format!("alerts: (to: {{{channels}}}),") };
    std::fs::write(folder.path().join("sites.ron"), format!("(sites: {{}}, {alerts})")).unwrap();
    let mut command = program(["notify"].iter().chain(names));
    command.current_dir(folder.path());
    let ended = run_to_end(command);
    for text in [&ended.out, &ended.err] {
        assert!(!text.contains(SECRET), "expected no secret in {text}");
    }
    ended
}

#[test]
fn each_channel_has_a_line_with_the_response_of_its_server() {
    let (receiver, closed) = (receiver(), unused_address());
    let channels = format!(
        "\"ops\": Webhook(url: \"http://{receiver}/ok/{SECRET}\"),
         \"phone\": Ntfy(url: \"http://{receiver}/{SECRET}\", token: Plain(\"{SECRET}\")),
         \"am\": Alertmanager(url: \"http://{closed}\"),"
    );
    let ended = notified(&channels, &[]);
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert_eq!(lines[0], "ops    ok      200 OK");
    assert_eq!(lines[1], "phone  FAILED  404 Not Found: /…");
    let refused = format!("am     FAILED  http://{closed}: Connection refused");
    assert!(lines[2].starts_with(&refused), "{}", ended.out);
    assert_eq!(ended.err.trim_end(), "2 of 3 messages failed.");

    let ended = notified(&channels, &["ops", "ops"]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "ops  ok      200 OK\n", ""));
}

#[test]
fn unknown_channels_and_files_without_channels_are_errors() {
    let channels = "\"ops\": Slack(url: \"https://hooks.slack.com/services/a\"),";
    let ended = notified(channels, &["opss"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("no channel is named \"opss\"; did you mean `ops`?"), "{}", ended.err);
    let ended = notified("", &[]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("has no channel: add one in alerts"), "{}", ended.err);
}

//! `phsweb-agent status`: the sites of a running agent, and agents that can't be asked.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use phsweb_agent::simulator::Settings;
use serde_json::Value;

use super::agent::{Agent, AgentBuilder, ProgramOutput, program, run_to_end, until};
use super::router;
use crate::support::address::unused_address;

const TOKEN: &str = "view-token-0123456789";

/// Runs `status` for an agent at this address, with further arguments and variables.
fn status(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> ProgramOutput {
    let mut command = program(["status", "--url", url].iter().chain(arguments));
    command.envs(variables.iter().copied());
    let ended = run_to_end(command);
    assert!(!ended.err.contains("panicked") && !ended.err.contains(TOKEN), "{}", ended.err);
    ended
}

#[track_caller]
fn assert_failed(ended: &ProgramOutput, code: i32, parts: &[&str]) {
    assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""), "{}", ended.err);
    for part in parts {
        assert!(ended.err.contains(part), "expected {part:?} in {}", ended.err);
    }
}

fn url(agent: &Agent) -> String {
    format!("http://{}", agent.address)
}

#[test]
fn each_site_has_a_line_and_an_offline_one_fails() {
    let (near, far) = (router(Settings::default()), unused_address());
    let online = AgentBuilder::default().site("awka", near.addr(), "").start();
    online.wait_until_active("awka");
    let ended = status(&url(&online), &[], &[]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
    assert!(ended.out.starts_with("awka  online      23 users"), "{}", ended.out);
    // The scheme may be left out.
    assert_eq!(status(&online.address.to_string(), &[], &[]).code, Some(0));

    let agent = AgentBuilder::default().site("awka", near.addr(), "").site("lagos", far, "").start();
    agent.wait_until_active("awka");
    until("lagos is offline", || {
        (agent.json("/api/hotspot/stats")["lagos"]["state"] == "offline").then_some(())
    });
    let ended = status(&url(&agent), &[], &[]);
    assert_eq!((ended.code, ended.err.trim()), (Some(1), "1 of 2 sites offline."), "{}", ended.out);
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ended.out);
    assert!(lines[0].starts_with("awka   online"), "{}", ended.out);
    assert!(lines[1].starts_with("lagos  offline") && lines[1].contains("refused"), "{}", ended.out);

    let ended = status(&url(&agent), &["--json"], &[]);
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((ended.code, &json["lagos"]["state"]), (Some(1), &Value::from("offline")));
    assert_eq!(json["awka"]["activeUsers"], 23);
}

#[test]
fn the_token_is_read_from_a_file_or_a_variable() {
    let near = router(Settings::default());
    let http = format!("view: Token(Plain(\"{TOKEN}\")), admin: Token(Plain(\"admin-token-0123456789\")),");
    let agent = AgentBuilder::default().http(&http).site("awka", near.addr(), "").start().with_token(TOKEN);
    agent.wait_until_active("awka");
    let url = url(&agent);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(status(&url, &["--token-file", file], &[]).code, Some(0));
    assert_eq!(status(&url, &[], &[("PHSWEB_VIEW_TOKEN", TOKEN)]).code, Some(0));
    let admin = [("PHSWEB_VIEW_TOKEN", ""), ("PHSWEB_ADMIN_TOKEN", "admin-token-0123456789")];
    assert_eq!(status(&url, &[], &admin).code, Some(0));

    assert_failed(&status(&url, &[], &[]), 1, &["requires a token", "--token-file", "PHSWEB_VIEW_TOKEN"]);
    assert_failed(&status(&url, &[], &[("PHSWEB_VIEW_TOKEN", "wrong")]), 1, &["rejects the token"]);
    assert_failed(&status(&url, &["--token-file", "/nothing"], &[]), 1, &["/nothing can't be read"]);
    assert_failed(&status(&url, &[], &[("PHSWEB_VIEW_TOKEN", "a\nb")]), 1, &["can't be sent"]);
}

#[test]
fn an_agent_that_does_not_listen_has_a_hint() {
    let url = format!("http://{}", unused_address());
    assert_failed(&status(&url, &[], &[]), 1, &[&url, "refused", "phsweb-agent run", "--url"]);
}

#[test]
fn another_program_is_recognized() {
    let found = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"page\": 200}";
    let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope";
    let login = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>";
    for response in [found, missing, login, text, "SSH-2.0-OpenSSH_9.9\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(response.as_bytes()).unwrap();
        });
        assert_failed(&status(&url, &[], &[]), 1, &[&url, "phsweb-agent", "--url"]);
        server.join().unwrap();
    }
}

#[test]
fn https_is_verified_by_the_fingerprint_or_the_authority() {
    let near = router(Settings::default());
    let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates");
    let tls = format!("tls: (cert: \"{certificates}/page.cert.pem\", key: \"{certificates}/page.key.pem\"),");
    let (mut command, _folder) = AgentBuilder::default().http(&tls).site("awka", near.addr(), "").command();
    let agent = super::agent::Running::start(&mut command);
    let url = format!("https://{}", agent.line("The page is at https://"));
    let pem = format!("{certificates}/page.cert.pem");
    until("awka is online", || {
        let ended = status(&url, &["--ca", &pem], &[]);
        (ended.code == Some(0) && ended.out.contains("online")).then_some(())
    });
    let pin = format!("sha256:{}", "0".repeat(64));
    assert_failed(&status(&url, &["--ca", &pin], &[]), 1, &["fingerprint"]);
    assert_failed(&status(&url, &["--ca", "/nothing"], &[]), 1, &["/nothing can't be read"]);
    assert_failed(&status(&url.replace("https", "http"), &[], &[]), 1, &["http"]);
}

//! Standard error that is blocked, closed or full affects the log only.

use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write, pipe};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use phsweb_agent::simulator::{Fault, Router, Settings};
use rustix::io::ioctl_fionbio;
use serde_json::json;
use tempfile::TempDir;

use super::agent::{Agent, AgentBuilder, run_to_end, until};
use super::router;

/// Maximum time for the agent to end.
const END: Duration = Duration::from_secs(2);

/// The byte that fills the pipe. No log line starts with it.
const FILL: u8 = 0;

/// A pipe without room for another byte, and the number of bytes in it.
fn full_pipe() -> (PipeReader, PipeWriter, usize) {
    let (reader, mut writer) = pipe().unwrap();
    ioctl_fionbio(&writer, true).unwrap();
    let mut filled = 0;
    // The room left at the end may be less than a block.
    for block in [&[FILL; 4096][..], &[FILL]] {
        loop {
            match writer.write(block) {
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    ioctl_fionbio(&writer, false).unwrap();
    (reader, writer, filled)
}

/// An agent that logs at level trace to this pipe.
fn agent_of(router: &Router, stderr: impl Into<Stdio>) -> (Agent, TempDir) {
    let (mut command, folder) = AgentBuilder::default()
        .argument("--log")
        .argument("trace")
        .defaults("refresh: \"1s\",")
        .site("awka", router.addr(), "")
        .command();
    command.stderr(stderr);
    (Agent::start(command), folder)
}

/// Causes more log lines than the queue holds: each request is one.
fn flood_log(agent: &Agent) {
    for _ in 0..1100 {
        assert_eq!(agent.get("/healthz").status, 200);
    }
}

#[track_caller]
fn ends(agent: &mut Agent) {
    agent.running.signal("TERM");
    let status = agent.running.wait_for_exit(END);
    assert_eq!(status.code(), Some(0), "{status}");
}

/// Checks that the agent refreshes, reconnects, serves all pages, and ends at a signal.
#[track_caller]
fn works_and_ends(agent: &mut Agent, router: &Router) {
    agent.wait_until_all_are_read();
    let before = router.counters().commands;
    until("the site was refreshed a few times", || (router.counters().commands >= before + 12).then_some(()));
    router.set_fault(Some(Fault::Refuse));
    router.reboot();
    agent.wait_for_error("awka", "closed");
    router.set_fault(None);
    let before = router.counters().commands;
    agent.wait_until_all_are_read();
    until("the site is refreshed again", || (router.counters().commands >= before + 9).then_some(()));
    for path in ["/", "/sites/awka", "/api/hotspot/stats", "/api/sites", "/healthz", "/readyz"] {
        assert_eq!(agent.get(path).status, 200, "{path}");
    }
    ends(agent);
}

#[test]
fn a_blocked_log_delays_nothing() {
    let router = router(Settings::default());
    let (mut reader, writer, filled) = full_pipe();
    assert!(filled >= 4096, "{filled}");
    let (mut agent, _folder) = agent_of(&router, writer);
    works_and_ends(&mut agent, &router);
    // The pipe was full all the time, so no byte of a line was written.
    let mut held = Vec::new();
    reader.read_to_end(&mut held).unwrap();
    assert!(held.len() == filled && held.iter().all(|byte| *byte == FILL), "{} of {filled}", held.len());
}

#[test]
fn a_closed_log_affects_nothing() {
    let router = router(Settings::default());
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let (mut agent, _folder) = agent_of(&router, writer);
    works_and_ends(&mut agent, &router);
}

#[test]
fn a_full_disk_affects_only_the_log() {
    let router = router(Settings::default());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (mut agent, _folder) = agent_of(&router, full);
    works_and_ends(&mut agent, &router);
}

#[test]
fn a_long_line_is_truncated_and_later_lines_are_written() {
    let router = router(Settings::default());
    let mut agent =
        AgentBuilder::default().argument("--log").argument("trace").site("awka", router.addr(), "").start();
    let path = format!("/{}", "long/".repeat(1500));
    assert_eq!(agent.get(&path).status, 404);
    // It is logged after its response.
    until("the request is logged", || agent.running.err().contains("…\n").then_some(()));
    ends(&mut agent);
    let log = agent.running.err();
    let (_, after) = log.split_once("path=\"/long/").unwrap();
    let (line, after) = after.split_once("…\n").unwrap();
    assert!((2000..3100).contains(&line.len()) && !line.contains('\n'), "{line}");
    assert!(after.contains("signal=Term "), "{after}");
}

#[test]
fn the_reason_for_the_end_is_the_last_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (given, _folder) = AgentBuilder::default().command();
    // So few descriptors that a warning is logged first.
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n 100; exec "$0" run --listen "$1""#]);
    command.arg(given.get_program()).arg(&address).env_clear();
    command.current_dir(given.get_current_dir().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = run_to_end(command);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let lines: Vec<&str> = ended.err.lines().collect();
    let [warning, error] = &lines[..] else { panic!("{lines:?}") };
    assert!(warning.contains("open_files=100 "), "{warning}");
    assert!(error.starts_with(&format!("can't listen at {address}")), "{error}");
}

#[test]
fn a_blocked_log_does_not_delay_the_end() {
    let router = router(Settings::default());
    let (_reader, writer, _) = full_pipe();
    let (mut agent, _folder) = agent_of(&router, writer);
    flood_log(&agent);
    ends(&mut agent);
}

/// Makes room in a full pipe, ends the agent, and returns the lines written meanwhile.
fn rest_until_end(agent: &mut Agent, mut reader: impl Read + Send + 'static, filled: usize) -> String {
    reader.read_exact(&mut vec![FILL; filled]).unwrap();
    let rest = thread::spawn(move || {
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        rest
    });
    ends(agent);
    rest.join().unwrap()
}

#[test]
fn lost_lines_are_counted_once_the_log_has_room() {
    let router = router(Settings::default());
    let (reader, writer, filled) = full_pipe();
    let (mut agent, _folder) = agent_of(&router, writer);
    flood_log(&agent);
    let rest = rest_until_end(&mut agent, reader, filled);
    assert!(rest.contains("log lines were lost"), "{rest}");
}

#[test]
fn an_audit_line_is_written_in_spite_of_a_full_queue() {
    let router = router(Settings::default());
    let (reader, writer, filled) = full_pipe();
    let (mut command, _folder) = AgentBuilder::default()
        .argument("--log")
        .argument("trace")
        .http("admin: Token(Plain(\"admin-token-of-the-test\")),")
        .site("awka", router.addr(), "")
        .command();
    command.stderr(writer);
    let mut agent = Agent::start(command).with_token("admin-token-of-the-test");
    agent.wait_until_active("awka");
    flood_log(&agent);
    let session = router.sessions().remove(0);
    let kick = json!({ "id": session.id, "user": session.user, "mac": session.mac }).to_string();
    assert_eq!(agent.post("/api/hotspot/awka/kick", kick).status, 200);
    flood_log(&agent);
    let rest = rest_until_end(&mut agent, reader, filled);
    assert_eq!(rest.matches("[phsweb_agent::audit] action=kick site=awka user=").count(), 1, "{rest}");
    assert!(rest.contains("log lines were lost"), "{rest}");
}

#[test]
fn a_new_reader_of_the_log_gets_later_lines() {
    let router = router(Settings::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Opening one end blocks until the other is open, except for opening both at once.
    let both = File::options().read(true).write(true).open(&path).unwrap();
    let writer = File::options().write(true).open(&path).unwrap();
    drop(both);
    let (mut agent, _folder) = agent_of(&router, writer);
    agent.wait_until_active("awka");
    let mut reader = File::open(&path).unwrap();
    assert_eq!(agent.get("/api/sites/awka").status, 200);
    ends(&mut agent);
    let mut lines = String::new();
    reader.read_to_string(&mut lines).unwrap();
    assert!(lines.contains("method=GET path=\"/api/sites/awka\" status=200"), "{lines}");
}

#[test]
fn an_outage_is_one_line_in_spite_of_repeated_attempts() {
    let routers = [router(Settings::default()), router(Settings::default()), router(Settings::default())];
    let [stalled, half_open, lost] = &routers;
    stalled.set_fault(Some(Fault::Stall));
    half_open.set_fault(Some(Fault::HalfOpen));
    let agent = AgentBuilder::default()
        .defaults("refresh: \"1s\", query_timeout: \"200ms\",")
        .site("stalled", stalled.addr(), "")
        .site("half-open", half_open.addr(), "")
        .site("lost", lost.addr(), "")
        .start();
    agent.wait_until_active("lost");
    lost.set_fault(Some(Fault::HalfOpen));
    for (router, connections) in [(stalled, 4), (half_open, 4), (lost, 5)] {
        until("the host was tried several times", || {
            (router.counters().connections >= connections).then_some(())
        });
    }
    let silent = "query_timeout";
    for (site, expected, cause) in [("stalled", 1, silent), ("half-open", 1, silent), ("lost", 2, silent)] {
        agent.wait_for_error(site, "query_timeout");
        agent.running.assert_logged(&format!("] site={site} state=offline cause={cause} "), 1);
        agent.running.assert_logged(&format!("] site={site} "), expected);
    }
    agent.running.assert_logged("] site=lost state=online host=", 1);
}

//! Standard error is a pipe to somebody else: what becomes of it is nobody's trouble but its own.

use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write, pipe};
use std::process::Stdio;
use std::time::Duration;

use phsweb_agent::simulator::{Fault, Router, Settings};
use rustix::io::ioctl_fionbio;

use super::agent::{Agent, Given, until};
use super::router;

/// What the end may take.
const END: Duration = Duration::from_secs(2);

/// What the pipe is filled with, and no log line begins with.
const FILL: u8 = 0;

/// A pipe that takes not one byte more, and how many it has taken.
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

/// An agent that logs all there is to this pipe.
fn agent_of(router: &Router, stderr: PipeWriter) -> (Agent, tempfile::TempDir) {
    let (mut command, folder) = Given::default()
        .argument("--log")
        .argument("trace")
        .defaults("refresh: \"1s\",")
        .site("awka", router.addr(), "")
        .command();
    command.stderr(Stdio::from(stderr));
    (Agent::start(command), folder)
}

/// Online, refreshed again and again, serving it all, and ended when told to.
#[track_caller]
fn is_well_and_ends(agent: &mut Agent, router: &Router) {
    agent.well("awka");
    // A login and four commands a refresh.
    until("it has refreshed a few times", || (router.counters().commands >= 17).then_some(()));
    router.set_fault(Some(Fault::Refuse));
    router.reboot();
    agent.fails("awka", "closed");
    router.set_fault(None);
    let before = router.counters().commands;
    agent.well("awka");
    until("it goes on refreshing", || (router.counters().commands >= before + 9).then_some(()));
    for path in ["/", "/sites/awka", "/api/hotspot/stats", "/api/sites", "/healthz", "/readyz"] {
        assert_eq!(agent.get(path).status, 200, "{path}");
    }
    agent.running.signal("TERM");
    let status = agent.running.ended(END);
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn nobody_waits_for_who_reads_the_log() {
    let router = router(Settings::default());
    let (mut reader, writer, filled) = full_pipe();
    assert!(filled >= 4096, "{filled}");
    let (mut agent, _folder) = agent_of(&router, writer);
    is_well_and_ends(&mut agent, &router);
    // The pipe was full all the time: not one byte of a line found room.
    let mut held = Vec::new();
    reader.read_to_end(&mut held).unwrap();
    assert!(held.len() == filled && held.iter().all(|byte| *byte == FILL), "{} of {filled}", held.len());
}

#[test]
fn nobody_misses_who_read_the_log() {
    let router = router(Settings::default());
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let (mut agent, _folder) = agent_of(&router, writer);
    is_well_and_ends(&mut agent, &router);
}

#[test]
fn lines_that_found_no_room_are_counted_once_there_is_some() {
    let router = router(Settings::default());
    let (mut reader, writer, filled) = full_pipe();
    let (mut agent, _folder) = agent_of(&router, writer);
    agent.well("awka");
    // Each hangup is a line, beside those of the trace.
    until("more lines than can wait were made", || {
        let answers = (0..20).all(|_| agent.get("/healthz").status == 200);
        (answers && router.counters().commands >= 17).then_some(())
    });
    reader.read_exact(&mut vec![FILL; filled]).unwrap();
    let rest = std::thread::spawn(move || {
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        rest
    });
    agent.running.signal("TERM");
    assert_eq!(agent.running.ended(END).code(), Some(0));
    let rest = rest.join().unwrap();
    assert!(rest.contains("lines were lost"), "{rest}");
}

#[test]
fn an_outage_is_one_line_however_often_it_is_tried() {
    let routers = [router(Settings::default()), router(Settings::default()), router(Settings::default())];
    let [stalled, half_open, lost] = &routers;
    stalled.set_fault(Some(Fault::Stall));
    half_open.set_fault(Some(Fault::HalfOpen));
    let agent = Given::default()
        .defaults("refresh: \"1s\", query_timeout: \"200ms\",")
        .site("stalled", stalled.addr(), "")
        .site("half-open", half_open.addr(), "")
        .site("lost", lost.addr(), "")
        .start();
    agent.well("lost");
    lost.set_fault(Some(Fault::HalfOpen));
    for (router, connections) in [(stalled, 4), (half_open, 4), (lost, 5)] {
        until("it was tried a few times", || (router.counters().connections >= connections).then_some(()));
    }
    for (site, expected) in [("stalled", 1), ("half-open", 1), ("lost", 2)] {
        agent.fails(site, "query_timeout");
        let said = agent.running.err();
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(&format!("] {site}: "))).collect();
        assert_eq!(lines.len(), expected, "{site}: {said}");
        assert!(lines[expected - 1].contains(&format!("] {site}: offline: query_timeout: ")), "{said}");
    }
    assert!(agent.running.err().contains("] lost: online at "), "{}", agent.running.err());
}

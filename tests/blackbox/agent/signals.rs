//! SIGTERM and SIGINT end each command cleanly, whatever it is doing.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use phsweb_agent::simulator::{Fault, Settings};

use super::agent::{Agent, AgentBuilder, Running, program, until};
use super::router;

/// Maximum time for the program to end.
const END: Duration = Duration::from_secs(2);

#[track_caller]
fn ends(running: &mut Running, signal: &str) {
    running.signal(signal);
    let status = running.wait_for_exit(END);
    assert_eq!(status.code(), Some(0), "{signal}: {status}\n{}", running.err());
    assert!(!running.err().contains("panicked"), "{}", running.err());
}

#[test]
fn an_agent_ends_while_a_request_is_half_sent_and_a_router_stalls() {
    for signal in ["TERM", "INT"] {
        let router = router(Settings::default());
        let stalled = super::router(Settings::default());
        stalled.set_fault(Some(Fault::Stall));
        let mut agent = AgentBuilder::default()
            .defaults("query_timeout: \"60s\",")
            .site("awka", router.addr(), "")
            .site("stalled", stalled.addr(), "")
            .start();
        agent.wait_until_active("awka");
        until("the other site waits for its router", || (stalled.counters().commands > 0).then_some(()));
        let mut head = TcpStream::connect(agent.address).unwrap();
        head.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half").unwrap();
        let mut body = TcpStream::connect(agent.address).unwrap();
        body.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
        // Both were accepted by the time that a later request is answered.
        assert_eq!(agent.get("/healthz").status, 200);
        ends(&mut agent.running, signal);
        TcpStream::connect(agent.address).unwrap_err();
        until("the router's connection is closed", || (router.counters().open == 0).then_some(()));
    }
}

#[test]
fn an_action_that_a_signal_interrupts_is_logged() {
    let router = router(Settings::default());
    let mut agent = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-01234\")),")
        .defaults("query_timeout: \"60s\", refresh: \"1h\",")
        .site("awka", router.addr(), "")
        .start()
        .with_token("admin-token-01234");
    agent.wait_until_all_are_read();
    let before = router.counters().commands;
    router.set_fault(Some(Fault::Stall));
    let mut kick = TcpStream::connect(agent.address).unwrap();
    let body = r#"{"id":"*1","user":"ada","mac":"8C:F5:A3:00:00:01"}"#;
    let head =
        "POST /api/hotspot/awka/kick HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer admin-token-01234";
    write!(kick, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    until("the router has the command of the kick", || (router.counters().commands > before).then_some(()));
    ends(&mut agent.running, "TERM");
    let log = agent.running.err();
    let line =
        log.lines().find(|line| line.contains("action=kick site=awka")).unwrap_or_else(|| panic!("{log}"));
    for part in ["by=admin", "result=failed", "The agent is shutting down. It is unknown"] {
        assert!(line.contains(part), "expected {part} in {line}");
    }
}

#[test]
fn a_demo_ends_at_a_signal() {
    for signal in ["TERM", "INT"] {
        let mut agent = Agent::demo(&[]);
        ends(&mut agent.running, signal);
    }
}

#[test]
fn simulated_routers_end_while_a_client_is_connected() {
    for signal in ["TERM", "INT"] {
        let mut simulated = Running::start(&mut program(["simulate", "--routers", "2", "--port", "0"]));
        let port = simulated.line("127.0.0.1:");
        let port: u16 = port.split_whitespace().next().unwrap().parse().unwrap();
        simulated.line("Log in as");
        let mut half = TcpStream::connect(("127.0.0.1", port)).unwrap();
        half.write_all(b"\x06/log").unwrap();
        ends(&mut simulated, signal);
    }
}

#[test]
fn sighup_does_not_end_the_agent() {
    let mut agent = Agent::demo(&["--sites", "1"]);
    agent.running.signal("HUP");
    until("the signal is logged", || agent.running.err().contains("signal=Hup ").then_some(()));
    agent.wait_until_active("awka");
    ends(&mut agent.running, "TERM");
}

#[test]
fn a_restarted_command_logs_the_restart_and_ends_at_a_signal_during_the_wait() {
    let router = router(Settings::default());
    let given = AgentBuilder::default().site("awka", router.addr(), "");
    let (run, _folder) = given.command();
    let commands = [run, program(["demo", "--listen", "127.0.0.1:0"]), program(["simulate", "--port", "0"])];
    for mut command in commands {
        for (restarts, is_waiting) in [("1", false), ("100", true)] {
            let mut running = Running::start(command.env("PHSWEB_AGENT_RESTARTS", restarts));
            until("the restart is logged", || {
                running.err().contains("restarted after a panic").then_some(())
            });
            if !is_waiting {
                until("the command runs", || (!running.out().is_empty()).then_some(()));
            }
            assert_eq!(running.out().is_empty(), is_waiting, "{}", running.out());
            ends(&mut running, "TERM");
        }
    }
}

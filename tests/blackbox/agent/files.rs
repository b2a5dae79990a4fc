//! An invalid file prevents the start: every problem is reported with its position, and the exit code is 1.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use super::agent::{Agent, AgentBuilder, ProgramOutput, program, run_to_end};
use super::router;

/// Marks the position of a problem in a text; it is removed before use.
const MARK: char = '¤';

/// The text without marks, and their positions.
fn places(marked: &str) -> (String, Vec<String>) {
    let mut places = Vec::new();
    let mut text = String::new();
    for (line, rest) in marked.split('\n').enumerate() {
        let mut pieces = rest.split(MARK).peekable();
        let mut column = 1;
        while let Some(piece) = pieces.next() {
            text += piece;
            column += piece.chars().count();
            if pieces.peek().is_some() {
                places.push(format!("sites.ron:{}:{column}: ", line + 1));
            }
        }
        text.push('\n');
    }
    (text, places)
}

fn run(text: &[u8]) -> ProgramOutput {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sites.ron"), text).unwrap();
    let mut command = program(["run", "--config", "sites.ron", "--listen", "127.0.0.1:0"]);
    command.current_dir(folder.path());
    run_to_end(command)
}

/// Checks that the agent did not start, and its error.
#[track_caller]
fn refused(ended: &ProgramOutput) {
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    assert!(!ended.out.contains("The page is at"), "{}", ended.out);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
}

#[test]
fn each_problem_has_its_line_and_column() {
    let site = |fields: &str| format!("(\n  sites: {{\n    \"awka\": ({fields}),\n  }},\n)");
    let good = "user: \"u\", password: Plain(\"p\")";
    for (text, message) in [
        ("(\n  sites: {\n    \"awka\": (hosts: [\"r\"] ¤user: \"u\"),\n  },\n)".into(), "not RON"),
        ("(\n  ¤htp: (),\n  sites: {},\n)".into(), "`http`"),
        ("¤(\n  http: (),\n)".into(), "sites"),
        ("(\n  http: (listen: ¤\"nowhere\"),\n  sites: {},\n)".into(), "127.0.0.1:8080"),
        ("(\n  http: (admin: ¤Token(Env(\"NOT_THERE\"))),\n  sites: {},\n)".into(), "NOT_THERE"),
        ("(\n  http: (view: ¤Pubic),\n  sites: {},\n)".into(), "Public"),
        ("(\n  defaults: (refresh: ¤\"30x\"),\n  sites: {},\n)".into(), "duration"),
        ("(\n  defaults: (collect: [\"hotspot\", ¤\"hotspt\"]),\n  sites: {},\n)".into(), "`hotspot`"),
        (
            "(\n  sites: {\n    ¤\"a b\": (hosts: [\"r\"], user: \"u\", password: Plain(\"p\")),\n  },\n)"
                .into(),
            "letters",
        ),
        (
            "(\n  sites: {\n    ¤\"stats\": (hosts: [\"r\"], user: \"u\", password: Plain(\"p\")),\n  },\n)"
                .into(),
            "stats",
        ),
        (
            format!(
                "(\n  sites: {{\n    \"a\": (hosts: [\"r\"], {good}),\n    ¤\"a\": (hosts: [\"r\"], {good}),\n  }},\n)"
            ),
            "\"a\"",
        ),
        (format!("(\n  sites: {{\n    ¤\"{}\": (hosts: [\"r\"], {good}),\n  }},\n)", "k".repeat(41)), "40"),
        (site(&format!("hosts: [¤\"10.0.0.256\"], {good}")), "10.0.0.256"),
        (site(&format!("hosts: [\"r\", ¤\"r:99999\"], {good}")), "r:99999"),
        (site(&format!("hosts: ¤[], {good}")), "at least one host"),
        (site(&format!("hosts: [\"r\"], {good}, ¤pasword: Plain(\"x\")")), "`password`"),
        (site(&format!("hosts: [\"r\"], {good}, refresh: ¤\"999ms\"")), "1s"),
        (site(&format!("hosts: [\"r\"], {good}, codepage: ¤\"windows-9\"")), "windows-1250"),
        (site(&format!("hosts: [\"r\"], {good}, login: ¤Chalenge")), "Challenge"),
        (site(&format!("hosts: [\"r\"], {good}, query_timeout: ¤5")), "5"),
        (site(&format!("hosts: [\"r\"], {good}, collect: [¤\"leazes\"]")), "leases"),
        (site("hosts: [\"r\"], user: \"u\", password: ¤Env(\"NOT_THERE\")"), "NOT_THERE"),
        (site("hosts: [\"r\"], user: \"u\", password: ¤File(\"not/there\")"), "not/there"),
        ("(\n  sites: {\n    \"awka\": ¤(hosts: [\"r\"], user: \"u\"),\n  },\n)".into(), "password"),
        ("(\n  sites: {\n    \"awka\": ¤(hosts: [\"r\"], password: Plain(\"p\")),\n  },\n)".into(), "user"),
        ("(\n  sites: {\n    \"awka\": ¤(user: \"u\", password: Plain(\"p\")),\n  },\n)".into(), "hosts"),
        ("(\n  sites: {\n    \"ẹ́kọ́\": ¤7,\n  },\n)".replace("ẹ́kọ́", "eko"), "a number"),
        // Columns count characters, not bytes.
        (site(&format!("name: \"Ẹnugu – ọ̀nà\", hosts: [¤\"a b\"], {good}")), "a b"),
    ] {
        let (text, places) = places(&text);
        let [place] = &places[..] else { panic!("one mark: {places:?}") };
        let ended = run(text.as_bytes());
        refused(&ended);
        let line = ended.err.lines().find(|line| line.starts_with(place.as_str()));
        let line = line.unwrap_or_else(|| panic!("expected a problem at {place} for {text}: {}", ended.err));
        assert!(line.contains(message), "expected {message:?}, got {line}");
    }
}

#[test]
fn all_problems_are_reported_in_file_order() {
    let (text, places) = places(
        "(\n  http: (max_connections: ¤3),\n  defaults: (user: \"u\", ¤colour: 1),\n  sites: {\n    \
         \"a\": (hosts: [¤\"x y\"], password: ¤Env(\"GONE\"), refresh: ¤\"soon\"),\n    \
         \"b\": (hosts: [\"r\"], password: Plain(\"p\"), live: ¤7),\n  },\n)",
    );
    let ended = run(text.as_bytes());
    refused(&ended);
    let problems: Vec<&str> = ended.err.lines().filter(|line| line.starts_with("sites.ron:")).collect();
    assert_eq!(problems.len(), places.len(), "{}", ended.err);
    for (problem, place) in problems.iter().zip(&places) {
        assert!(problem.starts_with(place), "expected a problem at {place}, got {problem}");
    }
}

#[test]
fn file_that_is_not_utf_8_is_rejected() {
    for bytes in [&b"(sites: {\"\xFF\": ()})"[..], b"\0\0\0\0", b""] {
        let ended = run(bytes);
        refused(&ended);
        assert!(ended.err.contains("sites.ron"), "{}", ended.err);
    }
}

/// The program in an empty folder.
fn nowhere(arguments: &[&str]) -> (Command, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(arguments);
    command.current_dir(folder.path());
    (command, folder)
}

#[test]
fn missing_file_error_lists_searched_paths_and_alternatives() {
    assert!(
        !std::path::Path::new("/etc/phsweb-agent/sites.ron").exists(),
        "expected no file on this machine"
    );
    for arguments in [&["run"][..], &["run", "--simulate"], &["check"], &["test"]] {
        let (command, _folder) = nowhere(arguments);
        let ended = run_to_end(command);
        refused(&ended);
        for text in ["sites.ron", "/etc/phsweb-agent/sites.ron", "--config", "PHSWEB_CONFIG", "demo"] {
            assert!(ended.err.contains(text), "expected {text:?} in {}", ended.err);
        }
    }
    let (command, _folder) = nowhere(&["--config", "gone.ron"]);
    let ended = run_to_end(command);
    refused(&ended);
    assert!(ended.err.contains("gone.ron"), "{}", ended.err);
}

#[test]
fn file_path_is_from_the_option_the_variable_or_the_default() {
    let file = |key: &str| {
        let given = AgentBuilder::default().raw_site(key, "hosts: [\"127.0.0.1:9\"], password: Plain(\"p\")");
        given.text()
    };
    let keys = |command: Command| -> Vec<String> {
        let sites = Agent::start(command).json("/api/sites");
        sites.as_object().unwrap().keys().cloned().collect()
    };
    let folder = tempfile::tempdir().unwrap();
    for key in ["option", "variable"] {
        fs::write(folder.path().join(format!("{key}.ron")), file(key)).unwrap();
    }
    fs::write(folder.path().join("sites.ron"), file("folder")).unwrap();
    let command = |arguments: &[&str], variable: bool| {
        let mut command = program(arguments);
        command.current_dir(folder.path());
        if variable {
            command.env("PHSWEB_CONFIG", "variable.ron");
        }
        command
    };
    assert_eq!(keys(command(&["run"], false)), ["folder"]);
    assert_eq!(keys(command(&["run"], true)), ["variable"]);
    assert_eq!(keys(command(&["--config", "option.ron"], true)), ["option"]);
}

#[test]
fn address_in_use_error_has_a_hint() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let router = router(phsweb_agent::simulator::Settings::default());
    let (mut run, _folder) = AgentBuilder::default().site("awka", router.addr(), "").command();
    run.args(["--listen", &address]);
    for command in [run, program(["demo", "--listen", &address])] {
        let ended = run_to_end(command);
        refused(&ended);
        assert!(ended.err.contains(&address) && ended.err.contains("--listen"), "{}", ended.err);
    }
    assert_eq!(router.counters().connections, 0, "expected no connection to the router");
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run_to_end(program(["simulate", "--port", &port]));
    refused(&ended);
    assert!(ended.err.contains(&address) && ended.err.contains("--port"), "{}", ended.err);
}

/// Kubernetes sets `NAME_PORT=tcp://…` in each pod next to a Service of that name.
#[test]
fn port_variable_with_a_url_is_ignored_and_logged() {
    let router = router(phsweb_agent::simulator::Settings::default());
    let agent = AgentBuilder::default()
        .site("awka", router.addr(), "")
        .variable("MIKROTIK_AWKA_PORT", "tcp://10.96.0.7:8728")
        .start();
    agent.wait_until_active("awka");
    agent.running.assert_logged("site=awka msg=\"MIKROTIK_AWKA_PORT is ignored", 1);
}

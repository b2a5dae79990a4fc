//! Messages of routers are quoted: truncated, and never as a separate line.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use phsweb_agent::routeros::wire::Sentence;
use serde_json::Value;

use super::agent::{AgentBuilder, program, run_to_end, until};
use super::peer::Peer;

/// A forged log line, which must not get into the log.
const FORGED: &str = "2026-01-01T00:00:00.000Z ERROR [phsweb_agent::site] site=awka state=forged";

/// Upper bound of the text of a router in a page, JSON or log line, in characters: eight traps.
const SHORT: usize = 2000;

/// Upper bound of the memory growth for long messages, in KiB: less than one reply.
const MORE_KIB: u64 = 6 * 1024;

/// A reply with these traps.
fn traps<'m>(tag: &str, messages: impl IntoIterator<Item = &'m str>) -> Vec<Sentence> {
    let trap = |message| Sentence::from_words(["!trap", tag, &format!("=message={message}")]);
    let mut answer: Vec<Sentence> = messages.into_iter().map(trap).collect();
    answer.push(Sentence::from_words(["!done", tag]));
    answer
}

/// Checks that a message quotes the router and is truncated.
#[track_caller]
fn is_short_line(text: &Value) {
    let text = text.as_str().unwrap();
    assert!(text.contains("forged"), "expected the message of the router, got {text:?}");
    assert!(text.chars().count() < SHORT, "{} characters", text.chars().count());
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[test]
fn long_router_messages_are_truncated() {
    // Each character costs a page or a JSON several: so much the worse when they are repeated.
    let long = format!("\n{FORGED}\r\n\u{1b}[2J{}", "\"<\u{1}\n".repeat(30_000));
    assert!(long.len() > 120_000 && long.len() < 128 * 1024);
    let peer = Peer::start(move |tag| traps(tag, std::iter::repeat_n(long.as_str(), 60)));
    let agent = peer.agent("admin: Token(Plain(\"admin-token-01234\")),").with_token("admin-token-01234");
    let paths =
        ["/", "/sites/awka", "/api/sites", "/api/sites/awka", "/api/hotspot/stats", "/api/hotspot/awka"];
    let ask_all = || {
        for path in paths {
            let answer = agent.get(path);
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.body.len() < 64 * 1024, "{path} has {} bytes", answer.body.len());
        }
    };
    agent.wait_until_active("awka");
    ask_all();
    let before = agent.running.memory_kib("VmHWM");
    peer.set_bad();
    let site = until("the plugin fails", || {
        let site = agent.json("/api/sites/awka");
        site["plugins"]["resource"]["error"].is_object().then_some(site)
    });
    is_short_line(&site["plugins"]["resource"]["error"]["message"]);
    for _ in 0..3 {
        ask_all();
        peer.wait_for_commands(1);
    }
    assert_eq!(agent.json("/api/sites/awka")["state"], "online", "expected the site to stay online");
    let more = agent.running.memory_kib("VmHWM") - before;
    assert!(more < MORE_KIB, "expected less than {MORE_KIB} KiB above {before}, got {more}");

    let logged = until("the log has the line", || {
        let logged = agent.running.err();
        logged.contains("site=awka plugin=resource state=failed cause=protocol ").then_some(logged)
    });
    assert!(logged.contains(FORGED), "expected {FORGED:?} within a line: {logged}");
    for line in logged.lines() {
        assert!(!line.starts_with(FORGED) && !line.contains(char::is_control), "{line:?} in {logged}");
        assert!(line.chars().count() < SHORT, "{} characters", line.chars().count());
    }
}

#[test]
fn line_break_in_a_fatal_reason_does_not_forge_a_log_line() {
    let last = format!("\n{FORGED}\r\n{}", "\"\u{1}".repeat(60_000));
    let peer = Peer::start(move |_| vec![Sentence::from_words(["!fatal", &last])]);
    let agent = peer.agent("");
    agent.wait_until_active("awka");
    peer.set_bad();
    is_short_line(&agent.wait_for_error("awka", "closed")["error"]["message"]);
    let logged = until("the log has the line", || {
        let logged = agent.running.err();
        logged.contains("site=awka state=offline cause=closed ").then_some(logged)
    });
    assert!(logged.contains(FORGED), "expected {FORGED:?} within a line: {logged}");
    assert!(!logged.lines().any(|line| line.starts_with(FORGED)), "{logged}");
}

#[test]
fn timeout_trap_is_a_reply_and_no_query_timeout() {
    let peer = Peer::start(|tag| traps(tag, ["std failure: timeout (13)"]));
    peer.set_bad();
    let agent = peer.agent("");
    // The second command is sent after the first reply was handled.
    peer.wait_for_commands(4);
    let site = agent.json("/api/sites/awka");
    let plugin = &site["plugins"]["resource"];
    assert_eq!((&site["state"], &plugin["state"]), (&"online".into(), &"failed".into()), "{site}");
    assert_eq!(plugin["error"]["cause"], "query_timeout", "{site}");
    assert!(plugin["error"]["message"].as_str().unwrap().contains("(13)"), "{site}");
    assert_eq!((peer.logins(), &site["usage"]["logins"]), (1, &1.into()), "expected one connection: {site}");
    assert_eq!(site["connections"].as_array().unwrap().len(), 1, "{site}");
}

/// A message about a private menu may contain names of people.
#[test]
fn messages_about_a_private_menu_are_for_the_admin_only() {
    const WORDS: &str = "failure: the lease of ngozi-adichie is broken";
    // First a failed reply, then a reply that ends with a trap after a row.
    let breaks = Arc::new(AtomicBool::new(false));
    let peer = Peer::answering({
        let breaks = Arc::clone(&breaks);
        move |path, tag| match path {
            "/ip/hotspot/active/print" | "/test/lease/print" => {
                let row = Sentence::from_words(["!re", tag, "=.id=*1", "=user=somebody", "=name=somebody"]);
                let row = breaks.load(Ordering::SeqCst).then_some(row);
                row.into_iter().chain(traps(tag, [WORDS])).collect()
            }
            _ => vec![Sentence::from_words(["!done", tag])],
        }
    });
    let collect = "collect: [\"hotspot\", \"leases\"], live: false";
    let agent = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-of-this-test\")),")
        .defaults("refresh: \"1s\",")
        .plugin("leases", "menu: \"/test/lease\", columns: [\"name\"], private: true")
        .site("awka", peer.address, collect)
        .start();
    for part in ["error", "partial"] {
        until(&format!("the site has a {part}"), || {
            let plugins = &agent.json("/api/sites/awka")["plugins"];
            ["hotspot", "leases"].iter().all(|name| !plugins[*name][part].is_null()).then_some(())
        });
        for path in
            ["/", "/sites/awka", "/api/sites", "/api/sites/awka", "/api/hotspot/stats", "/api/hotspot/awka"]
        {
            let body = |token: &str| agent.ask("GET", path, &[("Authorization", token)]).body;
            let (viewer, admin) = (body(""), body("Bearer admin-token-of-this-test"));
            assert!(!viewer.contains("ngozi"), "{part} at {path}: {viewer}");
            assert!(viewer.contains("shown to the admin"), "{part} at {path}: {viewer}");
            assert!(admin.contains("ngozi"), "{part} at {path}: {admin}");
        }
        let metrics =
            agent.ask("GET", "/metrics", &[("Authorization", "Bearer admin-token-of-this-test")]).body;
        assert!(!metrics.contains("ngozi"), "{metrics}");
        breaks.store(true, Ordering::SeqCst);
    }
    let mut events = TcpStream::connect(agent.address).unwrap();
    write!(
        events,
        "GET /api/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer admin-token-of-this-test\r\n\r\n"
    )
    .unwrap();
    let mut lines = BufReader::new(events).lines().map(Result::unwrap);
    let data = lines.find(|line| line.starts_with("data: ") && line.contains("awka")).unwrap();
    assert!(data.contains("shown to the admin") && !data.contains("ngozi"), "{data}");
}

/// Such a character can make a line look like another one, or like two.
#[test]
fn control_characters_reach_neither_log_nor_terminal() {
    const STEERS: [char; 6] = ['\u{202e}', '\u{2066}', '\u{200f}', '\u{2028}', '\u{feff}', '\u{e0041}'];
    let words: String =
        ["no"].into_iter().map(str::to_string).chain(STEERS.map(|c| format!("{c}forged"))).collect();
    let peer = Peer::start(move |tag| traps(tag, [words.as_str()]));
    peer.set_bad();
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-of-this-test\")),")
        .defaults("refresh: \"1s\",")
        .site("awka", peer.address, "name: \"A\u{202e}B\"");
    let (mut tests, _folder) = given.command();
    tests = {
        let mut command = program(["test"]);
        command.current_dir(tests.get_current_dir().unwrap());
        command
    };
    let ended = run_to_end(tests);
    let agent = given.start().with_token("admin-token-of-this-test");
    let site = until("the plugin fails", || {
        let site = agent.json("/api/sites/awka");
        site["plugins"]["resource"]["error"].is_object().then_some(site)
    });
    let message = site["plugins"]["resource"]["error"]["message"].as_str().unwrap();
    for text in [&agent.running.err(), &agent.running.out(), &ended.out, &ended.err, message] {
        assert!(!text.contains(STEERS), "{text:?}");
    }
    assert!(ended.out.contains("no\u{fffd}forged\u{fffd}forged"), "{}", ended.out);
    until("the message is logged", || {
        agent.running.err().contains("no\u{fffd}forged\u{fffd}forged").then_some(())
    });
}

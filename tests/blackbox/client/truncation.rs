//! An answer with a limit of its own is truncated there, and the connection stays usable.

use std::time::Duration;

use phsweb_agent::routeros::client::{Command, Limit, MAX_DROPPED, MAX_REPLY, MAX_UNSOLICITED};
use phsweb_agent::routeros::error::Cause;
use phsweb_agent::routeros::login::LoginMethod;
use phsweb_agent::simulator::{Router, Row, Settings};

use super::limits::long_row;
use super::peer::{Peer, ReceivedCommand, TIMEOUT, at, attributes, sentence, with};

/// Far more than any answer here has.
const UNLIMITED: usize = 1 << 30;

fn limited(path: &str, rows: usize, bytes: usize) -> Command {
    Command::new(path).at_most(Limit { rows, bytes })
}

/// The `/cancel` of this command, which must come next.
#[track_caller]
fn cancelled(peer: &mut Peer, command: &ReceivedCommand) -> ReceivedCommand {
    let cancel = peer.command();
    let named = format!("={}", &command.tag()[1..]);
    assert!(cancel.words[0] == "/cancel" && cancel.words.contains(&named), "{named:?}: {cancel:?}");
    cancel
}

#[test]
fn an_answer_is_truncated_at_its_row_limit_and_the_rest_is_dropped() {
    let script = |peer: &mut Peer| {
        let commands = [peer.command(), peer.command()];
        for n in 0..4 {
            peer.send(&["!re", commands[0].tag(), &format!("=n={n}")]);
        }
        let cancel = cancelled(peer, &commands[0]);
        // What was in transit: more than the limit of unsolicited sentences.
        peer.write(&sentence(&["!re", commands[0].tag(), "=n=late"]).repeat(2 * MAX_UNSOLICITED));
        peer.send(&["!re", commands[1].tag(), "=n=other"]);
        peer.send(&["!done", commands[1].tag()]);
        peer.send(&["!trap", commands[0].tag(), "=category=2", "=message=interrupted"]);
        peer.send(&["!done", cancel.tag()]);
        peer.send(&["!done", commands[0].tag()]);
        let next = peer.command();
        peer.send(&["!done", next.tag()]);
        // The answer has ended, so these are unsolicited.
        peer.write(&sentence(&["!re", commands[0].tag()]).repeat(MAX_UNSOLICITED + 1));
        peer.closed();
    };
    with(script, async |session| {
        let commands = vec![limited("/a", 3, UNLIMITED), Command::new("/b")];
        let replies = session.client.call_all(&commands, TIMEOUT).await;
        let [truncated, other] = &replies[..] else { panic!() };
        let (truncated, other) = (truncated.as_ref().unwrap(), other.as_ref().unwrap());
        assert_eq!(truncated.rows.iter().flat_map(attributes).collect::<Vec<_>>(), ["=n=0", "=n=1", "=n=2"]);
        assert_eq!(truncated.partial(), Some("only the first 3 rows are taken".to_string().into()));
        assert_eq!(other.rows.iter().flat_map(attributes).collect::<Vec<_>>(), ["=n=other"]);
        assert_eq!((other.is_truncated, other.partial()), (false, None));
        session.call("/c").await.unwrap();
        assert_eq!(session.ended().await.cause, Cause::Protocol);
    });
}

/// The router was slow to start, and then to process the `/cancel`.
#[test]
fn the_rest_of_an_answer_after_a_timeout_is_dropped() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        let cancel = cancelled(peer, &command);
        peer.write(&sentence(&["!re", command.tag(), "=n=late"]).repeat(2 * MAX_UNSOLICITED));
        peer.send(&["!done", command.tag()]);
        peer.send(&["!done", cancel.tag()]);
        let next = peer.command();
        peer.send(&["!done", next.tag()]);
        peer.closed();
    };
    with(script, async |session| {
        let late = session.client.call(limited("/a", 3, UNLIMITED), Duration::from_millis(50)).await;
        assert_eq!(late.unwrap_err().cause, Cause::QueryTimeout);
        session.call("/b").await.unwrap();
    });
}

#[test]
fn an_answer_of_exactly_the_row_limit_is_whole() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        peer.write(&sentence(&["!re", command.tag()]).repeat(3));
        peer.send(&["!done", command.tag()]);
        peer.closed();
    };
    let reply = with(script, async |session| session.client.call(limited("/a", 3, UNLIMITED), TIMEOUT).await);
    let reply = reply.unwrap();
    assert_eq!((reply.rows.len(), reply.is_truncated), (3, false));
}

#[test]
fn an_answer_is_truncated_at_its_byte_limit() {
    for (kind, fewest) in [("!re", 10), ("!trap", 0)] {
        let script = move |peer: &mut Peer| {
            let command = peer.command();
            let row = sentence(&[kind, command.tag(), "=message=0123456789"]);
            peer.write(&row.repeat(10_000));
            cancelled(peer, &command);
            peer.closed();
        };
        let reply =
            with(script, async |session| session.client.call(limited("/a", UNLIMITED, 8192), TIMEOUT).await);
        match reply {
            Ok(reply) => {
                assert!(
                    reply.is_truncated && (fewest..400).contains(&reply.rows.len()),
                    "{}",
                    reply.rows.len()
                );
            }
            // Without a row, the traps are the error.
            Err(error) => assert!(kind == "!trap" && error.message.contains("0123456789"), "{error}"),
        }
    }
}

#[test]
fn an_answer_with_a_limit_makes_room_for_one_without() {
    const ROW: usize = 0x8000;
    let script = |peer: &mut Peer| {
        let commands: Vec<ReceivedCommand> = (0..3).map(|_| peer.command()).collect();
        // The two with a limit take nearly all of the memory, and the first takes more.
        for _ in 0..MAX_REPLY / ROW / 2 {
            peer.write(&long_row(commands[0].tag()));
        }
        for _ in 0..MAX_REPLY / ROW / 3 {
            peer.write(&long_row(commands[1].tag()));
        }
        for _ in 0..MAX_REPLY / ROW / 3 {
            peer.write(&long_row(commands[2].tag()));
        }
        cancelled(peer, &commands[0]);
        for command in &commands {
            peer.send(&["!done", command.tag()]);
        }
        peer.closed();
    };
    let commands =
        vec![limited("/a", UNLIMITED, UNLIMITED), limited("/b", UNLIMITED, UNLIMITED), Command::new("/c")];
    let replies = with(script, async |session| session.client.call_all(&commands, TIMEOUT).await);
    let is_truncated: Vec<bool> = replies.iter().map(|reply| reply.as_ref().unwrap().is_truncated).collect();
    assert_eq!(is_truncated, [true, false, false]);
    assert_eq!(replies[2].as_ref().unwrap().rows.len(), MAX_REPLY / ROW / 3);
}

#[test]
fn a_router_that_ignores_the_cancel_is_disconnected() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        peer.flood(&sentence(&["!re", command.tag()]).repeat(4096), 2 * MAX_DROPPED / 4096 + 100);
    };
    with(script, async |session| {
        assert!(session.client.call(limited("/a", 3, UNLIMITED), TIMEOUT).await.unwrap().is_truncated);
        let error = session.ended().await;
        assert_eq!(error.cause, Cause::Protocol);
        assert!(error.message.contains(&MAX_DROPPED.to_string()), "{error}");
    });
}

#[test]
fn a_truncated_answer_leaves_the_connection_usable() {
    let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
    let row = |n: u64| Row::new().with("src-address", "10.0.0.1:50000").with("orig-bytes", n);
    router.set_rows("/ip/firewall/connection", (0..20_000).map(row).collect());
    at(router.addr(), async |session| {
        let client = &session.client;
        client.login("api-user", "password", LoginMethod::Plain, TIMEOUT).await.unwrap();
        for _ in 0..5 {
            let large = limited("/ip/firewall/connection/print", 100, UNLIMITED);
            let replies = client.call_all(&[large, Command::new("/ip/hotspot/active/print")], TIMEOUT).await;
            let [large, active] = &replies[..] else { panic!() };
            assert_eq!(large.as_ref().unwrap().rows.len(), 100);
            assert_eq!(active.as_ref().unwrap().rows.len(), 23);
        }
        // It has not sent all of the five times 20,000 rows.
        let received = client.usage().received_bytes;
        assert!(received < 5 * 20_000 * 40, "{received} bytes arrived");
    });
    assert_eq!(router.counters().connections, 1);
}

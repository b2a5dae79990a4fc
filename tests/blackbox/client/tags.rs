//! The smallest free tag is used, because each sentence of an answer repeats it. It is free once its answer has ended.

use std::time::Duration;

use phsweb_agent::routeros::client::Command;
use phsweb_agent::routeros::error::Cause;
use smol::future::poll_once;

use super::peer::{Peer, ReceivedCommand, TIMEOUT, attributes, with};

/// Long enough for an answer that is sent, short enough to wait for one that is not.
const SHORT: Duration = Duration::from_millis(150);

/// The next command, which must be this one with this tag.
#[track_caller]
fn expect(peer: &mut Peer, path: &str, tag: u64) -> ReceivedCommand {
    let command = peer.command();
    let tag = format!(".tag={tag}");
    assert!(command.words[0] == path && command.tag() == tag, "expected {path} {tag}, got {command:?}");
    command
}

#[test]
fn a_tag_is_used_again_after_its_answer_has_ended() {
    let script = |peer: &mut Peer| {
        for _ in 0..3 {
            let commands = [expect(peer, "/a", 1), expect(peer, "/b", 2)];
            for command in commands.iter().rev() {
                peer.send(&["!done", command.tag(), &format!("=ret={}", command.words[0])]);
            }
        }
        peer.closed();
    };
    with(script, async |session| {
        let commands = ["/a", "/b"].map(Command::new);
        for _ in 0..3 {
            let replies = session.client.call_all(&commands, TIMEOUT).await;
            let rets: Vec<_> = replies.into_iter().map(|reply| reply.unwrap().ret.unwrap()).collect();
            assert_eq!(rets, [b"/a", b"/b"]);
        }
    });
}

/// Late rows must not become rows of another answer.
#[test]
fn the_tag_of_an_answer_that_nobody_waits_for_is_free_after_its_end_only() {
    let script = |peer: &mut Peer| {
        expect(peer, "/late", 1);
        expect(peer, "/cancel", 2);
        peer.send(&["!done", ".tag=2"]);
        expect(peer, "/dropped", 2);
        expect(peer, "/next", 3);
        for tag in [".tag=1", ".tag=2"] {
            peer.send(&["!re", tag, "=from=late"]);
            peer.send(&["!trap", tag, "=category=2", "=message=interrupted"]);
        }
        peer.send(&["!done", ".tag=1"]);
        peer.send(&["!re", ".tag=3", "=from=next"]);
        peer.send(&["!done", ".tag=3"]);
        expect(peer, "/listen", 1);
        expect(peer, "/cancel", 3);
        peer.send(&["!done", ".tag=2"]);
        peer.send(&["!done", ".tag=3"]);
        peer.send(&["!re", ".tag=1", "=from=listen"]);
        for path in ["/again", "/after"] {
            let tag = expect(peer, path, 2);
            peer.send(&["!re", tag.tag(), "=from=again"]);
            peer.send(&["!done", tag.tag()]);
        }
        peer.closed();
    };
    with(script, async |session| {
        let client = &session.client;
        let late = client.call(Command::new("/late"), SHORT).await;
        assert_eq!(late.unwrap_err().cause, Cause::QueryTimeout);
        // The end of the `/cancel` arrives before the next command.
        while client.usage().unsolicited == 0 {
            smol::future::yield_now().await;
        }
        assert!(poll_once(client.call(Command::new("/dropped"), TIMEOUT)).await.is_none());
        let row = async |path: &str| {
            let reply = session.call(path).await.unwrap();
            reply.rows.iter().flat_map(attributes).collect::<Vec<_>>()
        };
        assert_eq!(row("/next").await, ["=from=next"]);
        let listen = client.listen(&Command::new("/listen"));
        drop(listen);
        while client.usage().unsolicited < 9 {
            smol::future::yield_now().await;
        }
        assert_eq!(row("/again").await, ["=from=again"]);
        assert_eq!(row("/after").await, ["=from=again"]);
    });
}

/// More than the multiplexer remembers.
#[test]
fn the_tag_of_an_answer_that_never_ends_is_not_used_again() {
    const NEVER_ENDED: usize = 100;
    let script = |peer: &mut Peer| {
        for _ in 0..NEVER_ENDED {
            assert_eq!(peer.command().words[0], "/never");
        }
        let next = peer.command();
        assert_eq!(
            (next.words[0].as_str(), next.tag()),
            ("/next", format!(".tag={}", NEVER_ENDED + 1).as_str())
        );
        for tag in 1..=NEVER_ENDED {
            peer.send(&["!re", &format!(".tag={tag}"), "=from=never"]);
        }
        peer.send(&["!done", next.tag()]);
        peer.closed();
    };
    with(script, async |session| {
        for _ in 0..NEVER_ENDED {
            let call = session.client.call(Command::new("/never"), TIMEOUT);
            assert!(poll_once(call).await.is_none());
        }
        assert!(session.call("/next").await.unwrap().rows.is_empty());
    });
}

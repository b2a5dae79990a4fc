//! Memory limits of the client with a hostile router. Each test runs again in its own process, whose peak memory is
//! then due to this test.

use std::fs;

use phsweb_agent::routeros::client::MAX_REPLY;
use phsweb_agent::routeros::error::{Cause, Error};
use phsweb_agent::routeros::login::LoginMethod;

use super::peer::{Peer, Session, TIMEOUT, sentence, with};

/// The limit for a reply: its bytes, and three times as much for the offsets of words and rows and for growing
/// vectors.
const REPLY: usize = 4 * MAX_REPLY;

/// The limit where nothing is kept: a word, a sentence, buffers.
const BUFFERS: usize = 2 * 1024 * 1024;

/// The bytes from the router after which a test fails.
const MAX_SENT: usize = 256 * 1024 * 1024;

/// The peak memory of this process, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// The router sends `first` and then `repeated` until the client closes, while the client waits for a reply. The
/// client's memory must not grow by more than `limit`.
#[track_caller]
fn flooded(
    test: &str,
    limit: usize,
    first: &'static [u8],
    repeated: impl FnOnce(&str) -> Vec<u8> + Send + 'static,
) {
    let script = move |peer: &mut Peer| {
        let command = peer.command();
        let piece = repeated(command.tag());
        peer.write(first);
        peer.flood(&piece, MAX_SENT / piece.len());
    };
    measured(test, limit, script, async |session| session.call("/a").await.map(drop));
}

/// Runs `act` with a router that runs `script`, until the connection ends, and checks the memory.
#[track_caller]
fn measured(
    test: &str,
    limit: usize,
    script: impl FnOnce(&mut Peer) + Send + 'static,
    act: impl AsyncFnOnce(&Session) -> Result<(), Error>,
) {
    if !super::is_own_process(&format!("memory::{test}"), "true") {
        return;
    }
    // The first connection also takes threads and code, which are not measured.
    let warm_up = |peer: &mut Peer| {
        let command = peer.command();
        peer.send(&["!done", command.tag()]);
    };
    with(warm_up, async |session| session.call("/a").await).unwrap();
    let before = peak();
    let error = with(script, async |session| {
        act(session).await.unwrap_err();
        session.ended().await
    });
    let grown = peak() - before;
    println!("{test} grew by {} KiB until {error}", grown / 1024);
    assert_eq!(error.cause, Cause::Protocol, "{error}");
    assert!(grown <= limit, "expected growth of at most {} KiB, got {} KiB", limit / 1024, grown / 1024);
}

#[test]
fn word_length_above_the_limit() {
    let _shared = super::beside_others();
    flooded("word_length_above_the_limit", BUFFERS, b"\xF0\x7F\xFF\xFF\xFF", |_| vec![b'x'; 4096]);
}

#[test]
fn endless_row() {
    let _shared = super::beside_others();
    flooded("endless_row", BUFFERS, b"\x03!re", |_| b"\x04=a=b".repeat(100));
}

#[test]
fn replies_with_unknown_tags() {
    let _shared = super::beside_others();
    flooded("replies_with_unknown_tags", BUFFERS, b"", |_| {
        sentence(&["!re", ".tag=999", "=a=b"]).repeat(100)
    });
}

#[test]
fn endless_hotspot_rows() {
    let _shared = super::beside_others();
    let row = |tag: &str| {
        let words = [
            "!re",
            tag,
            "=.id=*A053202",
            "=server=hotspot1",
            "=user=ngozi.okafor",
            "=address=10.5.50.2",
            "=mac-address=8C:F5:A3:00:00:01",
            "=uptime=1w2d3h4m5s",
            "=bytes-in=123456789",
            "=bytes-out=123456789",
        ];
        sentence(&words).repeat(20)
    };
    flooded("endless_hotspot_rows", REPLY, b"", row);
}

#[test]
fn endless_empty_rows() {
    let _shared = super::beside_others();
    flooded("endless_empty_rows", REPLY, b"", |tag| sentence(&["!re", tag]).repeat(100));
}

#[test]
fn endless_rows_of_short_words() {
    let _shared = super::beside_others();
    let row = |tag: &str| {
        let words: Vec<_> = ["!re", tag].into_iter().chain([""; 1000].map(|_| "x")).collect();
        sentence(&words)
    };
    flooded("endless_rows_of_short_words", REPLY, b"", row);
}

#[test]
fn endless_traps() {
    let _shared = super::beside_others();
    flooded("endless_traps", REPLY, b"", |tag| sentence(&["!trap", tag]).repeat(100));
}

/// Any program on the port can send this, because it precedes the login. A login has no tag.
#[test]
fn endless_traps_to_a_login() {
    let _shared = super::beside_others();
    let script = |peer: &mut Peer| {
        peer.command();
        let traps = sentence(&["!trap"]).repeat(1000);
        peer.flood(&traps, MAX_SENT / traps.len());
    };
    measured("endless_traps_to_a_login", REPLY, script, async |session| {
        session.client.login("api-user", "password", LoginMethod::Plain, TIMEOUT).await
    });
}

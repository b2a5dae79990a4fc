//! Limits of what the client accepts: each is a `protocol` error with its figure, and ends the connection.

use phsweb_agent::routeros::client::{Command, MAX_REPLY, MAX_ROWS, MAX_UNSOLICITED};
use phsweb_agent::routeros::error::Cause;
use phsweb_agent::routeros::wire::{MAX_SENTENCE, MAX_WORD, MAX_WORDS};
use phsweb_agent::simulator::{Fault, Router, Settings};

use super::peer::{Peer, TIMEOUT, at, sentence, with};

/// Sends two commands at once, and expects both to fail with these figures.
#[track_caller]
fn refused(script: impl FnOnce(&mut Peer) + Send + 'static, figures: &[&str]) {
    with(script, async |session| {
        let commands = ["/a", "/b"].map(Command::new);
        let replies = session.client.call_all(&commands, TIMEOUT).await;
        for error in replies.into_iter().map(Result::unwrap_err).chain([session.ended().await]) {
            assert_eq!(error.cause, Cause::Protocol, "{error}");
            for figure in figures {
                assert!(error.message.contains(figure), "expected {figure} in {:?}", error.message);
            }
        }
    });
}

/// Answers the first of two commands with these bytes, and waits until the client closes.
fn writing(bytes: &'static [u8]) -> impl FnOnce(&mut Peer) + Send {
    move |peer| {
        peer.command();
        peer.command();
        peer.write(bytes);
        peer.closed();
    }
}

#[test]
fn a_word_with_too_long_a_length_ends_the_connection() {
    let max = MAX_WORD.to_string();
    refused(writing(&[0xF0, 0x7F, 0xFF, 0xFF, 0xFF]), &["2147483647", &max]);
    refused(writing(b"\x03!re\xF0\xFF\xFF\xFF\xFF"), &["4294967295", &max]);
    // One byte more than the limit: 0x20001.
    assert_eq!(MAX_WORD, 0x2_0000);
    refused(writing(&[0xC2, 0x00, 0x01]), &["131073", &max]);
}

#[test]
fn a_control_byte_ends_the_connection() {
    for byte in 0xF8..=0xFF_u8 {
        let script = move |peer: &mut Peer| {
            peer.command();
            peer.command();
            peer.write(&[3, b'!', b'r', b'e', byte]);
            peer.closed();
        };
        refused(script, &[&format!("0x{byte:02x}")]);
    }
}

#[test]
fn an_endless_row_ends_the_connection() {
    let script = |peer: &mut Peer| {
        peer.command();
        peer.command();
        peer.write(b"\x03!re");
        peer.flood(b"\x04=a=b", 1_000_000);
    };
    refused(script, &[&MAX_WORDS.to_string()]);
}

#[test]
fn too_long_a_row_ends_the_connection() {
    let script = |peer: &mut Peer| {
        peer.command();
        peer.command();
        peer.write(b"\x03!re");
        // 0x10000 bytes, which is C1 00 00.
        let word = [b"\xC1\x00\x00=a=".as_slice(), &vec![b'x'; 0x1_0000 - 3]].concat();
        peer.flood(&word, 1000);
    };
    refused(script, &[&MAX_SENTENCE.to_string()]);
}

/// Answers the next command with `count` rows.
fn rows(peer: &mut Peer, count: usize) {
    let command = peer.command();
    let row = sentence(&["!re", command.tag()]);
    peer.write(&row.repeat(count));
    peer.send(&["!done", command.tag()]);
}

#[test]
fn the_maximum_number_of_rows_is_accepted() {
    let script = |peer: &mut Peer| {
        rows(peer, MAX_ROWS);
        peer.closed();
    };
    let reply = with(script, async |session| session.call("/a").await).unwrap();
    assert_eq!(reply.rows.len(), MAX_ROWS);
}

#[test]
fn too_many_rows_end_the_connection() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        peer.command();
        let row = sentence(&["!re", command.tag()]);
        peer.flood(&row.repeat(1024), 10_000);
    };
    refused(script, &[&MAX_ROWS.to_string()]);
}

/// A row of one value: `!re`, the tag, and a word of 0x8000 bytes, which is C0 80 00.
pub(super) fn long_row(tag: &str) -> Vec<u8> {
    let start = sentence(&["!re", tag]);
    let value = vec![b'x'; 0x8000 - 3];
    [&start[..start.len() - 1], b"\xC0\x80\x00=a=", &value, b"\0"].concat()
}

#[test]
fn an_answer_of_the_maximum_size_is_accepted() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        let row = long_row(command.tag());
        // The words before the values take less than a thousandth.
        for _ in 0..MAX_REPLY / row.len() - 1 {
            peer.write(&row);
        }
        peer.send(&["!done", command.tag()]);
        peer.closed();
    };
    let reply = with(script, async |session| session.call("/a").await).unwrap();
    assert!(reply.rows.len() >= 250 && reply.rows.iter().all(|row| row.get("a").unwrap().len() == 0x7FFD));
}

#[test]
fn too_long_an_answer_ends_the_connection() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        peer.command();
        let accepted = peer.flood(&long_row(command.tag()), 100_000);
        assert!(accepted >= 250, "expected at least 250 accepted rows, got {accepted}");
    };
    refused(script, &[&MAX_REPLY.to_string()]);
}

#[test]
fn endless_traps_end_the_connection() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        peer.command();
        let trap = sentence(&["!trap", command.tag(), "=message=no such command"]);
        peer.flood(&trap.repeat(1024), 10_000);
    };
    refused(script, &[&MAX_REPLY.to_string()]);
}

#[test]
fn some_unsolicited_sentences_are_ignored() {
    let script = |peer: &mut Peer| {
        for _ in 0..2 {
            let command = peer.command();
            let unsolicited = sentence(&["!re", ".tag=999"]);
            peer.write(&unsolicited.repeat(MAX_UNSOLICITED));
            peer.send(&["!done", command.tag()]);
        }
        peer.closed();
    };
    let usage = with(script, async |session| {
        // An answer between them resets the count.
        session.call("/a").await.unwrap();
        session.call("/b").await.unwrap();
        session.client.usage()
    });
    assert_eq!(usage.unsolicited, 2 * MAX_UNSOLICITED as u64);
}

#[test]
fn endless_unsolicited_sentences_end_the_connection() {
    let script = |peer: &mut Peer| {
        peer.command();
        peer.command();
        peer.flood(&sentence(&["!re", ".tag=999"]).repeat(1024), 10_000);
    };
    refused(script, &[&MAX_UNSOLICITED.to_string()]);
}

#[test]
fn random_bytes_end_the_connection() {
    for _ in 0..20 {
        let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
        router.set_fault(Some(Fault::Garbage));
        let error = at(router.addr(), async |session| session.call("/a").await.unwrap_err());
        // Sometimes all of the garbage has the form of sentences.
        assert!(matches!(error.cause, Cause::Protocol | Cause::Closed), "{error}");
    }
}

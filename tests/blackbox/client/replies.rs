//! The forms of an answer, which is the same however its bytes are split.

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use phsweb_agent::routeros::client::{Client, Command};
use phsweb_agent::routeros::error::Cause;
use phsweb_agent::routeros::rows::Rows;

use super::peer::{Peer, TIMEOUT, attributes, sentence, with};

/// Answers the next command with these sentences, `TAG` in them being its tag.
fn answer(sentences: &'static [&'static [&'static str]]) -> impl FnOnce(&mut Peer) + Send {
    move |peer| {
        let command = peer.command();
        for words in sentences {
            let words: Vec<_> =
                words.iter().map(|word| if *word == "TAG" { command.tag() } else { word }).collect();
            peer.send(&words);
        }
        peer.closed();
    }
}

#[test]
fn interleaved_answers_reach_their_commands() {
    let script = |peer: &mut Peer| {
        let commands = [peer.command(), peer.command(), peer.command()];
        let [a, b, c] = [0, 1, 2].map(|n: usize| commands[n].tag());
        assert_eq!(commands[1].words[0], "/b");
        for words in [
            &["!re", c, "=n=c1"][..],
            &["!re", "=n=a1", a],
            &["!re", b, "=n=b1"],
            &["!done", c],
            &["!re", a, "=n=a2"],
            &["!re", "=n=b2", b],
            &["!done", b, "=ret=7"],
            &["!re", a, "=n=a3"],
            &["!done", a],
        ] {
            peer.send(words);
        }
        peer.closed();
    };
    let replies = with(script, async |session| {
        session.client.call_all(&["/a", "/b", "/c"].map(Command::new), TIMEOUT).await
    });
    let replies: Vec<_> = replies.into_iter().map(Result::unwrap).collect();
    let rows: Vec<Vec<_>> =
        replies.iter().map(|reply| reply.rows.iter().flat_map(attributes).collect()).collect();
    assert_eq!(rows, [vec!["=n=a1", "=n=a2", "=n=a3"], vec!["=n=b1", "=n=b2"], vec!["=n=c1"]]);
    let rets: Vec<_> = replies.iter().map(|reply| reply.ret.as_deref()).collect();
    assert_eq!(rets, [None, Some(&b"7"[..]), None]);
}

#[test]
fn a_bare_row_is_a_row() {
    let script = answer(&[&["!re", "TAG"], &["!re", "TAG", "=x=1"], &["!done", "TAG"]]);
    let reply = with(script, async |session| session.call("/a").await).unwrap();
    assert_eq!(reply.rows.iter().map(attributes).collect::<Vec<_>>(), [vec![], vec!["=x=1".to_string()]]);
}

#[test]
fn an_answer_without_rows_has_two_forms() {
    let before_7_18 = answer(&[&["!done", "TAG"]]);
    let from_7_18 = answer(&[&["!empty", "TAG"], &["!done", "TAG"]]);
    let one = with(before_7_18, async |session| session.call("/a").await).unwrap();
    let other = with(from_7_18, async |session| session.call("/a").await).unwrap();
    for reply in [one, other] {
        assert_eq!((reply.rows, reply.ret, reply.traps), (Rows::default(), None, vec![]));
    }
}

#[test]
fn a_count_arrives_with_the_end() {
    let script = answer(&[&["!done", "TAG", "=ret=13"]]);
    let reply = with(script, async |session| session.call("/a").await).unwrap();
    assert_eq!(reply.ret.as_deref(), Some(&b"13"[..]));
}

#[test]
fn several_traps_are_one_error_with_the_cause_of_the_first() {
    let script = answer(&[
        &["!trap", "TAG", "=category=0", "=message=no such command or directory (active)"],
        &["!trap", "=message=no such command prefix", "TAG"],
        &["!trap", "TAG", "=message=not enough permissions (9)"],
        &["!done", "TAG"],
    ]);
    let error = with(script, async |session| session.call("/a").await).unwrap_err();
    assert_eq!(error.cause, Cause::Unsupported);
    for message in
        ["no such command or directory (active)", "not enough permissions (9)", "no such command prefix"]
    {
        assert!(error.message.contains(message), "expected {message:?} in {:?}", error.message);
    }
}

#[test]
fn rows_before_a_trap_are_a_partial_answer() {
    let script = answer(&[
        &["!re", "TAG", "=.id=*1"],
        &["!re", "TAG", "=.id=*2"],
        &["!trap", "TAG", "=category=4", "=message=no such item"],
        &["!done", "TAG"],
    ]);
    let reply = with(script, async |session| session.call("/a").await).unwrap();
    assert_eq!(reply.rows.iter().flat_map(attributes).collect::<Vec<_>>(), ["=.id=*1", "=.id=*2"]);
    assert_eq!(reply.traps.len(), 1);
    assert_eq!(reply.traps[0].message, "no such item");
}

#[test]
fn a_trap_leaves_the_session_usable() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        peer.send(&["!trap", command.tag(), "=message=not enough permissions (9)"]);
        peer.send(&["!done", command.tag()]);
        let command = peer.command();
        peer.send(&["!done", command.tag(), "=ret=ok"]);
        peer.closed();
    };
    with(script, async |session| {
        assert_eq!(session.call("/a").await.unwrap_err().cause, Cause::Permission);
        assert_eq!(session.call("/b").await.unwrap().ret.as_deref(), Some(&b"ok"[..]));
    });
}

/// The number of a trap is at the end of its message.
#[test]
fn a_number_in_the_middle_of_a_trap_is_ignored() {
    let script = answer(&[&["!trap", "TAG", "=message=failure: the room (6) is taken"], &["!done", "TAG"]]);
    let error = with(script, async |session| session.call("/a").await).unwrap_err();
    assert_ne!(error.cause, Cause::Auth, "{error}");
}

#[test]
fn unsolicited_sentences_are_dropped_and_counted() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        for words in [
            &["!re", ".tag=999", "=n=1"][..],
            &["!done", ".tag=999"],
            &["!re", ".tag=ab-c", "=n=2"],
            &["!trap", ".tag=", "=message=no such item"],
            &["!re", "=n=3"],
            &["!done"],
            // Empty sentences are ignored.
            &[],
            &[],
        ] {
            peer.send(words);
        }
        peer.send(&["!re", command.tag(), "=n=4"]);
        peer.send(&["!done", command.tag()]);
        peer.send(&["!done", command.tag()]);
        let command = peer.command();
        peer.send(&["!done", command.tag()]);
        peer.closed();
    };
    with(script, async |session| {
        let reply = session.call("/a").await.unwrap();
        assert_eq!(reply.rows.iter().flat_map(attributes).collect::<Vec<_>>(), ["=n=4"]);
        assert!(session.call("/b").await.unwrap().rows.is_empty());
        assert_eq!(session.client.usage().unsolicited, 7);
    });
}

#[test]
fn values_may_contain_any_bytes() {
    // A value of 300 bytes, so that its word's length (303) has two: 81 2F.
    let long = [b"\x81\x2F=l=".as_slice(), &[b'=', 0xFF, 0x00].repeat(100)].concat();
    let rest = long.clone();
    let script = move |peer: &mut Peer| {
        let command = peer.command();
        let tag = sentence(&[command.tag()]);
        let tag = &tag[..tag.len() - 1];
        let words: [&[u8]; 7] = [
            b"\x03!re",
            b"\x08=c=a=b=c",
            tag,
            b"\x07=n=\x00x\r\n",
            b"\x0A=caf\xE9=\xCF\xF0\x00!",
            b"\x02=k\x09=t=.tag=0",
            &rest,
        ];
        peer.write(&[&words.concat(), b"\0\x05!done".as_slice(), tag, b"\0"].concat());
        peer.closed();
    };
    let reply = with(script, async |session| session.call("/a").await).unwrap();
    let row = reply.rows.first().unwrap();
    assert_eq!(row.get("c"), Some(&b"a=b=c"[..]));
    assert_eq!(row.get("n"), Some(&b"\0x\r\n"[..]));
    assert_eq!(row.get("k"), Some(&b""[..]));
    assert_eq!(row.get("t"), Some(&b".tag=0"[..]));
    assert_eq!(row.get("l"), Some(&long[5..]));
    let odd = row.attributes().find(|(key, _)| key.starts_with(b"caf")).unwrap();
    assert_eq!(odd, (&b"caf\xE9"[..], &b"\xCF\xF0\0!"[..]));
}

#[test]
fn an_unknown_kind_of_reply_is_a_protocol_error() {
    let script = answer(&[&["!what", "TAG"]]);
    let error = with(script, async |session| session.call("/a").await).unwrap_err();
    assert_eq!(error.cause, Cause::Protocol);
    assert!(error.message.contains("!what"), "{error}");
}

/// An answer with every kind of sentence, for the tests that split it.
fn whole(tag: &str) -> Vec<u8> {
    let words = [
        &["!re", tag, "=a=b=c"][..],
        &["!re"],
        &["!re", "=comment=x y", tag],
        &["!trap", tag, "=message=no such item"],
        &["!done", tag, "=ret=1"],
    ];
    words.iter().flat_map(|words| sentence(words)).collect()
}

/// Answers each command with [`whole`], in pieces that the client reads one by one.
fn in_pieces(client: &mpsc::Receiver<Client>, peer: &mut Peer, pieces: impl Fn(usize) -> Vec<usize>) {
    let client = client.recv_timeout(TIMEOUT).unwrap();
    let mut sent = 0;
    while let Some(command) = peer.next() {
        let bytes = whole(command.tag());
        let mut rest = bytes.as_slice();
        for piece in pieces(bytes.len()) {
            let (now, later) = rest.split_at(piece);
            peer.write(now);
            (rest, sent) = (later, sent + piece as u64);
            let until = Instant::now() + TIMEOUT;
            while client.usage().received_bytes < sent {
                assert!(Instant::now() < until, "the client does not read");
                thread::yield_now();
            }
        }
        assert!(rest.is_empty());
        // This function's own client would keep the connection open after the test has dropped its client.
        if command.words[0] == "/last" {
            break;
        }
    }
}

async fn check(client: &Client, path: &str) {
    let reply = client.call(Command::new(path), TIMEOUT).await.unwrap();
    assert_eq!(reply.rows.iter().flat_map(attributes).collect::<Vec<_>>(), ["=a=b=c", "=comment=x y"]);
    assert_eq!(reply.traps[0].message, "no such item");
    assert_eq!(reply.ret.as_deref(), Some(&b"1"[..]));
}

#[test]
fn an_answer_may_be_split_anywhere() {
    let (give, client) = mpsc::channel();
    // Tags have one to three digits, so each length is split at its own places.
    let cut = std::cell::Cell::new(0);
    let script = move |peer: &mut Peer| {
        in_pieces(&client, peer, |length| {
            let at = cut.replace(cut.get() + 1).min(length);
            vec![at, length - at]
        });
    };
    with(script, async |session| {
        give.send(session.client.clone()).unwrap();
        for _ in 0..whole(".tag=100").len() {
            check(&session.client, "/a").await;
        }
        check(&session.client, "/last").await;
    });
}

#[test]
fn an_answer_may_arrive_one_byte_at_a_time() {
    let (give, client) = mpsc::channel();
    let script = move |peer: &mut Peer| in_pieces(&client, peer, |length| vec![1; length]);
    with(script, async |session| {
        give.send(session.client.clone()).unwrap();
        check(&session.client, "/last").await;
    });
}

#[test]
fn an_answer_that_ends_early_is_an_error() {
    for cut in 0..whole(".tag=1").len() {
        let script = move |peer: &mut Peer| {
            let command = peer.command();
            peer.write(&whole(command.tag())[..cut]);
        };
        let error = with(script, async |session| session.call("/a").await).unwrap_err();
        assert_eq!(error.cause, Cause::Closed, "cut at {cut}: {error}");
    }
}

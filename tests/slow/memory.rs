//! What a router cannot make the client hold. Each of these tests runs once more, alone in a
//! process of its own, whose memory at its highest is then this test's doing.

use std::fs;
use std::process::Command as Process;

use phsweb_agent::routeros::client::MAX_REPLY;
use phsweb_agent::routeros::error::{Cause, Error};
use phsweb_agent::routeros::login::LoginMethod;

use super::peer::{PATIENCE, Peer, Session, sentence, with};

/// Set in the process that is measured.
const ALONE: &str = "CLIENT_TEST_ALONE";

/// What a whole answer may take: its bytes, and as much again three times for where each word and
/// row begins and for vectors that grow.
const ANSWER: usize = 4 * MAX_REPLY;

/// What something may take of which nothing is to be kept: a word, a sentence, buffers.
const NOTHING: usize = 2 * 1024 * 1024;

/// What a router may say in all before the test has failed, in bytes.
const MOST_SAID: usize = 256 * 1024 * 1024;

/// The most memory that this process has had, in bytes.
fn highest() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// Has the router say `begin` and then `again` until it is refused, while the client waits for an
/// answer; the client's memory must not grow by more than `bound`.
#[track_caller]
fn held(
    test: &str,
    bound: usize,
    begin: &'static [u8],
    again: impl FnOnce(&str) -> Vec<u8> + Send + 'static,
) {
    let script = move |peer: &mut Peer| {
        let asked = peer.asked();
        let piece = again(asked.tag());
        peer.write(begin);
        peer.flood(&piece, MOST_SAID / piece.len());
    };
    measured(test, bound, script, async |session| session.call("/a").await.map(drop));
}

/// Runs `act` with a router that does as `script` says, until the connection ends.
#[track_caller]
fn measured(
    test: &str,
    bound: usize,
    script: impl FnOnce(&mut Peer) + Send + 'static,
    act: impl AsyncFnOnce(&Session) -> Result<(), Error>,
) {
    if std::env::var_os(ALONE).is_none() {
        let name = format!("memory::{test}");
        let mut process = Process::new(std::env::current_exe().unwrap());
        let done = process.args(["--exact", "--nocapture", &name]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
        assert!(said.contains(" 1 passed"), "{said}");
        print!("{}", said.lines().find(|line| line.contains(" grew by ")).unwrap_or_default());
        return;
    }
    // What a first connection of all takes, threads and code, is not this one's.
    let usual = |peer: &mut Peer| {
        let asked = peer.asked();
        peer.say(&["!done", asked.tag()]);
    };
    with(usual, async |session| session.call("/a").await).unwrap();
    let before = highest();
    let error = with(script, async |session| {
        act(session).await.unwrap_err();
        session.ended().await
    });
    let grown = highest() - before;
    println!("{test} grew by {} KiB until {error}", grown / 1024);
    assert_eq!(error.cause, Cause::Protocol, "{error}");
    assert!(grown <= bound, "it grew by {} KiB; the most is {} KiB", grown / 1024, bound / 1024);
}

#[test]
fn a_word_that_claims_too_much() {
    let _alone = super::alone();
    held("a_word_that_claims_too_much", NOTHING, b"\xF0\x7F\xFF\xFF\xFF", |_| vec![b'x'; 4096]);
}

#[test]
fn a_row_without_end() {
    let _alone = super::alone();
    held("a_row_without_end", NOTHING, b"\x03!re", |_| b"\x04=a=b".repeat(100));
}

#[test]
fn stray_answers() {
    let _alone = super::alone();
    held("stray_answers", NOTHING, b"", |_| sentence(&["!re", ".tag=999", "=a=b"]).repeat(100));
}

#[test]
fn rows_like_those_of_a_hotspot() {
    let _alone = super::alone();
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
    held("rows_like_those_of_a_hotspot", ANSWER, b"", row);
}

#[test]
fn rows_of_nothing() {
    let _alone = super::alone();
    held("rows_of_nothing", ANSWER, b"", |tag| sentence(&["!re", tag]).repeat(100));
}

#[test]
fn rows_of_many_short_words() {
    let _alone = super::alone();
    let row = |tag: &str| {
        let words: Vec<_> = ["!re", tag].into_iter().chain([""; 1000].map(|_| "x")).collect();
        sentence(&words)
    };
    held("rows_of_many_short_words", ANSWER, b"", row);
}

#[test]
fn short_traps() {
    let _alone = super::alone();
    held("short_traps", ANSWER, b"", |tag| sentence(&["!trap", tag]).repeat(100));
}

/// Whoever listens at the port can say this: nobody is logged in yet. A login has no tag.
#[test]
fn short_traps_to_a_login() {
    let _alone = super::alone();
    let script = |peer: &mut Peer| {
        peer.asked();
        let traps = sentence(&["!trap"]).repeat(1000);
        peer.flood(&traps, MOST_SAID / traps.len());
    };
    measured("short_traps_to_a_login", ANSWER, script, async |session| {
        session.client.login("api-user", "password", LoginMethod::Plain, PATIENCE).await
    });
}

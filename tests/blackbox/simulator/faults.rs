//! Injected faults of connections, and clients that violate the protocol.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::client::{Client, until, with_crates};
use phsweb_agent::simulator::{Fault, Router, Settings};

pub(super) const PRINT: [&str; 2] = ["/test/crate/print", "=.proplist=name"];
pub(super) const ROWS: [&str; 4] = ["!re | =name=yam", "!re | =name=cassava", "!re | =name=palm", "!done"];
pub(super) const LOGIN: [&str; 3] = ["/login", "=name=api-user", "=password=password"];

/// A router with a fault, and a client that logged in before the fault.
pub(super) fn faulty(fault: Fault) -> (Router, Client) {
    let router = with_crates(Settings { late_by: Duration::from_millis(200), ..Settings::default() });
    let client = Client::logged_in(&router);
    router.set_fault(Some(fault));
    (router, client)
}

pub(super) fn rest(client: &mut Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn one_byte_writes_lose_nothing() {
    let (router, mut before) = faulty(Fault::OneByteWrites);
    assert_eq!(before.ask(&PRINT), ROWS);
    assert_eq!(Client::logged_in(&router).ask(&PRINT), ROWS);
}

#[test]
fn vanishing_rows_end_with_a_trap() {
    let (router, mut client) = faulty(Fault::Vanish);
    assert_eq!(client.ask(&PRINT), ["!re | =name=yam", "!trap | =message=no such item", "!done"]);
    assert_eq!(client.ask(&["/test/crate/print", "=count-only="]), ["!done | =ret=3"]);
    router.set_fault(None);
    assert_eq!(client.ask(&PRINT), ROWS, "expected all rows after the fault");
}

#[test]
fn endless_rows_end_on_cancel_or_with_the_fault() {
    let (router, mut client) = faulty(Fault::EndlessRows);
    client.send(&[&PRINT[..], &[".tag=1"]].concat());
    for at in 0..3000 {
        let row = client.next();
        assert!(row.starts_with("!re | .tag=1 | =name="), "row {at}: {row}");
    }
    client.send(&["/cancel", ".tag=2"]);
    while client.next() != "!done | .tag=1" {}
    client.send(&[&PRINT[..], &[".tag=3"]].concat());
    assert!(client.next().starts_with("!re | .tag=3"));
    router.set_fault(None);
    while client.next() != "!done | .tag=3" {}
}

#[test]
fn cut_stops_in_the_middle_of_a_word() {
    let (router, _) = faulty(Fault::Cut);
    let mut client = Client::logged_in(&router);
    client.send(&PRINT);
    let bytes = rest(&mut client);
    assert!(bytes.ends_with(b"\x03!re\x0a=name=pal"), "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn stall_never_answers_and_half_open_answers_logins_only() {
    for (fault, answers_login) in [(Fault::Stall, false), (Fault::HalfOpen, true)] {
        let (router, before) = faulty(fault);
        for (mut client, login) in [(before, false), (Client::connect(&router), true)] {
            let commands = router.counters().commands;
            if login {
                client.send(&LOGIN);
            }
            client.send(&PRINT);
            let accepted = commands + 1 + u64::from(login);
            until(&router, "all commands are received", |router| router.counters().commands == accepted);
            if login && answers_login {
                assert_eq!(client.next(), "!done", "{fault}");
            }
            // Silence can only be observed by waiting.
            client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let error = client.stream.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{fault}");
        }
    }
}

#[test]
fn late_replies_are_delayed_always_or_periodically() {
    let late_by = Duration::from_millis(400);
    let settings = Settings { late_by, late_every: Duration::from_secs(2), ..Settings::default() };
    let router = with_crates(settings);
    let mut client = Client::logged_in(&router);
    let mut measure = || {
        let began = Instant::now();
        assert_eq!(client.ask(&PRINT), ROWS);
        began.elapsed()
    };
    router.set_fault(Some(Fault::Late));
    assert!(measure() >= late_by);
    router.set_fault(Some(Fault::LateAtTimes));
    let began = Instant::now();
    for late in [true, false, true] {
        while (measure() >= late_by) != late {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "expected both late and prompt replies within 20 s"
            );
        }
    }
}

#[test]
fn trickle_limits_the_bytes_per_second() {
    let router = with_crates(Settings { trickle: 200, ..Settings::default() });
    let mut client = Client::logged_in(&router);
    router.set_fault(Some(Fault::Trickle));
    let (began, sent) = (Instant::now(), router.counters().sent);
    assert_eq!(client.ask(&PRINT), ROWS);
    let bytes = f64::from(u32::try_from(router.counters().sent - sent).unwrap());
    assert!(began.elapsed().as_secs_f64() >= bytes / 200.0 * 0.9, "{bytes} bytes in {:?}", began.elapsed());
}

#[test]
fn login_refused_once_refuses_a_single_login() {
    let (router, mut before) = faulty(Fault::LoginRefusedOnce);
    assert_eq!(before.ask(&PRINT), ROWS, "expected an existing login to stay valid");
    assert!(Client::connect(&router).ask(&LOGIN)[0].starts_with("!trap"));
    assert_eq!(Client::connect(&router).ask(&LOGIN), ["!done"]);
    assert_eq!(router.counters().logins_refused, 1);
    router.set_fault(Some(Fault::LoginRefusedOnce));
    assert!(
        Client::connect(&router).ask(&LOGIN)[0].starts_with("!trap"),
        "expected one refusal each time the fault is set"
    );
}

#[test]
fn large_reply_and_all_later_replies_are_lost() {
    let (router, mut client) = faulty(Fault::LargeLost);
    assert_eq!(client.ask(&PRINT), ROWS);
    client.send(&["/ip/hotspot/active/print"]);
    client.send(&PRINT);
    until(&router, "the connection counts as broken", |router| router.counters().broken == 1);
    until(&router, "the next command is received", |router| router.counters().commands == 4);
    // Silence can only be observed by waiting.
    client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(client.stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn huge_length_is_followed_by_nothing() {
    let (router, _) = faulty(Fault::HugeLength);
    let mut client = Client::connect(&router);
    client.send(&LOGIN);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), [0xF0, 0x7F, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn garbage_is_64_kib_of_random_bytes() {
    let (router, _) = faulty(Fault::Garbage);
    let mut client = Client::connect(&router);
    client.send(&LOGIN);
    let bytes = rest(&mut client);
    assert_eq!(bytes.len(), 64 * 1024);
    assert!((0..=u8::MAX).all(|byte| bytes.contains(&byte)));
}

#[test]
fn refuse_closes_connections_at_once() {
    let (router, mut before) = faulty(Fault::Refuse);
    assert_eq!(Client::connect(&router).next(), "closed");
    before.send(&PRINT);
    assert_eq!(before.next(), "closed", "expected an open connection to close at its next command");
}

#[test]
fn flood_of_empty_sentences_does_not_block_other_clients() {
    let router = with_crates(Settings::default());
    // Connected before the flood starts.
    let mut floods = [Client::connect(&router), Client::connect(&router)].map(|client| client.stream);
    std::thread::scope(|scope| {
        let ends = floods.each_ref().map(|stream| stream.try_clone().unwrap());
        for flood in &mut floods {
            // Empty sentences, until the connection is shut down below.
            scope.spawn(|| while flood.write_all(&[0; 1 << 14]).is_ok() {});
        }
        // More than the kernel buffers for both, so the router is reading.
        until(&router, "1 MiB of the flood is read", |router| router.counters().received > 1 << 20);
        let answered = std::panic::catch_unwind(|| Client::logged_in(&router).ask(&PRINT));
        for end in ends {
            end.shutdown(Shutdown::Both).unwrap();
        }
        assert_eq!(answered.unwrap(), ROWS);
    });
}

#[test]
fn invalid_bytes_close_only_their_own_connection() {
    let router = with_crates(Settings::default());
    let mut client = Client::logged_in(&router);
    for bytes in [&b"\xFF"[..], &[0xF0, 0x7F, 0xFF, 0xFF, 0xFF]] {
        let mut other = Client::connect(&router);
        other.stream.write_all(bytes).unwrap();
        assert_eq!(other.next(), "closed", "{bytes:?}");
    }
    // The start of a long word, and nothing more.
    let mut other = Client::connect(&router);
    other.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    other.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(other.next(), "closed");
    for words in [&["print"][..], &["/"], &["//"], &["=name=x"], &["/test/crate/print/"]] {
        assert!(client.ask(words)[0].starts_with("!trap"), "{words:?}");
    }
    assert_eq!(client.ask(&PRINT), ROWS);
}

//! A router that is away or lets nobody in, and how broken connections are counted.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::client::{Client, V6_42, start, text, until, version, with_crates};
use super::faults::{LOGIN, PRINT, ROWS, faulty};
use phsweb_agent::routeros::wire::Sentence;
use phsweb_agent::simulator::{Fault, Router, Settings};

const REFUSED: [&str; 2] = ["!trap | =message=invalid user name or password (6)", "!done"];

fn broken(router: &Router) -> u64 {
    router.counters().broken
}

#[test]
fn no_service_refuses_connections_until_it_ends() {
    let (router, mut client) = faulty(Fault::NoService);
    for _ in 0..3 {
        assert_eq!(client.next(), "closed");
        let error = TcpStream::connect(router.addr()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        router.set_fault(None);
        until(&router, "it listens again", |router| TcpStream::connect(router.addr()).is_ok());
        client = Client::logged_in(&router);
        assert_eq!(client.ask(&PRINT), ROWS);
        router.set_fault(Some(Fault::NoService));
    }
}

#[test]
fn login_refused_leaves_who_is_in() {
    let (router, mut before) = faulty(Fault::LoginRefused);
    let mut client = Client::connect(&router);
    for attempt in 1..=4 {
        assert_eq!(client.ask(&LOGIN), REFUSED, "attempt {attempt}");
    }
    assert_eq!(client.ask(&LOGIN), ["!fatal | too many commands before login"]);
    assert_eq!(before.ask(&PRINT), ROWS);
    let counters = router.counters();
    assert_eq!((counters.logins, counters.logins_refused, counters.broken), (1, 5, 1));
    router.set_fault(None);
    assert_eq!(Client::logged_in(&router).ask(&PRINT), ROWS);

    let router = start(version(V6_42));
    router.set_fault(Some(Fault::LoginRefused));
    let mut client = Client::connect(&router);
    assert!(client.ask(&["/login"])[0].starts_with("!done | =ret="), "the challenge comes all the same");
    let said = client.ask(&["/login", "=name=api-user", "=response=00"]);
    assert_eq!(said, ["!trap | =message=cannot log in", "!done"]);
}

/// What a new connection meets: `closed`, the answer to a login, or both.
fn tried(router: &Router) -> (String, Client) {
    let mut client = Client::connect(router);
    client.send(&LOGIN);
    (client.next(), client)
}

#[test]
fn a_router_that_reboots_lets_in_by_and_by() {
    let (router, mut client) = faulty(Fault::Reboot);
    assert_eq!(client.next(), "closed");
    assert_eq!(router.sessions(), []);
    assert_eq!(tried(&router).0, "closed");
    until(&router, "connections are taken", |router| tried(router).0 == REFUSED[0]);
    assert_eq!(router.counters().logins, 1);
    until(&router, "logins are taken", |router| tried(router).0 == "!done");
    let resource = tried(&router).1.rows(&["/system/resource/print"]).remove(0);
    let uptime = text(&resource, "uptime").strip_suffix('s').unwrap().parse::<u64>().unwrap();
    // More than 4 s, and the next one is not yet: it would have ended this connection.
    assert!((4..20).contains(&uptime), "{uptime} s");
    // All that were turned away, and the first one.
    let counters = router.counters();
    assert!(counters.broken > counters.refused && counters.broken <= counters.connections, "{counters:?}");
}

#[test]
fn reboots_go_on_until_the_fault_ends() {
    let router = with_crates(Settings { reboot_every: Duration::from_secs(5), ..Settings::default() });
    let mut client = Client::logged_in(&router);
    router.set_fault(Some(Fault::Reboot));
    for _ in 0..2 {
        assert_eq!(client.next(), "closed");
        until(&router, "logins are taken", |router| tried(router).0 == "!done");
        client = Client::logged_in(&router);
        client.stream.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
    }
}

#[test]
fn a_connection_is_broken_once_if_its_client_must_give_it_up() {
    for fault in Fault::ALL {
        let (router, mut client) = faulty(fault);
        let must_give_up = match fault {
            Fault::Stall
            | Fault::Refuse
            | Fault::NoService
            | Fault::Reboot
            | Fault::Garbage
            | Fault::HugeLength
            | Fault::Cut
            | Fault::Fatal
            | Fault::HalfOpen
            | Fault::EndlessRows
            | Fault::EndlessWords
            | Fault::Stray => true,
            Fault::LoginRefused
            | Fault::LoginRefusedOnce
            | Fault::Late
            | Fault::LateAtTimes
            | Fault::Trickle
            // What is asked here is answered by less than a packet.
            | Fault::LargeLost
            | Fault::OneByteWrites
            | Fault::Vanish
            | Fault::OmittedRow
            | Fault::Trailing
            | Fault::BareRe
            | Fault::AwkwardValues
            | Fault::NoPermission
            | Fault::NoMenu
            | Fault::NoListen
            | Fault::SilentListen
            | Fault::LateListen
            // Without TLS nothing comes of these.
            | Fault::NoCertificate
            | Fault::OtherCertificate => false,
        };
        if must_give_up {
            client.try_print();
            until(&router, fault.name(), |router| broken(router) == 1);
            client.try_print();
        } else {
            assert_eq!(client.ask(&PRINT).last().map(String::as_str), Some("!done"), "{fault}");
        }
        drop(client);
        until(&router, "it is gone", |router| router.counters().open == 0);
        assert_eq!(broken(&router), u64::from(must_give_up), "{fault}");
    }
}

impl Client {
    /// Asks, on a connection that may be closed.
    fn try_print(&mut self) {
        let mut bytes = Vec::new();
        Sentence::from_words(PRINT).encode(&mut bytes);
        // An error is what a closed connection gives.
        let _ = self.stream.write_all(&bytes);
    }
}

#[test]
fn who_is_not_let_in_and_who_is_thrown_out_are_broken() {
    let router = with_crates(Settings { max_sessions: 2, ..Settings::default() });
    let mut kept = [Client::logged_in(&router), Client::logged_in(&router)];
    assert_eq!(Client::connect(&router).next(), "closed");
    assert_eq!(broken(&router), 1, "the house was full");
    router.reboot();
    for client in &mut kept {
        assert_eq!(client.next(), "closed");
    }
    assert_eq!(broken(&router), 3);
    let mut client = Client::logged_in(&router);
    assert_eq!(client.ask(&["/quit"]), ["!fatal | session terminated on request"]);
    assert_eq!(Client::connect(&router).ask(&["/login", "=name=x", "=password=y"]), REFUSED);
    until(&router, "all are gone", |router| router.counters().open == 0);
    assert_eq!(broken(&router), 3, "what a client does itself is not the router's");
}

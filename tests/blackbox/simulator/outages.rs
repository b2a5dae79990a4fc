//! Routers that are offline or refuse logins, and how broken connections are counted.

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
        until(&router, "the port is open again", |router| TcpStream::connect(router.addr()).is_ok());
        client = Client::logged_in(&router);
        assert_eq!(client.ask(&PRINT), ROWS);
        router.set_fault(Some(Fault::NoService));
    }
}

#[test]
fn login_refused_keeps_existing_logins() {
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
    assert!(
        client.ask(&["/login"])[0].starts_with("!done | =ret="),
        "expected a challenge despite the fault"
    );
    let reply = client.ask(&["/login", "=name=api-user", "=response=00"]);
    assert_eq!(reply, ["!trap | =message=cannot log in", "!done"]);
}

/// Logs in over a new connection. Returns the first sentence, or `closed`.
fn try_login(router: &Router) -> (String, Client) {
    let mut client = Client::connect(router);
    client.send(&LOGIN);
    (client.next(), client)
}

#[test]
fn reboot_closes_connections_then_refuses_logins_then_recovers() {
    let (router, mut client) = faulty(Fault::Reboot);
    assert_eq!(client.next(), "closed");
    assert_eq!(router.sessions(), []);
    assert_eq!(try_login(&router).0, "closed");
    until(&router, "connections are accepted", |router| try_login(router).0 == REFUSED[0]);
    assert_eq!(router.counters().logins, 1);
    until(&router, "logins are accepted", |router| try_login(router).0 == "!done");
    let resource = try_login(&router).1.rows(&["/system/resource/print"]).remove(0);
    let uptime = text(&resource, "uptime").strip_suffix('s').unwrap().parse::<u64>().unwrap();
    // At least 4 s, and before the next reboot, which would have closed this connection.
    assert!((4..20).contains(&uptime), "{uptime} s");
    // All refused connections, and the first one.
    let counters = router.counters();
    assert!(counters.broken > counters.refused && counters.broken <= counters.connections, "{counters:?}");
}

#[test]
fn reboots_repeat_until_the_fault_ends() {
    let router = with_crates(Settings { reboot_every: Duration::from_secs(5), ..Settings::default() });
    let mut client = Client::logged_in(&router);
    router.set_fault(Some(Fault::Reboot));
    for _ in 0..2 {
        assert_eq!(client.next(), "closed");
        until(&router, "logins are accepted", |router| try_login(router).0 == "!done");
        client = Client::logged_in(&router);
        client.stream.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
    }
}

#[test]
fn connection_counts_as_broken_once_if_the_client_has_to_give_it_up() {
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
            | Fault::UnknownTags => true,
            Fault::LoginRefused
            | Fault::LoginRefusedOnce
            | Fault::Late
            | Fault::LateAtTimes
            | Fault::Trickle
            // The reply here fits into one packet.
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
            // No effect without TLS.
            | Fault::NoCertificate
            | Fault::OtherCertificate
            | Fault::Pool
            | Fault::Clock => false,
        };
        if must_give_up {
            client.try_print();
            until(&router, fault.name(), |router| broken(router) == 1);
            client.try_print();
        } else {
            assert_eq!(client.ask(&PRINT).last().map(String::as_str), Some("!done"), "{fault}");
        }
        drop(client);
        until(&router, "the connection is closed", |router| router.counters().open == 0);
        assert_eq!(broken(&router), u64::from(must_give_up), "{fault}");
    }
}

impl Client {
    /// Sends a print on a connection that may be closed.
    fn try_print(&mut self) {
        let mut bytes = Vec::new();
        Sentence::from_words(PRINT).encode(&mut bytes);
        // An error means that the connection is closed.
        let _ = self.stream.write_all(&bytes);
    }
}

#[test]
fn refused_and_rebooted_connections_count_as_broken() {
    let router = with_crates(Settings { max_sessions: 2, ..Settings::default() });
    let mut clients = [Client::logged_in(&router), Client::logged_in(&router)];
    assert_eq!(Client::connect(&router).next(), "closed");
    assert_eq!(broken(&router), 1, "expected the connection above the limit to count");
    router.reboot();
    for client in &mut clients {
        assert_eq!(client.next(), "closed");
    }
    assert_eq!(broken(&router), 3);
    let mut client = Client::logged_in(&router);
    assert_eq!(client.ask(&["/quit"]), ["!fatal | session terminated on request"]);
    assert_eq!(Client::connect(&router).ask(&["/login", "=name=x", "=password=y"]), REFUSED);
    until(&router, "all connections are closed", |router| router.counters().open == 0);
    assert_eq!(broken(&router), 3, "expected connections that a client ended not to count");
}

//! No answer, no connection, and what ends one.

use std::time::Duration;

use phsweb_agent::net::tls::Tls;
use phsweb_agent::routeros::client::Command;
use phsweb_agent::routeros::client::connect;
use phsweb_agent::routeros::error::Cause;
use phsweb_agent::routeros::login::LoginMethod;
use phsweb_agent::simulator::{Fault, Router, Settings};

use super::peer::{Peer, TIMEOUT, at, attributes, connect_to, with};

/// Long enough for an answer that is sent, short enough to wait for one that is not.
const SHORT: Duration = Duration::from_millis(150);

#[test]
fn a_command_without_an_answer_is_cancelled_and_its_late_answer_is_dropped() {
    let script = |peer: &mut Peer| {
        let late = peer.command();
        assert_eq!(late.words[0], "/system/resource/print");
        let cancel = peer.command();
        assert_eq!(cancel.words[0], "/cancel");
        let named = format!("={}", &late.tag()[1..]);
        assert!(cancel.words.contains(&named), "expected {named:?} in {cancel:?}");
        assert_ne!(cancel.tag(), late.tag());
        let next = peer.command();
        // The documented end of a cancelled command, and a row that was in transit.
        peer.send(&["!re", late.tag(), "=from=late"]);
        peer.send(&["!trap", late.tag(), "=category=2", "=message=interrupted"]);
        peer.send(&["!done", cancel.tag()]);
        peer.send(&["!done", late.tag()]);
        peer.send(&["!re", next.tag(), "=from=next"]);
        peer.send(&["!done", next.tag()]);
        peer.closed();
    };
    with(script, async |session| {
        let error = session.client.call(Command::new("/system/resource/print"), SHORT).await.unwrap_err();
        assert_eq!(error.cause, Cause::QueryTimeout);
        for part in ["/system/resource/print", "150ms"] {
            assert!(error.message.contains(part), "expected {part:?} in {:?}", error.message);
        }
        let reply = session.call("/b").await.unwrap();
        assert_eq!(reply.rows.iter().flat_map(attributes).collect::<Vec<_>>(), ["=from=next"]);
        assert_eq!(session.client.usage().unsolicited, 4);
    });
}

#[test]
fn a_command_without_an_answer_does_not_delay_the_others() {
    let script = |peer: &mut Peer| {
        let commands = [peer.command(), peer.command(), peer.command()];
        for command in [&commands[2], &commands[1]] {
            peer.send(&["!done", command.tag(), "=ret=1"]);
        }
        // Then the router closes.
        assert_eq!(peer.command().words[0], "/cancel");
    };
    let commands = ["/silent", "/b", "/c"].map(Command::new);
    let replies = with(script, async |session| {
        let replies = session.client.call_all(&commands, SHORT).await;
        session.ended().await;
        replies
    });
    assert_eq!(replies[0].as_ref().unwrap_err().cause, Cause::QueryTimeout);
    assert!(replies[1..].iter().all(|reply| reply.as_ref().unwrap().ret.is_some()), "{replies:?}");
}

#[test]
fn an_answer_that_never_ends_times_out() {
    let settings = Settings { active: 3, ..Settings::default() };
    let router = Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap();
    at(router.addr(), async |session| {
        let client = &session.client;
        client.login("api-user", "password", LoginMethod::Plain, TIMEOUT).await.unwrap();
        // A router without logins sends nothing in answer to a listen.
        let listen = Command::new("/ip/hotspot/active/listen");
        assert_eq!(client.call(listen, SHORT).await.unwrap_err().cause, Cause::QueryTimeout);
        let reply = client.call(Command::new("/ip/hotspot/active/print"), TIMEOUT).await.unwrap();
        assert_eq!(reply.rows.len(), 3);
    });
}

#[test]
fn a_silent_router_is_probed_and_its_late_answer_is_accepted() {
    let script = |peer: &mut Peer| {
        let (first, second) = (peer.command(), peer.command());
        let probe = peer.command();
        assert_eq!(probe.words[0], "/probe");
        for late in [&first, &second] {
            peer.send(&["!done", late.tag(), "=ret=late"]);
        }
        peer.closed();
    };
    let commands = ["/a", "/b"].map(Command::new);
    let replies = with(script, async |session| {
        session.client.call_all_probing(&commands, SHORT, Some(&Command::new("/probe"))).await
    });
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().ret.is_some()), "{replies:?}");
}

#[test]
fn one_probe_serves_all_commands() {
    let script = |peer: &mut Peer| {
        let words: Vec<_> = (0..5).map(|_| peer.command().words[0].clone()).collect();
        assert_eq!(words, ["/a", "/b", "/probe", "/cancel", "/cancel"]);
    };
    let commands = ["/a", "/b"].map(Command::new);
    let replies = with(script, async |session| {
        let replies = session.client.call_all_probing(&commands, SHORT, Some(&Command::new("/probe"))).await;
        session.ended().await;
        replies
    });
    for reply in replies {
        let error = reply.unwrap_err();
        assert_eq!(error.cause, Cause::QueryTimeout);
        assert!(error.message.contains("150ms"), "{error}");
    }
}

#[test]
fn an_answer_that_keeps_arriving_times_out_at_the_upper_bound() {
    // Some kilobytes, for longer than 24 times the timeout.
    let settings = Settings { active: 40, trickle: 200, ..Settings::default() };
    let router = Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap();
    at(router.addr(), async |session| {
        let client = &session.client;
        client.login("api-user", "password", LoginMethod::Plain, TIMEOUT).await.unwrap();
        router.set_fault(Some(Fault::Trickle));
        // A busy machine may deliver nothing for 400 ms.
        let timeout = Duration::from_millis(800);
        let error = client.call(Command::new("/ip/hotspot/active/print"), timeout).await.unwrap_err();
        assert_eq!(error.cause, Cause::QueryTimeout);
        assert!(error.message.ends_with("within 19s 200ms"), "{error}");
    });
}

#[test]
fn a_login_without_an_answer_times_out() {
    let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
    router.set_fault(Some(Fault::Stall));
    let error = at(router.addr(), async |session| {
        session.client.login("api-user", "password", LoginMethod::Plain, SHORT).await.unwrap_err()
    });
    assert_eq!(error.cause, Cause::QueryTimeout);
    assert!(error.message.contains("/login"), "{error}");
}

#[test]
fn a_closed_port_is_refused() {
    let address = crate::support::address::unused_address();
    let error = smol::block_on(connect_to(address)).unwrap_err();
    assert_eq!(error.cause, Cause::Refused, "{error}");
}

#[test]
fn a_name_without_an_address_is_a_dns_error() {
    let error = smol::block_on(connect(("no-such-host.invalid", 8728), &Tls::Off, TIMEOUT)).unwrap_err();
    assert_eq!(error.cause, Cause::Dns, "{error}");
}

#[test]
fn a_close_in_the_middle_of_a_word_fails_every_command_in_flight() {
    let script = |peer: &mut Peer| {
        let commands = [peer.command(), peer.command(), peer.command()];
        peer.send(&["!re", commands[0].tag(), "=a=1"]);
        peer.write(b"\x03!r");
    };
    with(script, async |session| {
        let commands = ["/a", "/b", "/c"].map(Command::new);
        let replies = session.client.call_all(&commands, TIMEOUT).await;
        let causes: Vec<_> = replies.into_iter().map(|reply| reply.unwrap_err().cause).collect();
        assert_eq!(causes, [Cause::Closed; 3]);
        assert_eq!(session.ended().await.cause, Cause::Closed);
        // A later command fails at once, with the same cause.
        assert_eq!(session.call("/d").await.unwrap_err().cause, Cause::Closed);
    });
}

#[test]
fn the_reason_of_a_fatal_is_reported() {
    for (bytes, cause, reason) in [
        (&b"\x06!fatal\x0Dnot logged in\0"[..], Cause::Auth, "not logged in"),
        (b"\x06!fatal\x1Dsession terminated on request\0", Cause::Closed, "session terminated on request"),
        (b"\x06!fatal\x1Etoo many commands before login\0", Cause::Auth, "too many commands before login"),
        (b"\x06!fatal\x1A=message=session timed out\0", Cause::Closed, "session timed out"),
    ] {
        let script = move |peer: &mut Peer| {
            peer.command();
            peer.command();
            peer.write(bytes);
            peer.closed();
        };
        with(script, async |session| {
            let replies = session.client.call_all(&["/a", "/b"].map(Command::new), TIMEOUT).await;
            for error in replies.into_iter().map(Result::unwrap_err).chain([session.ended().await]) {
                assert_eq!(error.cause, cause, "{error}");
                assert!(error.message.ends_with(&format!(" {reason}")), "{error}");
            }
        });
    }
}

/// What can't be sent must not accumulate, and nobody waits for it.
#[test]
fn a_router_that_has_stopped_reading_is_detected() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let script = move |_: &mut Peer| {
        // Until the test has ended: the error is that the sender is gone.
        let _ = wait.recv_timeout(2 * TIMEOUT);
    };
    with(script, async |session| {
        // Far more than the sockets of both sides buffer.
        let commands = (0..600).map(|_| Command::new("/a").attribute("x", vec![b'x'; 64 * 1024]));
        let mut stopped = 0;
        for command in commands {
            let error = session.client.call(command, Duration::from_millis(1)).await.unwrap_err();
            assert_eq!(error.cause, Cause::QueryTimeout, "{error}");
            stopped += usize::from(error.message.contains("stopped reading"));
        }
        assert!(stopped > 0, "expected the sockets to be full, but 600 commands of 64 KiB were accepted");
        drop(done);
    });
}

//! Many commands at once: one write, one round trip.

use std::time::{Duration, Instant};

use phsweb_agent::routeros::client::Command;
use phsweb_agent::routeros::login::LoginMethod;
use phsweb_agent::simulator::{Router, Settings};

use super::peer::{Peer, TIMEOUT, at, with};

/// More than all plugins send together.
const MANY: usize = 20;

#[test]
fn commands_given_together_arrive_in_one_read() {
    let script = |peer: &mut Peer| {
        assert!(peer.read());
        let commands: Vec<_> = std::iter::from_fn(|| peer.take()).collect::<Vec<_>>();
        let paths: Vec<_> = commands.iter().map(|command| command.words[0].clone()).collect();
        assert_eq!(paths, (0..MANY).map(|n| format!("/menu{n}/print")).collect::<Vec<_>>());
        // The last one first, because a router may answer in any order.
        for command in commands.iter().rev() {
            peer.send(&["!done", command.tag(), &format!("=ret={}", command.words[0])]);
        }
        peer.closed();
    };
    let replies = with(script, async |session| {
        let commands = (0..MANY).map(|n| Command::new(&format!("/menu{n}/print"))).collect::<Vec<_>>();
        session.client.call_all(&commands, TIMEOUT).await
    });
    let rets = replies.into_iter().map(|reply| String::from_utf8(reply.unwrap().ret.unwrap()).unwrap());
    assert_eq!(rets.collect::<Vec<_>>(), (0..MANY).map(|n| format!("/menu{n}/print")).collect::<Vec<_>>());
}

#[test]
fn a_command_is_sent_unchanged_with_a_tag() {
    let script = |peer: &mut Peer| {
        assert!(peer.read());
        let mut bytes = [0; 512];
        let command = peer.command();
        // No word is missing or changed, and only the tag is added.
        let words: Vec<_> = command.words.iter().map(String::as_str).collect();
        let expected = [
            "/ip/hotspot/user/print",
            "=.proplist=name,profile",
            "=comment=a=b",
            "=empty=",
            "?disabled=false",
            "?#!",
        ];
        assert_eq!(words[..expected.len()], expected);
        assert_eq!(words[expected.len()..], [command.tag()]);
        peer.send(&["!done", command.tag()]);
        peer.stream.set_nonblocking(true).unwrap();
        let more = std::io::Read::read(&mut peer.stream, &mut bytes);
        assert!(!matches!(more, Ok(1..)), "{more:?}");
    };
    let command = Command::new("/ip/hotspot/user/print")
        .proplist("name,profile")
        .attribute("comment", "a=b")
        .attribute("empty", "")
        .query("?disabled=false")
        .query("?#!");
    with(script, async |session| session.client.call(command, TIMEOUT).await).unwrap();
}

#[test]
fn many_commands_take_the_time_of_one() {
    let settings = Settings { latency: Duration::from_millis(100), ..Settings::default() };
    let router = Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap();
    let commands = |count| vec![Command::new("/system/resource/print"); count];
    let [one, many] = at(router.addr(), async |session| {
        let client = &session.client;
        client.login("api-user", "password", LoginMethod::Plain, TIMEOUT).await.unwrap();
        let mut took = [Duration::ZERO; 2];
        for (took, count) in took.iter_mut().zip([1, MANY]) {
            let began = Instant::now();
            let replies = client.call_all(&commands(count), TIMEOUT).await;
            *took = began.elapsed();
            assert_eq!(replies.len(), count);
            assert!(replies.iter().all(|reply| reply.as_ref().unwrap().rows.len() == 1));
        }
        took
    });
    // One after the other they would take twenty times as long.
    assert!(many < 5 * one, "{MANY} commands took {many:?}, one took {one:?}");
    println!("one command: {one:?}; {MANY} commands: {many:?}");
}

#[test]
fn usage_is_counted() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        peer.send(&["!done", command.tag()]);
        peer.closed();
    };
    let usage = with(script, async |session| {
        session.call("/a").await.unwrap();
        session.client.usage()
    });
    // `/a` and `.tag=1`, and `!done` and `.tag=1`, each with its length, and the end of the sentence.
    assert_eq!((usage.sent_bytes, usage.received_bytes), (3 + 7 + 1, 6 + 7 + 1));
    assert_eq!((usage.commands, usage.unsolicited), (1, 0));
}

//! Memory that the replies of all connections share: large ones take turns, and those that do not fit are truncated.

use phsweb_agent::memory::Replies;
use phsweb_agent::routeros::client::Command;
use phsweb_agent::routeros::login::LoginMethod;
use phsweb_agent::simulator::{Router, Row, Settings};
use smol::future::{or, pending, poll_once, yield_now};

use super::limits::long_row;
use super::peer::{Peer, TIMEOUT, at, connect_to, sentence, with};

const MIB: usize = 1 << 20;

/// The longest text that a simulated router has here.
const TEXT: usize = 1000;

fn router(rows: usize) -> Router {
    let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
    let row = |_| Row::new().with("comment", "x".repeat(TEXT));
    router.set_rows("/ip/firewall/connection", (0..rows).map(row).collect());
    router
}

fn large() -> Command {
    Command::new("/ip/firewall/connection/print")
}

#[test]
fn an_answer_is_truncated_when_the_shared_memory_is_full() {
    // Half of the memory is for one connection at a time.
    let replies = Replies::new(4 * MIB);
    let script = |peer: &mut Peer| {
        let commands = [peer.command(), peer.command(), peer.command()];
        peer.send(&["!re", commands[1].tag(), "=n=before"]);
        // 3.2 MiB.
        for _ in 0..100 {
            peer.write(&long_row(commands[0].tag()));
        }
        let cancel = peer.command();
        assert_eq!(cancel.words[..2], ["/cancel".to_string(), format!("={}", &commands[0].tag()[1..])]);
        // What the client has of the first answer still takes memory. Small answers always have room.
        for command in &commands[1..] {
            peer.write(&sentence(&["!re", command.tag(), "=n=after"]).repeat(50));
            peer.send(&["!done", command.tag()]);
        }
        peer.send(&["!done", commands[0].tag()]);
        let next = peer.command();
        peer.send(&["!done", next.tag()]);
        peer.closed();
    };
    with(script, async |session| {
        session.client.share(&replies);
        let commands = ["/a", "/b", "/c"].map(Command::new);
        let answers = session.client.call_all(&commands, TIMEOUT).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let [truncated, second, third] = &answers[..] else { panic!() };
        assert!(
            truncated.is_truncated && (50..70).contains(&truncated.rows.len()),
            "{} rows",
            truncated.rows.len()
        );
        let why = format!(
            "only the first {} rows are taken: the agent has no memory for more",
            truncated.rows.len()
        );
        assert_eq!(truncated.partial(), Some(why.into()));
        assert_eq!((second.rows.len(), second.partial()), (51, None));
        assert_eq!((third.rows.len(), third.partial()), (50, None));
        session.call("/d").await.unwrap();
    });
}

#[test]
fn large_answers_take_turns_and_small_ones_do_not_wait() {
    let replies = Replies::new(4 * MIB);
    // 1.6 MB each.
    let routers = [router(1500), router(1500)];
    at(routers[0].addr(), async |first| {
        let (second, connection) = connect_to(routers[1].addr()).await.unwrap();
        let moving = async {
            connection.run().await;
            pending::<()>().await;
        };
        let act = async {
            for client in [&first.client, &second] {
                client.login("api-user", "password", LoginMethod::Plain, TIMEOUT).await.unwrap();
                client.share(&replies);
            }
            let held = first.client.call(large(), TIMEOUT).await.unwrap();
            assert_eq!((held.rows.len(), held.is_truncated), (1500, false));
            let mut waits = Box::pin(second.call(large(), TIMEOUT));
            // By then it has the part that needs no turn, and reads no more.
            let received = || second.usage().received_bytes;
            while received() < 100_000 {
                assert!(poll_once(&mut waits).await.is_none());
                yield_now().await;
            }
            // The time of many round trips, in which the whole answer would arrive.
            for _ in 0..500 {
                let small = Command::new("/system/resource/print");
                let answer = first.client.call(small, TIMEOUT).await.unwrap();
                assert_eq!(
                    (answer.rows.len(), answer.is_truncated),
                    (1, false),
                    "expected a small answer not to wait"
                );
                assert!(poll_once(&mut waits).await.is_none());
            }
            assert!(received() < 1_000_000, "{} bytes arrived meanwhile", received());
            drop(held);
            let next = waits.await.unwrap();
            assert_eq!((next.rows.len(), next.is_truncated), (1500, false));
        };
        or(moving, act).await;
    });
}

//! A `listen`: what `changed` and `take` return together.

use phsweb_agent::routeros::client::Command;
use phsweb_agent::routeros::error::Cause;

use super::peer::{Peer, attributes, sentence, with};

/// Row and end arrive in one read, so that there is one wake-up for both.
#[test]
fn the_end_of_a_listen_is_reported_after_its_last_change() {
    let script = |peer: &mut Peer| {
        let command = peer.command();
        let sentences = [
            sentence(&["!re", command.tag(), "=.id=*1"]),
            sentence(&["!trap", command.tag(), "=category=2", "=message=interrupted"]),
            sentence(&["!done", command.tag()]),
        ];
        peer.write(&sentences.concat());
        peer.closed();
    };
    let (changes, error) = with(script, async |session| {
        let listen = session.client.listen(&Command::new("/ip/hotspot/active/listen"));
        let mut changes = Vec::new();
        loop {
            listen.changed().await;
            match listen.take() {
                Ok(taken) => changes.extend(taken.iter().flat_map(attributes)),
                Err(error) => return (changes, error),
            }
        }
    });
    assert_eq!(changes, ["=.id=*1"]);
    assert_eq!(error.cause, Cause::Protocol, "{error}");
    assert!(error.message.contains("interrupted"), "{error}");
}

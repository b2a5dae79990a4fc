//! A menu that is followed with `listen`: what changes, as it changes.

use smol::channel::{self, Receiver};
use smol::future::pending;

use super::client::Client;
use super::command::Command;
use super::error::Error;
use super::wire::Sentence;

/// A `listen` under way over a connection. Dropping it tells the router to stop.
///
/// Each change is a `!re` sentence with an `.id`: a row that is new, with all of its properties;
/// one that changed, perhaps with the changed ones alone; or one that is gone, with `.dead`. What
/// was there before is not told, nor are counters.
#[derive(Debug)]
pub struct Listen {
    client: Client,
    tag: u64,
    /// Told when there may be something to take.
    woken: Receiver<()>,
}

impl Client {
    /// Follows a menu with its `listen` command, for as long as the result is held.
    ///
    /// RouterOS replays nothing of what is there: to know all, ask for it too, after this.
    #[must_use]
    pub fn listen(&self, Command { mut sentence, .. }: Command) -> Listen {
        let (wake, woken) = channel::bounded(1);
        let mut multiplexer = self.multiplexer();
        let tag = multiplexer.next_tag();
        sentence.push(format!(".tag={tag}").as_bytes());
        multiplexer.follow(tag, &sentence, wake);
        drop(multiplexer);
        self.wake();
        Listen { client: self.clone(), tag, woken }
    }
}

impl Listen {
    /// Waits until something may have changed. Nothing is lost where this is given up.
    pub async fn changed(&self) {
        // The end of the connection wakes the reader, too, and `take` returns it. A closed channel is no wake-up: a
        // reader that loops would never let the executor go.
        if self.woken.recv().await.is_err() {
            pending::<()>().await;
        }
    }

    /// The changes that have come and were not taken yet, in their order.
    ///
    /// # Errors
    ///
    /// Why nothing comes any more, once all has been taken: the router refused or interrupted the
    /// `listen`, or the connection has ended.
    pub fn take(&self) -> Result<Vec<Sentence>, Error> {
        self.client.multiplexer().take_changes(self.tag)
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        let tell = self.client.multiplexer().unfollow(self.tag);
        if tell {
            self.client.cancel(self.tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use smol::Async;
    use smol::future::poll_once;

    use super::super::client;
    use super::*;

    fn listen() -> (Listen, client::Connection, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let (client, connection) = client::over(Async::new(near).unwrap());
        (client.listen(Command::new("/ip/hotspot/active/listen")), connection, far)
    }

    #[test]
    fn the_end_of_the_connection_wakes_the_reader_once() {
        let (listen, connection, far) = listen();
        drop(far);
        smol::block_on(async {
            connection.run().await;
            listen.changed().await;
            assert!(listen.take().is_err());
            assert!(poll_once(listen.changed()).await.is_none(), "a reader that loops would never pause");
        });
    }

    #[test]
    fn a_closed_channel_wakes_nobody() {
        let (listen, _connection, _far) = listen();
        smol::block_on(async {
            // The first look is always worth it.
            listen.changed().await;
            listen.client.multiplexer().unfollow(listen.tag);
            assert!(poll_once(listen.changed()).await.is_none(), "a reader that loops would never pause");
        });
    }
}

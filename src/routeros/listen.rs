//! The `listen` command, which reports the changes of a menu as they happen.

use smol::channel::{self, Receiver};
use smol::future::pending;

use super::client::Client;
use super::command::Command;
use super::error::Error;
use super::rows::Rows;

/// A running `listen`. Dropping it asks the router to stop.
///
/// Each change is a `!re` sentence with an `.id`: a new row with all of its properties; a changed one, perhaps with the
/// changed properties only; or a removed one with `.dead`. Rows that existed before, and counters, are not reported.
#[derive(Debug)]
pub struct Listen {
    client: Client,
    tag: u64,
    /// Receives a message when there may be something to take.
    woken: Receiver<()>,
}

impl Client {
    /// Starts a `listen`, which runs until the result is dropped.
    ///
    /// RouterOS does not report the rows that exist already: print them after this.
    pub fn listen(&self, command: &Command) -> Listen {
        let (wake, woken) = channel::bounded(1);
        let tag = self.multiplexer().listen(&command.sentence, wake);
        self.wake();
        Listen { client: self.clone(), tag, woken }
    }
}

impl Listen {
    /// Waits until there may be changes. Dropping the future does not lose changes.
    pub async fn changed(&self) {
        // The end of the connection also wakes the reader, and `take` then returns the error. A closed channel must not
        // wake it: a reader in a loop would block the executor.
        if self.woken.recv().await.is_err() {
            pending::<()>().await;
        }
    }

    /// The changes that have arrived and were not taken yet, in their order.
    ///
    /// # Errors
    ///
    /// The reason why no more changes arrive, after all have been taken: the router refused or interrupted the
    /// `listen`, or the connection has ended.
    pub fn take(&self) -> Result<Rows, Error> {
        self.client.multiplexer().take_changes(self.tag)
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        self.client.multiplexer().unlisten(self.tag);
        self.client.wake();
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
        let (client, connection) = client::over(Box::new(Async::new(near).unwrap()));
        (client.listen(&Command::new("/ip/hotspot/active/listen")), connection, far)
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
            // The first check is always worthwhile.
            listen.changed().await;
            listen.client.multiplexer().unlisten(listen.tag);
            assert!(poll_once(listen.changed()).await.is_none(), "a reader that loops would never pause");
        });
    }
}

//! The `listen` command, which reports the changes of a menu as they happen.

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
}

impl Client {
    /// Starts a `listen`, which runs until the result is dropped.
    ///
    /// RouterOS does not report the rows that exist already: print them after this.
    pub fn listen(&self, command: &Command) -> Listen {
        let tag = self.multiplexer().listen(&command.sentence);
        Listen { client: self.clone(), tag }
    }
}

impl Listen {
    /// Waits until there may be changes. Dropping the future does not lose changes.
    pub async fn changed(&self) {
        // The end of the connection also wakes the reader, and `take` then returns the error. It does so once: a reader in
        // a loop would block the executor.
        loop {
            let changed = self.client.multiplexer().changed(self.tag);
            match changed {
                Some(changed) => changed.await,
                None => return,
            }
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
    fn a_listen_that_was_stopped_wakes_nobody() {
        let (listen, _connection, _far) = listen();
        smol::block_on(async {
            // The first check is always worthwhile.
            listen.changed().await;
            listen.client.multiplexer().unlisten(listen.tag);
            assert!(poll_once(listen.changed()).await.is_none(), "a reader that loops would never pause");
        });
    }
}

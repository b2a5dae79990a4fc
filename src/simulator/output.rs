//! The output of a connection: replies that are interleaved, and their bytes.

use std::sync::Arc;
use std::time::Duration;

use smol::channel::{Receiver, SendError, Sender};
use smol::io::{AsyncWrite, AsyncWriteExt};
use smol::{Timer, future};

use super::fault::Fault;
use super::reply::{CommandReply, TrapReply, encode};
use super::shared::Shared;
use crate::deadline::within;
use crate::routeros::wire::Sentence;

/// The delay of [`Fault::LateListen`]: a print that starts after a change ends long before.
const LISTEN_DELAY: Duration = Duration::from_millis(500);

/// Sentences of one reply per write; between two writes, the replies to other commands are sent.
const SENTENCES_PER_WRITE: usize = 16;

/// The pause before each write of [`Fault::Trickle`].
const TRICKLE_PAUSE: Duration = Duration::from_millis(50);

/// Upper bound of the queued writes; commands wait for the client to read when it is reached.
pub(super) const MAX_QUEUED_WRITES: usize = 16;

/// Timeout of a write: a client that reads nothing for this long counts as disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends one reply.
pub(super) struct ReplyWriter {
    /// The bytes of each write, which are ready before the reply is due: other routers do not delay it.
    writes: Vec<Vec<u8>>,
    reply: CommandReply,
    shared: Arc<Shared>,
    output: Sender<Vec<u8>>,
}

impl ReplyWriter {
    pub(super) fn new(mut reply: CommandReply, shared: Arc<Shared>, output: Sender<Vec<u8>>) -> Self {
        let sentences = std::mem::take(&mut reply.sentences);
        let writes = sentences.chunks(SENTENCES_PER_WRITE).map(encode).collect();
        Self { writes, reply, shared, output }
    }

    /// Sends the reply. Calls `on_follow` when only changes of a `listen` remain.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub(super) async fn send(
        mut self,
        tag: Option<&[u8]>,
        on_follow: impl FnOnce(),
    ) -> Result<(), SendError<Vec<u8>>> {
        while !self.reply.repeated.is_empty()
            && matches!(self.shared.state().fault, Some(Fault::EndlessRows | Fault::UnknownTags))
        {
            for repeated in self.reply.repeated.chunks(SENTENCES_PER_WRITE) {
                self.write(repeated).await?;
                future::yield_now().await;
            }
        }
        self.reply.repeated = Vec::new();
        for (n, bytes) in std::mem::take(&mut self.writes).into_iter().enumerate() {
            // Never after the last one: a `/cancel` must not interrupt a reply that is complete.
            if n > 0 {
                future::yield_now().await;
            }
            self.output.send(bytes).await?;
        }
        let Some(changes) = self.reply.changes.take() else { return Ok(()) };
        on_follow();
        while let Ok((since, change)) = changes.recv().await {
            let fault = self.shared.state().fault;
            if fault == Some(Fault::LateListen) {
                Timer::at(since + LISTEN_DELAY).await;
            }
            if fault != Some(Fault::SilentListen) {
                self.write(&[change]).await?;
            }
        }
        // The menu dropped the subscriber: the client did not read, or the menu was removed.
        self.write(&CommandReply::traps(&[TrapReply::interrupted()], tag).sentences).await
    }

    async fn write(&self, sentences: &[Sentence]) -> Result<(), SendError<Vec<u8>>> {
        self.output.send(encode(sentences)).await
    }
}

/// Writes queued bytes until all senders are dropped or the client disconnects.
pub(super) async fn write(
    shared: Arc<Shared>,
    mut stream: impl AsyncWrite + Unpin,
    queue: Receiver<Vec<u8>>,
) {
    while let Ok(mut bytes) = queue.recv().await {
        // One segment for what several commands have queued, as from a router.
        while let Ok(more) = queue.try_recv() {
            bytes.extend(more);
        }
        let (fault, trickle) = {
            let state = shared.state();
            (state.fault, state.settings.trickle)
        };
        let piece_len = match fault {
            Some(Fault::OneByteWrites) => 1,
            Some(Fault::Trickle) => trickle * TRICKLE_PAUSE.subsec_millis() as usize / 1000,
            _ => bytes.len(),
        };
        for piece in bytes.chunks(piece_len.max(1)) {
            if fault == Some(Fault::Trickle) {
                Timer::after(TRICKLE_PAUSE).await;
            }
            let written = async {
                stream.write_all(piece).await?;
                // TLS may have buffered it.
                stream.flush().await
            };
            if !matches!(within(WRITE_TIMEOUT, written).await, Some(Ok(()))) {
                return;
            }
            shared.state().counters.sent += piece.len() as u64;
        }
    }
    // Sends the TLS close. An error means that the client did not wait for it.
    let _ = stream.close().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::settings::Settings;
    use crate::simulator::state::State;
    use smol::channel::bounded;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// The writes, and how many of them are flushed.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>, usize);

    impl AsyncWrite for &mut Writes {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.1 = self.0.len();
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    // Not visible over a socket: the kernel joins unread bytes.
    #[test]
    fn bytes_are_written_at_once_without_the_fault() {
        for (fault, expected) in
            [(None, vec![&b"abc"[..]]), (Some(Fault::OneByteWrites), vec![b"a", b"b", b"c"])]
        {
            let shared = Arc::new(Shared::new(State::new(Settings::default())));
            shared.state().fault = fault;
            let (output, queue) = bounded(1);
            output.try_send(b"abc".to_vec()).unwrap();
            drop(output);
            let mut writes = Writes::default();
            smol::block_on(write(shared.clone(), &mut writes, queue));
            assert_eq!(writes.0, expected);
            assert_eq!(writes.1, writes.0.len(), "all writes are flushed");
            assert_eq!(shared.state().counters.sent, 3);
        }
    }
}

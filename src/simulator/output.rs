//! What a connection says: answers that take turns, and the bytes as they go out.

use std::sync::Arc;
use std::time::Duration;

use smol::channel::{Receiver, SendError, Sender};
use smol::io::{AsyncWrite, AsyncWriteExt};
use smol::{Timer, future};

use super::fault::Fault;
use super::reply::{CommandReply, Trap};
use super::shared::Shared;
use crate::routeros::wire::Sentence;

/// How late [`Fault::LateListen`] is: a print that was asked for after a change is over long before.
const LATE: Duration = Duration::from_millis(500);

/// Sentences encoded at a time; between two of these, other commands' answers get their turn.
const SENTENCES_A_TURN: usize = 16;

/// Before each write of [`Fault::Trickle`].
const TRICKLE_PAUSE: Duration = Duration::from_millis(50);

/// Encoded turns waiting to be written, before commands wait for the client to read.
pub(super) const TURNS_WAITING: usize = 16;

/// How long a client may leave what was written unread; after that it is taken to be gone.
const WRITE_WAIT: Duration = Duration::from_secs(60);

/// An answer on its way.
pub(super) struct ReplyWriter {
    pub(super) reply: CommandReply,
    pub(super) shared: Arc<Shared>,
    pub(super) output: Sender<Vec<u8>>,
}

impl ReplyWriter {
    /// Says all of it. `follows` is called when only changes are left.
    ///
    /// # Errors
    ///
    /// When the connection takes no more: nobody is there to be told.
    pub(super) async fn give(
        mut self,
        tag: Option<&[u8]>,
        follows: impl FnOnce(),
    ) -> Result<(), SendError<Vec<u8>>> {
        while !self.reply.repeated.is_empty() && self.shared.state().repeats() {
            self.say(&self.reply.repeated).await?;
            future::yield_now().await;
        }
        self.say(&self.reply.sentences).await?;
        let Some(changes) = self.reply.changes.take() else { return Ok(()) };
        (self.reply.repeated, self.reply.sentences) = (Vec::new(), Vec::new());
        follows();
        while let Ok((since, change)) = changes.recv().await {
            let fault = self.shared.state().fault;
            if fault == Some(Fault::LateListen) {
                Timer::at(since + LATE).await;
            }
            if fault != Some(Fault::SilentListen) {
                self.say(&[change]).await?;
            }
        }
        // The menu let go of it: the client did not read, or the menu is gone.
        self.say(&CommandReply::traps(&[Trap::interrupted()], tag).sentences).await
    }

    async fn say(&self, sentences: &[Sentence]) -> Result<(), SendError<Vec<u8>>> {
        for (n, turn) in sentences.chunks(SENTENCES_A_TURN).enumerate() {
            // Never after the last: a cancel in between would end what has said its end.
            if n > 0 {
                future::yield_now().await;
            }
            self.output.send(encode(turn)).await?;
        }
        Ok(())
    }
}

/// Sentences as they go over the wire.
pub(super) fn encode<'s>(sentences: impl IntoIterator<Item = &'s Sentence>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for sentence in sentences {
        sentence.encode(&mut bytes);
    }
    bytes
}

/// Writes what is said until nobody says anything any more, or the client is gone.
pub(super) async fn write(
    shared: Arc<Shared>,
    mut stream: impl AsyncWrite + Unpin,
    turns: Receiver<Vec<u8>>,
) {
    while let Ok(turn) = turns.recv().await {
        let (fault, trickle) = {
            let state = shared.state();
            (state.fault, state.settings.trickle)
        };
        let piece_len = match fault {
            Some(Fault::OneByteWrites) => 1,
            Some(Fault::Trickle) => trickle * TRICKLE_PAUSE.subsec_millis() as usize / 1000,
            _ => turn.len(),
        };
        for piece in turn.chunks(piece_len.max(1)) {
            if fault == Some(Fault::Trickle) {
                Timer::after(TRICKLE_PAUSE).await;
            }
            let late = async {
                Timer::after(WRITE_WAIT).await;
                Err(std::io::ErrorKind::TimedOut.into())
            };
            let said = async {
                stream.write_all(piece).await?;
                // What is written into TLS need not be on its way yet.
                stream.flush().await
            };
            if future::or(said, late).await.is_err() {
                return;
            }
            shared.state().counters.sent += piece.len() as u64;
        }
    }
    // TLS has an end of its own. An error means that the client did not wait for it.
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

    /// The writes as they were made, and how many of them are on their way.
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

    // Over a socket it can't be seen: the kernel joins what is not read yet.
    #[test]
    fn a_turn_is_one_write_but_for_the_fault() {
        for (fault, expected) in
            [(None, vec![&b"abc"[..]]), (Some(Fault::OneByteWrites), vec![b"a", b"b", b"c"])]
        {
            let shared = Arc::new(Shared::new(State::new(Settings::default())));
            shared.state().fault = fault;
            let (output, turns) = bounded(1);
            output.try_send(b"abc".to_vec()).unwrap();
            drop(output);
            let mut writes = Writes::default();
            smol::block_on(write(shared.clone(), &mut writes, turns));
            assert_eq!(writes.0, expected);
            assert_eq!(writes.1, writes.0.len(), "none is held back");
            assert_eq!(shared.state().counters.sent, 3);
        }
    }
}

//! A command in flight: the part of its answer that has arrived so far.

use std::time::Instant;

use event_listener::Event;
use smol::channel::Sender;

use super::command::{Answer, Limit, Reply};
use super::error::{Cause, Error, Trap, sanitize};
use super::wire::SentenceRef;

/// Maximum number of rows of one answer: a few times the size of the largest known hotspot, and as many rows as fit
/// into a response of the agent.
pub const MAX_ROWS: usize = 16_384;

/// Maximum number of traps kept of one answer. An unknown menu gives two.
const MAX_TRAPS: usize = 8;

/// An answer, and the place of its command among those that one caller sent together.
pub(super) type Answered = (usize, Answer);

/// How the sentences of an answer are handled.
#[derive(Debug)]
pub(super) enum InFlight {
    /// They are collected.
    Reply(PendingReply),
    /// They are changes of a menu.
    Listen(PendingChanges),
    /// They are dropped because nobody waits for them; the number dropped so far.
    Dropped(usize),
}

impl InFlight {
    /// The sentences that have arrived, unless they are dropped.
    pub(super) fn reply(&mut self) -> Option<&mut Reply> {
        match self {
            Self::Reply(pending) => Some(&mut pending.reply),
            Self::Listen(pending) => Some(&mut pending.reply),
            Self::Dropped(_) => None,
        }
    }

    /// Its part of the shared memory, in bytes.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Reply(PendingReply { reply, .. }) | Self::Listen(PendingChanges { reply, .. }) => {
                reply.held.bytes()
            }
            Self::Dropped(_) => 0,
        }
    }
}

/// A reply that has not ended.
#[derive(Debug)]
pub(super) struct PendingReply {
    pub(super) reply: Reply,
    pub(super) limit: Option<Limit>,
    pub(super) began: Instant,
    pub(super) at: usize,
    pub(super) answer: Sender<Answered>,
}

impl PendingReply {
    /// Whether this sentence would exceed the answer's own limit.
    pub(super) fn is_full(&self, sentence: SentenceRef) -> bool {
        self.limit.is_some_and(|limit| match sentence.first() {
            b"!done" => false,
            b"!re" if self.reply.rows.len() == limit.rows => true,
            _ => self.reply.held.bytes() + self.reply.growth(sentence) > limit.bytes,
        })
    }

    /// Adds a sentence. Returns whether it was the last.
    pub(super) fn receive(&mut self, sentence: SentenceRef) -> Result<bool, Error> {
        if sentence.first() == b"!re" && self.reply.rows.len() == MAX_ROWS {
            return Err(protocol(format!("one answer has more than {MAX_ROWS} rows")));
        }
        collect(&mut self.reply, sentence)
    }

    /// Sends the reply to the caller.
    pub(super) fn finish(mut self) {
        self.reply.took = self.began.elapsed();
        let _ = self.answer.try_send((self.at, Ok(self.reply)));
    }
}

/// A `listen`, whose changes are the rows of a reply that has not ended.
#[derive(Debug)]
pub(super) struct PendingChanges {
    /// Changes that were not taken yet.
    pub(super) reply: Reply,
    /// The reason why no more changes arrive.
    pub(super) ended: Option<Error>,
    /// Whether there may be something to take that the reader does not know of.
    pub(super) is_new: bool,
    /// Wakes the reader.
    pub(super) woken: Event,
}

impl PendingChanges {
    /// Adds a sentence.
    pub(super) fn receive(&mut self, sentence: SentenceRef) -> Result<(), Error> {
        if collect(&mut self.reply, sentence)? {
            // A `listen` does not end on its own: without a trap, it was cancelled on the router.
            let ended = match std::mem::take(&mut self.reply.traps) {
                traps if traps.is_empty() => Error::new(Cause::Closed, "the router ended the listen"),
                traps => traps.into(),
            };
            self.end(&ended);
        }
        self.wake();
        Ok(())
    }

    /// Ends the changes, unless they have ended before.
    pub(super) fn end(&mut self, error: &Error) {
        self.ended.get_or_insert_with(|| error.clone());
        self.wake();
    }

    fn wake(&mut self) {
        self.is_new = true;
        self.woken.notify(1);
    }
}

/// Adds a sentence to a reply. Returns whether it was the last.
fn collect(reply: &mut Reply, sentence: SentenceRef) -> Result<bool, Error> {
    match sentence.first() {
        b"!re" => reply.rows.push(sentence),
        b"!trap" if reply.traps.len() == MAX_TRAPS => {}
        b"!trap" => {
            let message = sanitize(sentence.get("message").unwrap_or_default());
            reply.traps.push(Trap { message });
        }
        b"!empty" => {}
        b"!done" => {
            reply.ret = sentence.get("ret").map(<[u8]>::to_vec);
            return Ok(true);
        }
        other => {
            return Err(protocol(format!(
                "found a reply beginning with {:?}; expected !re, !done, !trap, !empty or !fatal",
                sanitize(other)
            )));
        }
    }
    Ok(false)
}

pub(super) fn protocol(message: String) -> Error {
    Error::new(Cause::Protocol, message)
}

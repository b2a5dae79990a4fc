//! The commands in flight over one connection, and the routing of answers to them by tag.
//!
//! No I/O. The memory of a connection is bounded: one answer by [`MAX_ROWS`], all answers together by [`MAX_REPLY`].
//! Unsolicited sentences are dropped, up to [`MAX_UNSOLICITED`] in a row. An answer is truncated if it exceeds its
//! command's limit, if other answers need its memory, or if it does not fit into the memory that all connections share,
//! see [`Replies`](crate::memory::Replies). The router is then asked to stop, and the rest of the answer is dropped.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Instant;

use smol::channel::Sender;

use super::command::{Command, Reply};
use super::error::{Cause, Error, sanitize};
use super::in_flight::{InFlight, MAX_ROWS, PendingChanges, PendingReply, TaggedAnswer, protocol};
use super::rows::Rows;
use super::value;
use super::wire::{Sentence, SentenceRef};
use crate::memory::{Account, Held, Turn};

/// Maximum memory of all answers in flight over one connection, in bytes. 10,000 active users with all their columns
/// take half of it.
pub const MAX_REPLY: usize = 8 * 1024 * 1024;

/// Maximum number of unsolicited sentences in a row. After a `/cancel` or a deadline, up to one answer's rows still
/// arrive.
pub const MAX_UNSOLICITED: usize = MAX_ROWS;

/// Maximum number of sentences that are dropped after one answer was truncated. If the router honours the `/cancel`, a
/// few thousand are in transit. If it ignores it, even its largest menus have been sent completely by then.
pub const MAX_DROPPED: usize = 262_144;

/// Maximum number of truncated answers that have not ended yet. If there are more, the router never ends them, and
/// further sentences of the oldest count as unsolicited.
const MAX_TRUNCATED: usize = 64;

/// Maximum number of bytes waiting to be sent. Commands are a few hundred bytes; this many wait only if the router has
/// stopped reading.
const MAX_OUTGOING: usize = 256 * 1024;

/// The usage of a connection so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionUsage {
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Commands sent, logins included.
    pub commands: u64,
    /// Commands whose answer has ended, including refusals.
    pub answered: u64,
    /// Unsolicited sentences.
    pub unsolicited: u64,
}

/// The state that the client and the connection share.
#[derive(Debug, Default)]
pub(super) struct Multiplexer {
    last_tag: u64,
    /// Commands whose answer has not ended, by tag. A login has no tag.
    in_flight: BTreeMap<Option<u64>, InFlight>,
    /// Bytes to be sent: whole sentences in their order.
    pub(super) outgoing: Vec<u8>,
    /// The reason why no more commands are accepted.
    ended: Option<Error>,
    /// Unsolicited sentences since the last solicited one.
    unsolicited_run: usize,
    /// When bytes last arrived from the router, or when the connection last waited for a turn, which does not count as
    /// silence of the router.
    pub(super) received_at: Option<Instant>,
    /// When the last probe was sent to a silent router, for all commands together.
    pub(super) probed_at: Option<Instant>,
    pub(super) usage: ConnectionUsage,
    /// The part of the shared memory that the answers of this connection use.
    pub(super) account: Arc<Account>,
    /// The turn of this connection, which lasts until its large answers are dropped.
    turn: Weak<Turn>,
}

impl Multiplexer {
    /// A tag that was not used before over this connection, and is not 0.
    pub(super) fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// As many consecutive tags.
    pub(super) fn next_tags(&mut self, count: usize) -> Range<u64> {
        let first = self.last_tag + 1;
        self.last_tag += count as u64;
        first..first + count as u64
    }

    /// Queues a command to be sent. `answer` receives its reply, or the error.
    pub(super) fn call(&mut self, tag: Option<u64>, command: &Command, answer: Sender<TaggedAnswer>) {
        if let Err(error) = self.queue(&command.sentence, tag) {
            let _ = answer.try_send((tag, Err(error)));
            return;
        }
        let (reply, began) = (self.new_reply(), Instant::now());
        let pending = PendingReply { reply, limit: command.limit, began, answer };
        self.in_flight.insert(tag, InFlight::Reply(pending));
    }

    /// Queues a `listen` to be sent. `wake` receives a message when there is something to take.
    pub(super) fn listen(&mut self, tag: u64, sentence: &Sentence, wake: Sender<()>) {
        let ended = self.queue(sentence, Some(tag)).err();
        let _ = wake.try_send(());
        let pending = PendingChanges { reply: self.new_reply(), ended, wake };
        self.in_flight.insert(Some(tag), InFlight::Listen(pending));
    }

    fn new_reply(&self) -> Reply {
        Reply { held: Held::new(self.account.clone()), ..Reply::default() }
    }

    fn queue(&mut self, sentence: &Sentence, tag: Option<u64>) -> Result<(), Error> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        if self.outgoing.len() > MAX_OUTGOING {
            return Err(Error::new(Cause::QueryTimeout, "the router has stopped reading"));
        }
        sentence.encode_tagged(tag, &mut self.outgoing);
        self.usage.commands += 1;
        Ok(())
    }

    /// Queues a sentence whose answer is ignored, under a new tag. It can't be queued if the connection has ended or
    /// the router has stopped reading; then it is not needed.
    fn queue_unanswered(&mut self, sentence: &Sentence) {
        let tag = self.next_tag();
        let _ = self.queue(sentence, Some(tag));
    }

    /// Queues a `/cancel` of a command.
    pub(super) fn cancel(&mut self, tag: u64) {
        self.queue_unanswered(&Sentence::from_words(["/cancel".into(), format!("=tag={tag}")]));
    }

    /// Queues a probe of a silent router: any bytes that arrive show that it is alive.
    pub(super) fn probe(&mut self, command: &Command) {
        self.probed_at = Some(Instant::now());
        self.queue_unanswered(&command.sentence);
    }

    /// Removes a command whose caller was dropped. Its answer is truncated if it has a limit.
    pub(super) fn forget(&mut self, tag: Option<u64>) {
        match self.in_flight.get(&tag) {
            Some(InFlight::Reply(PendingReply { limit: Some(_), .. })) => self.drop_rest(tag),
            Some(InFlight::Reply(_)) => drop(self.in_flight.remove(&tag)),
            _ => {}
        }
    }

    /// Takes the changes that have arrived for a `listen`.
    ///
    /// # Errors
    ///
    /// Why no more changes arrive, once all have been taken.
    pub(super) fn take_changes(&mut self, tag: u64) -> Result<Rows, Error> {
        let Some(InFlight::Listen(pending)) = self.in_flight.get_mut(&Some(tag)) else {
            return Ok(Rows::default());
        };
        match &pending.ended {
            Some(error) if pending.reply.rows.is_empty() => Err(error.clone()),
            ended => {
                // One message may announce both the last change and the end.
                if ended.is_some() {
                    let _ = pending.wake.try_send(());
                }
                pending.reply.held.release();
                Ok(std::mem::take(&mut pending.reply.rows))
            }
        }
    }

    /// Ends a `listen`. Returns whether the router must still be asked to stop.
    pub(super) fn unlisten(&mut self, tag: u64) -> bool {
        let removed = self.in_flight.remove(&Some(tag));
        matches!(removed, Some(InFlight::Listen(PendingChanges { ended: None, .. })))
    }

    /// Ends the connection: each command without an answer gets the error, and so does each later one.
    pub(super) fn end(&mut self, error: &Error) {
        self.in_flight.retain(|tag, in_flight| {
            match in_flight {
                InFlight::Reply(pending) => drop(pending.answer.try_send((*tag, Err(error.clone())))),
                InFlight::Listen(pending) => pending.end(error),
                InFlight::Truncated(_) => {}
            }
            matches!(in_flight, InFlight::Listen(_))
        });
        self.ended.get_or_insert_with(|| error.clone());
    }

    /// Routes one sentence from the router to the command that it answers.
    ///
    /// # Errors
    ///
    /// If the router ended the session or exceeded a limit. The connection is then unusable.
    pub(super) fn receive(&mut self, sentence: SentenceRef) -> Result<(), Error> {
        if sentence.first() == b"!fatal" {
            return Err(fatal(sentence));
        }
        // The client's tags are numbers from 1 on.
        let tag = sentence.tag().map(|tag| value::number(tag).unwrap_or(0));
        match self.in_flight.get_mut(&tag) {
            Some(InFlight::Listen(pending)) => {
                self.unsolicited_run = 0;
                let growth = pending.reply.growth(sentence);
                pending.receive(sentence)?;
                pending.reply.held.add(growth);
                return self.hold_within_limits(growth);
            }
            Some(InFlight::Reply(pending)) if pending.is_full(sentence) => {
                self.unsolicited_run = 0;
                self.truncate(tag, false);
            }
            Some(InFlight::Reply(pending)) => {
                self.unsolicited_run = 0;
                let growth = pending.reply.growth(sentence);
                pending.reply.held.add(growth);
                self.hold_within_limits(growth)?;
                // The limits may just have truncated this reply.
                if let Some(InFlight::Reply(pending)) = self.in_flight.get_mut(&tag)
                    && pending.receive(sentence)?
                {
                    self.answer(tag);
                }
            }
            Some(InFlight::Truncated(dropped)) => {
                self.usage.unsolicited += 1;
                *dropped += 1;
                if *dropped > MAX_DROPPED {
                    let message = format!("an answer went on for {MAX_DROPPED} sentences after its /cancel");
                    return Err(protocol(message));
                }
                if sentence.first() == b"!done" {
                    self.in_flight.remove(&tag);
                }
            }
            None => {
                self.usage.unsolicited += 1;
                self.unsolicited_run += 1;
                if self.unsolicited_run > MAX_UNSOLICITED {
                    return Err(protocol(format!("{MAX_UNSOLICITED} unsolicited sentences in a row")));
                }
            }
        }
        Ok(())
    }

    /// Sends the reply with this tag to its caller.
    fn answer(&mut self, tag: Option<u64>) {
        if let Some(InFlight::Reply(pending)) = self.in_flight.remove(&tag) {
            self.usage.answered += 1;
            pending.finish(tag);
        }
    }

    /// Ends an answer with what arrived so far, and asks the router to stop.
    fn truncate(&mut self, tag: Option<u64>, lacks_memory: bool) {
        if let Some(InFlight::Reply(PendingReply { reply, .. })) = self.in_flight.get_mut(&tag) {
            (reply.is_truncated, reply.lacks_memory) = (true, lacks_memory);
        }
        self.answer(tag);
        // Only a login has no tag, and it has no limit.
        if let Some(number) = tag {
            self.cancel(number);
            self.drop_rest(tag);
        }
    }

    /// Drops all sentences that still arrive for this tag.
    fn drop_rest(&mut self, tag: Option<u64>) {
        let mut truncated = self.in_flight.iter().filter(|(_, one)| matches!(one, InFlight::Truncated(_)));
        let oldest = truncated.next().map(|(tag, _)| *tag);
        if truncated.count() + 1 >= MAX_TRUNCATED
            && let Some(oldest) = oldest
        {
            self.in_flight.remove(&oldest);
        }
        self.in_flight.insert(tag, InFlight::Truncated(0));
    }

    /// Keeps all answers in flight within [`MAX_REPLY`] after a `growth`: truncates the largest answer that has its own
    /// limit. If the shared memory is full, any answer can be truncated.
    fn hold_within_limits(&mut self, growth: usize) -> Result<(), Error> {
        if growth == 0 {
            return Ok(());
        }
        let is_within = self.in_flight.values().map(InFlight::cost).sum::<usize>() <= MAX_REPLY;
        if is_within && !self.account.is_full(self.largest()) || self.truncate_largest(is_within) {
            return Ok(());
        }
        Err(protocol(if is_within {
            "there is no memory for the answers in flight".into()
        } else {
            format!("the answers in flight take more than {MAX_REPLY} bytes")
        }))
    }

    fn largest(&self) -> usize {
        self.in_flight.values().map(InFlight::cost).max().unwrap_or_default()
    }

    /// Truncates the largest answer that has a limit, or, if the shared memory is full, the largest answer that is not
    /// small. A login has no tag and is never truncated. Returns whether an answer was truncated.
    pub(super) fn truncate_largest(&mut self, lacks_memory: bool) -> bool {
        let small = self.account.small();
        let candidates = self.in_flight.iter().filter_map(|(tag, in_flight)| {
            let InFlight::Reply(pending) = in_flight else { return None };
            let bytes = pending.reply.held.bytes();
            let may = if lacks_memory { tag.is_some() && bytes > small } else { pending.limit.is_some() };
            may.then_some((bytes, *tag))
        });
        let Some((_, tag)) = candidates.max() else { return false };
        self.truncate(tag, lacks_memory);
        true
    }

    /// Whether the connection must not be read before it gets a turn.
    pub(super) fn needs_turn(&self) -> bool {
        self.account.needs_turn(self.largest()) && self.turn.strong_count() == 0
    }

    /// Begins a turn, which lasts until all answers that are in flight now are dropped.
    pub(super) fn begin_turn(&mut self, turn: Turn) {
        let turn = Arc::new(turn);
        self.turn = Arc::downgrade(&turn);
        for reply in self.in_flight.values_mut().filter_map(InFlight::reply) {
            reply.held.keep(turn.clone());
        }
    }

    /// Truncates an answer that takes too long while other connections wait for their turn.
    pub(super) fn end_long_turn(&mut self) {
        if self.turn.upgrade().is_some_and(|turn| turn.is_over()) {
            self.turn = Weak::new();
            self.truncate_largest(true);
        }
    }
}

/// `!fatal` carries its reason as a bare word; some servers send it as `=message=`.
fn fatal(sentence: SentenceRef) -> Error {
    let reason = sentence.get("message").or_else(|| sentence.words().nth(1)).unwrap_or(b"no reason given");
    let reason = sanitize(reason);
    let is_login = reason.contains("before login") || reason.contains("not logged in");
    let cause = if is_login { Cause::Auth } else { Cause::Closed };
    Error::new(cause, format!("the router ended the session: {reason}"))
}

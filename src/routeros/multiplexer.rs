//! The commands in flight over one connection, and the routing of answers to them by tag.
//!
//! No I/O. A tag is used again once its answer has ended, because a short one saves bytes in each sentence of an answer.
//! The memory of a connection is bounded: one answer by [`MAX_ROWS`], all answers together by [`MAX_REPLY`].
//! Unsolicited sentences are dropped, up to [`MAX_UNSOLICITED`] in a row. An answer is truncated if it exceeds its
//! command's limit, if other answers need its memory, or if it does not fit into the memory that all connections share,
//! see [`Replies`](crate::memory::Replies). The router is then asked to stop, and the rest of the answer is dropped.

use std::sync::{Arc, Weak};
use std::time::Instant;

use event_listener::{Event, EventListener};
use smol::channel::Sender;

use super::command::{Command, Reply};
use super::error::{Cause, Error, sanitize};
use super::in_flight::{Answered, InFlight, MAX_ROWS, PendingChanges, PendingReply, protocol};
use super::rows::Rows;
use super::value;
use super::wire::{Sentence, SentenceRef};
use crate::memory::{Account, Held, Turn};

/// Maximum memory of all answers in flight over one connection, in bytes. 10,000 active users with all their columns
/// take half of it.
pub const MAX_REPLY: usize = 8 * 1024 * 1024;

/// Maximum number of unsolicited sentences in a row: as many as one answer has.
pub const MAX_UNSOLICITED: usize = MAX_ROWS;

/// Maximum number of sentences of one answer that are dropped after it was truncated or its deadline passed. If the router
/// honours the `/cancel`, a few thousand are in transit. If it ignores it, even its largest menus have been sent
/// completely by then.
pub const MAX_DROPPED: usize = 262_144;

/// Maximum number of answers that nobody waits for and that have not ended. If there are more, the router never ends them:
/// further sentences of the one with the lowest tag count as unsolicited, and its tag is not used again.
const MAX_DROPPED_ANSWERS: usize = 64;

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
    /// No tag up to this one is used again.
    retired: u64,
    /// Commands whose answer has not ended, with their tags; a login has none. There are few, and on an idle connection
    /// only a `listen`.
    in_flight: Vec<(Option<u64>, InFlight)>,
    /// Bytes to be sent: whole sentences in their order.
    pub(super) outgoing: Vec<u8>,
    /// Wakes the connection: there are bytes to be sent, or it is no longer used.
    pub(super) queued: Event,
    /// Whether all clients were dropped, so that no caller waits for an answer.
    pub(super) is_unused: bool,
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
    /// The smallest tag of which no answer is in flight. It is not 0.
    fn free_tag(&self) -> u64 {
        let is_free = |tag: &u64| self.position(Some(*tag)).is_none();
        (self.retired + 1..u64::MAX).find(is_free).unwrap_or(u64::MAX)
    }

    fn position(&self, tag: Option<u64>) -> Option<usize> {
        self.in_flight.iter().position(|(other, _)| *other == tag)
    }

    fn remove(&mut self, tag: Option<u64>) -> Option<InFlight> {
        let (_, removed) = self.in_flight.swap_remove(self.position(tag)?);
        if self.in_flight.len() <= 1 {
            self.in_flight.shrink_to_fit();
        }
        Some(removed)
    }

    /// Queues a command to be sent. `answer` receives its reply, or the error, with its place `at`.
    pub(super) fn call(&mut self, command: &Command, at: usize, answer: Sender<Answered>) {
        let tag = (!command.is_login).then(|| self.free_tag());
        if let Err(error) = self.queue(&command.sentence, tag) {
            let _ = answer.try_send((at, Err(error)));
            return;
        }
        let (reply, began) = (self.new_reply(), Instant::now());
        let pending = PendingReply { reply, limit: command.limit, began, at, answer };
        self.in_flight.push((tag, InFlight::Reply(pending)));
    }

    /// Queues a `listen` to be sent, and returns its tag.
    pub(super) fn listen(&mut self, sentence: &Sentence) -> u64 {
        let tag = self.free_tag();
        let ended = self.queue(sentence, Some(tag)).err();
        let pending = PendingChanges { reply: self.new_reply(), ended, is_new: true, woken: Event::new() };
        self.in_flight.push((Some(tag), InFlight::Listen(pending)));
        tag
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
        self.queued.notify(1);
        self.usage.commands += 1;
        Ok(())
    }

    /// Queues a sentence whose answer is dropped. It can't be queued if the connection has ended or the router has
    /// stopped reading; then it is not needed.
    fn queue_unanswered(&mut self, sentence: &Sentence) {
        let tag = self.free_tag();
        if self.queue(sentence, Some(tag)).is_ok() {
            self.drop_rest(Some(tag));
        }
    }

    /// Queues a `/cancel` of a command, unless it is a login. The rest of its answer is dropped.
    fn cancel(&mut self, tag: Option<u64>) {
        self.drop_rest(tag);
        if let Some(tag) = tag {
            self.queue_unanswered(&Sentence::from_words(["/cancel".into(), format!("=tag={tag}")]));
        }
    }

    /// Queues a probe of a silent router: any bytes that arrive show that it is alive.
    pub(super) fn probe(&mut self, command: &Command) {
        self.probed_at = Some(Instant::now());
        self.queue_unanswered(&command.sentence);
    }

    /// Drops the answers to commands whose caller no longer receives them, and if it `gave_up`, cancels the commands.
    pub(super) fn abandon(&mut self, gave_up: bool) {
        let abandoned = |(tag, one): &(_, InFlight)| {
            matches!(one, InFlight::Reply(pending) if pending.answer.is_closed()).then_some(*tag)
        };
        for tag in self.in_flight.iter().filter_map(abandoned).collect::<Vec<_>>() {
            if gave_up { self.cancel(tag) } else { self.drop_rest(tag) }
        }
    }

    /// Waits for changes of a `listen`; `None` if there may be some to take since the last call.
    pub(super) fn changed(&mut self, tag: u64) -> Option<EventListener> {
        let Some(InFlight::Listen(pending)) = find(&mut self.in_flight, Some(tag)) else {
            // Nothing more arrives.
            return Some(Event::new().listen());
        };
        (!std::mem::take(&mut pending.is_new)).then(|| pending.woken.listen())
    }

    /// Takes the changes that have arrived for a `listen`.
    ///
    /// # Errors
    ///
    /// Why no more changes arrive, once all have been taken.
    pub(super) fn take_changes(&mut self, tag: u64) -> Result<Rows, Error> {
        let Some(InFlight::Listen(pending)) = find(&mut self.in_flight, Some(tag)) else {
            return Ok(Rows::default());
        };
        match &pending.ended {
            Some(error) if pending.reply.rows.is_empty() => Err(error.clone()),
            ended => {
                // The last change and the end may arrive together.
                pending.is_new = ended.is_some();
                pending.reply.held.release();
                Ok(std::mem::take(&mut pending.reply.rows))
            }
        }
    }

    /// Ends a `listen`. Asks the router to stop, unless it has.
    pub(super) fn unlisten(&mut self, tag: u64) {
        let removed = self.remove(Some(tag));
        if matches!(removed, Some(InFlight::Listen(PendingChanges { ended: None, .. }))) {
            self.cancel(Some(tag));
        }
    }

    /// Ends the connection: each command without an answer gets the error, and so does each later one.
    pub(super) fn end(&mut self, error: &Error) {
        self.in_flight.retain_mut(|(_, in_flight)| {
            match in_flight {
                InFlight::Reply(pending) => drop(pending.answer.try_send((pending.at, Err(error.clone())))),
                InFlight::Listen(pending) => pending.end(error),
                InFlight::Dropped(_) => {}
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
        match find(&mut self.in_flight, tag) {
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
                if let Some(InFlight::Reply(pending)) = find(&mut self.in_flight, tag)
                    && pending.receive(sentence)?
                {
                    self.answer(tag);
                }
            }
            Some(InFlight::Dropped(dropped)) => {
                self.usage.unsolicited += 1;
                *dropped += 1;
                if *dropped > MAX_DROPPED {
                    let message = format!("an answer went on for {MAX_DROPPED} sentences after its /cancel");
                    return Err(protocol(message));
                }
                if sentence.first() == b"!done" {
                    self.remove(tag);
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
        if let Some(InFlight::Reply(pending)) = self.remove(tag) {
            self.usage.answered += 1;
            pending.finish();
        }
    }

    /// Ends an answer with what arrived so far, and asks the router to stop.
    fn truncate(&mut self, tag: Option<u64>, lacks_memory: bool) {
        if let Some(InFlight::Reply(PendingReply { reply, .. })) = find(&mut self.in_flight, tag) {
            (reply.is_truncated, reply.lacks_memory) = (true, lacks_memory);
        }
        self.answer(tag);
        self.cancel(tag);
    }

    /// Drops all sentences that still arrive for this tag. It is not free before the last of them.
    fn drop_rest(&mut self, tag: Option<u64>) {
        let dropped = self.in_flight.iter().filter(|(_, one)| matches!(one, InFlight::Dropped(_)));
        let tags = dropped.filter_map(|(tag, _)| *tag);
        if let Some(lowest) = tags.clone().min().filter(|_| tags.count() >= MAX_DROPPED_ANSWERS) {
            self.remove(Some(lowest));
            self.retired = self.retired.max(lowest);
        }
        self.remove(tag);
        self.in_flight.push((tag, InFlight::Dropped(0)));
    }

    /// Keeps all answers in flight within [`MAX_REPLY`] after a `growth`: truncates the largest answer that has its own
    /// limit. If the shared memory is full, any answer can be truncated.
    fn hold_within_limits(&mut self, growth: usize) -> Result<(), Error> {
        if growth == 0 {
            return Ok(());
        }
        let is_within = self.costs().sum::<usize>() <= MAX_REPLY;
        if is_within && !self.account.is_full(self.largest()) || self.truncate_largest(is_within) {
            return Ok(());
        }
        Err(protocol(if is_within {
            "there is no memory for the answers in flight".into()
        } else {
            format!("the answers in flight take more than {MAX_REPLY} bytes")
        }))
    }

    fn costs(&self) -> impl Iterator<Item = usize> {
        self.in_flight.iter().map(|(_, in_flight)| in_flight.cost())
    }

    fn largest(&self) -> usize {
        self.costs().max().unwrap_or_default()
    }

    /// Truncates the largest answer that has a limit, or, if the shared memory is full, the largest answer that is not
    /// small. Returns whether an answer was truncated.
    pub(super) fn truncate_largest(&mut self, lacks_memory: bool) -> bool {
        let small = self.account.small();
        let candidates = self.in_flight.iter().filter_map(|(tag, in_flight)| {
            let InFlight::Reply(pending) = in_flight else { return None };
            let bytes = pending.reply.held.bytes();
            let may = if lacks_memory { bytes > small } else { pending.limit.is_some() };
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
        for reply in self.in_flight.iter_mut().filter_map(|(_, in_flight)| in_flight.reply()) {
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

/// The command with this tag.
fn find(in_flight: &mut [(Option<u64>, InFlight)], tag: Option<u64>) -> Option<&mut InFlight> {
    in_flight.iter_mut().find(|(other, _)| *other == tag).map(|(_, in_flight)| in_flight)
}

/// `!fatal` carries its reason as a bare word; some servers send it as `=message=`.
fn fatal(sentence: SentenceRef) -> Error {
    let reason = sentence.get("message").or_else(|| sentence.words().nth(1)).unwrap_or(b"no reason given");
    let reason = sanitize(reason);
    let is_login = reason.contains("before login") || reason.contains("not logged in");
    let cause = if is_login { Cause::Auth } else { Cause::Closed };
    Error::new(cause, format!("the router ended the session: {reason}"))
}

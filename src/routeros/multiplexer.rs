//! The commands under way over one connection, and the answers as they come in by tag.
//!
//! No I/O. What a router can make this side hold is bounded: an answer by [`MAX_ROWS`], all
//! answers together by [`MAX_REPLY`], answers that nobody waits for by dropping them, and
//! an endless run of those by [`MAX_STRAY`]. An answer with a limit of its own is cut where it
//! passes that, or where the rest needs the room: the router is told to stop, and what still comes
//! of it is dropped. So is any answer that does not fit into the memory which all connections share, see
//! [`Replies`](crate::memory::Replies).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Instant;

use smol::channel::Sender;

use super::command::{Command, Limit, Reply};
use super::error::{Cause, Error, Trap, told};
use super::value;
use super::wire::Sentence;
use crate::memory::{Account, Held, Turn};

/// Most rows taken in answer to one command: a few times the largest hotspot known, and as
/// many as still fit an answer of ours.
pub const MAX_ROWS: usize = 16_384;

/// Most memory taken by the answers under way over one connection, in bytes. 10,000 active
/// users with all their columns take half of it.
pub const MAX_REPLY: usize = 8 * 1024 * 1024;

/// Most traps kept of one answer. An unknown menu gives two.
const MAX_TRAPS: usize = 8;

/// Most sentences in a row that answer nothing asked. Some come after a `/cancel`
/// or a deadline, as many as the rows of one answer at most.
pub const MAX_STRAY: usize = MAX_ROWS;

/// Most sentences dropped of one answer that was cut. A router that heeds the `/cancel` has a few
/// thousand on their way; one that does not has sent its largest menus whole by then.
pub const MAX_DROPPED: usize = 262_144;

/// Most answers that were cut and have not ended yet. Where there are more, the router never ends
/// them, and what comes of the oldest counts as an answer to nothing asked.
const MAX_CUT: usize = 64;

/// Most bytes waiting to be sent. Commands are a few hundred bytes; this many wait only
/// when the router has stopped reading.
const MAX_OUTGOING: usize = 256 * 1024;

/// What asking has cost so far, since the connection began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionUsage {
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Commands sent, logins included.
    pub commands: u64,
    /// Commands whose answer has ended, be it a refusal.
    pub answered: u64,
    /// Sentences that answered nothing asked.
    pub stray: u64,
}

/// What the client and the connection both know.
#[derive(Debug, Default)]
pub(super) struct Multiplexer {
    last_tag: u64,
    /// Commands without an answer yet, by tag. A login has none.
    pending: HashMap<Option<u64>, Pending>,
    /// Answers that were cut and have not ended, by tag, with how many sentences were dropped since.
    cut: BTreeMap<u64, usize>,
    /// Menus that are followed, by tag.
    followed: HashMap<u64, Followed>,
    /// Bytes to be sent: whole sentences, in their order.
    outgoing: Vec<u8>,
    /// Why no more commands are taken.
    ended: Option<Error>,
    /// Sentences since the last that answered something.
    stray_run: usize,
    /// When bytes last came from the router.
    received_at: Option<Instant>,
    /// When a silent router was last asked once more.
    probed_at: Option<Instant>,
    usage: ConnectionUsage,
    /// What the answers of this connection take of the memory that all connections share.
    account: Arc<Account>,
    /// The turn of this connection, which lasts until its large answers are dropped.
    turn: Weak<Turn>,
}

/// A command's outcome.
pub(super) type Answer = Result<Reply, Error>;

#[derive(Debug)]
struct Pending {
    /// What has come so far, with what that costs.
    reply: Reply,
    limit: Option<Limit>,
    began: Instant,
    answer: Sender<Answer>,
}

/// A menu that is followed: what came and nobody has taken yet.
#[derive(Debug)]
struct Followed {
    changes: Vec<Sentence>,
    held: Held,
    traps: Vec<Trap>,
    /// Why nothing more comes.
    ended: Option<Error>,
    wake: Sender<()>,
}

impl Multiplexer {
    /// A tag not used before over this connection; 0 is never given out.
    pub(super) fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// Queues a command to be sent; its answer, or why there is none, goes to `answer`.
    pub(super) fn ask(
        &mut self,
        tag: Option<u64>,
        sentence: &Sentence,
        limit: Option<Limit>,
        answer: Sender<Answer>,
    ) {
        if let Err(error) = self.queue(sentence) {
            let _ = answer.try_send(Err(error));
            return;
        }
        let reply = Reply { held: Held::new(self.account.clone()), ..Reply::default() };
        let pending = Pending { reply, limit, began: Instant::now(), answer };
        self.pending.insert(tag, pending);
    }

    /// Queues a `listen` to be sent; `wake` is told when there is something to take.
    pub(super) fn follow(&mut self, tag: u64, sentence: &Sentence, wake: Sender<()>) {
        let ended = self.queue(sentence).err();
        let _ = wake.try_send(());
        let held = Held::new(self.account.clone());
        let followed = Followed { changes: Vec::new(), held, traps: Vec::new(), ended, wake };
        self.followed.insert(tag, followed);
    }

    fn queue(&mut self, sentence: &Sentence) -> Result<(), Error> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        if self.outgoing.len() > MAX_OUTGOING {
            return Err(Error::new(Cause::QueryTimeout, "the router has stopped reading"));
        }
        sentence.encode(&mut self.outgoing);
        self.usage.commands += 1;
        Ok(())
    }

    /// Queues a `/cancel` of a command. Its own answer is of no interest, and is passed over.
    pub(super) fn cancel(&mut self, tag: u64) {
        let cancel = self.next_tag();
        let words = ["/cancel".into(), format!("=tag={tag}"), format!(".tag={cancel}")];
        // Where it can't be told, the router has gone or has stopped reading.
        let _ = self.queue(&Sentence::from_words(words));
    }

    /// Forgets a command: its answer, if it still comes, is passed over. One that has a limit may be of any length.
    pub(super) fn forget(&mut self, tag: Option<u64>) {
        let forgotten = self.pending.remove(&tag);
        if let (Some(Pending { limit: Some(_), .. }), Some(tag)) = (forgotten, tag) {
            self.pass_over(tag);
        }
    }

    /// Takes the changes that have come to a followed menu.
    ///
    /// # Errors
    ///
    /// Why none will come any more, once all have been taken.
    pub(super) fn take_changes(&mut self, tag: u64) -> Result<Vec<Sentence>, Error> {
        let Some(followed) = self.followed.get_mut(&tag) else { return Ok(Vec::new()) };
        match &followed.ended {
            Some(error) if followed.changes.is_empty() => Err(error.clone()),
            ended => {
                // One wake-up may have stood for the last change and the end.
                if ended.is_some() {
                    let _ = followed.wake.try_send(());
                }
                followed.held.release();
                Ok(std::mem::take(&mut followed.changes))
            }
        }
    }

    /// Follows a menu no longer. Gives whether the router has to be told.
    pub(super) fn unfollow(&mut self, tag: u64) -> bool {
        self.followed.remove(&tag).is_some_and(|followed| followed.ended.is_none())
    }

    /// Whether there is something to be sent.
    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Gives away what is to be sent.
    pub(super) fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    pub(super) fn note_sent(&mut self, bytes: usize) {
        self.usage.sent_bytes += bytes as u64;
    }

    pub(super) fn note_received(&mut self, bytes: usize) {
        self.usage.received_bytes += bytes as u64;
        self.received_at = Some(Instant::now());
    }

    /// When bytes last came from the router.
    pub(super) fn received_at(&self) -> Option<Instant> {
        self.received_at
    }

    /// When the router was last asked once more after a silence, for all open commands together.
    pub(super) fn probed_at(&self) -> Option<Instant> {
        self.probed_at
    }

    /// Queues a command whose answer is of no interest: that something comes is the sign of life.
    pub(super) fn probe(&mut self, command: Command) {
        self.probed_at = Some(Instant::now());
        let Command { mut sentence, .. } = command;
        sentence.push(format!(".tag={}", self.next_tag()).as_bytes());
        // Where it can't be queued, the router has gone or has stopped reading.
        let _ = self.queue(&sentence);
    }

    pub(super) fn usage(&self) -> ConnectionUsage {
        self.usage
    }

    /// Ends it: every command without an answer gets the error, and so does each asked later.
    pub(super) fn end(&mut self, error: &Error) {
        for (_, pending) in self.pending.drain() {
            let _ = pending.answer.try_send(Err(error.clone()));
        }
        for followed in self.followed.values_mut() {
            followed.ended.get_or_insert_with(|| error.clone());
            let _ = followed.wake.try_send(());
        }
        self.ended.get_or_insert_with(|| error.clone());
    }

    /// Takes one sentence from the router to the command that it answers.
    ///
    /// # Errors
    ///
    /// When the router ended the session or passed a limit: the connection is of no use any more.
    pub(super) fn take(&mut self, sentence: Sentence) -> Result<(), Error> {
        if sentence.first() == b"!fatal" {
            return Err(fatal(&sentence));
        }
        // A tag that is no number was never ours.
        let tag = sentence.tag().map(|tag| value::number(tag).unwrap_or(0));
        if let Some(followed) = tag.and_then(|tag| self.followed.get_mut(&tag)) {
            self.stray_run = 0;
            followed.held.add(sentence.cost());
            followed.take(sentence)?;
            return self.within_bounds();
        }
        if let Some(dropped) = tag.and_then(|tag| self.cut.get_mut(&tag)) {
            self.usage.stray += 1;
            *dropped += 1;
            if *dropped > MAX_DROPPED {
                return Err(protocol(format!(
                    "an answer went on for {MAX_DROPPED} sentences after its /cancel"
                )));
            }
            if sentence.first() == b"!done" {
                self.cut.retain(|cut, _| Some(*cut) != tag);
            }
            return Ok(());
        }
        let Some(pending) = self.pending.get_mut(&tag) else {
            self.usage.stray += 1;
            self.stray_run += 1;
            if self.stray_run > MAX_STRAY {
                return Err(protocol(format!("{MAX_STRAY} sentences came that answer nothing asked")));
            }
            return Ok(());
        };
        self.stray_run = 0;
        if pending.is_full(&sentence) {
            self.cut(tag, false);
            return Ok(());
        }
        pending.reply.held.add(sentence.cost());
        self.within_bounds()?;
        // It may have been cut just now.
        let Some(pending) = self.pending.get_mut(&tag) else { return Ok(()) };
        match sentence.first() {
            b"!re" if pending.reply.rows.len() == MAX_ROWS => {
                return Err(protocol(format!("one answer has more than {MAX_ROWS} rows")));
            }
            b"!re" => pending.reply.rows.push(sentence),
            b"!trap" => note_trap(&mut pending.reply.traps, &sentence),
            b"!empty" => {}
            b"!done" => {
                pending.reply.ret = sentence.get("ret").map(<[u8]>::to_vec);
                self.answer(tag);
            }
            other => return Err(unknown_reply(other)),
        }
        Ok(())
    }

    /// Gives the reply of a command to who waits for it.
    fn answer(&mut self, tag: Option<u64>) {
        if let Some(Pending { mut reply, began, answer, .. }) = self.pending.remove(&tag) {
            reply.took = began.elapsed();
            self.usage.answered += 1;
            let _ = answer.try_send(Ok(reply));
        }
    }

    /// Ends an answer with what came of it so far, and tells the router to stop.
    fn cut(&mut self, tag: Option<u64>, lacks_memory: bool) {
        if let Some(pending) = self.pending.get_mut(&tag) {
            (pending.reply.is_cut, pending.reply.lacks_memory) = (true, lacks_memory);
        }
        self.answer(tag);
        // A login has no tag, and no limit.
        let Some(tag) = tag else { return };
        self.cancel(tag);
        self.pass_over(tag);
    }

    /// Passes over what still comes of an answer that was ended here, however much that is.
    fn pass_over(&mut self, tag: u64) {
        if self.cut.len() == MAX_CUT {
            self.cut.pop_first();
        }
        self.cut.insert(tag, 0);
    }

    /// Holds what is kept for all that is under way within [`MAX_REPLY`]: the largest answer with a limit of
    /// its own makes room for the others. Where it is the shared memory that has no room, any answer does.
    fn within_bounds(&mut self) -> Result<(), Error> {
        let is_within = self.costs().sum::<usize>() <= MAX_REPLY;
        if is_within && !self.account.is_full(self.largest()) || self.cut_largest(is_within) {
            return Ok(());
        }
        Err(protocol(if is_within {
            "there is no memory for the answers under way".into()
        } else {
            format!("the answers under way take more than {MAX_REPLY} bytes")
        }))
    }

    /// What each answer and each menu that is followed costs so far.
    fn costs(&self) -> impl Iterator<Item = usize> {
        let replies = self.pending.values().map(|pending| pending.reply.held.bytes());
        replies.chain(self.followed.values().map(|followed| followed.held.bytes()))
    }

    fn largest(&self) -> usize {
        self.costs().max().unwrap_or_default()
    }

    /// Cuts the largest answer that has a limit; for want of shared memory the largest of all but small ones. A login
    /// has no tag and is never cut. Gives whether there was one.
    pub(super) fn cut_largest(&mut self, lacks_memory: bool) -> bool {
        let small = self.account.small();
        let may = |(tag, pending): &(&Option<u64>, &Pending)| {
            if lacks_memory {
                tag.is_some() && pending.reply.held.bytes() > small
            } else {
                pending.limit.is_some()
            }
        };
        let largest = self.pending.iter().filter(may).max_by_key(|(_, pending)| pending.reply.held.bytes());
        let Some((&tag, _)) = largest else { return false };
        self.cut(tag, lacks_memory);
        true
    }

    /// Draws on this memory from now on.
    pub(super) fn share(&mut self, account: Arc<Account>) {
        self.account = account;
    }

    /// What the answers draw on.
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Whether nothing may be read before there is a turn.
    pub(super) fn needs_turn(&self) -> bool {
        self.account.needs_turn(self.largest()) && self.turn.strong_count() == 0
    }

    /// Takes a turn, for as long as any of what is there now is kept.
    pub(super) fn begin_turn(&mut self, turn: Turn) {
        let turn = Arc::new(turn);
        self.turn = Arc::downgrade(&turn);
        for pending in self.pending.values_mut() {
            pending.reply.held.keep(turn.clone());
        }
        for followed in self.followed.values_mut() {
            followed.held.keep(turn.clone());
        }
    }

    /// Cuts an answer that takes too long while other connections wait for their turn.
    pub(super) fn end_long_turn(&mut self) {
        if self.turn.upgrade().is_some_and(|turn| turn.is_over()) {
            self.turn = Weak::new();
            self.cut_largest(true);
        }
    }

    /// Notes that nothing is read for now: that nothing comes is no silence of the router's.
    pub(super) fn note_waiting(&mut self) {
        self.received_at = Some(Instant::now());
    }
}

impl Pending {
    /// Whether this would pass the answer's own limit.
    fn is_full(&self, sentence: &Sentence) -> bool {
        self.limit.is_some_and(|limit| match sentence.first() {
            b"!done" => false,
            b"!re" if self.reply.rows.len() == limit.rows => true,
            _ => self.reply.held.bytes() + sentence.cost() > limit.bytes,
        })
    }
}

impl Followed {
    fn take(&mut self, sentence: Sentence) -> Result<(), Error> {
        match sentence.first() {
            b"!re" => self.changes.push(sentence),
            b"!trap" => note_trap(&mut self.traps, &sentence),
            b"!empty" => {}
            b"!done" => {
                // It never ends by itself: without a trap, somebody has cancelled it.
                let ended = if self.traps.is_empty() {
                    Error::new(Cause::Closed, "the router ended the listen")
                } else {
                    self.traps.as_slice().into()
                };
                self.ended.get_or_insert(ended);
            }
            other => return Err(unknown_reply(other)),
        }
        let _ = self.wake.try_send(());
        Ok(())
    }
}

/// `!fatal` carries its reason as a bare word; some servers send it as `=message=`.
fn fatal(sentence: &Sentence) -> Error {
    let reason = sentence.get("message").or_else(|| sentence.words().nth(1)).unwrap_or(b"no reason given");
    let reason = told(reason);
    let cause = if reason.contains("before login") || reason.contains("not logged in") {
        Cause::Auth
    } else {
        Cause::Closed
    };
    Error::new(cause, format!("the router ended the session: {reason}"))
}

fn note_trap(traps: &mut Vec<Trap>, sentence: &Sentence) {
    if traps.len() < MAX_TRAPS {
        traps.push(Trap { message: told(sentence.get("message").unwrap_or_default()) });
    }
}

fn unknown_reply(kind: &[u8]) -> Error {
    protocol(format!(
        "found a reply beginning with {:?}; expected !re, !done, !trap, !empty or !fatal",
        told(kind)
    ))
}

fn protocol(message: String) -> Error {
    Error::new(Cause::Protocol, message)
}

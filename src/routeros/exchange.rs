//! The commands under way over one connection, and the answers as they come in by tag.
//!
//! No I/O. What a router can make this side hold is bounded: an answer by [`MAX_ROWS`], all
//! answers together by [`MAX_REPLY`], answers that nobody waits for by dropping them, and
//! an endless run of those by [`MAX_STRAY`].

use std::collections::HashMap;
use std::time::Instant;

use smol::channel::Sender;

use super::command::Reply;
use super::error::{Cause, Error, Trap, told};
use super::value;
use super::wire::Sentence;

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

/// Most bytes waiting to be sent. Commands are a few hundred bytes; this many wait only
/// when the router has stopped reading.
const MAX_OUTGOING: usize = 256 * 1024;

/// What asking has cost so far, since the connection began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Commands sent, logins included.
    pub commands: u64,
    /// Sentences that answered nothing asked.
    pub stray: u64,
}

/// What the client and the connection both know.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    last_tag: u64,
    /// Commands without an answer yet, by tag. A login has none.
    pending: HashMap<Option<u64>, Pending>,
    /// Bytes to be sent: whole sentences, in their order.
    outgoing: Vec<u8>,
    /// Why no more commands are taken.
    ended: Option<Error>,
    /// Sentences since the last that answered something.
    stray_run: usize,
    usage: Usage,
}

/// A command's outcome.
pub(super) type Answer = Result<Reply, Error>;

#[derive(Debug)]
struct Pending {
    reply: Reply,
    /// What the answer has cost so far, in bytes of memory.
    cost: usize,
    began: Instant,
    answer: Sender<Answer>,
}

impl Exchange {
    /// A tag not used before over this connection; 0 is never given out.
    pub(super) fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// Queues a command to be sent; its answer, or why there is none, goes to `answer`.
    pub(super) fn ask(&mut self, tag: Option<u64>, sentence: &Sentence, answer: Sender<Answer>) {
        let refused = match &self.ended {
            Some(error) => Some(error.clone()),
            None if self.outgoing.len() > MAX_OUTGOING => {
                Some(Error::new(Cause::QueryTimeout, "the router has stopped reading"))
            }
            None => None,
        };
        if let Some(error) = refused {
            let _ = answer.try_send(Err(error));
            return;
        }
        sentence.encode(&mut self.outgoing);
        self.usage.commands += 1;
        let pending = Pending { reply: Reply::default(), cost: 0, began: Instant::now(), answer };
        self.pending.insert(tag, pending);
    }

    /// Forgets a command: its answer, if it still comes, is passed over.
    pub(super) fn forget(&mut self, tag: Option<u64>) {
        self.pending.remove(&tag);
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
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// Ends it: every command without an answer gets the error, and so does each asked later.
    pub(super) fn end(&mut self, error: &Error) {
        for (_, pending) in self.pending.drain() {
            let _ = pending.answer.try_send(Err(error.clone()));
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
        let Some(pending) = self.pending.get_mut(&tag) else {
            self.usage.stray += 1;
            self.stray_run += 1;
            if self.stray_run > MAX_STRAY {
                return Err(protocol(format!("{MAX_STRAY} sentences came that answer nothing asked")));
            }
            return Ok(());
        };
        self.stray_run = 0;
        pending.cost += sentence.cost();
        let cost: usize = self.pending.values().map(|pending| pending.cost).sum();
        if cost > MAX_REPLY {
            return Err(protocol(format!("the answers under way take more than {MAX_REPLY} bytes")));
        }
        let Some(pending) = self.pending.get_mut(&tag) else { return Ok(()) };
        match sentence.first() {
            b"!re" if pending.reply.rows.len() == MAX_ROWS => {
                return Err(protocol(format!("one answer has more than {MAX_ROWS} rows")));
            }
            b"!re" => pending.reply.rows.push(sentence),
            b"!trap" if pending.reply.traps.len() == MAX_TRAPS => {}
            b"!trap" => pending.reply.traps.push(trap(&sentence)),
            b"!empty" => {}
            b"!done" => {
                pending.reply.took = pending.began.elapsed();
                pending.reply.ret = sentence.get("ret").map(<[u8]>::to_vec);
                if let Some(Pending { reply, answer, .. }) = self.pending.remove(&tag) {
                    let _ = answer.try_send(Ok(reply));
                }
            }
            other => {
                return Err(protocol(format!(
                    "found a reply beginning with {:?}; expected !re, !done, !trap, !empty or !fatal",
                    told(other)
                )));
            }
        }
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

fn trap(sentence: &Sentence) -> Trap {
    Trap {
        category: sentence.get("category").and_then(value::number),
        message: told(sentence.get("message").unwrap_or_default()),
    }
}

fn protocol(message: String) -> Error {
    Error::new(Cause::Protocol, message)
}

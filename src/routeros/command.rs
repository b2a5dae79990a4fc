//! A command to a router, and the reply to it.

use std::time::Duration;

use super::error::{self, Error, Trap, quote};
use super::rows::Rows;
use super::wire::{Sentence, SentenceRef};
use crate::memory::Held;

/// A command with its attributes and queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub(super) sentence: Sentence,
    pub(super) limit: Option<Limit>,
    /// A login has no tag.
    pub(super) is_login: bool,
}

/// The limits at which an answer is truncated, so that it leaves memory for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Maximum number of rows.
    pub rows: usize,
    /// Maximum memory of the whole answer, in bytes.
    pub bytes: usize,
}

impl Command {
    /// A command by its path, such as `/system/resource/print`.
    pub fn new(path: &str) -> Self {
        Self { sentence: Sentence::from_words([path]), limit: None, is_login: false }
    }

    /// Truncates the answer at this limit. Without one, an answer that is too long ends the connection.
    pub fn at_most(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Adds `=key=value`. The value is sent as these bytes.
    pub fn attribute(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.sentence.push_attribute(key.as_bytes(), value.as_ref());
        self
    }

    /// Adds a query word, with its question mark: `?status=bound`, `?#!`.
    pub fn query(mut self, word: &str) -> Self {
        self.sentence.push(word.as_bytes());
        self
    }

    /// Adds `?key=value`: only rows for which it is true. The value is sent as these bytes.
    pub fn query_equal(mut self, key: &str, value: &[u8]) -> Self {
        self.sentence.push_word([b"?", key.as_bytes(), b"=", value]);
        self
    }

    /// Names the properties to send, separated by commas; the router leaves out all others.
    pub fn proplist(self, properties: &str) -> Self {
        self.attribute(".proplist", properties)
    }
}

/// A router's reply to a command, or the error.
pub type Answer = Result<Reply, Error>;

/// A router's reply to one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The `!re` sentences in their order.
    pub rows: Rows,
    /// `=ret=` of the `!done`: a count, a challenge, a new item's id.
    pub ret: Option<Vec<u8>>,
    /// The traps that ended the reply after some rows: others may be missing.
    pub traps: Vec<Trap>,
    /// Whether these are only the first rows: there are more than the command's [`Limit`] or the memory allows.
    pub is_truncated: bool,
    /// Whether there are more rows than the memory allows.
    pub lacks_memory: bool,
    /// From the command to the end of the answer.
    pub took: Duration,
    /// Its part of the memory that all connections share.
    pub held: Held,
}

impl Reply {
    /// The reason why the reply is partial, if it is.
    pub fn partial(&self) -> Option<Partial> {
        if let Some(first) = self.traps.get(..1) {
            return Some(Partial { message: quote(first), quotes_router: true });
        }
        let why = if self.lacks_memory { ": the agent has no memory for more" } else { "" };
        self.is_truncated.then(|| format!("only the first {} rows are taken{why}", self.rows.len()).into())
    }

    /// Bytes of memory that it takes more once this sentence is added. Traps are counted as if they were kept.
    pub(super) fn growth(&self, sentence: SentenceRef) -> usize {
        if sentence.first() == b"!re" { self.rows.growth(sentence) } else { sentence.encoded.len() }
    }

    /// The reply, unless the router refused the command: it then sends traps and no rows.
    ///
    /// # Errors
    ///
    /// That of the traps.
    pub(super) fn unless_refused(self) -> Result<Self, Error> {
        if self.rows.is_empty() && !self.traps.is_empty() { Err(self.traps.into()) } else { Ok(self) }
    }
}

/// The reason why data is partial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The reason, for a person.
    pub message: String,
    quotes_router: bool,
}

impl Partial {
    /// The message without the router's own words, which may contain personal details.
    pub fn without_quote(&self) -> &str {
        if self.quotes_router { error::HIDDEN_QUOTE } else { &self.message }
    }
}

/// A reason that the agent itself states.
impl From<String> for Partial {
    fn from(message: String) -> Self {
        Self { message, quotes_router: false }
    }
}

/// One of several commands that failed.
impl From<&Error> for Partial {
    fn from(error: &Error) -> Self {
        Self { message: error.message.clone(), quotes_router: error.is_refusal() }
    }
}

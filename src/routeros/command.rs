//! What is asked of a router, and what it answers.

use std::time::Duration;

use super::error::{self, Error, Trap};
use super::wire::Sentence;
use crate::memory::Held;

/// A command with its attributes and queries, as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub(super) sentence: Sentence,
    pub(super) limit: Option<Limit>,
}

/// Where an answer is cut: what is more costs nobody else anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Most rows taken.
    pub rows: usize,
    /// Most memory taken by the whole answer, in bytes.
    pub bytes: usize,
}

impl Command {
    /// A command by its path, such as `/system/resource/print`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self { sentence: Sentence::from_words([path]), limit: None }
    }

    /// Takes so much of the answer and no more. Without this too long an answer ends the connection.
    #[must_use]
    pub fn at_most(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Adds `=key=value`. The value goes as the bytes it is.
    #[must_use]
    pub fn attribute(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.sentence.push_attribute(key.as_bytes(), value.as_ref());
        self
    }

    /// Adds a query word, with its question mark: `?status=bound`, `?#!`.
    #[must_use]
    pub fn query(mut self, word: &str) -> Self {
        self.sentence.push(word.as_bytes());
        self
    }

    /// Adds `?key=value`: only rows where it is so. The value goes as the bytes it is.
    #[must_use]
    pub fn query_equal(mut self, key: &str, value: &[u8]) -> Self {
        self.sentence.push(&[b"?", key.as_bytes(), b"=", value].concat());
        self
    }

    /// The properties wanted; the router leaves out all others.
    #[must_use]
    pub fn proplist(self, properties: &[&str]) -> Self {
        self.attribute(".proplist", properties.join(","))
    }
}

/// A router's answer to one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The `!re` sentences in their order.
    pub rows: Vec<Sentence>,
    /// `=ret=` of the `!done`: a count, a challenge, a new item's id.
    pub ret: Option<Vec<u8>>,
    /// The router stopped with these after some rows: the answer is a part of the truth.
    pub traps: Vec<Trap>,
    /// There is more than the command's [`Limit`], or than there is memory for, and these are the first.
    pub is_cut: bool,
    /// There is more than there is memory for.
    pub lacks_memory: bool,
    /// From asking to the end of the answer.
    pub took: Duration,
    /// What it takes of the memory that all connections share.
    pub held: Held,
}

impl Reply {
    /// Why the answer is only a part of the truth, where it is.
    #[must_use]
    pub fn partial(&self) -> Option<String> {
        let trap = self.traps.get(..1).map(error::said);
        let why = if self.lacks_memory { ": the agent has no memory for more" } else { "" };
        trap.or_else(|| {
            self.is_cut.then(|| format!("only the first {} rows are taken{why}", self.rows.len()))
        })
    }

    /// The reply, unless the router refused: traps and not one row.
    ///
    /// # Errors
    ///
    /// What the traps say.
    pub(super) fn unless_refused(self) -> Result<Self, Error> {
        if self.rows.is_empty() && !self.traps.is_empty() {
            Err(self.traps.as_slice().into())
        } else {
            Ok(self)
        }
    }
}

//! What is asked of a router, and what it answers.

use std::time::Duration;

use super::error::{Error, Trap};
use super::wire::Sentence;

/// A command with its attributes and queries, as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(pub(super) Sentence);

impl Command {
    /// A command by its path, such as `/system/resource/print`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(Sentence::from_words([path]))
    }

    /// Adds `=key=value`. The value goes as the bytes it is.
    #[must_use]
    pub fn attribute(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.push_attribute(key.as_bytes(), value.as_ref());
        self
    }

    /// Adds a query word, with its question mark: `?status=bound`, `?#!`.
    #[must_use]
    pub fn query(mut self, word: &str) -> Self {
        self.0.push(word.as_bytes());
        self
    }

    /// Adds `?key=value`: only rows where it is so. The value goes as the bytes it is.
    #[must_use]
    pub fn query_equal(mut self, key: &str, value: &[u8]) -> Self {
        self.0.push(&[b"?", key.as_bytes(), b"=", value].concat());
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
    /// From asking to the end of the answer.
    pub took: Duration,
}

impl Reply {
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

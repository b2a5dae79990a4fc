//! What goes wrong between a router and its client, on purpose.

use std::fmt;
use std::str::FromStr;

use super::reply::{Reply, Trap};
use crate::routeros::wire::Sentence;

/// A way for the connection or the answers to go wrong. It holds for every connection of the
/// router, those that are open too, until another one or none is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Connections are accepted, and nothing is ever said.
    Stall,
    /// Connections are accepted and closed at once.
    Refuse,
    /// Commands are answered with 64 KiB of random bytes, then the connection is closed.
    Garbage,
    /// Commands are answered with a word's length of 2 GiB, and nothing after it.
    HugeLength,
    /// Logins are answered; the answer to a command stops in the middle of a word and the
    /// connection is closed.
    Cut,
    /// Everything is said, one byte a write.
    OneByteWrites,
    /// A print repeats its rows and never ends.
    EndlessRows,
    /// Rows vanish while they are printed: half of them come, then `no such item`.
    Vanish,
    /// Logins are answered, and nothing after that: as if the router had gone without a word.
    HalfOpen,
}

impl Fault {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Stall,
        Self::Refuse,
        Self::Garbage,
        Self::HugeLength,
        Self::Cut,
        Self::OneByteWrites,
        Self::EndlessRows,
        Self::Vanish,
        Self::HalfOpen,
    ];

    /// The name it is chosen by.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// One line that says what happens.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.entry().1
    }

    fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::Stall => ("stall", "accepts connections and never says anything"),
            Self::Refuse => ("refuse", "accepts connections and closes them at once"),
            Self::Garbage => ("garbage", "answers with random bytes and closes"),
            Self::HugeLength => ("huge-length", "answers with a word's length of 2 GiB and nothing more"),
            Self::Cut => ("cut", "answers logins, then stops in the middle of a word and closes"),
            Self::OneByteWrites => ("one-byte-writes", "answers one byte a write"),
            Self::EndlessRows => ("endless-rows", "repeats the rows of a print and never ends"),
            Self::Vanish => ("vanish", "loses its rows while it prints: half of them, then no such item"),
            Self::HalfOpen => ("half-open", "answers logins and nothing after that"),
        }
    }
}

/// An answer whose rows vanish while it is printed: half of them, then a trap. One without rows stays.
pub(super) fn vanishing(mut reply: Reply, tag: Option<&[u8]>) -> Reply {
    let rows = reply.sentences.iter().filter(|sentence| is_row(sentence)).count();
    if rows > 0 {
        reply.sentences.retain(is_row);
        reply.sentences.truncate(rows / 2);
        reply.sentences.extend(Reply::traps(&[Trap::new("no such item")], tag).sentences);
    }
    reply
}

/// An answer as bytes, up to the middle of a word in the middle of it.
pub(super) fn cut(reply: &Reply) -> Vec<u8> {
    let mut bytes = Vec::new();
    for sentence in reply.sentences.iter().take(reply.sentences.len() / 2 + 1) {
        sentence.encode(&mut bytes);
    }
    // Without the sentence's end and the last byte of its last word.
    bytes.truncate(bytes.len().saturating_sub(2));
    bytes
}

/// A word's length of nearly 2 GiB.
pub(super) const HUGE_LENGTH: [u8; 5] = [0xF0, 0x7F, 0xFF, 0xFF, 0xFF];

/// How much garbage there is, in bytes: no client that reads it can think it is still waiting for a reply.
pub(super) const GARBAGE: usize = 64 * 1024;

pub(super) fn is_row(sentence: &Sentence) -> bool {
    sentence.first() == b"!re"
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no [`Fault`] has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFault(String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no fault; expected one of {}", self.0, Fault::ALL.map(Fault::name).join(", "))
    }
}

impl std::error::Error for UnknownFault {}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == name);
        found.ok_or_else(|| UnknownFault(name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_own_name() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        let refused = "stal".parse::<Fault>().unwrap_err().to_string();
        assert!(refused.contains("\"stal\"") && refused.contains("half-open"), "{refused}");
    }
}

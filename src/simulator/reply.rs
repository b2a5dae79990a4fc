//! Replies to commands: traps, and the sentences that a router sends.

use std::time::Instant;

use smol::channel::Receiver;

use crate::routeros::wire::Sentence;

/// Trap categories, from MikroTik's documentation of the API ("Response words").
const MISSING: u8 = 0;
const ARGUMENT: u8 = 1;
const INTERRUPTED: u8 = 2;

/// One `!trap`: the error of a command. Like real routers, it often has no category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TrapReply {
    category: Option<u8>,
    message: String,
}

impl TrapReply {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { category: None, message: message.into() }
    }

    /// A menu or command that does not exist.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self { category: Some(MISSING), message: message.into() }
    }

    /// An attribute that the command does not accept.
    pub(super) fn unknown_parameter() -> Self {
        Self { category: Some(ARGUMENT), message: "unknown parameter".to_string() }
    }

    /// The trap of a cancelled command.
    pub(super) fn interrupted() -> Self {
        Self { category: Some(INTERRUPTED), message: "interrupted".to_string() }
    }

    pub(super) fn no_such_item() -> Self {
        Self::new("no such item (4)")
    }

    pub(super) fn not_permitted() -> Self {
        Self::new("not enough permissions (9)")
    }

    /// The `!trap` sentence.
    pub(super) fn sentence(&self, tag: Option<&[u8]>) -> Sentence {
        let mut trap = sentence("!trap", tag);
        if let Some(category) = self.category {
            trap.push_attribute(b"category", category.to_string().as_bytes());
        }
        trap.push_attribute(b"message", self.message.as_bytes());
        trap
    }
}

/// A change that a `listen` reports, and when it happened.
pub(super) type RowChange = (Instant, Sentence);

/// The reply to one command.
#[derive(Debug, Default)]
pub(super) struct CommandReply {
    /// Sent first, over and over, for as long as a fault lasts.
    pub(super) repeated: Vec<Sentence>,
    /// Sent at once.
    pub(super) sentences: Vec<Sentence>,
    /// Sent as they happen: a `listen` continues until it is cancelled.
    pub(super) changes: Option<Receiver<RowChange>>,
}

impl CommandReply {
    /// A bare `!done`.
    pub(super) fn done(tag: Option<&[u8]>) -> Self {
        Self::of(vec![sentence("!done", tag)])
    }

    /// A `!done` with a `ret`.
    pub(super) fn ret(value: &[u8], tag: Option<&[u8]>) -> Self {
        let mut done = sentence("!done", tag);
        done.push_attribute(b"ret", value);
        Self::of(vec![done])
    }

    /// Traps, and the `!done` that follows them.
    pub(super) fn traps(traps: &[TrapReply], tag: Option<&[u8]>) -> Self {
        let mut sentences: Vec<_> = traps.iter().map(|trap| trap.sentence(tag)).collect();
        sentences.push(sentence("!done", tag));
        Self::of(sentences)
    }

    pub(super) fn of(sentences: Vec<Sentence>) -> Self {
        Self { sentences, ..Self::default() }
    }

    /// The memory that the reply takes, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.repeated.iter().chain(&self.sentences).map(Sentence::cost).sum()
    }
}

/// Starts a sentence. Real routers send the tag as the second word.
pub(super) fn sentence(kind: &str, tag: Option<&[u8]>) -> Sentence {
    let mut sentence = Sentence::from_words([kind]);
    if let Some(tag) = tag {
        sentence.push(&[b".tag=", tag].concat());
    }
    sentence
}

/// The last sentence of a session: the reason is a bare word, without a tag.
pub(super) fn fatal(reason: &str) -> Sentence {
    Sentence::from_words(["!fatal", reason])
}

/// The bytes of sentences on the wire.
pub(super) fn encode<'s>(sentences: impl IntoIterator<Item = &'s Sentence>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for sentence in sentences {
        sentence.encode(&mut bytes);
    }
    bytes
}

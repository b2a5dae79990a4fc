//! The sentences a router answers with.

use std::time::Instant;

use smol::channel::Receiver;

use crate::routeros::wire::Sentence;

/// Trap categories, from MikroTik's documentation of the API ("Response words").
const MISSING: u8 = 0;
const ARGUMENT: u8 = 1;
const INTERRUPTED: u8 = 2;

/// Why a command failed: one `!trap`. Real routers often leave the category out, so does this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trap {
    category: Option<u8>,
    message: String,
}

impl Trap {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { category: None, message: message.into() }
    }

    /// A menu or command that is not there.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self { category: Some(MISSING), message: message.into() }
    }

    /// An attribute that the command does not have.
    pub(super) fn unknown_parameter() -> Self {
        Self { category: Some(ARGUMENT), message: "unknown parameter".to_string() }
    }

    /// What a command that was cancelled says.
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

/// What a `listen` tells, and when it was so.
pub(super) type RowChange = (Instant, Sentence);

/// The answer to one command.
#[derive(Debug, Default)]
pub(super) struct CommandReply {
    /// What is said again and again before all else, for as long as the fault lasts that has it so.
    pub(super) repeated: Vec<Sentence>,
    /// What is known to be said at once, in its order.
    pub(super) sentences: Vec<Sentence>,
    /// What follows as it happens: a `listen` goes on until it is cancelled.
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

    /// The traps, then the `!done` that follows any trap.
    pub(super) fn traps(traps: &[Trap], tag: Option<&[u8]>) -> Self {
        let mut sentences: Vec<_> = traps.iter().map(|trap| trap.sentence(tag)).collect();
        sentences.push(sentence("!done", tag));
        Self::of(sentences)
    }

    /// These sentences.
    pub(super) fn of(sentences: Vec<Sentence>) -> Self {
        Self { sentences, ..Self::default() }
    }

    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        self.repeated.iter().chain(&self.sentences).map(Sentence::cost).sum()
    }
}

/// A sentence of this kind. The tag is its second word, as real routers send it.
pub(super) fn sentence(kind: &str, tag: Option<&[u8]>) -> Sentence {
    let mut sentence = Sentence::from_words([kind]);
    if let Some(tag) = tag {
        sentence.push(&[b".tag=", tag].concat());
    }
    sentence
}

/// The last sentence of a session: its reason is a bare word, and it has no tag.
pub(super) fn fatal(reason: &str) -> Sentence {
    Sentence::from_words(["!fatal", reason])
}

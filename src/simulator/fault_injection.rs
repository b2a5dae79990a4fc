//! Fault injection: replacing replies and changing them.

use super::command;
use super::fault::Fault;
use super::reply::{CommandReply, TrapReply, encode, fatal, sentence};
use super::settings::Policies;
use super::state::State;
use crate::routeros::wire::Sentence;

/// Bytes of garbage: enough that no client that reads it can still wait for a reply.
const GARBAGE: usize = 64 * 1024;

/// A word length of nearly 2 GiB.
const HUGE_LENGTH: [u8; 5] = [0xF0, 0x7F, 0xFF, 0xFF, 0xFF];

/// Upper bound of a reply that arrives with [`Fault::LargeLost`], in bytes.
const FULL_PACKET: usize = 1000;

/// Sentences of [`Fault::UnknownTags`] before they repeat, each with its own tag.
const UNKNOWN_REPLIES: usize = 16;

/// Words of [`Fault::EndlessWords`] in one write: enough that the writes do not dominate the time.
const WORDS_PER_WRITE: usize = 64;

/// Rows that [`Fault::Trailing`] sends again: more than one, and few enough to arrive together with the end.
const TRAILING: usize = 3;

/// The comment of [`Fault::AwkwardValues`]: windows-1252 that is not UTF-8, and bytes with a meaning on the
/// wire, in text or in C.
const AWKWARD_COMMENT: &[u8] = b"caf\xE9 = \x93free\x94\r\nfor \x80 0\x00, =.id=*0";

/// Keys that [`Fault::AwkwardValues`] omits. Some boards and versions lack them.
const OMITTED_KEYS: [&[u8]; 3] = [b"idle-time", b"server", b"cpu-load"];

/// The bytes that a client gets instead of a reply.
pub(super) enum Replacement {
    /// Bytes, possibly none; the connection stays open.
    Bytes(Vec<u8>),
    /// Bytes, and the end of the connection.
    Close(Vec<u8>),
    /// The first bytes, then the second bytes over and over until the fault ends.
    Flood(Vec<u8>, Vec<u8>),
}

/// The replacement that the current fault sends for the reply to a command, if any. The client then has to close the
/// connection. `policies` are those of a client that is logged in.
pub(super) fn replacement(
    state: &mut State,
    policies: Option<Policies>,
    command: &Sentence,
) -> Option<Replacement> {
    let (fault, name) = (state.fault?, command.first());
    match fault {
        Fault::Stall => return Some(Replacement::Bytes(Vec::new())),
        Fault::Refuse => return Some(Replacement::Close(Vec::new())),
        Fault::Garbage => {
            return Some(Replacement::Close((0..GARBAGE).map(|_| state.rng.u8(..)).collect()));
        }
        Fault::HugeLength => return Some(Replacement::Bytes(HUGE_LENGTH.to_vec())),
        _ => {}
    }
    // The other faults let a client log in and quit.
    let policies = policies.filter(|_| !matches!(name, b"/login" | b"/quit"))?;
    match fault {
        Fault::HalfOpen => Some(Replacement::Bytes(Vec::new())),
        Fault::Fatal => Some(Replacement::Close(encode(&[fatal("session terminated by the router")]))),
        Fault::Cut if name != b"/cancel" => {
            Some(Replacement::Close(truncated(&command::run(state, policies, command))))
        }
        Fault::EndlessWords if name.ends_with(b"/print") => Some(endless_words(command.tag())),
        _ => None,
    }
}

/// Runs a command and changes its reply according to the current fault.
pub(super) fn run(state: &mut State, policies: Policies, command: &Sentence) -> CommandReply {
    let tag = command.tag();
    let refused = match state.fault {
        Some(Fault::NoPermission) => vec![TrapReply::not_permitted()],
        Some(Fault::NoMenu) => {
            let path = command::path(command);
            command::unknown_menu(state, path.rsplit_once('/').map_or(path, |(menu, _)| menu))
        }
        Some(Fault::NoListen) if command.first().ends_with(b"/listen") => {
            vec![command::unknown_command(state, "listen")]
        }
        _ => Vec::new(),
    };
    if !refused.is_empty() {
        return CommandReply::traps(&refused, tag);
    }
    let reply = command::run(state, policies, command);
    match state.fault {
        Some(Fault::EndlessRows) => endless(reply),
        Some(Fault::UnknownTags) => CommandReply { repeated: unknown_replies(), ..reply },
        Some(Fault::Vanish) => vanishing(reply, tag),
        Some(Fault::OmittedRow) => without_last(reply),
        Some(Fault::Trailing) => trailing(reply),
        Some(Fault::BareRe) => with_bare(reply, tag),
        Some(Fault::AwkwardValues) => awkward(reply, tag),
        _ => reply,
    }
}

/// Whether the network drops a reply.
pub(super) fn drops(state: &State, reply: &CommandReply) -> bool {
    state.fault == Some(Fault::LargeLost) && encode(&reply.sentences).len() > FULL_PACKET
}

/// The bytes of a reply up to the middle of a word in its middle sentence.
fn truncated(reply: &CommandReply) -> Vec<u8> {
    let half = reply.sentences.iter().take(reply.sentences.len() / 2 + 1);
    let mut bytes = encode(half);
    // Drops the end of the sentence and the last byte of its last word.
    bytes.truncate(bytes.len().saturating_sub(2));
    bytes
}

/// A row whose attributes never end.
fn endless_words(tag: Option<&[u8]>) -> Replacement {
    let open = |sentence: Sentence| {
        let mut bytes = encode(&[sentence]);
        bytes.pop();
        bytes
    };
    let words = Sentence::from_words([b"=more=and more"; WORDS_PER_WRITE]);
    Replacement::Flood(open(sentence("!re", tag)), open(words))
}

/// A reply whose rows repeat; its end is sent when the fault ends.
fn endless(mut reply: CommandReply) -> CommandReply {
    (reply.repeated, reply.sentences) = reply.sentences.into_iter().partition(is_row);
    reply
}

/// Sentences with unknown tags.
fn unknown_replies() -> Vec<Sentence> {
    let reply = |n: usize| {
        let kind = if n.is_multiple_of(4) { "!done" } else { "!re" };
        let mut reply = sentence(kind, Some(format!("unknown-{n}").as_bytes()));
        reply.push_attribute(b"name", b"nobody");
        reply
    };
    (1..=UNKNOWN_REPLIES).map(reply).collect()
}

/// A reply whose rows vanish: half of them, then a trap. A reply without rows is unchanged.
fn vanishing(mut reply: CommandReply, tag: Option<&[u8]>) -> CommandReply {
    let rows = reply.sentences.iter().filter(|sentence| is_row(sentence)).count();
    if rows > 0 {
        reply.sentences.retain(is_row);
        reply.sentences.truncate(rows / 2);
        reply.sentences.extend(CommandReply::traps(&[TrapReply::new("no such item")], tag).sentences);
    }
    reply
}

/// A reply without its last row, if it has several.
fn without_last(mut reply: CommandReply) -> CommandReply {
    let rows = reply.sentences.iter().filter(|sentence| is_row(sentence)).count();
    if rows > 1
        && let Some(last) = reply.sentences.iter().rposition(is_row)
    {
        reply.sentences.remove(last);
    }
    reply
}

/// A reply with some of its rows again after the end. A `listen` has no end.
fn trailing(mut reply: CommandReply) -> CommandReply {
    if reply.changes.is_none() {
        let rows = reply.sentences.iter().filter(|sentence| is_row(sentence));
        let again: Vec<_> = rows.take(TRAILING).cloned().collect();
        reply.sentences.extend(again);
    }
    reply
}

/// A reply with bare `!re` between its rows.
fn with_bare(mut reply: CommandReply, tag: Option<&[u8]>) -> CommandReply {
    let mut sentences: Vec<Sentence> = Vec::new();
    for next in reply.sentences {
        if is_row(&next) && !sentences.is_empty() {
            sentences.push(sentence("!re", tag));
        }
        sentences.push(next);
    }
    reply.sentences = sentences;
    reply
}

fn awkward(mut reply: CommandReply, tag: Option<&[u8]>) -> CommandReply {
    for row in reply.sentences.iter_mut().filter(|sentence| is_row(sentence)) {
        let mut awkward = sentence("!re", tag);
        let is_kept = |key: &[u8]| key != b"comment" && !OMITTED_KEYS.contains(&key);
        for (key, value) in row.attributes().filter(|(key, _)| is_kept(key)) {
            awkward.push_attribute(key, value);
        }
        awkward.push_attribute(b"comment", AWKWARD_COMMENT);
        awkward.push_attribute(b"SHOUTED", b"true");
        *row = awkward;
    }
    reply
}

fn is_row(sentence: &Sentence) -> bool {
    sentence.first() == b"!re"
}

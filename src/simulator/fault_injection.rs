//! What a fault does: to those who connect and log in, in place of an answer, and to an answer.

use std::time::Duration;

use super::command;
use super::fault::Fault;
use super::output::encode;
use super::reply::{CommandReply, Trap, fatal, sentence};
use super::settings::{Policies, Settings};
use super::state::State;
use crate::routeros::wire::Sentence;

/// How much garbage there is, in bytes: no client that reads it can think it is still waiting for a reply.
const GARBAGE: usize = 64 * 1024;

/// A word's length of nearly 2 GiB.
const HUGE_LENGTH: [u8; 5] = [0xF0, 0x7F, 0xFF, 0xFF, 0xFF];

/// How long after a reboot connections are closed at once: longer than a client's first retry.
const BOOT_CLOSED: Duration = Duration::from_secs(2);

/// How long after that logins are refused, so that a client meets it between two tries. [?]: that
/// the service is there before its users is inferred, not seen.
const BOOT_WITHOUT_USERS: Duration = Duration::from_secs(2);

/// Most bytes of an answer that arrives despite [`Fault::LargeLost`].
const FULL_PACKET: usize = 1000;

/// Sentences of [`Fault::Stray`] before they are the same again, each with a tag of its own.
const STRAYS: usize = 16;

/// Words of [`Fault::EndlessWords`] in one write: enough that it is not the writes that take the time.
const WORDS_A_TURN: usize = 64;

/// Rows that [`Fault::Trailing`] says again: more than one, and few enough to come with the end.
const TRAILING: usize = 3;

/// What [`Fault::AwkwardValues`] makes of a comment: windows-1252 that is no UTF-8, and bytes that
/// mean something on the wire, in text or in C.
const AWKWARD_COMMENT: &[u8] = b"caf\xE9 = \x93free\x94\r\nfor \x80 0\x00, =.id=*0";

/// Keys that [`Fault::AwkwardValues`] leaves out. Some boards and versions lack them.
const LEFT_OUT: [&[u8]; 3] = [b"idle-time", b"server", b"cpu-load"];

/// What a client gets in place of an answer.
pub(super) enum Instead {
    /// These bytes, which may be none; the connection goes on.
    Say(Vec<u8>),
    /// These bytes, and the connection's end.
    Close(Vec<u8>),
    /// The first of these, then the second again and again, and nothing else. It ends with the fault.
    Flood(Vec<u8>, Vec<u8>),
}

/// What a client gets in place of an answer to this, if a fault has it so. Whoever gets it has to
/// give the connection up. `policies` are those of a client that is logged in.
pub(super) fn instead(state: &mut State, policies: Option<Policies>, asked: &Sentence) -> Option<Instead> {
    let (fault, command) = (state.fault?, asked.first());
    match fault {
        Fault::Stall => return Some(Instead::Say(Vec::new())),
        Fault::Refuse => return Some(Instead::Close(Vec::new())),
        Fault::Garbage => {
            return Some(Instead::Close((0..GARBAGE).map(|_| state.rng.u8(..)).collect()));
        }
        Fault::HugeLength => return Some(Instead::Say(HUGE_LENGTH.to_vec())),
        _ => {}
    }
    // The others let a client log in and leave.
    let policies = policies.filter(|_| !matches!(command, b"/login" | b"/quit"))?;
    match fault {
        Fault::HalfOpen => Some(Instead::Say(Vec::new())),
        Fault::Fatal => Some(Instead::Close(encode(&[fatal("session terminated by the router")]))),
        Fault::Cut if command != b"/cancel" => {
            Some(Instead::Close(cut(&command::run(state, policies, asked))))
        }
        Fault::EndlessWords if command.ends_with(b"/print") => Some(endless_words(asked.tag())),
        _ => None,
    }
}

/// Carries out a command as far as a fault lets it, and answers as the fault has it.
pub(super) fn run(state: &mut State, policies: Policies, asked: &Sentence) -> CommandReply {
    let tag = asked.tag();
    let refused = match state.fault {
        Some(Fault::NoPermission) => vec![Trap::not_permitted()],
        Some(Fault::NoMenu) => {
            let path = command::path(asked);
            command::unknown_menu(state, path.rsplit_once('/').map_or(path, |(menu, _)| menu))
        }
        Some(Fault::NoListen) if asked.first().ends_with(b"/listen") => {
            vec![command::unknown_command(state, "listen")]
        }
        _ => Vec::new(),
    };
    if !refused.is_empty() {
        return CommandReply::traps(&refused, tag);
    }
    let reply = command::run(state, policies, asked);
    match state.fault {
        Some(Fault::EndlessRows) => endless(reply),
        Some(Fault::Stray) => CommandReply { repeated: strays(), ..reply },
        Some(Fault::Vanish) => vanishing(reply, tag),
        Some(Fault::OmittedRow) => without_last(reply),
        Some(Fault::Trailing) => trailing(reply),
        Some(Fault::BareRe) => with_bare(reply, tag),
        Some(Fault::AwkwardValues) => awkward(reply, tag),
        _ => reply,
    }
}

impl State {
    /// Whether new connections are closed at once.
    pub(super) fn turns_away(&self) -> bool {
        match self.fault {
            Some(Fault::Refuse) => true,
            Some(Fault::Reboot) => self.up() < BOOT_CLOSED,
            _ => false,
        }
    }

    /// Whether every login is refused.
    pub(super) fn refuses_logins(&self) -> bool {
        match self.fault {
            Some(Fault::LoginRefused) => true,
            Some(Fault::LoginRefusedOnce) => !self.has_refused,
            Some(Fault::Reboot) => self.up() < BOOT_CLOSED + BOOT_WITHOUT_USERS,
            _ => false,
        }
    }

    /// The time from a command to its answer.
    pub(super) fn latency(&self) -> Duration {
        let Settings { latency, late_by, late_every, .. } = self.settings;
        let is_late = match self.fault {
            Some(Fault::Late) => true,
            Some(Fault::LateAtTimes) => {
                let period = late_every.as_millis().max(1);
                self.clock.at().as_millis() % period < period / 2
            }
            _ => false,
        };
        if is_late { latency + late_by } else { latency }
    }

    /// Whether the path loses this answer.
    pub(super) fn loses(&self, reply: &CommandReply) -> bool {
        self.fault == Some(Fault::LargeLost) && encode(&reply.sentences).len() > FULL_PACKET
    }

    /// Whether what a [`CommandReply`] repeats is still repeated.
    pub(super) fn repeats(&self) -> bool {
        matches!(self.fault, Some(Fault::EndlessRows | Fault::Stray))
    }
}

/// An answer as bytes, up to the middle of a word in the middle of it.
fn cut(reply: &CommandReply) -> Vec<u8> {
    let half = reply.sentences.iter().take(reply.sentences.len() / 2 + 1);
    let mut bytes = encode(half);
    // Without the sentence's end and the last byte of its last word.
    bytes.truncate(bytes.len().saturating_sub(2));
    bytes
}

/// A row as far as its attributes, and attributes for ever.
fn endless_words(tag: Option<&[u8]>) -> Instead {
    let open = |sentence: Sentence| {
        let mut bytes = encode(&[sentence]);
        bytes.pop();
        bytes
    };
    let words = Sentence::from_words([b"=more=and more"; WORDS_A_TURN]);
    Instead::Flood(open(sentence("!re", tag)), open(words))
}

/// An answer whose rows repeat; what is after them waits for the fault's end.
fn endless(mut reply: CommandReply) -> CommandReply {
    (reply.repeated, reply.sentences) = reply.sentences.into_iter().partition(is_row);
    reply
}

/// Sentences to nobody.
fn strays() -> Vec<Sentence> {
    let stray = |n: usize| {
        let kind = if n.is_multiple_of(4) { "!done" } else { "!re" };
        let mut stray = sentence(kind, Some(format!("stray-{n}").as_bytes()));
        stray.push_attribute(b"name", b"nobody");
        stray
    };
    (1..=STRAYS).map(stray).collect()
}

/// An answer whose rows vanish while it is printed: half of them, then a trap. One without rows stays.
fn vanishing(mut reply: CommandReply, tag: Option<&[u8]>) -> CommandReply {
    let rows = reply.sentences.iter().filter(|sentence| is_row(sentence)).count();
    if rows > 0 {
        reply.sentences.retain(is_row);
        reply.sentences.truncate(rows / 2);
        reply.sentences.extend(CommandReply::traps(&[Trap::new("no such item")], tag).sentences);
    }
    reply
}

/// An answer without the last of its rows, where it has several.
fn without_last(mut reply: CommandReply) -> CommandReply {
    let rows = reply.sentences.iter().filter(|sentence| is_row(sentence)).count();
    if rows > 1
        && let Some(last) = reply.sentences.iter().rposition(is_row)
    {
        reply.sentences.remove(last);
    }
    reply
}

/// An answer with some of its rows again at the end. One that goes on has no end.
fn trailing(mut reply: CommandReply) -> CommandReply {
    if reply.changes.is_none() {
        let rows = reply.sentences.iter().filter(|sentence| is_row(sentence));
        let again: Vec<_> = rows.take(TRAILING).cloned().collect();
        reply.sentences.extend(again);
    }
    reply
}

/// An answer with rows of nothing between its rows.
fn with_bare(mut reply: CommandReply, tag: Option<&[u8]>) -> CommandReply {
    let mut sentences: Vec<Sentence> = Vec::new();
    for said in reply.sentences {
        if is_row(&said) && !sentences.is_empty() {
            sentences.push(sentence("!re", tag));
        }
        sentences.push(said);
    }
    reply.sentences = sentences;
    reply
}

fn awkward(mut reply: CommandReply, tag: Option<&[u8]>) -> CommandReply {
    for row in reply.sentences.iter_mut().filter(|sentence| is_row(sentence)) {
        let mut awkward = sentence("!re", tag);
        let kept = |key: &[u8]| key != b"comment" && !LEFT_OUT.contains(&key);
        for (key, value) in row.attributes().filter(|(key, _)| kept(key)) {
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

//! The running commands of one connection: their limits, and how they are cancelled.

use smol::channel::{Receiver, Sender, unbounded};
use smol::{Task, future};

use super::reply::{TrapReply, sentence};
use crate::executor;
use crate::routeros::wire::Sentence;

/// Upper bound of the commands that run on one connection, so that the commands of one client and their
/// replies can't fill the memory. No limit of RouterOS is documented; no known client runs more than 20.
/// Further commands wait until one has ended.
pub const MAX_PENDING: usize = 64;

/// The same for `/cancel` commands, which are counted separately because they may end others.
const MAX_CANCELS: usize = 8;

/// Upper bound of the replies held for one connection, in bytes; further commands wait. A print is held completely
/// until it is written, so one reply may exceed it. Twice a full menu of users.
const MAX_REPLY_BYTES: usize = 16 * 1024 * 1024;

/// A message from a running command to its connection. A command sends at most two, so the queue is short.
pub(super) enum CommandNotice {
    Cancel(Sentence),
    /// Only changes of a `listen` remain to be sent.
    Follows(u64),
    Finished(u64),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum CommandKind {
    /// A `/cancel`, which cancels neither itself nor another one.
    Cancel,
    /// Ends on its own.
    Short,
    /// Does not end on its own, such as a `listen`.
    Endless,
}

/// A running command.
struct Command {
    key: u64,
    tag: Option<Vec<u8>>,
    kind: CommandKind,
    /// Bytes of its reply that are held.
    cost: usize,
    task: Task<()>,
}

/// The running commands, in the order of their starts. Dropping it ends them.
pub(super) struct Pending {
    commands: Vec<Command>,
    last_key: u64,
    notices: (Sender<CommandNotice>, Receiver<CommandNotice>),
}

impl Pending {
    pub(super) fn new() -> Self {
        Self { commands: Vec::new(), last_key: 0, notices: unbounded() }
    }

    /// Runs a command concurrently with the others. `act` gets its key and the sender of its notices.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        tag: Option<Vec<u8>>,
        kind: CommandKind,
        cost: usize,
        act: impl FnOnce(u64, Sender<CommandNotice>) -> F,
    ) {
        self.last_key += 1;
        let (key, notices) = (self.last_key, self.notices.0.clone());
        let act = act(key, notices.clone());
        let task = executor::spawn(async move {
            act.await;
            let _ = notices.try_send(CommandNotice::Finished(key));
        });
        self.commands.push(Command { key, tag, kind, cost, task });
    }

    /// The next notice of a command.
    pub(super) async fn notice(&self) -> CommandNotice {
        match self.notices.1.recv().await {
            Ok(notice) => notice,
            // Unreachable: `self` holds a sender.
            Err(_) => future::pending().await,
        }
    }

    /// Marks a command as one that only sends changes from now on.
    pub(super) fn set_endless(&mut self, key: u64) {
        if let Some(command) = self.commands.iter_mut().find(|command| command.key == key) {
            (command.kind, command.cost) = (CommandKind::Endless, 0);
        }
    }

    /// Removes a command that has ended.
    pub(super) fn finish(&mut self, key: u64) {
        self.commands.retain(|command| command.key != key);
    }

    /// Whether every running command is endless.
    pub(super) fn is_endless(&self) -> bool {
        self.commands.iter().all(|command| command.kind == CommandKind::Endless)
    }

    /// Whether a command has to wait until others have ended.
    pub(super) fn must_wait(&self, command: &Sentence) -> bool {
        match command.first() {
            b"/login" | b"/quit" => false,
            b"/cancel" => self.commands.len() - self.without_cancels().count() >= MAX_CANCELS,
            // If only endless commands run, it would wait forever.
            _ => self.is_full() && self.without_cancels().any(|command| command.kind == CommandKind::Short),
        }
    }

    /// Whether there is no room for another command.
    pub(super) fn is_full(&self) -> bool {
        let cost: usize = self.without_cancels().map(|command| command.cost).sum();
        self.without_cancels().count() >= MAX_PENDING || cost >= MAX_REPLY_BYTES
    }

    /// The running commands except `/cancel`.
    fn without_cancels(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter().filter(|command| command.kind != CommandKind::Cancel)
    }

    /// Cancels the commands with a tag, or all commands if none is named. Returns the sentences to send, in
    /// the order of real traces: the traps, the `!done` of the `/cancel`, the `!done` of the others. Rows that
    /// were queued before still arrive.
    pub(super) async fn cancel(&mut self, command: &Sentence) -> Vec<Sentence> {
        let tag = command.get("tag");
        let is_hit = |command: &Command| {
            command.kind != CommandKind::Cancel && (tag.is_none() || tag == command.tag.as_deref())
        };
        let (hit, others) = std::mem::take(&mut self.commands).into_iter().partition(is_hit);
        self.commands = others;
        let (mut sentences, mut ends) = (Vec::new(), Vec::new());
        for Command { tag, task, .. } in hit {
            // `Some` means that the command had already ended.
            if task.cancel().await.is_none() {
                sentences.push(TrapReply::interrupted().sentence(tag.as_deref()));
                ends.push(sentence("!done", tag.as_deref()));
            }
        }
        sentences.push(sentence("!done", command.tag()));
        sentences.extend(ends);
        sentences
    }

    /// Ends all commands without a reply.
    pub(super) async fn abort_all(&mut self) {
        for command in std::mem::take(&mut self.commands) {
            command.task.cancel().await;
        }
    }
}

//! The commands under way on one connection: how many there may be, and how they are cancelled.

use std::collections::BTreeMap;

use smol::channel::{Receiver, Sender, unbounded};
use smol::{Task, future};

use super::reply::{Trap, sentence};
use crate::executor;
use crate::routeros::wire::Sentence;

/// Commands under way at a time on one connection, so that one client's commands, each with its
/// answer, do not fill the memory. RouterOS says nothing of a limit; no known client has more than 20.
/// Further ones wait until one has ended.
pub const MAX_PENDING: usize = 64;

/// The same for `/cancel`, which is taken beside those: it may be what makes room.
const MAX_CANCELS: usize = 8;

/// Bytes of answers held for one connection, past which further commands wait: a print is held
/// whole until it is written. Twice a full menu of users; what is past it is one answer at most.
const MAX_ANSWERS: usize = 16 * 1024 * 1024;

/// What a command under way tells its connection. Each tells at most two, so there are never many.
pub(super) enum Notice {
    Cancel(Sentence),
    /// All that was known at once is said; only changes follow.
    Follows(u64),
    Finished(u64),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum CommandKind {
    /// A `/cancel`, which does not cancel itself or another one.
    Cancel,
    /// What ends by itself.
    Short,
    /// What does not, such as a `listen`.
    Endless,
}

/// A command under way.
struct Command {
    tag: Option<Vec<u8>>,
    kind: CommandKind,
    /// Bytes of its answer that are held.
    cost: usize,
    task: Task<()>,
}

/// The commands under way. Dropping it ends them.
pub(super) struct Pending {
    commands: BTreeMap<u64, Command>,
    last_key: u64,
    notices: (Sender<Notice>, Receiver<Notice>),
}

impl Pending {
    pub(super) fn new() -> Self {
        Self { commands: BTreeMap::new(), last_key: 0, notices: unbounded() }
    }

    /// Starts what a command does beside the others. It is given its key, and whom to tell.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        tag: Option<Vec<u8>>,
        kind: CommandKind,
        cost: usize,
        act: impl FnOnce(u64, Sender<Notice>) -> F,
    ) {
        self.last_key += 1;
        let (key, notices) = (self.last_key, self.notices.0.clone());
        let act = act(key, notices.clone());
        let task = executor::spawn(async move {
            act.await;
            let _ = notices.try_send(Notice::Finished(key));
        });
        self.commands.insert(key, Command { tag, kind, cost, task });
    }

    /// The next that one of them tells.
    pub(super) async fn notice(&self) -> Notice {
        match self.notices.1.recv().await {
            Ok(notice) => notice,
            // Never: a sender is held here.
            Err(_) => future::pending().await,
        }
    }

    /// Of this one only changes follow.
    pub(super) fn follows(&mut self, key: u64) {
        if let Some(command) = self.commands.get_mut(&key) {
            (command.kind, command.cost) = (CommandKind::Endless, 0);
        }
    }

    /// This one has ended.
    pub(super) fn finished(&mut self, key: u64) {
        self.commands.remove(&key);
    }

    /// Whether nothing that ends by itself is under way.
    pub(super) fn is_endless(&self) -> bool {
        self.commands.values().all(|command| command.kind == CommandKind::Endless)
    }

    /// Whether a command must wait until others have ended.
    pub(super) fn must_wait(&self, asked: &Sentence) -> bool {
        match asked.first() {
            b"/login" | b"/quit" => false,
            b"/cancel" => self.commands.len() - self.of_client().count() >= MAX_CANCELS,
            // With nothing that ends by itself under way it would wait for ever.
            _ => self.is_full() && self.of_client().any(|command| command.kind == CommandKind::Short),
        }
    }

    /// Whether there is no room for another command.
    pub(super) fn is_full(&self) -> bool {
        let cost: usize = self.of_client().map(|command| command.cost).sum();
        self.of_client().count() >= MAX_PENDING || cost >= MAX_ANSWERS
    }

    /// Those that are no `/cancel`.
    fn of_client(&self) -> impl Iterator<Item = &Command> {
        self.commands.values().filter(|command| command.kind != CommandKind::Cancel)
    }

    /// Cancels the commands of a tag, or all of them where none is named; what is said to that. Rows
    /// that were on their way before still arrive. Order as in traces: the traps, the cancel's own
    /// end, the others' ends.
    pub(super) async fn cancel(&mut self, asked: &Sentence) -> Vec<Sentence> {
        let wanted = asked.get("tag");
        let hit = |command: &Command| {
            command.kind != CommandKind::Cancel && (wanted.is_none() || wanted == command.tag.as_deref())
        };
        let keys: Vec<u64> = self.commands.iter().filter(|(_, c)| hit(c)).map(|(key, _)| *key).collect();
        let (mut said, mut ends) = (Vec::new(), Vec::new());
        for key in keys {
            let Some(Command { tag, task, .. }) = self.commands.remove(&key) else { continue };
            // `Some`: it had said all it had to.
            if task.cancel().await.is_none() {
                said.push(Trap::interrupted().sentence(tag.as_deref()));
                ends.push(sentence("!done", tag.as_deref()));
            }
        }
        said.push(sentence("!done", asked.tag()));
        said.extend(ends);
        said
    }

    /// Ends all of them without a word.
    pub(super) async fn silence(&mut self) {
        for command in std::mem::take(&mut self.commands).into_values() {
            command.task.cancel().await;
        }
    }
}

//! One API connection: login, commands side by side, cancel, and how it ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_net::TcpStream;
use smol::channel::{Receiver, Sender, bounded, unbounded};
use smol::io::AsyncReadExt;
use smol::{Task, Timer, future};

use super::Shared;
use super::command;
use super::fault::{self, Fault};
use super::login::{Asked, Gate};
use super::output::{Answer, TURNS_WAITING, encode, write};
use super::reply::{Reply, Trap, fatal, sentence};
use super::settings::Policies;
use crate::routeros::wire::{Decoder, Sentence};

/// Commands under way at a time on one connection, so that one client's commands, each with its
/// answer, do not fill the memory. RouterOS says nothing of a limit; no known client has more than 20.
/// Further ones wait until one has ended.
pub const MAX_PENDING: usize = 64;

/// The same for `/cancel`, which is taken beside those: it may be what makes room.
const MAX_CANCELS: usize = 8;

/// Bytes of answers held for one connection, past which further commands wait: a print is held
/// whole until it is written. Twice a full menu of users; what is past it is one answer at most.
const MAX_ANSWERS: usize = 16 * 1024 * 1024;

/// How long a connection may stay without a login: clients log in as the first thing.
const LOGIN_WAIT: Duration = Duration::from_secs(60);

/// How long a client that has shut down its side may wait for what it asked before. It may as well
/// be gone: that looks the same.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// How long the last words, such as a `!fatal`, may take to go out.
const LINGER: Duration = Duration::from_secs(2);

/// Serves a connection until it ends. Dropping the future ends it at once.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    // Without it, answers in several writes wait 40 ms for each other; RouterOS sets it too.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (output, turns) = bounded(TURNS_WAITING);
    let writing = smol::spawn(write(shared.clone(), stream.clone(), turns));
    let connection = Connection::new(shared, output, peer);
    connection.run(stream).await;
    future::or(writing, async {
        Timer::after(LINGER).await;
    })
    .await;
}

struct Connection {
    shared: Arc<Shared>,
    output: Sender<Vec<u8>>,
    peer: SocketAddr,
    gate: Gate,
    policies: Option<Policies>,
    /// The `.id` of this connection in `/user/active`.
    listed: Option<String>,
    pending: BTreeMap<u64, Pending>,
    last_key: u64,
    /// A command that there is no room for yet. Until there is, nothing more is read.
    held: Option<Sentence>,
    /// Whether the client has shut down its side.
    asks_no_more: bool,
    notices: (Sender<Notice>, Receiver<Notice>),
}

/// A command under way.
struct Pending {
    tag: Option<Vec<u8>>,
    kind: Kind,
    /// Bytes of its answer that are held.
    cost: usize,
    task: Task<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A `/cancel`, which does not cancel itself or another one.
    Cancel,
    /// What ends by itself.
    Short,
    /// What does not, such as a `listen`.
    Endless,
}

/// What a command under way tells its connection. Each tells at most two, so there are never many.
enum Notice {
    Cancel(Sentence),
    /// All that was known at once is said; only changes follow.
    Follows(u64),
    Finished(u64),
}

/// What a connection waits for.
enum Event {
    Read(std::io::Result<usize>),
    Notice(Notice),
    TimeOut,
}

/// Whether the connection goes on.
#[derive(PartialEq)]
enum Then {
    GoOn,
    Close,
}

impl Connection {
    fn new(shared: Arc<Shared>, output: Sender<Vec<u8>>, peer: SocketAddr) -> Self {
        shared.state().counters.open += 1;
        Self {
            shared,
            output,
            peer,
            gate: Gate::default(),
            policies: None,
            listed: None,
            pending: BTreeMap::new(),
            last_key: 0,
            held: None,
            asks_no_more: false,
            notices: unbounded(),
        }
    }

    async fn run(mut self, mut stream: TcpStream) {
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; 4096];
        let mut wait = Timer::after(LOGIN_WAIT);
        loop {
            let notice = async {
                match self.notices.1.recv().await {
                    Ok(notice) => Event::Notice(notice),
                    // Never: this connection holds a sender.
                    Err(_) => future::pending().await,
                }
            };
            let time_out = async {
                match self.policies {
                    Some(_) if !self.asks_no_more => future::pending().await,
                    _ => (&mut wait).await,
                };
                Event::TimeOut
            };
            let read = async {
                match self.held {
                    None if !self.asks_no_more => Event::Read(stream.read(&mut buffer).await),
                    _ => future::pending().await,
                }
            };
            let event = future::or(notice, future::or(read, time_out)).await;
            let mut then = match event {
                // A router that says nothing does not take its leave either.
                Event::TimeOut if self.shared.state().fault == Some(Fault::Stall) => {
                    wait.set_after(LOGIN_WAIT);
                    Then::GoOn
                }
                Event::Read(Err(_)) | Event::TimeOut => Then::Close,
                Event::Read(Ok(0)) => {
                    self.asks_no_more = true;
                    wait.set_after(LAST_ANSWERS);
                    Then::GoOn
                }
                Event::Read(Ok(count)) => {
                    self.shared.state().counters.received += count as u64;
                    decoder.push(&buffer[..count]);
                    // A client that never pauses, and asks nothing that is waited for, must not
                    // keep the executor from everybody else.
                    future::yield_now().await;
                    Then::GoOn
                }
                Event::Notice(notice) => self.notice(notice).await,
            };
            if then == Then::GoOn {
                then = self.take_all(&mut decoder).await;
            }
            if then == Then::Close || self.has_said_all() {
                return;
            }
        }
    }

    async fn notice(&mut self, notice: Notice) -> Then {
        match notice {
            Notice::Cancel(asked) => return self.cancel(&asked).await,
            Notice::Follows(key) => {
                if let Some(pending) = self.pending.get_mut(&key) {
                    (pending.kind, pending.cost) = (Kind::Endless, 0);
                }
            }
            Notice::Finished(key) => {
                self.pending.remove(&key);
            }
        }
        Then::GoOn
    }

    /// Whether the client has shut down its side and nothing that ends by itself is under way.
    fn has_said_all(&self) -> bool {
        self.asks_no_more && self.held.is_none() && self.pending.values().all(|p| p.kind == Kind::Endless)
    }

    /// Takes the sentences that have come, as far as there is room for them.
    async fn take_all(&mut self, decoder: &mut Decoder) -> Then {
        loop {
            let asked = match self.held.take() {
                Some(asked) => asked,
                None => match decoder.next() {
                    Ok(Some(asked)) => asked,
                    Ok(None) => return Then::GoOn,
                    Err(_) => return Then::Close,
                },
            };
            if self.must_wait(&asked) {
                self.held = Some(asked);
                return Then::GoOn;
            }
            if self.take(asked).await == Then::Close {
                return Then::Close;
            }
        }
    }

    /// Whether a command must wait until others have ended.
    fn must_wait(&self, asked: &Sentence) -> bool {
        match asked.first() {
            b"/login" | b"/quit" => false,
            b"/cancel" => self.pending.values().filter(|p| p.kind == Kind::Cancel).count() >= MAX_CANCELS,
            // With nothing that ends by itself under way it would wait for ever.
            _ => self.is_full() && self.commands().any(|pending| pending.kind == Kind::Short),
        }
    }

    /// Whether there is no room for another command.
    fn is_full(&self) -> bool {
        let cost: usize = self.commands().map(|pending| pending.cost).sum();
        self.commands().count() >= MAX_PENDING || cost >= MAX_ANSWERS
    }

    /// The commands under way that are no `/cancel`.
    fn commands(&self) -> impl Iterator<Item = &Pending> {
        self.pending.values().filter(|pending| pending.kind != Kind::Cancel)
    }

    /// Takes one sentence of the client.
    async fn take(&mut self, asked: Sentence) -> Then {
        let (fault, latency) = {
            let mut state = self.shared.state();
            state.counters.commands += 1;
            (state.fault, state.settings.latency)
        };
        match fault {
            Some(Fault::Stall) => return Then::GoOn,
            Some(Fault::Refuse) => return Then::Close,
            Some(Fault::Garbage) => {
                let garbage = {
                    let dice = &mut self.shared.state().dice;
                    (0..fault::GARBAGE).map(|_| dice.u8(..)).collect()
                };
                let _ = self.output.send(garbage).await;
                return Then::Close;
            }
            Some(Fault::HugeLength) => return self.send(fault::HUGE_LENGTH.to_vec()).await,
            _ => {}
        }
        let command = asked.first();
        if command == b"/login" {
            Timer::after(latency).await;
            return self.login(&asked).await;
        }
        if command == b"/quit" {
            return self.end("session terminated on request").await;
        }
        let Some(policies) = self.policies else { return self.end("not logged in").await };
        if fault == Some(Fault::HalfOpen) {
            return Then::GoOn;
        }
        if command == b"/cancel" {
            let notices = self.notices.0.clone();
            self.start(None, Kind::Cancel, 0, |_| async move {
                Timer::after(latency).await;
                let _ = notices.try_send(Notice::Cancel(asked));
            });
            return Then::GoOn;
        }
        if self.is_full() {
            let trap = Trap::new("failure: too many commands are under way already");
            return self.say(&Reply::traps(&[trap], asked.tag()).sentences).await;
        }
        let mut reply = command::run(&mut self.shared.state(), policies, &asked);
        match fault {
            Some(Fault::Vanish) => reply = fault::vanishing(reply, asked.tag()),
            Some(Fault::Cut) => {
                let _ = self.output.send(fault::cut(&reply)).await;
                return Then::Close;
            }
            _ => {}
        }
        let endless = fault == Some(Fault::EndlessRows) && reply.sentences.iter().any(fault::is_row);
        let cost = reply.sentences.iter().map(Sentence::cost).sum();
        let answer = Answer { reply, endless, output: self.output.clone() };
        let tag = asked.tag().map(<[u8]>::to_vec);
        let notices = self.notices.0.clone();
        let kind = if endless { Kind::Endless } else { Kind::Short };
        self.start(tag.clone(), kind, cost, |key| async move {
            Timer::after(latency).await;
            let follows = || {
                let _ = notices.try_send(Notice::Follows(key));
            };
            // An error means that the connection ends, and this with it.
            let _ = answer.give(tag.as_deref(), follows).await;
        });
        Then::GoOn
    }

    /// Starts what a command does beside the others. It is given the key of what is under way.
    fn start<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        tag: Option<Vec<u8>>,
        kind: Kind,
        cost: usize,
        act: impl FnOnce(u64) -> F,
    ) {
        self.last_key += 1;
        let (key, notices) = (self.last_key, self.notices.0.clone());
        let act = act(key);
        let task = smol::spawn(async move {
            act.await;
            let _ = notices.try_send(Notice::Finished(key));
        });
        self.pending.insert(key, Pending { tag, kind, cost, task });
    }

    async fn login(&mut self, asked: &Sentence) -> Then {
        let outcome = {
            let mut state = self.shared.state();
            let outcome = self.gate.ask(asked, &mut state);
            match &outcome {
                Asked::Accepted(name, policies) => {
                    self.policies = Some(*policies);
                    self.listed = state.list_session(self.listed.take(), name, self.peer.ip());
                }
                Asked::Refused(_) | Asked::TooOften => state.counters.logins_refused += 1,
                Asked::Challenge(_) => {}
            }
            outcome
        };
        let tag = asked.tag();
        match outcome {
            Asked::Accepted(..) => self.say(&Reply::done(tag).sentences).await,
            Asked::Challenge(ret) => self.say(&Reply::ret(ret.as_bytes(), tag).sentences).await,
            Asked::Refused(trap) => self.say(&Reply::traps(&[trap], tag).sentences).await,
            Asked::TooOften => self.end("too many commands before login").await,
        }
    }

    /// Cancels the commands of a tag, or all of them where none is named. Rows that were on their
    /// way before still arrive. Order as in traces: the traps, the cancel's own end, the others' ends.
    async fn cancel(&mut self, asked: &Sentence) -> Then {
        let wanted = asked.get("tag");
        let hit = |pending: &Pending| {
            pending.kind != Kind::Cancel && (wanted.is_none() || wanted == pending.tag.as_deref())
        };
        let keys: Vec<u64> = self.pending.iter().filter(|(_, p)| hit(p)).map(|(key, _)| *key).collect();
        let (mut traps, mut ends) = (Vec::new(), Vec::new());
        for key in keys {
            let Some(Pending { tag, task, .. }) = self.pending.remove(&key) else { continue };
            // `Some`: it had said all it had to.
            if task.cancel().await.is_none() {
                traps.push(Trap::interrupted().sentence(tag.as_deref()));
                ends.push(sentence("!done", tag.as_deref()));
            }
        }
        traps.push(sentence("!done", asked.tag()));
        traps.extend(ends);
        self.say(&traps).await
    }

    async fn end(&mut self, reason: &str) -> Then {
        self.say(&[fatal(reason)]).await;
        Then::Close
    }

    async fn say(&self, sentences: &[Sentence]) -> Then {
        self.send(encode(sentences)).await
    }

    async fn send(&self, bytes: Vec<u8>) -> Then {
        match self.output.send(bytes).await {
            Ok(()) => Then::GoOn,
            Err(_) => Then::Close,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.counters.open -= 1;
        state.unlist_session(self.listed.take());
    }
}

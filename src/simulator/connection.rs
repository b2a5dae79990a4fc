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
pub const MAX_PENDING: usize = 64;

/// How long a connection may stay without a login: clients log in as the first thing.
const LOGIN_WAIT: Duration = Duration::from_secs(60);

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
    notices: (Sender<Notice>, Receiver<Notice>),
}

/// A command under way.
struct Pending {
    tag: Option<Vec<u8>>,
    /// A `/cancel` does not cancel itself or another one.
    is_cancel: bool,
    task: Task<()>,
}

/// What a command under way tells its connection. Each tells at most two, so there are never many.
enum Notice {
    Cancel(Sentence),
    Finished(u64),
}

/// What a connection waits for.
enum Event {
    Read(std::io::Result<usize>),
    Notice(Notice),
    NoLogin,
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
            notices: unbounded(),
        }
    }

    async fn run(mut self, mut stream: TcpStream) {
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; 4096];
        let mut login_wait = Timer::after(LOGIN_WAIT);
        loop {
            let notice = async {
                match self.notices.1.recv().await {
                    Ok(notice) => Event::Notice(notice),
                    // Never: this connection holds a sender.
                    Err(_) => future::pending().await,
                }
            };
            let no_login = async {
                match self.policies {
                    Some(_) => future::pending().await,
                    None => (&mut login_wait).await,
                };
                Event::NoLogin
            };
            let read = async { Event::Read(stream.read(&mut buffer).await) };
            let event = future::or(notice, future::or(read, no_login)).await;
            let then = match event {
                // A router that says nothing does not take its leave either.
                Event::NoLogin if self.shared.state().fault.is_some() => {
                    login_wait.set_after(LOGIN_WAIT);
                    Then::GoOn
                }
                Event::Read(Ok(0) | Err(_)) | Event::NoLogin => Then::Close,
                Event::Read(Ok(count)) => {
                    self.shared.state().counters.received += count as u64;
                    decoder.push(&buffer[..count]);
                    self.take_all(&mut decoder).await
                }
                Event::Notice(Notice::Finished(key)) => {
                    self.pending.remove(&key);
                    Then::GoOn
                }
                Event::Notice(Notice::Cancel(asked)) => self.cancel(&asked).await,
            };
            if then == Then::Close {
                return;
            }
        }
    }

    async fn take_all(&mut self, decoder: &mut Decoder) -> Then {
        loop {
            match decoder.next() {
                Ok(Some(asked)) => {
                    if self.take(asked).await == Then::Close {
                        return Then::Close;
                    }
                }
                Ok(None) => return Then::GoOn,
                Err(_) => return Then::Close,
            }
        }
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
        if self.pending.len() >= MAX_PENDING {
            let trap = Trap::new(format!("failure: {MAX_PENDING} commands are under way already"));
            return self.say(&Reply::traps(&[trap], asked.tag()).sentences).await;
        }
        if command == b"/cancel" {
            let notices = self.notices.0.clone();
            self.start(None, true, async move {
                Timer::after(latency).await;
                let _ = notices.try_send(Notice::Cancel(asked));
            });
            return Then::GoOn;
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
        let answer =
            Answer { reply, endless: fault == Some(Fault::EndlessRows), output: self.output.clone() };
        let tag = asked.tag().map(<[u8]>::to_vec);
        self.start(tag.clone(), false, async move {
            Timer::after(latency).await;
            // An error means that the connection ends, and this with it.
            let _ = answer.give(tag.as_deref()).await;
        });
        Then::GoOn
    }

    /// Starts what a command does beside the others.
    fn start(
        &mut self,
        tag: Option<Vec<u8>>,
        is_cancel: bool,
        act: impl Future<Output = ()> + Send + 'static,
    ) {
        self.last_key += 1;
        let (key, notices) = (self.last_key, self.notices.0.clone());
        let task = smol::spawn(async move {
            act.await;
            let _ = notices.try_send(Notice::Finished(key));
        });
        self.pending.insert(key, Pending { tag, is_cancel, task });
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
        let hit =
            |pending: &Pending| !pending.is_cancel && (wanted.is_none() || wanted == pending.tag.as_deref());
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

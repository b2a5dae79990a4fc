//! One API connection: login, commands side by side, cancel, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smol::channel::{Sender, bounded};
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use smol::{Timer, future};

use super::fault::Fault;
use super::fault_injection::{self, Instead};
use super::login::{LoginOutcome, LoginState};
use super::menus::SERVICE;
use super::output::{ReplyWriter, TURNS_WAITING, encode, write};
use super::pending::{CommandKind, Notice, Pending};
use super::reply::{CommandReply, Trap, fatal};
use super::settings::Policies;
use super::shared::{Counted, Shared};
use crate::executor;
use crate::routeros::wire::{Decoder, Sentence};

/// How long a connection may stay without a login: clients log in as the first thing.
const LOGIN_WAIT: Duration = Duration::from_secs(60);

/// How long a client that has shut down its side may wait for what it asked before. It may as well
/// be gone: that looks the same.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// How long the last words, such as a `!fatal`, may take to go out.
const LINGER: Duration = Duration::from_secs(2);

/// Speaks the API until the connection ends. Dropping the future ends it at once.
pub(super) async fn serve(
    shared: Arc<Shared>,
    counted: Counted,
    read: impl AsyncRead + Unpin,
    write_to: impl AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
) {
    let (output, turns) = bounded(TURNS_WAITING);
    let writing = executor::spawn(write(shared.clone(), write_to, turns));
    let connection = Connection::new(shared, counted, output, peer);
    connection.run(read).await;
    future::or(writing, async {
        Timer::after(LINGER).await;
    })
    .await;
}

struct Connection {
    shared: Arc<Shared>,
    counted: Counted,
    output: Sender<Vec<u8>>,
    peer: SocketAddr,
    gate: LoginState,
    policies: Option<Policies>,
    /// The `.id` of this connection in `/user/active`.
    listed: Option<String>,
    /// Its `.id` in `/ip/service`, where the version has one.
    service_row: Option<String>,
    pending: Pending,
    /// A command that there is no room for yet. Until there is, nothing more is read.
    held: Option<Sentence>,
    /// Whether the client has shut down its side.
    asks_no_more: bool,
    /// Whether an answer was lost on the path, so that nothing after it arrives.
    is_lost: bool,
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
    fn new(shared: Arc<Shared>, counted: Counted, output: Sender<Vec<u8>>, peer: SocketAddr) -> Self {
        let service_row = shared.state().list_connection(peer);
        Self {
            shared,
            counted,
            output,
            peer,
            gate: LoginState::default(),
            policies: None,
            listed: None,
            service_row,
            pending: Pending::new(),
            held: None,
            asks_no_more: false,
            is_lost: false,
        }
    }

    async fn run(mut self, mut stream: impl AsyncRead + Unpin) {
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; 4096];
        let mut wait = Timer::after(LOGIN_WAIT);
        loop {
            let notice = async { Event::Notice(self.pending.notice().await) };
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
            Notice::Cancel(asked) => {
                let said = self.pending.cancel(&asked).await;
                return self.say(&said).await;
            }
            Notice::Follows(key) => self.pending.follows(key),
            Notice::Finished(key) => self.pending.finished(key),
        }
        Then::GoOn
    }

    /// Whether the client has shut down its side and nothing that ends by itself is under way.
    fn has_said_all(&self) -> bool {
        self.asks_no_more && self.held.is_none() && self.pending.is_endless()
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
            if self.pending.must_wait(&asked) {
                self.held = Some(asked);
                return Then::GoOn;
            }
            if self.take(asked).await == Then::Close {
                return Then::Close;
            }
        }
    }

    /// Takes one sentence of the client.
    async fn take(&mut self, asked: Sentence) -> Then {
        let (instead, latency) = {
            let mut state = self.shared.state();
            state.counters.commands += 1;
            (fault_injection::instead(&mut state, self.policies, &asked), state.latency())
        };
        if self.is_lost {
            return Then::GoOn;
        }
        if let Some(instead) = instead {
            return self.suffer(instead).await;
        }
        let command = asked.first();
        if command == b"/login" {
            Timer::after(latency).await;
            return self.login(&asked).await;
        }
        if command == b"/quit" {
            // Over TLS a router goes without a word.
            let says_so = !self.shared.state().settings.tls;
            return if says_so { self.end("session terminated on request").await } else { Then::Close };
        }
        let Some(policies) = self.policies else { return self.end("not logged in").await };
        if command == b"/cancel" {
            self.pending.start(None, CommandKind::Cancel, 0, |_, notices| async move {
                Timer::after(latency).await;
                let _ = notices.try_send(Notice::Cancel(asked));
            });
            return Then::GoOn;
        }
        if self.pending.is_full() {
            let trap = Trap::new("failure: too many commands are under way already");
            return self.say(&CommandReply::traps(&[trap], asked.tag()).sentences).await;
        }
        let reply = fault_injection::run(&mut self.shared.state(), policies, &asked);
        self.is_lost = self.shared.state().loses(&reply);
        if self.is_lost {
            self.pending.silence().await;
            return self.suffer(Instead::Say(Vec::new())).await;
        }
        let (kind, cost) =
            (if reply.repeated.is_empty() { CommandKind::Short } else { CommandKind::Endless }, reply.cost());
        if kind == CommandKind::Endless {
            self.counted.broken();
        }
        let answer = ReplyWriter { reply, shared: self.shared.clone(), output: self.output.clone() };
        let tag = asked.tag().map(<[u8]>::to_vec);
        self.pending.start(tag.clone(), kind, cost, |key, notices| async move {
            Timer::after(latency).await;
            let follows = || {
                let _ = notices.try_send(Notice::Follows(key));
            };
            // An error means that the connection ends, and this with it.
            let _ = answer.give(tag.as_deref(), follows).await;
        });
        Then::GoOn
    }

    /// Gives what a fault has in place of an answer. The client can't go on after that.
    async fn suffer(&mut self, instead: Instead) -> Then {
        self.counted.broken();
        match instead {
            Instead::Say(bytes) => self.send(bytes).await,
            Instead::Close(bytes) => {
                self.send(bytes).await;
                Then::Close
            }
            Instead::Flood(first, again) => {
                // What others say would end its sentence.
                self.pending.silence().await;
                let mut then = self.send(first).await;
                while then == Then::GoOn && self.shared.state().fault == Some(Fault::EndlessWords) {
                    then = self.send(again.clone()).await;
                    future::yield_now().await;
                }
                Then::Close
            }
        }
    }

    async fn login(&mut self, asked: &Sentence) -> Then {
        let (outcome, at_fault) = {
            let mut state = self.shared.state();
            let at_fault = state.refuses_logins();
            let outcome = self.gate.ask(asked, &mut state);
            let refused = matches!(outcome, LoginOutcome::Refused(_) | LoginOutcome::TooOften);
            state.has_refused |= refused;
            state.counters.logins_refused += u64::from(refused);
            if let LoginOutcome::Accepted(name, policies) = &outcome {
                self.policies = Some(*policies);
                let before = self.listed.take();
                self.listed = state.list_session(before, name, *policies, self.peer.ip());
            }
            (outcome, refused && at_fault)
        };
        if at_fault {
            self.counted.broken();
        }
        let tag = asked.tag();
        match outcome {
            LoginOutcome::Accepted(..) => self.say(&CommandReply::done(tag).sentences).await,
            LoginOutcome::Challenge(ret) => self.say(&CommandReply::ret(ret.as_bytes(), tag).sentences).await,
            LoginOutcome::Refused(trap) => self.say(&CommandReply::traps(&[trap], tag).sentences).await,
            LoginOutcome::TooOften => self.end("too many commands before login").await,
        }
    }

    async fn end(&mut self, reason: &str) -> Then {
        self.say(&[fatal(reason)]).await;
        Then::Close
    }

    async fn say(&self, sentences: &[Sentence]) -> Then {
        self.send(encode(sentences)).await
    }

    async fn send(&self, bytes: Vec<u8>) -> Then {
        if bytes.is_empty() {
            // No need to wait until the client has read what is before it.
            return Then::GoOn;
        }
        match self.output.send(bytes).await {
            Ok(()) => Then::GoOn,
            Err(_) => Then::Close,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.unlist_session(self.listed.take());
        if let Some(id) = self.service_row.take() {
            state.remove(SERVICE, &id);
        }
    }
}

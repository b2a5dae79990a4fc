//! One API connection: login, concurrent commands, `/cancel`, and how the connection ends.

use std::net::SocketAddr;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::channel::{Sender, bounded};
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use smol::{Timer, future};

use super::administrators;
use super::fault::Fault;
use super::fault_injection::{self, Replacement};
use super::login::{LoginOutcome, LoginState};
use super::menus::SERVICE;
use super::output::{MAX_QUEUED_WRITES, ReplyWriter, write};
use super::pending::{CommandKind, CommandNotice, Pending};
use super::reply::{CommandReply, TrapReply, encode, fatal};
use super::settings::Policies;
use super::shared::{ConnectionGuard, Shared};
use crate::deadline::within;
use crate::executor;
use crate::routeros::wire::{Decoder, Sentence};

/// How long a connection may stay open without a login: clients log in first.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a client that has shut down its side gets the replies to earlier commands. It can't be distinguished from a
/// client that disconnected.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of the last writes, such as a `!fatal`.
const LINGER: Duration = Duration::from_secs(2);

/// Serves the API until the connection ends. Dropping the future ends it at once.
pub(super) async fn serve(
    shared: Arc<Shared>,
    guard: ConnectionGuard,
    read: impl AsyncRead + Unpin,
    write_to: impl AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
) {
    let (output, queue) = bounded(MAX_QUEUED_WRITES);
    let writer = executor::spawn(write(shared.clone(), write_to, queue));
    Connection::new(shared, guard, output, peer).run(read).await;
    within(LINGER, writer).await;
}

struct Connection {
    shared: Arc<Shared>,
    guard: ConnectionGuard,
    output: Sender<Vec<u8>>,
    peer: SocketAddr,
    login: LoginState,
    policies: Option<Policies>,
    /// The `.id` of the login in `/user/active`.
    administrator_id: Option<String>,
    /// The `.id` of the connection in `/ip/service`, if the version lists connections.
    service_id: Option<String>,
    pending: Pending,
    /// A command that has to wait for others. The connection reads nothing until it runs.
    deferred: Option<Sentence>,
    /// Whether the client has shut down its side.
    is_half_closed: bool,
    /// Whether the network dropped a reply, so that nothing after it arrives.
    is_lost: bool,
    /// When the commands that are handled now arrived. Their latency begins then, whatever other routers do meanwhile.
    received_at: Instant,
}

enum Event {
    Read(std::io::Result<usize>),
    Notice(CommandNotice),
    TimedOut,
}

impl Connection {
    fn new(shared: Arc<Shared>, guard: ConnectionGuard, output: Sender<Vec<u8>>, peer: SocketAddr) -> Self {
        let service_id = administrators::add_connection(&mut shared.state(), peer);
        Self {
            shared,
            guard,
            output,
            peer,
            login: LoginState::default(),
            policies: None,
            administrator_id: None,
            service_id,
            pending: Pending::new(),
            deferred: None,
            is_half_closed: false,
            is_lost: false,
            received_at: Instant::now(),
        }
    }

    async fn run(mut self, mut stream: impl AsyncRead + Unpin) {
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; 4096];
        let mut timer = Timer::after(LOGIN_TIMEOUT);
        loop {
            let notice = async { Event::Notice(self.pending.notice().await) };
            let timeout = async {
                match self.policies {
                    Some(_) if !self.is_half_closed => future::pending().await,
                    _ => (&mut timer).await,
                };
                Event::TimedOut
            };
            let read = async {
                match self.deferred {
                    None if !self.is_half_closed => Event::Read(stream.read(&mut buffer).await),
                    _ => future::pending().await,
                }
            };
            match future::or(notice, future::or(read, timeout)).await {
                // A stalled router does not close the connection either.
                Event::TimedOut if self.shared.state().fault == Some(Fault::Stall) => {
                    timer.set_after(LOGIN_TIMEOUT);
                }
                Event::Read(Err(_)) | Event::TimedOut => return,
                Event::Read(Ok(0)) => {
                    self.is_half_closed = true;
                    timer.set_after(HALF_CLOSED_TIMEOUT);
                }
                Event::Read(Ok(count)) => {
                    self.received_at = Instant::now();
                    self.shared.state().counters.received += count as u64;
                    decoder.push(&buffer[..count]);
                    // A client that never pauses must not block the executor.
                    future::yield_now().await;
                }
                Event::Notice(notice) => {
                    if self.handle_notice(notice).await.is_break() {
                        return;
                    }
                }
            }
            if self.handle_all(&mut decoder).await.is_break() || self.is_finished() {
                return;
            }
        }
    }

    async fn handle_notice(&mut self, notice: CommandNotice) -> ControlFlow<()> {
        match notice {
            CommandNotice::Cancel(command) => {
                let sentences = self.pending.cancel(&command).await;
                self.send(&sentences).await?;
            }
            CommandNotice::Follows(key) => self.pending.set_endless(key),
            CommandNotice::Finished(key) => self.pending.finish(key),
        }
        Continue(())
    }

    /// Whether the client has shut down its side and only endless commands run.
    fn is_finished(&self) -> bool {
        self.is_half_closed && self.deferred.is_none() && self.pending.is_endless()
    }

    /// Handles the commands received so far, until one has to wait.
    async fn handle_all(&mut self, decoder: &mut Decoder) -> ControlFlow<()> {
        loop {
            let command = match self.deferred.take() {
                Some(command) => {
                    self.received_at = Instant::now();
                    command
                }
                None => match decoder.next() {
                    Ok(Some(command)) => command.to_sentence(),
                    Ok(None) => return Continue(()),
                    Err(_) => return Break(()),
                },
            };
            if self.pending.must_wait(&command) {
                self.deferred = Some(command);
                return Continue(());
            }
            self.handle(command).await?;
        }
    }

    async fn handle(&mut self, command: Sentence) -> ControlFlow<()> {
        let (replacement, due) = {
            let mut state = self.shared.state();
            state.counters.commands += 1;
            let due = self.received_at + state.latency();
            (fault_injection::replacement(&mut state, self.policies, &command), due)
        };
        if self.is_lost {
            return Continue(());
        }
        if let Some(replacement) = replacement {
            return self.inject(replacement).await;
        }
        match (command.first(), self.policies) {
            (b"/login", _) => {
                Timer::at(due).await;
                self.log_in(&command).await
            }
            (b"/quit", _) => {
                // Over TLS a router closes the connection without a reply.
                let has_reply = !self.shared.state().settings.tls;
                if has_reply { self.end("session terminated on request").await } else { Break(()) }
            }
            (_, None) => self.end("not logged in").await,
            (b"/cancel", Some(_)) => {
                self.pending.start(None, CommandKind::Cancel, 0, |_, notices| async move {
                    Timer::at(due).await;
                    let _ = notices.try_send(CommandNotice::Cancel(command));
                });
                Continue(())
            }
            (_, Some(policies)) => self.start(policies, &command, due).await,
        }
    }

    /// Runs a menu's command, and sends its reply when it is due, concurrently with those of other commands.
    async fn start(&mut self, policies: Policies, command: &Sentence, due: Instant) -> ControlFlow<()> {
        if self.pending.is_full() {
            let trap = TrapReply::new("failure: too many commands are active");
            return self.reply(CommandReply::traps(&[trap], command.tag())).await;
        }
        let (reply, is_lost) = {
            let mut state = self.shared.state();
            let reply = fault_injection::run(&mut state, policies, command);
            let is_lost = fault_injection::drops(&state, &reply);
            (reply, is_lost)
        };
        self.is_lost = is_lost;
        if is_lost {
            self.pending.abort_all().await;
            return self.inject(Replacement::Bytes(Vec::new())).await;
        }
        let kind = if reply.repeated.is_empty() { CommandKind::Short } else { CommandKind::Endless };
        if kind == CommandKind::Endless {
            self.guard.mark_broken();
        }
        let cost = reply.cost();
        let writer = ReplyWriter::new(reply, self.shared.clone(), self.output.clone());
        let tag = command.tag().map(<[u8]>::to_vec);
        self.pending.start(tag.clone(), kind, cost, |key, notices| async move {
            Timer::at(due).await;
            let on_follow = || {
                let _ = notices.try_send(CommandNotice::Follows(key));
            };
            // An error means that the connection is closing, which drops this task.
            let _ = writer.send(tag.as_deref(), on_follow).await;
        });
        Continue(())
    }

    /// Sends the replacement of a reply, after which the client has to close the connection.
    async fn inject(&mut self, replacement: Replacement) -> ControlFlow<()> {
        self.guard.mark_broken();
        match replacement {
            Replacement::Bytes(bytes) => self.send_bytes(bytes).await,
            Replacement::Close(bytes) => {
                self.send_bytes(bytes).await?;
                Break(())
            }
            Replacement::Flood(first, repeated) => {
                // Other replies would end the endless sentence.
                self.pending.abort_all().await;
                self.send_bytes(first).await?;
                while self.shared.state().fault == Some(Fault::EndlessWords) {
                    self.send_bytes(repeated.clone()).await?;
                    future::yield_now().await;
                }
                Break(())
            }
        }
    }

    async fn log_in(&mut self, command: &Sentence) -> ControlFlow<()> {
        let tag = command.tag();
        let (outcome, is_fault) = {
            let mut state = self.shared.state();
            let is_fault = state.refuses_logins();
            let outcome = self.login.handle(command, &mut state);
            let is_refused = matches!(outcome, LoginOutcome::Refused(_) | LoginOutcome::TooManyAttempts);
            state.has_refused |= is_refused;
            state.counters.logins_refused += u64::from(is_refused);
            if let LoginOutcome::Accepted(name, policies) = &outcome {
                self.policies = Some(*policies);
                // A second login replaces the first.
                if let Some(id) = self.administrator_id.take() {
                    administrators::log_out(&mut state, &id);
                }
                self.administrator_id = administrators::log_in(&mut state, name, *policies, self.peer.ip());
            }
            (outcome, is_refused && is_fault)
        };
        if is_fault {
            self.guard.mark_broken();
        }
        match outcome {
            LoginOutcome::Accepted(..) => self.reply(CommandReply::done(tag)).await,
            LoginOutcome::Challenge(ret) => self.reply(CommandReply::ret(ret.as_bytes(), tag)).await,
            LoginOutcome::Refused(trap) => self.reply(CommandReply::traps(&[trap], tag)).await,
            LoginOutcome::TooManyAttempts => self.end("too many commands before login").await,
        }
    }

    async fn end(&mut self, reason: &str) -> ControlFlow<()> {
        self.send(&[fatal(reason)]).await?;
        Break(())
    }

    async fn reply(&self, reply: CommandReply) -> ControlFlow<()> {
        self.send(&reply.sentences).await
    }

    async fn send(&self, sentences: &[Sentence]) -> ControlFlow<()> {
        self.send_bytes(encode(sentences)).await
    }

    /// Queues bytes. Breaks if the client has disconnected.
    async fn send_bytes(&self, bytes: Vec<u8>) -> ControlFlow<()> {
        // An empty write need not wait for room in the queue.
        if !bytes.is_empty() && self.output.send(bytes).await.is_err() {
            return Break(());
        }
        Continue(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(id) = self.administrator_id.take() {
            administrators::log_out(&mut state, &id);
        }
        if let Some(id) = self.service_id.take() {
            state.remove(SERVICE, &id);
        }
    }
}

//! One connection to a router: concurrent tagged commands, each with a deadline.
//!
//! [`connect`] returns two halves. The [`Connection`] moves bytes and must be polled for anything to happen; it ends when
//! the connection does, with the reason. The [`Client`] sends commands. One task runs both, so that there is nothing to
//! clean up when either ends:
//!
//! ```text
//! let (client, connection) = connect(host, &tls, timeout).await?;
//! future::or(connection.run(), async { client.login(…).await?; client.call(…).await … }).await
//! ```
//!
//! [`Client::call_all`] sends several commands in one write. Their answers arrive in any order, so all of them take one
//! round trip. [`Client::listen`](super::listen) follows a menu at the same time.
//!
//! The memory of a connection is bounded: a sentence by [`wire`](super::wire), everything else by the multiplexer's
//! limits. If a limit is exceeded, the connection ends, holding at most [`MAX_REPLY`] and two sentences. Only the
//! answer to a command with a [`Limit`] is truncated instead.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use smol::Timer;
use smol::channel::{self, Receiver};
use smol::future::FutureExt;

pub use super::command::{Answer, Command, Limit, Partial, Reply};
pub use super::connection::Connection;
use super::connection::{ended, lock};
use super::error::{Cause, Error};
use super::in_flight::Answered;
pub use super::in_flight::MAX_ROWS;
use super::login::{self, LoginMethod};
use super::multiplexer::Multiplexer;
pub use super::multiplexer::{ConnectionUsage, MAX_DROPPED, MAX_REPLY, MAX_UNSOLICITED};
use super::wire::Sentence;
use crate::memory::{Account, Replies};
use crate::net::connect::{self as net, Stream};
use crate::net::deadline::exceeded;
use crate::net::tls::Tls;

/// An answer may take this many times its timeout while bytes keep arriving: two minutes by the default timeout. 800
/// sessions over a GPRS link of 24 kbit/s take one.
const MAX_EXTENSION: u32 = 24;

/// Upper bound of [`MAX_EXTENSION`] for longer timeouts: a router that sends bytes from time to time but never the end
/// must not delay a site's next refresh for hours.
const MAX_EXTENDED: Duration = Duration::from_secs(120);

/// Sends commands to one router. A clone is another handle on the same connection.
#[derive(Debug, Clone)]
pub struct Client(Arc<Handle>);

/// The end of the connection that its clients share. The connection ends when the last of them is dropped.
#[derive(Debug)]
struct Handle(Arc<Mutex<Multiplexer>>);

impl Drop for Handle {
    fn drop(&mut self) {
        let mut multiplexer = lock(&self.0);
        multiplexer.is_unused = true;
        multiplexer.queued.notify(1);
    }
}

/// Connects to a router, secured by `tls`, within `timeout`.
///
/// # Errors
///
/// `dns`, `refused`, `unreachable`, `connect_timeout`, `closed`, or those of TLS.
pub async fn connect(host: (&str, u16), tls: &Tls, timeout: Duration) -> Result<(Client, Connection), Error> {
    let connected = net::connect(host, tls, timeout).await;
    let (stream, agreed) = connected.map_err(|error| Error::connecting(error, tls))?;
    let (client, mut connection) = over(stream);
    connection.certificate_ends = agreed.and_then(|agreed| agreed.ends);
    Ok((client, connection))
}

/// A connection over an open stream of bytes.
pub fn over(stream: Box<dyn Stream>) -> (Client, Connection) {
    let multiplexer = Arc::new(Mutex::new(Multiplexer::default()));
    let connection = Connection::new(stream, multiplexer.clone());
    (Client(Arc::new(Handle(multiplexer))), connection)
}

impl Client {
    /// Counts the answers of this connection in the memory that all connections share.
    pub fn share(&self, replies: &Arc<Replies>) {
        self.multiplexer().account = Account::new(replies.clone());
    }

    /// Logs in by the configured method. It does not try the other method, because the router logs each attempt.
    ///
    /// # Errors
    ///
    /// `auth` if the router refused, `query_timeout`, or the error that ended the connection.
    pub async fn login(
        &self,
        user: impl AsRef<[u8]>,
        password: impl AsRef<[u8]>,
        method: LoginMethod,
        timeout: Duration,
    ) -> Result<(), Error> {
        let (user, password) = (user.as_ref(), password.as_ref());
        let first = match method {
            LoginMethod::Plain => login::plain(user, password),
            LoginMethod::Challenge => Sentence::from_words(["/login"]),
        };
        // Any trap means that the login is refused.
        let granted = |reply: Reply| {
            reply.unless_refused().map_err(|error| Error::login_refused(error, [user, password]))
        };
        let attempt = async |sentence: Sentence| {
            let command = [Command { sentence, limit: None, is_login: true }];
            granted(only(Calls::start(self, &command).wait(timeout, None).await)?)
        };
        let reply = attempt(first).await?;
        match (method, reply.ret) {
            (LoginMethod::Plain, None) => Ok(()),
            (LoginMethod::Plain, Some(_)) => Err(Error::new(
                Cause::Auth,
                "the router requires the login by challenge of RouterOS before 6.43",
            )),
            (LoginMethod::Challenge, ret) => {
                let response = ret.and_then(|ret| login::respond(user, password, &ret));
                let response = response.ok_or_else(Error::no_challenge)?;
                attempt(response).await.map(drop)
            }
        }
    }

    /// Sends one command and waits for its whole answer.
    ///
    /// # Errors
    ///
    /// The router's refusal, `query_timeout`, or the error that ended the connection.
    pub async fn call(&self, command: Command, timeout: Duration) -> Answer {
        only(self.call_all(&[command], timeout).await)
    }

    /// Sends all commands in one write and waits for every answer, each until nothing has arrived from the router for
    /// `timeout`. The answers are in the order of the commands.
    pub async fn call_all(&self, commands: &[Command], timeout: Duration) -> Vec<Answer> {
        self.call_all_probing(commands, timeout, None).await
    }

    /// Like [`call_all`](Self::call_all), but if nothing at all has arrived for `timeout`, sends the `probe` over the
    /// same connection and waits as long again: an answer may be late, or lost on a path that works again.
    pub async fn call_all_probing(
        &self,
        commands: &[Command],
        timeout: Duration,
        probe: Option<&Command>,
    ) -> Vec<Answer> {
        let answers = Calls::start(self, commands).wait(timeout, probe).await;
        answers.into_iter().map(|answer| answer.and_then(Reply::unless_refused)).collect()
    }

    /// The usage of this connection so far.
    pub fn usage(&self) -> ConnectionUsage {
        self.multiplexer().usage
    }

    pub(super) fn multiplexer(&self) -> MutexGuard<'_, Multiplexer> {
        lock(&self.0.0)
    }
}

/// Commands in flight that were sent together. If they are dropped, so are late answers.
struct Calls<'c> {
    client: &'c Client,
    commands: &'c [Command],
    began: Instant,
    answered: Receiver<Answered>,
}

impl<'c> Calls<'c> {
    /// Queues the commands to be sent. Each is sent completely or not at all, even if the caller is dropped, because only
    /// [`Connection::run`] writes.
    fn start(client: &'c Client, commands: &'c [Command]) -> Self {
        let (answer, answered) = channel::bounded(commands.len().max(1));
        let began = Instant::now();
        // Under one lock, so that they are sent together.
        let mut multiplexer = client.multiplexer();
        for (at, command) in commands.iter().enumerate() {
            multiplexer.call(command, at, answer.clone());
        }
        drop(multiplexer);
        Self { client, commands, began, answered }
    }

    /// Waits for all answers. The commands run concurrently, so one deadline covers them all.
    async fn wait(&self, timeout: Duration, probe: Option<&Command>) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = self.commands.iter().map(|_| None).collect();
        let mut late = pin!(self.silence(timeout, probe));
        while answers.iter().any(Option::is_none) {
            // The senders are dropped only with the connection, which sends the reason first.
            let answered = async { Ok(self.answered.recv().await) };
            match answered.or(async { Err(late.as_mut().await) }).await {
                Ok(Ok((at, answer))) => answers[at] = Some(answer),
                Ok(Err(_)) => break,
                Err(waited) => {
                    self.abandon(true);
                    let calls = answers.iter_mut().zip(self.commands);
                    for (answer, command) in calls.filter(|(answer, _)| answer.is_none()) {
                        let path = String::from_utf8_lossy(command.sentence.first());
                        let message = exceeded(&format!("no answer to {path}"), waited);
                        *answer = Some(Err(Error::new(Cause::QueryTimeout, message)));
                    }
                }
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(ended()))).collect()
    }

    /// Waits until nothing has arrived for `timeout` since the calls began, or until they have taken too long
    /// although bytes arrived. Returns the time that has passed.
    async fn silence(&self, timeout: Duration, probe: Option<&Command>) -> Duration {
        let (client, began) = (self.client, self.began);
        let longest = (timeout * MAX_EXTENSION).min(timeout.max(MAX_EXTENDED));
        let end = began + longest;
        loop {
            let (received, probed) = {
                let multiplexer = client.multiplexer();
                let since = |at: Option<Instant>| at.filter(|at| *at > began);
                (since(multiplexer.received_at), since(multiplexer.probed_at))
            };
            let last = received.max(probed).unwrap_or(began);
            let until = (last + timeout).min(end);
            if Instant::now() < until {
                Timer::at(until).await;
                continue;
            }
            match probe {
                Some(probe) if received.is_none() && probed.is_none() && until < end => {
                    client.multiplexer().probe(probe);
                }
                _ if until == end => return longest,
                _ => return timeout,
            }
        }
    }

    /// Receives no more answers. If the caller `gave_up`, the router is asked to stop, to save its resources.
    fn abandon(&self, gave_up: bool) {
        self.answered.close();
        self.client.multiplexer().abandon(gave_up);
    }
}

impl Drop for Calls<'_> {
    fn drop(&mut self) {
        self.abandon(false);
    }
}

/// The only answer.
fn only(answers: Vec<Answer>) -> Answer {
    answers.into_iter().next().unwrap_or_else(|| Err(ended()))
}

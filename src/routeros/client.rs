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

use std::convert::Infallible;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use smol::Timer;
use smol::channel::{self, Receiver, Sender, WeakSender};
use smol::future::{self, FutureExt};
use smol::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

pub use super::command::{Answer, Command, Limit, Partial, Reply};
use super::error::{Cause, Error};
pub use super::in_flight::MAX_ROWS;
use super::in_flight::TaggedAnswer;
use super::login::{self, LoginMethod};
use super::multiplexer::Multiplexer;
pub use super::multiplexer::{ConnectionUsage, MAX_DROPPED, MAX_REPLY, MAX_UNSOLICITED};
use super::wire::{Decoder, Sentence};
use crate::memory::{Account, MAX_WAIT, Replies};
use crate::net::connect::{self as net, Stream};
use crate::net::deadline::exceeded;
use crate::net::tls::Tls;

/// Bytes read at once: about fifty rows. The buffer is on the stack, and only while bytes are read.
const READ_SIZE: usize = 16 * 1024;

/// An answer may take this many times its timeout while bytes keep arriving: two minutes by the default timeout. 800
/// sessions over a GPRS link of 24 kbit/s take one.
const MAX_EXTENSION: u32 = 24;

/// Upper bound of [`MAX_EXTENSION`] for longer timeouts: a router that sends bytes from time to time but never the end
/// must not delay a site's next refresh for hours.
const MAX_EXTENDED: Duration = Duration::from_secs(120);

/// Interval of checks whether waiting for a turn is still worthwhile.
const TURN_CHECK: Duration = Duration::from_millis(100);

/// First bytes of a TLS alert. No answer of the API begins like this: its second byte belongs to a word and is `!`.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// Sends commands to one router. A clone is another handle on the same connection.
#[derive(Debug, Clone)]
pub struct Client {
    multiplexer: Arc<Mutex<Multiplexer>>,
    wake: Sender<()>,
}

/// The bytes of one connection, in both directions.
#[derive(Debug)]
#[must_use = "nothing is sent or received until this runs"]
pub struct Connection {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    multiplexer: Arc<Mutex<Multiplexer>>,
    woken: Receiver<()>,
    /// Weak, because the connection ends when the last client is dropped.
    wake: WeakSender<()>,
}

/// Connects to a router, secured by `tls`, within `timeout`.
///
/// # Errors
///
/// `dns`, `refused`, `unreachable`, `connect_timeout`, `closed`, or those of TLS.
pub async fn connect(host: (&str, u16), tls: &Tls, timeout: Duration) -> Result<(Client, Connection), Error> {
    let stream = net::connect(host, tls, timeout).await;
    stream.map(over).map_err(|error| Error::connecting(error, tls))
}

/// A connection over an open stream of bytes.
pub fn over(stream: Box<dyn Stream>) -> (Client, Connection) {
    let (reader, writer) = smol::io::split(stream);
    let multiplexer = Arc::new(Mutex::new(Multiplexer::default()));
    let (wake, woken) = channel::bounded(1);
    let weak = wake.downgrade();
    let client = Client { multiplexer: multiplexer.clone(), wake };
    (client, Connection { reader, writer, multiplexer, woken, wake: weak })
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
            let command = [Command { sentence, limit: None }];
            granted(only(Calls::start(self, &command, false).wait(timeout, None).await)?)
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
        let answers = Calls::start(self, commands, true).wait(timeout, probe).await;
        answers.into_iter().map(|answer| answer.and_then(Reply::unless_refused)).collect()
    }

    /// The usage of this connection so far.
    #[must_use]
    pub fn usage(&self) -> ConnectionUsage {
        self.multiplexer().usage
    }

    /// Waits until nothing has arrived for `timeout` since a call `began`, or until the call has taken too long
    /// although bytes arrived. Returns the time that has passed.
    async fn silence(&self, began: Instant, timeout: Duration, probe: Option<&Command>) -> Duration {
        let longest = (timeout * MAX_EXTENSION).min(timeout.max(MAX_EXTENDED));
        let end = began + longest;
        loop {
            let (received, probed) = {
                let multiplexer = self.multiplexer();
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
                    self.multiplexer().probe(probe);
                    self.wake();
                }
                _ if until == end => return longest,
                _ => return timeout,
            }
        }
    }

    /// Asks the router to stop a command whose caller was dropped, to save its resources.
    pub(super) fn cancel(&self, tag: u64) {
        self.multiplexer().cancel(tag);
        self.wake();
    }

    pub(super) fn multiplexer(&self) -> MutexGuard<'_, Multiplexer> {
        lock(&self.multiplexer)
    }

    pub(super) fn wake(&self) {
        // If the channel is full, the connection was already woken.
        let _ = self.wake.try_send(());
    }
}

/// Commands in flight that were sent together. Dropping them forgets the commands: late answers are ignored.
struct Calls<'c> {
    client: &'c Client,
    commands: &'c [Command],
    /// Their tags, in their order. A login is sent alone, and without its tag.
    tags: Range<u64>,
    is_tagged: bool,
    began: Instant,
    answered: Receiver<TaggedAnswer>,
}

impl<'c> Calls<'c> {
    /// Queues the commands to be sent. Each is sent completely or not at all, even if the caller is dropped, because only
    /// [`Connection::run`] writes.
    fn start(client: &'c Client, commands: &'c [Command], is_tagged: bool) -> Self {
        let (answer, answered) = channel::bounded(commands.len().max(1));
        let began = Instant::now();
        // Under one lock, so that they are sent together.
        let mut multiplexer = client.multiplexer();
        let tags = multiplexer.next_tags(commands.len());
        for (tag, command) in tags.clone().zip(commands) {
            multiplexer.call(is_tagged.then_some(tag), command, answer.clone());
        }
        drop(multiplexer);
        client.wake();
        Self { client, commands, tags, is_tagged, began, answered }
    }

    /// Waits for all answers. The commands run concurrently, so one deadline covers them all.
    async fn wait(self, timeout: Duration, probe: Option<&Command>) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = self.commands.iter().map(|_| None).collect();
        let mut late = pin!(self.client.silence(self.began, timeout, probe));
        while answers.iter().any(Option::is_none) {
            // The senders are dropped only with the connection, which sends the reason first.
            let answered = async { Ok(self.answered.recv().await) };
            match answered.or(async { Err(late.as_mut().await) }).await {
                Ok(Ok((tag, answer))) => {
                    let at =
                        tag.map_or(0, |tag| usize::try_from(tag - self.tags.start).unwrap_or(usize::MAX));
                    if let Some(place) = answers.get_mut(at) {
                        *place = Some(answer);
                    }
                }
                Ok(Err(_)) => break,
                Err(waited) => {
                    for ((answer, command), tag) in
                        answers.iter_mut().zip(self.commands).zip(self.tags.clone())
                    {
                        if answer.is_none() {
                            if self.is_tagged {
                                self.client.cancel(tag);
                            }
                            let what = format!("no answer to {}", command.path());
                            *answer = Some(Err(Error::new(Cause::QueryTimeout, exceeded(&what, waited))));
                        }
                    }
                }
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(ended()))).collect()
    }
}

impl Drop for Calls<'_> {
    fn drop(&mut self) {
        let mut multiplexer = self.client.multiplexer();
        for tag in self.tags.clone() {
            multiplexer.forget(self.is_tagged.then_some(tag));
        }
    }
}

/// The only answer.
fn only(answers: Vec<Answer>) -> Answer {
    answers.into_iter().next().unwrap_or_else(|| Err(ended()))
}

impl Connection {
    /// Moves bytes until the connection ends, and returns the reason. Every command without an answer gets the same
    /// error.
    pub async fn run(mut self) -> Error {
        let receiving = receive(&mut self.reader, &self.multiplexer, &self.wake);
        let sending = send(&mut self.writer, &self.multiplexer, &self.woken);
        let Err(error) = future::or(receiving, sending).await;
        lock(&self.multiplexer).end(&error);
        error
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.multiplexer).end(&ended());
    }
}

/// Receives until the connection fails.
async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    multiplexer: &Mutex<Multiplexer>,
    wake: &WeakSender<()>,
) -> Result<Infallible, Error> {
    let mut decoder = Decoder::default();
    let mut is_first = true;
    loop {
        take_turn(multiplexer).await;
        let count = future::poll_fn(|context| {
            let mut bytes = [0; READ_SIZE];
            let count = match ready!(Pin::new(&mut *stream).poll_read(context, &mut bytes)) {
                Ok(count) => count,
                // TLS reports this error if the peer closes without an alert, as RouterOS does.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
                Err(error) => return Poll::Ready(Err(connection_lost(&error))),
            };
            if count == 0 {
                return Poll::Ready(Err(closed("the router closed the connection")));
            }
            if std::mem::take(&mut is_first) && bytes[..count].starts_with(&TLS_ALERT) {
                return Poll::Ready(Err(Error::speaks_tls()));
            }
            decoder.push(&bytes[..count]);
            Poll::Ready(Ok(count))
        });
        let count = count.await?;
        let has_outgoing = {
            let mut multiplexer = lock(multiplexer);
            multiplexer.usage.received_bytes += count as u64;
            multiplexer.received_at = Some(Instant::now());
            while let Some(sentence) = decoder.next()? {
                multiplexer.receive(sentence)?;
            }
            multiplexer.end_long_turn();
            // It may have queued a `/cancel`.
            !multiplexer.outgoing.is_empty()
        };
        if has_outgoing && let Some(wake) = wake.upgrade() {
            let _ = wake.try_send(());
        }
        // A router that sends without pause must not block the executor.
        future::yield_now().await;
    }
}

/// Waits until a large answer may continue, without reading. An answer that has waited too long is truncated.
async fn take_turn(multiplexer: &Mutex<Multiplexer>) {
    if !lock(multiplexer).needs_turn() {
        return;
    }
    let replies = lock(multiplexer).account.replies();
    let mut turn = pin!(replies.turn());
    let began = Instant::now();
    // The caller may be dropped while this waits.
    while lock(multiplexer).needs_turn() {
        lock(multiplexer).received_at = Some(Instant::now());
        let check = async {
            Timer::after(TURN_CHECK).await;
            None
        };
        if let Some(turn) = async { Some(turn.as_mut().await) }.or(check).await {
            lock(multiplexer).begin_turn(turn);
        } else if began.elapsed() > MAX_WAIT {
            lock(multiplexer).truncate_largest(true);
            return;
        }
    }
}

/// Sends until the connection fails or all clients are dropped.
async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    multiplexer: &Mutex<Multiplexer>,
    woken: &Receiver<()>,
) -> Result<Infallible, Error> {
    while woken.recv().await.is_ok() {
        let bytes = std::mem::take(&mut lock(multiplexer).outgoing);
        let sent = async {
            stream.write_all(&bytes).await?;
            // TLS buffers bytes until they are flushed.
            stream.flush().await
        };
        sent.await.map_err(|error| connection_lost(&error))?;
        lock(multiplexer).usage.sent_bytes += bytes.len() as u64;
    }
    // All clients were dropped, so no caller waits for an answer.
    Err(closed("the connection is no longer used"))
}

fn closed(message: &str) -> Error {
    Error::new(Cause::Closed, message)
}

fn ended() -> Error {
    closed("the connection has ended")
}

fn connection_lost(error: &std::io::Error) -> Error {
    closed(&format!("the connection was lost: {error}"))
}

/// Every change under this lock leaves the state consistent, so a poisoned lock is still usable.
fn lock(multiplexer: &Mutex<Multiplexer>) -> MutexGuard<'_, Multiplexer> {
    multiplexer.lock().unwrap_or_else(PoisonError::into_inner)
}

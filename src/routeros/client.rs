//! One connection to a router: tagged commands side by side, each with its deadline.
//!
//! [`connect`](super::connect::connect) gives two halves. The [`Connection`] moves bytes and must
//! be polled for anything to happen; it ends when the connection does, with why. The [`Client`]
//! asks. A task runs both, so that there is nothing to clean up when either ends:
//!
//! ```text
//! let (client, connection) = connect(host, &tls, timeout).await?;
//! future::or(connection.run(), async { client.login(…).await?; client.call(…).await … }).await
//! ```
//!
//! Commands given together to [`Client::call_all`] leave in one write, and their answers
//! come back in whatever order the router has them ready: one round trip for all.
//! [`Client::listen`](super::listen) follows a menu beside them.
//!
//! What a router can make this side hold is bounded: a sentence by [`wire`](super::wire), an
//! answer by [`MAX_ROWS`], all answers and changes not taken yet together by [`MAX_REPLY`], an
//! endless run of answers that nobody waits for by [`MAX_STRAY`]. Past one of them the connection
//! ends: at most [`MAX_REPLY`] and a sentence or two for each connection. An answer to a command with
//! a [`Limit`] is cut there instead, and the connection goes on.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smol::channel::{self, Receiver, Sender, WeakSender};
use smol::future::{self, FutureExt};
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use smol::{Timer, stream::StreamExt};

pub use super::command::{Command, Limit, Reply};
use super::error::{Cause, Error};
use super::login::{self, LoginMethod};
use super::multiplexer::{Answer, Multiplexer};
pub use super::multiplexer::{ConnectionUsage, MAX_DROPPED, MAX_REPLY, MAX_ROWS, MAX_STRAY};
use super::wire::{Decoder, Sentence};
use crate::memory::{Account, MAX_WAIT, Replies};

/// Bytes read at once: a row or ten, and small enough for fifty routers on a small board.
const READ_SIZE: usize = 4 * 1024;

/// An answer may take this many times its timeout while bytes keep coming: two minutes by the default timeout. 800
/// sessions over a GPRS link of 24 kbit/s take one.
const MAX_EXTENSION: u32 = 24;

/// Longest time that [`MAX_EXTENSION`] makes of a longer timeout: a router that sends something now and then, and never
/// the end, must not keep a site from its next refresh for hours.
const MAX_EXTENDED: Duration = Duration::from_secs(120);

/// From one look to the next at whether a wait for a turn is still worth it.
const TURN_LOOK: Duration = Duration::from_millis(100);

/// How a TLS alert begins. No answer of the API does: its second byte is of a word, and begins with `!`.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// Asks one router. Cloning gives another handle on the same connection.
#[derive(Debug, Clone)]
pub struct Client {
    multiplexer: Arc<Mutex<Multiplexer>>,
    wake: Sender<()>,
}

/// The bytes of one connection, both ways.
#[derive(Debug)]
#[must_use = "nothing is sent or received until this runs"]
pub struct Connection {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    multiplexer: Ending,
    woken: Receiver<()>,
    /// Weak, for the last client that goes ends the connection.
    wake: WeakSender<()>,
}

/// Bytes both ways: a socket, TLS over one, or what a test makes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Stream for S {}

/// A connection over an open stream of bytes.
pub fn over(stream: impl Stream + 'static) -> (Client, Connection) {
    let stream: Box<dyn Stream> = Box::new(stream);
    let (reader, writer) = smol::io::split(stream);
    let multiplexer = Arc::new(Mutex::new(Multiplexer::default()));
    let (wake, woken) = channel::bounded(1);
    let weak = wake.downgrade();
    let client = Client { multiplexer: multiplexer.clone(), wake };
    (client, Connection { reader, writer, multiplexer: Ending(multiplexer), woken, wake: weak })
}

impl Client {
    /// Has the answers of this connection draw on memory that all connections share.
    pub fn share(&self, replies: &Arc<Replies>) {
        lock(&self.multiplexer).share(Account::new(replies.clone()));
    }

    /// Logs in, by the one method configured: a second try on the same connection
    /// would only fill the router's log.
    ///
    /// # Errors
    ///
    /// `auth` where the router refused, else what ended the connection or the wait.
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
        // Whatever the router refuses a login with, it is refused.
        let granted = |reply: Reply| match reply.unless_refused() {
            Err(error) => Err(Error::login_refused(error.message, [user, password])),
            granted => granted,
        };
        let reply = granted(self.say(&first).wait("/login", Instant::now(), timeout, None).await?)?;
        match (method, reply.ret) {
            (LoginMethod::Plain, None) => Ok(()),
            (LoginMethod::Plain, Some(_)) => Err(Error::new(
                Cause::Auth,
                "the router wants the login by challenge of RouterOS before 6.43",
            )),
            (LoginMethod::Challenge, ret) => {
                let response = ret.and_then(|ret| login::respond(user, password, &ret));
                let response = response.ok_or_else(Error::no_challenge)?;
                let reply = self.say(&response).wait("/login", Instant::now(), timeout, None).await?;
                granted(reply).map(drop)
            }
        }
    }

    /// Asks one command and waits for its whole answer.
    ///
    /// # Errors
    ///
    /// The router's refusal, `query_timeout`, or what ended the connection.
    pub async fn call(&self, command: Command, timeout: Duration) -> Result<Reply, Error> {
        let answers = self.call_all(vec![command], timeout).await;
        answers.into_iter().next().unwrap_or_else(|| Err(closed("the connection has ended")))
    }

    /// Asks all of these in one write and waits for every answer, each until nothing has come from the router
    /// for `timeout`. The answers stand in the order of the commands.
    pub async fn call_all(&self, commands: Vec<Command>, timeout: Duration) -> Vec<Result<Reply, Error>> {
        self.call_all_probing(commands, timeout, None).await
    }

    /// As [`call_all`](Self::call_all), but where nothing at all came for `timeout`, sends the `probe` over the same
    /// connection and waits as long again: an answer may be late, or lost on a path that works again.
    pub async fn call_all_probing(
        &self,
        commands: Vec<Command>,
        timeout: Duration,
        probe: Option<Command>,
    ) -> Vec<Result<Reply, Error>> {
        let mut asked: Vec<(String, Call)> = Vec::with_capacity(commands.len());
        {
            // Under one lock, so that they leave together.
            let mut multiplexer = lock(&self.multiplexer);
            for Command { mut sentence, limit } in commands {
                let path = String::from_utf8_lossy(sentence.first()).into_owned();
                let tag = multiplexer.next_tag();
                sentence.push(format!(".tag={tag}").as_bytes());
                asked.push((path, self.ask(&mut multiplexer, Some(tag), &sentence, limit)));
            }
        }
        let began = Instant::now();
        let mut answers = Vec::with_capacity(asked.len());
        for (path, call) in asked {
            // The calls run side by side, whichever is waited for first.
            let answer = call.wait(&path, began, timeout, probe.as_ref()).await;
            answers.push(answer.and_then(Reply::unless_refused));
        }
        answers
    }

    /// What this connection has cost so far.
    #[must_use]
    pub fn usage(&self) -> ConnectionUsage {
        lock(&self.multiplexer).usage()
    }

    /// Asks without a tag, as a login is.
    fn say(&self, sentence: &Sentence) -> Call {
        self.ask(&mut lock(&self.multiplexer), None, sentence, None)
    }

    /// Queues a sentence to be sent. It leaves whole or not at all, even when the
    /// caller stops waiting: only [`Connection::run`] writes.
    fn ask(
        &self,
        multiplexer: &mut Multiplexer,
        tag: Option<u64>,
        sentence: &Sentence,
        limit: Option<Limit>,
    ) -> Call {
        let (answer, answered) = channel::bounded(1);
        multiplexer.ask(tag, sentence, limit, answer);
        self.wake();
        Call { client: self.clone(), tag, answered }
    }

    /// Ends once nothing has come for `timeout` to what was asked when it `began`, or when that has taken too long
    /// although something came. Gives which of the two times has passed.
    async fn silence(&self, began: Instant, timeout: Duration, probe: Option<&Command>) -> Duration {
        let longest = (timeout * MAX_EXTENSION).min(timeout.max(MAX_EXTENDED));
        let end = began + longest;
        loop {
            let (received, probed) = {
                let multiplexer = lock(&self.multiplexer);
                let since = |at: Option<Instant>| at.filter(|at| *at > began);
                (since(multiplexer.received_at()), since(multiplexer.probed_at()))
            };
            let last = received.max(probed).unwrap_or(began);
            let until = (last + timeout).min(end);
            if Instant::now() < until {
                Timer::at(until).await;
                continue;
            }
            match probe {
                Some(probe) if received.is_none() && probed.is_none() && until < end => {
                    lock(&self.multiplexer).probe(probe.clone());
                    self.wake();
                }
                _ if until == end => return longest,
                _ => return timeout,
            }
        }
    }

    /// Tells the router that nobody waits for a command any more, so that it stops costing it.
    pub(super) fn cancel(&self, tag: u64) {
        lock(&self.multiplexer).cancel(tag);
        self.wake();
    }

    pub(super) fn multiplexer(&self) -> MutexGuard<'_, Multiplexer> {
        lock(&self.multiplexer)
    }

    pub(super) fn wake(&self) {
        // A full channel has woken it already.
        let _ = self.wake.try_send(());
    }
}

/// A command under way. Dropping it forgets the command: a late answer is passed over.
struct Call {
    client: Client,
    tag: Option<u64>,
    answered: Receiver<Answer>,
}

impl Call {
    async fn wait(
        self,
        path: &str,
        began: Instant,
        timeout: Duration,
        probe: Option<&Command>,
    ) -> Result<Reply, Error> {
        let answered = async {
            // The sender goes only with the connection, which says why first.
            self.answered.recv().await.unwrap_or_else(|_| Err(closed("the connection has ended")))
        };
        let message = format!("no answer to {path}");
        let late = async {
            let waited = self.client.silence(began, timeout, probe).await;
            let late = late(began, waited, Cause::QueryTimeout, &message).await;
            if let Some(tag) = self.tag {
                self.client.cancel(tag);
            }
            late
        };
        answered.or(late).await
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        lock(&self.client.multiplexer).forget(self.tag);
    }
}

/// The exchange of a connection, which ends with it.
#[derive(Debug)]
struct Ending(Arc<Mutex<Multiplexer>>);

impl Drop for Ending {
    fn drop(&mut self) {
        lock(&self.0).end(&closed("the connection has ended"));
    }
}

impl Connection {
    /// Moves bytes until the connection ends, and gives why it did. Every command
    /// without an answer gets the same error.
    pub async fn run(self) -> Error {
        let Self { reader, writer, multiplexer, woken, wake } = self;
        let error =
            future::or(receive(reader, &multiplexer.0, &wake), send(writer, &multiplexer.0, woken)).await;
        lock(&multiplexer.0).end(&error);
        error
    }
}

async fn receive(
    mut stream: impl AsyncRead + Unpin,
    multiplexer: &Mutex<Multiplexer>,
    wake: &WeakSender<()>,
) -> Error {
    let mut decoder = Decoder::default();
    let mut bytes = vec![0; READ_SIZE];
    let mut is_first = true;
    loop {
        take_turn(multiplexer).await;
        let count = match stream.read(&mut bytes).await {
            Ok(count) => count,
            // How TLS says that the peer has gone without taking leave, as RouterOS does.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Error::lost(&error),
        };
        if count == 0 {
            return closed("the router closed the connection");
        }
        if std::mem::take(&mut is_first) && bytes[..count].starts_with(&TLS_ALERT) {
            return Error::speaks_tls();
        }
        decoder.push(&bytes[..count]);
        lock(multiplexer).note_received(count);
        loop {
            match decoder.next() {
                Ok(Some(sentence)) => {
                    if let Err(error) = lock(multiplexer).take(sentence) {
                        return error;
                    }
                }
                Ok(None) => break,
                Err(error) => return error.into(),
            }
        }
        lock(multiplexer).end_long_turn();
        // What came may have to be answered: with a `/cancel`.
        if lock(multiplexer).has_outgoing()
            && let Some(wake) = wake.upgrade()
        {
            let _ = wake.try_send(());
        }
        // A router that never pauses must not keep the executor from the others.
        future::yield_now().await;
    }
}

/// Waits until a large answer may go on. Nothing is read meanwhile. One that has waited too long is cut.
async fn take_turn(multiplexer: &Mutex<Multiplexer>) {
    if !lock(multiplexer).needs_turn() {
        return;
    }
    let replies = lock(multiplexer).account().replies();
    let mut turn = pin!(replies.turn());
    let began = Instant::now();
    // What was asked may be given up meanwhile.
    while lock(multiplexer).needs_turn() {
        lock(multiplexer).note_waiting();
        let look = async {
            Timer::after(TURN_LOOK).await;
            None
        };
        if let Some(turn) = async { Some(turn.as_mut().await) }.or(look).await {
            lock(multiplexer).begin_turn(turn);
        } else if began.elapsed() > MAX_WAIT {
            lock(multiplexer).cut_largest(true);
            return;
        }
    }
}

async fn send(
    mut stream: impl AsyncWrite + Unpin,
    multiplexer: &Mutex<Multiplexer>,
    woken: Receiver<()>,
) -> Error {
    let mut woken = std::pin::pin!(woken);
    while woken.next().await.is_some() {
        let bytes = lock(multiplexer).take_outgoing();
        // TLS holds back what is not flushed.
        let sent = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        if let Err(error) = sent.await {
            return Error::lost(&error);
        }
        lock(multiplexer).note_sent(bytes.len());
    }
    // Every client is gone, so nobody waits for what the router still has to say.
    closed("nobody asks any more")
}

/// Fails once `timeout` has passed since `began`.
pub(super) async fn late<T>(began: Instant, timeout: Duration, cause: Cause, what: &str) -> Result<T, Error> {
    /// Rounded up to this: earlier steps have taken a little of what was set.
    const STEP_MS: u128 = 50;
    Timer::at(began + timeout).await;
    let told = Duration::from_millis(
        u64::try_from(timeout.as_millis().div_ceil(STEP_MS) * STEP_MS).unwrap_or(u64::MAX),
    );
    Err(Error::new(cause, format!("{what} within {}", humantime::format_duration(told))))
}

fn closed(message: &str) -> Error {
    Error::new(Cause::Closed, message)
}

/// Every change under this lock leaves the state whole, so a poisoned one is still good.
fn lock(multiplexer: &Mutex<Multiplexer>) -> MutexGuard<'_, Multiplexer> {
    multiplexer.lock().unwrap_or_else(PoisonError::into_inner)
}

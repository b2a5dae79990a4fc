//! One connection to a router: tagged commands side by side, each with its deadline.
//!
//! [`connect`] gives two halves. The [`Connection`] moves bytes and must be polled for
//! anything to happen; it ends when the connection does, with why. The [`Client`] asks.
//! A task runs both, so that there is nothing to clean up when either ends:
//!
//! ```text
//! let (client, connection) = client::connect(&host, timeout).await?;
//! future::or(connection.run(), async { client.login(…).await?; client.call(…).await … }).await
//! ```
//!
//! Commands given together to [`Client::call_all`] leave in one write, and their answers
//! come back in whatever order the router has them ready: one round trip for all.
//!
//! What a router can make this side hold is bounded: a sentence by [`wire`], an answer by
//! [`MAX_ROWS`] and [`MAX_REPLY`], answers that nobody waits for by dropping them, and
//! an endless run of those by [`MAX_STRAY`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_net::{AsyncToSocketAddrs, TcpStream};
use rustix::net::sockopt;
use smol::channel::{self, Receiver, Sender};
use smol::future::{self, FutureExt};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Timer, stream::StreamExt};

use super::error::{Cause, Error, Trap};
use super::login::{self, Method};
use super::wire::{Decoder, Sentence};

/// Most rows taken in answer to one command: ten times the largest hotspot known.
pub const MAX_ROWS: usize = 65_536;

/// Most bytes of words taken in answer to one command. 10,000 active users with all
/// their columns come to 4 MB.
pub const MAX_REPLY: usize = 8 * 1024 * 1024;

/// Most sentences in a row that answer nothing asked. Some come after a `/cancel`
/// or a deadline, as many as the rows of one answer at most.
pub const MAX_STRAY: usize = MAX_ROWS;

/// Most bytes waiting to be sent. Commands are a few hundred bytes; this many wait only
/// when the router has stopped reading.
const MAX_OUTGOING: usize = 256 * 1024;

/// Bytes read at once: a row or ten, and small enough for fifty routers on a small board.
const READ_SIZE: usize = 4 * 1024;

/// A link that died without a word is noticed by the kernel after a minute and a half
/// of silence: `KEEPALIVE_IDLE` + 3 × `KEEPALIVE_INTERVAL`.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// A command with its attributes and queries, as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Sentence);

impl Command {
    /// A command by its path, such as `/system/resource/print`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(Sentence::from_words([path]))
    }

    /// Adds `=key=value`. The value goes as the bytes it is.
    #[must_use]
    pub fn attribute(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.push_attribute(key.as_bytes(), value.as_ref());
        self
    }

    /// Adds a query word, with its question mark: `?status=bound`, `?#!`.
    #[must_use]
    pub fn query(mut self, word: &str) -> Self {
        self.0.push(word.as_bytes());
        self
    }

    /// The properties wanted; the router leaves out all others.
    #[must_use]
    pub fn proplist(self, properties: &[&str]) -> Self {
        self.attribute(".proplist", properties.join(","))
    }

    /// The command's path.
    #[must_use]
    pub fn path(&self) -> String {
        String::from_utf8_lossy(self.0.first()).into_owned()
    }
}

/// A router's answer to one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The `!re` sentences in their order.
    pub rows: Vec<Sentence>,
    /// `=ret=` of the `!done`: a count, a challenge, a new item's id.
    pub ret: Option<Vec<u8>>,
    /// The router stopped with these after some rows: the answer is a part of the truth.
    pub traps: Vec<Trap>,
    /// From asking to the end of the answer.
    pub took: Duration,
}

/// What asking has cost so far, since the connection began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Commands sent, logins included.
    pub commands: u64,
    /// Sentences that answered nothing asked.
    pub stray: u64,
}

/// Asks one router. Cloning gives another handle on the same connection.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Mutex<Shared>>,
    wake: Sender<()>,
}

/// The bytes of one connection, both ways.
#[derive(Debug)]
#[must_use = "nothing is sent or received until this runs"]
pub struct Connection {
    stream: TcpStream,
    shared: Arc<Mutex<Shared>>,
    woken: Receiver<()>,
}

/// What both halves know.
#[derive(Debug, Default)]
struct Shared {
    last_tag: u64,
    /// Commands without an answer yet, by tag. A login has none.
    pending: HashMap<Option<u64>, Pending>,
    outgoing: Vec<u8>,
    /// Why no more commands are taken.
    closed: Option<Error>,
    stray_run: usize,
    usage: Usage,
}

#[derive(Debug)]
struct Pending {
    reply: Reply,
    bytes: usize,
    began: Instant,
    answer: Sender<Result<Reply, Error>>,
}

/// Opens a connection to the first address of `host` that takes one.
///
/// # Errors
///
/// `dns`, `refused`, `unreachable` or `connect_timeout`, within `timeout`.
pub async fn connect(
    host: impl AsyncToSocketAddrs,
    timeout: Duration,
) -> Result<(Client, Connection), Error> {
    let began = Instant::now();
    let resolving =
        async { async_net::resolve(host).await.map_err(|e| Error::new(Cause::Dns, e.to_string())) };
    let late = late(began, timeout, Cause::ConnectTimeout, "the name was not resolved");
    let addresses: Vec<SocketAddr> = resolving.or(late).await?;

    let connecting = async {
        let mut last = Error::new(Cause::Dns, "the name has no address");
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    };
    let late = self::late(began, timeout, Cause::ConnectTimeout, "nothing answered");
    let stream = connecting.or(late).await?;
    stream.set_nodelay(true)?;
    keep_alive(&stream)?;

    let shared = Arc::new(Mutex::new(Shared::default()));
    let (wake, woken) = channel::bounded(1);
    Ok((Client { shared: shared.clone(), wake }, Connection { stream, shared, woken }))
}

impl Client {
    /// Logs in, by the one method configured: a second try on the same connection
    /// would only fill the router's log.
    ///
    /// # Errors
    ///
    /// `auth` where the router refused, else what ended the connection or the wait.
    pub async fn login(
        &self,
        user: &str,
        password: &str,
        method: Method,
        timeout: Duration,
    ) -> Result<(), Error> {
        let first = match method {
            Method::Plain => login::plain(user, password),
            Method::Challenge => Sentence::from_words(["/login"]),
        };
        let refused = |error: Error| match error.cause {
            Cause::Protocol | Cause::Permission => Error { cause: Cause::Auth, ..error },
            _ => error,
        };
        let reply = self.ask(None, &first).wait("/login", Instant::now(), timeout).await.map_err(refused)?;
        match (method, reply.ret) {
            (Method::Plain, None) => Ok(()),
            (Method::Plain, Some(_)) => Err(Error::new(
                Cause::Auth,
                "the router wants the login by challenge of RouterOS before 6.43",
            )),
            (Method::Challenge, ret) => {
                let response = ret
                    .and_then(|ret| login::respond(user, password, &ret))
                    .ok_or_else(|| Error::new(Cause::Auth, "the router sent no challenge to respond to"))?;
                self.ask(None, &response)
                    .wait("/login", Instant::now(), timeout)
                    .await
                    .map_err(refused)
                    .map(drop)
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

    /// Asks all of these in one write and waits for every answer, each at most `timeout`.
    /// The answers stand in the order of the commands.
    pub async fn call_all(&self, commands: Vec<Command>, timeout: Duration) -> Vec<Result<Reply, Error>> {
        let asked: Vec<(String, Call)> = commands
            .into_iter()
            .map(|Command(mut sentence)| {
                let path = String::from_utf8_lossy(sentence.first()).into_owned();
                let tag = lock(&self.shared).next_tag();
                sentence.push(format!(".tag={tag}").as_bytes());
                (path, self.ask(Some(tag), &sentence))
            })
            .collect();
        let began = Instant::now();
        let mut answers = Vec::with_capacity(asked.len());
        for (path, call) in asked {
            // The calls run side by side, whichever is waited for first.
            answers.push(call.wait(&path, began, timeout).await);
        }
        answers
    }

    /// What this connection has cost so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        lock(&self.shared).usage
    }

    /// Queues a sentence to be sent. It leaves whole or not at all, even when the
    /// caller stops waiting: only [`Connection::run`] writes.
    fn ask(&self, tag: Option<u64>, sentence: &Sentence) -> Call {
        let (answer, answered) = channel::bounded(1);
        let mut shared = lock(&self.shared);
        if let Some(error) = &shared.closed {
            let _ = answer.try_send(Err(error.clone()));
        } else if shared.outgoing.len() > MAX_OUTGOING {
            let _ = answer.try_send(Err(Error::new(Cause::QueryTimeout, "the router has stopped reading")));
        } else {
            sentence.encode(&mut shared.outgoing);
            shared.usage.commands += 1;
            shared
                .pending
                .insert(tag, Pending { reply: Reply::default(), bytes: 0, began: Instant::now(), answer });
            let _ = self.wake.try_send(());
        }
        Call { client: self.clone(), tag, answered }
    }
}

/// A command under way. Dropping it forgets the command: a late answer is passed over.
struct Call {
    client: Client,
    tag: Option<u64>,
    answered: Receiver<Result<Reply, Error>>,
}

impl Call {
    async fn wait(self, path: &str, began: Instant, timeout: Duration) -> Result<Reply, Error> {
        let answered = async {
            // The sender goes only with the connection, which says why first.
            self.answered.recv().await.unwrap_or_else(|_| Err(closed("the connection has ended")))
        };
        let message = format!("no answer to {path}");
        let late = async {
            let late = late(began, timeout, Cause::QueryTimeout, &message).await;
            self.cancel();
            late
        };
        answered.or(late).await
    }

    /// Tells the router that nobody waits any more, so that a slow print stops costing it.
    fn cancel(&self) {
        let Some(tag) = self.tag else { return };
        let cancel = lock(&self.client.shared).next_tag();
        let words = ["/cancel".into(), format!("=tag={tag}"), format!(".tag={cancel}")];
        // Its own answer is of no interest: the call is dropped, the answer passed over.
        drop(self.client.ask(Some(cancel), &Sentence::from_words(words)));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        lock(&self.client.shared).pending.remove(&self.tag);
    }
}

impl Connection {
    /// Moves bytes until the connection ends, and gives why it did. Every command
    /// without an answer gets the same error.
    pub async fn run(self) -> Error {
        let error = future::or(self.receive(), self.send()).await;
        let mut shared = lock(&self.shared);
        for (_, pending) in shared.pending.drain() {
            let _ = pending.answer.try_send(Err(error.clone()));
        }
        shared.closed = Some(error.clone());
        error
    }

    async fn receive(&self) -> Error {
        let mut stream = self.stream.clone();
        let mut decoder = Decoder::default();
        let mut bytes = vec![0; READ_SIZE];
        loop {
            match stream.read(&mut bytes).await {
                Ok(0) => return closed("the router closed the connection"),
                Ok(count) => {
                    decoder.push(&bytes[..count]);
                    lock(&self.shared).usage.received_bytes += count as u64;
                }
                Err(error) => return error.into(),
            }
            loop {
                match decoder.next() {
                    Ok(Some(sentence)) => {
                        if let Err(error) = lock(&self.shared).take(sentence) {
                            return error;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return error.into(),
                }
            }
            // A router that never pauses must not keep the executor from the others.
            future::yield_now().await;
        }
    }

    async fn send(&self) -> Error {
        let mut stream = self.stream.clone();
        let mut woken = std::pin::pin!(self.woken.clone());
        while woken.next().await.is_some() {
            let bytes = std::mem::take(&mut lock(&self.shared).outgoing);
            if let Err(error) = stream.write_all(&bytes).await {
                return error.into();
            }
            lock(&self.shared).usage.sent_bytes += bytes.len() as u64;
        }
        // Every client is gone, so nobody waits for what the router still has to say.
        closed("nobody asks any more")
    }
}

impl Shared {
    fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// Takes one sentence from the router to the command that it answers.
    fn take(&mut self, sentence: Sentence) -> Result<(), Error> {
        if sentence.first() == b"!fatal" {
            return Err(fatal(&sentence));
        }
        // A tag that is no number was never ours; 0 is never given out.
        let tag = sentence.tag().map(|tag| super::value::number(tag).unwrap_or(0));
        let Some(pending) = self.pending.get_mut(&tag) else {
            self.usage.stray += 1;
            self.stray_run += 1;
            if self.stray_run > MAX_STRAY {
                return Err(protocol(format!("{MAX_STRAY} sentences came that answer nothing asked")));
            }
            return Ok(());
        };
        self.stray_run = 0;
        pending.bytes += sentence.len();
        if pending.bytes > MAX_REPLY {
            return Err(protocol(format!("one answer is longer than {MAX_REPLY} bytes")));
        }
        match sentence.first() {
            b"!re" if pending.reply.rows.len() == MAX_ROWS => {
                return Err(protocol(format!("one answer has more than {MAX_ROWS} rows")));
            }
            b"!re" => pending.reply.rows.push(sentence),
            b"!trap" => pending.reply.traps.push(trap(&sentence)),
            b"!empty" => {}
            b"!done" => {
                pending.reply.took = pending.began.elapsed();
                pending.reply.ret = sentence.get("ret").map(<[u8]>::to_vec);
                if let Some(Pending { reply, answer, .. }) = self.pending.remove(&tag) {
                    let refused = reply.rows.is_empty() && !reply.traps.is_empty();
                    let _ =
                        answer.try_send(if refused { Err(reply.traps.as_slice().into()) } else { Ok(reply) });
                }
            }
            other => {
                let shown = String::from_utf8_lossy(&other[..other.len().min(40)]).into_owned();
                return Err(protocol(format!(
                    "found a reply beginning with {shown:?}; expected !re, !done, !trap, !empty or !fatal"
                )));
            }
        }
        Ok(())
    }
}

/// Fails once `timeout` has passed since `began`.
async fn late<T>(began: Instant, timeout: Duration, cause: Cause, what: &str) -> Result<T, Error> {
    Timer::at(began + timeout).await;
    Err(Error::new(cause, format!("{what} within {}", humantime::format_duration(timeout))))
}

/// `!fatal` carries its reason as a bare word; some servers send it as `=message=`.
fn fatal(sentence: &Sentence) -> Error {
    let reason = sentence.get("message").or_else(|| sentence.words().nth(1)).unwrap_or(b"no reason given");
    let reason = String::from_utf8_lossy(reason);
    let cause = if reason.contains("before login") || reason.contains("not logged in") {
        Cause::Auth
    } else {
        Cause::Closed
    };
    Error::new(cause, format!("the router ended the session: {reason}"))
}

fn trap(sentence: &Sentence) -> Trap {
    Trap {
        category: sentence.get("category").and_then(super::value::number),
        message: String::from_utf8_lossy(sentence.get("message").unwrap_or_default()).into_owned(),
    }
}

fn closed(message: &str) -> Error {
    Error::new(Cause::Closed, message)
}

fn protocol(message: String) -> Error {
    Error::new(Cause::Protocol, message)
}

fn keep_alive(stream: &TcpStream) -> std::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    Ok(())
}

/// Every change under this lock leaves the state whole, so a poisoned one is still good.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

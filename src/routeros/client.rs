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
//! What a router can make this side hold is bounded: a sentence by [`wire`](super::wire), an
//! answer by [`MAX_ROWS`] and [`MAX_REPLY`], an endless run of answers that nobody waits for
//! by [`MAX_STRAY`].

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_net::{AsyncToSocketAddrs, TcpStream};
use rustix::net::sockopt;
use smol::channel::{self, Receiver, Sender};
use smol::future::{self, FutureExt};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Timer, stream::StreamExt};

pub use super::command::{Command, Reply};
use super::error::{Cause, Error};
use super::exchange::{Answer, Exchange};
pub use super::exchange::{MAX_REPLY, MAX_ROWS, MAX_STRAY, Usage};
use super::login::{self, Method};
use super::wire::{Decoder, Sentence};

/// Bytes read at once: a row or ten, and small enough for fifty routers on a small board.
const READ_SIZE: usize = 4 * 1024;

/// A link that died without a word is noticed by the kernel after a minute and a half
/// of silence: `KEEPALIVE_IDLE` + 3 × `KEEPALIVE_INTERVAL`.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// Asks one router. Cloning gives another handle on the same connection.
#[derive(Debug, Clone)]
pub struct Client {
    exchange: Arc<Mutex<Exchange>>,
    wake: Sender<()>,
}

/// The bytes of one connection, both ways.
#[derive(Debug)]
#[must_use = "nothing is sent or received until this runs"]
pub struct Connection {
    stream: TcpStream,
    exchange: Arc<Mutex<Exchange>>,
    woken: Receiver<()>,
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

    let mut connected = Err(Error::new(Cause::Dns, "the name has no address"));
    for (at, address) in addresses.iter().enumerate() {
        // An address that never answers must leave time for those after it.
        let left = timeout.saturating_sub(began.elapsed());
        let share = left / u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let connecting =
            async { TcpStream::connect(address).await.map_err(|error| Error::connecting(&error)) };
        let late = self::late(Instant::now(), share, Cause::ConnectTimeout, "nothing answered");
        connected = connecting.or(late).await;
        if connected.is_ok() {
            break;
        }
    }
    let stream = connected?;
    prepare(&stream).map_err(|error| Error::lost(&error))?;

    let exchange = Arc::new(Mutex::new(Exchange::default()));
    let (wake, woken) = channel::bounded(1);
    Ok((Client { exchange: exchange.clone(), wake }, Connection { stream, exchange, woken }))
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
        // Whatever the router refuses a login with, it is refused.
        let granted = |reply: Reply| match reply.unless_refused() {
            Err(error) => Err(Error::new(Cause::Auth, error.message)),
            granted => granted,
        };
        let reply = granted(self.say(&first).wait("/login", Instant::now(), timeout).await?)?;
        match (method, reply.ret) {
            (Method::Plain, None) => Ok(()),
            (Method::Plain, Some(_)) => Err(Error::new(
                Cause::Auth,
                "the router wants the login by challenge of RouterOS before 6.43",
            )),
            (Method::Challenge, ret) => {
                let response = ret.and_then(|ret| login::respond(user, password, &ret));
                let response = response
                    .ok_or_else(|| Error::new(Cause::Auth, "the router sent no challenge to respond to"))?;
                let reply = self.say(&response).wait("/login", Instant::now(), timeout).await?;
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

    /// Asks all of these in one write and waits for every answer, each at most `timeout`.
    /// The answers stand in the order of the commands.
    pub async fn call_all(&self, commands: Vec<Command>, timeout: Duration) -> Vec<Result<Reply, Error>> {
        let mut asked: Vec<(String, Call)> = Vec::with_capacity(commands.len());
        {
            // Under one lock, so that they leave together.
            let mut exchange = lock(&self.exchange);
            for Command(mut sentence) in commands {
                let path = String::from_utf8_lossy(sentence.first()).into_owned();
                let tag = exchange.next_tag();
                sentence.push(format!(".tag={tag}").as_bytes());
                asked.push((path, self.ask(&mut exchange, Some(tag), &sentence)));
            }
        }
        let began = Instant::now();
        let mut answers = Vec::with_capacity(asked.len());
        for (path, call) in asked {
            // The calls run side by side, whichever is waited for first.
            answers.push(call.wait(&path, began, timeout).await.and_then(Reply::unless_refused));
        }
        answers
    }

    /// What this connection has cost so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        lock(&self.exchange).usage()
    }

    /// Asks without a tag, as a login is.
    fn say(&self, sentence: &Sentence) -> Call {
        self.ask(&mut lock(&self.exchange), None, sentence)
    }

    /// Queues a sentence to be sent. It leaves whole or not at all, even when the
    /// caller stops waiting: only [`Connection::run`] writes.
    fn ask(&self, exchange: &mut Exchange, tag: Option<u64>, sentence: &Sentence) -> Call {
        let (answer, answered) = channel::bounded(1);
        exchange.ask(tag, sentence, answer);
        // A full channel has woken it already.
        let _ = self.wake.try_send(());
        Call { client: self.clone(), tag, answered }
    }
}

/// A command under way. Dropping it forgets the command: a late answer is passed over.
struct Call {
    client: Client,
    tag: Option<u64>,
    answered: Receiver<Answer>,
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
        let mut exchange = lock(&self.client.exchange);
        let cancel = exchange.next_tag();
        let words = ["/cancel".into(), format!("=tag={tag}"), format!(".tag={cancel}")];
        let call = self.client.ask(&mut exchange, Some(cancel), &Sentence::from_words(words));
        drop(exchange);
        // Its own answer is of no interest, and is passed over.
        drop(call);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        lock(&self.client.exchange).forget(self.tag);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.exchange).end(&closed("the connection has ended"));
    }
}

impl Connection {
    /// Moves bytes until the connection ends, and gives why it did. Every command
    /// without an answer gets the same error.
    pub async fn run(self) -> Error {
        let error = future::or(self.receive(), self.send()).await;
        lock(&self.exchange).end(&error);
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
                    lock(&self.exchange).note_received(count);
                }
                Err(error) => return Error::lost(&error),
            }
            loop {
                match decoder.next() {
                    Ok(Some(sentence)) => {
                        if let Err(error) = lock(&self.exchange).take(sentence) {
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
            let bytes = lock(&self.exchange).take_outgoing();
            if let Err(error) = stream.write_all(&bytes).await {
                return Error::lost(&error);
            }
            lock(&self.exchange).note_sent(bytes.len());
        }
        // Every client is gone, so nobody waits for what the router still has to say.
        closed("nobody asks any more")
    }
}

/// Fails once `timeout` has passed since `began`.
async fn late<T>(began: Instant, timeout: Duration, cause: Cause, what: &str) -> Result<T, Error> {
    Timer::at(began + timeout).await;
    Err(Error::new(cause, format!("{what} within {}", humantime::format_duration(timeout))))
}

fn closed(message: &str) -> Error {
    Error::new(Cause::Closed, message)
}

/// Sends at once what is written, and asks an idle peer for a sign of life.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    Ok(())
}

/// Every change under this lock leaves the state whole, so a poisoned one is still good.
fn lock(exchange: &Mutex<Exchange>) -> MutexGuard<'_, Exchange> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}

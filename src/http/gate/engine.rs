//! The gate's way to the engine: a few lanes, each a connection that carries one
//! whole request at a time and brings the whole answer back.
//!
//! A lane belongs to no client. One whose asker has gone reads its answer to the
//! end all the same and is free again, so a lane never has to be opened anew and
//! works on when the process has no descriptor left.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_net::unix::UnixStream as AsyncUnixStream;
use smol::Executor;
use smol::channel::{Receiver, Sender, bounded};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::Semaphore;
use tiny_http::StatusCode;

use super::head::{Head, Refusal, refuse};
use super::proxies::Client;
use super::stream::{read_more, within};
use crate::http::events::Follower;
use crate::http::message::{Method, Reply, Response};

/// By this header field a lane proves that it is ours, and no stranger's.
pub(in crate::http) const SECRET: &str = "Gate-Secret";

/// The header field with the client's address.
pub(in crate::http) const PEER: &str = "Gate-Peer";

/// The header field with `http` or `https`, if a trusted proxy says which the client speaks.
pub(in crate::http) const SCHEME: &str = "Gate-Scheme";

/// The header field with the number of a reply on the [`Shelf`].
pub(in crate::http) const TICKET: &str = "Gate-Ticket";

/// How many lanes there are. Each has a worker of its own behind it that waits for
/// nothing, so a few keep every core busy.
pub(in crate::http) const LANES: usize = 4;

/// Most requests waiting for a lane: a thousand pages that all come back when the agent
/// does, twice. Each connection has one at most, so with the usual 512 none is refused.
const MAX_WAITING: usize = 2048;

/// Most answers that wait for a router. Each holds its connection and 4 KiB of a request at most;
/// longer ones have places of their own.
const MAX_LATER: usize = 256;

/// Most bytes of an answer's head: twice what its fields may be.
const MAX_ANSWER_HEAD: usize = 16 * 1024;

/// Most header fields of an answer; the same reason.
const MAX_ANSWER_FIELDS: usize = 64;

/// Bytes for the field that [`Answer::set_connection`] adds.
const CONNECTION_ROOM: usize = "Connection: keep-alive\r\n".len();

/// The running engine. A clone is another handle on the same one.
#[derive(Debug, Clone)]
pub struct Engine {
    // Lanes outlive the gate that uses them, so that it can be stopped and
    // another one started on a new address.
    executor: Arc<Executor<'static>>,
    secret: Arc<str>,
    queue: Queue,
    /// A place for each answer that waits for a router.
    later: Arc<Semaphore>,
}

/// Requests that wait for a lane, in the order they came.
#[derive(Debug, Clone)]
struct Queue {
    jobs: Sender<Job>,
    waiting: Receiver<Job>,
}

impl Queue {
    fn new(most: usize) -> Self {
        let (jobs, waiting) = bounded(most);
        Self { jobs, waiting }
    }

    /// Puts a job at the end. Where there is no place, those whose askers have gone
    /// give up theirs: a flood of clients that come and go must not fill the queue
    /// for those who stay. Says whether there was a place.
    fn push(&self, job: Job) -> bool {
        let Err(full) = self.jobs.try_send(job) else { return true };
        for _ in 0..self.waiting.len() {
            if let Ok(job) = self.waiting.try_recv()
                && !job.reply.is_closed()
            {
                // It has just left a place.
                let _ = self.jobs.try_send(job);
            }
        }
        self.jobs.try_send(full.into_inner()).is_ok()
    }
}

/// Replies that are no bytes yet, on their way from a worker to the gate past `tiny_http`.
#[derive(Debug, Default)]
pub(in crate::http) struct Shelf {
    /// The number of the next, and those that are there.
    replies: Mutex<(u64, HashMap<u64, Reply>)>,
}

impl Shelf {
    /// Puts a reply down. Its number must be asked for, whoever waits for it or not.
    pub(in crate::http) fn put(&self, reply: Reply) -> u64 {
        let mut replies = self.lock();
        let number = replies.0;
        replies.0 += 1;
        replies.1.insert(number, reply);
        number
    }

    fn take(&self, number: u64) -> Option<Reply> {
        self.lock().1.remove(&number)
    }

    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<u64, Reply>)> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes to the client.
#[derive(Debug)]
pub(super) enum Outcome {
    /// An answer that is whole.
    Whole(Answer),
    /// A head, and then what the follower gives.
    Events(Answer, Follower),
}

/// An answer as it goes to the client, or the head of one.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Length of the head, with its empty line.
    head: usize,
    pub(super) bytes: Vec<u8>,
}

/// What a lane brings back.
#[derive(Debug)]
enum Brought {
    Answer(Answer),
    Reply(Reply),
}

#[derive(Debug)]
struct Job {
    request: Vec<u8>,
    method: Method,
    reply: Sender<Brought>,
}

impl Engine {
    /// An engine whose workers are behind `lanes`, and put what is no bytes yet on the `shelf`.
    pub(in crate::http) fn new(lanes: Vec<UnixStream>, secret: &str, shelf: &Arc<Shelf>) -> io::Result<Self> {
        let executor = Arc::new(Executor::new());
        let queue = Queue::new(MAX_WAITING);
        for stream in lanes {
            executor.spawn(lane(stream.try_into()?, queue.waiting.clone(), shelf.clone())).detach();
        }
        let later = Arc::new(Semaphore::new(MAX_LATER));
        Ok(Self { executor, secret: secret.into(), queue, later })
    }

    /// Moves the lanes while `future` runs; without it no request is answered.
    pub(super) async fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.executor.run(future).await
    }

    /// Has a whole request answered, for at most `patience`.
    pub(super) async fn ask(
        &self,
        head: &Head,
        body: &[u8],
        client: Client,
        patience: Duration,
    ) -> Result<Outcome, Refusal> {
        let mut rest = String::new();
        let secret = &self.secret;
        // Cannot fail: it is a String that is written to.
        let _ = write!(rest, "{SECRET}: {secret}\r\n{PEER}: {}\r\n", client.address);
        if let Some(is_https) = client.is_https {
            rest.extend([SCHEME, ": ", if is_https { "https" } else { "http" }, "\r\n"]);
        }
        let _ = write!(rest, "Content-Length: {}\r\n\r\n", body.len());
        let request = [&head.canonical, rest.as_bytes(), body].concat();
        let (reply, answer) = bounded(1);
        if !self.queue.push(Job { request, method: head.method, reply }) {
            return Err(refuse(503, "too many requests wait to be answered: try again in a moment"));
        }
        let deadline = Instant::now() + patience;
        let late = || refuse(504, "the answer took too long");
        let brought = within(deadline, answer.recv()).await.ok_or_else(late)?;
        let reply = match brought.map_err(|_| refuse(503, "the request was lost inside"))? {
            Brought::Answer(answer) => return Ok(Outcome::Whole(answer)),
            Brought::Reply(reply) => reply,
        };
        let response = match reply {
            Reply::Now(response) => response,
            Reply::Events(head_of, follower) => {
                return Ok(Outcome::Events(Answer::head(&head_of), follower));
            }
            Reply::Later(response) => {
                let _place = self.later.try_acquire().ok_or_else(|| {
                    refuse(503, "too many requests wait for a router: try again in a moment")
                })?;
                within(deadline, response).await.ok_or_else(late)?
            }
        };
        Ok(Outcome::Whole(Answer::new(response, head.method)))
    }
}

impl Answer {
    /// A response in answer to a request with this method, made here and not by the engine.
    pub(super) fn new(response: Response, method: Method) -> Self {
        let response = response.or_internal_error();
        let mut answer = Self::head(&response);
        if !matches!(response.status, 204 | 304) {
            answer.add_field("Content-Length", &response.body.len().to_string());
            if method != Method::Head {
                answer.bytes.extend(response.body);
            }
        }
        answer
    }

    /// The head of a response, which says nothing of where its body ends.
    fn head(response: &Response) -> Self {
        let title = StatusCode(response.status).default_reason_phrase();
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut head = format!("HTTP/1.1 {} {title}\r\nDate: {date}\r\n", response.status);
        for (name, value) in response.fields() {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        Self { status: response.status, head: head.len(), bytes: head.into_bytes() }
    }

    /// Says whether the connection goes on, which only the gate knows.
    pub(super) fn set_connection(&mut self, keep_alive: bool) {
        self.add_field("Connection", if keep_alive { "keep-alive" } else { "close" });
    }

    fn add_field(&mut self, name: &str, value: &str) {
        let field = format!("{name}: {value}\r\n");
        // Before the empty line.
        let at = self.head.saturating_sub(2);
        self.bytes.splice(at..at, field.bytes());
        self.head += field.len();
    }
}

async fn lane(mut stream: AsyncUnixStream, waiting: Receiver<Job>, shelf: Arc<Shelf>) {
    while let Ok(job) = waiting.recv().await {
        // The asker may have given up while it waited.
        if job.reply.is_closed() {
            continue;
        }
        match exchange(&mut stream, &job, &shelf).await {
            // It may have given up since.
            Ok(brought) => drop(job.reply.try_send(brought)),
            // Requests are canonical and tiny_http answers those, so this is a
            // fault of ours; the other lanes go on.
            Err(error) => return log::error!("an engine lane broke and is closed: {error}"),
        }
    }
}

async fn exchange(stream: &mut AsyncUnixStream, job: &Job, shelf: &Shelf) -> io::Result<Brought> {
    stream.write_all(&job.request).await?;
    let mut bytes = Vec::new();
    let head = loop {
        let seen = bytes.len();
        if read_more(stream, &mut bytes, MAX_ANSWER_HEAD).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = super::head::end(&bytes, seen) {
            break end;
        }
    };
    let Parsed { status, length, ticket } = parse_answer(&bytes[..head])?;
    if let Some(reply) = ticket.and_then(|number| shelf.take(number)) {
        return Ok(Brought::Reply(reply));
    }
    let bodiless = job.method == Method::Head || matches!(status, 204 | 304);
    if !bodiless {
        // What a body may measure is checked where it is made. A page is held for
        // as long as its client reads: no byte more than it needs.
        let body = bytes.len()..head + length;
        bytes.reserve_exact(body.len() + CONNECTION_ROOM);
        bytes.resize(head + length, 0);
        stream.read_exact(&mut bytes[body]).await?;
    }
    Ok(Brought::Answer(if matches!(status, 204 | 304) {
        let bytes = without_length(&bytes);
        Answer { status, head: bytes.len(), bytes }
    } else {
        Answer { status, head, bytes }
    }))
}

/// What the head of the engine's answer says.
struct Parsed {
    status: u16,
    /// Bytes of the body.
    length: usize,
    ticket: Option<u64>,
}

fn parse_answer(head: &[u8]) -> io::Result<Parsed> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_ANSWER_FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    answer.parse(head).map_err(io::Error::other)?;
    let number = |name: &str| {
        let field = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(field.value).ok()?.parse::<u64>().ok()
    };
    let length = number("Content-Length").and_then(|length| usize::try_from(length).ok());
    let (status, length) = answer.code.zip(length).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Parsed { status, length, ticket: number(TICKET) })
}

/// `tiny_http` says `Content-Length: 0` where there is no body. With 204 that is
/// not allowed, and with 304 it would tell a cache that the page is empty.
fn without_length(head: &[u8]) -> Vec<u8> {
    let name = b"Content-Length:";
    head.split_inclusive(|&b| b == b'\n')
        .filter(|line| !line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
        .flatten()
        .copied()
        .collect()
}

//! The gate's way to the engine: a few lanes, each a connection that carries one
//! whole request at a time and brings the whole answer back.
//!
//! A lane belongs to no client. One whose asker has gone reads its answer to the
//! end all the same and is free again, so a lane never has to be opened anew and
//! works on when the process has no descriptor left.

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_net::unix::UnixStream as AsyncUnixStream;
use smol::Executor;
use smol::channel::{Receiver, Sender, bounded};
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::head::{Head, Refusal, refuse};
use super::stream::{read_more, within};
use crate::http::message::Method;

/// By this header field a lane proves that it is ours: until the listener is shut
/// down, any process in our network namespace can connect to it.
pub(in crate::http) const SECRET: &str = "Gate-Secret";

/// The header field with the client's address.
pub(in crate::http) const PEER: &str = "Gate-Peer";

/// Lanes for requests that only read. Each has a worker of its own behind it, and
/// no router is waited for, so a few keep every core busy.
pub(in crate::http) const READ_LANES: usize = 4;

/// Lanes for `POST`. Those may wait for a router, up to its deadlines: with lanes
/// of their own they never make a page wait.
pub(in crate::http) const ACTION_LANES: usize = 4;

/// Most requests waiting for a read lane: one for each of the default number of
/// connections, and few enough that the last of them still gets its answer in a
/// second or two on a slow router.
const MAX_WAITING_READS: usize = 512;

/// Most requests waiting for an action lane: each may take seconds, so a longer
/// queue would only time out.
const MAX_WAITING_ACTIONS: usize = 16;

/// Most bytes of an answer's head. Its fields are our own; the longest is a
/// content security policy.
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
    reads: Queue,
    actions: Queue,
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

/// An answer, whole, as it goes to the client.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Length of the head, with its empty line.
    head: usize,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug)]
struct Job {
    request: Vec<u8>,
    method: Method,
    reply: Sender<Answer>,
}

impl Engine {
    /// An engine whose workers are behind `lanes`, of which there are
    /// [`READ_LANES`] and then [`ACTION_LANES`].
    pub(in crate::http) fn new(lanes: Vec<UnixStream>, secret: &str) -> io::Result<Self> {
        let executor = Arc::new(Executor::new());
        let (reads, actions) = (Queue::new(MAX_WAITING_READS), Queue::new(MAX_WAITING_ACTIONS));
        for (number, stream) in lanes.into_iter().enumerate() {
            let queue = if number < READ_LANES { &reads } else { &actions };
            executor.spawn(lane(stream.try_into()?, queue.waiting.clone())).detach();
        }
        Ok(Self { executor, secret: secret.into(), reads, actions })
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
        peer: IpAddr,
        patience: Duration,
    ) -> Result<Answer, Refusal> {
        let mut rest = String::new();
        let secret = &self.secret;
        // Cannot fail: it is a String that is written to.
        let _ =
            write!(rest, "{SECRET}: {secret}\r\n{PEER}: {peer}\r\nContent-Length: {}\r\n\r\n", body.len());
        let request = [&head.canonical, rest.as_bytes(), body].concat();
        let (reply, answer) = bounded(1);
        let queue = if head.method.reads() { &self.reads } else { &self.actions };
        if !queue.push(Job { request, method: head.method, reply }) {
            return Err(refuse(503, "too many requests wait to be answered: try again in a moment"));
        }
        match within(Instant::now() + patience, answer.recv()).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(_)) => Err(refuse(503, "the request was lost inside")),
            None => Err(refuse(504, "the answer took too long")),
        }
    }
}

impl Answer {
    /// Says whether the connection goes on, which only the gate knows.
    pub(super) fn set_connection(&mut self, keep_alive: bool) {
        let field: &[u8] = if keep_alive { b"Connection: keep-alive\r\n" } else { b"Connection: close\r\n" };
        // Before the empty line.
        let at = self.head.saturating_sub(2);
        self.bytes.splice(at..at, field.iter().copied());
        self.head += field.len();
    }
}

async fn lane(mut stream: AsyncUnixStream, waiting: Receiver<Job>) {
    while let Ok(job) = waiting.recv().await {
        // The asker may have given up while it waited.
        if job.reply.is_closed() {
            continue;
        }
        match exchange(&mut stream, &job).await {
            // It may have given up since.
            Ok(answer) => drop(job.reply.try_send(answer)),
            // Requests are canonical and tiny_http answers those, so this is a
            // fault of ours; the other lanes go on.
            Err(error) => return log::error!("an engine lane broke and is closed: {error}"),
        }
    }
}

async fn exchange(stream: &mut AsyncUnixStream, job: &Job) -> io::Result<Answer> {
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
    let (status, length) = parse_answer(&bytes[..head])?;
    let bodiless = job.method == Method::Head || matches!(status, 204 | 304);
    if !bodiless {
        // What a body may measure is checked where it is made. A page is held for
        // as long as its client reads: no byte more than it needs.
        let body = bytes.len()..head + length;
        bytes.reserve_exact(body.len() + CONNECTION_ROOM);
        bytes.resize(head + length, 0);
        stream.read_exact(&mut bytes[body]).await?;
    }
    Ok(if matches!(status, 204 | 304) {
        let bytes = without_length(&bytes);
        Answer { status, head: bytes.len(), bytes }
    } else {
        Answer { status, head, bytes }
    })
}

/// Status and length of the body.
fn parse_answer(head: &[u8]) -> io::Result<(u16, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_ANSWER_FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    answer.parse(head).map_err(io::Error::other)?;
    let length = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("Content-Length"));
    let length = length.and_then(|field| str::from_utf8(field.value).ok()?.parse().ok());
    answer.code.zip(length).ok_or_else(|| io::ErrorKind::InvalidData.into())
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

//! A fixed pool of threads that run the handler.
//!
//! Connections submit complete requests through a bounded queue. A worker is never tied to a client: if the client
//! disconnects, the output is discarded and the worker takes the next request. The pool opens no file descriptors, so
//! it keeps working when the process runs out of them.
//!
//! A panic in a handler is not caught: it restarts the program.

use std::io;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use smol::channel::{Receiver, Sender, bounded};
use smol::lock::Semaphore;

use super::deadline_io::within;
use super::head::{HttpError, refuse};
use super::output::ResponseBytes;
use crate::http::message::{EventStream, HandlerOutput, Request, Response};

/// Fewest workers: a large page must not delay all small ones.
const MIN_WORKERS: usize = 2;

/// Most workers. They wait for nothing, so a few keep every core busy.
const MAX_WORKERS: usize = 4;

/// Stack of a worker, in bytes: rendering and JSON nest little. Only what is touched becomes memory.
const WORKER_STACK: usize = 512 * 1024;

/// Most requests waiting for a worker: a thousand pages that all come back when the agent does, twice. Each connection
/// has one at most, so with the usual 512 connections none is refused.
const MAX_WAITING: usize = 2048;

/// Most responses that wait for a router. Each holds its connection and 4 KiB of a request at most; longer ones have
/// permits of their own.
const MAX_LATER: usize = 256;

type Handler = dyn Fn(&Request) -> HandlerOutput + Send + Sync;

/// The running workers. They end with the last clone of this handle, after the request that they are at.
#[derive(Debug, Clone)]
pub struct WorkerPool {
    jobs: Sender<Job>,
    waiting: Receiver<Job>,
    /// A permit for each response that waits for a router.
    later: Arc<Semaphore>,
}

#[derive(Debug)]
struct Job {
    request: Request,
    output: Sender<Output>,
}

/// What a worker makes of a request.
enum Output {
    Response(ResponseBytes),
    /// Awaited by the connection, so that no worker waits.
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
    Events(ResponseBytes, EventStream),
}

/// What goes to the client.
pub(super) enum WorkerOutput {
    /// A complete response.
    Response(ResponseBytes),
    /// A head, and then the stream.
    Events(ResponseBytes, EventStream),
}

impl WorkerPool {
    /// Starts the threads. `handler` answers each request and must not wait for anything but the processor; a response
    /// that has to wait is a [`HandlerOutput::Later`].
    ///
    /// # Errors
    ///
    /// When the system has no thread left.
    pub fn start<H, R>(handler: H) -> io::Result<Self>
    where
        H: Fn(&Request) -> R + Send + Sync + 'static,
        R: Into<HandlerOutput>,
    {
        let (jobs, waiting) = bounded(MAX_WAITING);
        let handler: Arc<Handler> = Arc::new(move |request: &Request| handler(request).into());
        let count = thread::available_parallelism().map_or(MIN_WORKERS, NonZero::get);
        for _ in 0..count.clamp(MIN_WORKERS, MAX_WORKERS) {
            let (handler, waiting) = (handler.clone(), waiting.clone());
            thread::Builder::new()
                .name("http-worker".into())
                .stack_size(WORKER_STACK)
                .spawn(move || work(&*handler, &waiting))?;
        }
        Ok(Self { jobs, waiting, later: Arc::new(Semaphore::new(MAX_LATER)) })
    }

    /// Has a complete request answered within `timeout`.
    pub(super) async fn run(&self, request: Request, timeout: Duration) -> Result<WorkerOutput, HttpError> {
        let method = request.method;
        let deadline = Instant::now() + timeout;
        let late = || refuse(504, "the answer took too long");
        let (output, result) = bounded(1);
        if !self.submit(Job { request, output }) {
            return Err(refuse(503, "too many requests wait to be answered: try again in a moment"));
        }
        let result = within(deadline, result.recv()).await.ok_or_else(late)?;
        match result.map_err(|_| refuse(503, "the agent is stopping"))? {
            Output::Response(response) => Ok(WorkerOutput::Response(response)),
            Output::Events(head, events) => Ok(WorkerOutput::Events(head, events)),
            Output::Later(response) => {
                let _permit = self.later.try_acquire().ok_or_else(|| {
                    refuse(503, "too many requests wait for a router: try again in a moment")
                })?;
                let response = within(deadline, response).await.ok_or_else(late)?;
                Ok(WorkerOutput::Response(ResponseBytes::new(response, method)))
            }
        }
    }

    /// Appends a job to the queue and returns whether there was room. If there is none, jobs whose clients have gone
    /// are removed: clients that come and go must not fill the queue for those who stay.
    fn submit(&self, job: Job) -> bool {
        let Err(full) = self.jobs.try_send(job) else { return true };
        for _ in 0..self.waiting.len() {
            if let Ok(job) = self.waiting.try_recv()
                && !job.output.is_closed()
            {
                // It has just left room.
                let _ = self.jobs.try_send(job);
            }
        }
        self.jobs.try_send(full.into_inner()).is_ok()
    }
}

fn work(handler: &Handler, waiting: &Receiver<Job>) {
    while let Ok(Job { request, output }) = waiting.recv_blocking() {
        // The client may have disconnected while the request waited.
        if output.is_closed() {
            continue;
        }
        let made = match handler(&request) {
            HandlerOutput::Now(response) => Output::Response(ResponseBytes::new(response, request.method)),
            HandlerOutput::Later(response) => Output::Later(response),
            HandlerOutput::Events(head, events) => Output::Events(ResponseBytes::unbounded(head), events),
        };
        // The client may have disconnected since.
        let _ = output.try_send(made);
    }
}

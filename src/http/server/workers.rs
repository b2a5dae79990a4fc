//! A fixed pool of threads that run the handler.
//!
//! Connections submit complete requests through a bounded queue. A worker is never tied to a client: if the client
//! disconnects, the output is discarded and the worker takes the next request. The pool opens no file descriptors, so
//! it keeps working when the process runs out of them.
//!
//! A panic in a handler is not caught: it restarts the program.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use smol::channel::{Receiver, Sender, bounded, unbounded};
use smol::lock::Semaphore;

use super::deadline_io::within;
use super::error::HttpError;
use super::output::ResponseBytes;
use crate::http::message::{EventStream, HandlerOutput, LaterResponse, Request};

/// Minimum number of workers: a large page must not delay all small ones.
const MIN_WORKERS: usize = 2;

/// Maximum number of workers. They never wait for I/O, so a few keep every core busy.
const MAX_WORKERS: usize = 4;

/// Stack of a worker, in bytes: rendering and JSON nest little. The system allocates only pages that are used.
const WORKER_STACK: usize = 512 * 1024;

/// Maximum number of requests waiting for a worker: twice the number of a thousand pages that all reconnect when the
/// agent restarts. Each connection has at most one, so with the usual 512 connections none is refused.
const MAX_WAITING: usize = 2048;

/// Maximum number of responses that wait for a router. Each holds its connection and at most 4 KiB of a request; longer
/// bodies have permits of their own.
const MAX_LATER: usize = 256;

const TOO_LATE: HttpError = HttpError::new(504, "The response took too long.");
const QUEUE_FULL: HttpError = HttpError::new(503, "Too many requests are waiting. Try again in a moment.");
const TOO_MANY_LATER: HttpError =
    HttpError::new(503, "Too many requests are waiting for a router. Try again in a moment.");
const STOPPING: HttpError = HttpError::new(503, "The agent is stopping.");

type Handler = dyn Fn(&Request) -> HandlerOutput + Send + Sync;

/// The running workers. They end with the last clone of this handle, after the request that they are processing.
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
    output: Sender<WorkerOutput>,
}

/// The output of the handler. The known part is serialised.
enum WorkerOutput {
    /// A response, or with a stream the head before its events.
    Now(ResponseBytes, Option<EventStream>),
    /// Awaited by the connection, so that no worker waits.
    Later(LaterResponse),
}

impl WorkerPool {
    /// Starts the threads. `handler` answers each request and must not wait for I/O: a response that has to wait is a
    /// [`HandlerOutput::Later`].
    ///
    /// # Errors
    ///
    /// If the system can't start a thread.
    pub fn start<H, R>(handler: H) -> io::Result<Self>
    where
        H: Fn(&Request) -> R + Send + Sync + 'static,
        R: Into<HandlerOutput>,
    {
        // A bounded channel would take the memory of all its places at the start: 600 KB.
        let (jobs, waiting) = unbounded();
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

    /// The response to a complete request, within `timeout`, and its events if it has any.
    pub(super) async fn run(
        &self,
        request: Request,
        timeout: Duration,
    ) -> Result<(ResponseBytes, Option<EventStream>), HttpError> {
        let method = request.method;
        let deadline = Instant::now() + timeout;
        let (output, result) = bounded(1);
        if !self.submit(Job { request, output }) {
            return Err(QUEUE_FULL);
        }
        let result = within(deadline, result.recv()).await.ok_or(TOO_LATE)?;
        match result.map_err(|_| STOPPING)? {
            WorkerOutput::Now(response, events) => Ok((response, events)),
            WorkerOutput::Later(response) => {
                let _permit = self.later.try_acquire().ok_or(TOO_MANY_LATER)?;
                let response = within(deadline, response).await.ok_or(TOO_LATE)?;
                Ok((ResponseBytes::new(response, method), None))
            }
        }
    }

    /// Appends a job to the queue and returns whether there was room. If the queue is full, jobs whose clients have
    /// disconnected are removed first, because they must not block other clients.
    fn submit(&self, job: Job) -> bool {
        if self.jobs.len() >= MAX_WAITING {
            for _ in 0..self.waiting.len() {
                if let Ok(job) = self.waiting.try_recv()
                    && !job.output.is_closed()
                {
                    // It fails only if no worker is left.
                    let _ = self.jobs.try_send(job);
                }
            }
        }
        self.jobs.len() < MAX_WAITING && self.jobs.try_send(job).is_ok()
    }
}

fn work(handler: &Handler, waiting: &Receiver<Job>) {
    while let Ok(Job { request, output }) = waiting.recv_blocking() {
        // The client may have disconnected while the request waited.
        if output.is_closed() {
            continue;
        }
        let result = match handler(&request) {
            HandlerOutput::Now(response) => {
                WorkerOutput::Now(ResponseBytes::new(response, request.method), None)
            }
            HandlerOutput::Later(response) => WorkerOutput::Later(response),
            HandlerOutput::Events(head, events) => {
                WorkerOutput::Now(ResponseBytes::unbounded(head), Some(events))
            }
        };
        // The client may have disconnected since.
        let _ = output.try_send(result);
    }
}

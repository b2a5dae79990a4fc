//! A site's mailbox: the requests that wait for its task.
//!
//! It is one small allocation. Three channels would take 2.4 KB, and there may be a thousand sites.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event;
use smol::channel::Sender;
use smol::future::Boxed;

use super::context::SiteContext;
use super::schedule::ANONYMOUS_SHARE;
use crate::deadline::within;
use crate::routeros::error::Error;
use crate::timings::Timings;

/// Maximum number of requests for a refresh that wait at one site. They share one refresh, so each takes few bytes.
const MAX_REFRESHES: usize = 256;

/// Maximum number of jobs that wait for a site's connection. They run one by one, and each may take some seconds.
const MAX_CONNECTION_JOBS: usize = 8;

/// Maximum number of jobs with connections of their own that wait at one site: each logs in to its router, and the
/// router logs this.
const MAX_SEPARATE_JOBS: usize = 1;

/// Which jobs run one after another with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobQueue {
    /// For jobs over the site's connection. They run one at a time, so that the second of two kicks of a session finds
    /// that it has ended. If the configuration requires another connection, the running job is abandoned.
    Connection,
    /// For jobs that open a separate connection, one at a time.
    Separate,
}

/// A request that the task of a site runs.
pub(super) type SiteJob = Box<dyn FnOnce(Arc<SiteContext>) -> Boxed<()> + Send>;

/// A request to query a site's router now.
#[derive(Debug)]
pub(super) struct RefreshRequest {
    /// Whether it came without a token. Such requests make a router answer less often.
    pub(super) is_anonymous: bool,
    pub(super) responder: Sender<Result<Refreshed, Error>>,
}

/// The result of a successful refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The router has answered.
    Asked,
    /// The router was not queried: its last answers are recent enough for a request without a token.
    Recent,
}

impl RefreshRequest {
    /// How long after the last attempt to reach the router the request does not cause another one. `refresh` is the
    /// site's interval.
    pub(super) fn reuse(&self, refresh: Duration, timings: &Timings) -> Duration {
        let anonymous = if self.is_anonymous { refresh / ANONYMOUS_SHARE } else { Duration::ZERO };
        anonymous.max(timings.refresh_reuse)
    }
}

/// What waits for the task of one site.
#[derive(Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    added: Event,
}

#[derive(Default)]
struct Waiting {
    refreshes: VecDeque<RefreshRequest>,
    connection_jobs: VecDeque<SiteJob>,
    separate_jobs: VecDeque<SiteJob>,
}

impl Waiting {
    fn jobs(&mut self, queue: JobQueue) -> &mut VecDeque<SiteJob> {
        match queue {
            JobQueue::Connection => &mut self.connection_jobs,
            JobQueue::Separate => &mut self.separate_jobs,
        }
    }
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request for a refresh. Returns whether there was room for it.
    pub(super) fn request(&self, request: RefreshRequest) -> bool {
        self.add(request, |waiting| (&mut waiting.refreshes, MAX_REFRESHES))
    }

    /// Adds a job. Returns whether there was room for it.
    pub(super) fn send(&self, queue: JobQueue, job: SiteJob) -> bool {
        let most = match queue {
            JobQueue::Connection => MAX_CONNECTION_JOBS,
            JobQueue::Separate => MAX_SEPARATE_JOBS,
        };
        self.add(job, |waiting| (waiting.jobs(queue), most))
    }

    fn add<T>(&self, item: T, queue: impl FnOnce(&mut Waiting) -> (&mut VecDeque<T>, usize)) -> bool {
        let mut waiting = self.lock();
        let (queue, most) = queue(&mut waiting);
        let has_room = queue.len() < most;
        if has_room {
            queue.push_back(item);
            self.added.notify(usize::MAX);
        }
        has_room
    }

    /// Takes all requests for a refresh.
    pub(super) fn take_refreshes(&self) -> VecDeque<RefreshRequest> {
        std::mem::take(&mut self.lock().refreshes)
    }

    /// Waits until a refresh is requested, at most until this time, and takes the request.
    pub(super) async fn refresh_before(&self, until: Instant) -> Option<RefreshRequest> {
        let left = until.saturating_duration_since(Instant::now());
        within(left, self.next(|waiting| waiting.refreshes.pop_front())).await
    }

    /// Waits for a job, and takes it.
    pub(super) async fn next_job(&self, queue: JobQueue) -> SiteJob {
        self.next(|waiting| waiting.jobs(queue).pop_front()).await
    }

    async fn next<T>(&self, take: impl Fn(&mut Waiting) -> Option<T>) -> T {
        loop {
            let added = self.added.listen();
            if let Some(item) = take(&mut self.lock()) {
                return item;
            }
            added.await;
        }
    }
}

/// The requests for a refresh at one site. All that wait share one refresh.
#[derive(Debug)]
pub(super) struct RefreshQueue {
    pub(super) incoming: Arc<Mailbox>,
    /// Those that wait for the refresh in progress.
    pub(super) waiting: Vec<RefreshRequest>,
}

impl RefreshQueue {
    pub(super) fn new(incoming: Arc<Mailbox>) -> Self {
        Self { incoming, waiting: Vec::new() }
    }

    /// The same queue for another owner, with all requests that wait.
    pub(super) fn take(&mut self) -> Self {
        Self { incoming: self.incoming.clone(), waiting: std::mem::take(&mut self.waiting) }
    }

    /// Lets all requests that have arrived wait for the refresh that begins now.
    pub(super) fn gather(&mut self) {
        self.waiting.extend(self.incoming.take_refreshes());
    }

    /// Answers all waiting requests. A failure also answers the requests that arrived during the refresh.
    pub(super) fn respond(&mut self, outcome: &Result<Refreshed, Error>) {
        if outcome.is_err() {
            self.gather();
        }
        for request in self.waiting.drain(..) {
            // This fails if the caller was dropped.
            let _ = request.responder.try_send(outcome.clone());
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use smol::future::zip;
    use smol::{block_on, channel};

    use super::*;

    fn job() -> SiteJob {
        Box::new(|_| Box::pin(async {}))
    }

    fn request() -> RefreshRequest {
        RefreshRequest { is_anonymous: true, responder: channel::bounded(1).0 }
    }

    #[test]
    fn a_full_queue_has_room_again_once_something_is_taken() {
        let mailbox = Mailbox::default();
        for (queue, most) in [(JobQueue::Connection, 8), (JobQueue::Separate, 1)] {
            assert_eq!((0..most + 2).filter(|_| mailbox.send(queue, job())).count(), most, "{queue:?}");
            drop(block_on(mailbox.next_job(queue)));
            assert!(mailbox.send(queue, job()), "{queue:?}");
        }
        assert_eq!((0..300).filter(|_| mailbox.request(request())).count(), 256);
        assert_eq!(mailbox.take_refreshes().len(), 256);
        assert!(mailbox.request(request()));
    }

    #[test]
    fn a_wait_ends_when_something_is_added() {
        let mailbox = Mailbox::default();
        let added = async {
            assert!(mailbox.send(JobQueue::Separate, job()) && mailbox.request(request()));
        };
        let limit = Duration::from_secs(10);
        let job = within(limit, mailbox.next_job(JobQueue::Separate));
        let taken = zip(zip(mailbox.refresh_before(Instant::now() + limit), job), added);
        let ((request, job), ()) = block_on(taken);
        assert!(request.is_some() && job.is_some(), "expected both waits to end within {limit:?}");
    }
}

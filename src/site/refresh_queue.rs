//! The requests for a refresh of one site. All waiting requests share one refresh.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::Timer;
use smol::channel::Sender;
use smol::future::FutureExt;

use super::mailbox::Mailbox;
use super::schedule::ANONYMOUS_SHARE;
use crate::routeros::error::Error;
use crate::timings::Timings;

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

/// The requests of one site.
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

/// Waits until a refresh is requested, at most until this time.
pub(super) async fn request_before(incoming: &Mailbox, until: Instant) -> Option<RefreshRequest> {
    let timeout = async {
        Timer::at(until).await;
        None
    };
    async { Some(incoming.next_refresh().await) }.or(timeout).await
}

//! The requests for a refresh of one site. All waiting requests share one refresh.

use std::time::Instant;

use smol::Timer;
use smol::channel::{Receiver, Sender};
use smol::future::{FutureExt, pending};

use crate::routeros::error::Error;

/// A request to query a site's router now: who waits for the outcome.
pub(super) type RefreshRequest = Sender<Result<(), Error>>;

/// The requests of one site.
#[derive(Debug)]
pub(super) struct RefreshQueue {
    pub(super) incoming: Receiver<RefreshRequest>,
    /// Those that wait for the refresh in progress.
    pub(super) waiting: Vec<RefreshRequest>,
}

impl RefreshQueue {
    pub(super) fn new(incoming: Receiver<RefreshRequest>) -> Self {
        Self { incoming, waiting: Vec::new() }
    }

    /// The same queue for another owner, with all requests that wait.
    pub(super) fn take(&mut self) -> Self {
        Self { incoming: self.incoming.clone(), waiting: std::mem::take(&mut self.waiting) }
    }

    /// Lets all requests that have arrived wait for the refresh that begins now.
    pub(super) fn gather(&mut self) {
        self.waiting.extend(std::iter::from_fn(|| self.incoming.try_recv().ok()));
    }

    /// Answers all waiting requests. A failure also answers the requests that arrived during the refresh.
    pub(super) fn respond(&mut self, outcome: &Result<(), Error>) {
        if outcome.is_err() {
            self.gather();
        }
        for request in self.waiting.drain(..) {
            // This fails if the caller was dropped.
            let _ = request.try_send(outcome.clone());
        }
    }
}

/// Waits until a refresh is requested, at most until this time. A closed channel does not count as a request: callers
/// loop, and a wait that always ends at once would block the executor's only thread.
pub(super) async fn request_before(
    incoming: &Receiver<RefreshRequest>,
    until: Instant,
) -> Option<RefreshRequest> {
    let timeout = async {
        Timer::at(until).await;
        None
    };
    let request = async {
        match incoming.recv().await {
            Ok(request) => Some(request),
            Err(_) => pending().await,
        }
    };
    request.or(timeout).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use smol::channel;

    use super::*;

    #[test]
    fn a_closed_refresh_channel_is_no_request() {
        let (sender, incoming) = channel::bounded::<RefreshRequest>(1);
        drop(sender);
        let until = Instant::now() + Duration::from_millis(50);
        assert!(smol::block_on(request_before(&incoming, until)).is_none());
        assert!(Instant::now() >= until, "the wait ended early: a caller that loops would never pause");
    }
}

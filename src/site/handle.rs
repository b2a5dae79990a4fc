//! Handles of the sites' tasks: bounded mailboxes, through which everything else reaches a site.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use smol::channel::{self, Receiver};
use smol::future::zip;
use smol::lock::{self, RwLockReadGuardArc};

use super::context::SiteContext;
use super::mailbox::{JobQueue, Mailbox, RefreshRequest, Refreshed, SiteJob};
use crate::deadline::within;
use crate::routeros::error::{Cause, Error};

/// How long shutting down waits until interrupted actions are logged. It happens at once unless the machine is
/// overloaded, and the agent must end within 2 s.
const LAST_ACTIONS: Duration = Duration::from_millis(500);

/// The error of an action that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionError {
    /// The site does not exist.
    NoSite,
    /// Too many requests already wait at this site.
    Busy,
    /// The site was changed or removed meanwhile, or its task failed.
    Abandoned,
    /// The agent is shutting down.
    Stopping,
    /// The object of the action no longer exists. The text states the reason.
    Gone(&'static str),
    /// The object of the action has changed. The text states how.
    Conflict(&'static str),
    /// The router can't be reached, or refused the action.
    Router(Error),
}

impl From<Error> for ActionError {
    fn from(error: Error) -> Self {
        Self::Router(error)
    }
}

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSite => "This site is not in the configuration.",
            Self::Abandoned => {
                "The site was changed or removed in sites.ron meanwhile, or the agent failed: see its log. It is unknown \
                 whether the action was carried out: check, then try again."
            }
            Self::Stopping => {
                "The agent is shutting down. It is unknown whether the action was carried out: check, then try again."
            }
            Self::Busy => "Too many requests for this site: try again in a moment.",
            Self::Gone(text) | Self::Conflict(text) => text,
            Self::Router(error) => {
                let mut letters = error.message.chars();
                if let Some(first) = letters.next() {
                    write!(f, "{}{}", first.to_uppercase(), letters.as_str())?;
                }
                return write!(f, ". {}", error.hint);
            }
        })
    }
}

/// The handles of all sites.
#[derive(Debug)]
pub struct SiteHandles {
    mailboxes: RwLock<BTreeMap<String, Arc<Mailbox>>>,
    /// Longest wait for a response of a site.
    timeout: Duration,
    /// Read by each action until it is logged. Written once the agent shuts down.
    actions: Arc<lock::RwLock<()>>,
}

impl SiteHandles {
    /// A registry without sites. A request to a site fails after `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self { mailboxes: RwLock::default(), timeout, actions: Arc::default() }
    }

    /// Registers a site, in place of an earlier one with the same key.
    pub(super) fn open(&self, key: &str) -> Arc<Mailbox> {
        let mailbox = Arc::<Mailbox>::default();
        self.mailboxes.write().unwrap_or_else(PoisonError::into_inner).insert(key.into(), mailbox.clone());
        mailbox
    }

    /// Removes a site.
    pub(super) fn close(&self, key: &str) {
        self.mailboxes.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Keeps the agent running until the guard is dropped, so that an action that shutting down interrupts is logged.
    pub fn begin_action(&self) -> Option<RwLockReadGuardArc<()>> {
        self.actions.try_read_arc()
    }

    /// Ends the sites by `end`, and waits until all actions are logged.
    pub(super) async fn stop(&self, end: impl FnOnce()) {
        // Waiting to write is polled first, so `is_stopping` holds before the first action is interrupted.
        let logged = zip(self.actions.write(), async { end() });
        within(LAST_ACTIONS, logged).await;
    }

    /// Queries a site's router now, even if the returned future is dropped. The future ends once the router has
    /// answered. Simultaneous requests share one refresh, and there is at most one a second. Anonymous requests make
    /// the router answer at most once per third of the site's `refresh`.
    ///
    /// # Errors
    ///
    /// The reason why the router did not answer. After a login, even a refused one, the same error is returned without
    /// another attempt until the backoff ends.
    pub fn refresh(
        &self,
        key: &str,
        is_anonymous: bool,
    ) -> impl Future<Output = Result<Refreshed, ActionError>> + use<> {
        let (responder, response) = channel::bounded(1);
        let request = RefreshRequest { is_anonymous, responder };
        let sent = self.send(key, |mailbox| mailbox.request(request));
        self.response(sent, response)
    }

    /// Lets a site's task run a job. A job that has not begun when the caller stops waiting is dropped.
    ///
    /// # Errors
    ///
    /// The reason why it could not be run, or its own error.
    pub async fn run<T: Send + 'static, J: Future<Output = Result<T, ActionError>> + Send + 'static>(
        &self,
        key: &str,
        queue: JobQueue,
        job: impl FnOnce(Arc<SiteContext>) -> J + Send + 'static,
    ) -> Result<T, ActionError> {
        let (responder, response) = channel::bounded(1);
        let job: SiteJob = Box::new(move |site| {
            Box::pin(async move {
                if !responder.is_closed() {
                    let outcome = job(site).await;
                    // This fails if the caller was dropped.
                    let _ = responder.try_send(outcome);
                }
            })
        });
        let sent = self.send(key, |mailbox| mailbox.send(queue, job));
        self.response(sent, response).await
    }

    /// Sends something to a site, unless its mailbox is full.
    fn send(&self, key: &str, send: impl FnOnce(&Mailbox) -> bool) -> Result<(), ActionError> {
        if is_stopping(&self.actions) {
            return Err(ActionError::Stopping);
        }
        let mailboxes = self.mailboxes.read().unwrap_or_else(PoisonError::into_inner);
        let mailbox = mailboxes.get(key).ok_or(ActionError::NoSite)?;
        if send(mailbox) { Ok(()) } else { Err(ActionError::Busy) }
    }

    /// The response to a request, if it was `sent`.
    fn response<T, E: Into<ActionError>>(
        &self,
        sent: Result<(), ActionError>,
        response: Receiver<Result<T, E>>,
    ) -> impl Future<Output = Result<T, ActionError>> + use<T, E> {
        let (timeout, began, actions) = (self.timeout, Instant::now(), self.actions.clone());
        async move {
            sent?;
            let lost = |_| if is_stopping(&actions) { ActionError::Stopping } else { ActionError::Abandoned };
            let response = async { response.recv().await.map_err(lost)?.map_err(E::into) };
            let left = (began + timeout).saturating_duration_since(Instant::now());
            within(left, response).await.unwrap_or_else(|| {
                let message =
                    format!("no answer from the site within {}", humantime::format_duration(timeout));
                Err(Error::new(Cause::QueryTimeout, message).into())
            })
        }
    }
}

fn is_stopping(actions: &lock::RwLock<()>) -> bool {
    actions.try_read().is_none()
}

//! What can be asked of a site beside what is known: look now, try the way, end a session, list users.
//!
//! Whoever asks goes to the [`SiteHandles`], which has a counter for each site; the site's task serves its
//! [`Mailbox`] there, over the one connection that it has to its router. Nobody else ever sees that.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use smol::channel::{self, Receiver, Sender, TrySendError};

use crate::clock::Moment;
use crate::plugin::{Session, User};
use crate::routeros::error::Error;

/// Most calls for a refresh that wait at one site. They share one, so these are few bytes each.
const MAX_REFRESHES: usize = 256;

/// Most errands that wait at one site. They are run one by one, and each may take some seconds.
const MAX_REQUESTS: usize = 8;

/// Most tests of one site that wait: each logs in to its router, which is a line in its log.
const MAX_TESTS: usize = 1;

/// Why what was asked was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionError {
    /// There is no such site.
    NoSite,
    /// Too much is asked of this site already.
    Busy,
    /// The site's task left it undone: the site was changed or taken out meanwhile, or the task failed over it.
    Abandoned,
    /// The session is not there any more.
    Gone,
    /// The session of this id is not the one that was meant.
    Another,
    /// The router can't be asked, or refused.
    Router(Error),
}

impl From<Error> for ActionError {
    fn from(error: Error) -> Self {
        Self::Router(error)
    }
}

/// Where an answer is waited for. Who does not wait any more is told nothing.
pub type Responder<T> = Sender<Result<T, ActionError>>;

/// A request to ask a site's router now.
#[derive(Debug)]
pub struct RefreshRequest {
    /// Whether it came without a token. Such requests make a router answer less often.
    pub is_anonymous: bool,
    /// Where its answer is waited for.
    pub answer: Responder<Refreshed>,
}

/// What a successful refresh did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The router has answered.
    Asked,
    /// The router was not asked: its last answers are recent enough for a request without a token.
    Recent,
}

/// A session that is to end. The id alone does not say whose it is: the next one at that address has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kick {
    /// The session's `.id`.
    pub id: String,
    /// Its user, as it was shown.
    pub user: String,
    /// Its MAC address, as it was shown; empty where it had none.
    pub mac: String,
    /// Whether that user's and device's cookies go, too, so that it can't log straight back in.
    pub forget: bool,
}

/// What a kick did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kicked {
    /// The sessions that are gone: the one that was meant, and others of that user that went with it.
    pub removed: Vec<Session>,
    /// How many cookies went.
    pub cookies: usize,
    /// Whether the device is back already; absent where the router did not say what came of it.
    pub is_back: Option<bool>,
}

/// Which of the configured users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Those after the user of this id; none: from the first on.
    pub after: Option<String>,
    /// How many at most.
    pub limit: usize,
}

/// Some of the configured users.
#[derive(Debug, Clone, PartialEq)]
pub struct UserPage {
    /// They themselves, by their ids.
    pub users: Vec<User>,
    /// How many there are in all.
    pub total: usize,
    /// After which id the next of them are; none where there are no more.
    pub next: Option<String>,
}

/// One step on the way to a router, and how it went.
#[derive(Debug, Clone)]
pub struct DiagnosticStep {
    /// The host, with its port.
    pub host: String,
    /// `resolve`, `connect`, `tls`, `login`, `listen`, or a plugin's name.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// What was found, for a person; or why it failed.
    pub outcome: Result<String, Error>,
}

/// What must go over the connection to the router.
#[derive(Debug)]
pub enum SiteRequest {
    /// End a session, if it began before this moment.
    Kick(Kick, Moment, Responder<Kicked>),
    /// List users.
    Users(PageRequest, Responder<UserPage>),
}

impl SiteRequest {
    /// Whether nobody waits for it any more: it is not to be run then, long after it was wanted.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        match self {
            Self::Kick(_, _, answer) => answer.is_closed(),
            Self::Users(_, answer) => answer.is_closed(),
        }
    }
}

/// What is asked of one site, in queues that do not hold up each other.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// Calls for a refresh.
    pub refreshes: Receiver<RefreshRequest>,
    /// Errands, to be run one by one: of two kicks of one session the second finds it gone.
    pub errands: Receiver<SiteRequest>,
    /// Calls for a test.
    pub tests: Receiver<Responder<Vec<DiagnosticStep>>>,
}

#[derive(Debug, Clone)]
struct SiteHandle {
    refreshes: Sender<RefreshRequest>,
    errands: Sender<SiteRequest>,
    tests: Sender<Responder<Vec<DiagnosticStep>>>,
}

/// Where sites are asked.
#[derive(Debug)]
pub struct SiteHandles {
    counters: RwLock<BTreeMap<String, SiteHandle>>,
    /// Longest wait for a site's answer.
    timeout: Duration,
}

impl SiteHandles {
    /// A registry without sites. A request to one times out after `timeout`.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { counters: RwLock::default(), timeout }
    }

    /// Longest wait for a site's answer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Opens the counter of a site, in place of one that there was.
    #[must_use]
    pub fn open(&self, site: &str) -> Mailbox {
        let (refreshes, requested) = channel::bounded(MAX_REFRESHES);
        let (errands, run) = channel::bounded(MAX_REQUESTS);
        let (tests, tested) = channel::bounded(MAX_TESTS);
        let counter = SiteHandle { refreshes, errands, tests };
        self.counters.write().unwrap_or_else(PoisonError::into_inner).insert(site.into(), counter);
        Mailbox { refreshes: requested, errands: run, tests: tested }
    }

    /// Closes the counter of a site that is no more.
    pub fn close(&self, site: &str) {
        self.counters.write().unwrap_or_else(PoisonError::into_inner).remove(site);
    }

    /// Has a site's router asked now, whether what this gives is awaited or not; that is done once the router
    /// has answered. Calls that come together share one refresh, and there is at most one a second. Anonymous calls
    /// make the router answer at most once per third of the site's `refresh`.
    ///
    /// # Errors
    ///
    /// Why the router did not answer. Where that is after a login, be it a refused one, it is told without
    /// another try, until the router has been left alone for long enough.
    pub fn refresh(
        &self,
        site: &str,
        is_anonymous: bool,
    ) -> impl Future<Output = Result<Refreshed, ActionError>> + use<> {
        let (answer, answered) = channel::bounded(1);
        let request = RefreshRequest { is_anonymous, answer };
        let called = self.counter(site).and_then(|counter| put(&counter.refreshes, request));
        async move {
            called?;
            wait(answered).await
        }
    }

    /// Tries the way to a site's router, over connections of its own.
    ///
    /// # Errors
    ///
    /// `Busy` where that is under way already. A step that failed is an answer.
    pub async fn test(&self, site: &str) -> Result<Vec<DiagnosticStep>, ActionError> {
        let (answer, answered) = channel::bounded(1);
        put(&self.counter(site)?.tests, answer)?;
        wait(answered).await
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// Why it is as it was.
    pub async fn kick(&self, site: &str, kick: Kick) -> Result<Kicked, ActionError> {
        let (answer, answered) = channel::bounded(1);
        put(&self.counter(site)?.errands, SiteRequest::Kick(kick, Moment::now(), answer))?;
        wait(answered).await
    }

    /// Asks the router for some of its configured users.
    ///
    /// # Errors
    ///
    /// Why they are not known.
    pub async fn users(&self, site: &str, page: PageRequest) -> Result<UserPage, ActionError> {
        let (answer, answered) = channel::bounded(1);
        put(&self.counter(site)?.errands, SiteRequest::Users(page, answer))?;
        wait(answered).await
    }

    fn counter(&self, site: &str) -> Result<SiteHandle, ActionError> {
        let counters = self.counters.read().unwrap_or_else(PoisonError::into_inner);
        counters.get(site).cloned().ok_or(ActionError::NoSite)
    }
}

fn put<T>(queue: &Sender<T>, order: T) -> Result<(), ActionError> {
    queue.try_send(order).map_err(|error| match error {
        TrySendError::Full(_) => ActionError::Busy,
        TrySendError::Closed(_) => ActionError::NoSite,
    })
}

async fn wait<T>(answered: Receiver<Result<T, ActionError>>) -> Result<T, ActionError> {
    answered.recv().await.unwrap_or(Err(ActionError::Abandoned))
}

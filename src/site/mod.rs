//! Sites: a task each that connects, asks, waits, and gets well again.
//!
//! A task holds one connection to one router for days. Each refresh asks for all of
//! its plugins in one write and puts what came into the [`Store`]. Whatever goes wrong is
//! a state of this site and of no other; the task itself never ends.

mod backoff;
mod session;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::channel::{self, Receiver, Sender};
use smol::future::FutureExt;
use smol::{Task, Timer};

use crate::clock::Moment;
use crate::config::{self, Host};
use crate::plugin;
use crate::routeros::connect::connect;
use crate::routeros::error::{Cause, Error};
use crate::state::{SiteState, Store};
use backoff::Backoff;
use session::Session;

/// Most calls for a refresh that wait to be taken; a further caller waits for a place.
const MAX_REQUESTS: usize = 64;

/// A refresh asked for within this time of the last one is answered with that.
const FRESH: Duration = Duration::from_secs(1);

/// What is known of a site before its task has begun.
#[must_use]
pub fn initial_state(config: &config::Site) -> SiteState {
    let plugins = config.collect.iter().filter_map(|name| plugin::built_in(name));
    SiteState::new(&config.key, &config.name, config.refresh, plugins)
}

/// A site at work. Dropping it ends its task and its connection.
#[derive(Debug)]
pub struct Site {
    // First, so that it ends before its channel does.
    _task: Task<()>,
    requests: Sender<Request>,
}

impl Site {
    /// Starts a site's task, which reads what the store has readings for, and writes what it learns there.
    #[must_use]
    pub fn start(config: Arc<config::Site>, store: Arc<Store>) -> Self {
        let (requests, requested) = channel::bounded(MAX_REQUESTS);
        let task = SiteTask { config, store, requested, waiting: Vec::new() };
        Self { _task: smol::spawn(task.run()), requests }
    }

    /// Asks the router now, and waits until it has answered or failed. Calls that come
    /// together share one refresh, and there is at most one a second.
    ///
    /// # Errors
    ///
    /// Why the router did not answer. After a refused login that is told without
    /// another try, until the router has been left alone for long enough.
    pub async fn refresh(&self) -> Result<(), Error> {
        let (answer, answered) = channel::bounded(1);
        let ended = || Error::new(Cause::Closed, "the site is no longer configured");
        self.requests.send(answer).await.map_err(|_| ended())?;
        answered.recv().await.map_err(|_| ended())?
    }
}

/// Somebody who waits for a refresh.
type Request = Sender<Result<(), Error>>;

struct SiteTask {
    config: Arc<config::Site>,
    store: Arc<Store>,
    requested: Receiver<Request>,
    /// Those who wait for the refresh under way.
    waiting: Vec<Request>,
}

/// How a session ended.
struct Ended {
    error: Error,
    /// How long it answered; `None` if it never did.
    answered: Option<Duration>,
}

impl SiteTask {
    /// Never ends. A panic, which would be a mistake in this program, costs its site a while and no more.
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let visit = AssertUnwindSafe(self.visit()).catch_unwind().await;
            let ended = visit.unwrap_or_else(|_| Ended {
                error: Error::new(
                    Cause::Protocol,
                    "the agent failed over what the router sent; please report it",
                ),
                answered: None,
            });
            let news = self.update(|site| site.lost(&ended.error, Moment::now()));
            if news == Some(true) {
                log::warn!("{}: offline: {}. {}", self.config.key, ended.error, ended.error.hint);
            }
            self.answer(&Err(ended.error.clone()));
            let wait = backoff.next(ended.error.cause, ended.answered.unwrap_or_default());
            log::debug!("{}: trying again in {} s", self.config.key, wait.as_secs());
            self.rest(wait, &ended.error).await;
        }
    }

    /// Tries the hosts in order and stays with the first that answers, until it no longer does.
    async fn visit(&mut self) -> Ended {
        let mut failures: Vec<Error> = Vec::new();
        let config = self.config.clone();
        for host in &config.hosts {
            let ended = self.session(host).await;
            let message = format!("{host}: {}", ended.error.message);
            let error = Error { message, ..ended.error };
            if ended.answered.is_some() {
                return Ended { error, answered: ended.answered };
            }
            let last = error.cause == Cause::Auth;
            failures.push(error);
            // The other hosts are the same router: a second refused login only fills its log.
            if last {
                break;
            }
        }
        let messages: Vec<&str> = failures.iter().map(|error| error.message.as_str()).collect();
        let message = messages.join("; ");
        let error = match failures.pop() {
            Some(last) => Error { message, ..last },
            None => Error::new(Cause::Dns, "the site has no host"),
        };
        Ended { error, answered: None }
    }

    async fn session(&mut self, host: &Host) -> Ended {
        let at = (host.name.as_str(), host.port);
        let connected = connect(at, &self.config.tls, self.config.connect_timeout).await;
        let (client, connection) = match connected {
            Ok(halves) => halves,
            Err(error) => return Ended { error, answered: None },
        };
        let mut session = Session::new(self, &client, host);
        let error = connection.run().or(session.run()).await;
        Ended { error, answered: session.end() }
    }

    /// Leaves the router alone for `wait`, or until somebody asks for it who may.
    async fn rest(&mut self, wait: Duration, error: &Error) {
        let until = Instant::now() + wait;
        let soonest = Instant::now() + FRESH.min(wait);
        while self.request_before(until).await {
            if error.cause != Cause::Auth {
                Timer::at(soonest).await;
                return;
            }
            self.answer(&Err(error.clone()));
        }
    }

    /// Waits until somebody asks for a refresh, or until then. Says whether somebody did.
    async fn request_before(&mut self, until: Instant) -> bool {
        let late = async {
            Timer::at(until).await;
            None
        };
        let asked = async { self.requested.recv().await.ok() };
        let asked = asked.or(late).await;
        self.waiting.extend(asked);
        while let Ok(request) = self.requested.try_recv() {
            self.waiting.push(request);
        }
        !self.waiting.is_empty()
    }

    /// Tells all who wait how the refresh went.
    fn answer(&mut self, outcome: &Result<(), Error>) {
        for request in self.waiting.drain(..) {
            // Who has gone meanwhile is told nothing.
            let _ = request.try_send(outcome.clone());
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut SiteState) -> T) -> Option<T> {
        self.store.update(&self.config.key, change)
    }
}

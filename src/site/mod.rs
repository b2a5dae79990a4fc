//! Sites: a task each that connects, asks, waits, and gets well again.
//!
//! A task holds one connection to one router for days. Each refresh asks for all of
//! its plugins in one write and puts what came into the [`Store`]; between refreshes it follows
//! who logs in and out. Whatever goes wrong is a state of this site and of no other; the task
//! itself ends only where its site is taken out of the configuration.

mod backoff;
mod configured;
mod errands;
mod follow;
mod hosts;
mod schedule;
mod session;
mod sites;
mod walk;

use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::channel::Receiver;
use smol::future::FutureExt;
use smol::{Task, Timer};

use crate::action::{Answer, Desk, Refusal};
use crate::clock::Moment;
use crate::config;
use crate::routeros::connect::connect;
use crate::routeros::error::{Cause, Error};
use crate::state::{SiteState, Store};
use backoff::Backoff;
use configured::Configured;
use errands::{Errands, Line};
use hosts::Patience;
use session::Session;
pub use sites::Sites;
pub use walk::walk;
use walk::walk_on_request;

/// How long a router takes to boot at most, in which it may refuse logins that are good: the slowest
/// boards take two minutes.
const BOOT: Duration = Duration::from_secs(180);

/// The least wait after a refused login, though the router may only be booting: each is a line in its log.
const BOOT_WAIT: Duration = Duration::from_secs(30);

/// After a session shorter than this the other hosts have their turn first: a link that is lost each few
/// minutes is worse than another one.
const LASTING: Duration = Duration::from_secs(600);

/// A refresh asked for within this time of the last one is answered with that.
const FRESH: Duration = Duration::from_secs(1);

/// Who asks for a refresh may wait this long for the next try.
const SOON: Duration = Duration::from_secs(2);

/// What is known of a site before its task has begun.
fn initial_state(config: &config::Site) -> SiteState {
    let hosts = config.hosts.iter().map(ToString::to_string);
    SiteState::new(&config.key, &config.name, config.refresh, hosts, config.plugins.iter().cloned())
}

/// A site at work. Dropping it ends its task and its connection.
#[derive(Debug)]
struct Site {
    configured: Configured,
    task: Task<()>,
}

impl Site {
    /// Starts a site's task, which reads what the store has readings for, writes what it learns there, and
    /// does what the desk is asked of it.
    fn start(config: Arc<config::Site>, store: Arc<Store>, desk: &Desk) -> Self {
        let orders = desk.open(&config.key);
        let configured = Configured::new(config.clone());
        let line = Line::default();
        let errands = Errands {
            config: config.clone(),
            configured: configured.clone(),
            store: store.clone(),
            line: line.clone(),
        };
        let beside = errands.run(orders.errands).or(walk_on_request(configured.clone(), orders.tests));
        let task = SiteTask {
            config,
            configured: configured.clone(),
            store,
            line,
            requested: orders.refreshes,
            waiting: Vec::new(),
            patience: Patience::default(),
            served: None,
            put_off: None,
            answered: None,
        };
        Self { configured, task: smol::spawn(task.run().or(beside)) }
    }

    /// Goes by another configuration of the same site from now on. The connection is kept where it can be.
    fn reconfigure(&self, config: Arc<config::Site>) {
        self.configured.set(config);
    }

    /// Ends the task and its connection. Once this is done it does not write to the store any more.
    async fn stop(self) {
        self.task.cancel().await;
    }
}

struct SiteTask {
    /// What the task goes by, until it sees that it is `configured` otherwise.
    config: Arc<config::Site>,
    configured: Configured,
    store: Arc<Store>,
    /// Whom errands ask: set while the router answers.
    line: Line,
    requested: Receiver<Answer<()>>,
    /// Those who wait for the refresh under way.
    waiting: Vec<Answer<()>>,
    patience: Patience,
    /// The host that served last.
    served: Option<usize>,
    /// A host that refused the login, or whose session did not last.
    put_off: Option<usize>,
    /// When a session last ended that had answered.
    answered: Option<Instant>,
}

/// How a session ended, if it ever began.
struct Ended {
    error: Error,
    /// How long it answered; `None` if it never did.
    answered: Option<Duration>,
}

/// Why there is no connection any more.
enum Visited {
    Ended(Ended),
    /// An earlier host is well again.
    Returns,
    /// It is to be made in another way.
    Reconfigured,
}

impl SiteTask {
    /// Never ends.
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            self.config = self.configured.now();
            let logins = self.logins();
            let ended = match self.visit().await {
                Visited::Returns => continue,
                Visited::Reconfigured => {
                    self.begin_anew(&mut backoff);
                    continue;
                }
                Visited::Ended(ended) => ended,
            };
            let login_refused = ended.error.cause == Cause::Auth;
            let error = self.as_of_a_reboot(ended.error);
            let news = self.update(|site| site.lost(&error, Moment::now()));
            if news == Some(true) {
                log::warn!("{}: offline: {error}. {}", self.config.key, error.hint);
            }
            self.answer(&Err(error.clone()));
            let mut wait = backoff.next(error.cause, ended.answered.unwrap_or_default());
            if login_refused {
                wait = wait.max(BOOT_WAIT);
            } else if error.cause == Cause::Rebooting {
                // Until the connection was found dead, it was waited for already.
                wait = wait.saturating_sub(self.config.query_timeout);
            }
            log::debug!("{}: trying again in {} s", self.config.key, wait.as_secs());
            // Each login is a line in the router's log, whoever it is that wants to see something.
            let soonest = if login_refused || self.logins() > logins { wait } else { wait.min(FRESH) };
            let (configured, config) = (self.configured.clone(), self.config.clone());
            let reconfigured = async {
                configured.reconnects(&config).await;
                true
            };
            let rested = async {
                self.rest(wait, soonest, &error).await;
                false
            };
            if rested.or(reconfigured).await {
                self.begin_anew(&mut backoff);
            }
        }
    }

    /// Nothing that was learnt of the way to the router holds for the one that it is to be reached by now.
    fn begin_anew(&mut self, backoff: &mut Backoff) {
        *backoff = Backoff::default();
        self.patience = Patience::default();
        (self.served, self.put_off, self.answered) = (None, None, None);
        self.update(SiteState::connect_anew);
    }

    /// A login that worked until a moment ago, and is refused now: a router that boots takes connections
    /// before it knows its users.
    fn as_of_a_reboot(&self, error: Error) -> Error {
        let just_answered = self.answered.is_some_and(|at| at.elapsed() < BOOT);
        if error.cause != Cause::Auth || !just_answered {
            return error;
        }
        let told = "the login that worked until now is refused, as it is while a router boots";
        Error::new(Cause::Rebooting, format!("{told}: {}", error.message))
    }

    /// Tries the hosts in order and stays with the first that answers, until it no longer does. One that
    /// refused the login, or answered and did not last, has its turn after the others the next time.
    async fn visit(&mut self) -> Visited {
        let mut failures: Vec<Error> = Vec::new();
        let config = self.config.clone();
        let mut hosts: Vec<usize> = (0..config.hosts.len()).collect();
        hosts.sort_by_key(|&at| self.put_off == Some(at));
        for (turn, &at) in hosts.iter().enumerate() {
            let ended = match self.session(at).await {
                Visited::Ended(ended) => ended,
                Visited::Returns => {
                    self.served = Some(at);
                    self.patience.returns();
                    self.put_off = None;
                    return Visited::Returns;
                }
                Visited::Reconfigured => return Visited::Reconfigured,
            };
            self.update(|site| site.host_tried(at, Some(ended.error.clone())));
            let message = format!("{}: {}", config.hosts[at], ended.error.message);
            let error = Error { message, ..ended.error };
            if let Some(answered) = ended.answered {
                self.answered = Some(Instant::now());
                self.patience.lasted(answered);
                self.served = Some(at);
                self.put_off = (answered < LASTING).then_some(at);
                return Visited::Ended(Ended { error, answered: Some(answered) });
            }
            let refused = error.cause == Cause::Auth;
            failures.push(error);
            if refused {
                self.put_off = Some(at);
                // The other hosts are the same router: a second refused login only fills its log. But one of
                // them may be the way from which this user may log in.
                if self.served.is_none_or(|served| hosts[..=turn].contains(&served)) {
                    break;
                }
            }
        }
        let messages: Vec<&str> = failures.iter().map(|error| error.message.as_str()).collect();
        let message = messages.join("; ");
        // A refused login before all, which is not to be tried again soon; then what somebody has to mend, before
        // what may pass.
        let refused = failures.iter().find(|error| error.cause == Cause::Auth);
        let told = refused.or(failures.iter().find(|error| !error.cause.is_passing())).or(failures.last());
        let error = match told {
            Some(told) => Error { message, ..told.clone() },
            None => Error::new(Cause::Dns, "the site has no host"),
        };
        Visited::Ended(Ended { error, answered: None })
    }

    async fn session(&mut self, at: usize) -> Visited {
        let (config, store, configured) = (self.config.clone(), self.store.clone(), self.configured.clone());
        let host = &config.hosts[at];
        let reconfigured = async {
            configured.reconnects(&config).await;
            None
        };
        let connected =
            async { Some(connect((&host.name, host.port), &config.tls, config.connect_timeout).await) };
        let (client, connection) = match connected.or(reconfigured).await {
            Some(Ok(halves)) => halves,
            Some(Err(error)) => return Visited::Ended(Ended { error, answered: None }),
            None => return Visited::Reconfigured,
        };
        // Its own, for the session has the site meanwhile.
        let patience = self.patience;
        let well_again = async {
            patience.well_again(&config, at, &store).await;
            Visited::Returns
        };
        let reconfigured = async {
            configured.reconnects(&config).await;
            Visited::Reconfigured
        };
        let mut session = Session::new(self, &client, at);
        let ended = async {
            let error = connection.run().or(session.run()).await;
            Visited::Ended(Ended { error, answered: None })
        };
        let visited = ended.or(well_again).or(reconfigured).await;
        let answered = session.end();
        match visited {
            Visited::Ended(ended) => Visited::Ended(Ended { answered, ..ended }),
            visited => visited,
        }
    }

    /// Leaves the router alone for `wait`. Who asks for a refresh meanwhile ends that after `soonest`, or where
    /// that is far off is told what the trouble is.
    async fn rest(&mut self, wait: Duration, soonest: Duration, error: &Error) {
        let began = Instant::now();
        while let Some(request) = request_before(&self.requested, began + wait).await {
            self.waiting.push(request);
            if soonest.saturating_sub(began.elapsed()) <= SOON {
                Timer::at(began + soonest).await;
                return;
            }
            self.answer(&Err(error.clone()));
        }
    }

    /// Tells all who wait how the refresh went; where it failed, those too who asked for one meanwhile.
    fn answer(&mut self, outcome: &Result<(), Error>) {
        while outcome.is_err()
            && let Ok(request) = self.requested.try_recv()
        {
            self.waiting.push(request);
        }
        for request in self.waiting.drain(..) {
            // Who has gone meanwhile is told nothing.
            let _ = request.try_send(outcome.clone().map_err(Refusal::Router));
        }
    }

    /// How often the router has been logged in to.
    fn logins(&self) -> u64 {
        self.store.snapshot().site(&self.config.key).map_or(0, |site| site.usage.logins)
    }

    fn update<T>(&self, change: impl FnOnce(&mut SiteState) -> T) -> Option<T> {
        self.store.update(&self.config.key, change)
    }
}

/// Waits until somebody asks for a refresh, or until then.
async fn request_before(requested: &Receiver<Answer<()>>, until: Instant) -> Option<Answer<()>> {
    let late = async {
        Timer::at(until).await;
        None
    };
    async { requested.recv().await.ok() }.or(late).await
}

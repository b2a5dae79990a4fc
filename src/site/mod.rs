//! Sites: a task each that connects, asks, waits, and gets well again.
//!
//! A task holds one connection to one router for days. Each refresh asks for all of
//! its plugins in one write and puts what came into the [`Store`]; between refreshes it follows
//! who logs in and out. Whatever goes wrong is a state of this site and of no other; the task
//! itself ends only where its site is taken out of the configuration.

mod backoff;
mod config_cell;
mod diagnose;
mod failback;
mod jobs;
mod listen_tracker;
mod row_check;
mod schedule;
mod session;
mod sites;

use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::channel::Receiver;
use smol::future::{FutureExt, pending};
use smol::{Task, Timer};

use crate::action::{ActionError, Mailbox, RefreshRequest, Refreshed};
use crate::clock::Moment;
use crate::config;
use crate::executor;
use crate::routeros::client::connect;
use crate::routeros::error::{Cause, Error};
use crate::state::{SiteState, Store};
use crate::timings::Timings;
use backoff::Backoff;
use config_cell::ConfigCell;
pub use diagnose::diagnose;
use diagnose::diagnose_on_request;
use failback::FailbackPolicy;
use jobs::{ClientSlot, Jobs};
use schedule::ANONYMOUS_SHARE;
use session::SiteSession;
pub use sites::Sites;

/// What to do about a login that worked a moment ago and is refused.
const HINT_REFUSED_ONCE: &str = "This login worked until a moment ago, and RouterOS refuses a good login now and then: the agent \
    tries again soon. If it stays refused, check the user and the password. On the router: /user print detail";

/// What is known of a site before its task has begun.
fn initial_state(config: &config::Site) -> SiteState {
    let hosts = config.hosts.iter().map(ToString::to_string);
    SiteState::new(&config.key, &config.name, config.refresh, hosts, config.plugins.iter().cloned())
}

/// A site at work. Dropping it ends its task and its connection.
#[derive(Debug)]
struct Site {
    configured: ConfigCell,
    task: Task<()>,
}

impl Site {
    /// Starts a site's task, which reads what the store has readings for, writes what it learns there, and
    /// carries out these orders.
    fn start(config: Arc<config::Site>, store: Arc<Store>, orders: Mailbox, timings: Arc<Timings>) -> Self {
        let configured = ConfigCell::new(config.clone());
        let client_slot = ClientSlot::default();
        let errands = Jobs {
            config: config.clone(),
            configured: configured.clone(),
            store: store.clone(),
            client_slot: client_slot.clone(),
        };
        let replies = store.budget().replies.clone();
        let tests = diagnose_on_request(configured.clone(), replies, orders.tests);
        let beside = errands.run(orders.errands).or(tests);
        let task = SiteTask {
            config,
            timings,
            configured: configured.clone(),
            store,
            client_slot,
            requested: orders.refreshes,
            waiting: Vec::new(),
            failback: FailbackPolicy::default(),
            last_host: None,
            deprioritized: None,
            answered: None,
            turned_away: false,
        };
        Self { configured, task: executor::spawn(task.run().or(beside)) }
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
    timings: Arc<Timings>,
    configured: ConfigCell,
    store: Arc<Store>,
    /// Whom errands ask: set while the router answers.
    client_slot: ClientSlot,
    requested: Receiver<RefreshRequest>,
    /// Those who wait for the refresh under way.
    waiting: Vec<RefreshRequest>,
    failback: FailbackPolicy,
    /// The host that served last.
    last_host: Option<usize>,
    /// A host that refused the login, or whose session did not last.
    deprioritized: Option<usize>,
    /// When a session last ended that had answered.
    answered: Option<Instant>,
    /// Whether the host that served last has turned connections away since then.
    turned_away: bool,
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
    FailBack,
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
                Visited::FailBack => continue,
                Visited::Reconfigured => {
                    self.reset(&mut backoff);
                    continue;
                }
                Visited::Ended(ended) => ended,
            };
            let login_refused = ended.error.cause == Cause::Auth;
            let may_boot = login_refused && self.has_just_answered();
            let error = if may_boot { self.refused_after_a_loss(ended.error) } else { ended.error };
            self.update(|site| site.mark_offline(&error, Moment::now()));
            self.answer(&Err(error.clone()));
            let waits_as = if may_boot { Cause::Rebooting } else { error.cause };
            let mut wait = backoff.next(&self.timings, waits_as, ended.answered.unwrap_or_default());
            if login_refused {
                wait = wait.max(self.timings.boot_retry);
            }
            log::debug!("{}: trying again in {} s", self.config.key, wait.as_secs());
            // Each login is a line in the router's log, whoever it is that wants to see something.
            let least = if login_refused || self.logins() > logins { wait } else { Duration::ZERO };
            let (configured, config) = (self.configured.clone(), self.config.clone());
            let reconfigured = async {
                configured.reconnects(&config).await;
                true
            };
            let rested = async {
                self.rest(wait, least, &error).await;
                false
            };
            if rested.or(reconfigured).await {
                self.reset(&mut backoff);
            }
        }
    }

    /// Nothing that was learnt of the way to the router holds for the one that it is to be reached by now.
    fn reset(&mut self, backoff: &mut Backoff) {
        *backoff = Backoff::default();
        self.failback = FailbackPolicy::default();
        (self.last_host, self.deprioritized, self.answered) = (None, None, None);
        self.turned_away = false;
        self.update(SiteState::reset_connection);
    }

    /// Whether a login worked until a moment ago, so that a router that boots may refuse it.
    fn has_just_answered(&self) -> bool {
        self.answered.is_some_and(|at| at.elapsed() < self.timings.boot_window)
    }

    /// A login that worked until the connection was lost is refused. A router that boots takes connections before it
    /// knows its users, and refuses them before that. RouterOS 7 refuses a good login now and then without a reboot.
    fn refused_after_a_loss(&self, error: Error) -> Error {
        if self.turned_away {
            let told = "the login that worked until now is refused, as it is while a router boots";
            return Error::new(Cause::Rebooting, format!("{told}: {}", error.message));
        }
        Error { hint: HINT_REFUSED_ONCE, ..error }
    }

    /// Tries the hosts in order and stays with the first that answers, until it no longer does. One that
    /// refused the login, or answered and did not last, has its turn after the others the next time.
    async fn visit(&mut self) -> Visited {
        let mut failures: Vec<Error> = Vec::new();
        let config = self.config.clone();
        let mut hosts: Vec<usize> = (0..config.hosts.len()).collect();
        hosts.sort_by_key(|&at| self.deprioritized == Some(at));
        for (turn, &at) in hosts.iter().enumerate() {
            let logins = self.logins();
            let ended = match self.session(at).await {
                Visited::Ended(ended) => ended,
                Visited::FailBack => {
                    self.last_host = Some(at);
                    self.failback.returns();
                    self.deprioritized = None;
                    return Visited::FailBack;
                }
                Visited::Reconfigured => return Visited::Reconfigured,
            };
            self.update(|site| site.host_tried(at, Some(ended.error.clone())));
            let message = format!("{}: {}", config.hosts[at], ended.error.message);
            let error = Error { message, ..ended.error };
            if let Some(answered) = ended.answered {
                (self.answered, self.turned_away) = (Some(Instant::now()), false);
                self.failback.lasted(&self.timings, answered);
                self.last_host = Some(at);
                self.deprioritized = (answered < self.timings.host_trial).then_some(at);
                return Visited::Ended(Ended { error, answered: Some(answered) });
            }
            if self.last_host == Some(at) && self.logins() == logins {
                self.turned_away |= matches!(error.cause, Cause::Refused | Cause::Closed);
            }
            let refused = error.cause == Cause::Auth;
            failures.push(error);
            if refused {
                self.deprioritized = Some(at);
                // The other hosts are the same router: a second refused login only fills its log. But one of
                // them may be the way from which this user may log in.
                if self.last_host.is_none_or(|last_host| hosts[..=turn].contains(&last_host)) {
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
        let connected = async {
            Some(connect((&host.name, host.port), &config.tls_of(at), config.connect_timeout).await)
        };
        let (client, connection) = match connected.or(reconfigured).await {
            Some(Ok(halves)) => halves,
            Some(Err(error)) => return Visited::Ended(Ended { error, answered: None }),
            None => return Visited::Reconfigured,
        };
        client.share(&store.budget().replies);
        // Its own, for the session has the site meanwhile.
        let (failback, timings) = (self.failback, self.timings.clone());
        let host_recovered = async {
            failback.host_recovered(&config, at, &store, &timings).await;
            Visited::FailBack
        };
        let reconfigured = async {
            configured.reconnects(&config).await;
            Visited::Reconfigured
        };
        let mut session = SiteSession::new(self, &client, at);
        let ended = async {
            let error = connection.run().or(session.run()).await;
            Visited::Ended(Ended { error, answered: None })
        };
        let visited = ended.or(host_recovered).or(reconfigured).await;
        let answered = session.end();
        match visited {
            Visited::Ended(ended) => Visited::Ended(Ended { answered, ..ended }),
            visited => visited,
        }
    }

    /// Leaves the router alone for `wait`, or until a refresh is requested, but for `least` at least. A request that
    /// would have to wait long is answered with the error at once.
    async fn rest(&mut self, wait: Duration, least: Duration, error: &Error) {
        let began = Instant::now();
        while let Some(request) = request_before(&self.requested, began + wait).await {
            let soonest = self.reuse(&request).clamp(least, wait);
            self.waiting.push(request);
            if soonest.saturating_sub(began.elapsed()) <= self.timings.early_retry {
                Timer::at(began + soonest).await;
                return;
            }
            self.answer(&Err(error.clone()));
        }
    }

    /// Tells all who wait how the refresh went; where it failed, those too who asked for one meanwhile.
    fn answer(&mut self, outcome: &Result<Refreshed, Error>) {
        while outcome.is_err()
            && let Ok(request) = self.requested.try_recv()
        {
            self.waiting.push(request);
        }
        for request in self.waiting.drain(..) {
            // Who has gone meanwhile is told nothing.
            let _ = request.answer.try_send(outcome.clone().map_err(ActionError::Router));
        }
    }

    /// How long after the last attempt to reach the router a request does not cause another one.
    fn reuse(&self, request: &RefreshRequest) -> Duration {
        let anonymous =
            if request.is_anonymous { self.config.refresh / ANONYMOUS_SHARE } else { Duration::ZERO };
        anonymous.max(self.timings.refresh_reuse)
    }

    /// How often the router has been logged in to.
    fn logins(&self) -> u64 {
        self.store.snapshot().site(&self.config.key).map_or(0, |site| site.usage.logins)
    }

    fn update<T>(&self, change: impl FnOnce(&mut SiteState) -> T) -> Option<T> {
        self.store.update(&self.config.key, change)
    }
}

/// Waits until a refresh is requested, at most until this time. A closed channel is no request: callers loop, and a
/// wait that ends at once each time would keep the executor's only thread from all sites.
async fn request_before(requested: &Receiver<RefreshRequest>, until: Instant) -> Option<RefreshRequest> {
    let late = async {
        Timer::at(until).await;
        None
    };
    let request = async {
        match requested.recv().await {
            Ok(request) => Some(request),
            Err(_) => pending().await,
        }
    };
    request.or(late).await
}

#[cfg(test)]
mod tests {
    use smol::channel;

    use super::*;
    use crate::config::{Host, Secret};
    use crate::simulator::{Fault, Router, Settings};
    use crate::state::Reload;

    /// Longest wait of a test for something that happens at once.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn config(router: &Router) -> Arc<config::Site> {
        let host = Host { name: "127.0.0.1".into(), port: router.addr().port() };
        Arc::new(config::Site::new("awka", vec![host], "api-user", Secret::new("password".into())))
    }

    fn store(config: &config::Site) -> Arc<Store> {
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        store.rearrange(|_| vec![initial_state(config).into()]);
        store
    }

    /// Waits on this thread, so that a task which keeps the executor for itself is found out.
    #[track_caller]
    fn wait(what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the executor still runs other tasks.
    fn executor_is_responsive() -> bool {
        let (done, wait) = channel::bounded(1);
        executor::spawn(async move { done.send(()).await }).detach();
        let late = async {
            Timer::after(PATIENCE).await;
            false
        };
        smol::block_on(async { wait.recv().await.is_ok() }.or(late))
    }

    #[test]
    fn a_closed_refresh_channel_is_no_request() {
        let (sender, requested) = channel::bounded::<RefreshRequest>(1);
        drop(sender);
        let until = Instant::now() + Duration::from_millis(50);
        assert!(smol::block_on(request_before(&requested, until)).is_none());
        assert!(Instant::now() >= until, "the wait ended early: a caller that loops would never pause");
    }

    /// Online and following, and offline between two attempts: each loop of a site's task meets the closed channel.
    #[test]
    fn closed_channels_keep_no_site_busy() {
        for fault in [None, Some(Fault::Refuse)] {
            for closed in ["refreshes", "errands", "tests"] {
                let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
                router.set_fault(fault);
                let config = config(&router);
                let store = store(&config);
                let (refreshes, refreshes_receiver) = channel::bounded(1);
                let (errands, errands_receiver) = channel::bounded(1);
                let (tests, tests_receiver) = channel::bounded(1);
                let orders = Mailbox {
                    refreshes: refreshes_receiver,
                    errands: errands_receiver,
                    tests: tests_receiver,
                };
                let site = Site::start(config, store.clone(), orders, Arc::default());
                wait("the site was tried", || !store.snapshot().sites[0].connection_events.is_empty());
                let mut kept = (Some(refreshes), Some(errands), Some(tests));
                match closed {
                    "refreshes" => kept.0 = None,
                    "errands" => kept.1 = None,
                    _ => kept.2 = None,
                }
                assert!(executor_is_responsive(), "{closed}, {fault:?}");
                if closed != "refreshes" {
                    wait("the task has ended", || site.task.is_finished());
                }
            }
        }
    }

    /// As when the registry of a fleet is dropped before its sites.
    #[test]
    fn a_site_whose_channels_are_all_closed_ends() {
        let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
        let config = config(&router);
        let store = store(&config);
        let desk = crate::action::SiteHandles::new(PATIENCE);
        let site = Site::start(config, store.clone(), desk.open("awka"), Arc::default());
        wait("it is online", || store.snapshot().sites[0].is_online());
        drop(desk);
        wait("the task has ended", || site.task.is_finished());
        assert!(executor_is_responsive());
    }
}

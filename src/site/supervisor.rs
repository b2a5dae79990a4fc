//! Keeps one site connected: chooses the host, retries, and fails back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::Timer;
use smol::future::FutureExt;

use super::backoff::Backoff;
use super::context::SiteContext;
use super::failback::FailbackPolicy;
use super::mailbox::{JobQueue, Mailbox, RefreshQueue};
use super::session::SiteSession;
use crate::clock::Moment;
use crate::config;
use crate::routeros::client::connect;
use crate::routeros::error::{Cause, Error};
use crate::state::SiteState;

/// The hint for a login that is refused although it worked shortly before.
const HINT_REFUSED_ONCE: &str = "This login worked a moment ago, and RouterOS occasionally refuses a valid login: the agent retries soon. If the login is still refused, check the user and the password. On the router: /user print detail";

/// Runs a site's task until it is dropped: it keeps one connection to its router, and concurrently runs the jobs in the
/// mailbox. The commands of a job have separate tags.
pub(super) async fn run(site: Arc<SiteContext>, mailbox: Arc<Mailbox>) {
    let supervisor = Supervisor::new(site.clone(), RefreshQueue::new(mailbox.clone()));
    let connection_jobs = async {
        loop {
            let job = mailbox.next_job(JobQueue::Connection).await;
            let config = site.config();
            // If the agent replaces the connection, this is not an error of the router: the job is abandoned.
            site.must_reconnect(&config).or(job(site.clone())).await;
        }
    };
    let separate_jobs = async {
        loop {
            mailbox.next_job(JobQueue::Separate).await(site.clone()).await;
        }
    };
    supervisor.run().or(connection_jobs).or(separate_jobs).await;
}

struct Supervisor {
    site: Arc<SiteContext>,
    refreshes: RefreshQueue,
    backoff: Backoff,
    failback: FailbackPolicy,
    /// The host that answered last.
    last_host: Option<usize>,
    /// A host that refused the login, or whose session was short. It is tried after the others.
    deprioritized: Option<usize>,
    /// When the last session that had answered ended.
    last_answer: Option<Instant>,
    /// Whether the host that answered last has refused connections since then.
    has_refused_connections: bool,
}

/// The reason why a connection ended.
enum Ended {
    /// No host answered, or the session failed.
    Failed {
        error: Error,
        /// How long the session answered; `None` if it never did.
        answered: Option<Duration>,
    },
    /// An earlier host has recovered.
    FailBack,
    /// The configuration requires another connection.
    Reconfigured,
}

impl Supervisor {
    fn new(site: Arc<SiteContext>, refreshes: RefreshQueue) -> Self {
        Self {
            site,
            refreshes,
            backoff: Backoff::default(),
            failback: FailbackPolicy::default(),
            last_host: None,
            deprioritized: None,
            last_answer: None,
            has_refused_connections: false,
        }
    }

    async fn run(mut self) {
        loop {
            let config = self.site.config();
            let logins = self.logins();
            match self.try_hosts(&config).await {
                Ended::Failed { error, answered } => {
                    let has_logged_in = self.logins() > logins;
                    self.pause(&config, error, answered.unwrap_or_default(), has_logged_in).await;
                }
                Ended::FailBack => {}
                Ended::Reconfigured => self.reset(),
            }
        }
    }

    /// Reports a failure and waits until the next attempt.
    async fn pause(&mut self, config: &config::Site, error: Error, answered: Duration, has_logged_in: bool) {
        let site = self.site.clone();
        let login_refused = error.cause == Cause::Auth;
        // The login worked shortly before: a router that boots may refuse it.
        let has_just_answered = self.last_answer.is_some_and(|at| at.elapsed() < site.timings.boot_window);
        let may_be_booting = login_refused && has_just_answered;
        let error = if may_be_booting { self.refused_after_a_loss(error) } else { error };
        site.update(|state| state.mark_offline(&error, Moment::now()));
        self.refreshes.respond(&Err(error.clone()));
        let backoff_cause = if may_be_booting { Cause::Rebooting } else { error.cause };
        let mut wait = self.backoff.next(&site.timings, backoff_cause, answered);
        if login_refused {
            wait = wait.max(site.timings.boot_retry);
        }
        log::debug!("site={} retry_s={}", site.key, wait.as_secs());
        // Each login attempt is a line in the router's log, so a requested refresh must not shorten this wait.
        let least = if login_refused || has_logged_in { wait } else { Duration::ZERO };
        let reconfigured = async {
            site.must_reconnect(config).await;
            true
        };
        let waited = async {
            self.wait(wait, least, &error).await;
            false
        };
        if waited.or(reconfigured).await {
            self.reset();
        }
    }

    /// Resets the state of the connection after the address or the credentials changed.
    fn reset(&mut self) {
        *self = Self::new(self.site.clone(), self.refreshes.take());
        self.site.update(SiteState::reset_connection);
    }

    /// The error for a login that worked until the connection was lost and is now refused. A router that boots first
    /// refuses connections, then accepts them before it has loaded its users. RouterOS 7 occasionally refuses a valid
    /// login without a reboot.
    fn refused_after_a_loss(&self, error: Error) -> Error {
        if self.has_refused_connections {
            let what = "the login that worked until now is refused, as it is while a router boots";
            return Error::new(Cause::Rebooting, format!("{what}: {}", error.message));
        }
        Error { hint: HINT_REFUSED_ONCE, ..error }
    }

    /// Tries the hosts in order and stays with the first that answers, until it no longer does.
    async fn try_hosts(&mut self, config: &Arc<config::Site>) -> Ended {
        let mut failures: Vec<Error> = Vec::new();
        let mut hosts: Vec<usize> = (0..config.hosts.len()).collect();
        hosts.sort_by_key(|&host| self.deprioritized == Some(host));
        for (turn, &host) in hosts.iter().enumerate() {
            let logins = self.logins();
            let (error, answered) = match self.run_session(config, host).await {
                Ended::Failed { error, answered } => (error, answered),
                Ended::FailBack => {
                    self.last_host = Some(host);
                    self.failback.record_failback();
                    self.deprioritized = None;
                    return Ended::FailBack;
                }
                Ended::Reconfigured => return Ended::Reconfigured,
            };
            self.site.update(|site| site.host_tried(host, Some(error.clone())));
            let message = format!("{}: {}", config.hosts[host], error.message);
            let error = Error { message, ..error };
            if let Some(lasted) = answered {
                (self.last_answer, self.has_refused_connections) = (Some(Instant::now()), false);
                self.failback.record_session(&self.site.timings, lasted);
                self.last_host = Some(host);
                self.deprioritized = (lasted < self.site.timings.host_trial).then_some(host);
                return Ended::Failed { error, answered };
            }
            if self.last_host == Some(host) && self.logins() == logins {
                self.has_refused_connections |= matches!(error.cause, Cause::Refused | Cause::Closed);
            }
            let refused = error.cause == Cause::Auth;
            failures.push(error);
            if refused {
                self.deprioritized = Some(host);
                // All hosts are addresses of one router, so trying more would only fill its log. Except the address that
                // worked last: the user may be allowed to log in only there.
                if self.last_host.is_none_or(|last_host| hosts[..=turn].contains(&last_host)) {
                    break;
                }
            }
        }
        Ended::Failed { error: summary(&failures), answered: None }
    }

    /// Connects to a host and stays with it for as long as it answers.
    async fn run_session(&mut self, config: &Arc<config::Site>, host: usize) -> Ended {
        let site = self.site.clone();
        let must_reconnect = || async {
            site.must_reconnect(config).await;
            Ended::Reconfigured
        };
        let config::Host { name, port } = &config.hosts[host];
        // Boxed, because it is larger than the session that follows, and soon over.
        let connecting = async {
            Ok(Box::pin(connect((name, *port), &config.tls_of(host), config.connect_timeout)).await)
        };
        let (client, connection) = match connecting.or(async { Err(must_reconnect().await) }).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Ended::Failed { error, answered: None },
            Err(reconfigured) => return reconfigured,
        };
        client.share(&site.store.budget().replies);
        let mut session =
            SiteSession::new(site.clone(), config.clone(), &client, host, self.refreshes.take());
        session.certificate_ends = connection.certificate_ends;
        let host_recovered = async {
            self.failback.host_recovered(&site, config, host).await;
            Ended::FailBack
        };
        let failed = async {
            let Err(error) = async { Err(connection.run().await) }.or(session.run()).await;
            Ended::Failed { error, answered: None }
        };
        let ended = failed.or(host_recovered).or(must_reconnect()).await;
        let (answered, refreshes) = session.end();
        self.refreshes = refreshes;
        match ended {
            Ended::Failed { error, .. } => Ended::Failed { error, answered },
            ended => ended,
        }
    }

    /// Waits for the time `wait`. A requested refresh ends it early, but not before `least` has passed. A request that
    /// would have to wait long gets the error at once.
    async fn wait(&mut self, wait: Duration, least: Duration, error: &Error) {
        let began = Instant::now();
        while let Some(request) = self.refreshes.incoming.refresh_before(began + wait).await {
            let reuse = request.reuse(self.site.config().refresh, &self.site.timings);
            let soonest = reuse.clamp(least, wait);
            self.refreshes.waiting.push(request);
            if soonest.saturating_sub(began.elapsed()) <= self.site.timings.early_retry {
                Timer::at(began + soonest).await;
                return;
            }
            self.refreshes.respond(&Err(error.clone()));
        }
    }

    /// The number of the agent's logins to the router.
    fn logins(&self) -> u64 {
        self.site.store.snapshot().site(&self.site.key).map_or(0, |site| site.usage.logins)
    }
}

/// One error for the failures of all hosts: the one with the greatest influence on the next attempt, with all messages.
fn summary(failures: &[Error]) -> Error {
    // A refused login comes first, because it must not be repeated soon; then a cause that an operator has to fix; then a
    // temporary one.
    let refused = failures.iter().find(|error| error.cause == Cause::Auth);
    let permanent = || failures.iter().find(|error| !error.cause.is_passing());
    let Some(error) = refused.or_else(permanent).or(failures.last()) else {
        return Error::new(Cause::Dns, "the site has no host");
    };
    let messages: Vec<&str> = failures.iter().map(|error| error.message.as_str()).collect();
    Error { message: messages.join("; "), ..error.clone() }
}

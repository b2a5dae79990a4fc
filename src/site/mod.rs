//! Sites: a task each that connects, asks, waits, and gets well again.
//!
//! A task holds one connection to one router for days. Each refresh asks for all of
//! its plugins in one write and puts what came into the [`Store`]. Whatever goes wrong is
//! a state of this site and of no other; the task itself never ends.

mod backoff;

use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::future::FutureExt;
use smol::{Task, Timer};

use crate::clock::Moment;
use crate::config::{self, Host};
use crate::plugin::{self, Context, Plugin};
use crate::routeros::client::{self, Client, Reply};
use crate::routeros::error::{Cause, Error};
use crate::state::{Reading, SiteState, Store};
use backoff::Backoff;

/// What is known of a site before its task has begun.
#[must_use]
pub fn initial_state(config: &config::Site) -> SiteState {
    SiteState::new(&config.key, &config.name, config.refresh, plugins(config))
}

/// Starts a site's task. Dropping the task ends it and its connection.
pub fn start(config: Arc<config::Site>, store: Arc<Store>) -> Task<()> {
    let plugins = plugins(&config).collect();
    smol::spawn(async move { Site { config, plugins, store }.run().await })
}

fn plugins(config: &config::Site) -> impl Iterator<Item = Arc<dyn Plugin>> {
    config.collect.iter().filter_map(|name| plugin::built_in(name))
}

struct Site {
    config: Arc<config::Site>,
    plugins: Vec<Arc<dyn Plugin>>,
    store: Arc<Store>,
}

/// How a session ended.
struct Ended {
    error: Error,
    /// How long it answered; `None` if it never did.
    answered: Option<Duration>,
}

impl Site {
    async fn run(&self) {
        let mut backoff = Backoff::default();
        loop {
            let ended = self.visit().await;
            self.update(|site| {
                if site.lost(&ended.error, Moment::now()) {
                    log::warn!("{}: offline: {}. {}", site.key, ended.error, ended.error.cause.hint());
                }
            });
            let wait = backoff.next(ended.error.cause, ended.answered.unwrap_or_default());
            log::debug!("{}: trying again in {}", self.config.key, humantime::format_duration(wait));
            Timer::after(wait).await;
        }
    }

    /// Tries the hosts in order and stays with the first that answers, until it no longer does.
    async fn visit(&self) -> Ended {
        let mut failures: Vec<(&Host, Error)> = Vec::new();
        for host in &self.config.hosts {
            let ended = self.session(host).await;
            let last = ended.error.cause == Cause::Auth;
            if ended.answered.is_some() {
                return Ended { error: at(host, &ended.error), ..ended };
            }
            failures.push((host, ended.error));
            // The other hosts are the same router: a second refused login only fills its log.
            if last {
                break;
            }
        }
        let messages: Vec<String> = failures.iter().map(|(host, error)| at(host, error).message).collect();
        let cause = failures.last().map_or(Cause::Dns, |(_, error)| error.cause);
        Ended { error: Error::new(cause, messages.join("; ")), answered: None }
    }

    async fn session(&self, host: &Host) -> Ended {
        let config = &self.config;
        let connected = client::connect((host.name.as_str(), host.port), config.connect_timeout).await;
        let (client, connection) = match connected {
            Ok(halves) => halves,
            Err(error) => return Ended { error, answered: None },
        };
        let mut work =
            Work { site: self, client: &client, host, accounted: client::Usage::default(), since: None };
        let error = connection.run().or(work.run()).await;
        let answered = work.since.map(|since| since.elapsed());
        work.account(None);
        Ended { error, answered }
    }

    fn update(&self, change: impl FnOnce(&mut SiteState)) {
        self.store.update(&self.config.key, change);
    }
}

/// What is done over one connection.
struct Work<'s> {
    site: &'s Site,
    client: &'s Client,
    host: &'s Host,
    /// What of the connection's cost the state has already.
    accounted: client::Usage,
    /// Since when the router answers.
    since: Option<Instant>,
}

impl Work<'_> {
    /// Logs in and refreshes for as long as the router answers; gives why it does not.
    async fn run(&mut self) -> Error {
        let config = &self.site.config;
        let login = self
            .client
            .login(&config.user, config.password.expose(), config.login, config.query_timeout)
            .await;
        if let Err(error) = login {
            return error;
        }
        self.site.update(|site| site.usage.logins += 1);
        // Spread over the interval, so that many sites don't ask all at once.
        let mut next = Instant::now() + config.refresh.mul_f64(0.5 + fastrand::f64() / 2.0);
        loop {
            if let Err(error) = self.refresh().await {
                return error;
            }
            Timer::at(next).await;
            // A refresh that took longer than the interval is not made up for.
            next = (next + config.refresh).max(Instant::now());
        }
    }

    /// Asks for every plugin in one write. An error is the connection's; a plugin's own goes to its reading.
    async fn refresh(&mut self) -> Result<(), Error> {
        let config = &self.site.config;
        let began = (Instant::now(), Moment::now());
        let snapshot = self.site.store.snapshot();
        let known = snapshot.site(&config.key);
        let asked: Vec<&Arc<dyn Plugin>> =
            self.site.plugins.iter().filter(|plugin| self.is_due(plugin, known)).collect();
        let counts: Vec<usize> = asked.iter().map(|plugin| plugin.commands().len()).collect();
        let commands = asked.iter().flat_map(|plugin| plugin.commands()).collect();
        let mut answers = self.client.call_all(commands, config.query_timeout).await.into_iter();

        let mut readings = Vec::new();
        for (plugin, count) in asked.into_iter().zip(counts) {
            let replies = answers.by_ref().take(count).collect();
            let before = known.and_then(|site| site.reading(plugin.name()));
            readings.push(self.read(plugin, replies, before, began));
        }
        let errors = readings.iter().map(|reading| reading.error.as_ref());
        let silence = errors
            .map(|error| error.filter(|error| error.cause == Cause::QueryTimeout))
            .min_by_key(Option::is_some);
        if let Some(Some(error)) = silence {
            // Not one answer: the connection is dead, though TCP has not noticed.
            return Err(error.clone());
        }

        let now = Moment::now();
        let came_online = self.since.is_none();
        self.since.get_or_insert(began.0);
        let host = self.host.to_string();
        self.site.update(|site| {
            if came_online {
                site.connected(&host, now);
                log::info!("{}: online at {host}", site.key);
            }
            for reading in readings {
                if let Some(known) =
                    site.readings.iter_mut().find(|known| known.plugin.name() == reading.plugin.name())
                {
                    *known = reading;
                }
            }
        });
        self.account(Some(began.0.elapsed()));
        Ok(())
    }

    /// A menu that the router lacks is asked for again only over a new connection: it may
    /// have been upgraded meanwhile.
    fn is_due(&self, plugin: &Arc<dyn Plugin>, known: Option<&SiteState>) -> bool {
        let lacking = known
            .and_then(|site| site.reading(plugin.name()))
            .and_then(|reading| reading.error.as_ref())
            .is_some_and(|error| error.cause == Cause::Unsupported);
        self.since.is_none() || !lacking
    }

    /// What one plugin knows after this refresh.
    fn read(
        &self,
        plugin: &Arc<dyn Plugin>,
        replies: Result<Vec<Reply>, Error>,
        before: Option<&Reading>,
        (began, asked): (Instant, Moment),
    ) -> Reading {
        let mut reading = before.cloned().unwrap_or_else(|| Reading::new(plugin.clone()));
        match replies {
            Ok(replies) => {
                let took = replies.iter().map(|reply| reply.took).max().unwrap_or_default();
                let now = asked.after(took);
                let context =
                    Context { now, codepage: self.site.config.codepage, previous: reading.data.as_deref() };
                let data = plugin.read(&replies, &context);
                reading.data = Some(Arc::new(data));
                reading.at = Some(now);
                reading.took = Some(took);
                reading.error = None;
                reading.partial =
                    replies.iter().flat_map(|reply| &reply.traps).map(|trap| trap.message.clone()).next();
            }
            Err(error) => {
                let news = reading.error.as_ref().is_none_or(|before| before.cause != error.cause);
                if news {
                    log::warn!(
                        "{}: {}: {error}. {}",
                        self.site.config.key,
                        plugin.name(),
                        error.cause.hint()
                    );
                }
                reading.took = Some(began.elapsed());
                reading.error = Some(error);
            }
        }
        reading
    }

    /// Adds what the connection has cost since the last time to the site's usage.
    fn account(&mut self, reply_time: Option<Duration>) {
        let usage = self.client.usage();
        let before = std::mem::replace(&mut self.accounted, usage);
        self.site.update(|site| {
            site.usage.sent_bytes += usage.sent_bytes - before.sent_bytes;
            site.usage.received_bytes += usage.received_bytes - before.received_bytes;
            site.usage.commands += usage.commands - before.commands;
            site.usage.reply_time = reply_time.or(site.usage.reply_time);
        });
    }
}

/// The error with the host it is about.
fn at(host: &Host, error: &Error) -> Error {
    Error::new(error.cause, format!("{host}: {}", error.message))
}

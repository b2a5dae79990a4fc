//! One connection of a site: logs in, refreshes and follows changes for as long as the router answers.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::Timer;
use smol::future::FutureExt;

use super::context::SiteContext;
use super::heartbeat::{heartbeat, uptime_of};
use super::listen_tracker::ListenTracker;
use super::mailbox::{RefreshQueue, Refreshed};
use super::row_check::RowCheck;
use super::schedule::{ReadScope, Schedule, origin};
use crate::clock::Moment;
use crate::config;
use crate::plugin::{Answer, Data, Following, Hotspot, Plugin};
use crate::routeros::client::{Client, Command, ConnectionUsage, Reply};
use crate::routeros::error::{Cause, Error};
use crate::routeros::rows::Rows;
use crate::state::{Reading, Usage};

/// Payload of a packet that every network path can carry, in bytes: the 1280 that IPv6 requires, less the headers of
/// IP, TCP and TLS.
const FULL_PACKET: u64 = 1150;

pub(super) struct SiteSession<'c> {
    site: Arc<SiteContext>,
    /// The configuration that the session applies.
    config: Arc<config::Site>,
    client: &'c Client,
    /// Index of the site's host.
    host: usize,
    /// When the certificate of the router ends, since the Unix epoch.
    pub(super) certificate_ends: Option<Duration>,
    refreshes: RefreshQueue,
    /// The part of the connection's usage that the state already includes.
    accounted: ConnectionUsage,
    schedule: Schedule,
    /// Since when the router answers.
    since: Option<Instant>,
    listen_tracker: ListenTracker,
    row_check: RowCheck,
    /// When the followed plugin is read with all properties again.
    whole_due: Instant,
    /// When changes from `listen` were applied last.
    applied: Instant,
    /// Whether none of the last commands was answered.
    unanswered: bool,
    /// The plugins that the router refused over this connection and with this configuration.
    refused: Vec<Plugin>,
}

impl<'c> SiteSession<'c> {
    pub(super) fn new(
        site: Arc<SiteContext>,
        config: Arc<config::Site>,
        client: &'c Client,
        host: usize,
        refreshes: RefreshQueue,
    ) -> Self {
        let now = Instant::now();
        Self {
            client,
            host,
            certificate_ends: None,
            refreshes,
            accounted: ConnectionUsage::default(),
            schedule: Schedule::new(&config, origin(&site.key), now, site.timings.plugin_reread),
            since: None,
            listen_tracker: ListenTracker::new(&config),
            row_check: RowCheck::new(site.timings.row_check),
            whole_due: now,
            applied: now,
            unanswered: false,
            refused: Vec::new(),
            site,
            config,
        }
    }

    /// Adds the rest of the usage to the state. Returns how long the router answered, or `None` if it never did, and
    /// the requests for a refresh.
    pub(super) fn end(mut self) -> (Option<Duration>, RefreshQueue) {
        self.site.set_client(None);
        let usage = self.new_usage();
        self.site.update(|site| site.usage.add(usage));
        (self.since.map(|since| since.elapsed()), self.refreshes)
    }

    /// Logs in and refreshes for as long as the router answers. A site that waits takes no memory for what is boxed.
    pub(super) async fn run(&mut self) -> Result<Infallible, Error> {
        // A slow router gets twice the time, as in `ask`: a new connection would be another login in its log.
        let timeout = self.config.query_timeout * 2;
        let [user, password] = self.config.credentials();
        Box::pin(self.client.login(user, password, self.config.login, timeout)).await?;
        self.site.update(|site| site.usage.logins += 1);
        let (mut scope, mut recheck) = (ReadScope::All, None);
        // When all plugins were read last.
        let mut all_read = Instant::now();
        loop {
            let now = Instant::now();
            let (internal, due): (Vec<_>, Vec<_>) =
                self.schedule.take(now, scope).into_iter().partition(Plugin::is_internal);
            if scope == ReadScope::All || due.len() == self.config.plugins.len() {
                all_read = now;
            }
            recheck = match Box::pin(self.refresh(due)).await? {
                Some(has_discrepancy) => has_discrepancy.then(|| Instant::now() + self.site.timings.recheck),
                // The followed plugin was not read: a future recheck stays scheduled, and a missed one is skipped.
                None => recheck.filter(|at| *at > Instant::now()),
            };
            self.refreshes.respond(&Ok(Refreshed::Asked));
            // Queried on their own, so that a slow answer delays nothing else.
            if internal.iter().any(|plugin| !self.refused.contains(plugin)) {
                Box::pin(self.refresh(internal)).await?;
            }
            scope = self.wait(recheck, all_read).await?;
        }
    }

    /// Waits until plugins are due, or until a requested refresh needs newer data than the current ones.
    async fn wait(&mut self, recheck: Option<Instant>, all_read: Instant) -> Result<ReadScope, Error> {
        let (site, incoming) = (self.site.clone(), self.refreshes.incoming.clone());
        loop {
            self.adopt_configuration();
            if self.schedule.has_new() {
                return Ok(ReadScope::Due);
            }
            let next = self.schedule.next();
            let next_or_recheck = recheck.map_or(next, |recheck| recheck.min(next));
            let until = next_or_recheck.min(Instant::now() + site.timings.heartbeat);
            let config = self.config.clone();
            let reconfigured = async {
                site.config_differs(&config).await;
                None
            };
            let request = incoming.refresh_before(until).or(reconfigured);
            let request = self.apply_changes_until(request).await?;
            let now = Instant::now();
            if let Some(request) = request {
                let reuse = request.reuse(self.config.refresh, &site.timings);
                let (age, reused) = if request.is_anonymous {
                    (self.schedule.since_refresh(now), Refreshed::Recent)
                } else {
                    (now.saturating_duration_since(all_read), Refreshed::Asked)
                };
                self.refreshes.waiting.push(request);
                if age >= reuse {
                    self.refreshes.gather();
                    let are_anonymous = self.refreshes.waiting.iter().all(|request| request.is_anonymous);
                    return Ok(if are_anonymous { ReadScope::Anonymous } else { ReadScope::All });
                }
                self.refreshes.respond(&Ok(reused));
            } else if now >= next {
                return Ok(ReadScope::Due);
            } else if now >= next_or_recheck || (now >= until && self.listen_tracker.has_ended()) {
                return Ok(ReadScope::Refresh);
            } else if now >= until {
                Box::pin(self.ask(&[heartbeat()])).await?;
            }
        }
    }

    /// Applies the current configuration. If it requires another connection, the supervisor ends this session.
    fn adopt_configuration(&mut self) {
        let config = self.site.config();
        if Arc::ptr_eq(&config, &self.config) {
            return;
        }
        let old = std::mem::replace(&mut self.config, config.clone());
        self.refused.clear();
        self.schedule.adopt(&config, Instant::now());
        let listen_changed = self.listen_tracker.adopt(&old, &config);
        if listen_changed || old.codepage != config.codepage {
            // The shown data is now wrong, and the next refresh may be far away.
            self.schedule.renew();
            self.whole_due = Instant::now();
        }
    }

    /// Waits for a future, and applies the changes from `listen` meanwhile.
    async fn apply_changes_until<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, Error> {
        let mut wait = pin!(wait);
        loop {
            let changed = async {
                self.listen_tracker.changed().await;
                Timer::at(self.applied + self.site.timings.change_batch).await;
                None
            };
            let done = async { Some(wait.as_mut().await) }.or(changed).await;
            self.apply_changes()?;
            if let Some(done) = done {
                return Ok(done);
            }
        }
    }

    fn apply_changes(&mut self) -> Result<(), Error> {
        let Some(plugin) = self.listen_tracker.applies_to().and_then(Plugin::built_in) else {
            return Ok(());
        };
        let changes = self.listen_tracker.take();
        let reading = if changes.is_empty() { None } else { self.reading(&plugin) };
        let Some(reading) = reading else { return Ok(()) };
        let reading = reading.followed(&changes, Moment::now(), self.config.codepage)?;
        self.site.update(|site| site.put(reading));
        self.applied = Instant::now();
        Ok(())
    }

    /// Sends these commands in one write. Fails if no byte arrives even after another command, or if two calls in a row
    /// get no answer although changes from `listen` arrive.
    async fn ask(&mut self, commands: &[Command]) -> Result<Vec<Answer>, Error> {
        let (client, timeout, probe) = (self.client, self.config.query_timeout, heartbeat());
        let before = client.usage();
        let calls = client.call_all_probing(commands, timeout, Some(&probe));
        let answers = self.apply_changes_until(calls).await?;
        let now = client.usage();
        let unanswered = now.answered == before.answered;
        let was_unanswered = std::mem::replace(&mut self.unanswered, unanswered);
        let silent = now.received_bytes == before.received_bytes || (unanswered && was_unanswered);
        if silent && let Some(Err(error)) = answers.first() {
            // If less than one full packet has arrived, the path may drop large packets.
            return Err(if error.cause == Cause::QueryTimeout && now.received_bytes < FULL_PACKET {
                Error::only_small_answers(error)
            } else {
                error.clone()
            });
        }
        Ok(answers)
    }

    /// Queries the plugins that are due in one write, together with a heartbeat, which even a router that prints slowly
    /// answers in time; `resource` is one. Only an error of the connection is returned; an error of a plugin goes to its
    /// reading. Returns whether the plugin that is followed has a discrepancy, if it was read.
    async fn refresh(&mut self, mut due: Vec<Plugin>) -> Result<Option<bool>, Error> {
        let asked_at = Moment::now();
        // A new connection queries them again: the router may have been upgraded meanwhile.
        due.retain(|plugin| !self.refused.contains(plugin));
        if due.iter().any(|plugin| self.listen_tracker.follows(plugin.name())) {
            self.listen_tracker.begin(self.client);
        }
        let mut commands = Vec::new();
        // The first of each plugin.
        let mut begins = Vec::with_capacity(due.len());
        for plugin in &due {
            begins.push(commands.len());
            commands.append(&mut self.commands(plugin));
        }
        let mut counts = begins.iter().zip(&due).filter_map(|(at, plugin)| Some((*at, plugin.count()?)));
        let count = if self.row_check.is_due() { counts.next() } else { None };
        let of_plugins = commands.len();
        // `resource` asks for the uptime, too.
        let resource = due.iter().position(|plugin| *plugin == Plugin::Resource);
        commands.extend(resource.is_none().then(heartbeat));
        commands.extend(count.iter().map(|(_, count)| count.clone()));
        let mut answers = self.ask(&commands).await?;
        let uptime = answers.get(resource.map_or(of_plugins, |at| begins[at]));
        let uptime = uptime.and_then(|answer| uptime_of(answer.as_ref().ok()?, asked_at));
        let unconfirmed = count.and_then(|(at, count)| {
            let counted = answers.pop();
            Some((count, self.row_check.compare(answers.get(at), counted.as_ref())?))
        });
        answers.truncate(of_plugins);
        let mut readings = Vec::with_capacity(due.len());
        let mut has_discrepancy = None;
        for (plugin, begin) in due.iter().zip(begins).rev() {
            let Some(after) = self.read(plugin, answers.split_off(begin), asked_at).await? else { continue };
            if after.error.as_ref().is_some_and(|error| refuses(plugin, error.cause)) {
                self.refused.push(plugin.clone());
            }
            if self.listen_tracker.follows(plugin.name()) && after.error.is_none() {
                has_discrepancy = Some(after.data.as_ref().is_some_and(|data| data.has_discrepancy()));
            }
            readings.push(after);
        }
        let now = Moment::now();
        let is_internal = due.first().is_some_and(Plugin::is_internal);
        self.publish(readings, uptime, now, (!is_internal).then(|| now.since(asked_at)));
        if let Some((count, first)) = unconfirmed {
            let second = self.ask(&[count]).await?.pop();
            self.row_check.confirm(first, second.as_ref());
        }
        Ok(has_discrepancy)
    }

    /// The commands of a refresh. While a `listen` reports changes, they are only for the figures that it does not report.
    fn commands(&mut self, plugin: &Plugin) -> Vec<Command> {
        let applies = self.listen_tracker.applies_to() == Some(plugin.name());
        let is_live = applies && Instant::now() < self.whole_due;
        let is_known = |of: &Reading| of.error.is_none() && of.partial.is_none();
        let reading = if is_live { self.reading(plugin).filter(is_known) } else { None };
        if let Some(figures) = reading.and_then(|reading| plugin.figures(reading.data.as_deref()?)) {
            return figures;
        }
        if self.listen_tracker.follows(plugin.name()) {
            self.whole_due = Instant::now() + self.site.timings.whole_read;
        }
        plugin.commands()
    }

    /// The reading of a plugin after these answers to a query at `asked_at`. What they lack is queried first. `None` if the
    /// declaration has changed meanwhile: the answers are not valid for the new one.
    async fn read(
        &mut self,
        plugin: &Plugin,
        mut answers: Vec<Answer>,
        asked_at: Moment,
    ) -> Result<Option<Reading>, Error> {
        loop {
            let Some(before) = self.reading(plugin) else { return Ok(None) };
            let is_followed = self.listen_tracker.follows(plugin.name());
            if is_followed && before.data.is_none() && self.listen_tracker.restart() {
                // A reload dropped the data that these answers continue.
                self.schedule.renew();
                return Ok(None);
            }
            let changes = if is_followed { self.listen_tracker.take() } else { Rows::default() };
            let following = if is_followed { self.listen_tracker.following(&changes) } else { Following::No };
            let missed_events = |of: &Reading| of.data.as_ref().map_or(0, |data| data.missed_events());
            let missed = missed_events(&before);
            let mut after = before.after(&answers, asked_at, Moment::now(), self.config.codepage, following);
            let hotspot = after.data.as_deref().and_then(Data::hotspot).filter(|_| after.error.is_none());
            if let Some(command) = hotspot.and_then(Hotspot::lacking) {
                let waited = Moment::now().since(asked_at);
                let late = |reply: Reply| Reply { took: reply.took + waited, ..reply };
                answers.extend(self.ask(&[command]).await?.into_iter().map(|answer| answer.map(late)));
                // A change was missed: there may be others, which the figures do not reveal.
                self.whole_due = Instant::now();
                continue;
            }
            if after.error.is_none() && after.partial.is_none() {
                after.partial = self.row_check.partial().filter(|_| plugin.count().is_some()).map(Into::into);
            }
            if is_followed && after.error.is_none() {
                self.listen_tracker.answered(missed_events(&after) > missed);
            } else if is_followed {
                self.listen_tracker.unanswered();
            }
            return Ok(Some(after));
        }
    }

    fn reading(&self, plugin: &Plugin) -> Option<Reading> {
        self.site.store.snapshot().site(&self.site.key)?.reading_of(plugin).cloned()
    }

    fn publish(
        &mut self,
        readings: Vec<Reading>,
        uptime: Option<(Duration, Moment)>,
        now: Moment,
        took: Option<Duration>,
    ) {
        let came_online = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        if came_online {
            self.site.set_client(Some(self.client.clone()));
        }
        let (usage, host, certificate_ends) = (self.new_usage(), self.host, self.certificate_ends);
        self.site.update(|site| {
            if let Some((uptime, at)) = uptime {
                site.note_uptime(uptime, at, came_online);
            }
            if came_online {
                site.connected(host, now);
                site.certificate_ends = certificate_ends;
            }
            for reading in readings {
                site.put(reading);
            }
            site.usage.add(usage);
            site.usage.reply_time = took.or(site.usage.reply_time);
        });
    }

    /// The usage of the connection since the last call.
    fn new_usage(&mut self) -> Usage {
        let now = self.client.usage();
        let before = std::mem::replace(&mut self.accounted, now);
        Usage {
            sent_bytes: now.sent_bytes - before.sent_bytes,
            received_bytes: now.received_bytes - before.received_bytes,
            commands: now.commands - before.commands,
            unsolicited_replies: now.unsolicited - before.unsolicited,
            ..Usage::default()
        }
    }
}

/// Whether an error of this cause means that the plugin need not be queried again over this connection.
fn refuses(plugin: &Plugin, cause: Cause) -> bool {
    cause == Cause::Unsupported || (plugin.is_internal() && cause == Cause::Permission)
}

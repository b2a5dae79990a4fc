//! One connection of a site: log in, refresh, follow, wait, for as long as the router answers.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use smol::Timer;
use smol::future::FutureExt;

use super::SiteTask;
use super::listen_tracker::ListenTracker;
use super::row_check::RowCheck;
use super::schedule::{Schedule, Which};
use crate::action::Refreshed;
use crate::clock::Moment;
use crate::plugin::{Answer, Following, Plugin};
use crate::routeros::client::{self, Client, Command, Reply};
use crate::routeros::error::{Cause, Error};
use crate::routeros::value;
use crate::state::{Reading, Usage};

/// Bytes of a packet that every path takes: IPv6 requires 1280, less the headers of IP, TCP and TLS.
const FULL_PACKET: u64 = 1150;

pub(super) struct SiteSession<'s> {
    site: &'s mut SiteTask,
    client: &'s Client,
    /// Which of the site's hosts.
    host: usize,
    /// What of the connection's cost the state has already.
    accounted: client::ConnectionUsage,
    schedule: Schedule,
    /// Since when the router answers.
    since: Option<Instant>,
    listen_tracker: ListenTracker,
    row_check: RowCheck,
    /// When changes were applied last.
    applied: Instant,
    /// Whether nothing that was asked last was answered.
    unanswered: bool,
}

impl<'s> SiteSession<'s> {
    pub(super) fn new(site: &'s mut SiteTask, client: &'s Client, host: usize) -> Self {
        let listen_tracker = ListenTracker::new(&site.config);
        let row_check = RowCheck::new(site.timings.row_check);
        let schedule =
            Schedule::new(&site.config, Instant::now(), fastrand::f64(), site.timings.plugin_reread);
        Self {
            site,
            client,
            host,
            accounted: client::ConnectionUsage::default(),
            schedule,
            since: None,
            listen_tracker,
            row_check,
            applied: Instant::now(),
            unanswered: false,
        }
    }

    /// Logs in and refreshes for as long as the router answers; gives why it does not.
    pub(super) async fn run(&mut self) -> Error {
        match self.keep_asking().await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    /// How long the router answered, if it ever did. What the connection cost is accounted for.
    pub(super) fn end(mut self) -> Option<Duration> {
        self.set_client(None);
        let cost = self.cost();
        self.site.update(|site| site.usage.add(cost));
        self.since.map(|since| since.elapsed())
    }

    async fn keep_asking(&mut self) -> Result<Infallible, Error> {
        let config = self.site.config.clone();
        // A router that is late gets another wait, as in `ask`: a new connection would be another login in its log.
        let timeout = config.query_timeout * 2;
        let [user, password] = config.credentials();
        self.client.login(user, password, config.login, timeout).await?;
        self.site.update(|site| site.usage.logins += 1);
        let mut which = Which::All;
        // When all were asked last.
        let mut asked = Instant::now();
        let mut second_look = None;
        loop {
            let now = Instant::now();
            let due = self.schedule.take(now, which);
            if which == Which::All || due.len() == self.site.config.plugins.len() {
                asked = now;
            }
            second_look = match self.refresh(due).await? {
                Some(has_discrepancy) => has_discrepancy.then(|| Instant::now() + self.site.timings.recheck),
                // Another plugin was read, or nothing is followed any more: it is waited for, and not made up for.
                None => second_look.filter(|at| *at > Instant::now()),
            };
            self.site.answer(&Ok(Refreshed::Asked));
            which = self.wait(second_look, asked).await?;
        }
    }

    /// Waits until it is time to look again, or until somebody asks for what is fresher than what was `asked` last.
    async fn wait(&mut self, second_look: Option<Instant>, asked: Instant) -> Result<Which, Error> {
        let (requested, configured) = (self.site.requested.clone(), self.site.configured.clone());
        loop {
            self.adopt_configuration();
            if self.schedule.has_new() {
                return Ok(Which::Due);
            }
            let next = self.schedule.next();
            let look = second_look.map_or(next, |second| second.min(next));
            let until = look.min(Instant::now() + self.site.timings.heartbeat);
            let config = self.site.config.clone();
            let reconfigured = async {
                configured.changed(&config).await;
                None
            };
            let request = super::request_before(&requested, until).or(reconfigured);
            let request = self.meanwhile(request).await?;
            let now = Instant::now();
            if let Some(request) = request {
                let reuse = self.site.reuse(&request);
                let (age, which, reused) = if request.is_anonymous {
                    (self.schedule.since_refresh(now), Which::Anonymous, Refreshed::Recent)
                } else {
                    (now.saturating_duration_since(asked), Which::All, Refreshed::Asked)
                };
                self.site.waiting.push(request);
                if age >= reuse {
                    return Ok(which);
                }
                self.site.answer(&Ok(reused));
            } else if now >= next {
                return Ok(Which::Due);
            } else if now >= look {
                return Ok(Which::Refresh);
            } else if now >= until {
                self.ask(vec![heartbeat()]).await?;
            }
        }
    }

    /// Goes by the configuration as it is now. One that needs another connection ends this one elsewhere.
    fn adopt_configuration(&mut self) {
        let config = self.site.configured.now();
        if Arc::ptr_eq(&config, &self.site.config) {
            return;
        }
        let old = std::mem::replace(&mut self.site.config, config.clone());
        self.schedule.adopt(&config, Instant::now());
        let follows_otherwise = self.listen_tracker.adopt(&old, &config);
        if follows_otherwise || old.codepage != config.codepage {
            // What is shown does not hold by it, however long it is until the next time.
            self.schedule.renew();
        }
    }

    /// Waits for something, and applies the changes that come meanwhile.
    async fn meanwhile<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, Error> {
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
        let Some(plugin) = self.listen_tracker.applies_to().map(str::to_string) else { return Ok(()) };
        let changes = self.listen_tracker.take();
        let Some(reading) = self.reading(&plugin).filter(|_| !changes.is_empty()) else { return Ok(()) };
        let reading = reading.followed(&changes, Moment::now(), self.site.config.codepage)?;
        self.site.update(|site| site.put(reading));
        self.applied = Instant::now();
        Ok(())
    }

    /// Sends these commands in one write. The connection is given up if not one byte arrives, not even after another
    /// command, and if two calls in a row get no answer, even if changes from `listen` arrive.
    async fn ask(&mut self, commands: Vec<Command>) -> Result<Vec<Answer>, Error> {
        let (client, timeout) = (self.client, self.site.config.query_timeout);
        let before = client.usage();
        let calls = client.call_all_probing(commands, timeout, Some(heartbeat()));
        let answers = self.meanwhile(calls).await?;
        let now = client.usage();
        let unanswered = now.answered == before.answered;
        let was_unanswered = std::mem::replace(&mut self.unanswered, unanswered);
        let silent = now.received_bytes == before.received_bytes || (unanswered && was_unanswered);
        if silent && let Some(Err(error)) = answers.first() {
            // After less than one full packet, only small ones may arrive.
            return Err(if error.cause == Cause::QueryTimeout && now.received_bytes < FULL_PACKET {
                Error::only_small_answers(error)
            } else {
                error.clone()
            });
        }
        Ok(answers)
    }

    /// Asks for what is due in one write, with a heartbeat, which even a router that is slow to
    /// print answers. An error is the connection's; a plugin's own goes to its reading. Gives whether
    /// it is worth looking again soon, where that can be told.
    async fn refresh(&mut self, mut due: Vec<Plugin>) -> Result<Option<bool>, Error> {
        let config = self.site.config.clone();
        let asked_at = Moment::now();
        // A menu that the router lacks is asked for again only over a new connection: it may have been
        // upgraded meanwhile.
        due.retain(|plugin| self.since.is_none() || !self.is_lacking(plugin));
        if due.iter().any(|plugin| self.listen_tracker.follows(plugin.name())) {
            self.listen_tracker.begin(self.client);
        }
        let asked: Vec<Vec<Command>> = due.iter().map(Plugin::commands).collect();
        let mut counts = due.iter().enumerate().filter_map(|(at, plugin)| Some((at, plugin.count()?)));
        let count = if self.row_check.is_due() { counts.next() } else { None };
        let more = count.iter().map(|(_, count)| count.clone()).chain([heartbeat()]);
        let mut answers = self.ask(asked.iter().flatten().cloned().chain(more).collect()).await?;
        let uptime = answers.pop();
        let unconfirmed = count.and_then(|(at, count)| {
            let counted = answers.pop();
            let list = answers.get(asked.iter().take(at).map(Vec::len).sum::<usize>());
            Some((count, self.row_check.compare(list, counted.as_ref())?))
        });
        let now = Moment::now();
        let mut rest = answers.as_slice();
        let mut readings = Vec::new();
        let mut has_discrepancy = None;
        for (plugin, commands) in due.iter().zip(asked) {
            let (own, others) = rest.split_at(commands.len().min(rest.len()));
            rest = others;
            // It may be declared in another way by now, which these answers are not for.
            let before = self.reading(plugin.name()).filter(|before| before.plugin == *plugin);
            let Some(before) = before else { continue };
            let followed = self.listen_tracker.follows(plugin.name());
            let changes = if followed { self.listen_tracker.take() } else { Vec::new() };
            let following = if followed { self.listen_tracker.following(&changes) } else { Following::No };
            let mut after = before.clone().after(own, asked_at, now, config.codepage, following);
            if after.error.is_none() && after.partial.is_none() {
                after.partial = self.row_check.partial().filter(|_| plugin.count().is_some()).map(Into::into);
            }
            if followed && after.error.is_none() {
                self.listen_tracker.answered(untold(&after) > untold(&before));
                has_discrepancy = Some(after.data.as_ref().is_some_and(|data| data.has_discrepancy()));
            } else if followed {
                self.listen_tracker.unanswered();
            }
            readings.push(after);
        }
        // What was read of them may need the memory.
        drop(answers);
        let uptime = uptime.and_then(Result::ok).and_then(|reply| uptime_of(&reply, asked_at));
        self.publish(readings, uptime, now, now.since(asked_at));
        if let Some((count, first)) = unconfirmed {
            let second = self.ask(vec![count]).await?.pop();
            self.row_check.confirm(first, second.as_ref());
        }
        Ok(has_discrepancy)
    }

    fn reading(&self, plugin: &str) -> Option<Reading> {
        self.site.store.snapshot().site(&self.site.config.key)?.reading(plugin).cloned()
    }

    fn is_lacking(&self, plugin: &Plugin) -> bool {
        let error = self.reading(plugin.name()).and_then(|reading| reading.error);
        error.is_some_and(|error| error.cause == Cause::Unsupported)
    }

    fn publish(
        &mut self,
        readings: Vec<Reading>,
        uptime: Option<(Duration, Moment)>,
        now: Moment,
        took: Duration,
    ) {
        let came_online = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        if came_online {
            self.set_client(Some(self.client.clone()));
        }
        let (cost, host) = (self.cost(), self.host);
        self.site.update(|site| {
            if let Some((uptime, at)) = uptime {
                site.note_uptime(uptime, at, came_online);
            }
            if came_online {
                site.connected(host, now);
            }
            for reading in readings {
                site.put(reading);
            }
            site.usage.add(cost);
            site.usage.reply_time = Some(took);
        });
    }

    /// Says whom errands ask from now on.
    fn set_client(&self, client: Option<Client>) {
        *self.site.client_slot.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }

    /// What the connection has cost since the last time that this was asked.
    fn cost(&mut self) -> Usage {
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

/// A command that every router answers at once in one short row, which tells a reboot, too.
fn heartbeat() -> Command {
    Command::new("/system/resource/print").proplist(&["uptime"])
}

/// How long the router was up, and when.
fn uptime_of(heartbeat: &Reply, asked: Moment) -> Option<(Duration, Moment)> {
    let uptime = value::duration(heartbeat.rows.first()?.get("uptime")?)?;
    Some((uptime, asked.after(heartbeat.took)))
}

fn untold(reading: &Reading) -> u64 {
    reading.data.as_ref().map_or(0, |data| data.missed_events())
}

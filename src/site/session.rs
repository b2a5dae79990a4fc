//! One connection of a site: log in, refresh, wait, for as long as the router answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{FRESH, SiteTask};
use crate::clock::Moment;
use crate::config::Host;
use crate::plugin::{Context, Plugin};
use crate::routeros::client::{self, Client, Command, Reply};
use crate::routeros::error::{Cause, Error};
use crate::state::Reading;

pub(super) struct Session<'s> {
    site: &'s mut SiteTask,
    client: &'s Client,
    host: &'s Host,
    /// What of the connection's cost the state has already.
    accounted: client::Usage,
    /// Since when the router answers.
    since: Option<Instant>,
}

impl<'s> Session<'s> {
    pub(super) fn new(site: &'s mut SiteTask, client: &'s Client, host: &'s Host) -> Self {
        Self { site, client, host, accounted: client::Usage::default(), since: None }
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
        self.account(None);
        self.since.map(|since| since.elapsed())
    }

    async fn keep_asking(&mut self) -> Result<std::convert::Infallible, Error> {
        let config = self.site.config.clone();
        self.client.login(&config.user, config.password.expose(), config.login, config.query_timeout).await?;
        self.site.update(|site| site.usage.logins += 1);
        // Spread over the interval, so that many sites don't ask all at once.
        let mut next = Instant::now() + config.refresh.mul_f64(0.5 + fastrand::f64() / 2.0);
        loop {
            let began = Instant::now();
            self.refresh().await?;
            self.site.answer(&Ok(()));
            while self.site.request_before(next).await {
                if began.elapsed() >= FRESH {
                    break;
                }
                self.site.answer(&Ok(()));
            }
            // A refresh that took longer than the interval is not made up for.
            while next <= Instant::now() {
                next += config.refresh;
            }
        }
    }

    /// Asks for every plugin in one write. An error is the connection's; a plugin's own goes to its reading.
    async fn refresh(&mut self) -> Result<(), Error> {
        let config = self.site.config.clone();
        let began = (Instant::now(), Moment::now());
        let asked = self.readings_due();
        let commands: Vec<Vec<Command>> = asked.iter().map(|reading| reading.plugin.commands()).collect();
        let counts: Vec<usize> = commands.iter().map(Vec::len).collect();
        let commands = commands.into_iter().flatten().collect();
        let mut answers = self.client.call_all(commands, config.query_timeout).await.into_iter();
        let mut readings = Vec::with_capacity(asked.len());
        for (before, count) in asked.into_iter().zip(counts) {
            readings.push(self.read(before, answers.by_ref().take(count).collect(), began));
        }
        if let Some(error) = silence(&readings) {
            return Err(error.clone());
        }
        self.publish(readings);
        self.account(Some(began.0.elapsed()));
        Ok(())
    }

    /// What is to be read now. A menu that the router lacks is asked for again only over
    /// a new connection: it may have been upgraded meanwhile.
    fn readings_due(&self) -> Vec<Reading> {
        let snapshot = self.site.store.snapshot();
        let known = snapshot.site(&self.site.config.key);
        let reading = |plugin: &Arc<dyn Plugin>| {
            let known = known.and_then(|site| site.reading(plugin.name())).cloned();
            known.unwrap_or_else(|| Reading::new(plugin.clone()))
        };
        let lacking =
            |reading: &Reading| reading.error.as_ref().is_some_and(|error| error.cause == Cause::Unsupported);
        let readings = self.site.plugins.iter().map(reading);
        readings.filter(|reading| self.since.is_none() || !lacking(reading)).collect()
    }

    /// The reading after this refresh.
    fn read(
        &self,
        mut reading: Reading,
        replies: Result<Vec<Reply>, Error>,
        (began, asked): (Instant, Moment),
    ) -> Reading {
        match replies {
            Ok(replies) => {
                let took = replies.iter().map(|reply| reply.took).max().unwrap_or_default();
                let now = asked.after(took);
                let codepage = self.site.config.codepage;
                let context = Context { now, codepage, previous: reading.data.as_deref() };
                reading.data = Some(Arc::new(reading.plugin.read(&replies, &context)));
                reading.at = Some(now);
                reading.took = Some(took);
                reading.error = None;
                let traps = replies.iter().flat_map(|reply| &reply.traps);
                reading.partial = traps.map(|trap| trap.message.clone()).next();
            }
            Err(error) => {
                if reading.error.as_ref().is_none_or(|before| before.cause != error.cause) {
                    let (site, plugin) = (&self.site.config.key, reading.plugin.name());
                    log::warn!("{site}: {plugin}: {error}. {}", error.cause.hint());
                }
                reading.took = Some(began.elapsed());
                reading.error = Some(error);
            }
        }
        reading
    }

    fn publish(&mut self, readings: Vec<Reading>) {
        let came_online = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        let host = self.host.to_string();
        self.site.update(|site| {
            if came_online {
                site.connected(&host, Moment::now());
                log::info!("{}: online at {host}", site.key);
            }
            for reading in readings {
                let name = reading.plugin.name().to_string();
                if let Some(known) = site.readings.iter_mut().find(|known| known.plugin.name() == name) {
                    *known = reading;
                }
            }
        });
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

/// The error of a connection over which not one answer came: it is dead, though TCP has not noticed.
fn silence(readings: &[Reading]) -> Option<&Error> {
    let late =
        |reading: &Reading| reading.error.as_ref().is_some_and(|error| error.cause == Cause::QueryTimeout);
    if readings.iter().all(late) { readings.first()?.error.as_ref() } else { None }
}

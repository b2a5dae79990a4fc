//! One connection of a site: log in, refresh, wait, for as long as the router answers.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use super::{FRESH, SiteTask};
use crate::clock::Moment;
use crate::config::Host;
use crate::routeros::client::{self, Client, Command};
use crate::routeros::error::{Cause, Error};
use crate::state::{Reading, Usage};

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
        let cost = self.cost();
        self.site.update(|site| site.usage.add(cost));
        self.since.map(|since| since.elapsed())
    }

    async fn keep_asking(&mut self) -> Result<Infallible, Error> {
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
        let asked_at = Moment::now();
        let before = self.readings_due();
        let asked: Vec<Vec<Command>> = before.iter().map(|reading| reading.plugin.commands()).collect();
        let mut commands = asked.concat();
        if commands.is_empty() {
            // Nothing that this router has is wanted; whether it still answers is.
            commands.push(heartbeat());
        }
        let received = self.client.usage().received_bytes;
        let answers = self.client.call_all(commands, config.query_timeout).await;
        if self.client.usage().received_bytes == received
            && let Some(Err(error)) = answers.first()
        {
            // Not one byte came: the connection is dead, though TCP has not noticed.
            return Err(error.clone());
        }
        let now = Moment::now();
        let mut rest = answers.as_slice();
        let mut readings = Vec::with_capacity(before.len());
        for (reading, commands) in before.iter().zip(asked) {
            let (own, others) = rest.split_at(commands.len().min(rest.len()));
            rest = others;
            readings.push(reading.clone().after(own, asked_at, now, config.codepage));
        }
        let news: Vec<String> =
            before.iter().zip(&readings).filter_map(|(before, after)| news(before, after)).collect();
        self.publish(readings, now.since(asked_at));
        for line in news {
            log::warn!("{}: {line}", config.key);
        }
        Ok(())
    }

    /// What is to be read now. A menu that the router lacks is asked for again only over
    /// a new connection: it may have been upgraded meanwhile.
    fn readings_due(&self) -> Vec<Reading> {
        let lacking =
            |reading: &Reading| reading.error.as_ref().is_some_and(|error| error.cause == Cause::Unsupported);
        let snapshot = self.site.store.snapshot();
        let readings = snapshot.site(&self.site.config.key).map(|site| site.readings.as_slice());
        let readings = readings.unwrap_or_default().iter();
        readings.filter(|reading| self.since.is_none() || !lacking(reading)).cloned().collect()
    }

    fn publish(&mut self, readings: Vec<Reading>, took: Duration) {
        let came_online = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        let cost = self.cost();
        let host = self.host.to_string();
        self.site.update(|site| {
            if came_online {
                site.connected(&host, Moment::now());
            }
            for reading in readings {
                let name = reading.plugin.name();
                if let Some(at) = site.readings.iter().position(|known| known.plugin.name() == name) {
                    site.readings[at] = reading;
                }
            }
            site.usage.add(cost);
            site.usage.reply_time = Some(took);
        });
        if came_online {
            log::info!("{}: online at {host}", self.site.config.key);
        }
    }

    /// What the connection has cost since the last time that this was asked.
    fn cost(&mut self) -> Usage {
        let now = self.client.usage();
        let before = std::mem::replace(&mut self.accounted, now);
        Usage {
            sent_bytes: now.sent_bytes - before.sent_bytes,
            received_bytes: now.received_bytes - before.received_bytes,
            commands: now.commands - before.commands,
            stray_replies: now.stray - before.stray,
            ..Usage::default()
        }
    }
}

/// A command that every router can answer in one short row.
fn heartbeat() -> Command {
    Command::new("/system/identity/print").proplist(&["name"])
}

/// What the log should say of a plugin after a try: that it fails, where it did not in this way before.
fn news(before: &Reading, after: &Reading) -> Option<String> {
    let error = after.error.as_ref()?;
    let known = before.error.as_ref().is_some_and(|before| before.cause == error.cause);
    (!known).then(|| format!("{}: {error}. {}", after.plugin.name(), error.hint))
}

//! A site's card: state, error and figures.

use std::borrow::Cow;

use super::chart::Sparkline;
use super::format::{bits_per_second, bytes, duration, measured, memory_bytes, time_of_day};
use crate::clock;
use crate::http::api::View;
use crate::plugin::{Counts, Health, Quantity, Resource};
use crate::routeros::error::Cause;
use crate::state::{ConnectionEvent, ConnectionState, Reading, ReadingState, SiteState};

/// A part of a whole, for a meter.
pub(super) struct Share {
    pub(super) percent: u64,
    pub(super) text: String,
}

/// An error and how to fix it.
pub(super) struct CardError {
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// How well a site works, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SiteHealth {
    Offline,
    /// The router answers, but a plugin fails, a power supply or a fan does, or addresses run out.
    Degraded,
    Fine,
}

impl SiteHealth {
    pub(super) fn is_problem(self) -> bool {
        self != Self::Fine
    }
}

/// The last reboot or loss of the connection.
pub(super) struct LastProblem {
    pub(super) cause: String,
    pub(super) at: String,
    pub(super) ago: String,
}

/// From this CPU load on, in percent, a router is busy. It is that of the red part of the meter.
const BUSY_CPU: u64 = 85;

/// The same for memory.
const BUSY_MEMORY: u64 = 90;

/// The share of used addresses or licensed users, in percent, that is worth a look.
const BUSY_CAPACITY: u64 = 80;

/// The share of used addresses or licensed users, in percent, from which on new users may be refused soon.
const DEGRADED_CAPACITY: u64 = 95;

/// One site's figures. If the router does not respond, they are the last known, with their age.
pub(super) struct Card<'p> {
    pub(super) key: &'p str,
    pub(super) name: &'p str,
    /// `online`, `offline` or `connecting`.
    pub(super) state: &'static str,
    pub(super) health: SiteHealth,
    /// How long it has been offline.
    pub(super) down_for: Option<String>,
    /// The age of stale figures.
    pub(super) age: Option<String>,
    pub(super) error: Option<CardError>,
    /// The reason why the first host is not in use.
    pub(super) fallback: Option<String>,
    /// The reason why figures are incomplete.
    pub(super) partial: Option<&'p str>,
    /// Whether there are any figures.
    pub(super) is_known: bool,
    pub(super) users: Option<usize>,
    pub(super) configured: Option<u64>,
    /// The users of a day.
    pub(super) sparkline: Option<Sparkline>,
    /// Rates.
    pub(super) upload: Option<String>,
    pub(super) download: Option<String>,
    /// Traffic since midnight at the site.
    pub(super) today: Option<String>,
    /// The same in both directions together.
    pub(super) today_total: Option<String>,
    /// The largest number of users since then, and its local time.
    pub(super) peak: Option<(u64, String)>,
    pub(super) last_login: Option<String>,
    pub(super) uptime: Option<String>,
    pub(super) version: Option<&'p str>,
    pub(super) board: Option<&'p str>,
    pub(super) cpu: Option<Share>,
    pub(super) memory: Option<Share>,
    pub(super) temperature: Option<String>,
    /// States of power supplies and fans that are not normal.
    pub(super) bad_states: Option<String>,
    pub(super) address: Option<&'p str>,
    /// The utilisation of each address pool and of the license, with a label.
    pub(super) capacity: Vec<(String, Share)>,
    pub(super) last_problem: Option<LastProblem>,
}

impl<'p> Card<'p> {
    pub(super) fn new(view: View, site: &'p SiteState) -> Self {
        let hotspot = site.hotspot();
        let resource = site.resource();
        let (rates, today) = (site.rates(), view.today(site));
        let down_for = match &site.connection {
            ConnectionState::Connecting | ConnectionState::Online { .. } => None,
            ConnectionState::Offline { since, .. } => Some(duration(view.now.since(*since))),
        };
        let card = Self {
            key: &site.key,
            name: &site.name,
            state: site.connection.name(),
            health: SiteHealth::Fine,
            down_for,
            age: age(view, site),
            error: error(view, site),
            fallback: fallback(site),
            partial: shown(site).find_map(|reading| reading.partial_for(view.is_admin)),
            is_known: hotspot.is_some() || resource.is_some(),
            users: hotspot.map(|hotspot| hotspot.sessions.len()),
            // With RADIUS, users are configured elsewhere, and "7 of 0" would be wrong.
            configured: hotspot.and_then(|hotspot| {
                hotspot.configured_users.filter(|users| *users >= 1.max(hotspot.sessions.len() as u64))
            }),
            sparkline: None,
            upload: rates.map(|rates| bits_per_second(rates.upload)),
            download: rates.map(|rates| bits_per_second(rates.download)),
            today: today.map(|today| traffic(today.counts)),
            today_total: today.map(|today| bytes(total(today.counts))),
            peak: today.map(|today| (today.peak_users, time_of_day(today.peak_at, today.utc_offset_s))),
            last_login: hotspot
                .and_then(|hotspot| hotspot.last_login)
                .map(|login| clock::ago(view.now.since(login))),
            uptime: resource.and_then(|resource| resource.uptime).map(duration),
            version: resource.and_then(|resource| resource.version.as_deref()),
            board: resource.and_then(|resource| resource.board.as_deref()),
            cpu: resource
                .and_then(|resource| resource.cpu_load_percent)
                .map(|percent| Share { percent: percent.min(100), text: format!("{percent} %") }),
            memory: resource.and_then(memory),
            temperature: temperature(site),
            bad_states: site.health().and_then(Health::bad_states),
            address: site.address(),
            capacity: capacity(site),
            last_problem: last_problem(site).and_then(|problem| {
                let error = problem.outcome.as_ref().err()?;
                let (at, ago) =
                    (view.snapshot.clock.rfc3339(problem.at), clock::ago(view.now.since(problem.at)));
                let cause = match error.cause {
                    Cause::Rebooting => "rebooted".into(),
                    cause => cause.name().replace('_', " "),
                };
                Some(LastProblem { cause, at, ago })
            }),
        };
        let health = match site.connection {
            ConnectionState::Offline { .. } => SiteHealth::Offline,
            ConnectionState::Online { .. } if card.is_degraded() => SiteHealth::Degraded,
            _ => SiteHealth::Fine,
        };
        Self { health, ..card }
    }

    fn is_degraded(&self) -> bool {
        self.error.is_some() || self.bad_states.is_some() || self.is_capacity_over(DEGRADED_CAPACITY)
    }

    fn is_capacity_over(&self, percent: u64) -> bool {
        self.capacity.iter().any(|(_, share)| share.percent > percent)
    }

    /// Whether load, memory, addresses or the license are nearly used up.
    pub(super) fn is_busy(&self) -> bool {
        let is_over =
            |share: &Option<Share>, limit| share.as_ref().is_some_and(|share| share.percent >= limit);
        is_over(&self.cpu, BUSY_CPU)
            || is_over(&self.memory, BUSY_MEMORY)
            || self.is_capacity_over(BUSY_CAPACITY)
    }

    /// Its class: the connection's state, or that it is degraded.
    pub(super) fn class(&self) -> &'static str {
        if self.health == SiteHealth::Degraded { "degraded" } else { self.state }
    }

    /// The address pool or the license of which the largest share is used.
    pub(super) fn fullest(&self) -> Option<&(String, Share)> {
        self.capacity.iter().max_by_key(|(_, share)| share.percent)
    }

    /// What needs attention, in one sentence.
    pub(super) fn reason(&self) -> String {
        match (&self.error, &self.bad_states) {
            (Some(error), _) => format!("{}. {}", error.message, error.hint),
            (None, Some(states)) => states.clone(),
            (None, None) => self
                .fullest()
                .map(|(of, share)| format!("{of}: {} % used, {}", share.percent, share.text))
                .unwrap_or_default(),
        }
    }
}

/// The last reboot or loss of the connection, if the agent still knows it.
pub(super) fn last_problem(site: &SiteState) -> Option<&ConnectionEvent> {
    site.connection_events.iter().rev().find(|event| event.outcome.is_err())
}

/// Traffic in both directions together.
pub(super) fn total(counts: Counts) -> u64 {
    counts.download_bytes.saturating_add(counts.upload_bytes)
}

/// Traffic in each direction.
pub(super) fn traffic(counts: Counts) -> String {
    format!("↓ {}, ↑ {}", bytes(counts.download_bytes), bytes(counts.upload_bytes))
}

/// The readings that a card shows. Declared plugins have their own sections.
fn shown(site: &SiteState) -> impl Iterator<Item = &Reading> {
    site.readings.iter().filter(|reading| reading.plugin.declaration().is_none())
}

/// The reason why the first of the site's hosts is not in use.
fn fallback(site: &SiteState) -> Option<String> {
    let ConnectionState::Online { host: 1.., .. } = site.connection else { return None };
    let (first, in_use) = (site.hosts.first()?, site.address()?);
    Some(match &first.error {
        Some(error) => format!("Connected to {in_use}, because {} fails: {}", first.address, error.message),
        None => format!(
            "Connected to {in_use}. {} responds again, and the agent fails back to it if it stays reachable",
            first.address
        ),
    })
}

/// The age of the oldest figures, if the router or a plugin does not respond.
fn age(view: View, site: &SiteState) -> Option<String> {
    let online = site.is_online();
    let stale = shown(site).filter(|reading| reading.state(online) != ReadingState::Ok);
    let oldest = stale.filter_map(|reading| reading.at).min()?;
    Some(clock::ago(view.now.since(oldest)))
}

/// The connection's error, or if there is none, the first plugin's. A missing menu is shown as an error only on the
/// site's page.
fn error(view: View, site: &SiteState) -> Option<CardError> {
    let error = match &site.connection {
        ConnectionState::Offline { error, .. } => Cow::Borrowed(error),
        ConnectionState::Connecting => return None,
        ConnectionState::Online { .. } => site
            .readings
            .iter()
            .filter(|reading| reading.state(true) != ReadingState::Unsupported || reading.data.is_some())
            .find_map(|reading| reading.error_for(view.is_admin))?,
    };
    let hint = error.hint;
    Some(CardError { message: error.into_owned().message, hint })
}

fn capacity(site: &SiteState) -> Vec<(String, Share)> {
    let share = |used: u64, size: u64| {
        // Rounded down: a pool with a free address is not shown as full.
        let percent = used.saturating_mul(100).checked_div(size)?;
        Some(Share { percent, text: format!("{used} of {size}") })
    };
    let pools = site.pools().unwrap_or_default().iter();
    let pools = pools.filter_map(|pool| Some((format!("Pool {}", pool.pool), share(pool.used, pool.size)?)));
    let license = site.license().and_then(|license| {
        Some((format!("License level {}", license.level), share(license.used?, license.limit?)?))
    });
    pools.chain(license).collect()
}

/// Memory in use.
pub(super) fn memory(resource: &Resource) -> Option<Share> {
    let (free, total) = (resource.free_memory?, resource.total_memory?);
    let used = total.checked_sub(free)?;
    let percent = used.checked_mul(100)?.checked_div(total)?;
    Some(Share { percent, text: format!("{} of {}", memory_bytes(used), memory_bytes(total)) })
}

/// The hottest sensor.
fn temperature(site: &SiteState) -> Option<String> {
    let degrees = site.health()?.sensors.iter().filter_map(|sensor| match sensor.measure {
        Some((Quantity::Temperature, degrees)) => Some(degrees),
        _ => None,
    });
    degrees.max_by(f64::total_cmp).map(|degrees| measured(Quantity::Temperature, degrees))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_in_use_is_a_share_of_the_total() {
        let memory = |free, total| {
            memory(&Resource { free_memory: Some(free), total_memory: Some(total), ..Resource::default() })
        };
        let share = memory(30, 120).unwrap();
        assert_eq!((share.percent, share.text.as_str()), (75, "90 B of 120 B"));
        assert!(memory(0, 0).is_none() && memory(2, 1).is_none());
    }
}

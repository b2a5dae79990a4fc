//! A site's card: state, error and figures.

use std::borrow::Cow;

use super::format::{bytes, duration, measured, memory_bytes};
use crate::clock;
use crate::http::api::View;
use crate::plugin::{Health, Quantity};
use crate::state::{ConnectionState, Reading, ReadingState, SiteState};

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

/// One site's figures. If the router does not respond, they are the last known, with their age.
pub(super) struct Card<'p> {
    pub(super) key: &'p str,
    pub(super) name: &'p str,
    /// `online`, `offline` or `connecting`.
    pub(super) state: &'static str,
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
    pub(super) upload: Option<String>,
    pub(super) download: Option<String>,
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
}

impl<'p> Card<'p> {
    pub(super) fn new(view: View, site: &'p SiteState) -> Self {
        let hotspot = site.hotspot();
        let resource = site.resource();
        let (state, down_for) = match &site.connection {
            ConnectionState::Connecting => ("connecting", None),
            ConnectionState::Online { .. } => ("online", None),
            ConnectionState::Offline { since, .. } => ("offline", Some(duration(view.now.since(*since)))),
        };
        Self {
            key: &site.key,
            name: &site.name,
            state,
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
            upload: hotspot.map(|hotspot| bytes(hotspot.bytes_in())),
            download: hotspot.map(|hotspot| bytes(hotspot.bytes_out())),
            last_login: hotspot
                .and_then(|hotspot| hotspot.last_login)
                .map(|login| clock::ago(view.now.since(login))),
            uptime: resource.and_then(|resource| resource.uptime).map(duration),
            version: resource.and_then(|resource| resource.version.as_deref()),
            board: resource.and_then(|resource| resource.board.as_deref()),
            cpu: resource
                .and_then(|resource| resource.cpu_load_percent)
                .map(|percent| Share { percent: percent.min(100), text: format!("{percent} %") }),
            memory: resource.and_then(|resource| memory(resource.free_memory?, resource.total_memory?)),
            temperature: temperature(site),
            bad_states: site.health().and_then(Health::bad_states),
            address: site.address(),
            capacity: capacity(site),
        }
    }
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
    let share = |ratio: f64, used: u64, size: u64| Share {
        // A pool with a free address is not shown as full.
        percent: (ratio * 100.0) as u64,
        text: format!("{used} of {size}"),
    };
    let pools = site.pools().unwrap_or_default().iter();
    let pools = pools
        .filter_map(|pool| Some((format!("Pool {}", pool.pool), share(pool.ratio()?, pool.used, pool.size))));
    let license = site.license().and_then(|license| {
        let share = share(license.ratio()?, license.used?, license.limit?);
        Some((format!("License level {}", license.level), share))
    });
    pools.chain(license).collect()
}

fn memory(free: u64, total: u64) -> Option<Share> {
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
        let share = memory(30, 120).unwrap();
        assert_eq!((share.percent, share.text.as_str()), (75, "90 B of 120 B"));
        assert!(memory(0, 0).is_none() && memory(2, 1).is_none());
    }
}

//! Figures as a person reads them.

use std::borrow::Cow;
use std::time::Duration;

use crate::clock;
use crate::http::api::View;
use crate::plugin::{Health, Hotspot, Quantity};
use crate::routeros::value;
use crate::state::{self, ConnectionState, Reading, ReadingState, SiteState, Snapshot};

/// All sites together.
pub(super) struct Totals {
    pub(super) sites: usize,
    pub(super) online: usize,
    pub(super) connecting: usize,
    /// Absent where no site that is online has told.
    pub(super) users: Option<usize>,
    pub(super) upload: Option<String>,
    pub(super) download: Option<String>,
}

impl Totals {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let hotspots: Vec<&Hotspot> = snapshot.sites.iter().filter_map(|site| site.hotspot_now()).collect();
        let known = |bytes_of: fn(&Hotspot) -> u64| {
            let sum = hotspots.iter().fold(0, |sum: u64, hotspot| sum.saturating_add(bytes_of(hotspot)));
            (!hotspots.is_empty()).then(|| bytes(sum))
        };
        Self {
            sites: snapshot.sites.len(),
            online: snapshot.sites.iter().filter(|site| site.is_online()).count(),
            connecting: snapshot
                .sites
                .iter()
                .filter(|site| site.connection == ConnectionState::Connecting)
                .count(),
            users: (!hotspots.is_empty())
                .then(|| hotspots.iter().map(|hotspot| hotspot.sessions.len()).sum()),
            upload: known(Hotspot::bytes_in),
            download: known(Hotspot::bytes_out),
        }
    }
}

/// A part of a whole, for a meter.
pub(super) struct Share {
    pub(super) percent: u64,
    pub(super) text: String,
}

/// What is wrong and what to do.
pub(super) struct CardError {
    pub(super) what: String,
    pub(super) hint: &'static str,
}

/// One site's figures. Of a router that does not answer they are the last known, and `age` says so.
pub(super) struct Card<'p> {
    pub(super) key: &'p str,
    pub(super) name: &'p str,
    /// `online`, `offline` or `connecting`.
    pub(super) state: &'static str,
    /// Since when it is offline.
    pub(super) down_for: Option<String>,
    /// How old the figures are, where they are not the latest.
    pub(super) age: Option<String>,
    pub(super) trouble: Option<CardError>,
    /// Why it is reached in another way than the first.
    pub(super) detour: Option<String>,
    /// Why some of the figures are a part of the truth only.
    pub(super) partial: Option<&'p str>,
    /// Whether there are figures at all.
    pub(super) known: bool,
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
            trouble: trouble(view, site),
            detour: detour(site),
            partial: shown(site).find_map(|reading| reading.partial_for(view.is_admin)),
            known: hotspot.is_some() || resource.is_some(),
            users: hotspot.map(|hotspot| hotspot.sessions.len()),
            // With RADIUS the users are configured elsewhere: "7 of 0" would be wrong.
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
        }
    }
}

/// What a card's figures are from: not what the file declares, which has a section of its own.
fn shown(site: &SiteState) -> impl Iterator<Item = &Reading> {
    site.readings.iter().filter(|reading| reading.plugin.declaration().is_none())
}

/// Why it is not the first of a site's addresses that serves.
fn detour(site: &SiteState) -> Option<String> {
    let ConnectionState::Online { host: 1.., .. } = site.connection else { return None };
    let (first, in_use) = (site.hosts.first()?, site.address()?);
    Some(match &first.error {
        Some(error) => format!("Reached at {in_use}, for {} fails: {}", first.address, error.message),
        None => format!(
            "Reached at {in_use}. {} answers again, and is gone back to if it stays so",
            first.address
        ),
    })
}

/// The age of the oldest figures shown, where the router or a plugin does not answer any more.
fn age(view: View, site: &SiteState) -> Option<String> {
    let online = site.is_online();
    let stale = shown(site).filter(|reading| reading.state(online) != ReadingState::Ok);
    let oldest = stale.filter_map(|reading| reading.at).min()?;
    Some(clock::ago(view.now.since(oldest)))
}

/// The connection's trouble, or else the first plugin's. A menu that the router never had
/// is none: the site's page says so.
fn trouble(view: View, site: &SiteState) -> Option<CardError> {
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
    Some(CardError { what: error.into_owned().message, hint })
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

/// A connection made or lost.
pub(super) struct Event<'p> {
    pub(super) at: String,
    pub(super) ago: String,
    pub(super) lost: bool,
    pub(super) what: &'p str,
}

/// Newest first.
pub(super) fn events<'p>(view: View, site: &'p SiteState) -> Vec<Event<'p>> {
    let event = |event: &'p state::ConnectionEvent| Event {
        at: view.snapshot.clock.rfc3339(event.at),
        ago: clock::ago(view.now.since(event.at)),
        lost: event.outcome.is_err(),
        what: match &event.outcome {
            Ok(host) => host,
            Err(error) => &error.message,
        },
    };
    site.connection_events.iter().rev().map(event).collect()
}

/// What the agent has cost the router.
pub(super) struct UsageFigures {
    pub(super) sent: String,
    pub(super) received: String,
    pub(super) commands: u64,
    pub(super) logins: u64,
    pub(super) reply_ms: Option<u128>,
}

impl UsageFigures {
    pub(super) fn new(site: &SiteState) -> Self {
        Self {
            sent: bytes(site.usage.sent_bytes),
            received: bytes(site.usage.received_bytes),
            commands: site.usage.commands,
            logins: site.usage.logins,
            reply_ms: site.usage.reply_time.map(|time| time.as_millis()),
        }
    }
}

/// The two largest units: `15d23h`, `4m5s`. More is noise on a page.
pub(super) fn duration(duration: Duration) -> String {
    let coarse = match duration.as_secs() {
        seconds @ 0..3600 => seconds,
        seconds @ 3600..86_400 => seconds / 60 * 60,
        seconds => seconds / 3600 * 3600,
    };
    value::format_duration(Duration::from_secs(coarse))
}

/// Traffic, in decimal units, as it is sold.
pub(super) fn bytes(count: u64) -> String {
    scaled(count, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Memory, in binary units, as it is built.
pub(super) fn memory_bytes(count: u64) -> String {
    scaled(count, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// What a sensor measures, to a tenth: `41 °C`, `24.1 V`.
pub(super) fn measured(quantity: Quantity, figure: f64) -> String {
    // Without the sign of a rounded zero.
    format!("{} {}", (figure * 10.0).round() / 10.0 + 0.0, quantity.unit())
}

/// A count for people: `1,312`.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits or so, in the largest unit that leaves one before the point.
fn scaled(count: u64, step: f64, units: &[&str]) -> String {
    let mut value = count as f64;
    let mut units = units.iter().enumerate().peekable();
    while let Some((position, unit)) = units.next() {
        if value < step - 0.5 || units.peek().is_none() {
            let decimals = usize::from(position > 0 && value < 99.95);
            return format!("{value:.decimals$} {unit}");
        }
        value /= step;
    }
    count.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sensor_measures_has_a_tenth_at_most() {
        for (quantity, figure, shown) in [
            (Quantity::Temperature, 41.0, "41 °C"),
            (Quantity::Temperature, 41.26, "41.3 °C"),
            (Quantity::Temperature, -0.04, "0 °C"),
            (Quantity::Voltage, 24.1, "24.1 V"),
            (Quantity::FanSpeed, 4025.0, "4025 RPM"),
        ] {
            assert_eq!(measured(quantity, figure), shown);
        }
    }

    #[test]
    fn bytes_for_people() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (45_678_912, "45.7 MB"),
            (99_960_000, "100 MB"),
            (999_600_000, "1.0 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (count, text) in
            [(1023, "1023 B"), (1024, "1.0 KiB"), (134_217_728, "128 MiB"), (u64::MAX, "16.0 EiB")]
        {
            assert_eq!(memory_bytes(count), text);
        }
    }

    #[test]
    fn durations_for_people() {
        for (seconds, text) in [(5, "5s"), (245, "4m5s"), (3725, "1h2m"), (1_381_500, "15d23h")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn counts_for_people() {
        for (count, text) in [(0, "0"), (200, "200"), (1312, "1,312"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(count), text);
        }
    }

    #[test]
    fn memory_in_use() {
        let share = memory(30, 120).unwrap();
        assert_eq!((share.percent, share.text.as_str()), (75, "90 B of 120 B"));
        assert!(memory(0, 0).is_none() && memory(2, 1).is_none());
    }
}

//! The conditions that rules check, besides limits of figures.

use std::time::Duration;

use super::incident::{Description, Evaluation};
use super::time::{AlertClock, AlertTime};
use super::uplink::Reachability;
use crate::clock::{Clock, rfc3339};
use crate::routeros::error::Error;
use crate::routeros::value::format_duration;
use crate::state::{ConnectionState, Reading, Reload, SiteState};

/// Longest text of a router in a message, in characters.
const MAX_CAUSE: usize = 200;

/// Whether a site's router can be reached.
pub(super) fn reachability(site: &SiteState, timeline: AlertClock) -> Reachability {
    match &site.connection {
        ConnectionState::Connecting => Reachability::Unknown,
        ConnectionState::Online { .. } => Reachability::Reachable,
        ConnectionState::Offline { error, since } if error.cause.is_passing() => {
            Reachability::Lost(timeline.tick(*since))
        }
        ConnectionState::Offline { .. } => Reachability::Refused,
    }
}

pub(super) fn site_down(site: &SiteState, timeline: AlertClock) -> Evaluation {
    let (error, since) = match &site.connection {
        ConnectionState::Connecting => return Evaluation::Unknown,
        ConnectionState::Online { .. } => return Evaluation::Absent(None),
        ConnectionState::Offline { error, since } => (error, since),
    };
    let hosts: Vec<&str> =
        site.hosts.iter().filter(|host| host.error.is_some()).map(|host| &*host.address).collect();
    let hosts = hosts.join(", ");
    // The message may begin with the host.
    let message = error.message.strip_prefix(&format!("{hosts}: ")).unwrap_or(&error.message);
    let at = if hosts.is_empty() { String::new() } else { format!(" ({hosts})") };
    let description = Description {
        problem: format!("{} is offline", site.name),
        recovery: format!("{} is online again", site.name),
        cause: Some(format!("{}{at}", shortened(message))),
        hint: hint(error),
        value: None,
    };
    Evaluation::Present(Some(timeline.tick(*since)), description)
}

pub(super) fn plugin_failing(site: &SiteState, reading: &Reading, timeline: AlertClock) -> Evaluation {
    let ConnectionState::Online { since: connected, .. } = &site.connection else {
        return Evaluation::Unknown;
    };
    let (Some(error), Some(since)) = (reading.error_for(false), reading.failed_since) else {
        return if reading.data.is_some() { Evaluation::Absent(None) } else { Evaluation::Unknown };
    };
    let (name, plugin) = (&site.name, reading.plugin.name());
    let description = Description {
        problem: format!("{name}: the plugin {plugin} has failed"),
        recovery: format!("{name}: the plugin {plugin} works again"),
        cause: Some(shortened(&error.message)),
        hint: hint(&error),
        value: None,
    };
    // Whether it failed during an outage before is unknown.
    Evaluation::Present(Some(timeline.tick(since.max(*connected))), description)
}

pub(super) fn clock_wrong(site: &SiteState, by: Duration, clock: Clock) -> Evaluation {
    let Some(error) = site.clock_error(clock) else { return Evaluation::Unknown };
    if error.unsigned_abs() <= by.as_secs() {
        return Evaluation::Absent(Some(error as f64));
    }
    let direction = if error > 0 { "ahead" } else { "behind" };
    let apart = format_duration(Duration::from_secs(error.unsigned_abs()));
    Evaluation::Present(
        None,
        Description {
            problem: format!("{}: the router's clock is {apart} {direction}", site.name),
            recovery: format!("{}: the router's clock is right again", site.name),
            cause: None,
            hint: Some("On the router: /system ntp client set enabled=yes, /system clock print".into()),
            value: Some(error as f64),
        },
    )
}

pub(super) fn config_rejected(reload: &Reload) -> Evaluation {
    if reload.is_good() {
        return Evaluation::Absent(None);
    }
    let count = reload.problems.len() + reload.more_problems;
    let description = Description {
        problem: "The configuration file is not in use".into(),
        recovery: "The configuration file is in use again".into(),
        cause: Some(format!("it has {count} problem{}", if count == 1 { "" } else { "s" })),
        hint: Some("phsweb-agent check shows each problem with its place".into()),
        value: Some(count as f64),
    };
    Evaluation::Present(None, description)
}

/// The certificate of the agent's page, which ends then, since the Unix epoch.
pub(super) fn page_certificate_expires(
    ends: Option<Duration>,
    within: Duration,
    now: AlertTime,
) -> Evaluation {
    let Some(ends) = ends else { return Evaluation::Absent(None) };
    let hint = "Renew the files of http.tls. The agent notices the new ones";
    certificate_expires("The certificate of the agent's page", ends, within, now, hint)
}

/// The certificate of a router.
pub(super) fn router_certificate_expires(site: &SiteState, within: Duration, now: AlertTime) -> Evaluation {
    let Some(ends) = site.certificate_ends else {
        return if site.is_online() { Evaluation::Absent(None) } else { Evaluation::Unknown };
    };
    let hint = "Renew it on the router, and with tls: Pin(…) put its new fingerprint into the file. On the router: \
                /certificate print detail";
    certificate_expires(&format!("{}: the certificate of the router", site.name), ends, within, now, hint)
}

fn certificate_expires(
    what: &str,
    ends: Duration,
    within: Duration,
    now: AlertTime,
    hint: &str,
) -> Evaluation {
    if !now.is_dated() {
        return Evaluation::Unknown;
    }
    let left = ends.saturating_sub(now.unix);
    let days = left.as_secs() / 86_400;
    if left > within {
        return Evaluation::Absent(Some(days as f64));
    }
    let date = rfc3339(ends);
    let verb = if left.is_zero() { "ended" } else { "ends" };
    let description = Description {
        problem: format!("{what} {verb} at {date}"),
        recovery: format!("{what} was renewed"),
        cause: None,
        hint: Some(hint.into()),
        value: Some(days as f64),
    };
    Evaluation::Present(None, description)
}

/// `is_many`: whether so many logins were refused that the alert fires; `is_new`: whether earlier ones are unknown.
pub(super) fn logins_refused(count: usize, is_many: bool, is_new: bool) -> Evaluation {
    match count {
        0 if is_new => Evaluation::Unknown,
        0 => Evaluation::Absent(None),
        _ if !is_many => Evaluation::Hold,
        _ => Evaluation::Present(
            None,
            Description {
                problem: "Many logins as admin with a wrong token".into(),
                recovery: "No more logins as admin with a wrong token".into(),
                cause: Some(format!("{count} or more in 10 minutes")),
                hint: Some("The log has their addresses. A browser or a script may have an old token".into()),
                value: Some(count as f64),
            },
        ),
    }
}

fn hint(error: &Error) -> Option<String> {
    (!error.hint.is_empty()).then(|| error.hint.into())
}

fn shortened(text: &str) -> String {
    let mut cut: String = text.chars().take(MAX_CAUSE).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

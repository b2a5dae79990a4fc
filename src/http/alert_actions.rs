//! Actions on alerts: acknowledging one, and muting a site. They change only the agent, so they are carried out at once.

use std::time::Duration;

use serde::Deserialize;

use super::actions;
use super::context::Context;
use crate::action::{self, ActionError};
use crate::alert::{MAX_MUTE, MAX_MUTES};
use crate::text::quoted;

/// Maximum number of characters of a client's text in a log line or an error.
const MAX_QUOTED: usize = 100;

/// The error for an alert that has ended, or never existed.
const NOT_FIRING: ActionError =
    ActionError::Gone("No alert with this identifier is firing: it may have ended.");

/// What to mute, and for how long.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct MuteRequest {
    /// The site's key; `None`: all alerts.
    pub(super) site: Option<String>,
    /// `1h`; zero ends the mute.
    #[serde(rename = "for")]
    pub(super) time: String,
}

impl MuteRequest {
    /// Parses a body of JSON.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        action::parse_object(body, r#"{"site": "awka", "for": "1h"}; without "site", all alerts are muted"#)
    }

    /// How long.
    fn duration(&self) -> Result<Duration, String> {
        let duration = humantime::parse_duration(&self.time).ok().filter(|time| *time <= MAX_MUTE);
        duration.ok_or_else(|| {
            let (found, most) = (quoted(&self.time, MAX_QUOTED), MAX_MUTE.as_secs() / 86_400);
            format!(
                "for: found {found}; expected a time such as 1h, of at most {most} days, or 0s to end the mute."
            )
        })
    }
}

/// Acknowledges a firing alert.
pub(super) fn acknowledge(context: &Context, id: &str) -> Result<(), ActionError> {
    let who = context.who();
    let is_firing = context.services.alerts.acknowledge(id, who.role.name());
    // Identifiers of alerts need no quotes, and that of no alert may be any text.
    let (id, outcome) = if is_firing {
        (id.into(), Ok("acknowledged".into()))
    } else {
        (quoted(id, MAX_QUOTED), Err(&NOT_FIRING))
    };
    actions::log_action(who, &format!("acknowledge alert={id}"), outcome);
    if is_firing { Ok(()) } else { Err(NOT_FIRING) }
}

/// Mutes a site or all alerts, or ends a mute. The error says which value was expected.
pub(super) fn mute(context: &Context, request: &MuteRequest) -> Result<(), String> {
    let (site, who, time) = (request.site.as_deref(), context.who(), request.duration()?);
    if let Some(unknown) = site.filter(|key| context.snapshot.site(key).is_none()) {
        let (found, sites) = (quoted(unknown, MAX_QUOTED), context.all_sites().join(", "));
        return Err(format!("site: found {found}; expected one of {sites}, or null for all."));
    }
    if !context.services.alerts.mute(site, time, who.role.name()) {
        return Err(format!(
            "site: {MAX_MUTES} are muted, which is the limit. End a mute, or mute all alerts."
        ));
    }
    let result = if time.is_zero() { "unmuted" } else { "muted" };
    let what = format!(
        "mute site={} for={}",
        site.unwrap_or("*"),
        humantime::format_duration(time).to_string().replace(' ', "")
    );
    actions::log_action(who, &what, Ok(result.into()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_a_time_and_may_have_a_site() {
        let read = |body: &str| MuteRequest::parse(body.as_bytes());
        let of =
            |site: Option<&str>, time: &str| MuteRequest { site: site.map(Into::into), time: time.into() };
        assert_eq!(read(r#"{"site": "awka", "for": "1h"}"#), Ok(of(Some("awka"), "1h")));
        assert_eq!(read(r#"{"site": null, "for": "0s"}"#), Ok(of(None, "0s")));
        assert_eq!(read(r#"{"for": "8h"}"#), Ok(of(None, "8h")));
        for body in [
            "",
            "[]",
            r#"["awka", "1h"]"#,
            "{}",
            r#"{"for": 1}"#,
            r#"{"for": "1h", "sites": 1}"#,
            r#"{"site": 1, "for": "1h"}"#,
        ] {
            assert!(read(body).unwrap_err().contains(r#"Expected {"site": "awka", "for": "1h"}"#), "{body}");
        }
    }

    #[test]
    fn times_are_bounded() {
        for (time, seconds) in [
            ("1h", Some(3600)),
            ("0s", Some(0)),
            ("31days", Some(31 * 86_400)),
            ("32days", None),
            ("soon", None),
            ("", None),
        ] {
            let duration = MuteRequest { site: None, time: time.into() }.duration();
            assert_eq!(duration.ok().map(|time| time.as_secs()), seconds, "{time}");
        }
    }
}

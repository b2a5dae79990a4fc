//! The alerts: what fires, the latest ones that ended, mutes, and what became of the messages.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;

use super::format::{Date, date, duration, time_of_day};
use super::layout::{Layout, render, see_other};
use super::notice::{self, Notice};
use crate::alert::{AlertRecord, AlertState, AlertTime, MAX_MUTE, Mute, Tick};
use crate::http::alert_actions::{self, MuteRequest};
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response};
use crate::notify::{ChannelStatus, DeliveryRecord};
use crate::state::SiteState;

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage<'p> {
    layout: Layout,
    generation: u64,
    notice: String,
    is_admin: bool,
    firing: Vec<AlertRow<'p>>,
    past: Vec<AlertRow<'p>>,
    mutes: Vec<MuteRow<'p>>,
    channels: Vec<ChannelRow<'p>>,
    heartbeat: Option<LastAttempt>,
    sites: &'p [Arc<SiteState>],
    longest_mute_days: u64,
}

struct AlertRow<'p> {
    record: &'p AlertRecord,
    /// Its kind in words.
    kind: String,
    /// The site, if it is still configured.
    site: Option<&'p SiteState>,
    since: Date,
    lasted: String,
    acknowledged: Option<(&'p str, Date)>,
    /// `ops: delivered 12:03 UTC`
    messages: Vec<String>,
}

struct MuteRow<'p> {
    key: &'p str,
    name: &'p str,
    until: Date,
    by: &'p str,
}

struct ChannelRow<'p> {
    status: &'p ChannelStatus,
    last: LastAttempt,
}

struct LastAttempt {
    /// `12:03 UTC, 200 OK`
    text: String,
    is_failure: bool,
}

/// A tick as the local time of the alert's site, or of all sites.
fn local(context: &Context, site: Option<&SiteState>, now: AlertTime, tick: Tick) -> Date {
    date(now.unix_of(tick), utc_offset(context, site))
}

/// The offset of a site; without one, that of all sites if it is the same.
fn utc_offset(context: &Context, site: Option<&SiteState>) -> Option<i32> {
    let mut offsets = context.snapshot.sites.iter().filter_map(|site| site.utc_offset());
    site.map_or_else(
        || {
            let first = offsets.next()?;
            offsets.all(|other| other == first).then_some(first)
        },
        SiteState::utc_offset,
    )
}

/// The kind of an alert in words: `Site down` for `SiteDown`.
fn in_words(kind: &str) -> String {
    let mut words = String::new();
    for c in kind.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
            words.extend(c.to_lowercase());
        } else {
            words.push(c);
        }
    }
    words
}

/// `GET /alerts`
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    let (list, notifier) = (context.services.alerts.list(), &context.services.notifier);
    let (channels, heartbeat) = (notifier.channels(), notifier.heartbeat());
    let row = |record| alert_row(context, record, list.now, &channels);
    let _guard = context.rendering();
    Ok(render(&AlertsPage {
        layout: context.layout(),
        generation: context.snapshot.generation,
        notice: notice::text(context),
        is_admin: context.is_admin(),
        firing: list.firing.iter().map(row).collect(),
        past: list.past.iter().map(row).collect(),
        mutes: list.mutes.iter().map(|mute| mute_row(context, mute, list.now)).collect(),
        channels: channels.iter().map(|channel| channel_row(context, channel)).collect(),
        heartbeat: heartbeat.map(|attempts| last(context, &attempts)),
        sites: &context.snapshot.sites,
        longest_mute_days: MAX_MUTE.as_secs() / 86_400,
    }))
}

/// `GET` of a form's path, as after a login or by a reload: redirects to the page, which contains the form.
pub(in crate::http) fn redirect(context: &Context) -> Result<Response, Response> {
    Ok(see_other(&context.request.path, "alerts"))
}

/// `POST /alerts/acknowledge`
pub(in crate::http) fn acknowledge(context: &Context) -> Result<HandlerOutput, Response> {
    let id = field(context, "id").unwrap_or_default();
    let is_done = alert_actions::acknowledge(context, &id).is_ok();
    Ok(notified(context, if is_done { Notice::Acknowledged } else { Notice::NotFiring }))
}

/// `POST /alerts/mute`
pub(in crate::http) fn mute(context: &Context) -> Result<HandlerOutput, Response> {
    let site = field(context, "site").filter(|site| !site.is_empty());
    let request = MuteRequest { site, time: field(context, "for").unwrap_or_default() };
    let is_done = alert_actions::mute(context, &request).is_ok();
    Ok(notified(context, if is_done { Notice::MuteChanged } else { Notice::NotMuted }))
}

fn field(context: &Context, name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(&context.request.body);
    fields.find_map(|(its, value)| (its == name).then(|| value.into_owned()))
}

fn notified(context: &Context, notice: Notice) -> HandlerOutput {
    see_other(&context.request.path, &notice::path("alerts", notice.query(), None)).into()
}

fn alert_row<'p>(
    context: &Context<'p>,
    record: &'p AlertRecord,
    now: AlertTime,
    channels: &[ChannelStatus],
) -> AlertRow<'p> {
    let site = record.site.as_deref().and_then(|key| context.snapshot.site(key));
    let offset = utc_offset(context, site);
    let messages = channels.iter().flat_map(|channel| {
        let own = channel.deliveries.iter().filter(|delivery| delivery.alert == record.id);
        own.map(|delivery| {
            let what = if delivery.state == AlertState::Firing { "" } else { "end " };
            let at = time_of_day(context.snapshot.clock.unix(delivery.at), offset);
            format!("{}: {what}{} {at}", channel.name, delivery.result.name())
        })
    });
    let lasted = record.until.unwrap_or(now.tick).since(record.since);
    AlertRow {
        record,
        kind: in_words(&record.kind),
        site,
        since: local(context, site, now, record.since),
        lasted: if lasted < Duration::from_secs(1) { String::new() } else { duration(lasted) },
        acknowledged: record
            .acknowledged
            .as_ref()
            .map(|(by, at)| (by.as_str(), local(context, site, now, *at))),
        messages: messages.collect(),
    }
}

fn mute_row<'p>(context: &Context<'p>, mute: &'p Mute, now: AlertTime) -> MuteRow<'p> {
    let key = mute.site.as_deref().unwrap_or_default();
    let site = context.snapshot.site(key);
    let name = site.map_or(key, |site| &site.name);
    let name = if mute.site.is_none() { "All sites" } else { name };
    MuteRow { key, name, until: local(context, site, now, mute.until), by: &mute.by }
}

fn channel_row<'p>(context: &Context, status: &'p ChannelStatus) -> ChannelRow<'p> {
    ChannelRow { status, last: last(context, &status.attempts) }
}

fn last(context: &Context, attempts: &DeliveryRecord) -> LastAttempt {
    let Some(last) = &attempts.last else {
        return LastAttempt { text: "none since the agent's start".into(), is_failure: false };
    };
    let at = time_of_day(context.snapshot.clock.unix(last.at), utc_offset(context, None));
    let text = match &last.result {
        Ok(status) => format!("{at}, {status}"),
        Err(error) => format!("{at}, failed: {error}"),
    };
    LastAttempt { text, is_failure: last.result.is_err() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_shown_in_words() {
        for (kind, words) in [
            ("SiteDown", "Site down"),
            ("Rebooted", "Rebooted"),
            ("CertificateExpires", "Certificate expires"),
        ] {
            assert_eq!(in_words(kind), words);
        }
    }
}

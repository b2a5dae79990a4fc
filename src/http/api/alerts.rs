//! `/api/alerts`: firing and past alerts, mutes, and what became of the messages.

use std::collections::HashMap;

use serde::Serialize;

use crate::alert::{Alert, AlertList, AlertRecord, AlertState, AlertTime, Mute};
use crate::http::actions;
use crate::http::alert_actions::{self, MuteRequest};
use crate::http::api::View;
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response, json};
use crate::notify::{ChannelStatus, DeliveryRecord};

#[derive(Debug, Serialize)]
struct AlertsJson<'a> {
    firing: Vec<AlertJson<'a>>,
    past: Vec<AlertJson<'a>>,
    mutes: Vec<MuteJson<'a>>,
    channels: Vec<ChannelJson<'a>>,
    heartbeat: Option<AttemptsJson<'a>>,
}

#[derive(Debug, Serialize)]
struct AlertJson<'a> {
    #[serde(flatten)]
    alert: Alert,
    acknowledged: Option<AcknowledgementJson<'a>>,
    delivery: Vec<DeliveryJson<'a>>,
}

#[derive(Debug, Serialize)]
struct AcknowledgementJson<'a> {
    by: &'a str,
    at: String,
}

/// What became of a message.
#[derive(Debug, Clone, Serialize)]
struct DeliveryJson<'a> {
    channel: &'a str,
    /// The state of the alert that the message reports.
    state: AlertState,
    result: &'static str,
    at: String,
}

#[derive(Debug, Serialize)]
struct MuteJson<'a> {
    site: Option<&'a str>,
    /// `None`: it has ended.
    until: Option<String>,
    by: &'a str,
}

#[derive(Debug, Serialize)]
struct ChannelJson<'a> {
    name: &'a str,
    queued: usize,
    dropped: u64,
    #[serde(flatten)]
    attempts: AttemptsJson<'a>,
}

#[derive(Debug, Serialize)]
struct AttemptsJson<'a> {
    delivered: u64,
    failed: u64,
    last: Option<AttemptJson<'a>>,
}

#[derive(Debug, Serialize)]
struct AttemptJson<'a> {
    at: String,
    ok: bool,
    /// The server's status, or the error.
    result: &'a str,
}

/// `GET /api/alerts`
pub(in crate::http) fn list(context: &Context) -> Result<Response, Response> {
    let (view, list) = (context.view(), context.services.alerts.list());
    let (channels, heartbeat) = (context.services.notifier.channels(), context.services.notifier.heartbeat());
    let deliveries = deliveries(view, &channels);
    let json = |record| alert_json(record, list.now, &deliveries);
    Ok(context.large_json(&AlertsJson {
        firing: list.firing.iter().map(json).collect(),
        past: list.past.iter().map(json).collect(),
        mutes: list.mutes.iter().map(|mute| mute_json(mute, list.now)).collect(),
        channels: channels.iter().map(|channel| channel_json(view, channel)).collect(),
        heartbeat: heartbeat.as_ref().map(|attempts| attempts_json(view, attempts)),
    }))
}

/// `POST /api/alerts/{id}/acknowledge`: the answer is the alert.
pub(in crate::http) fn acknowledge(context: &Context) -> Result<HandlerOutput, Response> {
    let id = context.parameters.alert;
    alert_actions::acknowledge(context, id).map_err(|error| actions::refused(&error))?;
    let AlertList { now, firing, past, .. } = context.services.alerts.list();
    let channels = context.services.notifier.channels();
    let record = firing.iter().chain(&past).find(|record| record.id == id);
    Ok(json(&record.map(|record| alert_json(record, now, &deliveries(context.view(), &channels)))).into())
}

/// `POST /api/alerts/mute`: the answer is the mute.
pub(in crate::http) fn mute(context: &Context) -> Result<HandlerOutput, Response> {
    let request = actions::parsed(MuteRequest::parse(&context.request.body))?;
    actions::parsed(alert_actions::mute(context, &request))?;
    let AlertList { now, mutes, .. } = context.services.alerts.list();
    let ended = MuteJson { site: request.site.as_deref(), until: None, by: context.identity.role.name() };
    let mute = mutes.iter().find(|mute| mute.site == request.site);
    Ok(json(&mute.map_or(ended, |mute| mute_json(mute, now))).into())
}

/// By the identifier of the alert.
fn deliveries<'c>(view: View, channels: &'c [ChannelStatus]) -> HashMap<&'c str, Vec<DeliveryJson<'c>>> {
    let mut deliveries: HashMap<&str, Vec<DeliveryJson>> = HashMap::new();
    for channel in channels {
        for delivery in &channel.deliveries {
            deliveries.entry(&delivery.alert).or_default().push(DeliveryJson {
                channel: &channel.name,
                state: delivery.state,
                result: delivery.result.name(),
                at: view.date(delivery.at),
            });
        }
    }
    deliveries
}

fn alert_json<'a>(
    record: &'a AlertRecord,
    now: AlertTime,
    deliveries: &HashMap<&str, Vec<DeliveryJson<'a>>>,
) -> AlertJson<'a> {
    let acknowledged = record.acknowledged.as_ref();
    AlertJson {
        alert: record.alert(now),
        acknowledged: acknowledged.map(|(by, at)| AcknowledgementJson { by, at: now.date(*at) }),
        delivery: deliveries.get(record.id.as_str()).cloned().unwrap_or_default(),
    }
}

fn mute_json(mute: &Mute, now: AlertTime) -> MuteJson<'_> {
    MuteJson { site: mute.site.as_deref(), until: Some(now.date(mute.until)), by: &mute.by }
}

fn channel_json<'c>(view: View, channel: &'c ChannelStatus) -> ChannelJson<'c> {
    let ChannelStatus { name, queued, dropped, attempts, .. } = channel;
    ChannelJson { name, queued: *queued, dropped: *dropped, attempts: attempts_json(view, attempts) }
}

fn attempts_json<'c>(view: View, attempts: &'c DeliveryRecord) -> AttemptsJson<'c> {
    let last = attempts.last.as_ref().map(|last| AttemptJson {
        at: view.date(last.at),
        ok: last.result.is_ok(),
        result: last.result.as_deref().unwrap_or_else(String::as_str),
    });
    AttemptsJson { delivered: attempts.delivered, failed: attempts.failed, last }
}

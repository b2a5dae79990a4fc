//! `POST` endpoints: kick, test and refresh, with the JSON of their outcomes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::ErrorJson;
use crate::action::{ActionError, DiagnosticStep, Kicked};
use crate::http::actions::{self, Outcomes};
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response, json};
use crate::plugin::Session;

/// `POST /api/hotspot/{site}/kick`
pub(in crate::http) fn kick(context: &Context) -> Result<HandlerOutput, Response> {
    let (site, kick) = (context.site()?.key.clone(), actions::kick_of(context.request)?);
    let (handles, who) = (context.services.handles.clone(), context.who());
    Ok(HandlerOutput::later(async move {
        let outcome = actions::kick(&handles, &site, kick, who).await;
        actions::answer(&outcome, |kicked| json(&kicked_json(kicked)))
    }))
}

/// `POST /api/sites/{site}/test`
pub(in crate::http) fn test(context: &Context) -> Result<HandlerOutput, Response> {
    let (site, handles, who) = (context.site()?.key.clone(), context.services.handles.clone(), context.who());
    Ok(HandlerOutput::later(async move {
        let outcome = actions::test(&handles, &site, who).await;
        actions::answer(&outcome, |steps| {
            json(&steps.iter().map(|step| StepJson::new(&site, step)).collect::<Vec<_>>())
        })
    }))
}

/// `POST /api/refresh`
pub(in crate::http) fn refresh_all(context: &Context) -> Result<HandlerOutput, Response> {
    refresh_sites(context, context.all_sites())
}

/// `POST /api/sites/{site}/refresh`
pub(in crate::http) fn refresh(context: &Context) -> Result<HandlerOutput, Response> {
    refresh_sites(context, vec![context.site()?.key.clone()])
}

fn refresh_sites(context: &Context, sites: Vec<String>) -> Result<HandlerOutput, Response> {
    let outcomes = context.refresh(sites).map_err(|error| actions::refused(&error))?;
    Ok(HandlerOutput::later(async move { json(&refreshed_json(&outcomes.await)) }))
}

/// Which sites have answered, now or recently.
#[derive(Debug, Default, Serialize)]
struct RefreshedJson<'o> {
    refreshed: Vec<&'o str>,
    failed: Vec<&'o str>,
    /// The router's error of each failed site, if there is one.
    errors: BTreeMap<&'o str, ErrorJson>,
}

/// What a kick did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct KickedJson<'o> {
    removed: Vec<RemovedJson<'o>>,
    cookies_removed: usize,
    /// Whether the device is back already, for example through a cookie. Null if the router did not say.
    logged_back_in: Option<bool>,
}

#[derive(Debug, Serialize)]
struct RemovedJson<'o> {
    id: &'o str,
    user: &'o str,
    mac: &'o str,
    address: &'o str,
    server: &'o str,
}

/// A step of a connection test, with `detail` if it succeeded, or else `error`.
#[derive(Debug, Serialize)]
pub struct StepJson<'o> {
    site: &'o str,
    host: &'o str,
    step: &'o str,
    ok: bool,
    seconds: f64,
    detail: Option<&'o str>,
    error: Option<ErrorJson>,
}

impl<'o> StepJson<'o> {
    /// A step of a test of this site.
    #[must_use]
    pub fn new(site: &'o str, step: &'o DiagnosticStep) -> Self {
        let error = step.outcome.as_ref().err();
        Self {
            site,
            host: &step.host,
            step: &step.name,
            ok: error.is_none(),
            // To the microsecond.
            seconds: (step.took.as_secs_f64() * 1e6).round() / 1e6,
            detail: step.outcome.as_deref().ok(),
            error: error.map(|error| ErrorJson::new(error, None)),
        }
    }
}

fn refreshed_json(outcomes: &Outcomes) -> RefreshedJson<'_> {
    let mut json = RefreshedJson::default();
    for (site, outcome) in outcomes {
        match outcome {
            Ok(_) => json.refreshed.push(site),
            Err(error) => {
                json.failed.push(site);
                if let ActionError::Router(error) = error {
                    json.errors.insert(site, ErrorJson::new(error, None));
                }
            }
        }
    }
    json
}

fn kicked_json(kicked: &Kicked) -> KickedJson<'_> {
    KickedJson {
        removed: kicked.removed.iter().map(removed).collect(),
        cookies_removed: kicked.cookies,
        logged_back_in: kicked.is_back,
    }
}

fn removed(session: &Session) -> RemovedJson<'_> {
    RemovedJson {
        id: &session.id,
        user: &session.user,
        mac: session.mac.as_deref().unwrap_or_default(),
        address: session.address.as_deref().unwrap_or_default(),
        server: session.server.as_deref().unwrap_or_default(),
    }
}

//! What actions did: `refresh`, `kick`, `test`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ErrorJson;
use crate::action::{ActionError, DiagnosticStep, Kicked, Refreshed};
use crate::plugin::Session;

/// Which sites have answered, now or recently.
#[derive(Debug, Default, Serialize)]
pub(in crate::http) struct RefreshedJson<'o> {
    refreshed: Vec<&'o str>,
    failed: Vec<&'o str>,
    /// Why each of those failed of which a router's error is known.
    errors: BTreeMap<&'o str, ErrorJson>,
}

/// What a kick did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct KickedJson<'o> {
    removed: Vec<RemovedJson<'o>>,
    cookies_removed: usize,
    /// Whether the device is back already: through a cookie, say. Null where the router did not tell.
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

/// A step of a test. Where it went well `detail` says what was found, else `error` what not.
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
    /// A step on the way to this site's router.
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

/// How a refresh of these sites went.
pub(in crate::http) fn refreshed(outcomes: &[(String, Result<Refreshed, ActionError>)]) -> RefreshedJson<'_> {
    let mut told = RefreshedJson::default();
    for (site, outcome) in outcomes {
        match outcome {
            Ok(_) => told.refreshed.push(site),
            Err(refusal) => {
                told.failed.push(site);
                if let ActionError::Router(error) = refusal {
                    told.errors.insert(site, ErrorJson::new(error, None));
                }
            }
        }
    }
    told
}

/// What a kick did.
pub(in crate::http) fn kicked(kicked: &Kicked) -> KickedJson<'_> {
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

/// The steps to a site's router.
pub(in crate::http) fn steps<'o>(site: &'o str, steps: &'o [DiagnosticStep]) -> Vec<StepJson<'o>> {
    steps.iter().map(|step| StepJson::new(site, step)).collect()
}

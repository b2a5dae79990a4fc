//! Refresh: queries the routers of sites now. The site's session carries it out, see [`SiteHandles::refresh`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ActionError, ErrorJson, SiteHandles};
pub use crate::site::Refreshed;

/// The outcome at each site, by its key.
pub type RefreshOutcomes = Vec<(String, Result<Refreshed, ActionError>)>;

/// Refreshes these sites concurrently.
pub async fn refresh(handles: &SiteHandles, sites: Vec<String>, is_anonymous: bool) -> RefreshOutcomes {
    // All refreshes are requested before this waits for the first.
    let requested: Vec<_> =
        sites.into_iter().map(|site| (handles.refresh(&site, is_anonymous), site)).collect();
    let mut outcomes = Vec::new();
    for (refreshed, site) in requested {
        outcomes.push((site, refreshed.await));
    }
    outcomes
}

/// The refreshed site, or `*` for several, and the result, for the log. `None` if no router was queried.
pub fn log_fields(outcomes: &RefreshOutcomes) -> Option<(&str, String)> {
    let asked = outcomes.iter().filter(|(_, outcome)| *outcome != Ok(Refreshed::Recent)).count();
    let answered = outcomes.iter().filter(|(_, outcome)| *outcome == Ok(Refreshed::Asked)).count();
    let site = match outcomes.as_slice() {
        [(site, _)] => site,
        _ => "*",
    };
    let result = if answered > 0 { "answered" } else { "failed" };
    (asked > 0).then(|| (site, format!("{result} asked={asked} answered={answered}")))
}

/// The sites that have answered, now or recently.
#[derive(Debug, Default, Serialize)]
pub struct RefreshedJson<'o> {
    refreshed: Vec<&'o str>,
    failed: Vec<&'o str>,
    /// The router's error of each failed site that has one.
    errors: BTreeMap<&'o str, ErrorJson>,
}

impl<'o> RefreshedJson<'o> {
    /// These outcomes as JSON.
    pub fn new(outcomes: &'o RefreshOutcomes) -> Self {
        let mut json = Self::default();
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
}

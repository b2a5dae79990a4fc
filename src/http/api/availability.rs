//! `/api/sites/{site}/availability`: how much of the time the router was reachable.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::history::no_history;
use crate::history::Availability;
use crate::http::context::Context;
use crate::http::message::{Response, json};

/// The ranges with their days.
const RANGES: [(&str, u32); 4] = [("24h", 1), ("7d", 7), ("30d", 30), ("90d", 90)];

#[derive(Serialize)]
struct AvailabilityJson {
    /// The part of the known time in which the router was reachable; null if nothing is known.
    share: Option<f64>,
    /// The part of the range that is known.
    coverage: f64,
}

/// The availability of a site in each of the ranges up to now.
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    let key = &context.site()?.key;
    let mut ranges = BTreeMap::new();
    for (name, days) in RANGES {
        let range = Duration::from_secs(86_400) * days;
        let Availability { share, coverage } =
            context.services.history.availability(key, range, context.now).ok_or_else(no_history)?;
        ranges.insert(name, AvailabilityJson { share, coverage });
    }
    Ok(json(&ranges))
}

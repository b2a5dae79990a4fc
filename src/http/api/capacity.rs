//! A site's clock and capacity in `/api/sites`: `null` where unknown, with the error.

use serde::Serialize;

use super::error::ErrorJson;
use super::view::View;
use crate::plugin::Internal;
use crate::plugin::internal::PoolUse;
use crate::state::{LicenseUse, SiteState};

/// The router's clock.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClockJson {
    utc_offset_seconds: Option<i32>,
    error_seconds: Option<i64>,
    error: Option<ErrorJson>,
}

/// The address pools and the license.
#[derive(Debug, Serialize)]
pub(super) struct CapacityJson<'s> {
    pools: Option<Vec<PoolJson<'s>>>,
    license: Option<LicenseJson<'s>>,
    error: Option<ErrorJson>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolJson<'s> {
    pool: &'s str,
    used: u64,
    size: u64,
    used_ratio: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LicenseJson<'s> {
    level: &'s str,
    limit: Option<u64>,
    used: Option<u64>,
    used_ratio: Option<f64>,
}

pub(super) fn clock(view: View, site: &SiteState) -> ClockJson {
    ClockJson {
        utc_offset_seconds: site.utc_offset(),
        error_seconds: site.clock_error(view.snapshot.clock),
        error: error(view, site, Internal::Clock),
    }
}

pub(super) fn capacity<'s>(view: View, site: &'s SiteState) -> CapacityJson<'s> {
    CapacityJson {
        pools: site.pools().map(|pools| pools.iter().map(pool_json).collect()),
        license: site.license().map(license_json),
        error: error(view, site, Internal::Pools).or_else(|| error(view, site, Internal::License)),
    }
}

fn pool_json(pool: &PoolUse) -> PoolJson<'_> {
    PoolJson { pool: &pool.pool, used: pool.used, size: pool.size, used_ratio: pool.ratio().map(rounded) }
}

fn license_json(license: LicenseUse<'_>) -> LicenseJson<'_> {
    let LicenseUse { level, limit, used } = license;
    LicenseJson { level, limit, used, used_ratio: license.ratio().map(rounded) }
}

fn error(view: View, site: &SiteState, internal: Internal) -> Option<ErrorJson> {
    ErrorJson::of_reading(view, site.internal_reading(internal)?)
}

/// A ratio, to a hundredth of a percent.
fn rounded(ratio: f64) -> f64 {
    (ratio * 10_000.0).round() / 10_000.0
}

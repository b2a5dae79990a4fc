//! A site's clock and capacity: what the internal plugins know about it. Each figure is absent while it is unknown.

use super::{ConnectionState, Reading, ReadingState, SiteState};
use crate::clock::Clock;
use crate::plugin::internal::{InternalData, PoolUse, SystemClock};
use crate::plugin::{Data, Internal, Plugin};

/// How much of a license's hotspot user limit is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LicenseUse<'s> {
    /// The level of the license.
    pub level: &'s str,
    /// Maximum number of active hotspot users; `None`: no limit.
    pub limit: Option<u64>,
    /// Active hotspot users.
    pub used: Option<u64>,
}

impl LicenseUse<'_> {
    /// The used share, from 0 to 1.
    pub fn ratio(&self) -> Option<f64> {
        let limit = self.limit.filter(|limit| *limit > 0)?;
        Some(self.used? as f64 / limit as f64)
    }
}

impl SiteState {
    /// Seconds that the router's local time is ahead of UTC, as it was last read: it rarely changes.
    pub fn utc_offset(&self) -> Option<i32> {
        self.system_clock()?.utc_offset
    }

    /// Seconds that the router's clock is ahead of the agent's, which is `clock`.
    pub fn clock_error(&self, clock: Clock) -> Option<i64> {
        self.is_current(Internal::Clock).then(|| self.system_clock()?.error(clock)).flatten()
    }

    /// The utilisation of the hotspots' address pools.
    pub fn pools(&self) -> Option<&[PoolUse]> {
        match self.data(Internal::Pools)? {
            InternalData::Pools(pools) if self.is_current(Internal::Pools) => Some(pools),
            _ => None,
        }
    }

    /// The utilisation of the license's user limit.
    pub fn license(&self) -> Option<LicenseUse<'_>> {
        let InternalData::License(license) = self.data(Internal::License)? else { return None };
        let hotspot = self.current(Data::hotspot).filter(|hotspot| !hotspot.is_truncated);
        let used = hotspot.map(|hotspot| hotspot.sessions.len() as u64);
        let level = license.level.as_deref().filter(|_| self.is_current(Internal::License))?;
        Some(LicenseUse { level, limit: license.limit(), used })
    }

    /// The used share of the fullest address pool, from 0 to 1.
    pub fn pool_used(&self) -> Option<f64> {
        self.pools()?.iter().filter_map(PoolUse::ratio).max_by(f64::total_cmp)
    }

    /// The used share of the license's user limit, from 0 to 1.
    pub fn license_used(&self) -> Option<f64> {
        self.license()?.ratio()
    }

    /// The reading of an internal plugin, unless the site does not collect the hotspot.
    pub fn internal_reading(&self, internal: Internal) -> Option<&Reading> {
        self.reading_of(&Plugin::Internal(internal))
    }

    fn is_current(&self, internal: Internal) -> bool {
        let (ConnectionState::Online { since, .. }, Some(reading)) =
            (&self.connection, self.internal_reading(internal))
        else {
            return false;
        };
        // After an outage the router answers before the internal plugins are read again.
        reading.state(true) == ReadingState::Ok && reading.at.is_some_and(|at| at >= *since)
    }

    fn data(&self, internal: Internal) -> Option<&InternalData> {
        self.internal_reading(internal)?.data.as_deref()?.internal()
    }

    fn system_clock(&self) -> Option<&SystemClock> {
        match self.data(Internal::Clock)? {
            InternalData::Clock(clock) => Some(clock),
            _ => None,
        }
    }
}

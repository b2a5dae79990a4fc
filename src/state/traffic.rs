//! A site's traffic: current rates, and totals since midnight.

use std::sync::Arc;

use super::site_state::SiteState;
use super::today::{DayTotals, LocalTime};
use crate::clock::{Clock, Moment};
use crate::plugin::{Data, Hotspot, Rates};

impl SiteState {
    /// The hotspot's traffic rates, if the last refresh succeeded.
    pub fn rates(&self) -> Option<Rates> {
        self.current(Data::hotspot)?.rates()
    }

    /// Whether the last refresh of the hotspot succeeded, so that its sessions and all rates are current.
    pub fn is_hotspot_current(&self) -> bool {
        self.current(Data::hotspot).is_some()
    }

    /// The hotspot's totals since midnight at the site; unknown if it was not read since then.
    pub fn today(&self, now: Moment, clock: Clock) -> Option<DayTotals> {
        self.today.totals(self.local_time(now, clock))
    }

    /// Adds the totals of a day that were known before the agent's start.
    pub fn restore_today(&mut self, totals: DayTotals) {
        self.today.restore(totals);
    }

    /// Counts for today what the hotspot's data has more than the data `before` a change.
    pub(super) fn count_today(&mut self, before: Option<&Arc<Data>>, now: Moment, clock: Clock) {
        let data = self.hotspot_reading().and_then(|reading| reading.data.as_ref());
        let is_new = !data.zip(before).is_some_and(|(data, before)| Arc::ptr_eq(data, before));
        if let Some(hotspot) = self.hotspot().filter(|_| is_new) {
            let before = before.and_then(|data| data.hotspot()).map(Hotspot::counts).unwrap_or_default();
            let counted = hotspot.counts().since(before);
            self.today.add(counted, hotspot.sessions.len(), self.local_time(now, clock));
        }
    }

    fn local_time(&self, now: Moment, clock: Clock) -> LocalTime {
        LocalTime { now, clock, utc_offset_s: self.utc_offset().or_else(|| self.today.utc_offset_s()) }
    }
}

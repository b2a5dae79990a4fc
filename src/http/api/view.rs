//! A snapshot as seen at one moment, by one role.

use crate::clock::Moment;
use crate::state::{DayTotals, SiteState, Snapshot};

/// The data from which a response is rendered.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct View<'s> {
    pub(in crate::http) snapshot: &'s Snapshot,
    /// Whether the response may contain personal details.
    pub(in crate::http) is_admin: bool,
    pub(in crate::http) now: Moment,
}

impl View<'_> {
    pub(super) fn date(&self, moment: Moment) -> String {
        self.snapshot.clock.rfc3339(moment)
    }

    /// What was counted at a site since its midnight, if known.
    pub(in crate::http) fn today(&self, site: &SiteState) -> Option<DayTotals> {
        site.today(self.now, self.snapshot.clock)
    }

    /// Whole seconds since `moment`.
    pub(super) fn age_s(&self, moment: Moment) -> u64 {
        self.now.since(moment).as_secs()
    }
}

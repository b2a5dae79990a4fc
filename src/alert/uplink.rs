//! The agent's own uplink: distinguishes the loss of all sites at once from the loss of single ones.

use std::collections::HashMap;
use std::time::Duration;

use super::time::Tick;

/// Sites that are lost within this time are lost at once: each loss is noticed at the site's next refresh or heartbeat,
/// at the latest after a minute and two timeouts of a query.
const AT_ONCE: Duration = Duration::from_secs(120);

/// How long to wait for the loss of further sites, from the loss of the first one. It matters only if a rule reports
/// outages earlier.
const SUSPICION: Duration = Duration::from_secs(60);

/// How long sites may take to reconnect after the uplink is restored: the longest wait between two attempts is a minute.
const RECONNECT: Duration = Duration::from_secs(90);

/// The smallest share of all sites whose loss at once raises suspicion, as its reciprocal.
const SUSPICIOUS_SHARE: usize = 20;

/// Whether a site is reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reachability {
    /// The first attempt has not ended.
    Unknown,
    /// The router answers.
    Reachable,
    /// The router answers, and refuses the login. This says nothing about the uplink now.
    Refused,
    /// The router has not answered since this tick.
    Lost(Tick),
}

impl Reachability {
    fn lost_since(self) -> Option<Tick> {
        if let Self::Lost(since) = self { Some(since) } else { None }
    }
}

/// What the loss of a site means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It concerns this subject alone: its alert fires.
    Site,
    /// All sites were lost at once, the first one at this tick.
    Uplink(Tick),
    /// Other sites were lost at the same time, and there may be more.
    Wait,
}

/// The reachability of all sites.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    sites: HashMap<String, Reachability>,
    reachable: usize,
    /// When a site was reached after all had been lost.
    restored: Option<Tick>,
}

impl Uplink {
    /// Records the reachability of a site; `None`: the site was removed. Returns whether it is the only reachable one.
    pub(super) fn record(&mut self, site: &str, reachability: Option<Reachability>) -> bool {
        let is_reachable = reachability == Some(Reachability::Reachable);
        let was_reachable = match (self.sites.get_mut(site), reachability) {
            (Some(known), Some(reachability)) => {
                std::mem::replace(known, reachability) == Reachability::Reachable
            }
            (_, Some(reachability)) => {
                self.sites.insert(site.into(), reachability);
                false
            }
            (_, None) => self.sites.remove(site) == Some(Reachability::Reachable),
        };
        self.reachable = self.reachable + usize::from(is_reachable) - usize::from(was_reachable);
        is_reachable && !was_reachable && self.reachable == 1
    }

    /// Forgets other sites than these.
    pub(super) fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.sites.retain(|site, _| exists(site));
        self.reachable = self.sites.values().filter(|site| **site == Reachability::Reachable).count();
    }

    /// Records that the uplink is restored.
    pub(super) fn restore(&mut self, now: Tick) {
        self.restored = Some(now);
    }

    /// Whether any site is reachable.
    pub(super) fn is_any_reachable(&self) -> bool {
        self.reachable > 0
    }

    /// The number of sites.
    pub(super) fn site_count(&self) -> usize {
        self.sites.len()
    }

    /// Since when a site is lost.
    pub(super) fn lost_since(&self, site: &str) -> Option<Tick> {
        self.sites.get(site).and_then(|site| site.lost_since())
    }

    /// When a site that was lost at a tick may be reported at the earliest.
    pub(super) fn earliest_report(&self, lost: Tick) -> Tick {
        self.restored.filter(|restored| lost < *restored).map_or(lost, |restored| restored.after(RECONNECT))
    }

    /// What it means that a site was lost at a tick. A single site is always down itself: whether the uplink or the router
    /// failed can't be known.
    pub(super) fn verdict(&self, lost: Tick, now: Tick) -> Verdict {
        let is_at_once = |since: &Tick| since.since(lost).max(lost.since(*since)) <= AT_ONCE;
        let ticks = self.sites.values().filter_map(|site| site.lost_since());
        let (mut count, mut first) = (0, lost);
        for since in ticks.filter(is_at_once) {
            count += 1;
            first = first.min(since);
        }
        let is_unknown = self.sites.values().any(|site| *site == Reachability::Unknown);
        let is_early = now.since(first) < SUSPICION;
        if self.reachable == 0 && count > 1 && !(is_unknown && is_early) {
            return Verdict::Uplink(first);
        }
        let is_suspicious = count > 1 && count * SUSPICIOUS_SHARE >= self.sites.len();
        if is_suspicious && is_early { Verdict::Wait } else { Verdict::Site }
    }
}

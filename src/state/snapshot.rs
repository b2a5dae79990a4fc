//! A snapshot: the state of all sites at one moment.

use std::sync::Arc;

use super::site_state::SiteState;
use super::{Reload, StorageState};
use crate::clock::Clock;

/// The state of all sites at one moment. It never changes.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Increases with each change.
    pub generation: u64,
    /// Converts its moments to dates.
    pub clock: Clock,
    /// The result of the last reload of the configuration.
    pub reload: Reload,
    /// Whether data survives a restart.
    pub storage: StorageState,
    /// The sites, in the order of the file.
    pub sites: Vec<Arc<SiteState>>,
    /// The places of the sites in the order of their keys: a site is found without a search through a thousand.
    by_key: Arc<[usize]>,
    /// Bytes of memory that the readings of all sites take.
    pub(super) cost: usize,
}

impl Snapshot {
    /// A snapshot of these sites.
    pub fn new(reload: Reload, sites: Vec<Arc<SiteState>>) -> Self {
        let (clock, storage) = (Clock::system(), StorageState::default());
        let mut new = Self {
            generation: 0,
            clock,
            reload,
            storage,
            sites: Vec::new(),
            by_key: Arc::default(),
            cost: 0,
        };
        new.arrange(sites);
        new
    }

    /// Replaces all sites.
    pub(super) fn arrange(&mut self, sites: Vec<Arc<SiteState>>) {
        let mut by_key: Vec<usize> = (0..sites.len()).collect();
        by_key.sort_by_key(|place| &sites[*place].key);
        self.by_key = by_key.into();
        self.cost = sites.iter().map(|site| site.cost()).sum();
        self.sites = sites;
    }

    /// Begins the next generation.
    pub(super) fn advance(&mut self) {
        self.generation += 1;
        self.clock = self.clock.follow(Clock::system());
    }

    /// Replaces the state of the site at a place.
    pub(super) fn replace(&mut self, place: usize, site: Arc<SiteState>) {
        let cost = site.cost();
        let old = std::mem::replace(&mut self.sites[place], site);
        self.cost = self.cost - old.cost() + cost;
    }

    /// The place of the site with this key.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        let found = self.by_key.binary_search_by(|place| self.sites[*place].key.as_str().cmp(key));
        found.ok().map(|at| self.by_key[at])
    }

    /// The site with this key.
    pub fn site(&self, key: &str) -> Option<&SiteState> {
        self.place(key).map(|place| &*self.sites[place])
    }
}

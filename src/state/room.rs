//! Keeps the states of all sites within the memory budget.

use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::memory::fair_limit;

/// Truncates the largest readings of the largest sites if all sites together take more than `max_bytes`. Truncated
/// readings become partial; the others do not change.
pub(super) fn make_room(snapshot: &mut Snapshot, max_bytes: usize) {
    if snapshot.cost <= max_bytes {
        return;
    }
    let costs: Vec<usize> = snapshot.sites.iter().map(|site| site.cost()).collect();
    // An eighth stays free. Otherwise each new session would cause another truncation.
    let limit = fair_limit(costs.iter().copied(), max_bytes - max_bytes / 8);
    for (site, cost) in snapshot.sites.iter_mut().zip(costs).filter(|(_, cost)| *cost > limit) {
        let site = Arc::make_mut(site);
        let limit = fair_limit(site.readings.iter().map(|reading| reading.cost), limit);
        for reading in &mut site.readings {
            reading.truncate(limit);
        }
        snapshot.cost = snapshot.cost - cost + site.cost();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Moment;
    use crate::plugin::{Following, Plugin};
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::wire::Sentence;
    use crate::state::{Reload, SiteState};

    /// A site with this many sessions.
    fn site(key: &str, sessions: usize) -> Arc<SiteState> {
        let plugin = Plugin::Hotspot;
        let mut site = SiteState::new(key, key, Duration::from_secs(30), [], [plugin]);
        let row = |n: usize| Sentence::from_words(["!re", &format!("=.id=*{n:04X}"), "=user=x"]);
        let answers = [Ok(Reply { rows: (0..sessions).map(row).collect(), ..Reply::default() })];
        let (now, codepage) = (Moment::now(), Codepage::named("windows-1252").unwrap());
        let reading = site.readings[0].clone().after(&answers, now, now, codepage, Following::No);
        site.put(reading);
        site.into()
    }

    fn sessions(snapshot: &Snapshot) -> Vec<usize> {
        snapshot.sites.iter().map(|site| site.hotspot().unwrap().sessions.len()).collect()
    }

    #[test]
    fn the_largest_sites_are_truncated() {
        let one = site("one", 1).cost();
        let all = vec![site("small", 10), site("large", 200), site("larger", 500)];
        let mut snapshot = Snapshot::new(Reload::first(None, Vec::new()), all.clone());
        make_room(&mut snapshot, 710 * one);
        assert_eq!(sessions(&snapshot), [10, 200, 500], "they fit");
        make_room(&mut snapshot, 240 * one);
        // An eighth is left free.
        assert_eq!(sessions(&snapshot), [10, 100, 100]);
        assert!(Arc::ptr_eq(&snapshot.sites[0], &all[0]), "it is not touched");
        let reason = "100 of 500 rows are kept: the agent has no memory for more";
        assert_eq!(snapshot.sites[2].readings[0].partial_for(true), Some(reason));
        assert!(snapshot.cost <= 210 * one);
        assert_eq!(snapshot.cost, snapshot.sites.iter().map(|site| site.cost()).sum::<usize>());
        let truncated = snapshot.sites.clone();
        make_room(&mut snapshot, 240 * one);
        let is_same = |(now, before)| Arc::ptr_eq(now, before);
        assert!(snapshot.sites.iter().zip(&truncated).all(is_same), "they fit now");
        // They are read again.
        snapshot.arrange(all);
        make_room(&mut snapshot, 240 * one);
        assert_eq!(sessions(&snapshot), [10, 100, 100]);
        assert!(snapshot.sites[1].readings[0].partial.is_some());
    }
}

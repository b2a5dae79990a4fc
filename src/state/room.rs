//! Keeps the states of all sites within the memory budget.

use std::sync::Arc;

use super::snapshot::SiteState;
use crate::memory::fair_limit;

/// Truncates the largest readings of the largest sites if all sites together take more than `max_bytes`. Truncated
/// readings become partial; the others do not change.
pub(super) fn make_room(sites: &mut [Arc<SiteState>], max_bytes: usize) {
    let costs: Vec<usize> = sites.iter().map(|site| site.cost()).collect();
    if costs.iter().sum::<usize>() <= max_bytes {
        return;
    }
    // An eighth stays free. Otherwise each new session would cause another truncation.
    let limit = fair_limit(costs.iter().copied(), max_bytes - max_bytes / 8);
    for (site, _) in sites.iter_mut().zip(costs).filter(|(_, cost)| *cost > limit) {
        let site = Arc::make_mut(site);
        let limit = fair_limit(site.readings.iter().map(|reading| reading.cost), limit);
        for reading in &mut site.readings {
            reading.truncate(limit);
        }
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

    fn sessions(sites: &[Arc<SiteState>]) -> Vec<usize> {
        sites.iter().map(|site| site.hotspot().unwrap().sessions.len()).collect()
    }

    #[test]
    fn the_largest_sites_are_truncated() {
        let one = site("one", 1).cost();
        let mut sites = vec![site("small", 10), site("large", 200), site("larger", 500)];
        let all = sites.clone();
        make_room(&mut sites, 710 * one);
        assert_eq!(sessions(&sites), [10, 200, 500], "they fit");
        make_room(&mut sites, 240 * one);
        // An eighth is left free.
        assert_eq!(sessions(&sites), [10, 100, 100]);
        assert!(Arc::ptr_eq(&sites[0], &all[0]), "it is not touched");
        let reason = "100 of 500 rows are kept: the agent has no memory for more";
        assert_eq!(sites[2].readings[0].partial_for(true), Some(reason));
        assert!(sites.iter().map(|site| site.cost()).sum::<usize>() <= 210 * one);
        let truncated = sites.clone();
        make_room(&mut sites, 240 * one);
        assert!(sites.iter().zip(&truncated).all(|(now, before)| Arc::ptr_eq(now, before)), "they fit now");
        // They are read again.
        for (site, whole) in sites.iter_mut().zip(&all) {
            Arc::make_mut(site).put(whole.readings[0].clone());
        }
        make_room(&mut sites, 240 * one);
        assert_eq!(sessions(&sites), [10, 100, 100]);
        assert!(sites[1].readings[0].partial.is_some());
    }
}

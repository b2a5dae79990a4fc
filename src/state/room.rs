//! Keeps what is known of all sites within the memory budget.

use std::sync::Arc;
use std::time::Duration;

use super::snapshot::SiteState;
use crate::clock::Moment;
use crate::memory::fair_limit;

/// From one line in the log about a site that has no room to the next: it may change with each refresh.
const LOGGED_EVERY: Duration = Duration::from_secs(600);

/// Cuts the largest plugins of the largest sites, where all of them take more than `most` bytes. The others stay as
/// they are. Gives lines for the log.
pub(super) fn make_room(sites: &mut [Arc<SiteState>], most: usize, now: Moment) -> Vec<String> {
    let costs: Vec<usize> = sites.iter().map(|site| site.cost()).collect();
    if costs.iter().sum::<usize>() <= most {
        return Vec::new();
    }
    // A little more than is needed, or each session that comes would cut again.
    let limit = fair_limit(costs.iter().copied(), most - most / 8);
    let mut lines = Vec::new();
    for (site, _) in sites.iter_mut().zip(costs).filter(|(_, cost)| *cost > limit) {
        let site = Arc::make_mut(site);
        let limit = fair_limit(site.readings.iter().map(|reading| reading.cost), limit);
        let is_due = site.cut_at.is_none_or(|at| now.since(at) >= LOGGED_EVERY);
        for reading in &mut site.readings {
            let plugin = reading.plugin.clone();
            if let Some(why) = reading.cut(limit)
                && is_due
            {
                site.cut_at = Some(now);
                lines.push(format!("site={} plugin={} state=partial msg=\"{why}\"", site.key, plugin.name()));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{Following, Plugin};
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::wire::Sentence;

    /// A site with so many sessions.
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
    fn the_largest_sites_are_cut_and_the_log_says_so_once() {
        let one = site("one", 1).cost();
        let mut sites = vec![site("small", 10), site("large", 200), site("larger", 500)];
        let all = sites.clone();
        assert!(make_room(&mut sites, 710 * one, Moment::now()).is_empty());
        assert_eq!(sessions(&sites), [10, 200, 500], "they fit");
        let now = Moment::now();
        let lines = make_room(&mut sites, 240 * one, now);
        // An eighth is left free.
        assert_eq!(sessions(&sites), [10, 100, 100]);
        assert!(Arc::ptr_eq(&sites[0], &all[0]), "it is not touched");
        assert_eq!(lines.len(), 2, "{lines:?}");
        let line = "site=larger plugin=hotspot state=partial msg=\"100 of 500 rows are kept: the agent has no memory for more\"";
        assert_eq!(lines[1], line);
        assert!(sites.iter().map(|site| site.cost()).sum::<usize>() <= 210 * one);
        assert!(make_room(&mut sites, 240 * one, now).is_empty(), "they fit now");
        // They are read again.
        for (site, whole) in sites.iter_mut().zip(&all) {
            Arc::make_mut(site).put(whole.readings[0].clone());
        }
        assert_eq!(make_room(&mut sites, 240 * one, now), [""; 0], "it is known");
        assert_eq!(sessions(&sites), [10, 100, 100]);
        assert!(sites[1].readings[0].partial.is_some());
    }
}

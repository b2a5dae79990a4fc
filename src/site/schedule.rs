//! Schedule of a site's plugins: each is read with the site's refresh or at its own interval.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::config;
use crate::plugin::Plugin;

/// Refreshes without a token read a plugin at most this many times per interval: visitors of the page can increase the
/// load of a router to at most three times the configured rate.
pub(super) const ANONYMOUS_SHARE: u32 = 3;

/// A day, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// The schedule of one connection. All times lie on one grid, so that a plugin that is read every ten seconds and one that
/// is read every minute are queried in one write.
#[derive(Debug)]
pub(super) struct Schedule {
    /// A moment of the grid.
    origin: Instant,
    refresh: Interval,
    /// When the plugins of the site's refresh were last read.
    refreshed: Instant,
    entries: Vec<Entry>,
    /// See `Timings::plugin_reread`.
    reread: Duration,
}

#[derive(Debug)]
struct Entry {
    plugin: Plugin,
    /// `None` if it is read with the site's refresh.
    interval: Option<Interval>,
    /// When it was last read over this connection.
    read: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Interval {
    every: Duration,
    next: Instant,
}

/// Which plugins to read, besides those that were never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadScope {
    /// Those that are due.
    Due,
    /// Those that are due, and all of the site's refresh: changes may have been missed.
    Refresh,
    /// Those of the refresh, and all others that were last read a third of their interval ago: a request without a token.
    Anonymous,
    /// All plugins: a request with a token.
    All,
}

impl Schedule {
    /// A schedule in which all plugins are new, on the grid of this origin.
    pub(super) fn new(config: &config::Site, origin: Instant, now: Instant, reread: Duration) -> Self {
        let next = on_grid(origin, config.refresh, now + config.refresh / 2);
        let refresh = Interval { every: config.refresh, next };
        let mut schedule = Self { origin, refresh, refreshed: now, entries: Vec::new(), reread };
        schedule.adopt(config, now);
        schedule
    }

    /// Applies another configuration.
    pub(super) fn adopt(&mut self, config: &config::Site, now: Instant) {
        let origin = self.origin;
        // A plugin with the same interval keeps its times.
        let interval = |known: Option<Interval>, every| {
            known
                .filter(|known| known.every == every)
                .unwrap_or_else(|| Interval { every, next: on_grid(origin, every, now + every / 2) })
        };
        self.refresh = interval(Some(self.refresh), config.refresh);
        let mut known = std::mem::take(&mut self.entries);
        for plugin in config.plugins.iter().cloned().chain(Plugin::internal(&config.plugins)) {
            let at = known.iter().position(|entry| entry.plugin == plugin);
            let known = at.map(|at| known.swap_remove(at));
            let known_interval = known.as_ref().and_then(|entry| entry.interval);
            self.entries.push(Entry {
                interval: plugin.every().map(|every| interval(known_interval, every)),
                read: known.and_then(|entry| entry.read),
                plugin,
            });
        }
    }

    /// Makes all plugins due, as if they had never been read.
    pub(super) fn renew(&mut self) {
        for entry in &mut self.entries {
            entry.read = None;
        }
    }

    /// When the next plugin is due.
    pub(super) fn next(&self) -> Instant {
        let intervals = self.entries.iter().filter_map(|entry| entry.interval);
        intervals.fold(self.refresh.next, |next, interval| next.min(interval.next))
    }

    /// The time since the plugins of the site's refresh were last read.
    pub(super) fn since_refresh(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.refreshed)
    }

    /// Whether a plugin was never read over this connection.
    pub(super) fn has_new(&self) -> bool {
        self.entries.iter().any(|entry| entry.read.is_none())
    }

    /// Returns the plugins to read now, and schedules their next reads. Missed reads are skipped.
    pub(super) fn take(&mut self, now: Instant, scope: ReadScope) -> Vec<Plugin> {
        let refreshes = self.refresh.advance(now) || scope != ReadScope::Due;
        if refreshes {
            self.refreshed = now;
        }
        let mut due = Vec::new();
        for entry in &mut self.entries {
            let age = entry.read.map_or(Duration::MAX, |read| now.saturating_duration_since(read));
            let is_due = match &mut entry.interval {
                Some(interval) => {
                    let is_requested = match scope {
                        ReadScope::All => age >= self.reread,
                        ReadScope::Anonymous => age >= self.reread.max(interval.every / ANONYMOUS_SHARE),
                        ReadScope::Due | ReadScope::Refresh => false,
                    };
                    interval.advance(now) || is_requested
                }
                None => refreshes,
            };
            if is_due || entry.read.is_none() {
                entry.read = Some(now);
                due.push(entry.plugin.clone());
            }
        }
        due
    }
}

impl Interval {
    /// Whether it is due; if so, the next time is the first after `now`.
    fn advance(&mut self, now: Instant) -> bool {
        let is_due = self.next <= now;
        if is_due {
            self.next = on_grid(self.next, self.every, now);
        }
        is_due
    }
}

/// The origin of a site's grid. A day of origins, divided among the sites by their keys, spreads the sites over any shorter
/// interval, and a site keeps its place whenever it connects and whatever else is configured.
pub(super) fn origin(site: &str) -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let mut hasher = DefaultHasher::new();
    site.hash(&mut hasher);
    *START + Duration::from_millis(hasher.finish() % DAY_MS)
}

/// The first moment of the grid (multiples of `every` from `origin`) after `least`; if `origin` is later than `least`,
/// `least` itself is allowed.
fn on_grid(origin: Instant, every: Duration, least: Instant) -> Instant {
    let intervals =
        |apart: Duration| u32::try_from(apart.as_nanos() / every.as_nanos().max(1)).unwrap_or(u32::MAX);
    if origin > least {
        let back = every * intervals(origin - least);
        origin.checked_sub(back).unwrap_or(least)
    } else {
        origin + every * intervals(least - origin).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Secret;
    use crate::plugin::Declaration;

    const REREAD: Duration = Duration::from_secs(10);

    fn site(refresh_s: u64, plugins: &[(&str, u64)]) -> config::Site {
        let plugin = |&(name, every_s): &(&str, u64)| -> Plugin {
            let declared = || {
                Plugin::Declared(Arc::new(Declaration {
                    name: name.into(),
                    title: name.into(),
                    menu: "/a".into(),
                    query: Vec::new(),
                    columns: vec!["b".into()],
                    every: (every_s > 0).then(|| Duration::from_secs(every_s)),
                    private: false,
                    metrics: Vec::new(),
                }))
            };
            Plugin::built_in(name).unwrap_or_else(declared)
        };
        let refresh = Duration::from_secs(refresh_s);
        let plugins = plugins.iter().map(plugin).collect();
        config::Site {
            refresh,
            plugins,
            ..config::Site::new("awka", Vec::new(), "", Secret::new(String::new()))
        }
    }

    fn names(due: &[Plugin]) -> String {
        due.iter().map(Plugin::name).collect::<Vec<_>>().join(" ")
    }

    /// The plugins that are read in this many seconds, with the times.
    fn run(schedule: &mut Schedule, from: Instant, seconds: u64) -> Vec<(u64, String)> {
        let mut read = Vec::new();
        while schedule.next() <= from + Duration::from_secs(seconds) {
            let now = schedule.next();
            read.push(((now - from).as_secs(), names(&schedule.take(now, ReadScope::Due))));
        }
        read
    }

    #[test]
    fn plugins_are_read_at_their_own_intervals_and_together_when_they_coincide() {
        let start = Instant::now();
        let config = site(10, &[("resource", 0), ("slow", 30), ("with", 0), ("fast", 5)]);
        let mut schedule = Schedule::new(&config, start + config.refresh, start, REREAD);
        assert_eq!(
            names(&schedule.take(start, ReadScope::Due)),
            "resource slow with fast",
            "all of them at first"
        );
        let read = run(&mut schedule, start, 60);
        let expected = [
            (5, "fast"),
            (10, "resource with fast"),
            (15, "fast"),
            (20, "resource with fast"),
            (25, "fast"),
            (30, "resource with fast"),
            (35, "fast"),
            (40, "resource slow with fast"),
            (45, "fast"),
            (50, "resource with fast"),
            (55, "fast"),
            (60, "resource with fast"),
        ];
        assert_eq!(read, expected.map(|(at, names)| (at, names.to_string())));
    }

    #[test]
    fn requested_refreshes_do_not_shift_the_schedule() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = Schedule::new(
            &site(10, &[("resource", 0), ("slow", 30)]),
            at(5),
            start.checked_sub(Duration::from_secs(1)).unwrap(),
            REREAD,
        );
        schedule.take(start, ReadScope::Due);
        assert_eq!(names(&schedule.take(at(1), ReadScope::Due)), "");
        assert_eq!(names(&schedule.take(at(1), ReadScope::Refresh)), "resource");
        assert_eq!(
            names(&schedule.take(at(1), ReadScope::All)),
            "resource",
            "the expensive plugin was just read"
        );
        assert_eq!(schedule.next(), at(5));
        assert_eq!(names(&schedule.take(at(12), ReadScope::All)), "resource slow");
        assert_eq!(names(&schedule.take(at(13), ReadScope::All)), "resource");
        assert_eq!(schedule.next(), at(15));
        // A refresh that took long.
        assert_eq!(names(&schedule.take(at(44), ReadScope::Due)), "resource slow");
        assert_eq!(schedule.next(), at(45));
    }

    #[test]
    fn anonymous_requests_read_a_plugin_once_per_third_of_its_interval() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let plugins = [("resource", 0), ("slow", 3600), ("fast", 12)];
        let mut schedule = Schedule::new(&site(7200, &plugins), at(3600), start, REREAD);
        schedule.take(start, ReadScope::All);
        assert_eq!(schedule.since_refresh(at(11)), Duration::from_secs(11));
        assert_eq!(names(&schedule.take(at(11), ReadScope::Anonymous)), "resource fast");
        assert_eq!(schedule.since_refresh(at(11)), Duration::ZERO);
        assert_eq!(names(&schedule.take(at(12), ReadScope::Due)), "fast", "its own time");
        assert_eq!(schedule.since_refresh(at(12)), Duration::from_secs(1));
        // Ten seconds at least, though a third of its interval is four.
        assert_eq!(names(&schedule.take(at(21), ReadScope::Anonymous)), "resource");
        assert_eq!(names(&schedule.take(at(1199), ReadScope::Anonymous)), "resource fast");
        assert_eq!(names(&schedule.take(at(1200), ReadScope::Anonymous)), "resource slow fast");
        assert_eq!(names(&schedule.take(at(1211), ReadScope::All)), "resource slow fast", "with a token");
    }

    #[test]
    fn a_changed_configuration_keeps_unchanged_times() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut schedule =
            Schedule::new(&site(3600, &[("resource", 0), ("slow", 60)]), at(1800), start, REREAD);
        schedule.take(start, ReadScope::Due);
        let before = schedule.next();
        schedule.adopt(&site(3600, &[("slow", 60), ("resource", 0), ("new", 600)]), at(1));
        assert!(schedule.has_new());
        assert_eq!(schedule.next(), before);
        assert_eq!(names(&schedule.take(at(1), ReadScope::Due)), "new");
        assert!(!schedule.has_new());
        // A shorter interval applies soon.
        schedule.adopt(&site(2, &[("slow", 60), ("resource", 0)]), at(2));
        assert!(schedule.next() <= at(5), "{:?}", schedule.next() - start);
        schedule.renew();
        assert!(schedule.has_new());
        assert_eq!(names(&schedule.take(at(2), ReadScope::Due)), "slow resource");
        // The same name with another query is another plugin.
        schedule.adopt(&site(2, &[("slow", 30)]), at(2));
        assert_eq!(names(&schedule.take(at(2), ReadScope::Due)), "slow");
    }

    #[test]
    fn internal_plugins_are_read_at_first_and_then_at_their_own_intervals() {
        let start = Instant::now();
        let mut schedule =
            Schedule::new(&site(30, &[("hotspot", 0)]), start + Duration::from_secs(30), start, REREAD);
        let first = names(&schedule.take(start, ReadScope::All));
        assert_eq!(first, "hotspot clock pools license");
        let read = run(&mut schedule, start, 3 * 3600);
        let count = |name: &str| read.iter().filter(|(_, names)| names.contains(name)).count();
        assert_eq!((count("hotspot"), count("pools"), count("license"), count("clock")), (360, 179, 2, 2));
        assert!(read.iter().all(|(_, names)| names.starts_with("hotspot")), "all on the grid of the refresh");
        schedule.adopt(&site(30, &[("resource", 0)]), start);
        assert_eq!(names(&schedule.take(start, ReadScope::All)), "resource", "without a hotspot");
    }

    #[test]
    fn sites_refresh_at_different_times_whenever_they_connect() {
        let start = Instant::now();
        for every_s in [30, 60, 3600] {
            let (config, every) = (site(every_s, &[]), Duration::from_secs(every_s));
            let first = |key: &str, connected: Instant| {
                let next = Schedule::new(&config, origin(key), connected, REREAD).next();
                assert!(next >= connected + every / 2 && next <= connected + every * 3 / 2);
                next
            };
            let mut counts = [0; 30];
            for n in 0..1000 {
                let key = format!("site-{n}");
                let one = first(&key, start);
                let later = first(&key, start + Duration::from_millis(123_456));
                assert_eq!((later - one).as_nanos() % every.as_nanos(), 0, "a site keeps its place");
                let thirtieth = (one - start).as_nanos() % every.as_nanos() * 30 / every.as_nanos();
                counts[usize::try_from(thirtieth).unwrap()] += 1;
            }
            // 33 on average.
            assert!(counts.iter().all(|count| (10..=66).contains(count)), "{every:?}: {counts:?}");
        }
    }

    #[test]
    fn grid_moments_lie_before_and_after_the_origin() {
        let start = Instant::now() + Duration::from_secs(1000);
        let at = |seconds: i64| {
            let apart = Duration::from_secs(seconds.unsigned_abs());
            if seconds < 0 { start.checked_sub(apart).unwrap() } else { start + apart }
        };
        for (every, least, expected) in [
            (10, 0, 10),
            (10, 1, 10),
            (10, 10, 20),
            (10, 19, 20),
            (10, -1, 0),
            (10, -10, -10),
            (10, -11, -10),
            (7, 100, 105),
        ] {
            assert_eq!(
                on_grid(start, Duration::from_secs(every), at(least)),
                at(expected),
                "{every} {least}"
            );
        }
    }
}

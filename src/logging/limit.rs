//! Rate limits of log lines, so that nobody can fill a disk or hide other lines.
//!
//! Each place in the source that logs what a client did has a token bucket of its own, and all of them share another.
//! All other lines share one that is much larger: they tell of sites, files and the agent itself. What is left out is
//! counted, and reported in one line per place.

use std::time::{Duration, Instant};

use log::Record;

use super::line::{Line, cut};

/// The modules whose lines clients can cause begin with this.
const OF_CLIENTS: &str = "phsweb_agent::http";

/// A place whose lines clients can cause: ten people who log in together, then one line a second.
const PLACE: Rate = Rate { burst: 10, interval: Duration::from_secs(1) };

/// All of these places together. A line has up to 3 KiB, so this is 30 KiB a second at most.
const CLIENTS: Rate = Rate { burst: 10, interval: Duration::from_millis(100) };

/// Everything else: each of a thousand sites when their uplink fails, then what routers do over and over.
const OTHERS: Rate = Rate { burst: 1024, interval: Duration::from_millis(100) };

/// From the first line that is left out to the report of how many were.
const REPORT_AFTER: Duration = Duration::from_secs(10);

/// Longest example in a report, in bytes. Quoted it may be five times as long.
const MAX_EXAMPLE: usize = 256;

/// Where a line is from: the module and the line in its source. `None` stands for all places that clients can't reach.
pub(super) type Place = Option<(&'static str, u32)>;

/// The place that a record is from.
pub(super) fn place(record: &Record) -> Place {
    let module = record.module_path_static().filter(|module| module.starts_with(OF_CLIENTS))?;
    Some((module, record.line().unwrap_or_default()))
}

/// Decides which lines are written.
pub(super) struct Limiter {
    clients: Bucket,
    /// As many as the source has places that have logged.
    places: Vec<(Place, Counted)>,
}

/// The lines of one place.
struct Counted {
    bucket: Bucket,
    left_out: Option<LeftOut>,
}

/// Lines that were left out since the last report.
struct LeftOut {
    since: Instant,
    count: u64,
    /// The first of them.
    example: Line,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { clients: Bucket::new(CLIENTS, Instant::now()), places: Vec::new() }
    }
}

impl Limiter {
    /// Gives the line back if it is to be written, or counts it.
    pub(super) fn admit(&mut self, place: Place, line: Line, now: Instant) -> Option<Line> {
        let at = self.places.iter().position(|(known, _)| *known == place).unwrap_or_else(|| {
            let rate = if place.is_some() { PLACE } else { OTHERS };
            self.places.push((place, Counted { bucket: Bucket::new(rate, now), left_out: None }));
            self.places.len() - 1
        });
        let Counted { bucket, left_out } = &mut self.places[at].1;
        let is_of_client = place.is_some();
        if bucket.has_token(now) && (!is_of_client || self.clients.has_token(now)) {
            bucket.take(now);
            if is_of_client {
                self.clients.take(now);
            }
            return Some(line);
        }
        left_out.get_or_insert(LeftOut { since: now, count: 0, example: line }).count += 1;
        None
    }

    /// The report of a place, if one is due, or `early` if there is one.
    pub(super) fn report(&mut self, now: Instant, early: bool) -> Option<Line> {
        let mut left_out = self.places.iter_mut().map(|(_, counted)| &mut counted.left_out);
        let due = left_out.find(|left| left.as_ref().is_some_and(|left| early || left.due() <= now))?;
        let LeftOut { since, count, mut example } = due.take()?;
        let seconds = now.saturating_duration_since(since).as_secs();
        cut(&mut example.text, MAX_EXAMPLE);
        example.text = format!("suppressed={count} seconds={seconds} example={:?}", example.text);
        Some(example)
    }

    /// When the next report is due.
    pub(super) fn next_report(&self) -> Option<Instant> {
        self.places.iter().filter_map(|(_, counted)| Some(counted.left_out.as_ref()?.due())).min()
    }
}

impl LeftOut {
    fn due(&self) -> Instant {
        self.since + REPORT_AFTER
    }
}

/// How many lines may come at once, and in which interval one more may.
#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    interval: Duration,
}

/// A token bucket, kept as the time at which it is full again.
struct Bucket {
    rate: Rate,
    full_at: Instant,
}

impl Bucket {
    fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, full_at: now }
    }

    fn has_token(&self, now: Instant) -> bool {
        self.full_at.saturating_duration_since(now) <= self.rate.interval * (self.rate.burst - 1)
    }

    fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.rate.interval;
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    const LOGIN: Place = Some(("phsweb_agent::http::auth", 75));
    const REFRESH: Place = Some(("phsweb_agent::http::actions", 130));

    fn line(text: &str) -> Line {
        Line { level: Level::Warn, target: "target".into(), text: text.into() }
    }

    /// How many of so many lines at once are written.
    fn written(limiter: &mut Limiter, place: Place, count: usize, now: Instant) -> usize {
        (0..count).filter(|n| limiter.admit(place, line(&format!("line {n}")), now).is_some()).count()
    }

    #[test]
    fn a_place_has_ten_lines_and_then_one_a_second() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(written(&mut limiter, LOGIN, 2000, at(0)), 10);
        assert_eq!(written(&mut limiter, LOGIN, 2000, at(999)), 0);
        assert_eq!(written(&mut limiter, LOGIN, 2000, at(1000)), 1);
        assert_eq!(written(&mut limiter, LOGIN, 2000, at(5500)), 4);
        assert_eq!(written(&mut limiter, LOGIN, 2000, at(60_000)), 10);
    }

    #[test]
    fn places_of_clients_share_ten_lines_a_second() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        let mut total = 0;
        for second in 0..10 {
            let now = start + Duration::from_secs(second);
            for number in 0..100 {
                total += written(&mut limiter, Some(("phsweb_agent::http", number)), 20, now);
            }
        }
        assert_eq!(total, 10 + 9 * 10);
        // What clients do leaves the others their lines: a thousand sites at once, then ten a second.
        assert_eq!(written(&mut limiter, None, 5000, start), 1024);
        assert_eq!(written(&mut limiter, None, 5000, start + Duration::from_secs(10)), 100);
    }

    #[test]
    fn what_is_left_out_is_reported_once_per_place() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        written(&mut limiter, LOGIN, 9, at(0));
        assert!(limiter.next_report().is_none(), "nothing was left out");
        written(&mut limiter, LOGIN, 100, at(1));
        written(&mut limiter, REFRESH, 50, at(3));
        assert_eq!(limiter.next_report(), Some(at(11)));
        assert!(limiter.report(at(10), false).is_none());
        let report = limiter.report(at(12), false).unwrap();
        assert_eq!((report.level, report.target.as_str()), (Level::Warn, "target"));
        assert_eq!(report.text, "suppressed=98 seconds=11 example=\"line 2\"");
        assert!(limiter.report(at(12), false).is_none(), "it was reported");
        assert_eq!(limiter.next_report(), Some(at(13)));
        assert!(limiter.report(at(13), false).is_some());
        assert!(limiter.next_report().is_none());
        written(&mut limiter, LOGIN, 100, at(20));
        let report = limiter.report(at(22), true).unwrap();
        assert_eq!(report.text, "suppressed=90 seconds=2 example=\"line 10\"");
    }

    #[test]
    fn an_example_is_short_and_one_line() {
        let start = Instant::now();
        let mut limiter = Limiter::default();
        for _ in 0..11 {
            limiter.admit(LOGIN, line(&"\u{1}\n".repeat(3000)), start);
        }
        let text = limiter.report(start + REPORT_AFTER, false).unwrap().text;
        assert!(text.len() < 5 * MAX_EXAMPLE + 100 && !text.contains('\n'), "{} bytes", text.len());
    }

    #[test]
    fn only_places_that_clients_reach_are_told_apart() {
        let of = |module: &'static str| {
            place(&Record::builder().module_path_static(Some(module)).line(Some(7)).build())
        };
        assert_eq!(of("phsweb_agent::http::auth::login"), Some(("phsweb_agent::http::auth::login", 7)));
        assert_eq!(of("phsweb_agent::site::session"), None);
        assert_eq!(of("a_crate"), None);
    }
}

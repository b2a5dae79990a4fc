//! Rate limits of log lines, so that no client can fill a disk or hide other lines.
//!
//! Each log statement that a client can trigger has its own token bucket, and all of these share another one. All other
//! lines, about sites, files and the agent itself, share a much larger one. Suppressed lines are counted, and reported in
//! one line per statement.

use std::time::{Duration, Instant};

use log::Record;

use super::line::LogLine;
use crate::text::shortened;

/// Prefix of the modules whose lines clients can trigger.
const CLIENT_MODULES: &str = "phsweb_agent::http";

/// For one log statement that clients can trigger: ten people who log in together, then one line a second.
const STATEMENT: Rate = Rate { burst: 10, interval: Duration::from_secs(1) };

/// For all of these statements together. A line has up to 3 KiB, so this is at most 30 KiB a second.
const CLIENTS: Rate = Rate { burst: 10, interval: Duration::from_millis(100) };

/// For all other lines: one from each of a thousand sites when their uplink fails, then repeated problems of routers.
const OTHERS: Rate = Rate { burst: 1024, interval: Duration::from_millis(100) };

/// From the first suppressed line to the report of their number.
const REPORT_AFTER: Duration = Duration::from_secs(10);

/// Maximum length of the example in a report, in bytes. Quotes and escapes may make it five times as long.
const MAX_EXAMPLE: usize = 256;

/// The log statement of a line: its module and line of source. `None` stands for all that clients can't trigger.
pub(super) type Origin = Option<(&'static str, u32)>;

/// The log statement of a record.
pub(super) fn origin(record: &Record) -> Origin {
    let module = record.module_path_static().filter(|module| module.starts_with(CLIENT_MODULES))?;
    Some((module, record.line().unwrap_or_default()))
}

/// Decides which lines are written.
pub(super) struct Limiter {
    clients: Bucket,
    /// One entry for each statement that has logged, so the source limits their number.
    origins: Vec<(Origin, OriginState)>,
}

/// The state of one log statement.
struct OriginState {
    bucket: Bucket,
    suppressed: Option<Suppressed>,
}

/// Lines that were suppressed since the last report.
struct Suppressed {
    since: Instant,
    count: u64,
    /// The first one.
    example: LogLine,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { clients: Bucket::new(CLIENTS, Instant::now()), origins: Vec::new() }
    }
}

impl Limiter {
    /// Returns the line if it may be written, or counts it.
    pub(super) fn admit(&mut self, origin: Origin, line: LogLine, now: Instant) -> Option<LogLine> {
        let at = self.origins.iter().position(|(known, _)| *known == origin).unwrap_or_else(|| {
            let rate = if origin.is_some() { STATEMENT } else { OTHERS };
            self.origins.push((origin, OriginState { bucket: Bucket::new(rate, now), suppressed: None }));
            self.origins.len() - 1
        });
        let OriginState { bucket, suppressed } = &mut self.origins[at].1;
        let is_of_client = origin.is_some();
        if bucket.has_token(now) && (!is_of_client || self.clients.has_token(now)) {
            bucket.take(now);
            if is_of_client {
                self.clients.take(now);
            }
            return Some(line);
        }
        suppressed.get_or_insert(Suppressed { since: now, count: 0, example: line }).count += 1;
        None
    }

    /// The next report that is due. With `early`, also one that is not due yet.
    pub(super) fn report(&mut self, now: Instant, early: bool) -> Option<LogLine> {
        let mut suppressed = self.origins.iter_mut().map(|(_, state)| &mut state.suppressed);
        let due = suppressed.find(|one| one.as_ref().is_some_and(|one| early || one.due() <= now))?;
        let Suppressed { since, count, mut example } = due.take()?;
        let seconds = now.saturating_duration_since(since).as_secs();
        let text = shortened(&example.text, MAX_EXAMPLE);
        example.text = format!("suppressed={count} seconds={seconds} example={text:?}");
        Some(example)
    }

    /// When the next report is due.
    pub(super) fn next_report(&self) -> Option<Instant> {
        self.origins.iter().filter_map(|(_, state)| Some(state.suppressed.as_ref()?.due())).min()
    }
}

impl Suppressed {
    fn due(&self) -> Instant {
        self.since + REPORT_AFTER
    }
}

/// How many lines may be written at once, and the interval after which one more may.
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

    const LOGIN: Origin = Some(("phsweb_agent::http::auth", 75));
    const REFRESH: Origin = Some(("phsweb_agent::http::actions", 130));

    fn line(text: &str) -> LogLine {
        LogLine { level: Level::Warn, target: "target".into(), text: text.into() }
    }

    /// How many of this many lines at once are admitted.
    fn admitted(limiter: &mut Limiter, origin: Origin, count: usize, now: Instant) -> usize {
        (0..count).filter(|n| limiter.admit(origin, line(&format!("line {n}")), now).is_some()).count()
    }

    #[test]
    fn one_statement_writes_ten_lines_and_then_one_a_second() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(admitted(&mut limiter, LOGIN, 2000, at(0)), 10);
        assert_eq!(admitted(&mut limiter, LOGIN, 2000, at(999)), 0);
        assert_eq!(admitted(&mut limiter, LOGIN, 2000, at(1000)), 1);
        assert_eq!(admitted(&mut limiter, LOGIN, 2000, at(5500)), 4);
        assert_eq!(admitted(&mut limiter, LOGIN, 2000, at(60_000)), 10);
    }

    #[test]
    fn all_statements_of_clients_share_ten_lines_a_second() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        let mut total = 0;
        for second in 0..10 {
            let now = start + Duration::from_secs(second);
            for number in 0..100 {
                total += admitted(&mut limiter, Some(("phsweb_agent::http", number)), 20, now);
            }
        }
        assert_eq!(total, 10 + 9 * 10);
        // Other lines have their own limit: a thousand sites at once, then ten a second.
        assert_eq!(admitted(&mut limiter, None, 5000, start), 1024);
        assert_eq!(admitted(&mut limiter, None, 5000, start + Duration::from_secs(10)), 100);
    }

    #[test]
    fn suppressed_lines_are_reported_once_per_statement() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        admitted(&mut limiter, LOGIN, 9, at(0));
        assert!(limiter.next_report().is_none(), "no line was suppressed");
        admitted(&mut limiter, LOGIN, 100, at(1));
        admitted(&mut limiter, REFRESH, 50, at(3));
        assert_eq!(limiter.next_report(), Some(at(11)));
        assert!(limiter.report(at(10), false).is_none());
        let report = limiter.report(at(12), false).unwrap();
        assert_eq!((report.level, report.target.as_str()), (Level::Warn, "target"));
        assert_eq!(report.text, "suppressed=98 seconds=11 example=\"line 2\"");
        assert!(limiter.report(at(12), false).is_none(), "it is reported once");
        assert_eq!(limiter.next_report(), Some(at(13)));
        assert!(limiter.report(at(13), false).is_some());
        assert!(limiter.next_report().is_none());
        admitted(&mut limiter, LOGIN, 100, at(20));
        let report = limiter.report(at(22), true).unwrap();
        assert_eq!(report.text, "suppressed=90 seconds=2 example=\"line 10\"");
    }

    #[test]
    fn the_example_in_a_report_is_short_and_one_line() {
        let start = Instant::now();
        let mut limiter = Limiter::default();
        for _ in 0..11 {
            limiter.admit(LOGIN, line(&"\u{1}\n".repeat(3000)), start);
        }
        let text = limiter.report(start + REPORT_AFTER, false).unwrap().text;
        assert!(text.len() < 5 * MAX_EXAMPLE + 100 && !text.contains('\n'), "{} bytes", text.len());
    }

    #[test]
    fn only_statements_that_clients_trigger_are_distinguished() {
        let of = |module: &'static str| {
            origin(&Record::builder().module_path_static(Some(module)).line(Some(7)).build())
        };
        assert_eq!(of("phsweb_agent::http::auth::login"), Some(("phsweb_agent::http::auth::login", 7)));
        assert_eq!(of("phsweb_agent::site::session"), None);
        assert_eq!(of("a_crate"), None);
    }
}

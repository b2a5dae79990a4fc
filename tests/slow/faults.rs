//! Every fault of the simulated router: what the site shows, how soon, and how soon it recovers.
//!
//! ```sh
//! cargo test --test slow -- faults --nocapture
//! ```

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Fault, Router, Settings};
use serde_json::Value;

use super::agent::{Agent, AgentBuilder, until, until_within};
use super::router;
use crate::support::binary::binary;

/// The library name in a binary that is linked with glibc.
const GLIBC: &[u8] = b"libc.so.6";

/// A refresh each second, and timeouts of a second for replies and connections.
const TIMES: &str = "refresh: \"1s\", query_timeout: \"1s\", connect_timeout: \"1s\",";

/// Above the query timeout, and within the second wait on the same connection.
const LATE_BY: Duration = Duration::from_millis(1500);

/// Upper bound of the time until a fault shows: the rest of a refresh, a timeout, a backoff, and another connection
/// whose login times out; and a slow machine.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// The minimum duration of the faults, so that a fault that must not show has time to do so.
const MIN_DURATION: Duration = Duration::from_secs(5);

/// Upper bound of the recovery after a fault: its longest backoff, and a slow machine.
const RECOVERY: Duration = Duration::from_secs(20);

/// Upper bound of the memory growth, in KiB.
const MAX_GROWTH_KIB: u64 = 1024;

/// Upper bound of the peak above the start, in KiB: the limit of one router's replies, and what is around them.
const MAX_PEAK_KIB: u64 = 8 * 1024 + 6 * 1024;

/// The last state is reported this long before a timeout.
const REPORT_BEFORE: Duration = Duration::from_millis(500);

/// What a site shows during a fault.
#[derive(Clone, Copy)]
enum Shown {
    /// This cause in `/api/hotspot/{site}`.
    Cause(&'static str),
    /// The site is active and reports a partial reply.
    Partial,
    /// The site is active, and changes show with the next refresh only.
    Polled,
    /// Nothing: the site is active.
    Nothing,
}

fn shown(fault: Fault) -> Shown {
    match fault {
        Fault::Stall | Fault::HalfOpen | Fault::LargeLost => Shown::Cause("query_timeout"),
        Fault::Refuse | Fault::Cut | Fault::Fatal => Shown::Cause("closed"),
        Fault::NoService => Shown::Cause("refused"),
        Fault::Reboot => Shown::Cause("rebooting"),
        Fault::LoginRefused | Fault::LoginRefusedOnce => Shown::Cause("auth"),
        Fault::Garbage
        | Fault::HugeLength
        | Fault::EndlessRows
        | Fault::EndlessWords
        | Fault::UnknownTags => Shown::Cause("protocol"),
        Fault::NoCertificate => Shown::Cause("tls_no_certificate"),
        Fault::OtherCertificate => Shown::Cause("tls_pin"),
        Fault::Vanish | Fault::OmittedRow => Shown::Partial,
        Fault::NoPermission => Shown::Cause("permission"),
        Fault::NoMenu => Shown::Cause("unsupported"),
        Fault::NoListen | Fault::SilentListen => Shown::Polled,
        Fault::OneByteWrites
        | Fault::Trailing
        | Fault::BareRe
        | Fault::AwkwardValues
        | Fault::LateListen
        | Fault::Late
        | Fault::LateAtTimes
        | Fault::Trickle
        | Fault::Pool
        | Fault::Clock => Shown::Nothing,
    }
}

/// The observations of one fault: a row of the printed table.
struct Observation {
    fault: Fault,
    site: String,
    router: Router,
    /// The first cause, and when it showed.
    first: Option<(String, Duration)>,
    /// When the expected state showed, and its text.
    shown: Option<(Duration, String)>,
    recovered: Option<Duration>,
}

impl Observation {
    fn new(fault: Fault, seed: u64) -> Self {
        let tls = matches!(fault, Fault::NoCertificate | Fault::OtherCertificate);
        let router = router(Settings { seed, tls, late_by: LATE_BY, ..Settings::default() });
        Self { fault, site: fault.to_string(), router, first: None, shown: None, recovered: None }
    }

    fn clear(&mut self) {
        (self.first, self.shown, self.recovered) = (None, None, None);
    }

    fn start(&self) {
        self.router.set_fault(Some(self.fault));
        match self.fault {
            // These do not affect open connections, so the agent has to reconnect.
            Fault::LoginRefused | Fault::LoginRefusedOnce | Fault::NoCertificate | Fault::NoListen => {
                self.router.reboot();
            }
            _ => {}
        }
    }

    fn end(&self) {
        self.router.set_fault(None);
        if self.fault == Fault::NoMenu {
            // A package that adds a menu needs a reboot; until then the agent does not query the menu again.
            self.router.reboot();
        }
    }

    /// Logs a user in, if the fault only shows on a change.
    fn cause_change(&self, number: u32) {
        if matches!(self.fault, Fault::SilentListen) {
            let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 9, 0, 0).to_bits() + number);
            let _ = self.router.log_in("changes", address, "8C:F5:A3:00:00:01");
        }
    }

    fn observe(&mut self, stats: &Value, site: &Value, after: Duration) {
        let error = &stats["error"];
        if let Some(cause) = error["cause"].as_str() {
            self.first.get_or_insert_with(|| (cause.to_string(), after));
        }
        let text = match shown(self.fault) {
            Shown::Cause(cause) => (error["cause"] == cause).then(|| {
                format!("{}. {}", error["message"].as_str().unwrap(), error["hint"].as_str().unwrap())
            }),
            Shown::Partial => stats["partial"].as_str().map(str::to_string),
            Shown::Polled => {
                let live = &site["plugins"]["hotspot"]["live"];
                (*live == false && site["state"] == "online").then(|| "polled".to_string())
            }
            Shown::Nothing => {
                assert!(error.is_null() && stats["status"] == "active", "{}: {stats:#}", self.fault);
                None
            }
        };
        if let Some(text) = text {
            self.shown.get_or_insert((after, text));
        }
    }

    fn is_shown(&self) -> bool {
        self.shown.is_some() || matches!(shown(self.fault), Shown::Nothing)
    }

    fn has_recovered(&self, stats: &Value) -> bool {
        stats["status"] == "active"
            && stats["error"].is_null()
            && stats["partial"].is_null()
            && stats["activeUsers"] == self.router.sessions().len()
    }

    /// The row of the table.
    fn row(&self) -> String {
        let seconds =
            |time: Option<Duration>| time.map_or("–".into(), |time| format!("{:.1} s", time.as_secs_f64()));
        let first = match (&self.first, shown(self.fault)) {
            (Some((first, _)), Shown::Cause(cause)) if first != cause => format!("{first}, {cause}"),
            (_, Shown::Cause(cause)) => cause.to_string(),
            (_, Shown::Partial) => "partial".into(),
            (_, Shown::Polled) => "polled".into(),
            (_, Shown::Nothing) => "nothing".into(),
        };
        let (shown, text) =
            self.shown.as_ref().map_or((None, ""), |(after, text)| (Some(*after), text.as_str()));
        let fault = self.fault.name();
        format!("{fault:17} {first:26} {:>8} {:>9}  {text}", seconds(shown), seconds(self.recovered))
    }
}

/// The stats and the state of all sites.
fn query(agent: &Agent) -> (Value, Value) {
    (agent.json("/api/hotspot/stats"), agent.json("/api/sites"))
}

/// The lowest memory use within a second, in KiB.
fn settled_kib(agent: &Agent) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..10 {
        least = least.min(agent.running.memory_kib("VmRSS"));
        thread::sleep(Duration::from_millis(100));
    }
    least
}

/// Starts all faults, ends them after `min_duration` or when they have shown, and records what showed and when.
fn run_faults(agent: &Agent, lines: &mut [Observation], min_duration: Duration) {
    let began = Instant::now();
    lines.iter().for_each(Observation::start);
    let mut checks = 0;
    while began.elapsed() < min_duration
        || (began.elapsed() < SHOWN_WITHIN && !lines.iter().all(Observation::is_shown))
    {
        let (stats, sites) = query(agent);
        checks += 1;
        for line in &mut *lines {
            line.observe(&stats[&line.site], &sites[&line.site], began.elapsed());
            line.cause_change(checks);
        }
        thread::sleep(Duration::from_millis(50));
    }
    let late: Vec<String> = lines.iter().filter(|line| !line.is_shown()).map(Observation::row).collect();
    assert!(late.is_empty(), "expected every fault to show within {SHOWN_WITHIN:?}, missing: {late:#?}");

    let ended = Instant::now();
    lines.iter().for_each(Observation::end);
    until_within(RECOVERY, "all sites have recovered", || {
        let stats = query(agent).0;
        for line in &mut *lines {
            // Cleared if the site fails again.
            let has_recovered = line.has_recovered(&stats[&line.site]);
            line.recovered = has_recovered.then(|| line.recovered.unwrap_or(ended.elapsed()));
        }
        let failed: Vec<String> =
            lines.iter().filter(|line| line.recovered.is_none()).map(Observation::row).collect();
        assert!(
            ended.elapsed() + REPORT_BEFORE < RECOVERY,
            "expected recovery within {RECOVERY:?}: {failed:#?}"
        );
        failed.is_empty().then_some(())
    });
}

#[test]
fn every_fault_shows_in_time_and_recovers_without_a_restart() {
    let _alone = super::alone();
    let lines = Fault::ALL.into_iter().zip(1..).map(|(fault, seed)| Observation::new(fault, seed));
    let mut lines: Vec<Observation> = lines.collect();
    let given = lines.iter().fold(AgentBuilder::default().defaults(TIMES), |given, line| {
        let pin = line.router.fingerprint().map(|pin| format!("tls: Pin(\"{pin}\"),"));
        given.site(&line.site, line.router.addr(), &pin.unwrap_or_default())
    });
    let given = super::returning_memory(given);
    let agent =
        given.timing("retry_max", "1s").timing("row_check", "500ms").timing("recheck", "500ms").start();
    until("all sites are active", || {
        let stats = query(&agent).0;
        lines.iter().all(|line| line.has_recovered(&stats[&line.site])).then_some(())
    });
    let before = settled_kib(&agent);
    run_faults(&agent, &mut lines, MIN_DURATION);
    let after = settled_kib(&agent);
    let mut table = String::from("fault             state                         within recovered  text\n");
    for line in &lines {
        writeln!(table, "{}", line.row()).unwrap();
    }
    // This run is only for the memory.
    lines.iter_mut().for_each(Observation::clear);
    run_faults(&agent, &mut lines, Duration::ZERO);
    let again = settled_kib(&agent);
    let peak = agent.running.memory_kib("VmHWM");
    let memory =
        format!("{before} KiB before, {after} KiB after, {again} KiB after a second run, peak {peak} KiB");
    eprintln!("{table}memory: {memory}");
    // musl, for which the agent is built, returns freed memory to the system. glibc keeps memory below blocks that
    // are still in use, and reuses it the next time.
    let program = fs::read(binary()).unwrap();
    let is_glibc = program.windows(GLIBC.len()).any(|bytes| bytes == GLIBC);
    let start = if is_glibc { after } else { before };
    assert!(again <= start + MAX_GROWTH_KIB, "{memory}");
    assert!(peak <= before + MAX_PEAK_KIB, "{memory}");
}

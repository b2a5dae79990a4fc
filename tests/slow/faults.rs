//! Every fault of the simulated router: what the site shows, how soon, and how soon it is well again.
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

use super::agent::{Agent, Given, until, until_within};
use super::router;
use crate::support::binary::binary;

/// What a program names that is linked with glibc.
const GLIBC: &[u8] = b"libc.so.6";

/// A refresh each second, and a second for an answer, and for a connection.
const TIMES: &str = "refresh: \"1s\", query_timeout: \"1s\", connect_timeout: \"1s\",";

/// Later than the timeout, and within the second wait over the same connection.
const LATE_BY: Duration = Duration::from_millis(1500);

/// Within which each fault must be told: the rest of a refresh, an answer that does not come, a wait and another
/// connection whose login is not answered; and a slow machine.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// How long the faults last at least, so that one that must not show has had the time to.
const LASTS: Duration = Duration::from_secs(5);

/// From a fault's end until all is well: the longest wait that it led to, and a slow machine.
const WELL: Duration = Duration::from_secs(20);

/// How much more memory the agent may have at the end, in KiB.
const MORE_KIB: u64 = 1024;

/// And at any time: the most that is held of one router's answers, and room for what is around them.
const PEAK_KIB: u64 = 8 * 1024 + 6 * 1024;

/// Before a wait is over, what was seen last is told.
const JUST_BEFORE: Duration = Duration::from_millis(500);

/// What a site shows of a fault.
#[derive(Clone, Copy)]
enum Shown {
    /// This cause, in `/api/hotspot/{site}`.
    Cause(&'static str),
    /// It goes on, and says that an answer is a part only.
    Partial,
    /// It goes on, and no change is told between the refreshes.
    Polled,
    /// Nothing: it is as well as before.
    Nothing,
}

fn shown(fault: Fault) -> Shown {
    match fault {
        Fault::Stall | Fault::HalfOpen | Fault::LargeLost => Shown::Cause("query_timeout"),
        Fault::Refuse | Fault::Cut | Fault::Fatal => Shown::Cause("closed"),
        Fault::NoService => Shown::Cause("refused"),
        Fault::Reboot => Shown::Cause("rebooting"),
        Fault::LoginRefused | Fault::LoginRefusedOnce => Shown::Cause("auth"),
        Fault::Garbage | Fault::HugeLength | Fault::EndlessRows | Fault::EndlessWords | Fault::Stray => {
            Shown::Cause("protocol")
        }
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
        | Fault::Trickle => Shown::Nothing,
    }
}

/// One fault's line of the table.
struct Line {
    fault: Fault,
    site: String,
    router: Router,
    /// The first cause that showed, and after how long.
    first: Option<(String, Duration)>,
    /// How long until what must show showed, and its words.
    told: Option<(Duration, String)>,
    well: Option<Duration>,
}

impl Line {
    fn new(fault: Fault, seed: u64) -> Self {
        let tls = matches!(fault, Fault::NoCertificate | Fault::OtherCertificate);
        let router = router(Settings { seed, tls, late_by: LATE_BY, ..Settings::default() });
        Self { fault, site: fault.to_string(), router, first: None, told: None, well: None }
    }

    fn begins(&self) {
        self.router.set_fault(Some(self.fault));
        match self.fault {
            // What is open stays so: somebody must have to connect, log in, listen.
            Fault::LoginRefused | Fault::LoginRefusedOnce | Fault::NoCertificate | Fault::NoListen => {
                self.router.reboot();
            }
            _ => {}
        }
    }

    fn ends(&self) {
        self.router.set_fault(None);
        if self.fault == Fault::NoMenu {
            // A package that brings a menu comes with a reboot; until then nobody asks for it again.
            self.router.reboot();
        }
    }

    /// Somebody comes or goes, where it needs that to be seen.
    fn stirs(&self, number: u32) {
        if matches!(self.fault, Fault::SilentListen) {
            let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 9, 0, 0).to_bits() + number);
            let _ = self.router.log_in("stirs", address, "8C:F5:A3:00:00:01");
        }
    }

    fn look(&mut self, stats: &Value, site: &Value, after: Duration) {
        let error = &stats["error"];
        if let Some(cause) = error["cause"].as_str() {
            self.first.get_or_insert_with(|| (cause.to_string(), after));
        }
        let words = match shown(self.fault) {
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
        if let Some(words) = words {
            self.told.get_or_insert((after, words));
        }
    }

    fn is_told(&self) -> bool {
        self.told.is_some() || matches!(shown(self.fault), Shown::Nothing)
    }

    fn is_well(&self, stats: &Value) -> bool {
        stats["status"] == "active"
            && stats["error"].is_null()
            && stats["partial"].is_null()
            && stats["activeUsers"] == self.router.sessions().len()
    }

    /// What it showed, for a person.
    fn row(&self) -> String {
        let seconds =
            |time: Option<Duration>| time.map_or("–".into(), |time| format!("{:.1} s", time.as_secs_f64()));
        let first = match (&self.first, shown(self.fault)) {
            (Some((first, _)), Shown::Cause(cause)) if first != cause => format!("{first}, {cause}"),
            (_, Shown::Cause(cause)) => cause.to_string(),
            (_, Shown::Partial) => "a part".into(),
            (_, Shown::Polled) => "polled".into(),
            (_, Shown::Nothing) => "nothing".into(),
        };
        let (told, words) = self.told.as_ref().map_or((None, ""), |(after, words)| (Some(*after), words));
        let fault = self.fault.name();
        format!("{fault:17} {first:26} {:>8} {:>8}  {words}", seconds(told), seconds(self.well))
    }
}

/// The stats and the state of all sites.
fn look(agent: &Agent) -> (Value, Value) {
    (agent.json("/api/hotspot/stats"), agent.json("/api/sites"))
}

/// The memory in use, once it goes down no more.
fn settled_kib(agent: &Agent) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..10 {
        least = least.min(agent.running.memory_kib("VmRSS"));
        thread::sleep(Duration::from_millis(100));
    }
    least
}

/// Lets every fault begin, last for a while and end, and notes what showed and when.
fn round(agent: &Agent, lines: &mut [Line]) {
    let began = Instant::now();
    lines.iter().for_each(Line::begins);
    let mut looks = 0;
    while began.elapsed() < LASTS || (began.elapsed() < TOLD_WITHIN && !lines.iter().all(Line::is_told)) {
        let (stats, sites) = look(agent);
        looks += 1;
        for line in &mut *lines {
            line.look(&stats[&line.site], &sites[&line.site], began.elapsed());
            line.stirs(looks);
        }
        thread::sleep(Duration::from_millis(50));
    }
    let late: Vec<String> = lines.iter().filter(|line| !line.is_told()).map(Line::row).collect();
    assert!(late.is_empty(), "not told within {TOLD_WITHIN:?}: {late:#?}");

    let ended = Instant::now();
    lines.iter().for_each(Line::ends);
    until_within(WELL, "all are well again", || {
        let stats = look(agent).0;
        for line in &mut *lines {
            // Well is what stays well.
            let is_well = line.is_well(&stats[&line.site]);
            line.well = is_well.then(|| line.well.unwrap_or(ended.elapsed()));
        }
        let ill: Vec<String> = lines.iter().filter(|line| line.well.is_none()).map(Line::row).collect();
        assert!(ended.elapsed() + JUST_BEFORE < WELL, "not well within {WELL:?}: {ill:#?}");
        ill.is_empty().then_some(())
    });
}

#[test]
fn every_fault_is_told_in_time_and_heals_without_a_restart() {
    let _alone = super::alone();
    let lines = Fault::ALL.into_iter().zip(1..).map(|(fault, seed)| Line::new(fault, seed));
    let mut lines: Vec<Line> = lines.collect();
    let given = lines.iter().fold(Given::default().defaults(TIMES), |given, line| {
        let pin = line.router.fingerprint().map(|pin| format!("tls: Pin(\"{pin}\"),"));
        given.site(&line.site, line.router.addr(), &pin.unwrap_or_default())
    });
    let agent =
        given.timing("retry_max", "1s").timing("row_check", "500ms").timing("recheck", "500ms").start();
    until("all are well", || {
        let stats = look(&agent).0;
        lines.iter().all(|line| line.is_well(&stats[&line.site])).then_some(())
    });
    let before = settled_kib(&agent);
    round(&agent, &mut lines);
    let after = settled_kib(&agent);
    let mut table =
        String::from("fault             shown                           told     well  in these words\n");
    for line in &lines {
        writeln!(table, "{}", line.row()).unwrap();
    }
    round(&agent, &mut lines);
    let again = settled_kib(&agent);
    let peak = agent.running.memory_kib("VmHWM");
    let memory = format!(
        "{before} KiB before, {after} KiB after, {again} KiB after all of it again, {peak} KiB at the most"
    );
    eprintln!("{table}memory: {memory}");
    // What is freed goes back to the system with musl, for which the agent is built. glibc keeps what lies
    // below anything that is still in use, and fills it the next time.
    let program = fs::read(binary()).unwrap();
    let is_glibc = program.windows(GLIBC.len()).any(|bytes| bytes == GLIBC);
    let start = if is_glibc { after } else { before };
    assert!(again <= start + MORE_KIB, "{memory}");
    assert!(peak <= before + PEAK_KIB, "{memory}");
}

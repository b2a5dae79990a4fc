//! A day in five minutes: twenty routers that reboot, cut and stall by the dice, asked each second.

use std::fmt::Write;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Fault, Router, Settings};

use super::agent::{Agent, Given, until, until_within};
use super::{open_files, router};

const ROUTERS: u64 = 20;

/// 300 refreshes and some twenty outages of each router: at a 30 s refresh and one outage an hour, more than a day.
const LASTS: Duration = Duration::from_secs(300);

/// How long an outage lasts, and how long all is well in between.
const OUTAGE_MS: std::ops::Range<u64> = 300..5_000;
const WELL_MS: std::ops::Range<u64> = 3_000..15_000;

/// The longest wait there is, 60 s, for one outage followed the other; and the timeouts, and a slow machine.
const HEALED: Duration = Duration::from_secs(90);

/// Commands of each router until the agent is as it stays.
const WARM: u64 = 60;

/// How much more memory the agent may have at the end, in KiB: each site remembers its last outages, and
/// glibc does not give all back. Ten KiB lost with each connection would be as much.
const MORE_KIB: u64 = 2048;

/// One router's fate, which its seed decides.
struct Fate {
    dice: fastrand::Rng,
    next: Instant,
    sick: bool,
    outages: u32,
}

impl Fate {
    fn new(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let next = Instant::now() + Duration::from_millis(dice.u64(WELL_MS));
        Self { dice, next, sick: false, outages: 0 }
    }

    fn act(&mut self, router: &Router) {
        if Instant::now() < self.next {
            return;
        }
        self.sick = !self.sick;
        if self.sick {
            self.outages += 1;
            match self.dice.u8(..4) {
                0 => router.reboot(),
                1 => router.set_fault(Some(Fault::Cut)),
                2 => router.set_fault(Some(Fault::Stall)),
                _ => router.set_fault(Some(Fault::HalfOpen)),
            }
        } else {
            router.set_fault(None);
        }
        let range = if self.sick { OUTAGE_MS } else { WELL_MS };
        self.next = Instant::now() + Duration::from_millis(self.dice.u64(range));
    }
}

/// Open descriptors, threads, and memory in KiB.
fn held(agent: &Agent) -> (usize, usize, u64) {
    let threads = fs::read_dir(format!("/proc/{}/task", agent.running.id())).unwrap().count();
    (open_files(agent), threads, agent.running.memory_kib("VmRSS"))
}

fn all_well(agent: &Agent) -> bool {
    let stats = agent.json("/api/hotspot/stats");
    stats.as_object().unwrap().values().all(|site| site["status"] == "active" && site["error"].is_null())
}

#[test]
#[ignore = "needs five minutes"]
fn twenty_routers_that_fail_at_random_for_five_minutes_are_well_at_the_end() {
    let _alone = super::alone();
    let settings = |seed| Settings { seed, churn: Duration::from_millis(400), ..Settings::default() };
    let routers: Vec<Router> = (0..ROUTERS).map(|seed| router(settings(seed))).collect();
    let times = "refresh: \"1s\", query_timeout: \"1s\", connect_timeout: \"1s\",";
    let given = routers.iter().enumerate().fold(Given::default().defaults(times), |given, (n, router)| {
        given.site(&format!("site-{n}"), router.addr(), "")
    });
    let agent = given.start();
    until("all are well", || all_well(&agent).then_some(()));
    // What a router's every figure needs at its first refreshes, and every answer of the page at its first.
    until("all were asked some times", || {
        all_well(&agent);
        routers.iter().all(|router| router.counters().commands >= WARM).then_some(())
    });
    let before = held(&agent);

    let mut fates: Vec<Fate> = (0..ROUTERS).map(Fate::new).collect();
    let began = Instant::now();
    while began.elapsed() < LASTS {
        for (fate, router) in fates.iter_mut().zip(&routers) {
            fate.act(router);
        }
        // The pace of the dice, not a wait for anything.
        thread::sleep(Duration::from_millis(20));
    }
    for router in &routers {
        router.set_fault(None);
    }
    let ended = Instant::now();
    until_within(HEALED, "all are well again", || all_well(&agent).then_some(()));
    let healed = ended.elapsed();

    let mut told = String::new();
    let (mut logins, mut broken) = (0, 0);
    for ((n, router), fate) in routers.iter().enumerate().zip(&fates) {
        until("one connection is left", || (router.counters().open == 1).then_some(()));
        let counters = router.counters();
        writeln!(told, "{n}: {} outages, {counters:?}", fate.outages).unwrap();
        assert!(counters.logins <= 1 + counters.broken, "router {n}:\n{told}");
        assert_eq!(counters.logins_refused, 0, "router {n}:\n{told}");
        logins += counters.logins;
        broken += counters.broken;
    }
    let outages: u32 = fates.iter().map(|fate| fate.outages).sum();
    let now = until("no descriptor or thread is left over", || {
        let now = held(&agent);
        ((now.0, now.1) <= (before.0, before.1)).then_some(now)
    });
    let lines = agent.running.err().lines().count();
    eprintln!(
        "{outages} outages, {broken} connections broken, {logins} logins, {lines} log lines; well {healed:.1?} after \
         the last; descriptors, threads, KiB: {before:?} before, {now:?} after"
    );
    // That nothing was answered, that the site is offline, and that it is online again.
    let most = 3 * usize::try_from(outages).unwrap() + 2 * routers.len();
    assert!(lines <= most, "{lines} lines for {outages} outages");
    assert!(now.2 <= before.2 + MORE_KIB, "memory grew: {before:?}, {now:?}");
}

//! The outages of a day in five minutes: twenty routers that reboot, cut replies and stall at random times.

use std::fmt::Write;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Fault, Router, Settings};

use super::agent::{Agent, AgentBuilder, until, until_within};
use super::{open_files, router};

const ROUTERS: u64 = 20;

/// 300 refreshes and about twenty outages of each router: with a refresh each 30 s and an outage each hour, more
/// than a day.
const DURATION: Duration = Duration::from_secs(300);

/// The duration of an outage, and of the time between two outages.
const OUTAGE_MS: std::ops::Range<u64> = 300..5_000;
const HEALTHY_MS: std::ops::Range<u64> = 3_000..15_000;

/// Upper bound of the recovery: the maximum backoff of 60 s after repeated outages, timeouts, and a slow machine.
const RECOVERY: Duration = Duration::from_secs(90);

/// Commands of each router until the memory of the agent is stable.
const WARM_UP: u64 = 60;

/// Upper bound of the memory growth, in KiB: each site records its last outages, and glibc does not return all
/// memory. A leak of 10 KiB per connection would reach it.
const MAX_GROWTH_KIB: u64 = 2048;

/// The random outages of one router.
struct Outages {
    rng: fastrand::Rng,
    next: Instant,
    is_down: bool,
    count: u32,
}

impl Outages {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let next = Instant::now() + Duration::from_millis(rng.u64(HEALTHY_MS));
        Self { rng, next, is_down: false, count: 0 }
    }

    fn act(&mut self, router: &Router) {
        if Instant::now() < self.next {
            return;
        }
        self.is_down = !self.is_down;
        if self.is_down {
            self.count += 1;
            match self.rng.u8(..4) {
                0 => router.reboot(),
                1 => router.set_fault(Some(Fault::Cut)),
                2 => router.set_fault(Some(Fault::Stall)),
                _ => router.set_fault(Some(Fault::HalfOpen)),
            }
        } else {
            router.set_fault(None);
        }
        let range = if self.is_down { OUTAGE_MS } else { HEALTHY_MS };
        self.next = Instant::now() + Duration::from_millis(self.rng.u64(range));
    }
}

/// Open descriptors, threads, and memory in KiB.
fn resources(agent: &Agent) -> (usize, usize, u64) {
    let threads = fs::read_dir(format!("/proc/{}/task", agent.running.id())).unwrap().count();
    (open_files(agent), threads, agent.running.memory_kib("VmRSS"))
}

fn are_all_active(agent: &Agent) -> bool {
    let stats = agent.json("/api/hotspot/stats");
    stats.as_object().unwrap().values().all(|site| site["status"] == "active" && site["error"].is_null())
}

#[test]
#[ignore = "needs five minutes"]
fn twenty_randomly_failing_routers_recover_without_leaks() {
    let _alone = super::alone();
    let settings = |seed| Settings { seed, churn: Duration::from_millis(400), ..Settings::default() };
    let routers: Vec<Router> = (0..ROUTERS).map(|seed| router(settings(seed))).collect();
    // A busy machine must not look like a stalled router.
    let times = "refresh: \"1s\", query_timeout: \"3s\", connect_timeout: \"3s\",";
    let given =
        routers.iter().enumerate().fold(AgentBuilder::default().defaults(times), |given, (n, router)| {
            given.site(&format!("site-{n}"), router.addr(), "")
        });
    let agent = given.start();
    until("all sites are active", || are_all_active(&agent).then_some(()));
    // The first refreshes and responses allocate memory that stays.
    until("each router has received enough commands", || {
        are_all_active(&agent);
        routers.iter().all(|router| router.counters().commands >= WARM_UP).then_some(())
    });
    let before = resources(&agent);

    let mut schedules: Vec<Outages> = (0..ROUTERS).map(Outages::new).collect();
    let began = Instant::now();
    while began.elapsed() < DURATION {
        for (schedule, router) in schedules.iter_mut().zip(&routers) {
            schedule.act(router);
        }
        // The resolution of the outages, not a wait for a condition.
        thread::sleep(Duration::from_millis(20));
    }
    for router in &routers {
        router.set_fault(None);
    }
    let ended = Instant::now();
    until_within(RECOVERY, "all sites have recovered", || are_all_active(&agent).then_some(()));
    let recovered = ended.elapsed();

    let mut report = String::new();
    let (mut logins, mut broken) = (0, 0);
    for ((n, router), schedule) in routers.iter().enumerate().zip(&schedules) {
        until("one connection per router is open", || (router.counters().open == 1).then_some(()));
        let counters = router.counters();
        writeln!(report, "{n}: {} outages, {counters:?}", schedule.count).unwrap();
        assert!(counters.logins <= 1 + counters.broken, "router {n}:\n{report}");
        assert_eq!(counters.logins_refused, 0, "router {n}:\n{report}");
        logins += counters.logins;
        broken += counters.broken;
    }
    let outages: u32 = schedules.iter().map(|schedule| schedule.count).sum();
    let now = until("no more descriptors or threads than before are in use", || {
        let now = resources(&agent);
        ((now.0, now.1) <= (before.0, before.1)).then_some(now)
    });
    let lines = agent.running.err().lines().count();
    eprintln!(
        "{outages} outages, {broken} connections broken, {logins} logins, {lines} log lines; recovered {recovered:.1?} after \
         the last; descriptors, threads, KiB: {before:?} before, {now:?} after"
    );
    // Per outage: a failed command, the site is offline, the site is online.
    let max = 3 * usize::try_from(outages).unwrap() + 2 * routers.len();
    assert!(lines <= max, "expected at most {max} log lines for {outages} outages, got {lines}");
    assert!(
        now.2 <= before.2 + MAX_GROWTH_KIB,
        "expected growth of at most {MAX_GROWTH_KIB} KiB, got {before:?} before, {now:?} after"
    );
}

//! Two minutes in which the file is hardly ever left alone, and sites that must not notice.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use phsweb_agent::simulator::{Login, Router, Settings};
use serde_json::Value;

use super::agent::{Given, until};
use super::kept::{Kept, Way, met};
use super::{open_files, router};

/// Sites, and of these the first so many that no file changes.
const SITES: usize = 50;
const STAY: usize = 20;

/// So many of the last have their password from one file.
const BY_FILE: usize = 5;

const REWRITES: usize = 200;

/// From one rewrite to the next: some come twice within one look at the file, and some are seen twice.
const PAUSE_MS: std::ops::Range<u64> = 50..700;

/// How old figures may be, in seconds: they come each second, and may be late by as much.
const OLDEST: f64 = 2.0;

/// From one sample to the next.
const SAMPLE: Duration = Duration::from_millis(150);

const RIGHT: &str = "right-password-40c7";
const WRONG: &str = "wrong-password-e2b1";

/// How much more memory the agent may have at the end, in KiB: each site remembers its last connections, and glibc
/// does not give all back. Ten KiB lost with each rewrite would be as much.
const MORE_KIB: u64 = 2048;

/// What the file says of a site that it may change.
#[derive(Clone)]
struct Changing {
    number: usize,
    is_there: bool,
    name: u32,
    is_right: bool,
}

/// What the files say by now.
struct World {
    dice: Rng,
    changing: Vec<Changing>,
    secret_is_right: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let changing =
            (STAY..SITES).map(|number| Changing { number, is_there: true, name: 0, is_right: true });
        Self { dice: Rng::with_seed(seed), changing: changing.collect(), secret_is_right: true }
    }

    fn given(&self, routers: &[Router]) -> Given {
        let mut given = Given::default().defaults("refresh: \"1s\",");
        for (number, router) in routers[..STAY].iter().enumerate() {
            let fields = format!("hosts: [\"{}\"], password: Plain(\"{RIGHT}\")", router.addr());
            given = given.raw_site(&key(number), &fields);
        }
        for site in self.changing.iter().filter(|site| site.is_there) {
            let password = if is_by_file(site.number) {
                "File(\"secret\")".to_string()
            } else {
                format!("Plain(\"{}\")", if site.is_right { RIGHT } else { WRONG })
            };
            let (address, name) = (routers[site.number].addr(), site.name);
            let fields = format!("name: \"name {name}\", hosts: [\"{address}\"], password: {password}");
            given = given.raw_site(&key(site.number), &fields);
        }
        given
    }

    fn file(&self, routers: &[Router]) -> String {
        self.given(routers).text()
    }

    fn change(&mut self) {
        for _ in 0..self.dice.usize(1..4) {
            let at = self.dice.usize(..self.changing.len());
            let site = &mut self.changing[at];
            match self.dice.u8(..5) {
                0 | 1 => site.is_there = !site.is_there,
                2 => site.is_right = !site.is_right,
                3 => site.name += 1,
                _ => {
                    let site = self.changing.remove(at);
                    self.changing.push(site);
                }
            }
        }
    }

    /// Rewrites a file in some way, well or not.
    fn rewrite(&mut self, kept: &Kept, routers: &[Router]) {
        let way = self.dice.choice(Way::ALL).unwrap();
        match self.dice.u8(..10) {
            0..=4 => {
                self.change();
                kept.write("sites.ron", &self.file(routers), way);
            }
            5 => {
                self.secret_is_right = !self.secret_is_right;
                kept.write("secret", if self.secret_is_right { RIGHT } else { WRONG }, way);
            }
            6 | 7 => {
                let text = self.file(routers);
                let half = self.dice.usize(..text.len());
                kept.write("sites.ron", &text[..half], way);
            }
            8 => kept.write("sites.ron", &self.file(routers).replace("refresh:", "refesh:"), way),
            _ => {
                let text = self.file(routers);
                kept.write("sites.ron", &text[..text.len() / 2], Way::InPlace);
                thread::sleep(Duration::from_millis(300));
                kept.write("sites.ron", &text, way);
            }
        }
    }
}

fn is_by_file(number: usize) -> bool {
    number >= SITES - BY_FILE
}

fn key(number: usize) -> String {
    format!("{}-{number}", if number < STAY { "stays" } else { "changes" })
}

/// When each site that stays was last refreshed.
fn refreshed(kept: &Kept) -> BTreeMap<String, f64> {
    let text = kept.get("/metrics").body;
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("mikrotik_last_success_timestamp_seconds{site=\"stays-")?;
        let (key, at) = rest.split_once("\"} ")?;
        Some((key.to_string(), at.parse().unwrap()))
    });
    lines.collect()
}

/// Looks at the sites that stay, all along; gives how old the figures of one were at most, in seconds.
fn watch(kept: &Kept, is_over: &AtomicBool) -> f64 {
    let mut oldest: f64 = 0.0;
    while !is_over.load(Ordering::SeqCst) {
        // Before it is asked: however long the answer takes, they were this old.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let refreshed = refreshed(kept);
        assert_eq!(refreshed.len(), STAY);
        for (key, at) in &refreshed {
            let age = now - at;
            assert!(age <= OLDEST, "stays-{key} was not refreshed for {age} s");
            oldest = oldest.max(age);
        }
        let stats = kept.json("/api/hotspot/stats");
        for (key, site) in stats.as_object().unwrap().iter().filter(|(key, _)| key.starts_with("stays-")) {
            assert!(site["status"] == "active" && site["error"].is_null(), "{key}: {site}");
        }
        assert!(kept.page("/").trim_end().ends_with("</html>"));
        thread::sleep(SAMPLE);
    }
    oldest
}

/// Open descriptors, threads, and memory in KiB.
fn held(kept: &Kept) -> (usize, usize, u64) {
    let threads = fs::read_dir(format!("/proc/{}/task", kept.running.id())).unwrap().count();
    (open_files(kept), threads, kept.running.memory_kib("VmRSS"))
}

fn are_all_well(kept: &Kept) -> bool {
    let sites = kept.json("/api/sites");
    sites.as_object().unwrap().values().filter(|site| site["state"] == "online").count() == SITES
}

/// Whether a site is as the file says.
fn is_as_said(world: &World, site: &Changing, told: &Value) -> bool {
    if !site.is_there {
        return told.is_null();
    }
    let is_right = if is_by_file(site.number) { world.secret_is_right } else { site.is_right };
    let state = if is_right { "online" } else { "offline" };
    told["name"] == format!("name {}", site.name) && told["state"] == state
}

#[test]
#[ignore = "needs two minutes"]
fn fifty_sites_go_on_while_the_file_is_rewritten_two_hundred_times() {
    let _alone = super::alone();
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let settings =
        |seed| Settings { seed, logins: vec![Login::new("api-user", RIGHT)], ..Settings::default() };
    let routers: Vec<Router> = (0..SITES as u64).map(|seed| router(settings(seed))).collect();
    let mut world = World::new(seed);
    let kept = Kept::start_with(&world.given(&routers), &[("secret", RIGHT)]);
    kept.running.unsaid.add(WRONG);
    until("all are well", || are_all_well(&kept).then_some(()));
    // What each figure needs at the first refreshes, and each answer at its first.
    until("all were asked some times", || {
        kept.page("/");
        refreshed(&kept);
        routers.iter().all(|router| router.counters().commands >= 60).then_some(())
    });
    let before = held(&kept);

    let is_over = AtomicBool::new(false);
    let oldest = thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&kept, &is_over));
        for _ in 0..REWRITES {
            assert!(!watching.is_finished(), "all went on until now");
            world.rewrite(&kept, &routers);
            // The pace of the dice, not a wait for anything.
            thread::sleep(Duration::from_millis(world.dice.u64(PAUSE_MS)));
        }
        is_over.store(true, Ordering::SeqCst);
        watching.join().unwrap()
    });

    kept.write("sites.ron", &world.file(&routers), Way::InPlace);
    until("all is as the last file says", || {
        let told = kept.json("/api/sites");
        let is_as_said = |site: &Changing| is_as_said(&world, site, &told[key(site.number)]);
        (world.changing.iter().all(is_as_said) && kept.config()["isCurrent"] == true).then_some(())
    });
    for (number, router) in routers[..STAY].iter().enumerate() {
        assert_eq!((met(router), router.counters().open), ((1, 1), 1), "{}", key(number));
    }
    let log = kept.running.err();
    let of_those: Vec<&str> = log.lines().filter(|line| line.contains("] site=stays-")).collect();
    assert_eq!(of_those.len(), STAY, "that each is online, and no more: {of_those:#?}");
    assert!(!log.contains("panicked"), "{log}");

    // As at the start, to compare what is held.
    let first = World::new(seed);
    kept.write("secret", RIGHT, Way::InPlace);
    kept.write("sites.ron", &first.file(&routers), Way::InPlace);
    until("all are well again", || are_all_well(&kept).then_some(()));
    for router in &routers {
        until("one connection is left", || (router.counters().open == 1).then_some(()));
    }
    let now = until("no descriptor or thread is left over", || {
        let now = held(&kept);
        ((now.0, now.1) <= (before.0, before.1)).then_some(now)
    });
    eprintln!(
        "{} files taken, {} not; no figures were older than {oldest:.2} s; descriptors, threads, KiB: {before:?} \
         before, {now:?} after",
        kept.taken().len(),
        kept.not_taken().len()
    );
    assert!(now.2 <= before.2 + MORE_KIB, "memory grew: {before:?}, {now:?}");
}

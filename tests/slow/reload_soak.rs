//! Two minutes in which `sites.ron` is rewritten continually, and sites that must not be affected.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use phsweb_agent::simulator::{Login, Router, Settings};
use serde_json::Value;

use super::agent::{AgentBuilder, until};
use super::reloading_agent::{ReloadingAgent, WriteMethod, logins_and_connections};
use super::{open_files, router};

/// All sites, and the number of sites that no file changes.
const SITES: usize = 50;
const UNCHANGED: usize = 20;

/// The last sites, which have their password from one file.
const BY_FILE: usize = 5;

const REWRITES: usize = 200;

/// Between two rewrites: the agent misses some of them, and sees others twice.
const PAUSE_MS: std::ops::Range<u64> = 50..700;

/// Upper bound of the age of figures, in seconds: they are refreshed each second, and may be late by another one.
const MAX_AGE_S: f64 = 2.0;

/// Between two samples.
const SAMPLE: Duration = Duration::from_millis(150);

const RIGHT: &str = "right-password-40c7";
const WRONG: &str = "wrong-password-e2b1";

/// Upper bound of the memory growth, in KiB: each site records its last connections, and glibc does not return all
/// memory. A leak of 10 KiB per rewrite would reach it.
const MAX_GROWTH_KIB: u64 = 2048;

/// The configuration of a site that may change.
#[derive(Clone)]
struct ChangingSite {
    number: usize,
    is_there: bool,
    name: u32,
    is_right: bool,
}

/// The current content of the files.
struct World {
    rng: Rng,
    changing: Vec<ChangingSite>,
    secret_is_right: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let changing =
            (UNCHANGED..SITES).map(|number| ChangingSite { number, is_there: true, name: 0, is_right: true });
        Self { rng: Rng::with_seed(seed), changing: changing.collect(), secret_is_right: true }
    }

    fn given(&self, routers: &[Router]) -> AgentBuilder {
        let mut given = AgentBuilder::default().defaults("refresh: \"1s\",");
        for (number, router) in routers[..UNCHANGED].iter().enumerate() {
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
        for _ in 0..self.rng.usize(1..4) {
            let at = self.rng.usize(..self.changing.len());
            let site = &mut self.changing[at];
            match self.rng.u8(..5) {
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

    /// Rewrites a file by a random method, with valid or invalid content.
    fn rewrite(&mut self, kept: &ReloadingAgent, routers: &[Router]) {
        let method = self.rng.choice(WriteMethod::ALL).unwrap();
        match self.rng.u8(..10) {
            0..=4 => {
                self.change();
                kept.write("sites.ron", &self.file(routers), method);
            }
            5 => {
                self.secret_is_right = !self.secret_is_right;
                kept.write("secret", if self.secret_is_right { RIGHT } else { WRONG }, method);
            }
            6 | 7 => {
                let text = self.file(routers);
                let half = self.rng.usize(..text.len());
                kept.write("sites.ron", &text[..half], method);
            }
            8 => kept.write("sites.ron", &self.file(routers).replace("refresh:", "refesh:"), method),
            _ => {
                let text = self.file(routers);
                kept.write("sites.ron", &text[..text.len() / 2], WriteMethod::InPlace);
                thread::sleep(Duration::from_millis(300));
                kept.write("sites.ron", &text, method);
            }
        }
    }
}

fn is_by_file(number: usize) -> bool {
    number >= SITES - BY_FILE
}

fn key(number: usize) -> String {
    format!("{}-{number}", if number < UNCHANGED { "stays" } else { "changes" })
}

/// The time of the last refresh of each unchanged site.
fn refreshed(kept: &ReloadingAgent) -> BTreeMap<String, f64> {
    let text = kept.get("/metrics").body;
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("mikrotik_last_success_timestamp_seconds{site=\"stays-")?;
        let (key, at) = rest.split_once("\"} ")?;
        Some((key.to_string(), at.parse().unwrap()))
    });
    lines.collect()
}

/// Checks the unchanged sites until `is_over`. Returns the maximum age of figures in seconds.
fn watch(kept: &ReloadingAgent, is_over: &AtomicBool) -> f64 {
    let mut max_age: f64 = 0.0;
    while !is_over.load(Ordering::SeqCst) {
        // Before the request, so that the time of the response does not count.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let refreshed = refreshed(kept);
        assert_eq!(refreshed.len(), UNCHANGED);
        for (key, at) in &refreshed {
            let age = now - at;
            assert!(
                age <= MAX_AGE_S,
                "expected a refresh of stays-{key} within {MAX_AGE_S} s, last was {age} s ago"
            );
            max_age = max_age.max(age);
        }
        let stats = kept.json("/api/hotspot/stats");
        for (key, site) in stats.as_object().unwrap().iter().filter(|(key, _)| key.starts_with("stays-")) {
            assert!(site["status"] == "active" && site["error"].is_null(), "{key}: {site}");
        }
        assert!(kept.page("/").trim_end().ends_with("</html>"));
        thread::sleep(SAMPLE);
    }
    max_age
}

/// Open descriptors, threads, and memory in KiB.
fn resources(kept: &ReloadingAgent) -> (usize, usize, u64) {
    let threads = fs::read_dir(format!("/proc/{}/task", kept.running.id())).unwrap().count();
    (open_files(kept), threads, kept.running.memory_kib("VmRSS"))
}

fn are_all_online(kept: &ReloadingAgent) -> bool {
    let sites = kept.json("/api/sites");
    sites.as_object().unwrap().values().filter(|site| site["state"] == "online").count() == SITES
}

/// Whether the agent shows a site as configured.
fn is_as_configured(world: &World, site: &ChangingSite, shown: &Value) -> bool {
    if !site.is_there {
        return shown.is_null();
    }
    let is_right = if is_by_file(site.number) { world.secret_is_right } else { site.is_right };
    let state = if is_right { "online" } else { "offline" };
    shown["name"] == format!("name {}", site.name) && shown["state"] == state
}

#[test]
#[ignore = "needs two minutes"]
fn unchanged_sites_are_unaffected_by_two_hundred_rewrites_of_the_file() {
    let _alone = super::alone();
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let settings =
        |seed| Settings { seed, logins: vec![Login::new("api-user", RIGHT)], ..Settings::default() };
    let routers: Vec<Router> = (0..SITES as u64).map(|seed| router(settings(seed))).collect();
    let mut world = World::new(seed);
    let kept = ReloadingAgent::start_with(&world.given(&routers), &[("secret", RIGHT)]);
    kept.running.secrets.add(WRONG);
    until("all sites are online", || are_all_online(&kept).then_some(()));
    // The first refreshes and responses allocate memory that stays.
    until("each router has received 60 commands", || {
        kept.page("/");
        refreshed(&kept);
        routers.iter().all(|router| router.counters().commands >= 60).then_some(())
    });
    let before = resources(&kept);

    let is_over = AtomicBool::new(false);
    let max_age = thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&kept, &is_over));
        for _ in 0..REWRITES {
            assert!(!watching.is_finished(), "expected no failure of an unchanged site");
            world.rewrite(&kept, &routers);
            // A random pace, not a wait for a condition.
            thread::sleep(Duration::from_millis(world.rng.u64(PAUSE_MS)));
        }
        is_over.store(true, Ordering::SeqCst);
        watching.join().unwrap()
    });

    kept.write("sites.ron", &world.file(&routers), WriteMethod::InPlace);
    until("all sites are as configured in the last file", || {
        let shown = kept.json("/api/sites");
        let is_as_configured = |site: &ChangingSite| is_as_configured(&world, site, &shown[key(site.number)]);
        (world.changing.iter().all(is_as_configured) && kept.config()["isCurrent"] == true).then_some(())
    });
    for (number, router) in routers[..UNCHANGED].iter().enumerate() {
        assert_eq!((logins_and_connections(router), router.counters().open), ((1, 1), 1), "{}", key(number));
    }
    let log = kept.running.err();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("] site=stays-")).collect();
    assert_eq!(lines.len(), UNCHANGED, "expected one line per unchanged site: {lines:#?}");
    assert!(!log.contains("panicked"), "{log}");

    // The first file again, to compare the resources.
    let first = World::new(seed);
    kept.write("secret", RIGHT, WriteMethod::InPlace);
    kept.write("sites.ron", &first.file(&routers), WriteMethod::InPlace);
    until("all sites are online again", || are_all_online(&kept).then_some(()));
    for router in &routers {
        until("one connection per router is open", || (router.counters().open == 1).then_some(()));
    }
    let now = until("no more descriptors or threads than before are in use", || {
        let now = resources(&kept);
        ((now.0, now.1) <= (before.0, before.1)).then_some(now)
    });
    eprintln!(
        "{} files applied, {} rejected; no figures were older than {max_age:.2} s; descriptors, threads, KiB: {before:?} \
         before, {now:?} after",
        kept.applied_files().len(),
        kept.rejected_files().len()
    );
    assert!(
        now.2 <= before.2 + MAX_GROWTH_KIB,
        "expected growth of at most {MAX_GROWTH_KIB} KiB, got {before:?} before, {now:?} after"
    );
}

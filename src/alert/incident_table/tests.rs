//! Days in simulated time: what happens to sites and figures, and the notifications that result.

use std::time::Duration;

use super::*;
use crate::alert::announcer::{MAX_MUTES, Mute};
use crate::alert::record::{Alert, AlertState};

const GROUP: u64 = 20;

/// A notification, with the dates when it was sent.
#[derive(Debug)]
struct Sent {
    title: String,
    text: String,
    alerts: Vec<Alert>,
}

/// A table with its clock, and the notifications so far, each with the second in which it was sent.
struct Simulation {
    table: IncidentTable,
    second: u64,
    after: u64,
    is_quiet: bool,
    sent: Vec<(u64, Sent)>,
}

fn now(second: u64) -> AlertTime {
    // 2026-05-31, 00:00:00 UTC.
    let unix = Duration::from_secs(1_780_185_600 + second);
    AlertTime { tick: Tick::at(Duration::from_secs(1000 + second)), unix }
}

fn subject<'s>(site: &'s str, kind: &'s str, after: u64) -> Subject<'s> {
    let name = (!site.is_empty()).then_some(site);
    Subject { site, name, rule: kind, kind, part: "", after: Duration::from_secs(after) }
}

fn offline(site: &str) -> Description {
    Description {
        problem: format!("{site} is offline"),
        recovery: format!("{site} is online again"),
        cause: Some("connection refused".into()),
        ..Description::default()
    }
}

impl Simulation {
    fn new(sites: &[&str], after: u64) -> Self {
        let mut simulation =
            Self { table: IncidentTable::default(), second: 0, after, is_quiet: false, sent: Vec::new() };
        simulation.configure();
        for site in sites {
            simulation.up(site);
        }
        simulation
    }

    fn configure(&mut self) {
        self.table.announcer.group = Duration::from_secs(GROUP);
    }

    fn now(&self) -> AlertTime {
        now(self.second)
    }

    fn down(&mut self, site: &str) {
        let since = self.now().tick;
        self.table.record_site(site, Some(Reachability::Lost(since)), self.now());
        let observation = Evaluation::Present(Some(since), offline(site));
        self.table.observe(subject(site, SITE_DOWN, self.after), observation, self.now());
    }

    fn up(&mut self, site: &str) {
        self.table.record_site(site, Some(Reachability::Reachable), self.now());
        self.table.observe(subject(site, SITE_DOWN, self.after), Evaluation::Absent(None), self.now());
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.second + seconds;
        while self.second < end {
            // Long times pass in larger steps.
            self.second += if self.second + 1000 < end && self.second.is_multiple_of(10) { 10 } else { 1 };
            let now = self.now();
            let sent =
                self.table.advance(self.is_quiet, now).map(|Notification { title, text, alerts, .. }| {
                    let alerts = alerts.iter().map(|alert| alert.alert(now)).collect();
                    (self.second, Sent { title, text, alerts })
                });
            self.sent.extend(sent);
        }
    }

    /// What a new process restores.
    fn restart(&mut self) {
        let stored = serde_json::to_string(&self.table).unwrap();
        self.table = serde_json::from_str(&stored).unwrap();
        self.table.resume(self.now().tick);
        self.configure();
    }

    /// What the rule about the CPU finds at a site.
    fn cpu(&mut self, site: &str, observation: Evaluation) {
        self.table.observe(subject(site, "Above", 0), observation, self.now());
    }

    /// Sites are down for some seconds and up for some, again and again.
    fn flap(&mut self, sites: &[&str], times: u64, down: u64, up: u64) {
        for _ in 0..times {
            for site in sites {
                self.down(site);
            }
            self.pass(down);
            for site in sites {
                self.up(site);
            }
            self.pass(up);
        }
    }

    /// The identifiers of the alerts in the notifications since the last call, whether they fire, and their messages.
    fn alerts(&mut self) -> Vec<(String, bool, String)> {
        let alerts = self.sent.drain(..).flat_map(|(_, notification)| notification.alerts);
        alerts.map(|alert| (alert.id, alert.state == AlertState::Firing, alert.message)).collect()
    }

    /// The titles of the notifications since the last call, with their seconds.
    fn titles(&mut self) -> Vec<String> {
        self.sent.drain(..).map(|(second, notification)| format!("{second} {}", notification.title)).collect()
    }
}

#[test]
fn an_outage_is_two_messages_the_second_with_its_duration() {
    let mut simulation = Simulation::new(&["awka", "lagos"], 90);
    simulation.pass(10);
    simulation.down("awka");
    simulation.pass(600);
    simulation.up("awka");
    simulation.pass(7200);
    let [(_, firing), (_, resolved)] = &simulation.sent[..] else { panic!("{:?}", simulation.sent) };
    let (first, second) = (&firing.alerts[0], &resolved.alerts[0]);
    assert_eq!((first.state, second.state), (AlertState::Firing, AlertState::Resolved));
    assert_eq!(first.id, second.id);
    assert!(
        first.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
        "{}",
        first.id
    );
    assert_eq!((&*first.since, &first.until), ("2026-05-31T00:00:10Z", &None));
    assert_eq!(
        (&*second.since, second.until.as_deref()),
        ("2026-05-31T00:00:10Z", Some("2026-05-31T00:10:10Z"))
    );
    assert_eq!(
        simulation.titles(),
        ["120 awka is offline for 1m30s: connection refused", "630 awka is online again after 10m"]
    );
    assert!(!simulation.table.has_incidents("awka"), "nothing is kept after the changes are forgotten");
}

#[test]
fn an_outage_shorter_than_after_is_no_message() {
    let mut simulation = Simulation::new(&["awka", "lagos"], 90);
    for _ in 0..10 {
        simulation.down("awka");
        simulation.pass(89);
        simulation.up("awka");
        simulation.pass(300);
    }
    assert_eq!(simulation.titles(), [""; 0]);
}

#[test]
fn an_outage_slightly_longer_than_after_is_reported_once() {
    let mut simulation = Simulation::new(&["awka", "lagos"], 90);
    simulation.down("awka");
    simulation.pass(100);
    simulation.up("awka");
    simulation.pass(3600);
    assert_eq!(simulation.titles(), ["220 awka is online again after 1m40s"]);
}

#[test]
fn a_short_outage_is_not_reported_after_the_next_one() {
    let mut simulation = Simulation::new(&["awka", "lagos"], 90);
    simulation.down("awka");
    simulation.pass(100);
    simulation.up("awka");
    simulation.pass(5);
    simulation.down("awka");
    simulation.pass(200);
    let lines: Vec<&str> = simulation.sent[0].1.text.lines().collect();
    let expected = [
        "Resolved: awka is online again after 1m40s",
        "Firing: awka is offline for 1m30s: connection refused",
    ];
    assert_eq!(lines, expected);
    assert_eq!(simulation.titles(), ["215 2 alerts: 1 firing, 1 resolved"]);
}

#[test]
fn flapping_is_at_most_one_message_until_it_is_calm() {
    for (after, expected) in [(90, 0), (5, 1), (0, 1)] {
        let mut simulation = Simulation::new(&["awka", "lagos"], after);
        for _ in 0..30 {
            simulation.down("awka");
            simulation.pass(10);
            simulation.up("awka");
            simulation.pass(10);
        }
        let titles = simulation.titles();
        assert_eq!(titles.len(), expected, "{titles:?}");
        assert!(titles.iter().all(|title| title.contains("Unstable")), "{titles:?}");
        simulation.pass(1700);
        assert_eq!(simulation.titles(), [""; 0]);
        simulation.pass(7200);
        let calm: Vec<&str> = ["2420 awka is online again, and stable for 30m"; 1][..expected].to_vec();
        let titles = simulation.titles();
        assert_eq!(titles.len(), calm.len(), "{titles:?}");
        assert!(
            titles.iter().all(|title| title.ends_with("awka is online again, and stable for 30m")),
            "{titles:?}"
        );
    }
}

#[test]
fn slow_flapping_becomes_one_message_after_four_changes() {
    let mut simulation = Simulation::new(&["awka", "lagos"], 0);
    for _ in 0..5 {
        simulation.down("awka");
        simulation.pass(300);
        simulation.up("awka");
        simulation.pass(300);
    }
    simulation.down("awka");
    simulation.pass(7200);
    let ids: Vec<&str> = simulation.sent.iter().map(|(_, sent)| &*sent.alerts[0].id).collect();
    assert_eq!(ids.len(), 6);
    assert_eq!((ids[0], ids[2], ids[4]), (ids[1], ids[3], ids[5]));
    let titles = simulation.titles();
    assert!(
        titles[4].starts_with("1221 Unstable: \"awka is offline\" changed more than 4 times"),
        "{titles:?}"
    );
    assert_eq!(titles[5], "4820 awka is offline for 30m: connection refused");
}

#[test]
fn a_lost_uplink_is_one_message_and_its_return_another() {
    let keys: Vec<String> = (0..50).map(|n| format!("site{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for after in [2, 90] {
        let mut simulation = Simulation::new(&keys, after);
        simulation.pass(60);
        // Each loss is noticed within half a minute, and each return within a minute.
        for (at, key) in keys.iter().enumerate() {
            simulation.down(key);
            simulation.pass(u64::from(at % 2 == 1));
        }
        simulation.pass(3600);
        for key in &keys {
            simulation.up(key);
            simulation.pass(1);
        }
        simulation.pass(7200);
        let [(_, lost), (_, restored)] = &simulation.sent[..] else { panic!("{:?}", simulation.titles()) };
        let (lost, restored) = (&lost.alerts[0], &restored.alerts[0]);
        assert_eq!((&*lost.kind, &lost.site, &lost.name), (UPLINK_LOST, &None, &None));
        assert_eq!((&*lost.since, &lost.until), ("2026-05-31T00:01:00Z", &None));
        assert_eq!((&lost.id, &*restored.since), (&restored.id, "2026-05-31T00:01:00Z"));
        assert_eq!(restored.until.as_deref(), Some("2026-05-31T01:01:25Z"));
    }
}

#[test]
fn sites_that_stay_lost_after_the_uplink_is_restored_are_down() {
    let mut simulation = Simulation::new(&["a", "b", "c"], 10);
    for site in ["a", "b", "c"] {
        simulation.down(site);
    }
    simulation.pass(600);
    simulation.up("a");
    simulation.pass(30);
    simulation.up("b");
    simulation.pass(600);
    let titles = simulation.titles();
    assert_eq!(
        titles,
        [
            "30 All 3 sites are unreachable at once for 10s: the agent's own network connection is probably down",
            "620 Sites are reachable again after 10m",
            "710 c is offline for 11m30s: connection refused"
        ]
    );
}

#[test]
fn a_single_site_and_sites_lost_one_after_the_other_are_down_themselves() {
    let mut single = Simulation::new(&["a"], 90);
    single.down("a");
    single.pass(600);
    assert_eq!(single.titles(), ["110 a is offline for 1m30s: connection refused"]);
    let mut both = Simulation::new(&["a", "b"], 90);
    both.down("a");
    both.pass(600);
    both.down("b");
    both.pass(600);
    assert_eq!(both.titles().len(), 2);
}

#[test]
fn alerts_within_the_grouping_time_are_one_message() {
    let keys: Vec<String> = ('a'..='z').chain('A'..='Z').map(String::from).collect();
    let mut simulation = Simulation::new(&keys.iter().map(String::as_str).collect::<Vec<_>>(), 0);
    simulation.down("a");
    simulation.pass(19);
    simulation.down("b");
    simulation.pass(60);
    assert_eq!(simulation.sent[0].1.alerts.len(), 2);
    assert_eq!(simulation.sent[0].1.text.lines().count(), 2);
    assert_eq!(simulation.titles(), ["21 2 alerts: 2 firing"]);
}

#[test]
fn missing_data_is_no_recovery_and_no_alert() {
    let cpu = subject("awka", "Above", 600);
    let high =
        || Evaluation::Present(None, Description { problem: "CPU load is 95 %".into(), ..offline("") });
    let mut simulation = Simulation::new(&[], 0);
    simulation.table.observe(cpu, high(), now(0));
    simulation.pass(590);
    simulation.table.observe(cpu, Evaluation::Unknown, simulation.now());
    simulation.pass(3600);
    assert_eq!(simulation.titles(), [""; 0], "it does not fire without data");
    simulation.table.observe(cpu, high(), simulation.now());
    simulation.pass(60);
    assert_eq!(simulation.titles().len(), 1);
    simulation.table.observe(cpu, Evaluation::Unknown, simulation.now());
    simulation.pass(86_400);
    assert_eq!(simulation.titles(), [""; 0], "it does not resolve without data");
    simulation.table.observe(cpu, Evaluation::Absent(Some(10.0)), simulation.now());
    simulation.pass(60);
    assert_eq!(simulation.sent[0].1.alerts[0].value, Some(10.0));
    assert_eq!(simulation.titles().len(), 1);
}

#[test]
fn time_without_data_does_not_count() {
    let cpu = subject("awka", "Above", 600);
    let mut simulation = Simulation::new(&[], 0);
    let high = |simulation: &mut Simulation| {
        simulation.table.observe(cpu, Evaluation::Present(None, offline("awka")), simulation.now());
    };
    high(&mut simulation);
    simulation.pass(10);
    simulation.table.observe(cpu, Evaluation::Unknown, simulation.now());
    simulation.pass(3600);
    high(&mut simulation);
    simulation.pass(580);
    assert_eq!(simulation.titles(), [""; 0], "590 s are known");
    simulation.pass(60);
    assert_eq!(simulation.titles(), ["4220 awka is offline for 10m: connection refused"]);
}

#[test]
fn identifiers_differ_although_a_clock_starts_again() {
    let mut simulation = Simulation::new(&["a", "b"], 0);
    let mut ids = Vec::new();
    for second in [100, 10_000] {
        simulation.second = second;
        simulation.down("a");
        simulation.table.advance(false, AlertTime { unix: Duration::from_secs(90), ..now(second + 90) });
        ids.extend(simulation.table.firing(now(second)).map(|alert| alert.id));
        simulation.up("a");
    }
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
}

#[test]
fn an_alert_after_quiet_hours_that_held_nothing_back_is_no_digest() {
    let mut simulation = Simulation::new(&["a", "b"], 0);
    simulation.is_quiet = true;
    simulation.down("a");
    simulation.pass(60);
    let now = simulation.now();
    simulation.table.retain(|_, _| false, now);
    simulation.pass(60);
    simulation.is_quiet = false;
    simulation.pass(3600);
    simulation.down("b");
    simulation.pass(100);
    let titles = simulation.titles();
    assert!(titles.len() == 1 && titles[0].contains("b is offline"), "{titles:?}");
}

#[test]
fn quiet_hours_end_with_one_digest() {
    let mut simulation = Simulation::new(&["a", "b", "c", "d"], 90);
    simulation.table.announcer.remind = Some(Duration::from_secs(3600));
    simulation.down("a");
    simulation.pass(600);
    assert_eq!(simulation.titles().len(), 1);
    simulation.is_quiet = true;
    simulation.down("b");
    simulation.pass(600);
    simulation.up("a");
    simulation.up("b");
    simulation.pass(7200);
    simulation.down("c");
    simulation.pass(7200);
    assert_eq!(simulation.titles(), [""; 0]);
    simulation.restart();
    simulation.is_quiet = false;
    simulation.pass(60);
    let states = simulation.sent[0].1.alerts.iter().map(|alert| (alert.site.as_deref(), alert.state));
    assert_eq!(
        states.collect::<Vec<_>>(),
        [
            (Some("b"), AlertState::Resolved),
            (Some("a"), AlertState::Resolved),
            (Some("c"), AlertState::Firing)
        ]
    );
    assert_eq!(simulation.titles().len(), 1);
}

#[test]
fn firing_alerts_are_repeated_until_they_are_acknowledged() {
    let mut simulation = Simulation::new(&["a", "b"], 90);
    simulation.table.announcer.remind = Some(Duration::from_secs(6 * 3600));
    simulation.down("a");
    simulation.pass(86_400 / 2 + 200);
    assert_eq!(simulation.sent[1].1.text.lines().next().unwrap().split(':').next(), Some("Still firing"));
    let id = simulation.sent[0].1.alerts[0].id.clone();
    assert_eq!(simulation.titles().len(), 3);
    assert!(simulation.table.acknowledge(&id, "admin", simulation.now().tick));
    assert!(!simulation.table.acknowledge("other", "admin", simulation.now().tick));
    simulation.pass(2 * 86_400);
    assert_eq!(simulation.titles(), [""; 0]);
    let firing: Vec<_> = simulation.table.firing(simulation.now()).collect();
    assert_eq!(firing[0].acknowledged.as_ref().map(|(by, _)| &**by), Some("admin"));
    simulation.up("a");
    simulation.pass(60);
    assert_eq!(simulation.titles().len(), 1, "the resolution is sent");
}

fn mute(simulation: &mut Simulation, site: &str, seconds: u64) {
    let until = simulation.now().tick.after(Duration::from_secs(seconds));
    let mute = Mute { site: Some(site.into()), until, by: "admin".into() };
    simulation.table.announcer.mute(mute, simulation.now().tick);
}

#[test]
fn a_mute_holds_back_new_alerts_and_no_resolutions() {
    let mut simulation = Simulation::new(&["a", "b", "c", "d"], 90);
    simulation.down("a");
    simulation.pass(200);
    assert_eq!(simulation.titles().len(), 1);
    for site in ["a", "b", "c"] {
        mute(&mut simulation, site, 3600);
    }
    simulation.down("b");
    simulation.down("c");
    simulation.pass(300);
    simulation.up("a");
    simulation.up("b");
    simulation.pass(300);
    assert_eq!(simulation.titles(), ["520 a is online again after 8m20s"]);
    simulation.restart();
    simulation.down("c");
    simulation.pass(3600);
    assert_eq!(simulation.titles(), ["3820 c is offline for 1h: connection refused"]);
    assert_eq!(simulation.table.announcer.mutes(simulation.now().tick).count(), 0);
}

#[test]
fn a_mute_above_the_limit_is_refused() {
    let (mut announcer, until) = (Announcer::default(), Tick::default().after(Duration::from_secs(1)));
    let mute = |site: usize, until: Tick| Mute { site: Some(site.to_string()), until, by: "admin".into() };
    assert!((0..MAX_MUTES).all(|site| announcer.mute(mute(site, until), Tick::default())));
    for (site, until, is_done) in
        [(MAX_MUTES, until, false), (0, until, true), (0, Tick::default(), true), (MAX_MUTES, until, true)]
    {
        assert_eq!(announcer.mute(mute(site, until), Tick::default()), is_done, "{site}");
    }
}

#[test]
fn a_restart_repeats_nothing_and_loses_no_resolution() {
    let mut simulation = Simulation::new(&["a", "b", "c"], 90);
    simulation.down("a");
    simulation.down("b");
    simulation.pass(200);
    assert_eq!(simulation.titles().len(), 1);
    simulation.restart();
    simulation.pass(600);
    simulation.up("c");
    simulation.down("a");
    simulation.pass(600);
    assert_eq!(simulation.titles(), [""; 0], "neither without data, nor with the same");
    simulation.up("b");
    // The resolution waits to be sent.
    simulation.pass(5);
    simulation.restart();
    simulation.up("c");
    simulation.pass(60);
    assert_eq!(simulation.titles(), ["1420 b is online again after 23m20s"]);
    simulation.up("a");
    simulation.pass(60);
    assert_eq!(simulation.titles().len(), 1);
    // Without its state, the agent reports what is present once.
    simulation.down("a");
    simulation.pass(200);
    simulation.table = IncidentTable::default();
    simulation.configure();
    simulation.titles();
    simulation.up("c");
    simulation.down("a");
    simulation.pass(600);
    assert_eq!(simulation.titles().len(), 1);
}

#[test]
fn a_rule_that_is_removed_ends_its_alerts_silently() {
    let mut simulation = Simulation::new(&["a", "b"], 90);
    simulation.down("a");
    simulation.pass(100);
    let now = simulation.now();
    simulation.table.retain(|site, incident| site == "b" || incident.kind != SITE_DOWN, now);
    simulation.pass(600);
    assert_eq!(simulation.titles(), [""; 0], "it was not sent yet");
    let past: Vec<&str> = simulation.table.announcer.past.iter().map(|past| &*past.message).collect();
    assert_eq!(past, ["a is offline for 1m40s: connection refused"]);
    assert_eq!(simulation.table.firing(now).count(), 0);
}

#[test]
fn a_reboot_is_one_message_and_many_reboots_another() {
    let rebooted = subject("awka", "Rebooted", 0);
    let words = Description {
        problem: "awka rebooted".into(),
        recovery: "awka does not reboot".into(),
        hint: Some("check its power".into()),
        ..offline("")
    };
    let mut simulation = Simulation::new(&["awka"], 90);
    for _ in 0..8 {
        simulation.table.report(rebooted, words.clone(), simulation.now().tick, simulation.now());
        simulation.pass(300);
    }
    let Sent { text, alerts, .. } = &simulation.sent[0].1;
    assert_eq!((&**text, alerts[0].state), ("awka rebooted\ncheck its power", AlertState::Firing));
    let titles = simulation.titles();
    assert_eq!(titles.len(), 5);
    assert_eq!(titles[0], "20 awka rebooted");
    assert!(titles[4].contains("Unstable"), "{titles:?}");
    simulation.pass(600);
    simulation.restart();
    simulation.table.observe(rebooted, Evaluation::Absent(None), simulation.now());
    simulation.pass(3000);
    assert_eq!(simulation.titles(), ["3920 awka does not reboot, and stable for 30m"]);
}

#[test]
fn an_unstable_uplink_that_ended_before_a_restart_resolves() {
    let sites = ["a", "b"];
    let mut simulation = Simulation::new(&sites, 0);
    for _ in 0..4 {
        for site in sites {
            simulation.down(site);
        }
        simulation.pass(30);
        for site in sites {
            simulation.up(site);
        }
        simulation.pass(30);
    }
    let uplink: Vec<_> = simulation.table.firing(simulation.now()).map(|alert| alert.kind).collect();
    assert_eq!(uplink, [UPLINK_LOST]);
    simulation.restart();
    for site in sites {
        simulation.up(site);
    }
    simulation.pass(7300);
    assert_eq!(simulation.table.firing(simulation.now()).count(), 0);
}

/// An uplink that is lost again and again is one message, also if too few changes are recent.
#[test]
fn a_flapping_uplink_is_one_message_until_it_is_calm() {
    let sites = ["a", "b", "c"];
    for (down, up) in [(180, 180), (300, 1200)] {
        let mut simulation = Simulation::new(&sites, 90);
        simulation.flap(&sites, 8 * 3600 / (down + up), down, up);
        let mut alerts = simulation.alerts();
        assert_eq!(alerts.len(), 5, "{alerts:?}");
        assert!(alerts[4].2.starts_with("Unstable"), "{alerts:?}");
        simulation.restart();
        simulation.flap(&sites, 1, 300, 1700);
        assert_eq!(simulation.titles(), [""; 0], "it changed before the restart");
        simulation.pass(7300);
        alerts.extend(simulation.alerts());
        assert!(alerts[5].2.ends_with("reachable again, and stable for 30m"), "{alerts:?}");
        let states: Vec<(&str, bool)> = alerts.iter().map(|(id, firing, _)| (&**id, *firing)).collect();
        let expected = [0, 0, 2, 2, 4, 4].into_iter().zip([true, false, true, false, true, false]);
        assert_eq!(states, expected.map(|(at, firing)| (&*alerts[at].0, firing)).collect::<Vec<_>>());
        assert_eq!(simulation.table.firing(simulation.now()).count(), 0);
    }
}

#[test]
fn a_lost_uplink_replaces_no_alert_that_was_sent() {
    let mut simulation = Simulation::new(&["a", "b", "c"], 0);
    simulation.flap(&["a"], 1, 10, 300);
    simulation.down("b");
    simulation.down("a");
    simulation.pass(81);
    let sent = simulation.alerts();
    assert!(sent.iter().any(|(id, firing, _)| id.starts_with("a-") && *firing), "{sent:?}");
    // It becomes unstable, and the message about that waits when the last site is lost.
    simulation.up("a");
    simulation.pass(1);
    simulation.down("a");
    simulation.pass(1);
    simulation.down("c");
    simulation.pass(60);
    for site in ["a", "b", "c"] {
        simulation.up(site);
    }
    simulation.pass(7300);
    let later = simulation.alerts();
    for (id, ..) in sent.iter().filter(|(_, firing, _)| *firing) {
        let ends = later.iter().filter(|(other, firing, _)| other == id && !firing).count();
        assert_eq!(ends, 1, "{id}: {later:?}");
    }
}

#[test]
fn a_lost_uplink_replaces_an_alert_that_a_mute_holds_back() {
    let mut simulation = Simulation::new(&["a", "b", "c"], 0);
    mute(&mut simulation, "a", 100);
    simulation.down("a");
    simulation.pass(10);
    assert_eq!(simulation.table.firing(simulation.now()).count(), 1);
    simulation.down("b");
    simulation.down("c");
    simulation.pass(600);
    let alerts = simulation.alerts();
    assert!(alerts.len() == 1 && alerts[0].0.starts_with(UPLINK_LOST), "{alerts:?}");
}

#[test]
fn what_is_unstable_before_it_was_sent_and_stable_within_a_mute_is_no_message() {
    let mut simulation = Simulation::new(&["a", "b"], 0);
    // The first change no longer counts when it fires for the third time, so the fifth is a resolution.
    simulation.flap(&["a"], 1, 100, 2900);
    simulation.flap(&["a"], 1, 5, 600);
    simulation.alerts();
    simulation.down("a");
    simulation.pass(1);
    mute(&mut simulation, "a", 7200);
    simulation.pass(4);
    simulation.up("a");
    simulation.pass(7300);
    assert_eq!(simulation.titles(), [""; 0]);
    let past = simulation.table.announcer.past.back().unwrap();
    assert!(past.message.ends_with("stable for 30m"), "{}", past.message);
}

#[test]
fn a_rule_that_is_removed_takes_back_its_waiting_messages() {
    let mut simulation = Simulation::new(&["a", "b"], 0);
    simulation.down("a");
    simulation.pass(60);
    assert_eq!(simulation.alerts().len(), 1);
    simulation.is_quiet = true;
    simulation.up("a");
    simulation.flap(&["a"], 4, 60, 60);
    simulation.table.retain(|site, _| site != "a", simulation.now());
    simulation.is_quiet = false;
    simulation.pass(7300);
    assert_eq!(simulation.titles(), [""; 0], "it is unstable");
}

#[test]
fn an_alert_that_was_sent_resolves_although_it_becomes_unstable_under_a_mute() {
    let mut simulation = Simulation::new(&["a", "b"], 0);
    simulation.down("a");
    simulation.pass(30);
    let sent = simulation.alerts();
    simulation.is_quiet = true;
    simulation.pass(30);
    simulation.up("a");
    simulation.pass(60);
    simulation.flap(&["a"], 1, 60, 20);
    mute(&mut simulation, "a", 3600);
    simulation.flap(&["a"], 1, 60, 1900);
    simulation.is_quiet = false;
    simulation.pass(7300);
    let resolved = simulation.alerts();
    let [(id, false, message)] = &resolved[..] else { panic!("{resolved:?}") };
    assert_eq!((id, &**message), (&sent[0].0, "a is online again, and stable for 30m"));
}

#[test]
fn an_alert_that_was_sent_resolves_although_it_flaps_twice_in_quiet_hours() {
    let mut simulation = Simulation::new(&["a", "b"], 0);
    simulation.down("a");
    simulation.pass(60);
    let sent = simulation.alerts();
    simulation.is_quiet = true;
    simulation.up("a");
    for _ in 0..2 {
        simulation.flap(&["a"], 4, 60, 60);
        simulation.pass(3600);
    }
    simulation.is_quiet = false;
    simulation.pass(7300);
    let resolved = simulation.alerts();
    let [(id, false, _)] = &resolved[..] else { panic!("{resolved:?}") };
    assert_eq!(*id, sent[0].0);
}

#[test]
fn what_is_unstable_at_the_end_of_a_mute_is_announced_then_and_not_repeated() {
    let mut simulation = Simulation::new(&["a", "b"], 0);
    simulation.table.announcer.remind = Some(Duration::from_secs(3600));
    mute(&mut simulation, "a", 3600);
    simulation.flap(&["a"], 60, 60, 540);
    let alerts = simulation.alerts();
    let [(_, true, message)] = &alerts[..] else { panic!("{alerts:?}") };
    assert!(message.contains("changed more than 4 times within an hour"), "{message}");
    simulation.pass(7300);
    assert_eq!(simulation.alerts().len(), 1, "it resolves");
}

#[test]
fn time_without_data_and_time_outside_of_the_hours_is_not_calm() {
    for observation in [Evaluation::Unknown, Evaluation::Excluded(offline("a"))] {
        let mut simulation = Simulation::new(&["a"], 0);
        for _ in 0..5 {
            simulation.cpu("a", Evaluation::Present(None, offline("a")));
            simulation.pass(60);
            simulation.cpu("a", Evaluation::Absent(None));
            simulation.pass(60);
        }
        let id = simulation.alerts().pop().unwrap().0;
        simulation.cpu("a", observation.clone());
        simulation.pass(7200);
        // What lasts outside of the hours is no longer unstable, and has not ended.
        let alerts = simulation.alerts();
        let is_known = observation != Evaluation::Unknown;
        assert_eq!(alerts.len(), usize::from(is_known), "{alerts:?}");
        assert!(alerts.iter().all(|alert| (&alert.0, alert.1) == (&id, true)), "{alerts:?}");
        simulation.cpu("a", Evaluation::Absent(None));
        simulation.pass(1000);
        let count = usize::from(is_known);
        assert_eq!(simulation.alerts().len(), count, "a minute was calm before, and now 1000 s");
        simulation.pass(1000);
        assert_eq!(simulation.alerts().len(), 1 - count);
    }
}

#[test]
fn an_acknowledged_alert_that_becomes_unstable_stays_acknowledged() {
    let mut simulation = Simulation::new(&["a", "b"], 0);
    simulation.flap(&["a"], 1, 60, 60);
    simulation.down("a");
    simulation.pass(60);
    let id = simulation.alerts().pop().unwrap().0;
    assert!(simulation.table.acknowledge(&id, "admin", simulation.now().tick));
    simulation.up("a");
    simulation.pass(1);
    simulation.down("a");
    simulation.pass(60);
    let firing: Vec<_> = simulation.table.firing(simulation.now()).collect();
    assert_eq!((&firing[0].id, firing[0].acknowledged.is_some()), (&id, true));
}

/// A site, or none, and a kind.
type Place = (Option<String>, String);

/// What was observed at each place: from which second on the condition was present, absent, or unknown.
#[derive(Default)]
struct Observed(std::collections::HashMap<Place, Vec<(u64, Option<bool>)>>);

impl Observed {
    fn note(&mut self, site: Option<&str>, kind: &str, second: u64, is_present: Option<bool>) {
        self.0.entry((site.map(Into::into), kind.into())).or_default().push((second, is_present));
    }

    fn last(&self, site: Option<&str>, kind: &str) -> Option<bool> {
        self.0.get(&(site.map(Into::into), kind.into()))?.last()?.1
    }

    /// For how many seconds it was known to be absent until this one; `None`: it was not absent then.
    fn absent_until(&self, place: &Place, second: u64) -> Option<u64> {
        let observed = self.0.get(place)?;
        let (before, then): (Vec<_>, Vec<_>) =
            observed.iter().filter(|(from, _)| *from <= second).partition(|(from, _)| *from < second);
        // What was noted in the second itself may have been earlier or later in it.
        if !then.into_iter().chain(before.last().copied()).any(|(_, is_present)| is_present == Some(false)) {
            return None;
        }
        let (mut absent, mut end) = (0, second);
        for (from, is_present) in before.into_iter().rev().take_while(|(_, known)| *known != Some(true)) {
            absent += if is_present.is_some() { end - from } else { 0 };
            end = from;
        }
        Some(absent)
    }
}

/// Days in which anything happens, and what was observed in them.
struct Days {
    simulation: Simulation,
    observed: Observed,
    /// Places whose rule was removed, and alerts that were acknowledged, with the second.
    removed: Vec<(u64, Place)>,
    acknowledged: Vec<(u64, String)>,
}

const SITES: [&str; 4] = ["a", "b", "c", "d"];

impl Days {
    fn new(after: u64) -> Self {
        let mut simulation = Simulation::new(&SITES, after);
        simulation.table.announcer.remind = Some(Duration::from_secs(3600));
        let mut observed = Observed::default();
        for site in SITES {
            observed.note(Some(site), SITE_DOWN, 0, Some(false));
        }
        observed.note(None, UPLINK_LOST, 0, Some(false));
        Self { simulation, observed, removed: Vec::new(), acknowledged: Vec::new() }
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.simulation.second + seconds;
        while self.simulation.second < end {
            self.simulation.pass(1);
            self.simulation.second = end.min(self.simulation.second + 9);
        }
    }

    fn reach(&mut self, site: &str, is_down: bool) {
        match (is_down, self.observed.last(Some(site), SITE_DOWN)) {
            (true, Some(true)) => return,
            (true, _) => self.simulation.down(site),
            (false, _) => self.simulation.up(site),
        }
        self.observed.note(Some(site), SITE_DOWN, self.simulation.second, Some(is_down));
        let all = SITES.map(|site| self.observed.last(Some(site), SITE_DOWN));
        let is_lost = all.iter().all(|down| *down == Some(true));
        let is_known = is_lost || all.contains(&Some(false));
        self.observed.note(None, UPLINK_LOST, self.simulation.second, is_known.then_some(is_lost));
    }

    fn cpu(&mut self, site: &str, observation: Evaluation) {
        let is_high = match observation {
            Evaluation::Present(..) | Evaluation::Excluded(_) => Some(true),
            Evaluation::Absent(_) => Some(false),
            Evaluation::Unknown => None,
            // It continues what it was.
            Evaluation::Hold => {
                let place = (Some(site.to_string()), "Above".to_string());
                let known = self.observed.0.get(&place);
                known.and_then(|known| known.iter().rev().find_map(|(_, is_high)| *is_high)).or(Some(false))
            }
        };
        self.simulation.cpu(site, observation);
        self.observed.note(Some(site), "Above", self.simulation.second, is_high);
    }

    fn act(&mut self, action: u8, site: &str) {
        let high = || offline(site);
        match action {
            0 | 1 => self.reach(site, action == 0),
            2 | 3 => SITES.into_iter().for_each(|site| self.reach(site, action == 2)),
            4 | 5 => self.cpu(site, Evaluation::Present(None, high())),
            6 | 7 => self.cpu(site, Evaluation::Absent(None)),
            8 => self.cpu(site, Evaluation::Hold),
            9 => self.cpu(site, Evaluation::Unknown),
            10 => self.cpu(site, Evaluation::Excluded(high())),
            11 | 12 => self.simulation.is_quiet = !self.simulation.is_quiet,
            13 => {
                self.simulation.restart();
                for ((site, kind), _) in self.observed.0.clone() {
                    self.observed.note(site.as_deref(), &kind, self.simulation.second, None);
                }
            }
            14 => mute(&mut self.simulation, site, 7200),
            15 => {
                let (now, second) = (self.simulation.now(), self.simulation.second);
                let firing: Vec<String> = self.simulation.table.firing(now).map(|alert| alert.id).collect();
                for id in firing {
                    self.simulation.table.acknowledge(&id, "admin", now.tick);
                    self.acknowledged.push((second, id));
                }
            }
            16 => {
                let now = self.simulation.now();
                self.simulation.table.retain(|key, incident| key != site || incident.kind != "Above", now);
                self.removed.push((self.simulation.second, (Some(site.into()), "Above".into())));
            }
            17 => {
                for at in 0..8 {
                    self.cpu(
                        site,
                        if at % 2 == 0 {
                            Evaluation::Present(None, high())
                        } else {
                            Evaluation::Absent(None)
                        },
                    );
                    self.pass(25);
                }
            }
            _ => {
                let sites = if action == 18 { &SITES[..] } else { &[site][..] };
                for at in 0..8 {
                    for site in sites {
                        self.reach(site, at % 2 == 0);
                    }
                    self.pass(25 + self.simulation.after);
                }
            }
        }
    }

    /// Ends everything, and checks what was sent.
    fn finish(mut self) -> Result<(), String> {
        self.simulation.is_quiet = false;
        for site in SITES {
            self.reach(site, false);
            self.cpu(site, Evaluation::Absent(None));
        }
        self.pass(3 * 3600);
        let mut open: std::collections::HashMap<Place, (String, bool)> = std::collections::HashMap::new();
        let mut ended = std::collections::HashSet::new();
        for (second, sent) in &self.simulation.sent {
            for (_, place) in self.removed.extract_if(.., |(at, _)| *at < *second) {
                open.remove(&place);
            }
            // It may be unstable and stable again within quiet hours.
            let is_digest = sent.title.starts_with("After quiet hours");
            for alert in &sent.alerts {
                let place = (alert.site.clone(), alert.kind.clone());
                let is_unstable = alert.message.starts_with("Unstable");
                let is_reminder = sent.text.contains(&format!("Still firing: {}", alert.message));
                let check = |is_good: bool, problem: &str| {
                    if is_good { Ok(()) } else { Err(format!("{problem} at {second}: {alert:?}")) }
                };
                check(!ended.contains(&alert.id), "after its resolution")?;
                let before = open.get(&place).cloned();
                if alert.state == AlertState::Firing {
                    if let Some((id, was_unstable)) = before {
                        check(id == alert.id, "two alerts at one place")?;
                        check(is_reminder || is_digest || is_unstable != was_unstable, "repeated")?;
                    }
                    check(!(is_reminder && is_unstable), "unstable and repeated")?;
                    let mut acknowledged = self.acknowledged.iter().filter(|(_, id)| *id == alert.id);
                    let is_late = |at: u64| *second > at + GROUP + 10;
                    check(!is_reminder || !acknowledged.any(|(at, _)| is_late(*at)), "acknowledged")?;
                    open.insert(place, (alert.id.clone(), is_unstable));
                } else {
                    let until = humantime::parse_rfc3339(alert.until.as_ref().unwrap()).unwrap();
                    let until = until.duration_since(std::time::UNIX_EPOCH + now(0).unix).unwrap();
                    let absent = self.observed.absent_until(&place, until.as_secs());
                    check(absent.is_some(), "resolved without data")?;
                    let is_calm = alert.kind == UPLINK_LOST || absent.is_some_and(|seconds| seconds >= 1800);
                    check(!alert.message.contains("stable for") || is_calm, "not calm")?;
                    if before.is_some_and(|(id, _)| id == alert.id) {
                        open.remove(&place);
                    }
                    ended.insert(alert.id.clone());
                }
            }
        }
        open.retain(|place, _| !self.removed.iter().any(|(_, removed)| removed == place));
        let firing: Vec<AlertRecord> = self.simulation.table.firing(self.simulation.now()).collect();
        if open.is_empty() && firing.is_empty() { Ok(()) } else { Err(format!("open: {open:?}, {firing:?}")) }
    }
}

/// Whatever happens over days: what was announced resolves once, and with data; two alerts never fire at one place; what
/// is unstable is one message until it is calm.
#[test]
fn each_alert_fires_and_resolves_at_most_once() {
    let config =
        proptest::test_runner::Config { cases: 128, failure_persistence: None, ..Default::default() };
    let wait = proptest::prop_oneof![1..100_u64, 100..2500_u64, 2500..10_000_u64];
    proptest::proptest!(config, |(
        steps in proptest::collection::vec((0..20_u8, 0..4_usize, wait), 1..60),
        after in 0..100_u64,
    )| {
        let mut days = Days::new(after);
        for (action, site, seconds) in steps {
            days.act(action, SITES[site]);
            days.pass(seconds);
        }
        let result = days.finish();
        proptest::prop_assert!(result.is_ok(), "{result:?}");
    });
}

//! From events of the store to notifications.

use std::sync::Arc;

use super::super::conditions::page_certificate_expires;
use super::super::incident::Evaluation;
use super::super::time::Tick;
use super::*;
use crate::config::parse;
use crate::plugin::{Data, Following, Internal, Plugin, Resource};
use crate::routeros::client::Reply;
use crate::routeros::codepage::Codepage;
use crate::routeros::error::{Cause, Error};
use crate::routeros::wire::Sentence;
use crate::state::{Reading, Reload, SiteState, Store};

/// A store with the sites `a` and `b`, its alerts, and a file with these alerts and this exception for `b`.
struct Agent {
    store: Arc<Store>,
    events: crate::state::EventReceiver,
    alerts: Alerts,
}

fn config(alerts: &str, exception: &str) -> Config {
    let site = |key: &str, more: &str| {
        format!(
            "{key:?}: (name: \"{}\", hosts: [\"h\"], user: \"u\", password: Plain(\"p\"){more})",
            key.to_uppercase()
        )
    };
    let text = format!("(sites: {{{}, {}}}, alerts: ({alerts}))", site("a", ""), site("b", exception));
    parse("sites.ron".as_ref(), &text, &|_| None).unwrap()
}

impl Agent {
    fn new(config: &Config) -> Self {
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        let site = |key: &str| {
            let hosts = ["h:8728".to_string()];
            SiteState::new(key, &key.to_uppercase(), Duration::from_secs(30), hosts, [Plugin::Resource])
        };
        store.rearrange(|_| ["a", "b"].map(site).map(Arc::new).into());
        let alerts = Alerts::new(Duration::ZERO);
        alerts.configure(config);
        let mut agent = Self { events: store.subscribe(), store, alerts };
        agent.online("a");
        agent.online("b");
        agent
    }

    fn update(&mut self, key: &str, change: impl FnOnce(&mut SiteState)) {
        self.store.update(key, change);
        while let Some(event) = self.events.try_next() {
            self.alerts.apply(&event);
        }
    }

    fn online(&mut self, key: &str) {
        self.update(key, |site| site.connected(0, Moment::now()));
    }

    fn offline(&mut self, key: &str) {
        self.update(key, |site| {
            let error = Error::new(Cause::Refused, "h:8728: connection refused");
            site.host_tried(0, Some(error.clone()));
            site.mark_offline(&error, Moment::now());
        });
    }

    fn cpu(&mut self, key: &str, percent: u64) {
        self.update(key, |site| {
            let resource = Resource { cpu_load_percent: Some(percent), ..Resource::default() };
            site.readings[0].data = Some(Arc::new(Data::Resource(resource.into())));
            site.readings[0].at = Some(Moment::now());
        });
    }

    /// Its plugin has failed since a moment.
    fn fail(&mut self, key: &str, since: Moment) {
        self.update(key, |site| {
            site.readings[0].error = Some(Error::new(Cause::QueryTimeout, "timeout"));
            site.readings[0].failed_since = Some(since);
        });
    }

    /// The messages of the next notification.
    fn messages(&self) -> Vec<String> {
        let notification = self.alerts.advance(&self.store.snapshot());
        notification.map(|n| n.alerts.into_iter().map(|alert| alert.message).collect()).unwrap_or_default()
    }
}

#[test]
fn an_outage_is_reported_with_its_cause_and_hint() {
    let config = config("on: [SiteDown(after: \"0s\")]", "");
    let mut agent = Agent::new(&config);
    assert_eq!(agent.messages(), [""; 0]);
    agent.offline("a");
    let notification = agent.alerts.advance(&agent.store.snapshot()).unwrap();
    let alert = &notification.alerts[0];
    let earlier = AlertTime { unix: Duration::ZERO, ..agent.alerts.now() };
    assert_eq!(
        alert.alert(earlier),
        alert.alert(agent.alerts.now()),
        "its dates stay if the clock is set back"
    );
    assert_eq!(alert.message, "A is offline: connection refused (h:8728)");
    assert_eq!(
        (&*alert.kind, alert.site.as_deref(), alert.name.as_deref()),
        ("SiteDown", Some("a"), Some("A"))
    );
    assert!(alert.hint.as_ref().is_some_and(|hint| hint.contains("/ip service")), "{alert:?}");
    agent.offline("a");
    assert_eq!(agent.messages(), [""; 0], "it is already firing");
    let restarted = Alerts::new(Duration::ZERO);
    restarted.restore(&agent.alerts.stored().unwrap()).unwrap();
    restarted.configure(&config);
    agent.alerts = restarted;
    agent.online("a");
    assert_eq!(agent.messages(), ["A is online again after 0s"]);
    assert!(agent.alerts.restore(b"{}").is_err());
}

#[test]
fn what_was_restored_waits_for_the_configuration() {
    let config = config("on: [SiteDown(after: \"0s\")]", "");
    let mut agent = Agent::new(&config);
    agent.offline("a");
    agent.alerts.change(|inner| {
        let now = inner.time().now;
        assert_eq!(inner.table.advance(true, now), None, "the hour is quiet");
    });
    let restarted = Alerts::new(Duration::ZERO);
    restarted.restore(&agent.alerts.stored().unwrap()).unwrap();
    agent.alerts = restarted;
    assert_eq!(agent.messages(), [""; 0], "no channel is known yet, and no quiet hour");
    agent.alerts.configure(&config);
    assert_eq!(agent.messages().len(), 1);
}

#[test]
fn a_noisy_figure_causes_as_many_messages_as_it_crosses_both_limits() {
    let rules = "on: [Above(figure: CpuLoad, limit: 90, clear: 75, after: \"0s\")]";
    let mut agent = Agent::new(&config(rules, ""));
    let mut count = 0;
    // A day of noise, a reading each 30 s. It is above the limit from the first, and never at `clear`: one message.
    for reading in 0..2880 {
        agent.cpu("a", 84 + reading * 7 % 13);
        count += agent.messages().len();
    }
    assert_eq!(count, 1);
    agent.offline("a");
    assert_eq!(agent.messages(), [""; 0], "missing data is no recovery");
    agent.online("a");
    agent.cpu("a", 75);
    let resolved = agent.messages();
    // It was never sent as firing again, so it resolves once. The day takes a second on a busy machine.
    let text = |message: &String| message.starts_with("A: CPU load is below 75 % again after ");
    assert!(resolved.len() == 1 && resolved.iter().all(text), "{resolved:?}");
}

#[test]
fn a_site_has_its_own_rules_or_none() {
    let rules = "on: [SiteDown(after: \"0s\"), Above(figure: CpuLoad, limit: 90, after: \"0s\")]";
    for (exception, cpu, expected) in [
        ("", 95, vec!["B: CPU load is 95 %, above the limit of 90 %"]),
        (", alerts: Off", 95, vec![]),
        (", alerts: [Above(figure: CpuLoad, limit: 98, after: \"0s\")]", 95, vec![]),
        (
            ", alerts: [Above(figure: CpuLoad, limit: 98, after: \"0s\")]",
            99,
            vec!["B: CPU load is 99 %, above the limit of 98 %"],
        ),
        (", alerts: [SiteDown(after: \"1h\")]", 95, vec!["B: CPU load is 95 %, above the limit of 90 %"]),
    ] {
        let mut agent = Agent::new(&config(rules, exception));
        agent.cpu("b", cpu);
        assert_eq!(agent.messages(), expected, "{exception}");
    }
}

#[test]
fn a_changed_limit_continues_an_alert_and_a_removed_rule_ends_it() {
    let above =
        |limit: u8| config(&format!("on: [Above(figure: CpuLoad, limit: {limit}, after: \"0s\")]"), "");
    let mut agent = Agent::new(&above(90));
    agent.cpu("a", 99);
    assert_eq!(agent.messages().len(), 1);
    agent.alerts.configure(&above(95));
    agent.cpu("a", 98);
    assert_eq!(agent.messages(), [""; 0]);
    agent.update("a", |site| site.name = "Awka".into());
    assert_eq!(agent.alerts.list().firing[0].name.as_deref(), Some("Awka"), "it is renamed as well");
    let id = agent.alerts.list().firing[0].id.clone();
    assert!(agent.alerts.acknowledge(&id, "admin") && agent.alerts.open_ids().contains(&id));
    agent.alerts.configure(&config("on: []", ""));
    assert_eq!(agent.messages(), [""; 0]);
    let list = agent.alerts.list();
    assert_eq!((list.firing.len(), list.past.len(), agent.alerts.open_ids().len()), (0, 1, 0));
}

#[test]
fn a_router_whose_certificate_ends_soon_is_reported_until_it_is_renewed() {
    let config = config("on: [CertificateExpires(within: \"14days\")]", "");
    let mut agent = Agent::new(&config);
    let day = Duration::from_secs(86_400);
    let today = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let ends = |agent: &mut Agent, ends| {
        agent.update("a", |site| site.certificate_ends = ends);
        agent.messages()
    };
    assert_eq!(ends(&mut agent, None), [""; 0]);
    assert_eq!(ends(&mut agent, Some(today + 15 * day)), [""; 0]);
    let messages = ends(&mut agent, Some(today + 13 * day));
    assert!(messages[0].starts_with("A: the certificate of the router ends at 20"), "{messages:?}");
    assert_eq!(agent.alerts.list().firing[0].site.as_deref(), Some("a"));
    let unset = AlertTime { tick: Tick::default(), unix: Duration::from_secs(100) };
    let evaluation = page_certificate_expires(Some(today + day), 14 * day, unset);
    assert_eq!(evaluation, Evaluation::Unknown, "the clock is not set yet");
    // After a restart it is unknown until the router is connected.
    let restarted = Alerts::new(Duration::ZERO);
    restarted.restore(&agent.alerts.stored().unwrap()).unwrap();
    restarted.configure(&config);
    agent.alerts = restarted;
    agent.offline("a");
    assert_eq!(ends(&mut agent, None), [""; 0], "missing data is no recovery");
    assert_eq!(ends(&mut agent, Some(today.saturating_sub(day))), [""; 0], "it is already firing");
    assert_eq!(
        ends(&mut agent, Some(today + 300 * day)),
        ["A: the certificate of the router was renewed after 0s"]
    );
}

#[test]
fn reboots_of_an_earlier_run_are_known_when_the_router_answers() {
    let config = config("on: [Rebooted]", "");
    let mut agent = Agent::new(&config);
    let later = |seconds| Moment::now().after(Duration::from_secs(seconds));
    for reboot in 0..2 {
        agent.update("a", |site| site.note_uptime(Duration::from_secs(1), later(reboot * 100), true));
    }
    assert_eq!(agent.messages(), ["A rebooted"]);
    let restarted = Alerts::new(Duration::ZERO);
    restarted.restore(&agent.alerts.stored().unwrap()).unwrap();
    restarted.configure(&config);
    agent.alerts = restarted;
    let is_known = |agent: &Agent| {
        let stored = String::from_utf8(agent.alerts.stored().unwrap()).unwrap();
        stored.contains("\"unknown\":null")
    };
    assert!(!is_known(&agent));
    agent.online("a");
    assert!(is_known(&agent), "it may become stable");
    agent.offline("a");
    assert!(!is_known(&agent), "an outage is not calm");
}

#[test]
fn many_refused_logins_and_a_rejected_file_are_reported() {
    let config = config("on: [LoginsRefused, ConfigRejected(after: \"0s\")]", "");
    let mut agent = Agent::new(&config);
    (0..19).for_each(|_| agent.alerts.record_refused_login());
    assert_eq!(agent.messages(), [""; 0]);
    agent.alerts.record_refused_login();
    assert_eq!(agent.messages().len(), 1);
    let problem = crate::state::ReloadDiagnostic { place: "1:1".into(), message: "m".into(), excerpt: None };
    agent.store.note_reload(|reload| reload.note(Moment::now(), false, vec![problem]));
    assert_eq!(agent.messages(), ["The configuration file is not in use: it has 1 problem"]);
    agent.store.note_reload(|reload| reload.note(Moment::now(), true, Vec::new()));
    assert_eq!(agent.messages().len(), 1);
    // After a restart, the logins of the last minutes are unknown.
    let restarted = Alerts::new(Duration::ZERO);
    restarted.restore(&agent.alerts.stored().unwrap()).unwrap();
    restarted.configure(&config);
    agent.alerts = restarted;
    assert_eq!(agent.messages(), [""; 0], "missing data is no recovery");
    agent.alerts.change(|inner| {
        let AlertTime { tick, unix } = inner.time().now;
        let later = AlertTime { tick: tick.after(Duration::from_secs(601)), unix };
        inner.evaluator.evaluate_agent(&agent.store.snapshot(), &mut inner.table, later);
        let notification = inner.table.advance(false, later).unwrap();
        assert!(notification.title.starts_with("No more logins as admin"), "{}", notification.title);
    });
}

#[test]
fn quiet_hours_follow_the_offset_that_most_sites_have_now() {
    let mut agent = Agent::new(&config("on: []", ""));
    let codepage = Codepage::named("windows-1252").unwrap();
    for (site, offset, expected) in [("a", "+01:00", 3600), ("a", "-02:00", -7200), ("b", "-02:00", -7200)] {
        let offset = format!("=gmt-offset={offset}");
        let row = Sentence::from_words(["!re", "=date=2026-11-30", "=time=12:00:00", &offset]);
        let (answers, now) =
            ([Ok(Reply { rows: [row].into_iter().collect(), ..Reply::default() })], Moment::now());
        let reading = Reading::new(Plugin::Internal(Internal::Clock));
        let reading = reading.after(&answers, now, now, codepage, Following::No);
        agent.update(site, |site| site.internal = vec![reading]);
        agent.alerts.advance(&agent.store.snapshot());
        assert_eq!(agent.alerts.lock().evaluator.utc_offset, expected, "{site} {offset}");
    }
    // After a restart it stays the same until a router was read: a digest must not be sent in the night.
    let restarted = Alerts::new(Duration::ZERO);
    restarted.restore(&agent.alerts.stored().unwrap()).unwrap();
    for site in ["a", "b"] {
        agent.update(site, |site| site.internal = Vec::new());
    }
    for alerts in [&agent.alerts, &restarted] {
        alerts.advance(&agent.store.snapshot());
        assert_eq!(alerts.lock().evaluator.utc_offset, -7200);
    }
}

#[test]
fn a_site_that_was_removed_while_events_were_dropped_is_forgotten() {
    let mut agent = Agent::new(&config("on: [SiteDown(after: \"0s\")]", ""));
    let other = SiteState::new("c", "C", Duration::from_secs(30), ["h:8728".to_string()], []);
    agent.store.rearrange(|sites| sites.into_iter().chain([Arc::new(other)]).collect());
    agent.online("c");
    agent.store.rearrange(|sites| sites.into_iter().filter(|site| site.key != "c").collect());
    // It receives the current state, as after too many events.
    agent.events = agent.store.subscribe();
    agent.offline("a");
    agent.offline("b");
    let messages = agent.messages();
    assert!(messages.len() == 1 && messages[0].starts_with("All 2 sites are unreachable"), "{messages:?}");
}

/// The minute of the first notification and its title, if this is evaluated each minute from this second of a Sunday on.
fn first_notification(agent: &Agent, second: u64) -> Option<(u64, String)> {
    let start = Moment::now();
    agent.alerts.change(|inner| {
        let Inner { evaluator, table, timeline, .. } = inner;
        (0..24 * 60).find_map(|minute| {
            let passed = Duration::from_secs(minute * 60 + 1);
            let unix = Duration::from_secs(1_780_185_600 + second) + passed;
            let now = AlertTime { tick: timeline.tick(start.after(passed)), unix };
            let time = EvaluationTime { now, timeline: *timeline, clock: Clock::system() };
            evaluator.apply(&StoreEvent::Resync(agent.store.snapshot()), table, time);
            Some((minute, table.advance(false, now)?.title))
        })
    })
}

#[test]
fn time_outside_of_the_hours_of_a_rule_does_not_count() {
    const HOUR: u64 = 3600;
    let hours = "after: \"15m\", between: (\"08:00\", \"18:00\")";
    for (rule, lost_at, expected) in [
        ("SiteDown(after: \"15m\")".into(), 7 * HOUR, 15),
        (format!("SiteDown({hours})"), 7 * HOUR, 75),
        (format!("SiteDown({hours})"), 12 * HOUR, 15),
        ("SiteDown(after: \"15m\", days: [\"Mon\"])".into(), 23 * HOUR, 75),
        (format!("PluginFailing({hours})"), 7 * HOUR, 75),
    ] {
        for is_all in [false, true] {
            let mut agent = Agent::new(&config(&format!("on: [{rule}]"), ""));
            for site in ["a", "b"].iter().take(if is_all { 2 } else { 1 }) {
                if rule.starts_with("SiteDown") {
                    agent.offline(site);
                } else {
                    agent.fail(site, Moment::now());
                }
            }
            let (minute, title) = first_notification(&agent, lost_at).unwrap();
            assert_eq!(minute, expected, "{rule} {title}");
            let is_uplink = title.starts_with("All 2 sites are unreachable at once");
            assert_eq!(is_uplink, is_all && rule.starts_with("SiteDown"), "{rule} {title}");
        }
    }
}

#[test]
fn a_plugin_that_failed_before_an_outage_may_work_after_it() {
    let mut agent = Agent::new(&config("on: [PluginFailing(after: \"10m\")]", ""));
    agent.offline("a");
    agent.fail("a", Moment::now().before(Duration::from_secs(8 * 3600)));
    agent.online("a");
    let (minute, title) = first_notification(&agent, 0).unwrap();
    assert!(
        minute == 10 && title.starts_with("A: the plugin resource has failed for 10m"),
        "{minute} {title}"
    );
}

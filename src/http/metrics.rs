//! `/metrics`: a snapshot in Prometheus's text format 0.0.4.
//!
//! What is not known is absent. Gauges of a plugin are there while its last try was good and its router
//! answers; counters stay for as long as the agent runs, so that an outage is no reset to who sums them up.
//! No series is of a person, and a router decides neither how many there are nor how long their labels.
//! A family with more series than are kept is omitted, and `mikrotik_plugin_partial` is 1. So are the series of declared
//! plugins at the sites that have most of them, where an answer has no room for all.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::message::Response;
use super::process::Process;
use crate::clock::{Clock, Moment};
use crate::logging;
use crate::memory::fair_limit;
use crate::plugin::{Family, Labels, MetricKind};
use crate::state::{Reading, ReadingState, Reload, SiteState, Snapshot};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers a scrape, with up to so many bytes of declared plugins. No two are alike, so none is kept.
pub(super) fn metrics(snapshot: &Snapshot, most_declared: usize) -> Response {
    let text = render(snapshot, Process::now(), logging::dropped(), most_declared);
    Response::new(200, CONTENT_TYPE, text).with("Cache-Control", "no-store")
}

fn render(snapshot: &Snapshot, process: Process, log_lines_dropped: u64, most_declared: usize) -> String {
    let lengths = || snapshot.sites.iter().map(|site| declared_length(site));
    let limit = fair_limit(lengths(), most_declared);
    let mut page = Page::default();
    for family in of_agent(snapshot.clock, &snapshot.reload, process, log_lines_dropped) {
        page.put(None, &family);
    }
    for (site, length) in snapshot.sites.iter().zip(lengths()) {
        let has_room = length <= limit;
        for family in of_site(site, snapshot.clock, has_room).into_iter().chain(of_plugins(site, has_room)) {
            page.put(Some(&site.key), &family);
        }
    }
    page.text()
}

/// What the agent says of itself.
fn of_agent(clock: Clock, reload: &Reload, process: Process, log_lines_dropped: u64) -> Vec<Family> {
    let mut build = Family::gauge("phsweb_agent_build_info", "Always 1; the label says which version it is.");
    build.add([("version", env!("CARGO_PKG_VERSION"))], 1.0);
    vec![
        build,
        Family::gauge(
            "phsweb_agent_config_last_reload_successful",
            "1 where the configuration was good when it was last read; 0 where it was not, and is not in use.",
        )
        .with_value(Some(truth(reload.is_good()))),
        Family::gauge(
            "phsweb_agent_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was read, in seconds since 1970. Absent before the first.",
        )
        .with_value(reload.succeeded.map(|at| clock.unix(at).as_secs_f64())),
        Family::counter(
            "phsweb_agent_log_lines_dropped_total",
            "Log lines that were left out since the agent's start, because they came too fast.",
        )
        .with_value(Some(log_lines_dropped as f64)),
        Family::gauge(
            "phsweb_agent_config_last_look_timestamp_seconds",
            "When the files of the configuration were last read to the end, in seconds since 1970. The agent looks each \
             second. Absent where there is no file.",
        )
        .with_value(reload.last_look.get().map(|at| clock.unix(at).as_secs_f64())),
        Family::gauge("process_start_time_seconds", "When the agent started, in seconds since 1970.").with_value(Some(clock.unix(Moment::START).as_secs_f64())),
        Family::counter(
            "process_cpu_seconds_total",
            "Seconds of CPU time that the agent took. Absent where the system does not say.",
        )
        .with_value(process.cpu_seconds),
        Family::gauge(
            "process_resident_memory_bytes",
            "Bytes of memory that the agent has. Absent where the system does not say.",
        )
        .with_value(process.resident_bytes.map(|bytes| bytes as f64)),
        Family::gauge(
            "process_open_fds",
            "Files and connections that the agent has open. Absent where the system does not say.",
        )
        .with_value(process.open_fds.map(|fds| fds as f64)),
    ]
}

/// What the agent says of a site: how its router and its plugins answer, and what that costs.
fn of_site(site: &SiteState, clock: Clock, has_room: bool) -> Vec<Family> {
    let last_success = site.readings.iter().filter_map(|reading| reading.at).max();
    let mut success = Family::gauge(
        "mikrotik_plugin_success",
        "1 where a plugin's last try was good and its router answers, else 0. Absent before the first try.",
    );
    let mut duration = Family::gauge(
        "mikrotik_plugin_duration_seconds",
        "Seconds that a plugin's last try took. Absent before the first.",
    );
    let mut partial = Family::gauge(
        "mikrotik_plugin_partial",
        "1 where a plugin's last answer is incomplete or has too many series, so that metrics are omitted, \
         else 0. Absent before the first answer and while the router does not answer.",
    );
    for reading in &site.readings {
        let plugin = || [("plugin", reading.plugin.name())];
        if site.is_online() && reading.at.is_some() {
            partial.add(plugin(), truth(reading.partial.is_some() || !(has_room || is_built_in(reading))));
        }
        if let Some(took) = reading.took {
            success.add(plugin(), truth(reading.state(site.is_online()) == ReadingState::Ok));
            duration.add(plugin(), took.as_secs_f64());
        }
    }
    let count = |name: &'static str, help: &'static str, count: u64| {
        Family::counter(name, help).with_value(Some(count as f64))
    };
    let usage = &site.usage;
    vec![
        Family::gauge(
            "mikrotik_up",
            "1 where the router answers; 0 where it does not, or has not been tried yet.",
        )
        .with_value(Some(truth(site.is_online()))),
        Family::gauge(
            "mikrotik_last_success_timestamp_seconds",
            "When the router last gave figures, in seconds since 1970. Absent until it has.",
        )
        .with_value(last_success.map(|at| clock.unix(at).as_secs_f64())),
        success,
        partial,
        duration,
        count(
            "mikrotik_hotspot_kicks_total",
            "Sessions that the admin ended through the agent since its start.",
            site.kicks,
        ),
        count(
            "mikrotik_api_sent_bytes_total",
            "Bytes that the agent sent to the router since its start.",
            usage.sent_bytes,
        ),
        count(
            "mikrotik_api_received_bytes_total",
            "Bytes that the agent received from the router since its start.",
            usage.received_bytes,
        ),
        count(
            "mikrotik_api_logins_total",
            "Logins of the agent that the router accepted since the agent's start; each is a line in its log.",
            usage.logins,
        ),
        count(
            "mikrotik_api_commands_total",
            "Commands that the agent gave the router since its start.",
            usage.commands,
        ),
    ]
}

/// How long the series of a site's declared plugins are at most, in bytes.
fn declared_length(site: &SiteState) -> usize {
    site.readings.iter().filter_map(|reading| reading.data.as_ref()).map(|data| data.series_length()).sum()
}

fn is_built_in(reading: &Reading) -> bool {
    reading.plugin.declaration().is_none()
}

/// What a site's plugins measure; those that the file declares where there is room for them.
fn of_plugins(site: &SiteState, has_room: bool) -> impl Iterator<Item = Family> {
    site.readings.iter().filter(move |reading| has_room || is_built_in(reading)).flat_map(|reading| {
        let is_true = reading.state(site.is_online()) == ReadingState::Ok;
        let families = reading.data.as_ref().map(|data| data.families()).unwrap_or_default();
        families
            .into_iter()
            .filter(move |family| !family.is_incomplete() && (is_true || family.kind == MetricKind::Counter))
    })
}

fn truth(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// The families of all sites by their names, each as text.
#[derive(Default)]
struct Page(BTreeMap<Cow<'static, str>, String>);

impl Page {
    /// Puts a site's series of a family to those of the other sites.
    fn put(&mut self, site: Option<&str>, family: &Family) {
        for (labels, value) in family.series().filter(|(_, value)| value.is_finite()) {
            let text = self.0.entry(family.name.clone()).or_insert_with(|| head(family));
            text.push_str(&family.name);
            put_labels(text, site, labels);
            text.push(' ');
            text.push_str(&value.to_string());
            text.push('\n');
        }
    }

    fn text(self) -> String {
        self.0.into_values().collect()
    }
}

fn head(family: &Family) -> String {
    let Family { name, help, kind, .. } = family;
    let kind = match kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Counter => "counter",
    };
    let help = help.replace('\\', r"\\").replace('\n', r"\n");
    format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")
}

/// Writes `{site="awka",server="hotspot1"}`; nothing where there are no labels.
fn put_labels(text: &mut String, site: Option<&str>, labels: &Labels) {
    let own = labels.iter().map(|(name, value)| (name.as_ref(), value.as_str()));
    let mut before = '{';
    for (name, value) in site.map(|site| ("site", site)).into_iter().chain(own) {
        text.push(before);
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str(r"\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str(r"\n"),
                c => text.push(c),
            }
        }
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::plugin::declared::{Measure, Metric};
    use crate::plugin::{
        BUILT_IN, Data, Declaration, Following, Health, Hotspot, Plugin, Quantity, RESERVED, Resource,
        Sensor, Session, is_reserved,
    };
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::error::{Cause, Error};
    use crate::routeros::wire::Sentence;
    use crate::state::{ReloadDiagnostic, Usage};

    /// A minute after the agent's start.
    fn then() -> Moment {
        Moment::START.after(Duration::from_secs(60))
    }

    fn site(key: &str) -> SiteState {
        SiteState::new(key, key, Duration::from_secs(30), ["10.0.0.1:8728".to_string()], BUILT_IN)
    }

    fn read(site: &mut SiteState, data: Data) {
        let (plugin, age_s) = match data {
            Data::Hotspot(_) => (Plugin::Hotspot, 9),
            Data::Resource(_) => (Plugin::Resource, 0),
            Data::Health(_) => (Plugin::Health, 5),
            Data::Listing(_) => panic!("the site declares no plugin"),
        };
        let at = Some(then().before(Duration::from_secs(age_s)));
        let took = Some(Duration::from_millis(250));
        let reading = Reading::new(plugin);
        site.put(Reading { data: Some(Arc::new(data)), at, took, ..reading });
    }

    fn fail(site: &mut SiteState, plugin: &str, cause: Cause) {
        let reading = site.reading(plugin).unwrap().clone();
        site.put(Reading {
            error: Some(Error::new(cause, "")),
            took: Some(Duration::from_secs(5)),
            ..reading
        });
    }

    /// Somebody at each of these servers, which have counted 1, 2, … things.
    fn hotspot(servers: &[&str]) -> Data {
        let mut hotspot = Hotspot::default();
        for (n, server) in (1..).zip(servers) {
            let counts = hotspot.servers.entry((*server).into()).or_default();
            (counts.logins, counts.logouts) = (n, 10 * n);
            (counts.upload_bytes, counts.download_bytes) = (100 * n, u64::MAX);
            let mut session = Session::default();
            session.server = Some((*server).into());
            hotspot.sessions.push(Arc::new(session));
        }
        hotspot.servers.entry("empty".into()).or_default();
        hotspot.configured_users = Some(150);
        Data::Hotspot(hotspot)
    }

    fn health() -> Data {
        let sensor = |name: &str, measure| Sensor { name: name.into(), value: String::new(), measure };
        let sensors = vec![
            sensor("cpu-temperature", Some((Quantity::Temperature, -4.5))),
            sensor("cpu-temperature", Some((Quantity::Temperature, 99.0))),
            sensor("voltage", Some((Quantity::Voltage, 24.1))),
            sensor("odd", Some((Quantity::Voltage, f64::INFINITY))),
            sensor("fan1-speed", Some((Quantity::FanSpeed, 4200.0))),
            sensor("poe", Some((Quantity::Power, 7.0))),
            Sensor { value: "fail".into(), ..sensor("psu1-state", None) },
        ];
        Data::Health(Health { sensors, ..Health::default() })
    }

    /// A router that is well, one that was lost, one whose user may do little, and one not tried yet.
    fn sites() -> [SiteState; 4] {
        let mut awka = site("awka");
        awka.connected(0, then());
        read(&mut awka, hotspot(&["hotspot1", "a \"b\"\\\n\r", "a \"b\"\\\n\t"]));
        read(&mut awka, health());
        let resource = Resource {
            uptime: Some(Duration::from_secs(1_381_500)),
            version: Some("7.20.7".into()),
            cpu_load_percent: Some(7),
            free_memory: Some(45_678_912),
            total_memory: Some(134_217_728),
            board: Some("hAP ac^2".into()),
            ..Resource::default()
        };
        read(&mut awka, Data::Resource(resource.clone()));
        awka.kicks = 2;
        awka.usage = Usage { sent_bytes: 1, received_bytes: 2, commands: 3, logins: 4, ..Usage::default() };
        let mut lagos = awka.clone();
        lagos.key = "lagos".into();
        lagos.mark_offline(&Error::new(Cause::Refused, ""), then());
        let mut owerri = site("owerri");
        owerri.connected(0, then());
        read(&mut owerri, Data::Resource(Resource { cpu_load_percent: Some(101), ..resource }));
        read(&mut owerri, health());
        fail(&mut owerri, "hotspot", Cause::Permission);
        fail(&mut owerri, "health", Cause::QueryTimeout);
        [awka, lagos, owerri, site("zaria")]
    }

    #[test]
    fn a_scrape_is_this_text() {
        let sites = sites().map(Arc::new).into();
        let mut reload = Reload::first(Some("sites.ron"), Vec::new());
        reload.note(
            then(),
            true,
            vec![ReloadDiagnostic { place: String::new(), message: String::new(), excerpt: None }],
        );
        let snapshot = Snapshot { generation: 0, clock: Clock::system(), reload, sites };
        let process = Process { resident_bytes: Some(5_562_368), cpu_seconds: Some(1.5), open_fds: Some(30) };
        let text = render(&snapshot, process, 12, 0);
        let mut expected = include_str!("metrics/golden.txt").replace("VERSION", env!("CARGO_PKG_VERSION"));
        for (place, moment) in [("@START", Moment::START), ("@THEN", then())] {
            let date = snapshot.clock.unix(moment).as_secs_f64().to_string();
            expected = expected.replace(place, &date);
        }
        for (line, expected) in text.lines().zip(expected.lines()) {
            assert_eq!(line, expected);
        }
        assert_eq!(text.len(), expected.len());
    }

    #[test]
    fn a_site_of_too_many_series_leaves_the_others_theirs() {
        let metric = Metric { name: "leases".into(), measure: Measure::Rows, labels: vec!["name".into()] };
        let declaration =
            Declaration { name: "leases".into(), metrics: vec![metric], ..Declaration::default() };
        let plugin = Plugin::Declared(declaration.into());
        let site = |key: &str, rows: usize| {
            let mut site = SiteState::new(key, key, Duration::from_secs(30), [], [plugin.clone()]);
            let row = |n: usize| Sentence::from_words(["!re", &format!("=.id=*{n}"), &format!("=name=n{n}")]);
            let answers = [Ok(Reply { rows: (0..rows).map(row).collect(), ..Reply::default() })];
            let codepage = Codepage::named("windows-1252").unwrap();
            let reading =
                Reading::new(plugin.clone()).after(&answers, then(), then(), codepage, Following::No);
            site.put(reading);
            site.connected(0, then());
            Arc::new(site)
        };
        let sites = vec![site("small", 2), site("large", 200)];
        let reload = Reload::first(None, Vec::new());
        let snapshot = Snapshot { generation: 0, clock: Clock::system(), reload, sites };
        let rendered = |most: usize| {
            let text = render(&snapshot, Process::default(), 0, most);
            let of = |site: &str| {
                let series = text.matches(&format!("leases{{site=\"{site}\",")).count();
                let partial = format!("mikrotik_plugin_partial{{site=\"{site}\",plugin=\"leases\"}} 1\n");
                (series, text.contains(&partial))
            };
            [of("small"), of("large")]
        };
        let needed: usize = snapshot.sites.iter().map(|site| declared_length(site)).sum();
        let written = render(&snapshot, Process::default(), 0, needed).len();
        assert!(written < needed + 4096, "{written} bytes, where {needed} are reckoned with");
        assert_eq!(rendered(needed), [(2, false), (200, false)]);
        assert_eq!(rendered(needed - 1), [(2, false), (0, true)]);
    }

    #[test]
    fn the_list_of_its_own_is_that_of_a_scrape() {
        let types =
            include_str!("metrics/golden.txt").lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let names: Vec<&str> = types.filter_map(|line| line.split(' ').next()).collect();
        assert!(names.iter().all(|name| is_reserved(name)), "{names:?}");
        let of_routers = names.iter().filter(|name| name.starts_with("mikrotik_"));
        assert_eq!(of_routers.copied().collect::<Vec<_>>(), RESERVED);
    }

    #[test]
    fn what_the_system_does_not_tell_is_absent() {
        let reload = Reload::first(None, Vec::new());
        let snapshot = Snapshot { generation: 0, clock: Clock::system(), reload, sites: Vec::new() };
        let text = render(&snapshot, Process::default(), 0, 0);
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                "phsweb_agent_build_info",
                "phsweb_agent_config_last_reload_success_timestamp_seconds",
                "phsweb_agent_config_last_reload_successful",
                "phsweb_agent_log_lines_dropped_total",
                "process_start_time_seconds"
            ]
        );
    }

    #[test]
    fn a_help_is_one_line() {
        let family = Family::gauge("a", "one\ntwo \\ \"three\"").with_value(Some(f64::NAN));
        assert_eq!(head(&family), "# HELP a one\\ntwo \\\\ \"three\"\n# TYPE a gauge\n");
        let mut page = Page::default();
        page.put(None, &family);
        assert_eq!(page.text(), "", "what is no figure is not there");
    }
}

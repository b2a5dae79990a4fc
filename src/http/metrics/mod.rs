//! `/metrics`: a snapshot for Prometheus.
//!
//! Unknown values are absent. A plugin's gauges are present while its last read succeeded and its router responds;
//! counters stay for as long as the agent runs, so that an outage is not a counter reset. Users have no series. A
//! router can't create an unlimited number of series or long labels: a family with too many series is omitted, and
//! `mikrotik_plugin_partial` is 1. If the series of all declared plugins do not fit into a response, those of the sites
//! with the most series are omitted.

mod agent;
mod alerts;
mod process;
mod site;
mod text;

use super::context::Context;
use super::message::Response;
use crate::logging;
use crate::memory::fair_limit;
use crate::state::Snapshot;
use agent::OwnFigures;
use process::Process;
use text::Exposition;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`. Figures of the process may be as old as a shared response, a second, and change without a new `ETag`.
pub(super) fn scrape(context: &Context) -> Result<Response, Response> {
    let _guard = context.rendering();
    let journal = context.services.journal.stats();
    let others =
        alerts::families(&context.services.alerts.count_firing(), &context.services.notifier.channels());
    let own = OwnFigures { process: Process::now(), log_lines_dropped: logging::dropped(), journal, others };
    let text = render(context.snapshot, own, context.max_response() / 2);
    Ok(Response::new(200, CONTENT_TYPE, text))
}

/// `max_declared`: room for the series of declared plugins, in bytes.
fn render(snapshot: &Snapshot, own: OwnFigures, max_declared: usize) -> String {
    let lengths = || snapshot.sites.iter().map(|site| site::declared_length(site));
    let limit = fair_limit(lengths(), max_declared);
    let mut exposition = Exposition::default();
    for family in agent::families(snapshot, own) {
        exposition.add(None, &family);
    }
    for (site, length) in snapshot.sites.iter().zip(lengths()) {
        let has_room = length <= limit;
        let own = site::families(site, snapshot.clock, has_room);
        for family in own.into_iter().chain(site::plugin_families(site, has_room)) {
            exposition.add(Some(&site.key), &family);
        }
    }
    exposition.text()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::site::declared_length;
    use super::*;
    use crate::clock::{Clock, Moment};
    use crate::journal::JournalStats;
    use crate::notify::{ChannelStatus, DeliveryRecord};
    use crate::plugin::declared::{Measure, Metric};
    use crate::plugin::{
        Data, Declaration, Following, Health, Hotspot, Internal, Plugin, Quantity, RESERVED, ReadContext,
        Resource, Sensor, Session, is_reserved,
    };
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::error::{Cause, Error};
    use crate::routeros::wire::Sentence;
    use crate::state::{Reading, Reload, ReloadDiagnostic, SiteState, StorageState, Usage};

    /// A minute after the agent's start.
    fn minute_one() -> Moment {
        Moment::START.after(Duration::from_secs(60))
    }

    fn site(key: &str) -> SiteState {
        let plugins = [Plugin::Hotspot, Plugin::Resource, Plugin::Health];
        SiteState::new(key, key, Duration::from_secs(30), ["10.0.0.1:8728".to_string()], plugins)
    }

    fn read(site: &mut SiteState, data: Data) {
        let (name, age_s) = match data {
            Data::Hotspot(_) => ("hotspot", 9),
            Data::Resource(_) => ("resource", 0),
            Data::Health(_) => ("health", 5),
            Data::Listing(_) | Data::Internal(_) => unreachable!("not built in"),
        };
        let at = Some(minute_one().before(Duration::from_secs(age_s)));
        let took = Some(Duration::from_millis(250));
        let reading = Reading::new(Plugin::built_in(name).unwrap());
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

    /// One session at each of these servers, whose counters are multiples of 1, 2, …
    fn hotspot(servers: &[&str]) -> Data {
        let mut hotspot = Hotspot::default();
        for (n, server) in (1..).zip(servers) {
            let counts = hotspot.servers.entry((*server).into()).or_default();
            (counts.logins, counts.logouts) = (n, 10 * n);
            (counts.upload_bytes, counts.download_bytes) = (100 * n, u64::MAX);
            let row = Sentence::from_words(["!re", &format!("=server={server}")]);
            let context = ReadContext::new(minute_one(), Codepage::named("windows-1252").unwrap());
            hotspot.sessions.push(Session::read(&row, &context));
        }
        hotspot.servers.entry("empty".into()).or_default();
        hotspot.configured_users = Some(150);
        Data::Hotspot(hotspot.into())
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

    /// The answers to an internal plugin's commands.
    fn read_internal(site: &mut SiteState, internal: Internal, answers: &[&[&str]]) {
        let reply = |words: &&[&str]| {
            let words = std::iter::once(&"!re").chain(*words);
            Ok(Reply { rows: [Sentence::from_words(words)].into_iter().collect(), ..Reply::default() })
        };
        let answers: Vec<_> = answers.iter().map(reply).collect();
        let (codepage, at) = (Codepage::named("windows-1252").unwrap(), minute_one());
        let reading = Reading::new(Plugin::Internal(internal));
        site.put(reading.after(&answers, at, at, codepage, Following::No));
    }

    /// A healthy router, one that was lost, one whose API user has few permissions, and one not tried yet.
    fn sites() -> [SiteState; 4] {
        let mut awka = site("awka");
        awka.connected(0, minute_one());
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
        read(&mut awka, Data::Resource(resource.clone().into()));
        let clock = ["=date=1970-01-01", "=time=00:00:00", "=gmt-offset=+01:00"];
        read_internal(&mut awka, Internal::Clock, &[&clock]);
        let pool = ["=name=a \"b\"", "=ranges=10.0.0.2-10.0.0.9"];
        let address = ["=address=10.0.0.3"];
        let hotspot = ["=address-pool=a \"b\""];
        read_internal(&mut awka, Internal::Pools, &[&pool, &hotspot, &address, &address, &address]);
        read_internal(&mut awka, Internal::License, &[&["=level=4"]]);
        awka.kicks = 2;
        awka.usage = Usage { sent_bytes: 1, received_bytes: 2, commands: 3, logins: 4, ..Usage::default() };
        let mut lagos = awka.clone();
        lagos.key = "lagos".into();
        lagos.mark_offline(&Error::new(Cause::Refused, ""), minute_one());
        let mut owerri = site("owerri");
        owerri.connected(0, minute_one());
        read(&mut owerri, Data::Resource(Resource { cpu_load_percent: Some(101), ..resource }.into()));
        read(&mut owerri, health());
        fail(&mut owerri, "hotspot", Cause::Permission);
        fail(&mut owerri, "health", Cause::QueryTimeout);
        [awka, lagos, owerri, site("zaria")]
    }

    #[test]
    fn a_scrape_is_the_golden_text() {
        let sites: Vec<_> = sites().map(Arc::new).into();
        let clock = Clock::system();
        let clock_error = sites[0].clock_error(clock).unwrap().to_string();
        let mut reload = Reload::first(Some("sites.ron"), Vec::new());
        reload.note(
            minute_one(),
            true,
            vec![ReloadDiagnostic { place: String::new(), message: String::new(), excerpt: None }],
        );
        let storage = StorageState {
            directory: Some("/state".into()),
            errors: 3,
            written: Some(minute_one()),
            ..StorageState::default()
        };
        let mut snapshot = Snapshot::new(reload, sites);
        (snapshot.clock, snapshot.storage) = (clock, storage);
        let process = Process { resident_bytes: Some(5_562_368), cpu_seconds: Some(1.5), open_fds: Some(30) };
        let journal = Some(JournalStats { entries: 5, dropped: 2, bytes: 600 });
        let attempts = DeliveryRecord { delivered: 7, failed: 2, last: None };
        let ops =
            ChannelStatus { name: "ops".into(), queued: 4, dropped: 1, attempts, deliveries: Vec::new() };
        let firing = [("Rebooted", 0), ("SiteDown", 3)].into();
        let others = alerts::families(&firing, &[ops]);
        let own = OwnFigures { process, log_lines_dropped: 12, journal, others };
        let text = render(&snapshot, own, 0);
        let mut expected = include_str!("golden.txt").replace("VERSION", env!("CARGO_PKG_VERSION"));
        expected = expected.replace("@CLOCK_ERROR", &clock_error);
        for (place, moment) in [("@START", Moment::START), ("@THEN", minute_one())] {
            let date = snapshot.clock.unix(moment).as_secs_f64().to_string();
            expected = expected.replace(place, &date);
        }
        for (line, expected) in text.lines().zip(expected.lines()) {
            assert_eq!(line, expected);
        }
        assert_eq!(text.len(), expected.len());
    }

    #[test]
    fn a_site_with_too_many_series_does_not_affect_the_others() {
        let metric = Metric { name: "leases".into(), measure: Measure::Rows, labels: vec!["name".into()] };
        let declaration =
            Declaration { name: "leases".into(), metrics: vec![metric], ..Declaration::default() };
        let plugin = Plugin::Declared(declaration.into());
        let site = |key: &str, rows: usize| {
            let mut site = SiteState::new(key, key, Duration::from_secs(30), [], [plugin.clone()]);
            let row = |n: usize| Sentence::from_words(["!re", &format!("=.id=*{n}"), &format!("=name=n{n}")]);
            let answers = [Ok(Reply { rows: (0..rows).map(row).collect(), ..Reply::default() })];
            let codepage = Codepage::named("windows-1252").unwrap();
            let reading = Reading::new(plugin.clone()).after(
                &answers,
                minute_one(),
                minute_one(),
                codepage,
                Following::No,
            );
            site.put(reading);
            site.connected(0, minute_one());
            Arc::new(site)
        };
        let sites = vec![site("small", 2), site("large", 200)];
        let snapshot = Snapshot::new(Reload::first(None, Vec::new()), sites);
        let rendered = |most: usize| {
            let text = render(&snapshot, OwnFigures::default(), most);
            let of = |site: &str| {
                let series = text.matches(&format!("leases{{site=\"{site}\",")).count();
                let partial = format!("mikrotik_plugin_partial{{site=\"{site}\",plugin=\"leases\"}} 1\n");
                (series, text.contains(&partial))
            };
            [of("small"), of("large")]
        };
        let needed: usize = snapshot.sites.iter().map(|site| declared_length(site)).sum();
        let written = render(&snapshot, OwnFigures::default(), needed).len();
        assert!(written < needed + 4096, "{written} bytes, expected at most {needed} and the rest");
        assert_eq!(rendered(needed), [(2, false), (200, false)]);
        assert_eq!(rendered(needed - 1), [(2, false), (0, true)]);
    }

    #[test]
    fn sessions_of_a_failed_refresh_do_not_use_the_license() {
        let [mut awka, ..] = sites();
        assert!(awka.license_used().is_some());
        fail(&mut awka, "hotspot", Cause::QueryTimeout);
        let license = awka.license().unwrap();
        assert_eq!((license.used, license.ratio()), (None, None));
    }

    #[test]
    fn a_hotspot_of_which_sessions_are_not_kept_has_counters_only() {
        let mut site = site("awka");
        site.connected(0, minute_one());
        for (is_truncated, expected) in [(false, 3), (true, 0)] {
            let Data::Hotspot(mut hotspot) = hotspot(&["hs1", "hs2"]) else { panic!() };
            hotspot.is_truncated = is_truncated;
            read(&mut site, Data::Hotspot(hotspot));
            let snapshot = Snapshot::new(Reload::first(None, Vec::new()), vec![site.clone().into()]);
            let text = render(&snapshot, OwnFigures::default(), 0);
            let count = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
            let found = ["mikrotik_hotspot_active_users{", "mikrotik_hotspot_logins_total{"].map(count);
            assert_eq!(found, [expected, 3], "{text}");
        }
    }

    #[test]
    fn reserved_names_are_those_of_a_scrape() {
        let types = include_str!("golden.txt").lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let names: Vec<&str> = types.filter_map(|line| line.split(' ').next()).collect();
        assert!(names.iter().all(|name| is_reserved(name)), "{names:?}");
        let of_routers = names.iter().filter(|name| name.starts_with("mikrotik_"));
        assert_eq!(of_routers.copied().collect::<Vec<_>>(), RESERVED);
    }

    #[test]
    fn values_that_the_system_does_not_report_are_absent() {
        let snapshot = Snapshot::new(Reload::first(None, Vec::new()), Vec::new());
        let text = render(&snapshot, OwnFigures::default(), 0);
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
}

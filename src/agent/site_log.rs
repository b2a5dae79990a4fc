//! Log lines about sites: routers that go online or offline, and plugins that fail, recover or have partial data.

use std::collections::HashMap;
use std::sync::Arc;

use log::Level;
use smol::Task;

use crate::executor;
use crate::routeros::error::{Cause, Error};
use crate::routeros::value;
use crate::state::{ConnectionState, SiteChange, SiteEvent, SiteState, Snapshot, Store, StoreEvent};
use crate::text;

/// Logs what happens to the sites of this store, until the task is dropped.
pub(super) fn start(store: &Arc<Store>) -> Task<()> {
    let mut events = store.subscribe();
    executor::spawn(async move {
        let mut site_log = SiteLog::default();
        loop {
            for (level, line) in site_log.lines(&events.next().await) {
                log::log!(level, "{line}");
            }
        }
    })
}

/// Longest text of a router in a line, in characters: five of its traps.
const MAX_QUOTED: usize = 1000;

type LeveledLine = (Level, String);

/// Renders the lines, and remembers which ones it must not repeat.
#[derive(Default)]
struct SiteLog {
    sites: HashMap<String, Reported>,
}

/// The state of a site according to the log.
#[derive(Default)]
struct Reported {
    /// Whether it is online; `None` before the first line.
    is_online: Option<bool>,
    /// Each plugin with a cause of its failures over this connection, or with `None` if its data was partial. Each pair
    /// is logged once per connection, even if a router alternates between causes.
    plugins: Vec<(String, Option<Cause>)>,
    /// Plugins that were last reported as failed.
    failed: Vec<String>,
}

impl SiteLog {
    fn lines(&mut self, event: &StoreEvent) -> Vec<LeveledLine> {
        match event {
            StoreEvent::SiteChanged(change) if change.events.is_empty() => Vec::new(),
            StoreEvent::SiteChanged(change) => {
                self.sites.entry(change.new.key.clone()).or_default().lines(change)
            }
            StoreEvent::SiteRemoved(site) => {
                self.sites.remove(&site.key);
                Vec::new()
            }
            StoreEvent::Resync(snapshot) => self.resync(snapshot),
            StoreEvent::SiteAdded(_) | StoreEvent::ConfigReloaded => Vec::new(),
        }
    }

    /// Logs which sites went online or offline while events were lost.
    fn resync(&mut self, snapshot: &Snapshot) -> Vec<LeveledLine> {
        self.sites.retain(|key, _| snapshot.site(key).is_some());
        let mut lines = Vec::new();
        for site in &snapshot.sites {
            let reported = self.sites.entry(site.key.clone()).or_default();
            let line = match &site.connection {
                ConnectionState::Connecting => continue,
                ConnectionState::Online { .. } => online(site, site.address().unwrap_or_default(), None),
                ConnectionState::Offline { error, .. } => offline(site, error),
            };
            if reported.is_online.replace(site.is_online()) != Some(site.is_online()) {
                lines.push(line);
            }
        }
        lines
    }
}

impl Reported {
    fn lines(&mut self, change: &SiteChange) -> Vec<LeveledLine> {
        let mut lines = Vec::new();
        let mut booted = None;
        // Plugins that fail with one cause are one line.
        let mut failures: Vec<(String, &Error)> = Vec::new();
        for event in &change.events {
            match event {
                SiteEvent::Rebooted { booted: at } => booted = Some(change.at.since(*at)),
                SiteEvent::Online { host, .. } => {
                    self.begin_connection(change);
                    lines.push(online(&change.new, host, booted.map(value::format_duration)));
                }
                SiteEvent::Offline { error, .. } | SiteEvent::CauseChanged { error, .. } => {
                    self.is_online = Some(false);
                    lines.push(offline(&change.new, error));
                }
                SiteEvent::PluginFailed { plugin, error } => {
                    if !self.is_first(plugin, Some(error.cause)) {
                        continue;
                    }
                    self.failed.push(plugin.clone());
                    match failures.iter_mut().find(|(_, other)| other.cause == error.cause) {
                        Some((plugins, _)) => *plugins = format!("{plugins},{plugin}"),
                        None => failures.push((plugin.clone(), error)),
                    }
                }
                SiteEvent::PluginRecovered { plugin } => {
                    let count = self.failed.len();
                    self.failed.retain(|failed| failed != plugin);
                    if self.failed.len() < count {
                        let line = format!("site={} plugin={plugin} state=ok", change.new.key);
                        lines.push((Level::Info, line));
                    }
                }
                SiteEvent::PluginPartial { plugin, reason } => {
                    if self.is_first(plugin, None) {
                        let key = &change.new.key;
                        let line = format!("site={key} plugin={plugin} state=partial msg={}", quoted(reason));
                        lines.push((Level::Warn, line));
                    }
                }
                SiteEvent::Login(_) | SiteEvent::Logout { .. } => {}
            }
        }
        let failed = |(plugins, error): (String, &Error)| {
            let (key, Error { cause, message, hint, .. }) = (&change.new.key, error);
            let cause = cause.name();
            let message = quoted(message);
            let line =
                format!("site={key} plugin={plugins} state=failed cause={cause} msg={message} hint={hint:?}");
            (Level::Warn, line)
        };
        lines.extend(failures.into_iter().map(failed));
        lines
    }

    /// Forgets the reports about the previous connection. A failure that continues is not reported again.
    fn begin_connection(&mut self, change: &SiteChange) {
        self.is_online = Some(true);
        self.failed.clear();
        self.plugins.clear();
        for reading in &change.new.readings {
            let name = reading.plugin.name();
            let old = change.old.reading(name).and_then(|old| old.error.as_ref());
            if let (Some(old), Some(new)) = (old, &reading.error)
                && old.cause == new.cause
            {
                self.plugins.push((name.to_string(), Some(new.cause)));
            }
        }
    }

    /// Whether this was not reported yet over this connection. It counts as reported from now on.
    fn is_first(&mut self, plugin: &str, cause: Option<Cause>) -> bool {
        let report = (plugin.to_string(), cause);
        let is_first = !self.plugins.contains(&report);
        if is_first {
            self.plugins.push(report);
        }
        is_first
    }
}

fn online(site: &SiteState, host: &str, uptime_after_reboot: Option<String>) -> LeveledLine {
    let reboot = uptime_after_reboot.map(|uptime| format!(" msg=\"the router was rebooted {uptime} ago\""));
    let line = format!("site={} state=online host={host}{}", site.key, reboot.unwrap_or_default());
    (Level::Info, line)
}

fn offline(site: &SiteState, error: &Error) -> LeveledLine {
    let failed = site.hosts.iter().filter(|host| host.error.is_some());
    let hosts: Vec<&str> = failed.map(|host| host.address.as_str()).collect();
    let hosts = hosts.join(",");
    let (key, Error { cause, message, hint, .. }) = (&site.key, error);
    // The message also names the host.
    let message = quoted(message.strip_prefix(&format!("{hosts}: ")).unwrap_or(message));
    let cause = cause.name();
    let line = format!("site={key} state=offline cause={cause} host={hosts} msg={message} hint={hint:?}");
    (Level::Warn, line)
}

/// A quoted text, truncated so that the line stays short.
fn quoted(text: &str) -> String {
    text::quoted(text, MAX_QUOTED)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Moment;
    use crate::plugin::Plugin;

    fn site(key: &str) -> SiteState {
        let plugins = [Plugin::Resource, Plugin::Health];
        SiteState::new(key, key, Duration::from_secs(30), ["10.0.1.1:8728".to_string()], plugins)
    }

    /// A log, and the site that it is about.
    struct Logged {
        log: SiteLog,
        site: Arc<SiteState>,
    }

    impl Logged {
        fn new() -> Self {
            Self { log: SiteLog::default(), site: Arc::new(site("awka")) }
        }

        /// The lines after a change, without their hints.
        fn after(&mut self, change: impl FnOnce(&mut SiteState)) -> Vec<String> {
            let old = self.site.clone();
            change(Arc::make_mut(&mut self.site));
            let change = SiteChange::between(old, self.site.clone(), Moment::now());
            let lines = self.log.lines(&StoreEvent::SiteChanged(change.into()));
            let without_hint = |(_, line): LeveledLine| {
                line.split_once(" hint=\"").map(|(line, _)| line.to_string()).unwrap_or(line)
            };
            lines.into_iter().map(without_hint).collect()
        }

        fn fails(&mut self, plugins: &[&str], cause: Option<Cause>) -> Vec<String> {
            self.after(|site| fail(site, plugins, cause))
        }
    }

    fn fail(site: &mut SiteState, plugins: &[&str], cause: Option<Cause>) {
        for reading in site.readings.iter_mut().filter(|reading| plugins.contains(&reading.plugin.name())) {
            reading.error = cause.map(|cause| Error::new(cause, "words"));
            if cause.is_none() {
                reading.data = Some(Arc::new(crate::plugin::Data::Health(crate::plugin::Health::default())));
            }
        }
    }

    #[test]
    fn an_outage_is_one_line_per_kind_of_cause_and_its_end_another() {
        let mut logged = Logged::new();
        let fails = |cause: Cause, words: &'static str| {
            move |site: &mut SiteState| {
                site.host_tried(0, Some(Error::new(cause, words)));
                site.mark_offline(&Error::new(cause, format!("10.0.1.1:8728: {words}")), Moment::now());
            }
        };
        let lines = logged.after(fails(Cause::Refused, "connection \"refused\""));
        let expected =
            r#"site=awka state=offline cause=refused host=10.0.1.1:8728 msg="connection \"refused\"""#;
        assert_eq!(lines, [expected]);
        assert_eq!(logged.after(fails(Cause::Unreachable, "no route")), [""; 0]);
        let expected = "site=awka state=offline cause=auth host=10.0.1.1:8728 msg=\"no such user\"";
        assert_eq!(logged.after(fails(Cause::Auth, "no such user")), [expected]);
        let online = "site=awka state=online host=10.0.1.1:8728";
        assert_eq!(logged.after(|site| site.connected(0, Moment::now())), [online]);
        let lines = logged.after(|site| {
            let now = Moment::now();
            site.note_uptime(Duration::from_secs(3600), now.before(Duration::from_secs(100)), true);
            site.note_uptime(Duration::from_secs(90), now, true);
            site.connected(0, now.after(Duration::from_secs(1)));
        });
        assert_eq!(lines, [format!("{online} msg=\"the router was rebooted 1m30s ago\"")]);
    }

    #[test]
    fn plugins_that_fail_with_one_cause_are_one_line_once_per_connection() {
        let mut logged = Logged::new();
        logged.after(|site| site.connected(0, Moment::START));
        let both = ["resource", "health"];
        let failed = |plugins: &str, cause: &str| {
            vec![format!("site=awka plugin={plugins} state=failed cause={cause} msg=\"words\"")]
        };
        let timeout = Some(Cause::QueryTimeout);
        assert_eq!(logged.fails(&both, timeout), failed("resource,health", "query_timeout"));
        assert_eq!(logged.fails(&both, timeout), [""; 0]);
        assert_eq!(logged.fails(&["health"], Some(Cause::Permission)), failed("health", "permission"));
        assert_eq!(
            logged.fails(&both, None),
            ["resource", "health"].map(|p| format!("site=awka plugin={p} state=ok"))
        );
        assert_eq!(logged.fails(&both, timeout), [""; 0], "reported over this connection");
        assert_eq!(logged.fails(&both, None), [""; 0], "its failure was not reported");
        logged.fails(&["health"], Some(Cause::Unsupported));
        let lines = logged.after(|site| {
            site.connected(0, Moment::START.after(Duration::from_secs(1)));
            fail(site, &["resource"], timeout);
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[1..], failed("resource", "query_timeout"), "health fails as before");
        logged.fails(&["health"], None);
        assert_eq!(logged.fails(&["health"], Some(Cause::Unsupported)), [""; 0]);
    }

    #[test]
    fn partial_data_is_one_line_per_connection() {
        let mut logged = Logged::new();
        let partial = |reason: Option<&'static str>| {
            move |site: &mut SiteState| {
                site.readings[1].partial = reason.map(|reason| reason.to_string().into());
            }
        };
        logged.after(|site| site.connected(0, Moment::START));
        let line = "site=awka plugin=health state=partial msg=\"a part\"";
        assert_eq!(logged.after(partial(Some("a part"))), [line]);
        assert_eq!(logged.after(partial(None)), [""; 0]);
        assert_eq!(logged.after(partial(Some("a part"))), [""; 0]);
        logged.after(partial(None));
        logged.after(|site| site.connected(0, Moment::START.after(Duration::from_secs(1))));
        assert_eq!(logged.after(partial(Some("a part"))), [line]);
    }

    #[test]
    fn after_lost_events_the_log_says_which_sites_are_in_another_state() {
        let store = Arc::new(Store::new(crate::state::Reload::first(None, Vec::new())));
        store.rearrange(|_| ["lost", "same", "new"].map(|key| site(key).into()).into());
        let mut log = SiteLog::default();
        store.update("lost", |site| site.connected(0, Moment::now()));
        store.update("same", |site| site.connected(0, Moment::now()));
        assert_eq!(log.resync(&store.snapshot()).len(), 2);
        store.update("lost", |site| site.mark_offline(&Error::new(Cause::Closed, "words"), Moment::now()));
        let lines = log.resync(&store.snapshot());
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].1.starts_with("site=lost state=offline cause=closed"), "{lines:?}");
    }
}

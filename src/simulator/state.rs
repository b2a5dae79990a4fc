//! All that a router holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::counters::Counters;
use super::fault::Fault;
use super::menus::{
    ACTIVE, ADMINISTRATOR, ANYTHING, HOST, INTERFACE, LEASE, LOG, NETWATCH, PPP, QUEUE, RESOURCE, USED,
    registrations,
};
use super::network::caller_interface;
use super::reply::Trap;
use super::row::{Now, RouterClock, Row, Value, unix_s};
use super::settings::Settings;
use super::setup;
use super::table::{MAX_ROWS, MenuTable};

/// Entries the log keeps, as RouterOS's `memory` logging action does by default.
const MAX_LOG: usize = 1000;

/// A router's menus, its clock, and what goes wrong with it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) tables: BTreeMap<String, MenuTable>,
    pub(super) clock: RouterClock,
    pub(super) rng: fastrand::Rng,
    pub(super) fault: Option<Fault>,
    /// Whether a login was refused since the fault was set.
    pub(super) has_refused: bool,
    pub(super) counters: Counters,
    /// The open connections that nothing has gone wrong with, by their number.
    pub(super) sound: BTreeSet<u64>,
    /// When the last boot was, by the clock.
    booted: Duration,
}

impl State {
    /// A router that has been up for a while, with its people online.
    pub(super) fn new(mut settings: Settings) -> Self {
        // One row of the user menu is `default-trial`.
        settings.users = settings.users.min(MAX_ROWS - 1);
        settings.active = settings.active.min(MAX_ROWS - 1);
        let clock = RouterClock::start();
        let mut rng = fastrand::Rng::with_seed(settings.seed);
        let up = Duration::from_secs(rng.u64(86_400..40 * 86_400));
        let booted = clock.at().saturating_sub(up);
        let tables = setup::tables(&settings, booted, &clock.now(&settings.version));
        let (counters, sound) = (Counters::default(), BTreeSet::new());
        let (fault, has_refused) = (None, false);
        let mut state = Self { settings, tables, clock, rng, fault, has_refused, counters, sound, booted };
        state.log("system,info", "router rebooted");
        state.open_hotspot();
        state.meet_bypassed();
        state.lease_office();
        state.connect_network();
        state.welcome_administrators();
        state.replay();
        state
    }

    /// Does something with a menu, if there is one of that name.
    pub(super) fn with<T>(
        &mut self,
        menu: &str,
        act: impl FnOnce(&mut MenuTable, &Now<'_>) -> T,
    ) -> Option<T> {
        let now = self.clock.now(&self.settings.version);
        self.tables.get_mut(menu).map(|table| act(table, &now))
    }

    /// Puts a row into a menu; its `.id` is returned.
    pub(super) fn insert(&mut self, menu: &str, row: Row) -> Result<String, Trap> {
        self.with(menu, |table, now| table.insert(row, now)).unwrap_or_else(|| Err(Trap::no_such_item()))
    }

    /// Takes a row out of a menu. An address that it had of a pool is free again, and an interface of its own goes.
    pub(super) fn remove(&mut self, menu: &str, id: &str) -> Option<Row> {
        let row = self.with(menu, |table, _| table.remove(id)).flatten()?;
        if matches!(menu, LEASE | PPP)
            && let Ok(address) = std::str::from_utf8(row.text("address"))
            && let Some(used) = self.find(USED, &[("address", address)])
        {
            self.remove(USED, &used);
        }
        let text = |key| String::from_utf8_lossy(row.text(key)).into_owned();
        if menu == PPP
            && let called = caller_interface(&text("service"), &text("name"))
            && let Some(interface) = self.find(INTERFACE, &[("name", &called)])
        {
            self.remove(INTERFACE, &interface);
        }
        Some(row)
    }

    /// The `.id` of the first row that has all of these texts.
    pub(super) fn find(&self, menu: &str, texts: &[(&str, &str)]) -> Option<String> {
        Some(self.tables.get(menu)?.find_by(texts)?.id.clone())
    }

    /// Makes these the rows of a menu; a menu that was not there is one that can be edited freely.
    pub(super) fn set_rows(&mut self, menu: &str, rows: Vec<Row>) {
        let now = self.clock.now(&self.settings.version);
        let table = self.tables.entry(menu.to_string()).or_insert_with(|| MenuTable::new(ANYTHING));
        table.replace(rows, &now);
    }

    /// Writes a line into `/log`.
    pub(super) fn log(&mut self, topics: &str, message: &str) {
        let time = Value::LogTime(unix_s());
        let entry = Row::new().with("time", time).with("topics", topics).with("message", message);
        self.with(LOG, |log, now| {
            if log.len() >= MAX_LOG {
                log.forget_first();
            }
            log.insert(entry, now)
        });
    }

    /// It booted at this moment of the clock.
    pub(super) fn set_booted(&mut self, at: Duration) {
        self.booted = at;
    }

    /// How long it has been up.
    pub(super) fn up(&self) -> Duration {
        self.clock.at().saturating_sub(self.booted)
    }

    /// What a reboot leaves: the configuration, the leases and the cookies. Uptime begins at zero, and nobody
    /// is online at the hotspot; what connects by itself does so again.
    pub(super) fn reboot(&mut self) {
        let stations = registrations(&self.settings.version);
        for menu in [ACTIVE, HOST, stations, PPP, NETWATCH, ADMINISTRATOR, LOG] {
            self.with(menu, |table, _| table.forget());
        }
        self.booted = self.clock.at();
        for menu in [INTERFACE, QUEUE] {
            self.with(menu, |table, now| table.restart_counts(now.at));
        }
        let uptime = Value::Since(self.booted);
        // A menu of one row: its `.id` is empty.
        self.with(RESOURCE, |table, now| table.set("", vec![("uptime".to_string(), uptime)], now));
        self.log("system,info", "router rebooted");
        self.connect_network();
    }

    /// Counts all that are open as broken.
    pub(super) fn break_all(&mut self) {
        self.counters.broken += self.sound.len() as u64;
        self.sound.clear();
    }
}

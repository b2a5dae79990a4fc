//! The state of a router: its menus, its clock, its counters and the current fault.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::clock::{Now, RouterClock};
use super::counters::Counters;
use super::fault::Fault;
use super::menus::{INTERFACE, LEASE, LOG, MENUS, POOL_USED, PPP, UNRESTRICTED};
use super::reply::TrapReply;
use super::row::Row;
use super::settings::Settings;
use super::table::{MAX_ROWS, MenuTable};
use super::value::Value;

/// Entries of the log, as in RouterOS's default `memory` logging action.
const MAX_LOG: usize = 1000;

/// How long connections are closed at once after a reboot: longer than a client's first retry.
const BOOT_CLOSED: Duration = Duration::from_secs(2);

/// How long logins are refused after that, so that a client sees it between two attempts. [?]: that the service starts
/// before its users are loaded is inferred, not seen.
const BOOT_WITHOUT_USERS: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) tables: HashMap<String, MenuTable>,
    pub(super) clock: RouterClock,
    pub(super) rng: fastrand::Rng,
    pub(super) fault: Option<Fault>,
    /// Whether a login was refused since the fault was set.
    pub(super) has_refused: bool,
    pub(super) counters: Counters,
    /// The numbers of the open connections that are not broken.
    pub(super) intact: HashSet<u64>,
    /// The time of the last boot.
    pub(super) booted: Duration,
}

impl State {
    /// A router with empty menus that booted 1 to 40 days ago.
    pub(super) fn new(mut settings: Settings) -> Self {
        // One row of the user menu is `default-trial`.
        settings.users = settings.users.min(MAX_ROWS - 1);
        settings.active = settings.active.min(MAX_ROWS - 1);
        let clock = RouterClock::start(settings.utc_offset_s);
        let mut rng = fastrand::Rng::with_seed(settings.seed);
        let uptime = Duration::from_secs(rng.u64(86_400..40 * 86_400));
        let booted = clock.at().saturating_sub(uptime);
        let tables =
            MENUS.iter().map(|(menu, rules)| ((*menu).to_string(), MenuTable::new(*rules))).collect();
        let (counters, intact) = (Counters::default(), HashSet::new());
        Self { settings, tables, clock, rng, fault: None, has_refused: false, counters, intact, booted }
    }

    pub(super) fn now(&self) -> Now<'_> {
        self.clock.now(&self.settings.version)
    }

    /// How long the router has been up.
    pub(super) fn uptime(&self) -> Duration {
        self.clock.at().saturating_sub(self.booted)
    }

    /// Calls a function with a menu, if it exists.
    pub(super) fn with<T>(&mut self, menu: &str, f: impl FnOnce(&mut MenuTable, &Now<'_>) -> T) -> Option<T> {
        let now = self.clock.now(&self.settings.version);
        self.tables.get_mut(menu).map(|table| f(table, &now))
    }

    /// The rows of a menu.
    pub(super) fn rows(&self, menu: &str) -> impl Iterator<Item = &Row> {
        self.tables.get(menu).into_iter().flat_map(MenuTable::rows)
    }

    pub(super) fn row(&self, menu: &str, id: &str) -> Option<&Row> {
        self.tables.get(menu)?.get(id)
    }

    /// The first row with all of these texts.
    pub(super) fn find(&self, menu: &str, texts: &[(&str, &str)]) -> Option<&Row> {
        self.tables.get(menu)?.find(texts)
    }

    /// Inserts a row into a menu. Returns its `.id`.
    pub(super) fn insert(&mut self, menu: &str, row: Row) -> Result<String, TrapReply> {
        self.with(menu, |table, now| table.insert(row, now)).unwrap_or_else(|| Err(TrapReply::no_such_item()))
    }

    /// Inserts a row into a menu, or replaces the row with the same text of `key`. A full menu drops it.
    pub(super) fn upsert(&mut self, menu: &str, key: &str, row: Row) {
        let row = match self.find(menu, &[(key, &row.text(key))]) {
            Some(old) => row.id(&old.id),
            None => row,
        };
        let _ = self.insert(menu, row);
    }

    /// Removes a row from a menu, and what depends on it: the pool address of a lease or PPP session, and
    /// the interface of a PPP session.
    pub(super) fn remove(&mut self, menu: &str, id: &str) -> Option<Row> {
        let row = self.with(menu, |table, _| table.remove(id)).flatten()?;
        if matches!(menu, LEASE | PPP) {
            self.remove_by(POOL_USED, "address", &row.text("address"));
        }
        if menu == PPP {
            self.remove_by(INTERFACE, "name", &ppp_interface(&row.text("service"), &row.text("name")));
        }
        Some(row)
    }

    /// Removes the first row with this text.
    pub(super) fn remove_by(&mut self, menu: &str, key: &str, text: &str) {
        if let Some(id) = self.find(menu, &[(key, text)]).map(|row| row.id.clone()) {
            self.remove(menu, &id);
        }
    }

    /// Replaces the rows of a menu. A menu that does not exist is created and accepts every command.
    pub(super) fn set_rows(&mut self, menu: &str, rows: Vec<Row>) {
        self.tables.entry(menu.to_string()).or_insert_with(|| MenuTable::new(UNRESTRICTED));
        self.with(menu, |table, now| table.replace(rows, now));
    }

    /// Marks an address of a pool as used.
    pub(super) fn use_address(&mut self, pool: &str, address: &str, owner: &str, info: &str) {
        let used = Row::new().with("pool", pool).with("address", address);
        self.upsert(POOL_USED, "address", used.with("owner", owner).with("info", info));
    }

    /// Adds an entry to `/log`.
    pub(super) fn log(&mut self, topics: &str, message: &str) {
        let time = Value::LogTime(self.clock.unix_s());
        let entry = Row::new().with("time", time).with("topics", topics).with("message", message);
        self.with(LOG, |log, now| {
            if log.len() >= MAX_LOG {
                log.drop_first();
            }
            log.insert(entry, now)
        });
    }

    /// Counts all open connections as broken.
    pub(super) fn break_all(&mut self) {
        self.counters.broken += self.intact.len() as u64;
        self.intact.clear();
    }

    /// Whether new connections are closed at once.
    pub(super) fn refuses_connections(&self) -> bool {
        match self.fault {
            Some(Fault::Refuse) => true,
            Some(Fault::Reboot) => self.uptime() < BOOT_CLOSED,
            _ => false,
        }
    }

    /// Whether every login is refused.
    pub(super) fn refuses_logins(&self) -> bool {
        match self.fault {
            Some(Fault::LoginRefused) => true,
            Some(Fault::LoginRefusedOnce) => !self.has_refused,
            Some(Fault::Reboot) => self.uptime() < BOOT_CLOSED + BOOT_WITHOUT_USERS,
            _ => false,
        }
    }

    /// The time from a command to its reply.
    pub(super) fn latency(&self) -> Duration {
        let Settings { latency, late_by, late_every, .. } = self.settings;
        let is_late = match self.fault {
            Some(Fault::Late) => true,
            Some(Fault::LateAtTimes) => {
                let period = late_every.as_millis().max(1);
                self.clock.at().as_millis() % period < period / 2
            }
            _ => false,
        };
        if is_late { latency + late_by } else { latency }
    }
}

/// The name of the dynamic interface of a PPP session.
pub(super) fn ppp_interface(service: &str, name: &str) -> String {
    format!("<{service}-{name}>")
}

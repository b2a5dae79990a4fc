//! The hotspot: who comes, what their sessions look like, and what is left when they go.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::menus::{ACTIVE, COOKIE, USER};
use super::people::Person;
use super::reply::Trap;
use super::row::{Now, Row, Value};
use super::settings::IdOrder;
use super::shared::Shared;
use super::state::State;
use super::table::MenuTable;

pub(super) const SERVER: &str = "hotspot1";

/// The lowest address given to a person.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 5, 50, 2);

/// How long a cookie is good for.
const COOKIE_LIFE: Duration = Duration::from_secs(3 * 86_400);

/// The topics of a login or logout in the log.
const ACCOUNT: &str = "hotspot,account,info,debug";

/// Time on trial, longer than RouterOS's 30 minutes so that a session does not run out by itself.
const TRIAL: Duration = Duration::from_secs(86_400);

/// The longest that someone online at the start has been.
const LONGEST_AGE_S: u64 = 6 * 3600;

/// How long those have been there at the start who never log in.
const LURKED: Duration = Duration::from_secs(25 * 60);

/// Tries to find someone who is not online yet; with few people left, nobody comes this time.
const TRIES: usize = 20;

/// A person who is online.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineSession {
    /// The row's `.id`: the address in hex, so the next person there has it again.
    pub id: String,
    /// The hotspot user.
    pub user: String,
    /// The address.
    pub address: Ipv4Addr,
    /// The MAC address, as in `8C:F5:A3:12:34:56`.
    pub mac: String,
}

impl State {
    /// Fills the users in and lets the first people log in.
    pub(super) fn open_hotspot(&mut self) {
        let trial = Row::new()
            .with("name", "default-trial")
            .with("profile", "default")
            .with("comment", "counters and limits for trial users")
            .with("default", true);
        let _ = self.insert(USER, counted(trial, Duration::ZERO, 0, 0).with("disabled", false));
        for n in 0..self.settings.users {
            let row = self.user(&Person::nth(self.settings.seed, n, self.settings.users), n);
            // The number of users is within the limit of a menu.
            let _ = self.insert(USER, row);
        }
        let (users, active) = (self.settings.users, self.settings.active);
        let mut all: Vec<usize> = (0..users.max(active)).collect();
        self.rng.shuffle(&mut all);
        // Where too few users may log in, more people come on trial.
        let may_come = all.into_iter().chain(users.max(active)..).filter(|&n| n >= users || !is_disabled(n));
        // Each address is looked for from the last one on: nobody leaves meanwhile.
        let mut address = FIRST_ADDRESS;
        for n in may_come.take(active) {
            let age = Duration::from_secs(self.rng.u64(5..LONGEST_AGE_S));
            address = self.free_address(address);
            self.come(n, address, age);
        }
        // A phone that changed its address shows twice.
        if let Some(twice) = self.sessions().first().map(|session| session.mac.clone()) {
            address = self.free_address(address);
            self.meet(address, &twice, Duration::ZERO);
        }
        // One, and at large hotspots more, are there and never log in.
        for n in 0..=active / 20 {
            let lurker = Person::nth(self.settings.seed, usize::MAX / 2 + n, 0);
            address = self.free_address(address);
            self.meet(address, &lurker.mac, LURKED);
            self.join(address, &lurker, LURKED);
        }
    }

    /// Adds a configured user as given, with the rest as RouterOS has it; the row's `.id`. That these
    /// are the traps' words is an inference, no trace has them.
    pub(super) fn add_user(&mut self, given: Row) -> Result<String, Trap> {
        let name = given.text("name");
        if name.is_empty() {
            return Err(Trap::new("failure: user name is missing"));
        }
        let same = |user: &Row| user.text("name") == name;
        if self.tables.get(USER).is_some_and(|users| users.rows().any(same)) {
            return Err(Trap::new("failure: already have user with this name for this server"));
        }
        let row = Row::new().with("server", "all").with("name", "").with("profile", "default");
        let row = counted(row, Duration::ZERO, 0, 0).with("dynamic", false).with("disabled", false);
        let Row { attributes, .. } = given;
        let row = attributes.into_iter().fold(row, |row, (key, value)| row.with(&key, value));
        self.insert(USER, row)
    }

    /// Everyone online, in the order they came.
    pub(super) fn sessions(&self) -> Vec<OnlineSession> {
        self.tables.get(ACTIVE).into_iter().flat_map(MenuTable::rows).filter_map(session).collect()
    }

    /// Logs a person in; the `.id` of the session. An address has one session at a time.
    pub(super) fn log_in(
        &mut self,
        user: &str,
        address: Ipv4Addr,
        mac: &str,
        by: &str,
        age: Duration,
    ) -> Result<String, Trap> {
        let id = self.id_of(address);
        if self.tables.get(ACTIVE).is_some_and(|table| table.find(&id).is_some()) {
            return Err(Trap::new("failure: the address is in use"));
        }
        let start = self.clock.at().saturating_sub(age);
        // Bytes and packets each way, a packet being somewhat less than 1000 bytes.
        let (up, down) = (self.rng.u64(900..20_000), self.rng.u64(9_000..400_000));
        let count = |per_second| Value::Count { from: 1200, per_second, since: start };
        let mut row = Row::new()
            .id(&id)
            .with("server", SERVER)
            .with("user", user)
            .with("address", address.to_string())
            .with("mac-address", mac)
            .with("login-by", by)
            .with("uptime", Value::Since(start));
        if by == "trial" {
            row = row.with("session-time-left", Value::Until(start + TRIAL));
        }
        if let Some(from) = self.remaining(user) {
            row = row.with("limit-bytes-out", Value::Remainder { from, per_second: down, since: start });
        }
        let row = row
            .with("idle-time", Value::Idle { below_s: 9 })
            .with("keepalive-timeout", "2m")
            .with("bytes-in", count(up))
            .with("bytes-out", count(down))
            .with("packets-in", count(up / 300))
            .with("packets-out", count(down / 900))
            .with("radius", false);
        let id = self.insert(ACTIVE, row)?;
        self.meet(address, mac, age);
        self.authorize(address, true);
        if by != "trial" && self.find(COOKIE, &[("user", user), ("mac-address", mac)]).is_none() {
            let expires = Value::Until(start + COOKIE_LIFE);
            let cookie = Row::new().with("user", user).with("mac-address", mac).with("expires-in", expires);
            let _ = self.insert(COOKIE, cookie);
        }
        self.log("hotspot,info,debug", &format!("{user} ({address}): trying to log in by {by}"));
        self.log(ACCOUNT, &format!("{user} ({address}): logged in"));
        Ok(id)
    }

    /// What a user may still download before this session's own use, if there is a limit.
    fn remaining(&self, user: &str) -> Option<u64> {
        let row = self.tables.get(USER)?.find(&self.find(USER, &[("name", user)])?)?;
        let now = self.clock.now(&self.settings.version);
        row.get("limit-bytes-out")?;
        Some(number(row, b"limit-bytes-out", &now).saturating_sub(number(row, b"bytes-out", &now)))
    }

    /// Ends a session; its use goes to the user's counters, which do not move before. Whether it was there.
    pub(super) fn log_out(&mut self, id: &str, why: &str) -> bool {
        let Some(row) = self.remove(ACTIVE, id) else { return false };
        let Some(session) = session(&row) else { return true };
        let now = self.clock.now(&self.settings.version);
        let start = match row.get("uptime") {
            Some(Value::Since(start)) => *start,
            _ => now.at,
        };
        let counted_at = if session.user.starts_with("T-") { "default-trial" } else { &session.user };
        let row_id = self.find(USER, &[("name", counted_at)]);
        if let Some(user) = row_id.and_then(|id| self.tables.get(USER)?.find(&id).cloned()) {
            let before = match user.get("uptime") {
                Some(Value::Duration(sum)) => *sum,
                _ => Duration::ZERO,
            };
            let sum = |key: &[u8]| number(&user, key, &now).saturating_add(number(&row, key, &now));
            let (up, down) = (sum(b"bytes-in"), sum(b"bytes-out"));
            let user = counted(user, before + now.at.saturating_sub(start), up, down);
            let _ = self.insert(USER, user);
        }
        self.authorize(session.address, false);
        self.log(ACCOUNT, &format!("{} ({}): logged out: {why}", session.user, session.address));
        true
    }

    /// Removes a session as `/ip/hotspot/active/remove` does, and with
    /// [`removal_ends_all`](super::Settings::removal_ends_all) the others of that user. With a cookie left the
    /// person may log straight back in, and has the same `.id` again.
    pub(super) fn kick(&mut self, id: &str) -> bool {
        let Some(row) = self.tables.get(ACTIVE).and_then(|table| table.find(id)) else { return false };
        let mut ended = vec![id.to_string()];
        if self.settings.removal_ends_all {
            let others = self.tables.get(ACTIVE).into_iter().flat_map(MenuTable::rows);
            let others = others.filter(|other| other.id != id && other.text("user") == row.text("user"));
            ended.extend(others.map(|other| other.id.clone()));
        }
        for id in ended {
            self.end_session(&id);
        }
        true
    }

    fn end_session(&mut self, id: &str) {
        let ended = self.tables.get(ACTIVE).and_then(|table| session(table.find(id)?));
        self.log_out(id, "admin reset");
        if let Some(OnlineSession { user, mac, address, .. }) = ended
            && self.settings.cookies_log_back_in
            && self.find(COOKIE, &[("user", &user), ("mac-address", &mac)]).is_some()
        {
            // The address was freed just now.
            let _ = self.log_in(&user, address, &mac, "cookie", Duration::ZERO);
        }
    }

    /// The `n`th person comes and logs in, unless the user is disabled.
    fn come(&mut self, n: usize, address: Ipv4Addr, age: Duration) {
        let person = Person::nth(self.settings.seed, n, self.settings.users);
        if self.find(USER, &[("name", &person.user), ("disabled", "true")]).is_some() {
            return;
        }
        let known = self.find(COOKIE, &[("user", &person.user), ("mac-address", &person.mac)]).is_some();
        let by = match n % 4 {
            _ if person.trial => "trial",
            _ if known => "cookie",
            0 => "https",
            1 => "http-pap",
            _ => "http-chap",
        };
        if self.log_in(&person.user, address, &person.mac, by, age).is_ok() {
            self.join(address, &person, age);
        }
    }

    /// Someone logs in or out, so that their number stays around what is set.
    fn come_or_go(&mut self) {
        let online = self.sessions();
        let target = self.settings.active;
        // By how far the number may stray: a tenth, and a little more at small hotspots.
        let stray = target / 10 + 2;
        let comes = online.len() + stray <= target
            || (online.len() < target + stray && (online.is_empty() || self.rng.bool()));
        if !comes {
            let Some(session) = self.rng.choice(&online) else { return };
            self.log_out(&session.id, "keepalive timeout");
            self.leave(session);
            return;
        }
        let macs: HashSet<&str> = online.iter().map(|session| session.mac.as_str()).collect();
        // For each user who may not log in, somebody comes on trial.
        let users = self.tables.get(USER).into_iter().flat_map(MenuTable::rows);
        let disabled = users.filter(|user| user.text("disabled") == b"true").count();
        let people = self.settings.users.max(target) + disabled + stray;
        for _ in 0..TRIES {
            let n = self.rng.usize(0..people);
            if !macs.contains(Person::nth(self.settings.seed, n, self.settings.users).mac.as_str()) {
                return self.come(n, self.free_address(FIRST_ADDRESS), Duration::ZERO);
            }
        }
    }

    fn id_of(&self, address: Ipv4Addr) -> String {
        match self.settings.id_order {
            IdOrder::Network => format!("*{:X}", address.to_bits()),
            IdOrder::Reversed => format!("*{:X}", address.to_bits().swap_bytes()),
        }
    }

    /// The row of a configured user.
    fn user(&mut self, person: &Person, n: usize) -> Row {
        let mut row = Row::new()
            .with("server", if n.is_multiple_of(6) { "all" } else { SERVER })
            .with("name", person.user.as_str())
            .with("password", person.password.as_str())
            .with("profile", person.profile);
        if n.is_multiple_of(9) {
            row = row.with("mac-address", person.mac.as_str());
        }
        if n.is_multiple_of(8) {
            row = row.with("limit-bytes-out", 20_000_000_000);
        }
        let used = Duration::from_secs(self.rng.u64(0..30 * 86_400));
        let (up, down) = (self.rng.u64(0..1 << 30), self.rng.u64(0..1 << 34));
        row = counted(row, used, up, down).with("dynamic", false).with("disabled", is_disabled(n));
        match person.comment {
            Some(comment) => row.with("comment", comment),
            None => row,
        }
    }
}

/// Whether the `n`th configured user is disabled at the start.
fn is_disabled(n: usize) -> bool {
    n % 25 == 24
}

/// Lets people come and go for as long as it is polled.
pub(super) async fn come_and_go(shared: Arc<Shared>, mean: Duration) {
    loop {
        // Evenly between none and twice the mean.
        let wait = mean.mul_f64(2.0 * shared.state().rng.f64());
        smol::Timer::after(wait.max(Duration::from_millis(1))).await;
        shared.state().come_or_go();
    }
}

fn session(row: &Row) -> Option<OnlineSession> {
    let text = |key| String::from_utf8_lossy(row.text(key)).into_owned();
    let address = text("address").parse().ok()?;
    Some(OnlineSession { id: row.id.clone(), user: text("user"), address, mac: text("mac-address") })
}

/// A number that the row shows; 0 where it shows none.
fn number(row: &Row, key: &[u8], now: &Now<'_>) -> u64 {
    let text = row.read(key, now).unwrap_or_default();
    std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The row with what a user has used. It counts as counters: a `listen` is not told.
fn counted(row: Row, uptime: Duration, up: u64, down: u64) -> Row {
    let still = |from| Value::Count { from, per_second: 0, since: Duration::ZERO };
    row.with("uptime", Value::Duration(uptime)).with("bytes-in", still(up)).with("bytes-out", still(down))
}

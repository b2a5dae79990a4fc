//! Hotspot users and their sessions: login, logout, cookies and counters.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::devices;
use super::menus::{ACTIVE, COOKIE, HOTSPOT_NAME, USER};
use super::reply::TrapReply;
use super::row::Row;
use super::settings::IdOrder;
use super::state::State;
use super::value::Value;

/// The lifetime of a cookie.
const COOKIE_LIFETIME: Duration = Duration::from_secs(3 * 86_400);

/// The topics of attempts to log in, in the log.
pub(super) const LOGIN_TOPICS: &str = "hotspot,info,debug";

/// The topics of logins and logouts in the log.
const ACCOUNT_TOPICS: &str = "hotspot,account,info,debug";

/// The limit of a trial session: longer than RouterOS's 30 minutes, so that no session expires on its own.
const TRIAL_LIMIT: Duration = Duration::from_secs(86_400);

/// A person who is online.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineSession {
    /// The row's `.id`: the address in hex, so the next person at that address has it again.
    pub id: String,
    /// The hotspot user.
    pub user: String,
    /// The address.
    pub address: Ipv4Addr,
    /// The MAC address, as in `8C:F5:A3:12:34:56`.
    pub mac: String,
}

impl OnlineSession {
    fn of(row: &Row) -> Option<Self> {
        let address = row.text("address").parse().ok()?;
        Some(Self { id: row.id.clone(), user: row.text("user"), address, mac: row.text("mac-address") })
    }
}

/// All sessions in the order of login.
pub(super) fn sessions(state: &State) -> Vec<OnlineSession> {
    state.rows(ACTIVE).filter_map(OnlineSession::of).collect()
}

/// Adds a configured user with RouterOS's defaults. Returns the row's `.id`. [?]: the words of the traps are
/// inferred, no trace has them.
pub(super) fn add_user(state: &mut State, given: Row) -> Result<String, TrapReply> {
    let name = given.bytes("name");
    if name.is_empty() {
        return Err(TrapReply::new("failure: user name is missing"));
    }
    if state.rows(USER).any(|user| user.bytes("name") == name) {
        return Err(TrapReply::new("failure: already have user with this name for this server"));
    }
    let row = Row::new().with_fields("server=all name= profile=default");
    let row = with_usage(row, Duration::ZERO, 0, 0).with_fields("dynamic=false disabled=false");
    let Row { attributes, .. } = given;
    state.insert(USER, attributes.into_iter().fold(row, |row, (key, value)| row.with(&key, value)))
}

/// Logs a person in. Returns the `.id` of the session. An address has one session at a time.
pub(super) fn log_in(
    state: &mut State,
    user: &str,
    address: Ipv4Addr,
    mac: &str,
    login_by: &str,
    age: Duration,
) -> Result<String, TrapReply> {
    let id = session_id(state.settings.id_order, address);
    if state.row(ACTIVE, &id).is_some() {
        return Err(TrapReply::new("failure: the address is in use"));
    }
    let start = state.clock.at().saturating_sub(age);
    // Bytes per second each direction; a packet has somewhat less than 1000 bytes.
    let (upload, download) = (state.rng.u64(900..20_000), state.rng.u64(9_000..400_000));
    let count = |per_second| Value::Count { from: 1200, per_second, since: start };
    let mut row = Row::new()
        .id(&id)
        .with("server", HOTSPOT_NAME)
        .with("user", user)
        .with("address", address.to_string())
        .with("mac-address", mac)
        .with("login-by", login_by)
        .with("uptime", Value::Since(start));
    if login_by == "trial" {
        row = row.with("session-time-left", Value::Until(start + TRIAL_LIMIT));
    }
    if let Some(from) = remaining_download(state, user) {
        let left = Value::Remainder { from, per_second: download, since: start };
        row = row.with("limit-bytes-out", left);
    }
    let row = row
        .with("idle-time", Value::Idle { below_s: 9 })
        .with("keepalive-timeout", "2m")
        .with("bytes-in", count(upload))
        .with("bytes-out", count(download))
        .with("packets-in", count(upload / 300))
        .with("packets-out", count(download / 900))
        .with("radius", false);
    let id = state.insert(ACTIVE, row)?;
    devices::add_host(state, address, mac, age);
    devices::authorize(state, address, true);
    if login_by != "trial" && !has_cookie(state, user, mac) {
        let expires = Value::Until(start + COOKIE_LIFETIME);
        let cookie = Row::new().with("user", user).with("mac-address", mac).with("expires-in", expires);
        let _ = state.insert(COOKIE, cookie);
    }
    state.log(LOGIN_TOPICS, &format!("{user} ({address}): trying to log in by {login_by}"));
    state.log(ACCOUNT_TOPICS, &format!("{user} ({address}): logged in"));
    Ok(id)
}

/// Whether a user has a cookie for this MAC address.
pub(super) fn has_cookie(state: &State, user: &str, mac: &str) -> bool {
    state.find(COOKIE, &[("user", user), ("mac-address", mac)]).is_some()
}

/// The download that a user's limit allows at the start of a session, if there is a limit.
fn remaining_download(state: &State, user: &str) -> Option<u64> {
    let row = state.find(USER, &[("name", user)])?;
    row.get(b"limit-bytes-out")?;
    let number = |key| row.number(key, &state.now());
    Some(number("limit-bytes-out").saturating_sub(number("bytes-out")))
}

/// Ends a session and adds its usage to the user's counters, which do not move before. Returns whether the
/// session existed.
pub(super) fn log_out(state: &mut State, id: &str, reason: &str) -> bool {
    let Some(row) = state.remove(ACTIVE, id) else { return false };
    let Some(session) = OnlineSession::of(&row) else { return true };
    add_usage(state, &session.user, &row);
    devices::authorize(state, session.address, false);
    state.log(ACCOUNT_TOPICS, &format!("{} ({}): logged out: {reason}", session.user, session.address));
    true
}

/// Adds the usage of a session that has ended to its user, or to the `default-trial` user.
fn add_usage(state: &mut State, user: &str, session: &Row) {
    let name = if user.starts_with("T-") { "default-trial" } else { user };
    let Some(user) = state.find(USER, &[("name", name)]) else { return };
    let now = state.now();
    let uptime = match session.get(b"uptime") {
        Some(Value::Since(start)) => now.at.saturating_sub(*start),
        _ => Duration::ZERO,
    };
    let before = match user.get(b"uptime") {
        Some(Value::Duration(sum)) => *sum,
        _ => Duration::ZERO,
    };
    let sum = |key| user.number(key, &now).saturating_add(session.number(key, &now));
    let user = with_usage(user.clone(), before + uptime, sum("bytes-in"), sum("bytes-out"));
    let _ = state.insert(USER, user);
}

/// Removes a session as `/ip/hotspot/active/remove` does, and with
/// [`removal_ends_all`](super::Settings::removal_ends_all) the user's other sessions. Returns whether the
/// session existed.
pub(super) fn kick(state: &mut State, id: &str) -> bool {
    let Some(row) = state.row(ACTIVE, id) else { return false };
    let mut ended = vec![id.to_string()];
    if state.settings.removal_ends_all {
        let is_other = |other: &&Row| other.id != id && other.bytes("user") == row.bytes("user");
        ended.extend(state.rows(ACTIVE).filter(is_other).map(|other| other.id.clone()));
    }
    for id in ended {
        end_session(state, &id);
    }
    true
}

/// Ends a session. A person with a cookie may log in again at once, with the same `.id`.
fn end_session(state: &mut State, id: &str) {
    let session = state.row(ACTIVE, id).and_then(OnlineSession::of);
    log_out(state, id, "admin reset");
    if let Some(OnlineSession { user, mac, address, .. }) = session
        && state.settings.cookies_log_back_in
        && has_cookie(state, &user, &mac)
    {
        // The session that had the address has just ended.
        let _ = log_in(state, &user, address, &mac, "cookie", Duration::ZERO);
    }
}

fn session_id(order: IdOrder, address: Ipv4Addr) -> String {
    match order {
        IdOrder::Network => format!("*{:X}", address.to_bits()),
        IdOrder::Reversed => format!("*{:X}", address.to_bits().swap_bytes()),
    }
}

/// Sets the usage of a user. These are counters, so a `listen` does not report them.
pub(super) fn with_usage(row: Row, uptime: Duration, upload: u64, download: u64) -> Row {
    let fixed = |from| Value::Count { from, per_second: 0, since: Duration::ZERO };
    row.with("uptime", Value::Duration(uptime))
        .with("bytes-in", fixed(upload))
        .with("bytes-out", fixed(download))
}

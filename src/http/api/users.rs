//! `/api/hotspot/{site}/users`: configured users.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::action::users::UserPage;
use crate::plugin::{Session, User};
use crate::routeros::value::{self, Text};

/// Some of the users, and how to ask for the next.
#[derive(Debug, Serialize)]
pub(in crate::http) struct UsersJson<'u> {
    users: Vec<UserJson<'u>>,
    total: usize,
    /// What `after` must be for the next of them; null after the last.
    next: Option<&'u str>,
}

/// One user. `bytesIn`, `bytesOut` and `uptime` are RouterOS's own, which move at logout only;
/// `uploadBytes` and `downloadBytes` have the sessions under way with them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UserJson<'u> {
    id: &'u str,
    name: &'u str,
    server: Option<&'u str>,
    profile: Option<&'u str>,
    address: Option<&'u str>,
    mac: Option<&'u str>,
    comment: Option<&'u str>,
    disabled: bool,
    sessions: usize,
    uptime: Option<String>,
    uptime_seconds: Option<u64>,
    bytes_in: u64,
    bytes_out: u64,
    upload_bytes: u64,
    download_bytes: u64,
    limit_uptime: Option<String>,
    limit_uptime_seconds: Option<u64>,
    limit_bytes_in: Option<u64>,
    limit_bytes_out: Option<u64>,
    limit_bytes_total: Option<u64>,
}

/// These users, of whom some have these sessions.
pub(in crate::http) fn users<'u>(users: &'u UserPage, sessions: &[Arc<Session>]) -> UsersJson<'u> {
    let mut by_user: HashMap<&Text, Vec<&Session>> = HashMap::new();
    for session in sessions {
        by_user.entry(&session.user).or_default().push(session);
    }
    let of = |user: &User| by_user.get(&user.name).map_or(&[][..], Vec::as_slice);
    UsersJson {
        users: users.users.iter().map(|each| user(each, of(each))).collect(),
        total: users.total,
        next: users.next.as_deref(),
    }
}

/// This user, whose name these sessions have.
fn user<'u>(user: &'u User, sessions: &[&Session]) -> UserJson<'u> {
    let in_all = user.used(sessions.iter().copied());
    let human = |time: Option<Duration>| time.map(value::format_duration);
    let whole = |time: Option<Duration>| time.map(|time| time.as_secs());
    UserJson {
        id: &user.id,
        name: &user.name,
        server: user.server.as_deref(),
        profile: user.profile.as_deref(),
        address: user.address.as_deref(),
        mac: user.mac.as_deref(),
        comment: user.comment.as_deref(),
        disabled: user.is_disabled,
        sessions: in_all.sessions,
        uptime: human(user.uptime),
        uptime_seconds: whole(user.uptime),
        bytes_in: user.bytes_in,
        bytes_out: user.bytes_out,
        upload_bytes: in_all.bytes_in,
        download_bytes: in_all.bytes_out,
        limit_uptime: human(user.limit_uptime),
        limit_uptime_seconds: whole(user.limit_uptime),
        limit_bytes_in: user.limit_bytes_in,
        limit_bytes_out: user.limit_bytes_out,
        limit_bytes_total: user.limit_bytes_total,
    }
}

//! `/api/hotspot/{site}/users`: configured users, queried on request.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use crate::action::users::{PageRequest, UserPage, list_users};
use crate::http::actions;
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response, json};
use crate::plugin::{Session, User};
use crate::routeros::value;

/// One page of the users.
pub(in crate::http) fn page(context: &Context) -> Result<HandlerOutput, Response> {
    let (site, request) = (context.site()?.key.clone(), context.request);
    let page = PageRequest::parse(request.parameter("limit").as_deref(), request.parameter("after"));
    let page = actions::parsed(page)?;
    let (handles, store) = (context.services.handles.clone(), context.services.store.clone());
    Ok(HandlerOutput::later(async move {
        let users = list_users(&handles, &site, page).await;
        let snapshot = store.snapshot();
        let hotspot = snapshot.site(&site).and_then(|site| site.hotspot());
        let sessions = hotspot.map_or(&[][..], |hotspot| &hotspot.sessions);
        actions::answer(&users, |users| json(&users_json(users, sessions)))
    }))
}

#[derive(Debug, Serialize)]
struct UsersJson<'u> {
    users: Vec<UserJson<'u>>,
    total: usize,
    /// The value of `after` for the next page; null on the last page.
    next: Option<&'u str>,
}

/// One user. `bytesIn`, `bytesOut` and `uptime` are RouterOS's own, which it updates only at logout; `uploadBytes` and
/// `downloadBytes` include the active sessions.
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

/// `sessions` are those of all users.
fn users_json<'u>(users: &'u UserPage, sessions: &[Session]) -> UsersJson<'u> {
    let mut by_user: HashMap<&[u8], Vec<&Session>> = HashMap::new();
    for session in sessions {
        by_user.entry(session.user_bytes()).or_default().push(session);
    }
    let of = |user: &User| by_user.get(user.name.bytes()).map_or(&[][..], Vec::as_slice);
    UsersJson {
        users: users.users.iter().map(|each| user_json(each, of(each))).collect(),
        total: users.total,
        next: users.next.as_deref(),
    }
}

/// `sessions` are those of this user.
fn user_json<'u>(user: &'u User, sessions: &[&Session]) -> UserJson<'u> {
    let total = user.used(sessions.iter().copied());
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
        sessions: total.sessions,
        uptime: human(user.uptime),
        uptime_seconds: whole(user.uptime),
        bytes_in: user.bytes_in,
        bytes_out: user.bytes_out,
        upload_bytes: total.bytes_in,
        download_bytes: total.bytes_out,
        limit_uptime: human(user.limit_uptime),
        limit_uptime_seconds: whole(user.limit_uptime),
        limit_bytes_in: user.limit_bytes_in,
        limit_bytes_out: user.limit_bytes_out,
        limit_bytes_total: user.limit_bytes_total,
    }
}

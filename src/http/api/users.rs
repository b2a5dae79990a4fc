//! `/api/hotspot/{site}/users`: configured users, queried on request.

use std::time::Duration;

use serde::Serialize;

use super::parameters;
use crate::action::users::PageRequest;
use crate::http::actions;
use crate::http::context::Context;
use crate::http::csv::csv_of;
use crate::http::message::{HandlerOutput, Response, json};
use crate::http::user_list::{ListedUser, SORT_FIELDS, UserFilter, UserList, UserQuery};
use crate::plugin::{Quota, User};
use crate::routeros::value;

/// Most bytes of CSV, for about ten thousand users: not so large that it had to take turns with other responses.
const MAX_CSV: usize = 1 << 20;

/// The columns of the CSV.
const COLUMNS: [&str; 14] = [
    "id",
    "name",
    "server",
    "profile",
    "address",
    "mac",
    "comment",
    "disabled",
    "sessions",
    "uptimeSeconds",
    "uploadBytes",
    "downloadBytes",
    "usedShare",
    "limitBytesTotal",
];

/// One page of the users that the query selects.
pub(in crate::http) fn page(context: &Context) -> Result<HandlerOutput, Response> {
    parameters::check_format(context)?;
    let (site, request) = (context.site()?.key.clone(), context.request);
    let page = PageRequest::parse(request.parameter("limit").as_deref(), request.parameter("after"));
    let filters = format!("one of {}", UserFilter::ALL.map(UserFilter::name).join(", "));
    let query = UserQuery {
        search: parameters::search(context),
        filter: parameters::value(context, "filter", &filters, UserFilter::named)?.unwrap_or_default(),
        sort: parameters::sort(context, &SORT_FIELDS)?,
        page: actions::parsed(page)?,
    };
    let (wants_csv, most) = (context.wants_csv(), context.max_response().min(MAX_CSV));
    let query = if wants_csv { query.whole() } else { query };
    let (handles, store) = (context.services.handles.clone(), context.services.store.clone());
    Ok(HandlerOutput::later(async move {
        actions::answer(&query.list(&handles, &store, &site).await, |list| {
            if wants_csv {
                csv_of(&COLUMNS, list.users.iter().map(csv_row), most)
            } else {
                json(&users_json(list))
            }
        })
    }))
}

#[derive(Debug, Serialize)]
struct UsersJson<'u> {
    users: Vec<UserJson<'u>>,
    total: usize,
    matching: usize,
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
    /// The used share of the limit that is nearest.
    used_share: Option<f64>,
}

fn users_json(list: &UserList) -> UsersJson<'_> {
    UsersJson {
        users: list.users.iter().map(user_json).collect(),
        total: list.total,
        matching: list.matching,
        next: list.next.as_deref(),
    }
}

/// A user for CSV, whose times include the active sessions, too.
fn csv_row(listed: &ListedUser) -> UserJson<'_> {
    UserJson { uptime_seconds: Some(listed.used.uptime.as_secs()), ..user_json(listed) }
}

fn user_json(listed: &ListedUser) -> UserJson<'_> {
    let (user, total): (&User, _) = (&listed.user, listed.used);
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
        used_share: user.quota(total).map(Quota::share),
    }
}

//! The page of a site's configured users: limits and usage.

use std::borrow::Cow;

use askama::Template;

use super::action_error;
use super::format::{bytes, duration};
use super::layout::{AccountMenu, Layout, render};
use super::session_list::shorten;
use super::session_query::MAX_SEARCH;
use crate::action::ActionError;
use crate::action::users::{DEFAULT_LIMIT, PageRequest, UserPage, list_users};
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response};
use crate::plugin::{Session, User};
use crate::state::SiteState;

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage<'p> {
    layout: Layout,
    site: &'p SiteState,
    users: UserList<'p>,
    is_first: bool,
}

/// `GET /sites/{site}/users`
pub(in crate::http) fn show(context: &Context) -> Result<HandlerOutput, Response> {
    let (key, layout) = (context.site()?.key.clone(), context.layout());
    let (handles, store) = (context.services.handles.clone(), context.services.store.clone());
    let request = PageRequest { after: context.request.parameter("after"), limit: DEFAULT_LIMIT };
    Ok(HandlerOutput::later(async move {
        let is_first = request.after.is_none();
        let users = list_users(&handles, &key, request).await;
        match (users, store.snapshot().site(&key)) {
            (Ok(users), Some(site)) => {
                let sessions = site.hotspot().map_or(&[][..], |hotspot| &hotspot.sessions);
                render(&UsersPage { layout, site, users: UserList::new(&key, &users, sessions), is_first })
            }
            (users, _) => {
                let error = users.err().unwrap_or(ActionError::NoSite);
                action_error::page(layout, &error, "The users are not known", &format!("sites/{key}"))
            }
        }
    }))
}

/// One page of the users.
struct UserList<'p> {
    total: usize,
    rows: Vec<UserRow<'p>>,
    /// The link to the next page.
    next: Option<String>,
}

struct UserRow<'p> {
    name: Cow<'p, str>,
    is_disabled: bool,
    sessions: usize,
    /// The link to its sessions.
    href: String,
    profile: Cow<'p, str>,
    server: Cow<'p, str>,
    /// The only address and MAC address from which it may log in.
    locked_to: String,
    time: String,
    upload: String,
    download: String,
    total: String,
    comment: Cow<'p, str>,
}

impl<'p> UserList<'p> {
    fn new(site: &str, users: &'p UserPage, sessions: &[Session]) -> Self {
        Self {
            total: users.total,
            rows: users.users.iter().map(|user| row(site, user, sessions)).collect(),
            next: users.next.as_ref().map(|last| format!("?{}", query("after", last))),
        }
    }
}

fn row<'p>(site: &str, user: &'p User, sessions: &[Session]) -> UserRow<'p> {
    let usage = user.used(sessions);
    let shown = |text: &'p Option<String>| shorten(text.as_deref().unwrap_or_default().into());
    let only: Vec<&str> = [&user.address, &user.mac].into_iter().flatten().map(String::as_str).collect();
    let total = usage.bytes_in.saturating_add(usage.bytes_out);
    let search: String = user.name.chars().take(MAX_SEARCH).collect();
    UserRow {
        name: shorten(Cow::Borrowed(&user.name)),
        is_disabled: user.is_disabled,
        sessions: usage.sessions,
        href: format!("sites/{site}?{}#sessions", query("q", &search)),
        profile: shown(&user.profile),
        server: shown(&user.server),
        locked_to: shorten(only.join(" ").into()).into(),
        time: of(duration(usage.uptime), user.limit_uptime.map(duration)),
        upload: of(bytes(usage.bytes_in), user.limit_bytes_in.map(bytes)),
        download: of(bytes(usage.bytes_out), user.limit_bytes_out.map(bytes)),
        total: of(bytes(total), user.limit_bytes_total.map(bytes)),
        comment: shown(&user.comment),
    }
}

/// Usage, and the limit if there is one.
fn of(used: String, limit: Option<String>) -> String {
    match limit {
        Some(limit) => format!("{used} of {limit}"),
        None => used,
    }
}

fn query(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

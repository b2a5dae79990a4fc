//! The configured users of a site, as the admin sees them: what each may use, and has used.

use std::borrow::Cow;
use std::sync::Arc;

use super::figures::{bytes, duration};
use super::session_query::MAX_SOUGHT;
use super::sessions::shorten;
use crate::action::users::UserPage;
use crate::plugin::{Session, User};

/// Some of the users.
pub(super) struct UserList<'p> {
    pub(super) total: usize,
    pub(super) rows: Vec<UserRow<'p>>,
    /// Where the next of them are.
    pub(super) next: Option<String>,
}

pub(super) struct UserRow<'p> {
    pub(super) name: Cow<'p, str>,
    pub(super) is_disabled: bool,
    pub(super) sessions: usize,
    /// Where its sessions are.
    pub(super) href: String,
    pub(super) profile: Cow<'p, str>,
    pub(super) server: Cow<'p, str>,
    /// The only address and device that it may have, if there are such.
    pub(super) bound_to: String,
    pub(super) time: String,
    pub(super) upload: String,
    pub(super) download: String,
    pub(super) traffic: String,
    pub(super) comment: Cow<'p, str>,
}

impl<'p> UserList<'p> {
    pub(super) fn new(site: &str, users: &'p UserPage, sessions: &[Arc<Session>]) -> Self {
        Self {
            total: users.total,
            rows: users.users.iter().map(|user| row(site, user, sessions)).collect(),
            next: users.next.as_ref().map(|last| format!("?{}", query("after", last))),
        }
    }
}

fn row<'p>(site: &str, user: &'p User, sessions: &[Arc<Session>]) -> UserRow<'p> {
    let in_all = user.used(sessions.iter().map(AsRef::as_ref));
    let shown = |text: &'p Option<String>| shorten(text.as_deref().unwrap_or_default().into());
    let only: Vec<&str> = [&user.address, &user.mac].into_iter().flatten().map(String::as_str).collect();
    let all = in_all.bytes_in.saturating_add(in_all.bytes_out);
    let search: String = user.name.chars().take(MAX_SOUGHT).collect();
    UserRow {
        name: shorten(Cow::Borrowed(&user.name)),
        is_disabled: user.is_disabled,
        sessions: in_all.sessions,
        href: format!("sites/{site}?{}#sessions", query("q", &search)),
        profile: shown(&user.profile),
        server: shown(&user.server),
        bound_to: shorten(only.join(" ").into()).into(),
        time: of(duration(in_all.uptime), user.limit_uptime.map(duration)),
        upload: of(bytes(in_all.bytes_in), user.limit_bytes_in.map(bytes)),
        download: of(bytes(in_all.bytes_out), user.limit_bytes_out.map(bytes)),
        traffic: of(bytes(all), user.limit_bytes_total.map(bytes)),
        comment: shown(&user.comment),
    }
}

/// What is used, of what may be.
fn of(used: String, limit: Option<String>) -> String {
    match limit {
        Some(limit) => format!("{used} of {limit}"),
        None => used,
    }
}

fn query(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

//! The page of a site's configured users: limits and usage, with a search, filters and an order.

use std::borrow::Cow;

use askama::Template;

use super::action_error;
use super::format::{bytes, duration};
use super::layout::{Layout, render};
use super::session_list::shorten;
use super::session_query::{MAX_SEARCH, percent};
use crate::action::ActionError;
use crate::action::users::{DEFAULT_LIMIT, PageRequest};
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response};
use crate::http::sort_key::SortOrder;
use crate::http::user_list::{ListedUser, SORT_FIELDS, UserFilter, UserQuery};
use crate::state::SiteState;

/// The headings of the columns, and the field by which each sorts.
const HEADINGS: [(&str, Option<&str>); 10] = [
    ("User", Some("name")),
    ("Sessions", None),
    ("Profile", Some("profile")),
    ("Locked to", None),
    ("Limit", Some("usedShare")),
    ("Time", Some("uptimeSeconds")),
    ("Upload", Some("uploadBytes")),
    ("Download", Some("downloadBytes")),
    ("Total", None),
    ("Comment", Some("comment")),
];

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage<'p> {
    layout: Layout,
    site: &'p SiteState,
    search: &'p str,
    max_search: usize,
    /// The parameters that a search keeps.
    kept: Vec<(&'static str, String)>,
    filters: Vec<FilterLink>,
    headings: Vec<UserHeading>,
    total: usize,
    matching: usize,
    rows: Vec<UserRow<'p>>,
    is_first: bool,
    /// The query of the first page, of the next one, and of all users as CSV.
    first: String,
    next: Option<String>,
    csv: String,
}

struct FilterLink {
    title: &'static str,
    query: String,
    is_current: bool,
}

struct UserHeading {
    title: &'static str,
    /// The query that sorts by it.
    query: Option<String>,
    sorted: Option<&'static str>,
    is_number: bool,
}

/// `GET /sites/{site}/users`. Invalid parts of the query are ignored.
pub(in crate::http) fn show(context: &Context) -> Result<HandlerOutput, Response> {
    let (key, layout) = (context.site()?.key.clone(), context.layout());
    let (handles, store) = (context.services.handles.clone(), context.services.store.clone());
    let parameter = |name| context.request.parameter(name);
    let search: String = parameter("q").unwrap_or_default().trim().chars().take(MAX_SEARCH).collect();
    let query = UserQuery {
        search: search.to_lowercase(),
        filter: parameter("filter").and_then(|name| UserFilter::named(&name)).unwrap_or_default(),
        sort: parameter("sort").and_then(|field| SortOrder::field(&field, &SORT_FIELDS)),
        page: PageRequest { after: parameter("after"), limit: DEFAULT_LIMIT },
    };
    Ok(HandlerOutput::later(async move {
        let list = query.clone().list(&handles, &store, &key).await;
        match (list, store.snapshot().site(&key)) {
            (Ok(list), Some(site)) => {
                let headings = HEADINGS.map(|(title, field)| heading(title, field, &query, &search));
                let next = list.next.as_deref();
                render(&UsersPage {
                    layout,
                    site,
                    search: &search,
                    max_search: MAX_SEARCH,
                    kept: kept(&query),
                    filters: UserFilter::ALL.map(|filter| filter_link(filter, &query, &search)).into(),
                    headings: headings.into(),
                    total: list.total,
                    matching: list.matching,
                    rows: list.users.iter().map(|user| row(&key, user)).collect(),
                    is_first: query.page.after.is_none(),
                    first: link(&query, &search, None),
                    next: next.map(|last| link(&query, &search, Some(("after", last)))),
                    csv: link(&query, &search, Some(("format", "csv"))),
                })
            }
            (list, _) => {
                let error = list.err().unwrap_or(ActionError::NoSite);
                action_error::page(layout, &error, "The users could not be read", &format!("sites/{key}"))
            }
        }
    }))
}

/// The filter and the order as parameters, without defaults.
fn kept(query: &UserQuery) -> Vec<(&'static str, String)> {
    let filter = Some(query.filter).filter(|filter| *filter != UserFilter::All);
    let sort = query.sort.map(|(field, order)| match order {
        SortOrder::Ascending => ("sort", field.into()),
        SortOrder::Descending => ("sort", format!("-{field}")),
    });
    filter.map(|filter| ("filter", filter.name().into())).into_iter().chain(sort).collect()
}

/// A link with this query, and with one more parameter.
fn link(query: &UserQuery, search: &str, more: Option<(&str, &str)>) -> String {
    let mut link = form_urlencoded::Serializer::new(String::new());
    link.extend_pairs(kept(query));
    if !search.is_empty() {
        link.append_pair("q", search);
    }
    link.extend_pairs(more).finish()
}

fn filter_link(filter: UserFilter, query: &UserQuery, search: &str) -> FilterLink {
    let title = match filter {
        UserFilter::All => "All",
        UserFilter::Disabled => "Disabled",
        UserFilter::NearlyExhausted => "Nearly exhausted",
        UserFilter::NeverUsed => "Never used",
    };
    let is_current = filter == query.filter;
    FilterLink { title, query: link(&UserQuery { filter, ..query.clone() }, search, None), is_current }
}

/// Sorts by its field, or in reverse if the list is sorted by it already. People look for much usage first.
fn heading(title: &'static str, field: Option<&'static str>, query: &UserQuery, search: &str) -> UserHeading {
    let order = query.sort.filter(|(by, _)| Some(*by) == field).map(|(_, order)| order);
    let is_text = matches!(field, Some("name" | "profile" | "comment"));
    let next = match order {
        Some(SortOrder::Descending) => SortOrder::Ascending,
        None if is_text => SortOrder::Ascending,
        _ => SortOrder::Descending,
    };
    let sorted_by = |field| link(&UserQuery { sort: Some((field, next)), ..query.clone() }, search, None);
    let is_number = matches!(title, "Limit" | "Time" | "Upload" | "Download" | "Total");
    UserHeading { title, query: field.map(sorted_by), sorted: order.map(SortOrder::name), is_number }
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
    /// The used share of the nearest limit, in percent.
    used: Option<u64>,
    time: String,
    upload: String,
    download: String,
    total: String,
    comment: Cow<'p, str>,
}

fn row<'p>(site: &str, listed: &'p ListedUser) -> UserRow<'p> {
    let (user, usage) = (&listed.user, listed.used);
    let shown = |text: &'p Option<String>| shorten(text.as_deref().unwrap_or_default().into());
    let only: Vec<&str> = [&user.address, &user.mac].into_iter().flatten().map(String::as_str).collect();
    let search: String = user.name.chars().take(MAX_SEARCH).collect();
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("q", &search).finish();
    UserRow {
        name: shorten(Cow::Borrowed(&user.name)),
        is_disabled: user.is_disabled,
        sessions: usage.sessions,
        href: format!("sites/{site}?{query}#sessions"),
        profile: shown(&user.profile),
        server: shown(&user.server),
        locked_to: shorten(only.join(" ").into()).into(),
        used: user.quota(usage).map(percent),
        time: of(duration(usage.uptime), user.limit_uptime.map(duration)),
        upload: of(bytes(usage.bytes_in), user.limit_bytes_in.map(bytes)),
        download: of(bytes(usage.bytes_out), user.limit_bytes_out.map(bytes)),
        total: of(bytes(usage.bytes()), user.limit_bytes_total.map(bytes)),
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

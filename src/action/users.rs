//! Users: lists a page of the users that are configured on a site's router. Nothing changes, so it is not logged.

use std::sync::Arc;

use super::{ActionError, JobQueue, SiteHandles, ask, complete, quoted};
use crate::plugin::hotspot::command as hotspot;
use crate::plugin::{MAX_ID, User};
use crate::routeros::client::{Limit, MAX_ROWS};
use crate::routeros::error::{Cause, Error};
use crate::site::SiteContext;

/// The hint if there are too many users for a search.
const TOO_MANY: &str = "The list without a search, filter or order has all users, page by page";

/// Default number of users of a page.
pub const DEFAULT_LIMIT: usize = 50;

/// Maximum number of users of a page: the agent queries each of them by its id.
const MAX_LIMIT: usize = 500;

/// Maximum number of users that one command names. The maximum length of a query is not documented, and the router
/// evaluates the whole query for each row.
const MAX_NAMED: usize = 100;

/// Maximum memory for the rows of all users, which a search or a filter reads: enough for about ten thousand.
const MAX_ALL: usize = 4 << 20;

/// Selects some of the configured users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Selects the users after the one with this id; `None`: from the first user on.
    pub after: Option<String>,
    /// The maximum number of users.
    pub limit: usize,
}

/// Some of the configured users.
#[derive(Debug, Clone, PartialEq)]
pub struct UserPage {
    /// The users, in the order of their ids.
    pub users: Vec<User>,
    /// The total number of users.
    pub total: usize,
    /// The id after which the next page begins; `None` on the last page.
    pub next: Option<String>,
}

impl PageRequest {
    /// Parses the parameters of a query.
    ///
    /// # Errors
    ///
    /// The problem of `limit`.
    pub fn parse(limit: Option<&str>, after: Option<String>) -> Result<Self, String> {
        let limit = match limit {
            None => DEFAULT_LIMIT,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
                    format!("limit: found {}; expected a number from 1 to {MAX_LIMIT}.", quoted(text))
                })?
            }
        };
        Ok(Self { after, limit })
    }
}

/// Lists some users of a site.
///
/// # Errors
///
/// The reason why they can't be listed.
pub async fn list_users(
    handles: &SiteHandles,
    site: &str,
    page: PageRequest,
) -> Result<UserPage, ActionError> {
    handles.run(site, JobQueue::Connection, move |site| read_page(site, page)).await
}

/// Reads all users of a site.
///
/// # Errors
///
/// The reason why they can't be read.
pub async fn all_users(handles: &SiteHandles, site: &str) -> Result<Vec<User>, ActionError> {
    handles.run(site, JobQueue::Connection, read_all).await
}

async fn read_all(site: Arc<SiteContext>) -> Result<Vec<User>, ActionError> {
    let (client, config) = (site.client()?, site.config());
    let command = hotspot::all_users(Limit { rows: MAX_ROWS, bytes: MAX_ALL });
    let answer = client.call(command, config.query_timeout).await;
    let all = answer.and_then(complete).map_err(|error| match error.cause {
        Cause::Protocol => Error { hint: TOO_MANY, ..error },
        _ => error,
    })?;
    let rows = all.rows.iter().filter(|row| row.get(".id").is_some_and(|id| id.len() <= MAX_ID));
    let mut users: Vec<User> = rows.map(|row| User::read(row, config.codepage)).collect();
    users.sort_by_cached_key(|user| id_order(user.id.as_bytes()));
    Ok(users)
}

/// The place of an id in the order of ids, also if it was removed: ids are hexadecimal numbers, so a longer one is
/// greater.
pub fn id_order(id: &[u8]) -> (usize, Vec<u8>) {
    (id.len(), id.to_ascii_uppercase())
}

/// Reads all ids, which are short, and then only the users of the page: a list of ten thousand users has several
/// megabytes.
async fn read_page(site: Arc<SiteContext>, page: PageRequest) -> Result<UserPage, ActionError> {
    let (client, config) = (site.client()?, site.config());
    let known = site.hotspot(|hotspot| hotspot.configured_users).flatten();
    if let Some(count) = known.filter(|&count| count > MAX_ROWS as u64) {
        // A longer answer would end the connection.
        let message = format!("the router has {count} users; up to {MAX_ROWS} are listed");
        let hint = "On the router: /ip hotspot user print";
        return Err(Error { hint, ..Error::new(Cause::Protocol, message) }.into());
    }
    let all = client.call(hotspot::user_ids(), config.query_timeout).await.and_then(complete)?;
    let mut ids: Vec<&[u8]> = all.rows.iter().filter_map(|row| row.get(".id")).collect();
    let total = ids.len();
    // A longer id is not kept completely, so it can't be queried.
    ids.retain(|id| id.len() <= MAX_ID);
    ids.sort_by_cached_key(|id| id_order(id));
    if let Some(after) = &page.after {
        let after = id_order(after.as_bytes());
        ids.retain(|id| id_order(id) > after);
    }
    let has_more = ids.len() > page.limit;
    ids.truncate(page.limit);
    // The last id of the query, and not of the answer: some of these users may have been removed meanwhile.
    let last = ids.last().map(|id| String::from_utf8_lossy(id).into_owned());
    let mut users = Vec::new();
    let queries = ids.chunks(MAX_NAMED).map(hotspot::users).collect();
    for rows in ask(&client, queries, config.query_timeout).await {
        let rows = rows?;
        let rows = rows.iter().filter(|row| row.get(".id").is_some_and(|id| id.len() <= MAX_ID));
        users.extend(rows.map(|row| User::read(row, config.codepage)));
    }
    users.sort_by_cached_key(|user| id_order(user.id.as_bytes()));
    Ok(UserPage { users, total, next: last.filter(|_| has_more) })
}

//! Users: lists a page of the users that are configured on a site's router. Nothing changes, so it is not logged.

use std::sync::Arc;

use super::{ActionError, JobQueue, SiteHandles, ask, complete, quoted};
use crate::plugin::hotspot::command as hotspot;
use crate::plugin::{MAX_ID, User};
use crate::routeros::client::MAX_ROWS;
use crate::routeros::error::{Cause, Error};
use crate::site::SiteContext;

/// Users of a page unless the request says how many.
pub const DEFAULT_LIMIT: usize = 50;

/// Maximum number of users of a page: the router is asked for each of them by its id.
const MAX_LIMIT: usize = 500;

/// Maximum number of users that one command names. How long a query may be is not documented, and the router tries each
/// of its rows on all of the query.
const MAX_NAMED: usize = 100;

/// Which of the configured users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Those after the user of this id; none: from the first on.
    pub after: Option<String>,
    /// How many at most.
    pub limit: usize,
}

/// Some of the configured users.
#[derive(Debug, Clone, PartialEq)]
pub struct UserPage {
    /// The users, in the order of their ids.
    pub users: Vec<User>,
    /// How many there are in all.
    pub total: usize,
    /// The id after which the next page begins; none on the last page.
    pub next: Option<String>,
}

impl PageRequest {
    /// The page that these parameters of a query ask for.
    ///
    /// # Errors
    ///
    /// What is wrong with `limit`.
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
/// Why they are not known.
pub async fn list_users(
    handles: &SiteHandles,
    site: &str,
    page: PageRequest,
) -> Result<UserPage, ActionError> {
    handles.run(site, JobQueue::Connection, move |site| read_page(site, page)).await
}

/// Reads all ids, which are short, and then the users of the page alone: a list of ten thousand users is megabytes.
async fn read_page(site: Arc<SiteContext>, page: PageRequest) -> Result<UserPage, ActionError> {
    let (client, config) = (site.client()?, site.config());
    let known = site.hotspot().and_then(|hotspot| hotspot.configured_users);
    if let Some(count) = known.filter(|&count| count > MAX_ROWS as u64) {
        // More would end the connection.
        let message = format!("the router has {count} users; up to {MAX_ROWS} are listed");
        let hint = "On the router: /ip hotspot user print";
        return Err(Error { hint, ..Error::new(Cause::Protocol, message) }.into());
    }
    let all = client.call(hotspot::user_ids(), config.query_timeout).await.and_then(complete)?;
    let mut ids: Vec<&[u8]> = all.rows.iter().filter_map(|row| row.get(".id")).collect();
    let total = ids.len();
    // A longer one is not kept whole, so it can't be asked for.
    ids.retain(|id| id.len() <= MAX_ID);
    // Hexadecimal numbers: a longer one is greater. A user that is gone keeps its place in this order.
    let order = |id: &[u8]| (id.len(), id.to_ascii_uppercase());
    ids.sort_by_cached_key(|id| order(id));
    if let Some(after) = &page.after {
        let after = order(after.as_bytes());
        ids.retain(|id| order(id) > after);
    }
    let has_more = ids.len() > page.limit;
    ids.truncate(page.limit);
    // The last id that is asked for: that user may be gone by now, and others may not.
    let last = ids.last().map(|id| String::from_utf8_lossy(id).into_owned());
    let mut users = Vec::new();
    let queries = ids.chunks(MAX_NAMED).map(hotspot::users).collect();
    for rows in ask(&client, queries, config.query_timeout).await {
        let rows = rows?;
        let rows = rows.iter().filter(|row| row.get(".id").is_some_and(|id| id.len() <= MAX_ID));
        users.extend(rows.map(|row| User::read(row, config.codepage)));
    }
    users.sort_by_cached_key(|user| order(user.id.as_bytes()));
    Ok(UserPage { users, total, next: last.filter(|_| has_more) })
}

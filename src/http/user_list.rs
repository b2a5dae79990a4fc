//! The configured users of a site: a page in the order of the router, or a search, filter or order over all of them.

use std::collections::HashMap;

use super::sort_key::{SortKey, SortOrder};
use crate::action::users::{PageRequest, all_users, id_order, list_users};
use crate::action::{ActionError, SiteHandles};
use crate::plugin::{Session, Used, User};
use crate::state::Store;
use crate::text;

/// The used share of a limit from which on it is nearly exhausted.
const NEARLY: f64 = 0.9;

/// Fields by which users can be sorted, as in the JSON.
pub(super) const SORT_FIELDS: [&str; 7] =
    ["name", "profile", "comment", "uptimeSeconds", "uploadBytes", "downloadBytes", "usedShare"];

/// Which users a list contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum UserFilter {
    #[default]
    All,
    Disabled,
    NearlyExhausted,
    NeverUsed,
}

impl UserFilter {
    pub(super) const ALL: [Self; 4] = [Self::All, Self::Disabled, Self::NearlyExhausted, Self::NeverUsed];

    /// Its name in a query.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Disabled => "disabled",
            Self::NearlyExhausted => "nearly-exhausted",
            Self::NeverUsed => "never-used",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.name() == name)
    }

    fn has(self, ListedUser { user, used }: &ListedUser) -> bool {
        match self {
            Self::All => true,
            Self::Disabled => user.is_disabled,
            Self::NearlyExhausted => user.quota(*used).is_some_and(|quota| quota.share() >= NEARLY),
            Self::NeverUsed => *used == Used::default(),
        }
    }
}

/// Selects users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserQuery {
    /// In lower case.
    pub(super) search: String,
    pub(super) filter: UserFilter,
    /// A field and its direction; `None`: the order of the ids.
    pub(super) sort: Option<(&'static str, SortOrder)>,
    pub(super) page: PageRequest,
}

/// A user with its usage, that of active sessions included.
#[derive(Debug)]
pub(super) struct ListedUser {
    pub(super) user: User,
    pub(super) used: Used,
}

/// One page of the users that a query selects.
#[derive(Debug)]
pub(super) struct UserList {
    pub(super) users: Vec<ListedUser>,
    /// How many users are configured.
    pub(super) total: usize,
    /// How many of them the query selects.
    pub(super) matching: usize,
    /// The id after which the next page begins; `None` on the last page.
    pub(super) next: Option<String>,
}

impl UserQuery {
    /// Whether it selects all users in the order of the router, which reads only the users of the page.
    fn is_plain(&self) -> bool {
        let is_paged = self.page.limit != usize::MAX;
        is_paged && self.search.is_empty() && self.filter == UserFilter::All && self.sort.is_none()
    }

    /// All users that it selects, without pages.
    pub(super) fn whole(self) -> Self {
        Self { page: PageRequest { after: None, limit: usize::MAX }, ..self }
    }

    /// The users, read from the router.
    pub(super) async fn list(
        self,
        handles: &SiteHandles,
        store: &Store,
        site: &str,
    ) -> Result<UserList, ActionError> {
        if self.is_plain() {
            let page = list_users(handles, site, self.page).await?;
            let users = with_usage(page.users, store, site);
            return Ok(UserList { users, total: page.total, matching: page.total, next: page.next });
        }
        let users = with_usage(all_users(handles, site).await?, store, site);
        Ok(self.select(users))
    }

    fn select(&self, users: Vec<ListedUser>) -> UserList {
        let total = users.len();
        let has = |user: &ListedUser| self.filter.has(user) && user.contains(&self.search);
        let mut users: Vec<ListedUser> = users.into_iter().filter(has).collect();
        if let Some((field, order)) = self.sort {
            let mut keyed: Vec<_> = users.into_iter().map(|user| (user.key(field), user)).collect();
            keyed.sort_by(|(a, _), (b, _)| order.compare(a.as_ref(), b.as_ref()));
            users = keyed.into_iter().map(|(_, user)| user).collect();
        }
        let matching = users.len();
        let start = self.page.after.as_deref().map_or(0, |after| match self.sort {
            None => {
                users.partition_point(|user| id_order(user.user.id.as_bytes()) <= id_order(after.as_bytes()))
            }
            // If that user was removed meanwhile, the list begins again.
            Some(_) => users.iter().position(|user| user.user.id == after).map_or(0, |last| last + 1),
        });
        let rest = matching - start;
        users.drain(..start);
        users.truncate(self.page.limit);
        let next = users.last().filter(|_| rest > self.page.limit).map(|last| last.user.id.clone());
        UserList { users, total, matching, next }
    }
}

fn with_usage(users: Vec<User>, store: &Store, site: &str) -> Vec<ListedUser> {
    let snapshot = store.snapshot();
    let hotspot = snapshot.site(site).and_then(|site| site.hotspot());
    let mut by_user: HashMap<&[u8], Vec<&Session>> = HashMap::new();
    for session in hotspot.map_or(&[][..], |hotspot| &hotspot.sessions) {
        by_user.entry(session.user_bytes()).or_default().push(session);
    }
    let listed = |user: User| {
        let sessions = by_user.get(user.name.bytes()).map_or(&[][..], Vec::as_slice);
        ListedUser { used: user.used(sessions.iter().copied()), user }
    };
    users.into_iter().map(listed).collect()
}

impl ListedUser {
    fn contains(&self, search: &str) -> bool {
        let User { name, profile, mac, address, comment, .. } = &self.user;
        let texts = [profile, mac, address, comment].into_iter().flatten().map(String::as_str);
        search.is_empty() || text::any_contains(std::iter::once(&**name).chain(texts), search)
    }

    fn key(&self, field: &str) -> Option<SortKey> {
        let text = |text: &Option<String>| text.as_deref().map(SortKey::text);
        match field {
            "name" => Some(SortKey::text(&self.user.name)),
            "profile" => text(&self.user.profile),
            "comment" => text(&self.user.comment),
            "uptimeSeconds" => Some(SortKey::Number(self.used.uptime.as_secs())),
            "uploadBytes" => Some(SortKey::Number(self.used.bytes_in)),
            "downloadBytes" => Some(SortKey::Number(self.used.bytes_out)),
            _ => self.user.quota(self.used).map(|quota| SortKey::Number(quota.parts(1_000_000))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routeros::value::Text;

    fn users() -> Vec<ListedUser> {
        let user = |id: &str, name: &str, bytes_out, limit_bytes_out, is_disabled| {
            let (id, name) = (id.into(), Text::short(name.as_bytes(), 99, codepage()));
            let user =
                User { id, name, bytes_out, limit_bytes_out, is_disabled, comment: None, ..User::default() };
            ListedUser { used: user.used([]), user }
        };
        vec![
            user("*1", "Chidi", 90, Some(100), false),
            user("*2", "ada", 0, Some(100), true),
            user("*3", "bola", 500, None, false),
            user("*4", "Ada", 89, Some(100), false),
        ]
    }

    fn codepage() -> &'static crate::routeros::codepage::Codepage {
        crate::routeros::codepage::Codepage::named("windows-1252").unwrap()
    }

    fn query(search: &str, filter: &str, sort: &str, after: Option<&str>, limit: usize) -> UserQuery {
        UserQuery {
            search: search.into(),
            filter: UserFilter::named(filter).unwrap(),
            sort: SortOrder::field(sort, &SORT_FIELDS),
            page: PageRequest { after: after.map(String::from), limit },
        }
    }

    #[test]
    fn users_are_searched_filtered_and_sorted_in_pages() {
        for (search, filter, sort, after, limit, ids, matching, next) in [
            ("", "all", "name", None, 9, "*2*4*3*1", 4, None),
            ("", "all", "-downloadBytes", None, 9, "*3*1*4*2", 4, None),
            // Without a limit last in either order.
            ("", "all", "-usedShare", None, 9, "*1*4*2*3", 4, None),
            ("", "all", "usedShare", None, 9, "*2*4*1*3", 4, None),
            ("ada", "all", "", None, 9, "*2*4", 2, None),
            ("", "disabled", "", None, 9, "*2", 1, None),
            ("", "nearly-exhausted", "", None, 9, "*1", 1, None),
            ("", "never-used", "", None, 9, "*2", 1, None),
            ("ada", "nearly-exhausted", "", None, 9, "", 0, None),
            ("", "all", "name", None, 2, "*2*4", 4, Some("*4")),
            ("", "all", "name", Some("*4"), 2, "*3*1", 4, None),
            ("", "all", "name", Some("*99"), 1, "*2", 4, Some("*2")),
            ("a", "all", "", Some("*3"), 1, "*4", 3, None),
            ("a", "all", "", Some("*1F"), 1, "", 3, None),
        ] {
            let list = query(search, filter, sort, after, limit).select(users());
            let found: String = list.users.iter().map(|user| &*user.user.id).collect();
            let seen = (&*found, list.matching, list.next.as_deref(), list.total);
            assert_eq!(seen, (ids, matching, next, 4), "{search} {filter} {sort} {after:?}");
        }
    }
}

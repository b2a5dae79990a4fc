//! The list of sessions: which of them a page's query asks for, in which order.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::figures::{bytes, duration};
use crate::plugin::Session;

/// Most sessions on a page: some 100 KB of HTML, which is fetched again with each change.
pub(super) const ROWS: usize = 100;

/// Longest text that is sought, in characters: each link on the page repeats it.
pub(super) const MAX_SOUGHT: usize = 100;

/// One column of the list.
#[derive(Debug)]
pub(super) struct Column {
    /// How a query calls it.
    pub(super) name: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    has: Has,
}

/// What a column has of a session, which says how that is shown and sorted.
#[derive(Debug)]
enum Has {
    Text(fn(&Session) -> Option<&str>),
    Address(fn(&Session) -> Option<&str>),
    Time(fn(&Session) -> Option<Duration>),
    Bytes(fn(&Session) -> u64),
}

/// What a column is sorted by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(u128),
    Address(IpAddr),
    Text(String),
}

pub(super) static COLUMNS: [Column; 11] = [
    Column { name: "user", title: "User", has: Has::Text(|session| Some(&session.user)) },
    Column { name: "address", title: "Address", has: Has::Address(|session| session.address.as_deref()) },
    Column { name: "mac", title: "MAC address", has: Has::Text(|session| session.mac.as_deref()) },
    Column { name: "server", title: "Server", has: Has::Text(|session| session.server.as_deref()) },
    Column { name: "by", title: "Login by", has: Has::Text(|session| session.login_by.as_deref()) },
    Column { name: "online", title: "Online for", has: Has::Time(|session| session.uptime) },
    Column { name: "idle", title: "Idle for", has: Has::Time(|session| session.idle) },
    Column { name: "left", title: "Time left", has: Has::Time(|session| session.time_left) },
    Column { name: "upload", title: "Upload", has: Has::Bytes(|session| session.bytes_in) },
    Column { name: "download", title: "Download", has: Has::Bytes(|session| session.bytes_out) },
    Column { name: "comment", title: "Comment", has: Has::Text(|session| session.comment.as_deref()) },
];

impl Column {
    /// What its cell shows; none where the router said nothing.
    pub(super) fn cell<'s>(&self, session: &'s Session) -> Option<Cow<'s, str>> {
        match self.has {
            Has::Text(of) | Has::Address(of) => of(session).map(Cow::Borrowed),
            Has::Time(of) => of(session).map(duration).map(Cow::Owned),
            Has::Bytes(of) => Some(Cow::Owned(bytes(of(session)))),
        }
    }

    fn key(&self, session: &Session) -> Option<Key> {
        let text = |text: &str| Key::Text(text.to_lowercase());
        match self.has {
            Has::Text(of) => of(session).map(text),
            Has::Address(of) => of(session).map(|ip| ip.parse().map_or_else(|_| text(ip), Key::Address)),
            Has::Time(of) => of(session).map(|time| Key::Number(time.as_millis())),
            Has::Bytes(of) => Some(Key::Number(of(session).into())),
        }
    }
}

/// Which end of a column comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SortOrder {
    #[default]
    Ascending,
    Descending,
}

/// What a page's query says of its list. What it says wrongly is as if it were not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::http) struct List {
    /// The place in [`COLUMNS`] of the one that it is sorted by.
    sort: usize,
    order: SortOrder,
    /// What the user, address, MAC address, server or comment must have in it.
    pub(super) search: String,
    /// How many sessions come before the page's first.
    from: usize,
}

/// What there is of a list.
pub(super) struct Found<'s> {
    /// How many sessions match.
    pub(super) matching: usize,
    /// How many of these come before the page's first.
    pub(super) from: usize,
    /// The page's own.
    pub(super) sessions: Vec<&'s Session>,
}

impl List {
    /// The list that a query asks for.
    pub(in crate::http) fn read(query: &[u8]) -> Self {
        let mut list = Self::default();
        for (name, value) in form_urlencoded::parse(query) {
            match &*name {
                "sort" => list.sort = COLUMNS.iter().position(|column| column.name == value).unwrap_or(0),
                "order" => {
                    list.order = if value == "desc" { SortOrder::Descending } else { SortOrder::Ascending }
                }
                "q" => list.search = value.trim().chars().take(MAX_SOUGHT).collect(),
                "from" => list.from = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        list
    }

    /// Its query, without what goes without saying.
    pub(in crate::http) fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.order_fields());
        if !self.search.is_empty() {
            query.append_pair("q", &self.search);
        }
        if self.from != 0 {
            query.append_pair("from", &self.from.to_string());
        }
        query.finish()
    }

    /// The fields of its query that say how it is sorted.
    pub(super) fn order_fields(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let sort = (self.sort != 0).then(|| ("sort", COLUMNS[self.sort].name));
        let order = (self.order == SortOrder::Descending).then_some(("order", "desc"));
        sort.into_iter().chain(order)
    }

    /// How a column of it is sorted, if it is.
    pub(super) fn order_of(&self, column: &Column) -> Option<SortOrder> {
        (COLUMNS[self.sort].name == column.name).then_some(self.order)
    }

    /// The same from the begin, sorted by a column; by that already, the other way round.
    pub(super) fn sorted_by(&self, column: &Column) -> Self {
        let order = match (self.order_of(column), &column.has) {
            // Who sorts by traffic looks for who has the most.
            (Some(SortOrder::Ascending), _) | (None, Has::Bytes(_)) => SortOrder::Descending,
            _ => SortOrder::Ascending,
        };
        let sort = COLUMNS.iter().position(|other| other.name == column.name).unwrap_or(0);
        Self { sort, order, from: 0, ..self.clone() }
    }

    /// The same from another session on.
    pub(super) fn from(&self, from: usize) -> Self {
        Self { from, ..self.clone() }
    }

    /// What there is of it.
    pub(super) fn find<'s>(&self, sessions: &'s [Arc<Session>]) -> Found<'s> {
        let search = self.search.to_lowercase();
        let column = &COLUMNS[self.sort];
        let matching = sessions.iter().map(AsRef::as_ref).filter(|session| matches(session, &search));
        let mut keyed: Vec<_> = matching.map(|session| (column.key(session), session)).collect();
        keyed.sort_by(|(a, one), (b, other)| {
            let by_key = match (a, b, self.order) {
                // What is not known is last, whatever is first.
                (None, _, _) | (_, None, _) => a.is_none().cmp(&b.is_none()),
                (_, _, SortOrder::Ascending) => a.cmp(b),
                (_, _, SortOrder::Descending) => b.cmp(a),
            };
            by_key.then_with(|| (&*one.user, &*one.id).cmp(&(&*other.user, &*other.id)))
        });
        let matching = keyed.len();
        // Sessions end: what was the last page may be none any more.
        let from = self.from.min(matching.saturating_sub(1)) / ROWS * ROWS;
        let page = keyed.into_iter().skip(from).take(ROWS);
        Found { matching, from, sessions: page.map(|(_, session)| session).collect() }
    }
}

fn matches(session: &Session, search: &str) -> bool {
    let Session { user, address, mac, server, comment, .. } = session;
    let rest = [address.as_deref(), mac.as_deref(), server.as_deref(), comment.as_deref()];
    let mut texts = std::iter::once(&**user).chain(rest.into_iter().flatten());
    search.is_empty() || texts.any(|text| text.to_lowercase().contains(search))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page::session;

    fn people() -> Vec<Arc<Session>> {
        vec![
            session("id=*3 user=Chidi address=10.0.0.10 mac-address=AA:BB session-time-left=9s bytes-in=50"),
            session("id=*1 user=ada address=10.0.0.9 comment=ÀGBÈ bytes-in=7"),
            session("id=*2 user=bola address=here server=lobby session-time-left=0s bytes-in=50"),
            session("id=*4 user=ada address=fe80::1 bytes-in=50"),
        ]
    }

    fn ids(query: &str) -> String {
        let people = people();
        let found = List::read(query.as_bytes()).find(&people);
        assert_eq!(found.matching, found.sessions.len());
        found.sessions.iter().map(|session| &session.id[1..]).collect()
    }

    #[test]
    fn a_query_says_who_is_listed_in_which_order() {
        for (query, expected) in [
            ("", "1423"),
            ("order=desc", "3214"),
            ("sort=user&order=up", "1423"),
            ("sort=nothing", "1423"),
            // As numbers, and what is no address after those that are.
            ("sort=address", "1342"),
            ("sort=upload", "1342"),
            ("sort=upload&order=desc", "3421"),
            // What has no limit is last both ways.
            ("sort=left", "2314"),
            ("sort=left&order=desc", "3214"),
            ("q=ADA", "14"),
            ("q=aa%3Abb", "3"),
            ("q=10.0.0.", "13"),
            ("q=LOB", "2"),
            ("q=+%C3%A0gb%C3%A8+", "1"),
            ("q=nobody", ""),
            ("q=ada&order=desc&sort=upload", "41"),
        ] {
            assert_eq!(ids(query), expected, "{query:?}");
        }
    }

    #[test]
    fn pages_of_a_list_do_not_overlap_and_end() {
        let many: Vec<_> = (0..=2 * ROWS).map(|n| session(&format!("id=*{n:03} user=ada"))).collect();
        for (from, begins, first, rows) in [
            ("0", 0, "*000", ROWS),
            ("1", 0, "*000", ROWS),
            ("100", 100, "*100", ROWS),
            ("200", 200, "*200", 1),
            ("99999", 200, "*200", 1),
            ("18446744073709551616", 0, "*000", ROWS),
            ("-1", 0, "*000", ROWS),
        ] {
            let found = List::read(format!("from={from}").as_bytes()).find(&many);
            let seen = (found.from, &*found.sessions[0].id, found.sessions.len(), found.matching);
            assert_eq!(seen, (begins, first, rows, many.len()), "{from}");
        }
        assert_eq!(List::read(b"from=100").find(&[]).from, 0);
    }

    #[test]
    fn a_list_has_a_query_that_reads_as_the_same() {
        for query in ["", "sort=upload&order=desc&q=a%26b+%C3%A9&from=200", "order=desc", "q=%3Cscript%3E"] {
            let list = List::read(query.as_bytes());
            assert_eq!(list.query(), query);
            assert_eq!(List::read(list.query().as_bytes()), list);
        }
        let long = List::read(format!("q={}", "é".repeat(5000)).as_bytes());
        assert_eq!(long.search.chars().count(), MAX_SOUGHT);
    }

    #[test]
    fn a_heading_sorts_by_its_column_and_then_the_other_way_round() {
        let column = |name: &str| COLUMNS.iter().find(|column| column.name == name).unwrap();
        for (query, name, expected) in [
            ("from=100&q=x", "user", "order=desc&q=x"),
            ("order=desc", "user", ""),
            ("", "upload", "sort=upload&order=desc"),
            ("sort=upload&order=desc", "upload", "sort=upload"),
            ("sort=upload&order=desc", "address", "sort=address"),
        ] {
            assert_eq!(List::read(query.as_bytes()).sorted_by(column(name)).query(), expected, "{query}");
        }
    }
}

//! The query of a session list: search, sorting and paging.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::chart_range::ChartRange;
use super::format::{bits_per_second, bytes, duration};
use crate::http::listed_session::ListedSession;
use crate::http::sort_key::{SortKey, SortOrder};
use crate::plugin::{Quota, Rates, Session};
use crate::text;

/// Maximum number of sessions on a page: some 100 KB of HTML, which is fetched again with each change.
pub(super) const ROWS: usize = 100;

/// Longest search text, in characters: each link on the page repeats it.
pub(super) const MAX_SEARCH: usize = 100;

/// One column of the list, or a second line in the cells of the column before it.
#[derive(Debug)]
pub(super) struct Column {
    /// Its name in a query.
    pub(super) name: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    /// What is before and after its text in a second line.
    second: Option<(&'static str, &'static str)>,
    value: Value,
}

/// A column's value, whose type determines how it is shown and sorted.
#[derive(Debug)]
enum Value {
    Text(fn(ListedSession<'_>) -> Option<&str>),
    Address(fn(&Session) -> Option<&str>),
    Time(fn(&Session) -> Option<Duration>),
    Bytes(fn(&Session) -> u64),
    Rate(fn(Rates) -> u64),
    /// The used share of its limit.
    Quota,
}

const fn column(name: &'static str, title: &'static str, value: Value) -> Column {
    Column { name, title, second: None, value }
}

const fn second(
    name: &'static str,
    title: &'static str,
    around: (&'static str, &'static str),
    value: Value,
) -> Column {
    Column { name, title, second: Some(around), value }
}

pub(super) static COLUMNS: [Column; 15] = [
    column("user", "User", Value::Text(|listed| Some(listed.session.user()))),
    second("device", "Device", ("", ""), Value::Text(|listed| listed.device)),
    second("comment", "Comment", ("", ""), Value::Text(|listed| listed.session.comment())),
    column("download-rate", "Download rate", Value::Rate(|rates| rates.download)),
    column("upload-rate", "Upload rate", Value::Rate(|rates| rates.upload)),
    column("download", "Download", Value::Bytes(Session::bytes_out)),
    column("upload", "Upload", Value::Bytes(Session::bytes_in)),
    column("quota", "Quota", Value::Quota),
    second("left", "Time left", ("", " left"), Value::Time(Session::time_left)),
    column("online", "Online for", Value::Time(Session::uptime)),
    second("idle", "Idle for", ("idle ", ""), Value::Time(Session::idle)),
    column("address", "Address", Value::Address(Session::address)),
    second("mac", "MAC address", ("", ""), Value::Text(|listed| listed.session.mac())),
    column("by", "Login by", Value::Text(|listed| listed.session.login_by())),
    second("server", "Server", ("", ""), Value::Text(|listed| listed.session.server())),
];

/// The index in [`COLUMNS`] of the column by which the list is sorted at first: the busiest are what operators look for.
const BUSIEST: usize = 3;

impl Column {
    /// The column of this name in a query; the first one if there is none.
    pub(super) fn named(name: &str) -> &'static Self {
        COLUMNS.iter().find(|column| column.name == name).unwrap_or(&COLUMNS[0])
    }

    /// The columns of each cell: one, and those of its second line.
    pub(super) fn cells() -> impl Iterator<Item = &'static [Self]> {
        COLUMNS.chunk_by(|_, next| next.second.is_some())
    }

    /// The text of its cell; none if the router reported no value.
    pub(super) fn text<'s>(&self, listed: ListedSession<'s>) -> Option<Cow<'s, str>> {
        let text = match self.value {
            Value::Text(of) => of(listed).map(Cow::Borrowed),
            Value::Address(of) => of(listed.session).map(Cow::Borrowed),
            Value::Time(of) => of(listed.session).map(duration).map(Cow::Owned),
            Value::Bytes(of) => Some(Cow::Owned(bytes(of(listed.session)))),
            Value::Rate(of) => listed.rates.map(of).map(bits_per_second).map(Cow::Owned),
            Value::Quota => listed.session.quota().map(|quota| format!("{} %", percent(quota)).into()),
        }?;
        Some(match self.second {
            Some((before, after)) if !before.is_empty() || !after.is_empty() => {
                format!("{before}{text}{after}").into()
            }
            _ => text,
        })
    }

    /// The classes of its cells: their place in a folded row, or that of a number.
    pub(super) fn class(&self) -> Option<&'static str> {
        match self.name {
            "user" => Some("lead"),
            "quota" => Some("quota"),
            "download-rate" => Some("end download"),
            "upload-rate" => Some("below upload"),
            _ => self.is_number().then_some("number"),
        }
    }

    /// Whether its value is a number, which is aligned to the right.
    pub(super) fn is_number(&self) -> bool {
        !matches!(self.value, Value::Text(_) | Value::Address(_))
    }

    fn key(&self, listed: ListedSession) -> Option<SortKey> {
        match self.value {
            Value::Text(of) => of(listed).map(SortKey::text),
            Value::Address(of) => of(listed.session).map(SortKey::address),
            Value::Time(of) => {
                of(listed.session).and_then(|time| u64::try_from(time.as_millis()).ok()).map(SortKey::Number)
            }
            Value::Bytes(of) => Some(SortKey::Number(of(listed.session))),
            Value::Rate(of) => listed.rates.map(of).map(SortKey::Number),
            Value::Quota => listed.session.quota().map(|quota| SortKey::Number(quota.parts(1_000_000))),
        }
    }
}

/// `of 5.0 GB`
pub(super) fn limit(quota: Quota) -> String {
    let limit = quota.limit;
    format!("of {}", if quota.is_time { duration(Duration::from_secs(limit)) } else { bytes(limit) })
}

/// The used share in percent, rounded down: a quota that is not used up has less than 100 %.
pub(super) fn percent(quota: Quota) -> u64 {
    quota.parts(100)
}

/// The query of a site's page: of its session list, and of its charts. Invalid parts of it are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionQuery {
    /// Index of the sorted column in [`COLUMNS`].
    sort: usize,
    order: SortOrder,
    /// Text that the user, device, address, MAC address, server or comment must contain.
    pub(super) search: String,
    /// The number of sessions before the page.
    from: usize,
    /// The range of the charts.
    pub(super) range: ChartRange,
}

/// One page of matching sessions.
pub(super) struct SessionPage<'s> {
    /// How many sessions match in total.
    pub(super) matching: usize,
    /// The number of them before the page.
    pub(super) from: usize,
    pub(super) sessions: Vec<ListedSession<'s>>,
}

impl Default for SessionQuery {
    fn default() -> Self {
        let (sort, order, range) = (BUSIEST, SortOrder::Descending, ChartRange::default());
        Self { sort, order, search: String::new(), from: 0, range }
    }
}

impl SessionQuery {
    pub(super) fn read(query: &[u8]) -> Self {
        let (mut read, mut sort, mut order) = (Self::default(), None, SortOrder::Ascending);
        for (name, value) in form_urlencoded::parse(query) {
            match &*name {
                "sort" => sort = COLUMNS.iter().position(|column| column.name == value).or(sort),
                "order" if value == "desc" => order = SortOrder::Descending,
                "q" => read.search = value.trim().chars().take(MAX_SEARCH).collect(),
                "range" => read.range = ChartRange::named(&value),
                "from" => read.from = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        if let Some(sort) = sort {
            (read.sort, read.order) = (sort, order);
        }
        read
    }

    /// The parameters that a search keeps: the sort order and the range.
    pub(super) fn kept_parameters(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let is_default = (self.sort, self.order) == (BUSIEST, SortOrder::Descending);
        let sort = (!is_default).then(|| ("sort", COLUMNS[self.sort].name));
        let order = (!is_default && self.order == SortOrder::Descending).then_some(("order", "desc"));
        let range = (self.range != ChartRange::default()).then(|| ("range", self.range.name()));
        sort.into_iter().chain(order).chain(range)
    }

    /// The order of a column, if the list is sorted by it.
    pub(super) fn order_of(&self, column: &Column) -> Option<SortOrder> {
        (COLUMNS[self.sort].name == column.name).then_some(self.order)
    }

    /// The first page sorted by this column, or in reverse if it is sorted by it already.
    pub(super) fn sorted_by(&self, column: &Column) -> Self {
        let order = match (self.order_of(column), &column.value) {
            // People look for the users with the most traffic.
            (Some(SortOrder::Ascending), _) | (None, Value::Bytes(_) | Value::Rate(_) | Value::Quota) => {
                SortOrder::Descending
            }
            _ => SortOrder::Ascending,
        };
        let sort = COLUMNS.iter().position(|other| other.name == column.name).unwrap_or(0);
        Self { sort, order, from: 0, ..self.clone() }
    }

    /// The page that begins with another session.
    pub(super) fn starting_at(&self, from: usize) -> Self {
        Self { from, ..self.clone() }
    }

    /// The page with charts of another range.
    pub(super) fn with_range(&self, range: ChartRange) -> Self {
        Self { range, ..self.clone() }
    }

    /// The page of these sessions.
    pub(super) fn find<'s>(&self, sessions: impl Iterator<Item = ListedSession<'s>>) -> SessionPage<'s> {
        let search = self.search.to_lowercase();
        let column = &COLUMNS[self.sort];
        let matching = sessions.filter(|listed| matches(*listed, &search));
        let mut keyed: Vec<_> = matching.map(|listed| (column.key(listed), listed)).collect();
        keyed.sort_by(|(a, one), (b, other)| {
            let by_key = self.order.compare(a.as_ref(), b.as_ref());
            let (one, other) = (one.session, other.session);
            by_key.then_with(|| (one.user(), one.id()).cmp(&(other.user(), other.id())))
        });
        let matching = keyed.len();
        // Sessions end, so the page may no longer exist: then the last one is shown.
        let from = self.from.min(matching.saturating_sub(1)) / ROWS * ROWS;
        let page = keyed.into_iter().skip(from).take(ROWS);
        SessionPage { matching, from, sessions: page.map(|(_, listed)| listed).collect() }
    }
}

fn matches(listed: ListedSession, search: &str) -> bool {
    let session = listed.session;
    let rest = [session.address(), session.mac(), session.server(), session.comment(), listed.device];
    let texts = std::iter::once(session.user()).chain(rest.into_iter().flatten());
    search.is_empty() || text::any_contains(texts, search)
}

impl fmt::Display for SessionQuery {
    /// Leaves out parameters with default values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.kept_parameters());
        if !self.search.is_empty() {
            query.append_pair("q", &self.search);
        }
        if self.from != 0 {
            query.append_pair("from", &self.from.to_string());
        }
        f.write_str(&query.finish())
    }
}

/// The query of a session, by its id and if possible by `user_and_mac`, followed by the query of its list.
pub(super) fn of_session(id: &str, user_and_mac: Option<(&str, &str)>, list: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("id", id);
    if let Some((user, mac)) = user_and_mac {
        query.append_pair("user", user).append_pair("mac", mac);
    }
    let query = query.finish();
    if list.is_empty() { query } else { format!("{query}&{list}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page::session;

    fn people() -> Vec<Session> {
        vec![
            session("id=*3 user=Chidi address=10.0.0.10 mac-address=AA:BB session-time-left=9s bytes-in=50"),
            session("id=*1 user=ada address=10.0.0.9 comment=ÀGBÈ bytes-in=7"),
            session("id=*2 user=bola address=here server=lobby session-time-left=0s bytes-in=50"),
            session("id=*4 user=ada address=fe80::1 bytes-in=50"),
        ]
    }

    /// Sessions with a device's name for `*2`, and a rate that falls with each.
    fn listed(sessions: &[Session]) -> impl Iterator<Item = ListedSession<'_>> {
        (0..).zip(sessions).map(|(n, session)| {
            let rates = Some(Rates { download: 1000 - n, upload: n });
            ListedSession { session, device: (session.id() == "*2").then_some("Galaxy"), rates }
        })
    }

    fn ids(query: &str) -> String {
        let people = people();
        let found = SessionQuery::read(query.as_bytes()).find(listed(&people));
        assert_eq!(found.matching, found.sessions.len());
        found.sessions.iter().map(|listed| &listed.session.id()[1..]).collect()
    }

    #[test]
    fn a_query_searches_and_sorts() {
        for (query, expected) in [
            // The busiest first.
            ("", "3124"),
            ("sort=nothing", "3124"),
            ("sort=download-rate", "4213"),
            ("sort=upload-rate", "3124"),
            ("sort=user&order=up", "1423"),
            ("sort=user&order=desc", "3214"),
            ("sort=device", "2314"),
            // Numerically, and invalid addresses last.
            ("sort=address", "1342"),
            ("sort=upload", "1342"),
            ("sort=upload&order=desc", "3421"),
            // Sessions without a limit are last in either order.
            ("sort=left", "2314"),
            ("sort=left&order=desc", "3214"),
            ("sort=user&q=ADA", "14"),
            ("q=aa%3Abb", "3"),
            ("q=galaxy", "2"),
            ("sort=user&q=10.0.0.", "13"),
            ("q=LOB", "2"),
            ("q=+%C3%A0gb%C3%A8+", "1"),
            ("q=nobody", ""),
            ("q=ada&order=desc&sort=upload", "41"),
        ] {
            assert_eq!(ids(query), expected, "{query:?}");
        }
    }

    #[test]
    fn pages_do_not_overlap_and_the_last_is_partial() {
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
            let found = SessionQuery::read(format!("sort=user&from={from}").as_bytes()).find(listed(&many));
            let seen = (found.from, found.sessions[0].session.id(), found.sessions.len(), found.matching);
            assert_eq!(seen, (begins, first, rows, many.len()), "{from}");
        }
        assert_eq!(SessionQuery::read(b"from=100").find(listed(&[])).from, 0);
    }

    #[test]
    fn a_query_is_read_back_unchanged() {
        for query in
            ["", "sort=upload&order=desc&q=a%26b+%C3%A9&from=200", "sort=download-rate", "q=%3Cscript%3E"]
        {
            let read = SessionQuery::read(query.as_bytes());
            assert_eq!(read.to_string(), query);
            assert_eq!(SessionQuery::read(read.to_string().as_bytes()), read);
        }
        let long = SessionQuery::read(format!("q={}", "é".repeat(5000)).as_bytes());
        assert_eq!(long.search.chars().count(), MAX_SEARCH);
    }

    #[test]
    fn a_heading_sorts_by_its_column_and_then_in_reverse() {
        let column = |name: &str| COLUMNS.iter().find(|column| column.name == name).unwrap();
        for (query, name, expected) in [
            ("from=100&q=x", "user", "sort=user&q=x"),
            ("sort=user", "user", "sort=user&order=desc"),
            ("", "download-rate", "sort=download-rate"),
            ("sort=download-rate", "download-rate", ""),
            ("", "upload", "sort=upload&order=desc"),
            ("sort=upload&order=desc", "upload", "sort=upload"),
            ("sort=upload&order=desc", "address", "sort=address"),
        ] {
            assert_eq!(
                SessionQuery::read(query.as_bytes()).sorted_by(column(name)).to_string(),
                expected,
                "{query}"
            );
        }
    }
}

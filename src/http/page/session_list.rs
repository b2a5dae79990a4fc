//! The session list on a site's page, for the admin: headings, search, rows and links to other pages.

use std::borrow::Cow;

use super::format::bytes;
use super::session_query::{self, Column, MAX_SEARCH, ROWS, SessionQuery, limit, percent};
use crate::http::listed_session::{ListedSession, listed_sessions};
use crate::http::sort_key::SortOrder;
use crate::plugin::{Hotspot, Session};
use crate::state::SiteState;

/// Longest text in a cell, in characters. The confirmation shows all of it.
const MAX_SHOWN: usize = 200;

/// Longest id, and longest user with MAC address, in a link, in bytes: percent-encoded to three times that, and with the
/// query of the list, they still take only half of the largest request head.
const MAX_LINKED: usize = 500;

/// Links to pages on each side of the current one.
const NEIGHBOURS: usize = 2;

/// Sessions in the list of those with the most traffic.
const TOP: usize = 5;

/// One page of the list.
pub(super) struct SessionList<'p> {
    pub(super) site: &'p str,
    pub(super) total: usize,
    pub(super) matching: usize,
    /// The numbers of the first and the last row, counted from 1.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) search: String,
    pub(super) max_search: usize,
    /// The parameters that a search keeps.
    pub(super) kept_parameters: Vec<(&'static str, &'static str)>,
    /// The headings of each cell: its own, and those of its second line.
    pub(super) headings: Vec<Vec<Heading>>,
    pub(super) rows: Vec<SessionRow<'p>>,
    pub(super) pages: Vec<PageLink>,
    /// The sessions with the most traffic since their login.
    pub(super) top: Vec<TopSession<'p>>,
}

/// A session with much traffic.
pub(super) struct TopSession<'p> {
    pub(super) user: Cow<'p, str>,
    pub(super) traffic: String,
    /// Its part in the traffic of all sessions, in percent.
    pub(super) percent: u64,
}

pub(super) struct Heading {
    pub(super) title: &'static str,
    pub(super) href: String,
    pub(super) sorted: Option<&'static str>,
    pub(super) is_number: bool,
}

pub(super) struct SessionRow<'p> {
    /// Identifies the row in later versions of the page.
    pub(super) key: Option<&'p str>,
    /// The link to the confirmation.
    pub(super) disconnect: Option<String>,
    pub(super) user: Cow<'p, str>,
    pub(super) cells: Vec<Cell<'p>>,
}

pub(super) struct Cell<'p> {
    pub(super) title: &'static str,
    pub(super) class: Option<&'static str>,
    pub(super) is_number: bool,
    /// Empty if the router reported no value. The style then shows a dash, or on a phone no such cell.
    pub(super) text: Cow<'p, str>,
    /// Its second line.
    pub(super) more: Vec<Cow<'p, str>>,
    /// The share for a meter, in percent.
    pub(super) percent: Option<u64>,
}

pub(super) struct PageLink {
    pub(super) number: usize,
    pub(super) href: String,
    pub(super) is_current: bool,
    /// Whether the page before it has no link.
    pub(super) after_gap: bool,
}

impl<'p> SessionList<'p> {
    pub(super) fn new(site: &'p SiteState, hotspot: &'p Hotspot, query: &SessionQuery) -> Self {
        let found = query.find(listed_sessions(site, hotspot));
        let heading = |column: &Column| Heading {
            title: column.title,
            href: href(&query.sorted_by(column)),
            sorted: query.order_of(column).map(SortOrder::name),
            is_number: column.is_number(),
        };
        Self {
            site: &site.key,
            total: hotspot.sessions.len(),
            matching: found.matching,
            first: found.from + 1,
            last: found.from + found.sessions.len(),
            search: query.search.clone(),
            max_search: MAX_SEARCH,
            kept_parameters: query.kept_parameters().collect(),
            headings: Column::cells().map(|cell| cell.iter().map(heading).collect()).collect(),
            pages: pages(query, found.from, found.matching),
            rows: found.sessions.into_iter().map(|listed| row(site, listed, &query.to_string())).collect(),
            top: top(hotspot),
        }
    }
}

fn top(hotspot: &Hotspot) -> Vec<TopSession<'_>> {
    let traffic = |session: &Session| session.bytes_in().saturating_add(session.bytes_out());
    let all = hotspot.bytes_in().saturating_add(hotspot.bytes_out());
    let mut sessions: Vec<&Session> = hotspot.sessions.iter().collect();
    sessions.sort_by_key(|session| std::cmp::Reverse(traffic(session)));
    let with_traffic = sessions.into_iter().take(TOP).filter(|session| traffic(session) > 0);
    let top = with_traffic.map(|session| TopSession {
        user: shorten(Cow::Borrowed(session.user())),
        traffic: bytes(traffic(session)),
        percent: traffic(session).saturating_mul(100) / all.max(1),
    });
    top.collect()
}

fn row<'p>(site: &SiteState, listed: ListedSession<'p>, list: &str) -> SessionRow<'p> {
    let session = listed.session;
    let text = |column: &Column| column.text(listed).map(shorten);
    let cells = Column::cells().map(|cell| {
        let (first, more) = (&cell[0], &cell[1..]);
        let quota = (first.name == "quota").then(|| session.quota()).flatten();
        Cell {
            title: first.title,
            class: first.class(),
            is_number: first.is_number(),
            text: text(first).unwrap_or_default(),
            more: (quota.map(|quota| limit(quota).into()).into_iter())
                .chain(more.iter().filter_map(text).filter(|text| !text.is_empty()))
                .collect(),
            percent: quota.map(percent),
        }
    });
    SessionRow {
        key: linked_id(session),
        disconnect: kick_path(site, session, list),
        user: shorten(Cow::Borrowed(session.user())),
        cells: cells.collect(),
    }
}

fn linked_id(session: &Session) -> Option<&str> {
    Some(session.id()).filter(|id| !id.is_empty() && id.len() <= MAX_LINKED)
}

/// The path, relative to the root, of the confirmation that disconnects a session. `list`: the query of its list.
pub(super) fn kick_path(site: &SiteState, session: &Session, list: &str) -> Option<String> {
    let mac = session.mac().unwrap_or_default();
    let user_and_mac = (session.user().len() + mac.len() <= MAX_LINKED).then_some((session.user(), mac));
    let query = session_query::of_session(linked_id(session)?, user_and_mac, list);
    Some(format!("sites/{}/kick?{query}", site.key))
}

/// A text, truncated for a cell.
pub(super) fn shorten(text: Cow<str>) -> Cow<str> {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => text,
    }
}

fn href(query: &SessionQuery) -> String {
    format!("?{query}#sessions")
}

/// Links to the first page, the last, and the neighbours of the current one.
fn pages(query: &SessionQuery, from: usize, matching: usize) -> Vec<PageLink> {
    let (count, current) = (matching.div_ceil(ROWS), from / ROWS);
    if count < 2 {
        return Vec::new();
    }
    let linked = |page: &usize| *page == 0 || *page + 1 == count || page.abs_diff(current) <= NEIGHBOURS;
    let mut before = 0;
    (0..count)
        .filter(linked)
        .map(|page| {
            let after_gap = page > before + 1;
            before = page;
            let href = href(&query.starting_at(page * ROWS));
            PageLink { number: page + 1, href, is_current: page == current, after_gap }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_link_to_each_other() {
        for (from, matching, expected) in [
            (0, 100, ""),
            (0, 101, "[1] 2"),
            (100, 101, "1 [2]"),
            (0, 10_000, "[1] 2 3 … 100"),
            (400, 10_000, "1 … 3 4 [5] 6 7 … 100"),
            (300, 10_000, "1 2 3 [4] 5 6 … 100"),
            (9_900, 10_000, "1 … 98 99 [100]"),
        ] {
            let words = pages(&SessionQuery::default(), from, matching).into_iter().map(|page| {
                let gap = if page.after_gap { "… " } else { "" };
                if page.is_current {
                    format!("{gap}[{}]", page.number)
                } else {
                    format!("{gap}{}", page.number)
                }
            });
            assert_eq!(words.collect::<Vec<_>>().join(" "), expected, "{from} of {matching}");
        }
        let links = pages(&SessionQuery::read(b"sort=upload&from=100"), 100, 250);
        let hrefs: Vec<&str> = links.iter().map(|link| &*link.href).collect();
        assert_eq!(
            hrefs,
            ["?sort=upload#sessions", "?sort=upload&from=100#sessions", "?sort=upload&from=200#sessions"]
        );
    }

    #[test]
    fn a_long_text_is_truncated_between_characters() {
        assert_eq!(shorten("é".repeat(MAX_SHOWN).into()), "é".repeat(MAX_SHOWN));
        assert_eq!(shorten("é".repeat(MAX_SHOWN + 1).into()), "é".repeat(MAX_SHOWN) + "…");
    }
}

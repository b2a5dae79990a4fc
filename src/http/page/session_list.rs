//! The session list on a site's page, for the admin: headings, search, rows and links to other pages.

use std::borrow::Cow;

use super::session_query::{self, COLUMNS, MAX_SEARCH, ROWS, SessionQuery};
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
    pub(super) headings: Vec<Heading>,
    pub(super) rows: Vec<SessionRow<'p>>,
    pub(super) pages: Vec<PageLink>,
}

pub(super) struct Heading {
    pub(super) title: &'static str,
    pub(super) href: String,
    pub(super) sorted: Option<&'static str>,
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
    /// Empty if the router reported no value. The style then shows a dash, or on a phone no such cell.
    pub(super) text: Cow<'p, str>,
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
        let found = query.find(&hotspot.sessions);
        let headings = COLUMNS.iter().map(|column| Heading {
            title: column.title,
            href: href(&query.sorted_by(column)),
            sorted: query.order_of(column).map(SortOrder::name),
        });
        Self {
            site: &site.key,
            total: hotspot.sessions.len(),
            matching: found.matching,
            first: found.from + 1,
            last: found.from + found.sessions.len(),
            search: query.search.clone(),
            max_search: MAX_SEARCH,
            kept_parameters: query.kept_parameters().collect(),
            headings: headings.collect(),
            pages: pages(query, found.from, found.matching),
            rows: found.sessions.into_iter().map(|session| row(site, session, &query.to_string())).collect(),
        }
    }
}

fn row<'p>(site: &SiteState, session: &'p Session, list: &str) -> SessionRow<'p> {
    let has_rates = site.has_rates();
    let cells = COLUMNS.iter().map(|column| Cell {
        title: column.title,
        text: column
            .cell(session)
            .filter(|_| has_rates || !column.is_rate())
            .map(shorten)
            .unwrap_or_default(),
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

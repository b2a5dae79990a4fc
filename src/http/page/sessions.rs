//! Who is online, as the admin sees it: a page of the list, with its headings, search and links.

use std::borrow::Cow;

use super::kick;
use super::session_query::{COLUMNS, List, MAX_SOUGHT, ROWS, SortOrder};
use crate::plugin::{Hotspot, Session};

/// Longest text of a router in a cell, in characters. The session's own page has the whole of it.
const MAX_SHOWN: usize = 200;

/// Longest id, and user with MAC address, that a link carries, in bytes: with three for one as they are
/// in a query, and the list's own, it is still half of what the gate takes for a head.
const MAX_LINKED: usize = 500;

/// Links to pages on each side of the one that is shown.
const NEAR: usize = 2;

/// A page of the list.
pub(super) struct SessionList<'p> {
    pub(super) site: &'p str,
    pub(super) total: usize,
    pub(super) matching: usize,
    /// The numbers of the first and the last that are shown, counted from 1.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) search: String,
    pub(super) max_sought: usize,
    /// What a search keeps of the query.
    pub(super) order_fields: Vec<(&'static str, &'static str)>,
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
    /// What finds the row again in a later page.
    pub(super) key: Option<&'p str>,
    /// Where to end the session.
    pub(super) end: Option<String>,
    pub(super) user: Cow<'p, str>,
    pub(super) cells: Vec<Cell<'p>>,
}

pub(super) struct Cell<'p> {
    pub(super) title: &'static str,
    /// Empty where the router said nothing; the style shows a dash then, or on a phone no such cell.
    pub(super) text: Cow<'p, str>,
}

pub(super) struct PageLink {
    pub(super) number: usize,
    pub(super) href: String,
    pub(super) is_shown: bool,
    /// Whether pages before it have no link.
    pub(super) after_gap: bool,
}

impl<'p> SessionList<'p> {
    pub(super) fn new(site: &'p str, hotspot: &'p Hotspot, list: &List) -> Self {
        let found = list.find(&hotspot.sessions);
        let headings = COLUMNS.iter().map(|column| Heading {
            title: column.title,
            href: href(&list.sorted_by(column)),
            sorted: list.order_of(column).map(|order| match order {
                SortOrder::Ascending => "ascending",
                SortOrder::Descending => "descending",
            }),
        });
        Self {
            site,
            total: hotspot.sessions.len(),
            matching: found.matching,
            first: found.from + 1,
            last: found.from + found.sessions.len(),
            search: list.search.clone(),
            max_sought: MAX_SOUGHT,
            order_fields: list.order_fields().collect(),
            headings: headings.collect(),
            pages: pages(list, found.from, found.matching),
            rows: found.sessions.into_iter().map(|session| row(site, session, &list.query())).collect(),
        }
    }
}

fn row<'p>(site: &str, session: &'p Session, list: &str) -> SessionRow<'p> {
    let key = Some(&*session.id).filter(|id| !id.is_empty() && id.len() <= MAX_LINKED);
    let mac = session.mac.as_deref().unwrap_or_default();
    let who = (session.user.len() + mac.len() <= MAX_LINKED).then_some((&*session.user, mac));
    let cells = COLUMNS.iter().map(|column| Cell {
        title: column.title,
        text: column.cell(session).map(shorten).unwrap_or_default(),
    });
    SessionRow {
        key,
        end: key.map(|id| format!("sites/{site}/kick?{}", kick::query(id, who, list))),
        user: shorten(Cow::Borrowed(&session.user)),
        cells: cells.collect(),
    }
}

/// A router's text, as much of it as a cell has room for.
pub(super) fn shorten(text: Cow<str>) -> Cow<str> {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => text,
    }
}

fn href(list: &List) -> String {
    format!("?{}#sessions", list.query())
}

/// Links to the first page, the last, and those about the one that is shown.
fn pages(list: &List, from: usize, matching: usize) -> Vec<PageLink> {
    let (count, shown) = (matching.div_ceil(ROWS), from / ROWS);
    if count < 2 {
        return Vec::new();
    }
    let linked = |page: &usize| *page == 0 || *page + 1 == count || page.abs_diff(shown) <= NEAR;
    let mut before = 0;
    (0..count)
        .filter(linked)
        .map(|page| {
            let after_gap = page > before + 1;
            before = page;
            let href = href(&list.from(page * ROWS));
            PageLink { number: page + 1, href, is_shown: page == shown, after_gap }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_linked_from_each_other() {
        for (from, matching, expected) in [
            (0, 100, ""),
            (0, 101, "[1] 2"),
            (100, 101, "1 [2]"),
            (0, 10_000, "[1] 2 3 … 100"),
            (400, 10_000, "1 … 3 4 [5] 6 7 … 100"),
            (300, 10_000, "1 2 3 [4] 5 6 … 100"),
            (9_900, 10_000, "1 … 98 99 [100]"),
        ] {
            let words = pages(&List::default(), from, matching).into_iter().map(|page| {
                let gap = if page.after_gap { "… " } else { "" };
                if page.is_shown {
                    format!("{gap}[{}]", page.number)
                } else {
                    format!("{gap}{}", page.number)
                }
            });
            assert_eq!(words.collect::<Vec<_>>().join(" "), expected, "{from} of {matching}");
        }
        let links = pages(&List::read(b"sort=upload&from=100"), 100, 250);
        let hrefs: Vec<&str> = links.iter().map(|link| &*link.href).collect();
        assert_eq!(
            hrefs,
            ["?sort=upload#sessions", "?sort=upload&from=100#sessions", "?sort=upload&from=200#sessions"]
        );
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        assert_eq!(shorten("é".repeat(MAX_SHOWN).into()), "é".repeat(MAX_SHOWN));
        assert_eq!(shorten("é".repeat(MAX_SHOWN + 1).into()), "é".repeat(MAX_SHOWN) + "…");
    }
}

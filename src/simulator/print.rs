//! `print` and `listen`: which rows answer, and what is shown of them.
//!
//! Sources: MikroTik's documentation of the API ("Queries", "Command word"), and traces of real
//! routers for `!empty`, `.dead=true` and the place of the tag.

use std::collections::BTreeSet;

use super::query::Query;
use super::reply::{Trap, sentence};
use super::row::{Now, Row};
use crate::routeros::wire::Sentence;

/// Attributes of `print` that change nothing in an API's answer, or are meant for the terminal.
const IGNORED: [&[u8]; 4] = [b"detail", b"stats", b"terse", b"without-paging"];

/// Whether a print goes on with what changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// It ends with the rows that are there.
    No,
    /// `follow`: the rows that are there, then what changes.
    After,
    /// `follow-only`, and `listen`: only what changes from now on.
    Only,
}

/// A `print` or `listen` as it was asked.
#[derive(Debug, Clone)]
pub(super) struct Print {
    pub(super) tag: Option<Vec<u8>>,
    pub(super) count_only: bool,
    pub(super) follow: Follow,
    query: Query,
    /// The attributes to show; all of them where there is no `.proplist`.
    proplist: Option<Vec<Vec<u8>>>,
    /// The rows to show, by `.id`; all of them where none is named.
    ids: Option<BTreeSet<Vec<u8>>>,
}

impl Print {
    /// Reads the words of the command.
    pub(super) fn read(asked: &Sentence) -> Result<Self, Trap> {
        let listens = asked.first().ends_with(b"/listen");
        let mut print = Self {
            tag: asked.tag().map(<[u8]>::to_vec),
            count_only: false,
            follow: if listens { Follow::Only } else { Follow::No },
            query: Query::read(asked.words())?,
            proplist: None,
            ids: None,
        };
        for (key, value) in asked.attributes() {
            match key {
                b".proplist" => print.proplist = Some(list(value)),
                b".id" => print.ids = Some(list(value).into_iter().collect()),
                b"count-only" => print.count_only = true,
                b"follow" => print.follow = Follow::After,
                b"follow-only" => print.follow = Follow::Only,
                _ if IGNORED.contains(&key) => {}
                _ => return Err(Trap::unknown_parameter()),
            }
        }
        Ok(print)
    }

    /// Whether the row is one of those asked for.
    pub(super) fn matches(&self, row: &Row, now: &Now<'_>) -> bool {
        let named = |ids: &BTreeSet<Vec<u8>>| ids.contains(row.id.as_bytes());
        self.ids.as_ref().is_none_or(named) && self.query.matches(row, now)
    }

    /// The rows asked for by `.id`.
    pub(super) fn ids(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.ids.iter().flatten()
    }

    /// The row's `!re`. With none of the attributes asked for it is a bare one.
    pub(super) fn re(&self, row: &Row, now: &Now<'_>) -> Sentence {
        self.re_of(row, now, |_| true)
    }

    /// The `!re` of a change: the `.id` and what changed, or `None` if nothing of that is asked for.
    pub(super) fn re_change(&self, row: &Row, changed: &[&str], now: &Now<'_>) -> Option<Sentence> {
        let wanted = changed.iter().any(|key| self.shows(key.as_bytes()));
        wanted.then(|| self.re_of(row, now, |key| changed.contains(&key)))
    }

    /// The `!re` of a removal.
    pub(super) fn re_dead(&self, row: &Row) -> Sentence {
        let mut re = sentence("!re", self.tag.as_deref());
        re.push_attribute(b".id", row.id.as_bytes());
        // `true` on the wire, although the documentation has `yes`.
        re.push_attribute(b".dead", b"true");
        re
    }

    fn re_of(&self, row: &Row, now: &Now<'_>, shown: impl Fn(&str) -> bool) -> Sentence {
        let mut re = sentence("!re", self.tag.as_deref());
        if !row.id.is_empty() && self.shows(b".id") {
            re.push_attribute(b".id", row.id.as_bytes());
        }
        for (key, value) in &row.attributes {
            if shown(key) && self.shows(key.as_bytes()) {
                re.push_attribute(key.as_bytes(), &value.render(now));
            }
        }
        re
    }

    fn shows(&self, key: &[u8]) -> bool {
        self.proplist.as_ref().is_none_or(|keys| keys.iter().any(|k| k == key))
    }
}

/// The parts of a list: `a,b`.
pub(super) fn list(value: &[u8]) -> Vec<Vec<u8>> {
    value.split(|&byte| byte == b',').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
}

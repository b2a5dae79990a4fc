//! A `print` or `listen` command: which rows it selects, and which attributes it shows.
//!
//! Sources: MikroTik's documentation of the API ("Queries", "Command word"), and traces of real
//! routers for `!empty`, `.dead=true` and the place of the tag.

use std::collections::HashSet;

use super::clock::Now;
use super::query::Query;
use super::reply::{TrapReply, sentence};
use super::row::Row;
use crate::routeros::wire::Sentence;

/// Attributes of `print` that do not change an API reply, or apply to the terminal; `active`, because nearly all simulated
/// rows are.
const IGNORED: [&[u8]; 5] = [b"active", b"detail", b"stats", b"terse", b"without-paging"];

/// Whether a print continues with changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// It ends after the existing rows.
    No,
    /// `follow`: the existing rows, then changes.
    After,
    /// `follow-only` and `listen`: only changes.
    Only,
}

/// The arguments of a `print` or `listen`.
#[derive(Debug, Clone)]
pub(super) struct Print {
    pub(super) tag: Option<Vec<u8>>,
    pub(super) count_only: bool,
    pub(super) follow: Follow,
    query: Query,
    /// The attributes to show; all of them without a `.proplist`.
    proplist: Option<Vec<Vec<u8>>>,
    /// The `.id`s of the rows to show; all rows if none is named.
    ids: Option<HashSet<Vec<u8>>>,
}

impl Print {
    /// Parses the words of the command.
    pub(super) fn parse(command: &Sentence) -> Result<Self, TrapReply> {
        let is_listen = command.first().ends_with(b"/listen");
        let mut print = Self {
            tag: command.tag().map(<[u8]>::to_vec),
            count_only: false,
            follow: if is_listen { Follow::Only } else { Follow::No },
            query: Query::parse(command.words())?,
            proplist: None,
            ids: None,
        };
        for (key, value) in command.attributes() {
            match key {
                b".proplist" => print.proplist = Some(split_list(value)),
                b".id" => print.ids = Some(split_list(value).into_iter().collect()),
                b"count-only" => print.count_only = true,
                b"follow" => print.follow = Follow::After,
                b"follow-only" => print.follow = Follow::Only,
                _ if IGNORED.contains(&key) => {}
                _ => return Err(TrapReply::unknown_parameter()),
            }
        }
        Ok(print)
    }

    /// Whether the print selects the row.
    pub(super) fn matches(&self, row: &Row, now: &Now<'_>) -> bool {
        let is_named = |ids: &HashSet<Vec<u8>>| ids.contains(row.id.as_bytes());
        self.ids.as_ref().is_none_or(is_named) && self.query.matches(row, now)
    }

    /// The `.id`s that the command names.
    pub(super) fn ids(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.ids.iter().flatten()
    }

    /// The `!re` of a row; a bare one if the row has none of the attributes to show.
    pub(super) fn re(&self, row: &Row, now: &Now<'_>) -> Sentence {
        self.re_of(row, now, |_| true)
    }

    /// The `!re` of a change: the `.id` and the changed attributes, or `None` if none of them is shown.
    pub(super) fn re_change(&self, row: &Row, changed: &[String], now: &Now<'_>) -> Option<Sentence> {
        let is_shown = changed.iter().any(|key| self.shows(key.as_bytes()));
        is_shown.then(|| self.re_of(row, now, |key| changed.iter().any(|changed| changed == key)))
    }

    /// The `!re` of a removal.
    pub(super) fn re_dead(&self, row: &Row) -> Sentence {
        let mut re = sentence("!re", self.tag.as_deref());
        re.push_attribute(b".id", row.id.as_bytes());
        // `true` on the wire, although the documentation has `yes`.
        re.push_attribute(b".dead", b"true");
        re
    }

    fn re_of(&self, row: &Row, now: &Now<'_>, is_included: impl Fn(&str) -> bool) -> Sentence {
        let mut re = sentence("!re", self.tag.as_deref());
        if !row.id.is_empty() && self.shows(b".id") {
            re.push_attribute(b".id", row.id.as_bytes());
        }
        for (key, value) in &row.attributes {
            if is_included(key) && self.shows(key.as_bytes()) {
                re.push_attribute(key.as_bytes(), &value.render(now));
            }
        }
        re
    }

    fn shows(&self, key: &[u8]) -> bool {
        self.proplist.as_ref().is_none_or(|keys| keys.iter().any(|k| k == key))
    }
}

/// Splits a list such as `a,b`; empty items are dropped.
pub(super) fn split_list(value: &[u8]) -> Vec<Vec<u8>> {
    value.split(|&byte| byte == b',').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
}

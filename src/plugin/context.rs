//! The context of an answer, which a plugin needs besides the rows: when and how they arrived.

use std::time::Duration;

use crate::clock::Moment;
use crate::routeros::codepage::Codepage;
use crate::routeros::rows::Rows;

/// When and how an answer or changes arrived.
#[derive(Debug)]
pub struct ReadContext<'a> {
    /// When they arrived.
    pub now: Moment,
    /// The duration of the query: the rows may be that old.
    pub took: Duration,
    /// How to decode text that is not UTF-8.
    pub codepage: &'static Codepage,
    /// Whether a `listen` reports changes between the answers.
    pub following: Following<'a>,
}

impl ReadContext<'_> {
    /// The context of a first answer that arrived at once.
    pub fn new(now: Moment, codepage: &'static Codepage) -> Self {
        Self { now, took: Duration::ZERO, codepage, following: Following::No }
    }
}

/// Whether a `listen` reports a menu's changes between the answers.
#[derive(Debug, Clone, Copy)]
pub enum Following<'a> {
    /// No `listen` runs. A row that is missing from an answer was removed.
    No,
    /// The `listen` started just before this answer was requested; these changes arrived until the answer.
    Begun(&'a Rows),
    /// The `listen` started before an earlier answer; all its changes so far have been applied.
    On,
}

//! A line of the log.

use log::{Level, Record};

use crate::text::visible;

/// Longest text of a line, in bytes; the rest of it is cut off. With what stands before it in the line it must
/// find room in a pipe, which for a user with many of them is one page, 4 KiB.
const MAX_TEXT: usize = 3 * 1024;

/// The target of audit lines: the admin's actions. Only the admin can cause them, and how many may wait is limited where
/// they are done, so their rate is not limited here.
pub const AUDIT: &str = "phsweb_agent::audit";

pub(super) struct Line {
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) text: String,
}

impl Line {
    pub(super) fn of(record: &Record) -> Self {
        // Texts of routers and clients can't make another line of it, nor look like one.
        let mut text: String = record.args().to_string().chars().map(visible).collect();
        if cut(&mut text, MAX_TEXT) {
            text.push('…');
        }
        Self { level: record.level(), target: record.target().into(), text }
    }

    pub(super) fn is_audit(&self) -> bool {
        self.target == AUDIT
    }

    /// Whether its rate is limited. Nobody sees debug and trace lines but who wants each of them.
    pub(super) fn is_limited(&self) -> bool {
        self.level <= Level::Info && !self.is_audit()
    }
}

/// Cuts a text off after this many bytes at most; whether anything was.
pub(super) fn cut(text: &mut String, most: usize) -> bool {
    let is_long = text.len() > most;
    if is_long {
        let end = (0..=most).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        text.truncate(end);
    }
    is_long
}

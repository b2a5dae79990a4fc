//! A log line: its level, target and sanitized text.

use log::{Level, Record};

use crate::text::{shortened, visible};

/// Maximum length of the text of a line, in bytes; the rest is truncated. With time, level and target it must fit into a
/// pipe, which has only one page, 4 KiB, for a user with many pipes.
const MAX_TEXT: usize = 3 * 1024;

/// The target of audit lines, which record the admin's actions. Only the admin can cause them, and the number of actions is
/// limited elsewhere, so their rate is not limited.
pub const AUDIT: &str = "phsweb_agent::audit";

pub(super) struct LogLine {
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) text: String,
}

impl LogLine {
    pub(super) fn of(record: &Record) -> Self {
        // Texts of routers and clients can't start a new line, or imitate one.
        let mut text: String = record.args().to_string().chars().map(visible).collect();
        let length = shortened(&text, MAX_TEXT).len();
        if length < text.len() {
            text.truncate(length);
            text.push('…');
        }
        Self { level: record.level(), target: record.target().into(), text }
    }

    pub(super) fn is_audit(&self) -> bool {
        self.target == AUDIT
    }

    /// Whether the line is rate-limited. Debug and trace lines are not: they are off by default.
    pub(super) fn is_limited(&self) -> bool {
        self.level <= Level::Info && !self.is_audit()
    }
}

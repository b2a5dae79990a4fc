//! One configured user, as a row of `/ip/hotspot/user` describes it.

use std::time::Duration;

use super::quota::Quota;
use super::session::Session;
use crate::plugin::limits;
use crate::routeros::codepage::Codepage;
use crate::routeros::value::{self, Text};
use crate::routeros::wire::SentenceRef;

/// A configured user. Its totals are updated at logout, so active sessions are not included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The router's `.id`.
    pub id: String,
    /// The name.
    pub name: Text,
    /// The hotspot server at which it may log in, or `all`.
    pub server: Option<String>,
    /// The name of its profile.
    pub profile: Option<String>,
    /// The only address that it may have.
    pub address: Option<String>,
    /// The MAC address of the only device that it may use.
    pub mac: Option<String>,
    /// The comment.
    pub comment: Option<String>,
    /// How long it may be online in total; absent if there is no limit.
    pub limit_uptime: Option<Duration>,
    /// How many bytes it may upload.
    pub limit_bytes_in: Option<u64>,
    /// How many bytes it may download.
    pub limit_bytes_out: Option<u64>,
    /// How many bytes it may upload and download together.
    pub limit_bytes_total: Option<u64>,
    /// How long it was online.
    pub uptime: Option<Duration>,
    /// `bytes-in`: the upload.
    pub bytes_in: u64,
    /// `bytes-out`: the download.
    pub bytes_out: u64,
    /// Whether it may not log in.
    pub is_disabled: bool,
}

/// The total usage of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Active sessions.
    pub sessions: usize,
    /// How long it was online.
    pub uptime: Duration,
    /// Uploaded bytes.
    pub bytes_in: u64,
    /// Downloaded bytes.
    pub bytes_out: u64,
}

impl Used {
    /// Uploaded and downloaded bytes.
    pub fn bytes(self) -> u64 {
        self.bytes_in.saturating_add(self.bytes_out)
    }
}

impl User {
    /// The total usage, including the user's active sessions among `sessions`, which the router adds only when they
    /// end.
    pub fn used<'s>(&self, sessions: impl IntoIterator<Item = &'s Session>) -> Used {
        let (uptime, bytes_in, bytes_out) = (self.uptime.unwrap_or_default(), self.bytes_in, self.bytes_out);
        let mut used = Used { sessions: 0, uptime, bytes_in, bytes_out };
        // Users of other servers may have the same name.
        let is_own = |session: &&Session| match (self.server.as_deref(), session.server()) {
            _ if session.user_bytes() != self.name.bytes() => false,
            (Some(own), Some(at)) => own == "all" || own == at,
            _ => true,
        };
        for session in sessions.into_iter().filter(is_own) {
            used.sessions += 1;
            used.uptime = used.uptime.saturating_add(session.uptime().unwrap_or_default());
            used.bytes_in = used.bytes_in.saturating_add(session.bytes_in());
            used.bytes_out = used.bytes_out.saturating_add(session.bytes_out());
        }
        used
    }

    /// The limit of which it has used the largest share.
    pub fn quota(&self, used: Used) -> Option<Quota> {
        Quota::largest([
            (used.uptime.as_secs(), self.limit_uptime.map(|limit| limit.as_secs().max(1)), true),
            (used.bytes_in, self.limit_bytes_in, false),
            (used.bytes_out, self.limit_bytes_out, false),
            (used.bytes(), self.limit_bytes_total, false),
        ])
    }

    /// The user of a row.
    pub fn read(row: SentenceRef, codepage: &'static Codepage) -> Self {
        let get = |key: &str| row.get(key).filter(|value| !value.is_empty());
        let shown = |key: &str, most| get(key).map(|value| value::short_text(value, most, codepage));
        // No limit is `0s`, `0`, or absent.
        let some_time = |key: &str| get(key).and_then(value::duration).filter(|time| !time.is_zero());
        let some_bytes = |key: &str| get(key).and_then(value::number).filter(|&bytes| bytes > 0);
        Self {
            // Users with longer ids are not requested.
            id: shown(".id", limits::MAX_ID).unwrap_or_default(),
            name: Text::short(row.get("name").unwrap_or_default(), limits::USER, codepage),
            server: shown("server", limits::NAME),
            profile: shown("profile", limits::NAME),
            address: shown("address", limits::ADDRESS),
            mac: shown("mac-address", limits::ADDRESS),
            comment: shown("comment", limits::COMMENT),
            limit_uptime: some_time("limit-uptime"),
            limit_bytes_in: some_bytes("limit-bytes-in"),
            limit_bytes_out: some_bytes("limit-bytes-out"),
            limit_bytes_total: some_bytes("limit-bytes-total"),
            uptime: get("uptime").and_then(value::duration),
            bytes_in: get("bytes-in").and_then(value::number).unwrap_or(0),
            bytes_out: get("bytes-out").and_then(value::number).unwrap_or(0),
            is_disabled: row.get("disabled").and_then(value::boolean).unwrap_or(false),
        }
    }
}

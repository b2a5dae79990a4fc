//! The size and time limits of requests and responses. Limits that only one file uses are there: `head.rs` and
//! `connection/read.rs`.

use std::time::Duration;

use crate::http::message::MAX_ANSWER;
use crate::timings::Timings;

/// Longest head of a request, in bytes. A browser with a few cookies sends less than 2 KiB; single sign-on in front of the
/// agent adds cookies of 8 KiB and more.
pub const MAX_HEAD: usize = 16 * 1024;

/// Longest body of a request, in bytes. The largest that the agent needs is a few hundred.
pub const MAX_BODY: usize = 64 * 1024;

/// The limits that depend on the configuration, on memory, and on [`Timings`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once, at least 1. One address (or IPv6 /64) has three
    /// quarters of them at most, though never fewer than 32.
    pub max_connections: usize,
    /// Bytes of responses that clients have not read yet, over all connections. Beyond this limit, the connection whose
    /// response has been held for longest is closed.
    pub unread_bytes: usize,
    /// [`Timings::client_head`].
    pub head_timeout: Duration,
    /// [`Timings::client_body`].
    pub body_timeout: Duration,
    /// [`Timings::client_write`].
    pub write_timeout: Duration,
    /// [`Timings::client_idle`].
    pub idle_timeout: Duration,
    /// [`Timings::client_answer`].
    pub answer_timeout: Duration,
}

impl Limits {
    /// The limits for this many connections. All unread responses together may have the size of the longest response.
    pub fn new(max_connections: usize, timings: &Timings) -> Self {
        Self {
            max_connections,
            unread_bytes: MAX_ANSWER,
            head_timeout: timings.client_head,
            body_timeout: timings.client_body,
            write_timeout: timings.client_write,
            idle_timeout: timings.client_idle,
            answer_timeout: timings.client_answer,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(512, &Timings::default())
    }
}

//! What a client may send, and how long it may take.

use std::sync::Arc;
use std::time::Duration;

use smol::lock::Semaphore;

use super::proxies::TrustedProxies;
use crate::timings::Timings;

/// Longest head of a request, in bytes. What browsers send with a few cookies is under 2 KiB; single sign-on in front
/// of the agent adds cookies of 8 KiB and more.
pub const MAX_HEAD: usize = 16 * 1024;

/// Longest body of a request, in bytes. The largest that is wanted is a few hundred.
pub const MAX_BODY: usize = 64 * 1024;

/// Longest body of an answer, in bytes: metrics of a thousand sites, and as much again.
pub const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// What a client may take its time for, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once, at least 1. One address (or IPv6 /64) has three
    /// quarters of them at most, though never fewer than 32.
    pub max_connections: usize,
    /// Bytes of answers that clients have not read yet, over all connections. Past it the answer that has been held for
    /// longest is dropped, with its connection.
    pub unread: usize,
    /// `Timings::client_head`, and so on.
    pub head: Duration,
    /// See there.
    pub body: Duration,
    /// See there.
    pub write: Duration,
    /// See there.
    pub idle: Duration,
    /// See there.
    pub answer: Duration,
}

impl Limits {
    /// So many connections, each with these times. Unread answers may take as much as the longest one.
    #[must_use]
    pub fn new(max_connections: usize, timings: &Timings) -> Self {
        Self {
            max_connections,
            unread: MAX_ANSWER,
            head: timings.client_head,
            body: timings.client_body,
            write: timings.client_write,
            idle: timings.client_idle,
            answer: timings.client_answer,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(512, &Timings::default())
    }
}

/// What all connections of one gate share.
#[derive(Debug, Clone)]
pub(super) struct ServerContext {
    pub(super) limits: Limits,
    /// A place for each body over the small size.
    pub(super) large_bodies: Arc<Semaphore>,
    /// A place for each head over the small size.
    pub(super) large_heads: Arc<Semaphore>,
    pub(super) proxies: Arc<TrustedProxies>,
}

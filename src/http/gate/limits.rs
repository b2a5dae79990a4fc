//! What a client may send, and how long it may take.

use std::sync::Arc;
use std::time::Duration;

use smol::lock::Semaphore;

/// Longest head of a request, in bytes. What browsers send with a few cookies is under 2 KiB.
pub const MAX_HEAD: usize = 8 * 1024;

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
    /// From the first byte of a request, or for the first one from the
    /// connection's begin, to the end of its head. A TLS handshake is part of it.
    pub head: Duration,
    /// From the end of the head to the end of the body.
    pub body: Duration,
    /// Without any progress in writing an answer.
    pub write: Duration,
    /// From an answer to the next request.
    pub idle: Duration,
    /// From a whole request to its answer: longer than any action waits for its router.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            write: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            answer: Duration::from_secs(30),
        }
    }
}

/// What all connections of one gate share.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) limits: Limits,
    /// A place for each body over the small size.
    pub(super) large_bodies: Arc<Semaphore>,
}

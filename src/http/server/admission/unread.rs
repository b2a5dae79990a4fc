//! Counts the bytes of responses that clients have not read yet, in this process and in the kernel.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use crate::http::server::socket::SEND_BUFFER;

/// Maximum number of bytes of responses that the kernel holds for clients, which uses up to twice as much memory for
/// them: the buffers of the usual 512 connections. With a higher `max_connections` the limit stays the same. If little
/// memory is available for responses, the limit is lower, because a container's limit includes the kernel's buffers.
const MAX_QUEUED: usize = 512 * SEND_BUFFER;

/// The unread responses of all connections.
#[derive(Debug)]
pub(super) struct UnreadAnswers {
    /// Bytes that this process holds.
    pub(super) bytes: usize,
    /// See [`Limits::unread_bytes`](crate::http::server::Limits::unread_bytes).
    max_bytes: usize,
    /// Bytes that the kernel holds.
    pub(super) queued: usize,
    /// The number of connections that share the same bytes, by their address in memory: shared bytes are counted once.
    pub(super) shared: HashMap<usize, usize>,
    /// Connections with unread responses, by the time since when they have been unread.
    pub(super) holders: BTreeSet<(Instant, u32)>,
}

/// The unread response of one connection.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct UnreadAnswer {
    pub(super) bytes: usize,
    /// The address in memory of these bytes, if other connections may hold the same.
    pub(super) shared: Option<usize>,
    pub(super) queued: usize,
    /// When the connection began to hold a response; set by [`UnreadAnswers::replace`].
    pub(super) since: Option<Instant>,
}

impl UnreadAnswers {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { bytes: 0, max_bytes, queued: 0, shared: HashMap::new(), holders: BTreeSet::new() }
    }

    pub(super) fn is_over_limit(&self) -> bool {
        self.bytes > self.max_bytes || self.queued > MAX_QUEUED.min(2 * self.max_bytes)
    }

    /// The connection, other than this one, whose client has left a response unread for longest.
    pub(super) fn held_longest_beside(&self, id: u32) -> Option<u32> {
        self.holders.iter().map(|(_, holder)| *holder).find(|holder| *holder != id)
    }

    /// Replaces the response that a connection holds.
    pub(super) fn replace(&mut self, id: u32, held: &mut UnreadAnswer, new: UnreadAnswer) {
        let UnreadAnswer { bytes, shared, queued, .. } = new;
        let is_last = held.shared.is_none_or(|key| match self.shared.get_mut(&key) {
            Some(holders @ 2..) => {
                *holders -= 1;
                false
            }
            _ => self.shared.remove(&key).is_some(),
        });
        if is_last {
            self.bytes -= held.bytes;
        }
        let is_first = shared.is_none_or(|key| {
            let holders = self.shared.entry(key).or_default();
            *holders += 1;
            *holders == 1
        });
        if is_first {
            self.bytes += bytes;
        }
        self.queued = self.queued - held.queued + queued;
        let since = (bytes + queued > 0).then(|| held.since.unwrap_or_else(Instant::now));
        if held.since != since {
            if let Some(before) = held.since {
                self.holders.remove(&(before, id));
            }
            self.holders.extend(since.map(|since| (since, id)));
        }
        *held = UnreadAnswer { since, ..new };
    }
}

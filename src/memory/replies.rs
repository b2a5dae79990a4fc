//! The memory of replies that are being received from routers, shared by all connections.
//!
//! A small reply never waits. Large replies take turns: only a connection with a turn continues to receive, up to the
//! size of a turn. The duration of a turn is limited while others wait, and so is the wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use smol::lock::{Semaphore, SemaphoreGuardArc};

/// Bytes that a connection may always hold if there are few connections: about 250 sessions.
const SMALL: usize = 64 * 1024;

/// Bytes that a connection may always hold with any number of connections: about 60 sessions.
const SMALLEST: usize = 16 * 1024;

/// Bytes that a connection may hold without a turn while memory is available: about 1,500 sessions.
const MEDIUM: usize = 512 * 1024;

/// Largest size of a turn: the most that a connection may hold.
const MAX_TURN_SIZE: usize = 8 << 20;

/// Longest turn while others wait.
const MAX_TURN: Duration = Duration::from_secs(5);

/// Longest wait for a turn: a site that is refreshed each minute must not miss a refresh.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(15);

/// The memory of all replies together.
#[derive(Debug)]
pub struct Replies {
    size: usize,
    turn_size: usize,
    used: AtomicUsize,
    waiting: AtomicUsize,
    connections: AtomicUsize,
    turns: Arc<Semaphore>,
}

impl Replies {
    /// A limit of `size` bytes for all replies together: half for turns, and half for replies without a turn.
    pub fn new(size: usize) -> Arc<Self> {
        let turn_size = (size / 2).min(MAX_TURN_SIZE);
        let turns = Semaphore::new((size / 2).checked_div(turn_size).unwrap_or(1));
        Self { size, turn_size, turns: turns.into(), ..Self::default() }.into()
    }

    /// Bytes that a connection may always hold without a turn. All connections together have at most half of the size.
    fn small(&self) -> usize {
        let connections = self.connections.load(Ordering::Relaxed).max(1);
        (self.size / 2 / connections).clamp(SMALLEST, SMALL)
    }

    /// Maximum number of bytes of all replies together.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Waits for a turn, without a limit.
    pub async fn turn(self: Arc<Self>) -> Turn {
        struct Waiting<'r>(&'r AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        let permit = self.turns.acquire_arc().await;
        drop(waiting);
        Turn { began: Instant::now(), replies: self, _permit: permit }
    }
}

impl Default for Replies {
    /// No limit, for a single connection.
    fn default() -> Self {
        let turns = Arc::new(Semaphore::new(usize::MAX >> 1));
        let [used, waiting, connections] = [(); 3].map(|()| AtomicUsize::new(0));
        Self { size: usize::MAX, turn_size: usize::MAX, used, waiting, connections, turns }
    }
}

/// The turn of a connection. It lasts until its replies are dropped.
#[derive(Debug)]
pub struct Turn {
    began: Instant,
    replies: Arc<Replies>,
    _permit: SemaphoreGuardArc,
}

impl Turn {
    /// Whether the turn has exceeded its duration while others wait.
    pub fn is_over(&self) -> bool {
        self.replies.waiting.load(Ordering::Relaxed) > 0 && self.began.elapsed() > MAX_TURN
    }
}

/// The memory of the replies of one connection.
#[derive(Debug)]
pub struct Account {
    replies: Arc<Replies>,
    used: AtomicUsize,
}

impl Account {
    /// An account for a new connection.
    pub fn new(replies: Arc<Replies>) -> Arc<Self> {
        replies.connections.fetch_add(1, Ordering::Relaxed);
        Self { replies, used: AtomicUsize::new(0) }.into()
    }

    /// Largest size of a small reply, which is never truncated and never waits for others.
    pub fn small(&self) -> usize {
        self.replies.small()
    }

    /// The limit that this connection shares with others.
    pub fn replies(&self) -> Arc<Replies> {
        self.replies.clone()
    }

    /// Whether the connection holds so much that it needs a turn to receive more of a reply that has `reply` bytes.
    pub fn needs_turn(&self, reply: usize) -> bool {
        let (used, all) = (self.used.load(Ordering::Relaxed), self.replies.used.load(Ordering::Relaxed));
        let is_shared = self.replies.size < usize::MAX;
        is_shared
            && reply > self.small()
            && (used > MEDIUM.min(self.replies.turn_size) || all > self.replies.size / 2)
    }

    /// Whether the connection holds more than the size of a turn, and a reply that has `reply` bytes must be truncated.
    pub fn is_full(&self, reply: usize) -> bool {
        reply > self.small() && self.used.load(Ordering::Relaxed) > self.replies.turn_size
    }
}

impl Default for Account {
    fn default() -> Self {
        let replies: Arc<Replies> = Arc::default();
        replies.connections.fetch_add(1, Ordering::Relaxed);
        Self { replies, used: AtomicUsize::new(0) }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.replies.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes of memory that are counted until this is dropped. A clone counts nothing; only tests clone it.
#[derive(Debug, Default)]
pub struct Held {
    bytes: usize,
    account: Option<Arc<Account>>,
    /// Kept as long as the bytes.
    turn: Option<Arc<Turn>>,
}

impl Held {
    /// No bytes yet, counted in this account.
    pub fn new(account: Arc<Account>) -> Self {
        Self { bytes: 0, account: Some(account), turn: None }
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        if let Some(Account { used, replies }) = self.account.as_deref() {
            used.fetch_add(bytes, Ordering::Relaxed);
            replies.used.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Releases all bytes and the turn.
    pub fn release(&mut self) {
        if let Some(Account { used, replies }) = self.account.as_deref() {
            used.fetch_sub(self.bytes, Ordering::Relaxed);
            replies.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        (self.bytes, self.turn) = (0, None);
    }

    /// Keeps a turn as long as the bytes.
    pub fn keep(&mut self, turn: Arc<Turn>) {
        self.turn = Some(turn);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// All values are equal: the memory of a reply is not part of its content.
impl PartialEq for Held {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Held {}

#[cfg(test)]
mod tests {
    use smol::future::poll_once;

    use super::*;

    #[test]
    fn a_small_reply_never_waits_and_large_ones_take_turns() {
        let replies = Replies::new(4 << 20);
        let accounts = [(); 3].map(|()| Account::new(replies.clone()));
        let mut held = accounts.each_ref().map(|account| Held::new(account.clone()));
        held[0].add(MEDIUM);
        assert!(!accounts[0].needs_turn(held[0].bytes()), "there is room");
        held[0].add(1);
        assert!(accounts[0].needs_turn(held[0].bytes()));
        smol::block_on(async {
            let turn = Arc::new(replies.clone().turn().await);
            held[0].keep(turn.clone());
            held[0].add((2 << 20) - MEDIUM);
            assert!(accounts[0].is_full(held[0].bytes()));
            // More than half is used.
            held[1].add(SMALL);
            held[2].add(SMALL + 1);
            assert!(!accounts[1].needs_turn(held[1].bytes()) && accounts[2].needs_turn(held[2].bytes()));
            let mut next = Box::pin(replies.clone().turn());
            assert!(poll_once(&mut next).await.is_none());
            assert_eq!(replies.waiting.load(Ordering::Relaxed), 1);
            assert!(!turn.is_over(), "it has just begun");
            drop(turn);
            assert!(poll_once(&mut next).await.is_none(), "the reply is still there");
            held[0].release();
            assert!(poll_once(&mut next).await.is_some());
        });
        assert!(!accounts[0].is_full(MEDIUM));
        drop(held);
        assert_eq!(replies.small(), SMALL);
        let more = [(); 1000].map(|()| Account::new(replies.clone()));
        assert_eq!(replies.small(), SMALLEST);
        drop((more, accounts));
        assert_eq!(replies.connections.load(Ordering::Relaxed), 0);
        assert_eq!((replies.used.load(Ordering::Relaxed), replies.waiting.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn a_single_connection_never_waits() {
        let account = Arc::new(Account::default());
        let mut held = Held::new(account.clone());
        held.add(1 << 30);
        assert!(!account.is_full(held.bytes()));
        assert!(!account.needs_turn(held.bytes()));
    }
}

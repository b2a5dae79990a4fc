//! The limits and permits that all connections of a server share.

use std::sync::Arc;

use smol::lock::Semaphore;

use super::limits::Limits;
use super::proxies::TrustedProxies;
use super::workers::WorkerPool;

/// Most request bodies over 4 KiB at once: 2 MiB together. Clients that never complete them could otherwise take all of a
/// router's memory.
const MAX_LARGE_BODIES: usize = 32;

/// Most request heads over 8 KiB at once: an office behind single sign-on, each for a moment. All together are 1 MiB.
const MAX_LARGE_HEADS: usize = 64;

#[derive(Debug)]
pub(super) struct ServerContext {
    pub(super) limits: Limits,
    pub(super) large_bodies: Arc<Semaphore>,
    pub(super) large_heads: Arc<Semaphore>,
    pub(super) proxies: TrustedProxies,
    pub(super) workers: WorkerPool,
}

impl ServerContext {
    pub(super) fn new(limits: Limits, workers: WorkerPool) -> Self {
        Self {
            limits,
            large_bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES)),
            large_heads: Arc::new(Semaphore::new(MAX_LARGE_HEADS)),
            proxies: TrustedProxies::default(),
            workers,
        }
    }
}

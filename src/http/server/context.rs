//! The limits and permits that all connections of a server share.

use std::sync::Arc;

use smol::lock::Semaphore;

use super::limits::Limits;
use super::proxies::TrustedProxies;
use super::workers::WorkerPool;

/// Maximum number of request bodies over 4 KiB at once: 2 MiB together. Without this limit, clients that never complete
/// a request could use all of a router's memory.
const MAX_LARGE_BODIES: usize = 32;

/// Maximum number of request heads over 8 KiB at once: enough for an office behind single sign-on, where each is held
/// briefly. 1 MiB together.
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

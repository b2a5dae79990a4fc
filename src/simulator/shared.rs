//! The state that a router's connections share, and the registration of each open connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::state::State;

#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self(Mutex::new(state))
    }

    /// Locks the state. No caller holds the lock over an `await`.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection as open until it is dropped, and as broken once at most.
pub(super) struct ConnectionGuard {
    shared: Arc<Shared>,
    number: u64,
}

impl ConnectionGuard {
    /// Registers a connection that was just accepted.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mut state = shared.state();
        state.counters.open += 1;
        // Unique: `connections` grows with each accepted connection.
        let number = state.counters.connections;
        state.intact.insert(number);
        drop(state);
        Self { shared, number }
    }

    pub(super) fn mark_broken(&self) {
        let mut state = self.shared.state();
        if state.intact.remove(&self.number) {
            state.counters.broken += 1;
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.counters.open -= 1;
        state.intact.remove(&self.number);
    }
}

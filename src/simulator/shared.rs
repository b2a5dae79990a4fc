//! What a router's connections have in common, and each connection as it is counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::state::State;

/// What a router's connections have in common.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self { state: Mutex::new(state) }
    }

    /// The state, for as short as it takes: nothing is awaited meanwhile.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection as it is counted: open until this is dropped, and broken once at most.
pub(super) struct Counted {
    shared: Arc<Shared>,
    number: u64,
}

impl Counted {
    /// Counts a connection that was accepted just now.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mut state = shared.state();
        state.counters.open += 1;
        // Among those accepted: no other has it.
        let number = state.counters.connections;
        state.sound.insert(number);
        drop(state);
        Self { shared, number }
    }

    /// Counts it as broken.
    pub(super) fn broken(&self) {
        let mut state = self.shared.state();
        if state.sound.remove(&self.number) {
            state.counters.broken += 1;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.counters.open -= 1;
        state.sound.remove(&self.number);
    }
}

//! The queue of one subscriber. It is bounded, and adding an event never blocks.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use event_listener::{Event, EventListener};

use super::event::StoreEvent;

/// Maximum number of events in a queue: one for each of a thousand sites.
const MAX_EVENTS: usize = 1024;

/// Events that one subscriber has not received yet.
#[derive(Debug)]
pub(super) struct EventQueue {
    queued: Mutex<Queued>,
    ready: Event,
    /// Maximum number of bytes of memory that can't be freed because of the events. A single event may exceed it.
    max_bytes: usize,
}

#[derive(Debug)]
struct Queued {
    events: VecDeque<(u64, StoreEvent)>,
    /// Bytes that can't be freed because of `events`.
    bytes: usize,
    /// Whether the subscriber needs a snapshot first: it has received none yet, or events were dropped.
    needs_snapshot: bool,
}

/// The next item of a queue.
#[derive(Debug)]
pub(super) enum NextEvent {
    /// The subscriber needs a snapshot first.
    Snapshot,
    /// An event, and the generation of the snapshot that it led to.
    Event(u64, StoreEvent),
}

impl EventQueue {
    /// A queue whose subscriber needs a snapshot first.
    pub(super) fn new(max_bytes: usize) -> Self {
        let queued = Queued { events: VecDeque::new(), bytes: 0, needs_snapshot: true };
        Self { queued: Mutex::new(queued), ready: Event::new(), max_bytes }
    }

    /// Adds the events of one change at once. If the queue is full, all events are dropped and the subscriber gets a
    /// snapshot instead.
    pub(super) fn push(&self, generation: u64, events: &[StoreEvent]) {
        let mut queued = self.lock();
        for event in events {
            if queued.needs_snapshot {
                break;
            }
            let cost = event.cost();
            let is_full = queued.events.len() == MAX_EVENTS || queued.bytes + cost > self.max_bytes;
            if is_full && !queued.events.is_empty() {
                *queued = Queued { events: VecDeque::new(), bytes: 0, needs_snapshot: true };
            } else {
                queued.bytes += cost;
                queued.events.push_back((generation, event.clone()));
            }
        }
        drop(queued);
        self.ready.notify(usize::MAX);
    }

    /// Takes the next item, if there is one.
    pub(super) fn pop(&self) -> Option<NextEvent> {
        let mut queued = self.lock();
        if std::mem::take(&mut queued.needs_snapshot) {
            return Some(NextEvent::Snapshot);
        }
        let (generation, event) = queued.events.pop_front()?;
        queued.bytes -= event.cost();
        Some(NextEvent::Event(generation, event))
    }

    /// Listens for the next item.
    pub(super) fn ready(&self) -> EventListener {
        self.ready.listen()
    }

    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::plugin::Plugin;
    use crate::state::SiteState;

    #[test]
    fn events_that_keep_too_much_memory_are_replaced_by_a_snapshot() {
        let removed = |cost: usize| {
            let plugin = Plugin::Health;
            let mut site = SiteState::new("a", "a", Duration::from_secs(30), [], [plugin]);
            site.readings[0].cost = cost;
            StoreEvent::SiteRemoved(Arc::new(site))
        };
        let queue = EventQueue::new(100);
        let next = |costs: &[usize]| {
            for cost in costs {
                queue.push(1, &[removed(*cost)]);
            }
            let items = std::iter::from_fn(|| queue.pop());
            items.map(|item| matches!(item, NextEvent::Event(..))).collect::<Vec<_>>()
        };
        assert_eq!(next(&[1]), [false], "the first item is always a snapshot");
        assert_eq!(next(&[60, 40]), [true, true]);
        assert_eq!(next(&[60, 41]), [false]);
        assert_eq!(next(&[1000]), [true], "a single event may be larger");
        assert_eq!(next(&[1000, 1, 1]), [false]);
        assert_eq!(next(&[100]), [true]);
    }
}

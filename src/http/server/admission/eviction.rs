//! The order of eviction: ranks connections by their phase and by the number of connections in it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The time that a client may need for its first request: a round trip over a satellite link. A younger connection does
/// not count as silent.
pub(super) const NEW: Duration = Duration::from_secs(1);

/// New connections count as a flood if they are more than one in this many connections.
pub(super) const PERMITS_PER_NEW: usize = 16;

/// The activity of a connection. Within a phase the oldest is evicted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http::server) enum Phase {
    /// It has not sent a complete request, or is closing, and is younger than [`NEW`].
    New,
    /// As [`New`](Self::New), but older.
    Silent,
    /// It has received a response and may send another request.
    Idle,
    /// It receives events. Its client reconnects when it is closed.
    Streaming,
    /// Its response is being written, and its request is younger than [`NEW`].
    Reading,
    /// As [`Reading`](Self::Reading), but older.
    Slow,
    /// It has sent a complete request that is not answered yet.
    Requested,
}

/// Connections by phase and age.
#[derive(Debug, Default)]
pub(super) struct Group([BTreeSet<(Instant, u32)>; Phase::ALL.len()]);

impl Phase {
    pub(super) const ALL: [Self; 7] =
        [Self::New, Self::Silent, Self::Idle, Self::Streaming, Self::Reading, Self::Slow, Self::Requested];

    /// Those without a request or an answer in progress.
    pub(super) const UNANSWERED: &[Self] = &[Self::New, Self::Silent, Self::Idle, Self::Streaming];

    /// The phase of a connection that is no longer new.
    pub(super) fn aged(self) -> Self {
        match self {
            Self::New => Self::Silent,
            Self::Reading => Self::Slow,
            other => other,
        }
    }
}

impl Group {
    pub(super) fn of_mut(&mut self, phase: Phase) -> &mut BTreeSet<(Instant, u32)> {
        &mut self.0[phase as usize]
    }

    /// The connections in a phase, the oldest first.
    pub(super) fn of(&self, phase: Phase) -> &BTreeSet<(Instant, u32)> {
        &self.0[phase as usize]
    }

    pub(super) fn count(&self, phases: &[Phase]) -> usize {
        phases.iter().map(|phase| self.of(*phase).len()).sum()
    }

    /// The phase among these whose oldest connection is the least valuable.
    pub(super) fn least_valuable(&self, phases: &[Phase]) -> Option<Phase> {
        let [new, idle, slow] = [Phase::New, Phase::Idle, Phase::Slow].map(|phase| self.of(phase).len());
        // A few new connections are evicted last. Otherwise, if clients that do not read their responses hold all other
        // permits, each new client would evict the previous one before it could send its request. Many new connections
        // are a flood.
        let is_few = new <= self.count(phases) / PERMITS_PER_NEW;
        let rank = |phase| match phase {
            Phase::Silent => 0,
            Phase::New if is_few => 6,
            Phase::New => 3,
            // If there are more idle connections than new ones, the idle ones are the flood.
            Phase::Idle if is_few || idle > new => 1,
            // Otherwise, slow readers may be the flood.
            Phase::Slow if slow > new => 2,
            Phase::Idle | Phase::Streaming => 4,
            Phase::Reading | Phase::Slow => 5,
            // The connection that has waited longest is answered next. If all connections wait for a response, it must
            // be evicted for a new client.
            Phase::Requested => 7,
        };
        let oldest = phases.iter().filter_map(|&phase| Some((rank(phase), self.of(phase).first()?.0, phase)));
        oldest.min_by_key(|(rank, since, _)| (*rank, *since)).map(|(.., phase)| phase)
    }
}

//! The order of eviction: ranks connections by their phase and by the number of connections in it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A client needs so long for its first request: a round trip to the far end of a satellite link. A younger connection is
/// not counted as silent.
pub(super) const NEW: Duration = Duration::from_secs(1);

/// One connection in so many may be new without being part of a flood.
pub(super) const PERMITS_PER_NEW: usize = 16;

/// The activity of a connection. Within a phase the oldest is evicted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http::server) enum Phase {
    /// It has sent no complete request, or will send no more, and is younger than [`NEW`].
    New,
    /// The same, and older.
    Silent,
    /// It has had an answer and may send another request.
    Idle,
    /// It receives events. Its client reconnects when it is closed.
    Streaming,
    /// Its answer is being written; its request is younger than [`NEW`].
    Reading,
    /// The same, and older.
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

    /// The phase, out of these, whose oldest connection is worth least.
    pub(super) fn least_valuable(&self, phases: &[Phase]) -> Option<Phase> {
        let [new, idle, slow] = [Phase::New, Phase::Idle, Phase::Slow].map(|phase| self.of(phase).len());
        // A few new connections are evicted last. Otherwise, if clients hold all other permits with answers that they do
        // not read, each new client would evict the one before it could send its request. Many are a flood.
        let is_few = new <= self.count(phases) / PERMITS_PER_NEW;
        let rank = |phase| match phase {
            Phase::Silent => 0,
            Phase::New if is_few => 6,
            Phase::New => 3,
            // If idle connections are more than new ones, they are the flood.
            Phase::Idle if is_few || idle > new => 1,
            // Or slow readers are.
            Phase::Slow if slow > new => 2,
            Phase::Idle | Phase::Streaming => 4,
            Phase::Reading | Phase::Slow => 5,
            // The one that has waited longest is answered next. If all wait, it has to be evicted for a new client.
            Phase::Requested => 7,
        };
        let oldest = phases.iter().filter_map(|&phase| Some((rank(phase), self.of(phase).first()?.0, phase)));
        oldest.min_by_key(|(rank, since, _)| (*rank, *since)).map(|(.., phase)| phase)
    }
}

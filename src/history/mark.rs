//! Marks: what happened to a site at a moment, or for a time.

use std::collections::VecDeque;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// The router did not answer.
    Offline,
    /// The router booted again.
    Reboot,
    /// The router answers at another host than before.
    HostChange,
    /// The agent started.
    AgentStart,
}

impl MarkKind {
    /// All kinds. In a file, a kind is its place here, so new ones are added at the end.
    pub(super) const ALL: [Self; 4] = [Self::Offline, Self::Reboot, Self::HostChange, Self::AgentStart];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Reboot => "reboot",
            Self::HostChange => "host_change",
            Self::AgentStart => "agent_start",
        }
    }
}

/// Something that happened to a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// What happened.
    pub kind: MarkKind,
    /// When it began, in seconds since the Unix epoch.
    pub at_s: u32,
    /// When it ended, if it has a duration and has ended.
    pub until_s: Option<u32>,
    /// Whether it was made by this run of the agent: then it moves if the system's clock is set.
    is_live: bool,
}

impl Mark {
    /// A mark of an earlier run of the agent.
    pub fn restored(kind: MarkKind, at_s: u32, until_s: Option<u32>) -> Self {
        Self { kind, at_s, until_s, is_live: false }
    }
}

/// The latest marks of a site: those of earlier runs in the order of their file, then those of this run.
#[derive(Debug)]
pub(super) struct Marks {
    entries: VecDeque<Mark>,
    /// The start of this run, in seconds since the Unix epoch.
    start_s: u32,
    capacity: usize,
}

impl Marks {
    /// No marks yet of a run that started at `start_s`.
    pub(super) fn new(capacity: usize, start_s: u32) -> Self {
        Self { entries: VecDeque::new(), start_s, capacity }
    }

    /// All marks, in the order in which they became known.
    pub(super) fn all(&self) -> impl Iterator<Item = Mark> {
        self.entries.iter().map(|mark| {
            // An outage of an earlier run ended with this one, unless the clock is behind.
            let is_over = !mark.is_live && mark.kind == MarkKind::Offline && mark.at_s <= self.start_s;
            Mark { until_s: mark.until_s.or(is_over.then_some(self.start_s)), ..*mark }
        })
    }

    /// What is known at `now_s` of the marks that reach into the time from `from_s` on, oldest first.
    pub(super) fn since(&self, from_s: u32, now_s: u32) -> Vec<Mark> {
        let seen = |mark: Mark| {
            let (is_outage, Mark { at_s, is_live, .. }) = (mark.kind == MarkKind::Offline, mark);
            let until_s = mark.until_s.or((is_outage && !is_live).then_some(at_s));
            let until_s = until_s.map(|until_s| until_s.min(now_s));
            let end_s = until_s.unwrap_or(if is_outage { now_s } else { at_s });
            (mark.at_s <= now_s && end_s >= from_s).then_some(Mark { until_s, ..mark })
        };
        let mut marks: Vec<Mark> = self.all().filter_map(seen).collect();
        // A reboot becomes known later than what followed it.
        marks.sort_by_key(|mark| mark.at_s);
        marks
    }

    /// Adds a mark of this run.
    pub(super) fn add(&mut self, kind: MarkKind, at_s: u32) {
        self.insert(self.entries.len(), Mark { kind, at_s, until_s: None, is_live: true });
    }

    /// Replaces the marks of earlier runs.
    pub(super) fn restore(&mut self, marks: impl Iterator<Item = Mark>) {
        self.entries.retain(|mark| mark.is_live);
        for mark in marks {
            self.insert(self.entries.partition_point(|other| !other.is_live), mark);
        }
    }

    /// Ends the current outage.
    pub(super) fn end_outage(&mut self, at_s: u32) {
        let is_open =
            |mark: &&mut Mark| mark.is_live && mark.kind == MarkKind::Offline && mark.until_s.is_none();
        if let Some(outage) = self.entries.iter_mut().rev().find(is_open) {
            outage.until_s = Some(at_s.max(outage.at_s));
        }
    }

    /// Moves the marks of this run.
    pub(super) fn shift(&mut self, by_ms: i64) {
        let moved = |at_s: u32| seconds(i64::from(at_s) * 1000 + by_ms);
        self.start_s = moved(self.start_s);
        for mark in self.entries.iter_mut().filter(|mark| mark.is_live) {
            mark.at_s = moved(mark.at_s);
            mark.until_s = mark.until_s.map(moved);
        }
    }

    /// Inserts a mark, and drops the oldest one if there are too many.
    fn insert(&mut self, place: usize, mark: Mark) {
        let len = self.entries.len();
        if len < self.capacity {
            if len == self.entries.capacity() {
                self.entries.reserve_exact((len / 8 + 8).min(self.capacity - len));
            }
            self.entries.insert(place, mark);
        } else if let Some(place) = place.checked_sub(1) {
            self.entries.pop_front();
            self.entries.insert(place, mark);
        }
    }

    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        let excess = self.entries.len().saturating_sub(capacity);
        self.entries.drain(..excess);
        self.entries.shrink_to(capacity);
    }

    /// Bytes of memory that they take.
    pub(super) fn cost(&self) -> usize {
        self.entries.capacity() * size_of::<Mark>()
    }
}

/// Whole seconds of a time since the epoch. A date before it, or after the year 2105, is at the limit.
pub(super) fn seconds(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(1000).max(0)).unwrap_or(u32::MAX)
}

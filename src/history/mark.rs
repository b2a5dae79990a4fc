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

/// The latest marks of a site, oldest first.
#[derive(Debug)]
pub(super) struct Marks {
    marks: VecDeque<Mark>,
    capacity: usize,
}

impl Marks {
    pub(super) fn new(capacity: usize) -> Self {
        Self { marks: VecDeque::new(), capacity }
    }

    /// The marks that reach into the time from `from_s` on, oldest first.
    pub(super) fn since(&self, from_s: u32) -> Vec<Mark> {
        let end = |mark: &Mark| match (mark.until_s, mark.kind) {
            (Some(until_s), _) => until_s,
            (None, MarkKind::Offline) => u32::MAX,
            (None, _) => mark.at_s,
        };
        let mut marks: Vec<Mark> = self.marks.iter().filter(|mark| end(mark) >= from_s).copied().collect();
        // A reboot becomes known later than what followed it.
        marks.sort_by_key(|mark| mark.at_s);
        marks
    }

    /// Adds a mark of this run.
    pub(super) fn add(&mut self, kind: MarkKind, at_s: u32) {
        self.insert(self.marks.len(), Mark { kind, at_s, until_s: None, is_live: true });
    }

    /// Replaces the marks of earlier runs. An outage that had not ended ends with this run, which started at `start_s`.
    pub(super) fn restore(&mut self, marks: &[Mark], start_s: u32) {
        self.marks.retain(|mark| mark.is_live);
        for mark in marks {
            let is_open = mark.kind == MarkKind::Offline && mark.until_s.is_none();
            let until_s = if is_open { Some(start_s.max(mark.at_s)) } else { mark.until_s };
            let place = self.marks.partition_point(|other| !other.is_live && other.at_s <= mark.at_s);
            self.insert(place, Mark { until_s, ..*mark });
        }
    }

    /// Ends the current outage.
    pub(super) fn end_outage(&mut self, at_s: u32) {
        let is_open = |mark: &&mut Mark| mark.kind == MarkKind::Offline && mark.until_s.is_none();
        if let Some(outage) = self.marks.iter_mut().rev().find(is_open) {
            outage.until_s = Some(at_s.max(outage.at_s));
        }
    }

    /// Moves the marks of this run.
    pub(super) fn shift(&mut self, by_ms: i64) {
        let moved = |at_s: u32| seconds(i64::from(at_s) * 1000 + by_ms);
        for mark in self.marks.iter_mut().filter(|mark| mark.is_live) {
            mark.at_s = moved(mark.at_s);
            mark.until_s = mark.until_s.map(moved);
        }
    }

    /// Inserts a mark, and drops the oldest one if there are too many.
    fn insert(&mut self, place: usize, mark: Mark) {
        let len = self.marks.len();
        if len < self.capacity {
            if len == self.marks.capacity() {
                self.marks.reserve_exact((len / 8 + 8).min(self.capacity - len));
            }
            self.marks.insert(place, mark);
        } else if let Some(place) = place.checked_sub(1) {
            self.marks.pop_front();
            self.marks.insert(place, mark);
        }
    }

    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        let excess = self.marks.len().saturating_sub(capacity);
        self.marks.drain(..excess);
        self.marks.shrink_to(capacity);
    }

    /// Bytes of memory that they take.
    pub(super) fn cost(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>()
    }
}

/// Whole seconds of a time since the epoch. A date before it, or after the year 2105, is at the limit.
pub(super) fn seconds(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(1000).max(0)).unwrap_or(u32::MAX)
}

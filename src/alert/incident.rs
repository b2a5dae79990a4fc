//! An incident: the state of one condition of one site, from its beginning until its changes are forgotten.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Tick;

/// More changes than this within [`CHANGE_WINDOW`] make a condition unstable.
pub(super) const MAX_CHANGES: usize = 4;

/// How long a change counts.
const CHANGE_WINDOW: Duration = Duration::from_secs(3600);

/// How long an unstable condition must not change until it is stable.
const CALM: Duration = Duration::from_secs(1800);

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Evaluation {
    /// The condition is present, since this tick if that is known.
    Present(Option<Tick>, Description),
    /// The condition is present outside of the rule's hours: it does not fire, and it does not count.
    Excluded(Description),
    /// A figure is between its limit and the value at which the alert resolves: it neither fires nor resolves.
    Hold,
    /// The condition is absent. The figure's value, if there is one.
    Absent(Option<f64>),
    /// There is no current data. Nothing changes.
    Unknown,
}

/// A condition in words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Description {
    /// `Awka is offline`: a sentence without its end.
    pub problem: String,
    /// `Awka is online again`: the same when it has ended.
    pub recovery: String,
    /// `connection refused (10.0.1.1:8728)`.
    pub cause: Option<String>,
    /// How to fix it.
    pub hint: Option<String>,
    /// The figure that is beyond its limit.
    pub value: Option<f64>,
}

/// What an observation is about: a rule, and where it is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subject<'s> {
    /// The site's key; empty for the agent itself.
    pub site: &'s str,
    /// The site's name for people.
    pub name: Option<&'s str>,
    /// The identifier of the rule: its kind, and more if there are several of one kind.
    pub rule: &'s str,
    /// The rule's kind.
    pub kind: &'s str,
    /// The part of the site, such as a plugin, or an empty text.
    pub part: &'s str,
    /// How long the condition must be present.
    pub after: Duration,
}

/// The state of one condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Incident {
    /// The identifier of the rule.
    pub rule: String,
    /// The part of the site.
    pub part: String,
    /// The rule's kind.
    pub kind: String,
    /// The site's name for people.
    pub name: Option<String>,
    /// The condition in words, when it was last present.
    pub description: Description,
    /// How long it must be present.
    pub after: Duration,
    /// Since when it is present; `None`: it is absent.
    pub present: Option<Tick>,
    /// Since when evaluations have had no data; `None`: the last one had.
    pub unknown: Option<Tick>,
    /// The alert, if it is firing.
    pub firing: Option<Firing>,
    /// When alerts of this condition fired and resolved: the latest ones.
    changes: Vec<Tick>,
    /// When the condition last became present or absent.
    last_change: Tick,
}

/// A firing alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Firing {
    /// Its identifier.
    pub id: String,
    /// When its condition began.
    pub since: Tick,
    /// Whether it was given to the outbox, and not taken back: alerts of a muted site are not given to it.
    pub is_announced: bool,
    /// Whether it stands for many changes of its condition.
    pub is_unstable: bool,
    /// When it was last announced.
    pub announced: Tick,
    /// Who acknowledged it, and when.
    pub acknowledged: Option<(String, Tick)>,
}

impl Incident {
    /// A condition that was absent until now.
    pub(super) fn new(subject: Subject, now: Tick) -> Self {
        Self {
            rule: subject.rule.into(),
            part: subject.part.into(),
            kind: subject.kind.into(),
            name: subject.name.map(Into::into),
            description: Description::default(),
            after: subject.after,
            present: None,
            unknown: Some(now),
            firing: None,
            changes: Vec::new(),
            last_change: now,
        }
    }

    /// Whether it is about this subject, if the site is the same.
    pub(super) fn is_about(&self, subject: Subject) -> bool {
        self.rule == subject.rule && self.part == subject.part
    }

    /// Adopts what a reload may have changed.
    pub(super) fn adopt(&mut self, subject: Subject) {
        self.after = subject.after;
        if self.name.as_deref() != subject.name {
            self.name = subject.name.map(Into::into);
        }
    }

    /// Forgets what a restart makes uncertain: a condition that was not reported yet begins again. It was `stored` then.
    pub(super) fn resume(&mut self, stored: Tick) {
        self.unknown.get_or_insert(stored);
        if self.firing.is_none() {
            self.present = None;
        }
    }

    /// Records whether an evaluation had data. Time without counts neither for a condition that was not reported yet, nor as
    /// calm.
    pub(super) fn set_known(&mut self, is_known: bool, now: Tick) {
        if !is_known {
            self.unknown.get_or_insert(now);
        } else if let Some(since) = self.unknown.take() {
            self.last_change = now.before(since.since(self.last_change));
            if self.firing.is_none() {
                self.present = self.present.map(|present| present.after(now.since(since)));
            }
        }
    }

    /// Records that the condition is present, or absent.
    pub(super) fn set_present(&mut self, present: Option<Tick>, now: Tick) {
        if self.present.is_some() != present.is_some() {
            self.present = present;
            self.last_change = now;
        }
    }

    /// Records that an alert fires or resolves. Returns whether the condition is unstable.
    pub(super) fn record_change(&mut self, now: Tick) -> bool {
        self.forget_changes(now);
        self.last_change = now;
        self.changes.push(now);
        self.changes.len() > MAX_CHANGES
    }

    /// Whether it is unstable and has been calm for long enough. Then its changes are forgotten.
    pub(super) fn calms_down(&mut self, now: Tick) -> bool {
        let is_unstable = self.firing.as_ref().is_some_and(|firing| firing.is_unstable);
        let is_calm = is_unstable && self.unknown.is_none() && now.since(self.last_change) >= CALM;
        if is_calm {
            self.changes.clear();
        }
        is_calm
    }

    /// Whether nothing of it needs to be kept.
    pub(super) fn is_over(&mut self, now: Tick) -> bool {
        self.forget_changes(now);
        self.present.is_none() && self.firing.is_none() && self.changes.is_empty()
    }

    fn forget_changes(&mut self, now: Tick) {
        self.changes.retain(|change| now.since(*change) < CHANGE_WINDOW);
    }
}

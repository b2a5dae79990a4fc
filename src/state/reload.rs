//! The result of the last reload of the configuration.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Moment;

/// The result of the last attempt to read the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// The path of the file; `None` for an agent without a file.
    pub file: Option<Arc<str>>,
    /// Whether the file does not exist.
    pub is_missing: bool,
    /// When a changed file was last read.
    pub tried: Moment,
    /// When the configuration in use was read. `None` while the agent waits for its first valid file.
    pub succeeded: Option<Moment>,
    /// The problems of the last attempt. If there are none, the file is in use.
    pub problems: Arc<[ReloadDiagnostic]>,
    /// The number of problems that are not kept.
    pub more_problems: usize,
    /// Warnings about the configuration in use.
    pub warnings: Arc<[ReloadDiagnostic]>,
    /// When all files of the configuration were last checked for changes.
    pub last_check: LastCheck,
}

/// When the files were last checked for changes. All snapshots share it, because it changes each second: a check that
/// finds nothing new creates no snapshot. For the same reason, all values are equal.
#[derive(Debug, Clone, Default)]
pub struct LastCheck(Arc<Mutex<Option<Moment>>>);

impl LastCheck {
    /// Records a complete check.
    pub fn set(&self, at: Moment) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// The time of the last check; `None` for an agent without a file.
    pub fn get(&self) -> Option<Moment> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for LastCheck {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for LastCheck {}

/// An error or a warning about the configuration. It contains no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadDiagnostic {
    /// `sites.ron:12:9`, or the name of a file or variable.
    pub place: String,
    /// The message: what was found, what was expected, and how to fix it.
    pub message: String,
    /// The line of the file, and below it a caret at the place.
    pub excerpt: Option<String>,
}

impl Reload {
    /// Maximum number of problems that are kept: enough for a person to fix at once, and about 20 KB.
    const MAX_PROBLEMS: usize = 50;

    /// The result of reading this file at the agent's start, with these problems or none.
    pub fn first(file: Option<&str>, problems: Vec<ReloadDiagnostic>) -> Self {
        let mut reload = Self {
            file: file.map(Into::into),
            is_missing: false,
            tried: Moment::START,
            succeeded: None,
            problems: Vec::new().into(),
            more_problems: 0,
            warnings: Vec::new().into(),
            last_check: LastCheck::default(),
        };
        reload.note(Moment::START, problems.is_empty(), problems);
        if file.is_some() {
            reload.last_check.set(Moment::START);
        }
        reload
    }

    /// Whether the current content of the file is in use.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.more_problems == 0
    }

    /// Records an attempt, whether its configuration is in use, and its problems.
    pub fn note(&mut self, now: Moment, is_in_use: bool, mut problems: Vec<ReloadDiagnostic>) {
        self.tried = now;
        if is_in_use {
            self.succeeded = Some(now);
        }
        self.more_problems = problems.len().saturating_sub(Self::MAX_PROBLEMS);
        problems.truncate(Self::MAX_PROBLEMS);
        self.problems = problems.into();
    }

    /// Keeps only problems that are harmless to show to anyone, without the lines of the file: the access rules are not
    /// known yet.
    pub fn withhold(&mut self, is_harmless: impl Fn(&ReloadDiagnostic) -> bool) {
        let count = self.problems.len();
        let harmless = self.problems.iter().filter(|problem| is_harmless(problem));
        self.problems =
            harmless.map(|problem| ReloadDiagnostic { excerpt: None, ..problem.clone() }).collect();
        self.more_problems += count - self.problems.len();
    }

    /// Records the warnings about the configuration in use.
    pub fn warn(&mut self, mut warnings: Vec<ReloadDiagnostic>) {
        warnings.truncate(Self::MAX_PROBLEMS);
        self.warnings = warnings.into();
    }
}

impl fmt::Display for ReloadDiagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        for line in self.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

//! How reading the configuration went, and since when it is as it is.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Moment;

/// What became of the last try to read the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// Which file it is; none where there is no file.
    pub file: Option<Arc<str>>,
    /// When it was last found to be new and read.
    pub tried: Moment,
    /// When one that was good was last read: that is the one in use. None while the agent waits for the first.
    pub succeeded: Option<Moment>,
    /// What is wrong with the one that was tried last. Nothing: it is in use.
    pub problems: Arc<[ReloadDiagnostic]>,
    /// How many more there are than are kept.
    pub more_problems: usize,
    /// What is accepted in the one in use, but should be changed.
    pub warnings: Arc<[ReloadDiagnostic]>,
    /// When all files of the configuration were last looked at.
    pub last_look: LastLook,
}

/// When the files were last looked at, which is each second. So it is shared by all snapshots: a look that finds nothing
/// new makes no new snapshot, and two are the same whenever that was.
#[derive(Debug, Clone, Default)]
pub struct LastLook(Arc<Mutex<Option<Moment>>>);

impl LastLook {
    /// They were looked at to the end.
    pub fn set(&self, at: Moment) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// When they were; none where there is no file.
    #[must_use]
    pub fn get(&self) -> Option<Moment> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for LastLook {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for LastLook {}

/// Something in the configuration that can't stand, or a warning, in words that hold no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadDiagnostic {
    /// `sites.ron:12:9`, or what else it is about.
    pub place: String,
    /// What was found, what was expected and what to do.
    pub message: String,
    /// The line of the file, and under it a caret at the place.
    pub excerpt: Option<String>,
}

impl Reload {
    /// Most problems that are kept: more than anybody mends at once, and some 20 KB.
    const MAX_PROBLEMS: usize = 50;

    /// This file was read at the agent's start, with these problems or none.
    #[must_use]
    pub fn first(file: Option<&str>, problems: Vec<ReloadDiagnostic>) -> Self {
        let mut reload = Self {
            file: file.map(Into::into),
            tried: Moment::START,
            succeeded: None,
            problems: Vec::new().into(),
            more_problems: 0,
            warnings: Vec::new().into(),
            last_look: LastLook::default(),
        };
        reload.note(Moment::START, problems.is_empty(), problems);
        if file.is_some() {
            reload.last_look.set(Moment::START);
        }
        reload
    }

    /// Whether the file as it is is in use.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.more_problems == 0
    }

    /// It was tried, and is in use or not, with these problems or none.
    pub fn note(&mut self, now: Moment, is_in_use: bool, mut problems: Vec<ReloadDiagnostic>) {
        self.tried = now;
        if is_in_use {
            self.succeeded = Some(now);
        }
        self.more_problems = problems.len().saturating_sub(Self::MAX_PROBLEMS);
        problems.truncate(Self::MAX_PROBLEMS);
        self.problems = problems.into();
    }

    /// Keeps the problems that are `harmless`, without the lines of the file: who may see more is not known.
    pub fn withhold(&mut self, is_harmless: impl Fn(&ReloadDiagnostic) -> bool) {
        let count = self.problems.len();
        let harmless = self.problems.iter().filter(|problem| is_harmless(problem));
        self.problems =
            harmless.map(|problem| ReloadDiagnostic { excerpt: None, ..problem.clone() }).collect();
        self.more_problems += count - self.problems.len();
    }

    /// The configuration in use has these warnings or none.
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

//! Whether the agent's data survives a restart.

use std::sync::Arc;

use crate::clock::Moment;

/// The result of the last attempt to store the agent's data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageState {
    /// The directory; `None` if data is in memory only.
    pub directory: Option<Arc<str>>,
    /// Whether all data could be stored at the last attempt.
    pub is_saving: bool,
    /// When data was last written.
    pub written: Option<Moment>,
    /// Attempts to write that failed, since the agent's start.
    pub errors: u64,
    /// The problems. One about data that could not be read stays until the next start.
    pub problems: Arc<[StorageProblem]>,
}

/// A problem of a stored file, or of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageProblem {
    /// The path.
    pub place: String,
    /// What happened, and how to fix it.
    pub message: String,
}

//! Why a command failed.

/// Why a command failed, with a message for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It can't do what was requested: exit code 1.
    Failed(String),
    /// It was called with wrong arguments: exit code 2.
    Usage(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

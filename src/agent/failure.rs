//! The error of a command.

/// The error of a failed command, with a message for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The command failed: exit code 1.
    Failed(String),
    /// The arguments are wrong: exit code 2.
    Usage(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

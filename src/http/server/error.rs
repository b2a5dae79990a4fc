//! The errors that the server itself answers.

/// An error response. The connection ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HttpError {
    pub(super) status: u16,
    pub(super) detail: &'static str,
}

impl HttpError {
    pub(super) const fn new(status: u16, detail: &'static str) -> Self {
        Self { status, detail }
    }
}

//! The errors that the server itself answers.

use crate::net::chunked::ChunkedError;

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

impl From<ChunkedError> for HttpError {
    fn from(error: ChunkedError) -> Self {
        match error {
            ChunkedError::Malformed(detail) => Self::new(400, detail),
            ChunkedError::BodyTooLong => Self::new(413, "The body exceeds 64 KiB."),
            ChunkedError::TrailerTooLong => Self::new(431, "The trailer fields exceed 1 KiB."),
        }
    }
}

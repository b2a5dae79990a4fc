//! What a part of the agent implements to be stored.

use std::pin::Pin;

/// Maximum size of a record, in bytes. A reader needs this much memory for a damaged file.
pub const MAX_RECORD: usize = 64 * 1024;

/// The beginning of a record about a site: its key after the key's length in a byte.
pub(crate) fn key_prefix(key: &str) -> Vec<u8> {
    // A key has at most 40 bytes.
    let length = u8::try_from(key.len()).unwrap_or(u8::MAX);
    [&[length], key.as_bytes()].concat()
}

/// The key that [`key_prefix`] wrote, and what follows it.
pub(crate) fn split_key(record: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = record.split_first()?;
    let (key, rest) = rest.split_at_checked((*length).into())?;
    Some((std::str::from_utf8(key).ok()?, rest))
}

/// A part of the agent whose data survives a restart. Its methods are called on a thread that may block, and never at the
/// same time for one part.
pub trait Persist: Send + Sync {
    /// The name of its file.
    fn name(&self) -> &'static str;

    /// The version of the records that it writes. It increases with each change of their format.
    fn version(&self) -> u16 {
        1
    }

    /// Adopts one record of the file, in the order in which they were written. `version` is at most its own.
    ///
    /// # Errors
    ///
    /// The reason in words. The record is skipped and counted.
    fn restore(&self, record: &[u8], version: u16) -> Result<(), String>;

    /// The last record was given to [`Persist::restore`].
    ///
    /// # Errors
    ///
    /// The reason in words why what was restored can't be used.
    fn restored(&self) -> Result<(), String> {
        Ok(())
    }

    /// The records since the last call of `written`; with `is_all` everything that is still of use, to rewrite a file that
    /// has grown. Each has at most [`MAX_RECORD`] bytes.
    fn records(&self, is_all: bool) -> Vec<Vec<u8>>;

    /// What the last call of `records` returned is on disk.
    fn written(&self);

    /// Whether the next write replaces the file, because it contains what must not stay there.
    fn needs_rewrite(&self) -> bool {
        false
    }

    /// What a person should know about the data that is stored.
    fn warning(&self) -> Option<String> {
        None
    }

    /// The agent ends: the next write is the last one.
    fn finish(&self) {}

    /// Resolves when its pending records must be written before the next regular write.
    fn urgent(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

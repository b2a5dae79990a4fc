//! What a part of the agent implements to be stored.

use std::pin::Pin;

/// Maximum size of a record, in bytes. A reader needs this much memory for a damaged file.
pub const MAX_RECORD: usize = 64 * 1024;

/// A part of the agent whose data survives a restart. Its methods are called on a thread that may block, and never at the
/// same time for one part.
pub trait Persist: Send + Sync {
    /// The name of its file.
    fn name(&self) -> &'static str;

    /// The version of the records that it writes.
    fn version(&self) -> u16;

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

    /// The records since the last call of `written`, each of at most [`MAX_RECORD`] bytes.
    fn pending(&self) -> Vec<Vec<u8>>;

    /// Everything that is still of use, including what is pending, to rewrite a file that has grown.
    fn all(&self) -> Vec<Vec<u8>>;

    /// What the last call of `pending` or `all` returned is on disk.
    fn written(&self);

    /// Whether the next write replaces the file, because it contains what must not stay there.
    fn needs_rewrite(&self) -> bool {
        false
    }

    /// The agent ends: the next write is the last one.
    fn finish(&self) {}

    /// Resolves when its pending records must be written before the next regular write.
    fn urgent(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

//! Data that survives a restart: append-only files in one directory, one for each [`Persist`].
//!
//! | file | its subject |
//! | --- | --- |
//! | `persist` | what a part of the agent implements to be stored |
//! | `record` | the format: records with checksums, and how a damaged file is read. No I/O of its own |
//! | `file` | the file of one part: restore, append, rewrite |
//! | `directory` | the directory of the files, and its lock |
//! | `writer` | restores at the start, writes every few minutes and at the end, and reports problems |
//!
//! A part keeps its data in memory and works the same without a directory. What can't be written stays pending and is
//! written later. A file that the agent does not understand is never changed.

mod directory;
mod file;
mod persist;
mod record;
mod writer;

pub use persist::{MAX_RECORD, Persist};
pub(crate) use persist::{key_prefix, split_key};
pub use writer::Storage;

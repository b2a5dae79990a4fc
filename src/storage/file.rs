//! The file of one part: restored at the start, then appended to, and rewritten when it has grown.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::persist::{MAX_RECORD, Persist};
use super::record::{self, Scan};

/// A file is rewritten when it is longer than twice its useful records and this, in bytes: a small one is rewritten
/// rarely.
const SLACK: u64 = 64 * 1024;

/// The file of one part. Nothing is open between two writes.
pub(super) struct StateFile {
    path: PathBuf,
    pub(super) part: Arc<dyn Persist>,
    /// Its expected length; 0 if it does not exist.
    length: u64,
    /// Its length up to the end of the last intact record.
    intact: u64,
    /// Whether the next write replaces it, because it does not exist or a part of it is damaged.
    needs_rewrite: bool,
    /// Above this length, the next write checks whether it should be rewritten.
    check_above: u64,
    /// Why it must not be changed.
    pub(super) blocked: Option<String>,
    /// What could not be restored.
    pub(super) unreadable: Option<String>,
    /// Why the last write failed.
    pub(super) error: Option<String>,
}

impl StateFile {
    /// Gives the records of the file, if it exists, to the part. Once it `is_late`, the part gets no more.
    pub(super) fn restore(directory: &Path, part: Arc<dyn Persist>, is_late: &AtomicBool) -> Self {
        let mut file = Self {
            path: directory.join(part.name()),
            part,
            length: 0,
            intact: 0,
            needs_rewrite: true,
            check_above: SLACK,
            blocked: None,
            unreadable: None,
            error: None,
        };
        if let Err(error) = file.read(is_late)
            && !is_absent(&error)
        {
            file.blocked = Some(format!("can't be read: {error}"));
        }
        file
    }

    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&mut self, is_late: &AtomicBool) -> io::Result<()> {
        // A pipe would block.
        if !fs::metadata(&self.path)?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let (part, mut is_newer, mut rejected, mut reason) = (&self.part, false, 0, None);
        let reader = BufReader::new(File::open(&self.path)?);
        let scan = record::scan(part.name(), reader, |version, payload| {
            if is_late.load(Ordering::SeqCst) {
                // The part is in use.
            } else if version > part.version() {
                is_newer = true;
            } else if let Err(why) = part.restore(payload, version) {
                rejected += 1;
                reason.get_or_insert(why);
            }
        })?;
        if !is_late.load(Ordering::SeqCst)
            && let Err(why) = part.restored()
        {
            rejected += 1;
            reason = Some(why);
        }
        let Scan { is_own, is_of_program, length, intact, damaged } = scan;
        (self.length, self.intact) = (length, intact);
        if is_newer || (is_of_program && !is_own) {
            self.blocked = Some(
                "a newer version of the agent wrote it, or another part of it, so it stays as it is. Upgrade the \
                 agent, or move the file away"
                    .into(),
            );
        } else if !is_own && length > 0 {
            self.blocked = Some("it is not a file of the agent, so it stays as it is. Move it away".into());
        }
        self.needs_rewrite = damaged > 0 || intact == 0;
        let torn = length.saturating_sub(intact);
        self.unreadable = match (damaged, torn, reason) {
            _ if self.blocked.is_some() => None,
            (0, 0, None) => None,
            (0, 0, Some(reason)) => Some(format!("{rejected} of its records could not be read: {reason}")),
            (0, torn, _) => Some(format!(
                "its last {torn} bytes are incomplete, perhaps because the power failed during a write; everything \
                 before was restored"
            )),
            (damaged, torn, _) => Some(format!(
                "{} of its {length} bytes are damaged; everything else was restored",
                damaged + torn
            )),
        };
        Ok(())
    }

    /// Writes what is pending, and returns whether there was anything. What could not be written stays pending.
    pub(super) fn write(&mut self) -> io::Result<bool> {
        let length = match fs::metadata(&self.path) {
            Ok(metadata) => Some(metadata.len()),
            Err(error) if is_absent(&error) => None,
            Err(error) => return Err(error),
        };
        match length {
            // Somebody moved it away.
            None => (self.blocked, self.needs_rewrite, self.intact, self.length) = (None, true, 0, 0),
            Some(_) if self.blocked.is_some() => return Ok(false),
            Some(length) if length != self.length => {
                let message =
                    "another program changed it, so it stays as it is. Restart the agent to read it";
                self.blocked = Some(message.into());
                return Ok(false);
            }
            Some(_) => {}
        }
        self.needs_rewrite |= self.part.needs_rewrite();
        let mut pending = self.part.records(false);
        if pending.is_empty() && !self.needs_rewrite {
            return Ok(false);
        }
        let mut rewritten = Ok(());
        if self.needs_rewrite || self.intact > self.check_above {
            let all = self.part.records(true);
            if all.is_empty() && length.is_none() {
                self.part.written();
                return Ok(false);
            }
            let all = self.encode(record::header(self.part.name()), all);
            self.check_above = 2 * all.len() as u64 + SLACK;
            if self.needs_rewrite || self.intact > self.check_above {
                rewritten = self.replace(&all);
                match &rewritten {
                    Ok(()) => {
                        self.part.written();
                        return Ok(true);
                    }
                    Err(_) if self.intact > 0 => {}
                    Err(_) => return rewritten.map(|()| true),
                }
            }
            // A full disk may still have room for these.
            pending = self.part.records(false);
        }
        self.append(&self.encode(Vec::new(), pending))?;
        self.part.written();
        // They are written; an error is that of the rewrite, which is tried again.
        rewritten.map(|()| true)
    }

    fn encode(&self, mut out: Vec<u8>, records: Vec<Vec<u8>>) -> Vec<u8> {
        for record in records {
            if record.len() > MAX_RECORD {
                log::error!("file={} bytes={} msg=\"a record is too long\"", self.place(), record.len());
            } else {
                record::encode(self.part.name(), self.part.version(), &record, &mut out);
            }
        }
        out
    }

    /// Appends to the end of the last intact record. After a failure, the file ends there again.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        let write = |file: &mut File, intact| {
            file.set_len(intact)?;
            file.seek(SeekFrom::Start(intact))?;
            file.write_all(bytes)?;
            file.sync_data()
        };
        let written = write(&mut file, self.intact);
        match written {
            Ok(()) => self.intact += bytes.len() as u64,
            // The next attempt repeats it if it fails.
            Err(_) => drop(file.set_len(self.intact)),
        }
        self.length = file.metadata().map_or(self.intact, |metadata| metadata.len());
        written
    }

    /// Replaces the file atomically: a crash leaves the old one or the new one.
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        };
        if let Err(error) = write() {
            // It takes room, and the next attempt creates it again.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        (self.length, self.intact, self.needs_rewrite) = (bytes.len() as u64, bytes.len() as u64, false);
        // Not all file systems can sync a directory. Without it, a power failure may bring back the old file.
        if let Some(directory) = self.path.parent() {
            let _ = File::open(directory).and_then(|directory| directory.sync_all());
        }
        Ok(())
    }
}

/// Whether the file, or the directory, does not exist.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;

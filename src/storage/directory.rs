//! The directory of the files, and the lock that keeps a second agent out of it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

const IN_USE: &str = "another agent uses this directory, so this one keeps its data in memory only. Give each agent its own \
    directory, or end the other one and restart this one";

/// The lock of a directory.
#[derive(Debug)]
pub(super) enum Lock {
    /// Held while the file is open. The file is closed on `exec`, so a restart in place releases it.
    Held(#[allow(dead_code, reason = "its descriptor holds the lock")] File),
    /// The directory can't be used until the agent is restarted, for this reason.
    Unusable(&'static str),
    /// The directory can't be created, or is not writable.
    Failed(io::Error),
}

impl Lock {
    /// Creates the directory if it does not exist, and locks it. It waits this long for another agent.
    pub(super) fn acquire(directory: &Path, wait: Duration) -> Self {
        let began = Instant::now();
        let file = match open(directory) {
            Ok(file) => file,
            Err(error) => return Self::Failed(error),
        };
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Self::Held(file),
                Err(Errno::WOULDBLOCK) if began.elapsed() < wait => thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => return Self::Unusable(IN_USE),
                Err(error) => return Self::Failed(error.into()),
            }
        }
    }
}

/// Opens the file that is locked. Only the agent's user may read the directory, because it contains personal data.
fn open(directory: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(directory.join("lock"))
}

#[cfg(test)]
mod tests {
    use rustix::io::{FdFlags, fcntl_getfd};

    use super::*;

    #[test]
    fn a_directory_has_one_agent_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let Lock::Held(first) = Lock::acquire(&path, Duration::ZERO) else { panic!("it is not locked") };
        assert!(matches!(Lock::acquire(&path, Duration::ZERO), Lock::Unusable(_)));
        // Otherwise a restart in place would lock itself out.
        assert!(fcntl_getfd(&first).unwrap().contains(FdFlags::CLOEXEC));
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        let ended = thread::spawn(move || {
            thread::sleep(2 * PAUSE);
            drop(first);
        });
        assert!(matches!(Lock::acquire(&path, Duration::from_secs(20)), Lock::Held(_)));
        ended.join().unwrap();
    }
}

//! Fingerprints of the files that a configuration is read from, which show whether one of them changed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use rustix::fs::{OFlags, PROC_SUPER_MAGIC, fstatfs};

/// SHA-256 of the content of a file, so that no secret is kept.
pub(super) type Digest = [u8; 32];

/// The digest of each file that was read, or of the reason why it could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fingerprints(BTreeMap<PathBuf, Fingerprint>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fingerprint {
    /// The maximum length of the file, in bytes.
    most: u64,
    digest: Digest,
}

impl Fingerprints {
    /// Whether a file was read.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Reads a file and keeps its fingerprint.
    pub(super) fn read(&mut self, path: &Path, most: u64) -> Result<Vec<u8>, String> {
        let bytes = read(path, most);
        // The first content of a file counts: if it changes before it is read again, the next check detects this.
        self.0.entry(path.into()).or_insert_with(|| Fingerprint { most, digest: digest_of(&bytes) });
        bytes
    }

    /// Like [`Fingerprints::read`], for UTF-8.
    pub(super) fn read_text(&mut self, path: &Path, most: u64) -> Result<String, String> {
        String::from_utf8(self.read(path, most)?).map_err(|_| "can't be read: it is not UTF-8".into())
    }

    /// Whether the content of all files is unchanged. It reads them, because no notification is sent for a file that is
    /// mounted or behind a link.
    pub(super) fn are_same(&self) -> bool {
        self.0.iter().all(|(path, content)| digest_of(&read(path, content.most)) == content.digest)
    }

    /// The files that were unlinked from every folder. If a single file is mounted and then replaced by a rename, its path
    /// still leads to the old one.
    pub(super) fn unlinked(&self) -> impl Iterator<Item = &Path> {
        // A descriptor that was passed by a shell may never have had a name.
        let is_descriptor = |path: &Path| path.starts_with("/dev") || path.starts_with("/proc");
        let is_unlinked =
            |path: &Path| fs::metadata(path).is_ok_and(|found| found.is_file() && found.nlink() == 0);
        // A file that is being replaced may have no link at this moment, but not at two consecutive checks.
        let is_found = move |path: &&Path| !is_descriptor(path) && is_unlinked(path) && is_unlinked(path);
        self.0.keys().map(PathBuf::as_path).filter(is_found)
    }
}

/// Reads a regular file. Other files may block the reader forever. The open file is checked, because the path may lead
/// to another file later.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    // Don't wait for a writer of a pipe, and don't make a terminal the controlling one.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| format!("can't be read: {error}"))?;
    let found = file.metadata().map_err(|error| format!("can't be read: {error}"))?;
    // Files in /proc are reported as regular, but have no length, and some never end.
    let is_of_proc = || fstatfs(&file).is_ok_and(|system| system.f_type == PROC_SUPER_MAGIC);
    if !found.is_dir() && (!found.is_file() || is_of_proc()) {
        return Err("can't be read: it is not a regular file, but a pipe, a device or a file of /proc".into());
    }
    take(file, most)
}

/// Whether every user of this machine can read a file: it is open to others, and so are all folders above it.
pub(super) fn is_open_to_all(path: &Path) -> bool {
    /// Others may read the file.
    const READ: u32 = 0o004;
    /// Others may enter the folder.
    const ENTER: u32 = 0o001;
    /// The process ID in a container, which has no other users.
    const FIRST: u32 = 1;
    let allows = |path: &Path, mode: u32| fs::metadata(path).is_ok_and(|found| found.mode() & mode != 0);
    let Ok(path) = fs::canonicalize(path) else { return false };
    std::process::id() != FIRST
        && allows(&path, READ)
        && path.ancestors().skip(1).all(|folder| allows(folder, ENTER))
}

pub(super) fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Reads a pipe to its end, without a timeout. A pipe can't be read again.
pub(super) fn read_pipe(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    take(File::open(path).map_err(|error| format!("can't be read: {error}"))?, most)
}

fn take(file: File, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("can't be read: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("is longer than the maximum of {most} bytes"));
    }
    Ok(bytes)
}

fn digest_of(bytes: &Result<Vec<u8>, String>) -> Digest {
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => error.as_bytes(),
    };
    let mut own = [0; 32];
    own.copy_from_slice(digest(&SHA256, bytes).as_ref());
    own
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_change_of_any_file_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, missing] = ["a", "b", "missing"].map(|name| folder.path().join(name));
        fs::write(&a, "one").unwrap();
        fs::write(&b, "long").unwrap();
        let read_all = || {
            let mut contents = Fingerprints::default();
            let read = [&a, &b, &missing].map(|path| contents.read_text(path, 3).is_ok());
            (contents, read)
        };
        let (before, read) = read_all();
        assert_eq!(read, [true, false, false]);
        assert!(before.are_same());
        for change in [
            &|| fs::write(&a, "two").unwrap(),
            &|| fs::write(&b, "fit").unwrap(),
            &|| fs::write(&missing, "").unwrap(),
            &|| fs::remove_file(&a).unwrap(),
            &|| fs::rename(&b, &a).unwrap(),
        ] as [&dyn Fn(); 5]
        {
            let (before, _) = read_all();
            change();
            assert!(!before.are_same());
            assert!(read_all().0.are_same());
        }
        fs::write(&a, b"\xff").unwrap();
        assert_eq!(Fingerprints::default().read_text(&a, 9).unwrap_err(), "can't be read: it is not UTF-8");
    }

    #[test]
    fn a_change_between_two_reads_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared");
        let mut contents = Fingerprints::default();
        for text in ["one", "two"] {
            fs::write(&path, text).unwrap();
            assert_eq!(contents.read_text(&path, 9).unwrap(), text);
        }
        assert!(!contents.are_same());
    }

    #[test]
    fn a_file_is_open_to_all_if_its_folders_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "s").unwrap();
        let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (folders, files, is_open) in [
            (0o755, 0o644, true),
            (0o755, 0o640, false),
            (0o755, 0o600, false),
            (0o750, 0o644, false),
            (0o711, 0o604, true),
        ] {
            allow(folder.path(), folders);
            allow(&path, files);
            assert_eq!(is_open_to_all(&path), is_open, "{folders:o} {files:o}");
        }
        assert!(!is_open_to_all(&folder.path().join("missing")));
    }

    #[test]
    fn only_regular_files_are_read() {
        for path in ["/dev/zero", "/proc/self/environ", "/proc/kmsg"] {
            let refused = Fingerprints::default().read(Path::new(path), 9).unwrap_err();
            assert!(refused.contains("can't be read"), "{path}: {refused}");
        }
        let refused = Fingerprints::default().read(Path::new("/proc/self/environ"), 1 << 20).unwrap_err();
        assert!(refused.contains("not a regular file"), "{refused}");
        assert!(Fingerprints::default().read(Path::new("/"), 9).unwrap_err().contains("directory"));
    }

    #[test]
    fn a_pipe_is_read_only_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut contents = Fingerprints::default();
        let refused = contents.read_text(&pipe, 9).unwrap_err();
        assert!(refused.contains("not a regular file"), "{refused}");
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, "once").unwrap()
        });
        assert_eq!(read_pipe(&pipe, 9).unwrap(), b"once");
        writer.join().unwrap();
        assert!(contents.are_same());
    }
}

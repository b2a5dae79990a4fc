use std::os::unix::fs::PermissionsExt;
use std::sync::{Mutex, MutexGuard};

use tempfile::TempDir;

use super::*;

/// A part that keeps its latest texts.
#[derive(Default)]
struct Texts {
    kept: Mutex<Vec<String>>,
    /// How many are on disk, and how many were offered.
    counts: Mutex<(usize, usize)>,
    /// How many it keeps; 0: all.
    most: usize,
    version: u16,
}

impl Texts {
    fn texts(&self) -> MutexGuard<'_, Vec<String>> {
        self.kept.lock().unwrap()
    }

    fn add(&self, text: &str) {
        self.texts().push(text.into());
    }

    fn records_from(&self, from: usize) -> Vec<Vec<u8>> {
        let texts = self.texts();
        self.counts.lock().unwrap().1 = texts.len();
        texts[from..].iter().map(|text| text.clone().into_bytes()).collect()
    }
}

impl Persist for Texts {
    fn name(&self) -> &'static str {
        "texts"
    }

    fn version(&self) -> u16 {
        self.version
    }

    fn restore(&self, record: &[u8], version: u16) -> Result<(), String> {
        let text = String::from_utf8(record.to_vec()).map_err(|error| error.to_string())?;
        self.add(&if version < self.version { format!("{text} of version {version}") } else { text });
        let count = self.texts().len();
        *self.counts.lock().unwrap() = (count, count);
        Ok(())
    }

    fn records(&self, is_all: bool) -> Vec<Vec<u8>> {
        let (written, count) = (self.counts.lock().unwrap().0, self.texts().len());
        self.records_from(match (is_all, self.most) {
            (false, _) => written,
            (true, 0) => 0,
            (true, most) => count.saturating_sub(most),
        })
    }

    fn written(&self) {
        let mut counts = self.counts.lock().unwrap();
        counts.0 = counts.1;
    }
}

/// The file of a new part with what is restored.
fn restart(folder: &TempDir) -> (Arc<Texts>, StateFile) {
    let part = Arc::new(Texts::default());
    (part.clone(), StateFile::restore(folder.path(), part, &AtomicBool::new(false)))
}

/// A folder with a file of these texts, each written by itself.
fn written(texts: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (part, mut file) = restart(&folder);
    for text in texts {
        part.add(text);
        assert!(file.write().unwrap());
        assert!(!file.write().unwrap(), "nothing is pending");
    }
    folder
}

fn bytes(folder: &TempDir) -> Vec<u8> {
    fs::read(folder.path().join("texts")).unwrap()
}

fn overwrite(folder: &TempDir, bytes: &[u8]) {
    fs::write(folder.path().join("texts"), bytes).unwrap();
}

#[test]
fn a_restart_restores_what_was_written() {
    let folder = written(&["one", "two", "three"]);
    let (part, mut file) = restart(&folder);
    assert_eq!(*part.texts(), ["one", "two", "three"]);
    assert_eq!((&file.blocked, &file.unreadable), (&None, &None));
    let before = bytes(&folder);
    assert!(!file.write().unwrap());
    assert_eq!(bytes(&folder), before, "a restart writes nothing");
    let mode = fs::metadata(folder.path().join("texts")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it has personal data");
}

#[test]
fn nothing_to_store_creates_no_file() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!restart(&folder).1.write().unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_torn_end_is_reported_and_cut_by_the_next_write() {
    let complete = bytes(&written(&["one", "two"]));
    for torn in [1, 5] {
        let folder = written(&["one", "two", "three"]);
        let cut = bytes(&folder).len() - torn;
        overwrite(&folder, &bytes(&folder)[..cut]);
        let (part, mut file) = restart(&folder);
        assert_eq!(*part.texts(), ["one", "two"]);
        assert!(file.unreadable.as_ref().unwrap().starts_with("its last "), "{:?}", file.unreadable);
        part.add("four");
        assert!(file.write().unwrap());
        assert!(bytes(&folder).starts_with(&complete));
        let (part, file) = restart(&folder);
        assert_eq!((&*part.texts().join(" "), file.unreadable), ("one two four", None));
    }
}

#[test]
fn a_damaged_file_is_reported_and_replaced_by_the_next_write() {
    let folder = written(&["one", "two", "three"]);
    let mut damaged = bytes(&folder);
    let two = damaged.windows(3).position(|text| text == b"two").unwrap();
    damaged[two] ^= 1;
    overwrite(&folder, &damaged);
    let (part, mut file) = restart(&folder);
    assert_eq!(*part.texts(), ["one", "three"]);
    assert!(file.unreadable.as_ref().unwrap().contains("bytes are damaged"), "{:?}", file.unreadable);
    assert_eq!(bytes(&folder), damaged, "only a write changes it");
    assert!(file.write().unwrap());
    let (part, file) = restart(&folder);
    assert_eq!((&*part.texts().join(" "), file.unreadable), ("one three", None));
}

#[test]
fn a_file_that_is_not_understood_stays_as_it_is_until_it_is_moved() {
    let mut newer = record::header("texts");
    record::encode("texts", 0, b"old", &mut newer);
    record::encode("texts", 9, b"new", &mut newer);
    for (content, words, restored) in [
        (&b"SQLite format 3\0"[..], "not a file of the agent", ""),
        (&newer, "a newer version", "old"),
        (b"phsweb-agent texts 2\n", "a newer version", ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        overwrite(&folder, content);
        let (part, mut file) = restart(&folder);
        assert_eq!(part.texts().join(" "), restored);
        assert!(file.blocked.as_ref().unwrap().contains(words), "{:?}", file.blocked);
        part.add("memory");
        assert!(!file.write().unwrap());
        assert_eq!(bytes(&folder), content);
        fs::rename(folder.path().join("texts"), folder.path().join("moved")).unwrap();
        assert!(file.write().unwrap());
        assert_eq!(file.blocked, None);
        let expected = [restored, "memory"].join(" ");
        assert_eq!(restart(&folder).0.texts().join(" "), expected.trim(), "everything in memory");
    }
}

#[test]
fn an_older_version_is_read_and_continued() {
    let folder = written(&["one"]);
    let part = Arc::new(Texts { version: 2, ..Texts::default() });
    let mut file = StateFile::restore(folder.path(), part.clone(), &AtomicBool::new(false));
    part.add("two");
    assert!(file.write().unwrap());
    let part = Arc::new(Texts { version: 2, ..Texts::default() });
    StateFile::restore(folder.path(), part.clone(), &AtomicBool::new(false));
    assert_eq!(*part.texts(), ["one of version 0", "two"]);
}

#[test]
fn a_record_that_the_part_rejects_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = record::header("texts");
    for record in [&b"one"[..], b"\xff", b"\xfe", b"two"] {
        record::encode("texts", 0, record, &mut content);
    }
    overwrite(&folder, &content);
    let (part, mut file) = restart(&folder);
    assert_eq!(*part.texts(), ["one", "two"]);
    let why = file.unreadable.clone().unwrap();
    assert!(why.starts_with("2 of its records could not be read: invalid utf-8"), "{why}");
    part.add("three");
    file.write().unwrap();
    assert!(bytes(&folder).starts_with(&content), "a later version may understand them");
}

#[test]
fn a_file_that_another_program_changed_stays_as_it_is() {
    let folder = written(&["one"]);
    let (part, mut file) = restart(&folder);
    part.add("two");
    let other = bytes(&written(&["a", "b", "c"]));
    overwrite(&folder, &other);
    assert!(!file.write().unwrap());
    assert!(file.blocked.unwrap().contains("Restart the agent"));
    assert_eq!(bytes(&folder), other);
}

#[test]
fn what_could_not_be_written_is_written_later() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("directory");
    let part = Arc::new(Texts::default());
    let mut file = StateFile::restore(&directory, part.clone(), &AtomicBool::new(false));
    for text in ["one", "two"] {
        part.add(text);
        assert!(file.write().is_err());
    }
    fs::create_dir(&directory).unwrap();
    assert!(file.write().unwrap());
    let part = Arc::new(Texts::default());
    StateFile::restore(&directory, part.clone(), &AtomicBool::new(false));
    assert_eq!(*part.texts(), ["one", "two"]);
}

#[test]
fn a_file_that_has_grown_is_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let part = Arc::new(Texts { most: 10, ..Texts::default() });
    let mut file = StateFile::restore(folder.path(), part.clone(), &AtomicBool::new(false));
    let mut longest = 0;
    for number in 0..300 {
        part.add(&format!("{number} {}", "x".repeat(1000)));
        file.write().unwrap();
        longest = longest.max(bytes(&folder).len());
    }
    let most = usize::try_from(SLACK).unwrap() + 2 * 10 * 1050 + 2 * 1050;
    assert!((most / 2..most).contains(&longest), "{longest}, expected at most {most}");
    let (part, _) = restart(&folder);
    let texts = part.texts();
    let numbers: Vec<usize> =
        texts.iter().map(|text| text.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (300 - texts.len()..300).collect::<Vec<_>>());
    assert!(texts.len() >= 10);
    let names = fs::read_dir(folder.path()).unwrap();
    assert_eq!(names.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(), ["texts"]);
}

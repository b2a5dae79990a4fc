//! Restores all files at the start, writes them every few minutes and at the end, and reports problems.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use smol::future::{Boxed, FutureExt, pending};
use smol::{Task, Timer, unblock};

use super::directory::Lock;
use super::file::StateFile;
use super::persist::Persist;
use crate::clock::Moment;
use crate::deadline::within;
use crate::executor;
use crate::state::{StorageProblem, StorageState, Store};
use crate::timings::Timings;

/// Maximum time of the last write: the program ends within 2 s.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// The pause after an urgent write. It limits how often clients can cause one.
const URGENT_PAUSE: Duration = Duration::from_millis(250);

/// The stored data of all parts. Dropping it ends the regular writes.
pub struct Storage {
    writer: Arc<Writer>,
    directory: PathBuf,
    _task: Task<()>,
}

impl Storage {
    /// Restores the parts from a directory, and writes their pending records at intervals from now on. A problem does not
    /// prevent that: it is reported in the store and in the log, and data stays in memory.
    pub async fn open(
        directory: PathBuf,
        parts: Vec<Arc<dyn Persist>>,
        store: Arc<Store>,
        timings: &Timings,
    ) -> Self {
        let is_late = Arc::new(AtomicBool::new(false));
        let opening = {
            let (directory, parts, wait) = (directory.clone(), parts.clone(), timings.state_lock);
            let is_late = is_late.clone();
            unblock(move || Disk::open(directory, parts, wait, &is_late))
        };
        let disk = within(timings.state_timeout, opening).await.unwrap_or_else(|| {
            is_late.store(true, Ordering::SeqCst);
            let reason = "it could not be read in time, so data is kept in memory only until the agent is restarted: its \
                          disk or network file system hangs";
            Disk {
                directory: directory.clone(),
                lock: Lock::Unusable(reason),
                files: Vec::new(),
                errors: 0,
                written: None,
            }
        });
        let report = disk.report();
        let timeout = timings.state_timeout;
        let writer = Arc::new(Writer { disk: Mutex::new(disk), parts, store, timeout });
        writer.publish(report);
        let task = executor::spawn(writer.clone().run(timings.state_write));
        Self { writer, directory, _task: task }
    }

    /// Writes what is pending for the last time, within a short timeout.
    pub async fn finish(self) {
        self.writer.parts.iter().for_each(|part| part.finish());
        if within(LAST_WRITE, self.writer.write(None)).await.is_none() {
            let directory = self.directory.display();
            log::warn!("state={directory} msg=\"the last write takes too long: its data is lost\"");
        }
    }
}

/// Writes the files on another thread, because a disk may be slow.
struct Writer {
    disk: Mutex<Disk>,
    parts: Vec<Arc<dyn Persist>>,
    store: Arc<Store>,
    /// See [`Timings::state_timeout`].
    timeout: Duration,
}

impl Writer {
    async fn run(self: Arc<Self>, interval: Duration) {
        let mut next = Instant::now() + interval;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            // A regular write that is due is first, so that urgent ones can't delay it.
            let urgent = if left.is_zero() { None } else { within(left, self.urgent()).await };
            self.write(urgent).await;
            if urgent.is_some() {
                Timer::after(URGENT_PAUSE).await;
            } else {
                next = Instant::now() + interval;
            }
        }
    }

    /// Resolves to the place of a part that must be written soon.
    fn urgent(&self) -> Boxed<usize> {
        let urgent = self.parts.iter().cloned().enumerate().map(|(at, part)| {
            async move {
                part.urgent().await;
                at
            }
            .boxed()
        });
        urgent.fold(pending().boxed(), |all, one| all.or(one).boxed())
    }

    /// Writes the pending records of one part, or of all.
    async fn write(self: &Arc<Self>, only: Option<usize>) {
        let writer = self.clone();
        let report = unblock(move || {
            let mut disk = writer.disk.lock().unwrap_or_else(PoisonError::into_inner);
            disk.write(only);
            disk.report()
        });
        let hanging = async {
            Timer::after(self.timeout).await;
            let mut state = self.store.snapshot().storage.clone();
            let message = "a write takes long: its disk or network file system hangs. The data stays in memory until it is \
                           written";
            let place = state.directory.as_deref().unwrap_or_default().into();
            state.is_saving = false;
            state.problems = [StorageProblem { place, message: message.into() }].into();
            self.publish(state);
            pending().await
        };
        self.publish(report.or(hanging).await);
    }

    /// Publishes a result in the store, and logs what is new in it.
    fn publish(&self, new: StorageState) {
        let old = self.store.snapshot().storage.clone();
        if new == old {
            return;
        }
        for StorageProblem { place, message } in new.problems.iter().filter(|new| !old.problems.contains(new))
        {
            log::warn!("file={place} msg={message:?}");
        }
        if let Some(directory) = new.directory.as_ref().filter(|_| new.is_saving && !old.is_saving) {
            log::info!("state={directory} msg=\"data is saved here\"");
        }
        self.store.note_storage(new);
    }
}

/// The files of a directory.
struct Disk {
    directory: PathBuf,
    lock: Lock,
    files: Vec<StateFile>,
    errors: u64,
    written: Option<Moment>,
}

impl Disk {
    /// Restores the parts, unless another agent uses the directory, or nobody waits for this any more.
    fn open(directory: PathBuf, parts: Vec<Arc<dyn Persist>>, wait: Duration, is_late: &AtomicBool) -> Self {
        let lock = Lock::acquire(&directory, wait);
        // A directory that is read-only can still be read.
        let parts = if matches!(lock, Lock::Unusable(_)) { Vec::new() } else { parts };
        let files = parts.into_iter().map(|part| StateFile::restore(&directory, part, is_late)).collect();
        Self { directory, lock, files, errors: 0, written: None }
    }

    fn write(&mut self, only: Option<usize>) {
        if matches!(self.lock, Lock::Failed(_)) {
            self.lock = Lock::acquire(&self.directory, Duration::ZERO);
        }
        match self.lock {
            Lock::Held(_) => {}
            Lock::Unusable(_) => return,
            Lock::Failed(_) => {
                self.errors += 1;
                return;
            }
        }
        for (_, file) in
            self.files.iter_mut().enumerate().filter(|(at, _)| only.is_none_or(|only| only == *at))
        {
            match file.write() {
                Ok(true) => (self.written, file.error) = (Some(Moment::now()), None),
                Ok(false) => file.error = None,
                Err(error) => {
                    self.errors += 1;
                    let message =
                        format!("could not be written: {error}. The data stays in memory until it can be");
                    file.error = Some(message);
                }
            }
        }
    }

    fn report(&self) -> StorageState {
        let problem = |place: String, message: &String| StorageProblem { place, message: message.clone() };
        let directory = self.directory.display().to_string();
        let mut problems = Vec::new();
        match &self.lock {
            Lock::Held(_) => {}
            Lock::Unusable(reason) => problems.push(problem(directory.clone(), &(*reason).into())),
            Lock::Failed(error) => {
                let message = format!("can't be written: {error}. The data stays in memory until it can be");
                problems.push(problem(directory.clone(), &message));
            }
        }
        for file in &self.files {
            let texts = file.blocked.iter().chain(&file.error);
            problems.extend(texts.map(|message| problem(file.place(), message)));
        }
        let is_saving = problems.is_empty();
        for file in &self.files {
            let texts = file.unreadable.iter().cloned().chain(file.part.warning());
            problems.extend(texts.map(|message| problem(file.place(), &message)));
        }
        let (written, errors) = (self.written, self.errors);
        StorageState {
            directory: Some(directory.into()),
            is_saving,
            written,
            errors,
            problems: problems.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Reload;

    /// A part without data that counts the attempts to write it.
    #[derive(Default)]
    struct Silent(Mutex<usize>);

    impl Persist for Silent {
        fn name(&self) -> &'static str {
            "silent"
        }

        fn restore(&self, _: &[u8], _: u16) -> Result<(), String> {
            Ok(())
        }

        fn records(&self, is_all: bool) -> Vec<Vec<u8>> {
            *self.0.lock().unwrap() += usize::from(!is_all);
            Vec::new()
        }

        fn written(&self) {}
    }

    #[test]
    fn parts_are_written_at_intervals_and_at_the_end() {
        smol::block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
            let part = Arc::new(Silent::default());
            let count = || *part.0.lock().unwrap();
            let open = async |state_write| {
                let timings = Timings { state_write, ..Timings::default() };
                let (parts, store) = (vec![part.clone() as _], store.clone());
                Storage::open(folder.path().into(), parts, store, &timings).await
            };
            let storage = open(Duration::from_secs(3600)).await;
            assert_eq!(count(), 0);
            assert!(store.snapshot().storage.is_saving);
            storage.finish().await;
            assert_eq!(count(), 1);
            let _storage = open(Duration::from_millis(1)).await;
            while count() < 4 {
                Timer::after(Duration::from_millis(1)).await;
            }
        });
    }

    #[test]
    fn a_write_that_hangs_is_reported_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        let part = Arc::new(Silent::default());
        let [state_write, state_timeout] = [1, 200].map(Duration::from_millis);
        let timings = Timings { state_write, state_timeout, ..Timings::default() };
        let parts = vec![part.clone() as _];
        let open = Storage::open(folder.path().into(), parts, store.clone(), &timings);
        let _storage = smol::block_on(open);
        let state = || store.snapshot().storage.clone();
        let pause = || std::thread::sleep(Duration::from_millis(1));
        let hanging = part.0.lock().unwrap();
        while state().problems.is_empty() {
            pause();
        }
        assert!(!state().is_saving && state().problems[0].message.contains("takes long"), "{:?}", state());
        drop(hanging);
        while !state().is_saving || !state().problems.is_empty() {
            pause();
        }
    }

    #[test]
    fn a_directory_that_can_not_be_used_is_reported_until_it_can_be() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        std::fs::write(&path, "").unwrap();
        let mut disk = Disk::open(
            path.join("state"),
            vec![Arc::new(Silent::default()) as _],
            Duration::ZERO,
            &AtomicBool::new(false),
        );
        disk.write(None);
        disk.write(None);
        let report = disk.report();
        assert_eq!((report.errors, report.is_saving, report.problems.len()), (2, false, 1), "{report:?}");
        assert!(report.problems[0].message.contains("Not a directory"), "{report:?}");
        std::fs::remove_file(&path).unwrap();
        disk.write(None);
        let report = disk.report();
        assert_eq!((report.errors, report.is_saving, report.problems.len()), (2, true, 0), "{report:?}");
    }
}

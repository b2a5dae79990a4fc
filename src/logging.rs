//! Writes log lines to standard error, through a queue and one thread.
//!
//! Standard error is usually a pipe to another process. If that process reads slowly, the pipe fills and writes block.
//! Sites and requests must not wait for that, so they only add a line to the queue. Lines that find the queue full are
//! lost, and their number is logged.
//!
//! If that process has ended, or the disk is full, writes fail, and `simple_logger` panics on a failed write. So it never
//! writes to standard error itself: see `StderrBuffer`.
//!
//! Lines that clients can cause are rate-limited: see `limit`. Audit lines are not, and have priority in the queue.

mod limit;
mod line;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsFd;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::io::ioctl_fionbio;
use rustix::stdio::dup2_stderr;
use simple_logger::SimpleLogger;

pub use line::AUDIT;

use limit::Limiter;
use line::LogLine;

/// Maximum number of lines in the queue: a burst from a thousand sites.
const MAX_QUEUED: usize = 1024;

/// Maximum time to write the queued lines at the end: the program must end within 2 s.
const FLUSH: Duration = Duration::from_millis(500);

/// Time between two checks for a due report if none is expected.
const IDLE: Duration = Duration::from_secs(3600);

/// Stack of the thread, in bytes: it formats one line at a time.
const STACK: usize = 128 * 1024;

/// Starts to log. `level` overrides `RUST_LOG`, which overrides the default.
pub fn start(level: Option<LevelFilter>) {
    let writer = SimpleLogger::new().with_level(LevelFilter::Info).env();
    let writer = match level {
        Some(level) => writer.with_level(level),
        None => writer,
    };
    let max_level = writer.max_level();
    // If the log can't get a descriptor, the rest of the program can't get one either.
    let Ok(buffer) = StderrBuffer::new().map(|buffer| STDERR.get_or_init(|| buffer)) else { return };
    let write = move || QUEUE.write(&writer, buffer);
    if thread::Builder::new().name("log".into()).stack_size(STACK).spawn(write).is_ok()
        && log::set_logger(&*QUEUE).is_ok()
    {
        log::set_max_level(max_level);
    }
}

/// Ends the log: writes the queued lines, within a short timeout. Later lines are discarded, and standard error is
/// restored, for a last message or for the program that replaces this one.
pub fn end() {
    QUEUE.report_all();
    let mut state = QUEUE.flushed();
    state.has_ended = true;
    if let Some(buffer) = STDERR.get() {
        // It is still redirected if the thread of the log itself panicked.
        buffer.restore();
    }
}

/// The number of lines that were not written since the start: they exceeded a rate limit, or the queue was full.
pub fn dropped() -> u64 {
    QUEUE.lock().dropped
}

static QUEUE: LazyLock<Queue> = LazyLock::new(Queue::default);

static STDERR: OnceLock<StderrBuffer> = OnceLock::new();

/// Lines to be written. The lock is held to add or remove a line, never to write.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Notified when a line is added.
    more: Condvar,
    /// Notified when all lines are written.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<LogLine>,
    /// Lines that found the queue full since this was last logged.
    lost: usize,
    /// See [`dropped`].
    dropped: u64,
    limiter: Limiter,
    /// Whether a line is being written.
    is_writing: bool,
    has_ended: bool,
}

impl State {
    /// Adds a line. If the queue is full a line is lost: the new one, or for an audit line the oldest other one.
    fn push(&mut self, line: LogLine) {
        if self.lines.len() >= MAX_QUEUED {
            self.lost += 1;
            self.dropped += 1;
            let other = self.lines.iter().position(|queued| !queued.is_audit());
            match other.filter(|_| line.is_audit()) {
                Some(other) => drop(self.lines.remove(other)),
                None => return,
            }
        }
        self.lines.push_back(line);
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines until the log ends.
    fn write(&self, writer: &SimpleLogger, buffer: &StderrBuffer) {
        let mut state = self.lock();
        while !state.has_ended {
            let now = Instant::now();
            let report = state.limiter.report(now, false);
            let Some(line) = report.or_else(|| state.lines.pop_front()) else {
                state.is_writing = false;
                self.idle.notify_all();
                let wait = state.limiter.next_report().map_or(IDLE, |at| at.saturating_duration_since(now));
                state = self.more.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            };
            state.is_writing = true;
            let lost = std::mem::take(&mut state.lost);
            drop(state);
            for LogLine { level, target, text } in std::iter::once(line).chain(lost_lines(lost)) {
                buffer.write(|| {
                    let mut record = Record::builder();
                    record.level(level).target(&target);
                    write_dated(writer, &record.args(format_args!("{text}")).build());
                });
            }
            state = self.lock();
        }
    }

    /// Queues the reports of all suppressed lines.
    fn report_all(&self) {
        let mut state = self.lock();
        while let Some(report) = state.limiter.report(Instant::now(), true) {
            state.push(report);
        }
        drop(state);
        self.more.notify_one();
    }

    /// Waits until all lines are written, or for a short timeout.
    fn flushed(&self) -> MutexGuard<'_, State> {
        let busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        let waited = self.idle.wait_timeout_while(self.lock(), FLUSH, busy);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Writes a line with its time. The times of `simple_logger` would add 10 KiB to the binary.
fn write_dated(writer: &SimpleLogger, record: &Record) {
    if writer.enabled(record.metadata()) {
        // A write to the pipe does not fail, see `StderrBuffer`.
        let _ = write!(io::stderr(), "{} ", humantime::format_rfc3339_millis(SystemTime::now()));
        writer.log(record);
    }
}

/// A pipe of the process itself, which replaces standard error while `simple_logger` writes a line. A write to it neither
/// fails nor blocks, because its reader stays open and it is empty before each line.
struct StderrBuffer {
    writer: PipeWriter,
    reader: PipeReader,
    /// The real standard error.
    stderr: File,
}

impl StderrBuffer {
    fn new() -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        // A read returns the available bytes without waiting.
        ioctl_fionbio(&reader, true)?;
        Ok(Self { writer, reader, stderr: io::stderr().as_fd().try_clone_to_owned()?.into() })
    }

    /// Copies the output of `write` to the real standard error. Errors are ignored: a later line may succeed.
    fn write(&self, write: impl FnOnce()) {
        if dup2_stderr(&self.writer).is_err() {
            return;
        }
        write();
        self.restore();
        let mut line = Vec::new();
        // Always ends with `WouldBlock`, when all available bytes were read.
        let _ = (&self.reader).read_to_end(&mut line);
        let _ = (&self.stderr).write_all(&line);
    }

    /// Restores standard error.
    fn restore(&self) {
        // Can't fail: both descriptors are open.
        let _ = dup2_stderr(&self.stderr);
    }
}

/// The line that reports lost lines, if any.
fn lost_lines(lost: usize) -> Option<LogLine> {
    let text =
        format!("lost={lost} msg=\"log lines were lost: they came faster than they could be written\"");
    (lost > 0).then(|| LogLine { level: Level::Warn, target: module_path!().into(), text })
}

impl Log for Queue {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (line, origin) = (LogLine::of(record), limit::origin(record));
        let mut state = self.lock();
        let admitted =
            if line.is_limited() { state.limiter.admit(origin, line, Instant::now()) } else { Some(line) };
        match admitted {
            Some(line) => state.push(line),
            None => state.dropped += 1,
        }
        drop(state);
        self.more.notify_one();
    }

    fn flush(&self) {
        drop(self.flushed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(target: &str, text: String) -> LogLine {
        LogLine { level: Level::Info, target: target.into(), text }
    }

    #[test]
    fn audit_lines_evict_others_from_a_full_queue() {
        let mut state = State::default();
        for number in 0..=MAX_QUEUED {
            state.push(line("other", number.to_string()));
        }
        assert_eq!((state.lines.len(), state.lost, state.dropped), (MAX_QUEUED, 1, 1));
        state.push(line(AUDIT, "kick".into()));
        assert_eq!((state.lines.len(), state.lost, state.dropped), (MAX_QUEUED, 2, 2));
        let ends = |state: &State| [0, MAX_QUEUED - 1].map(|at| state.lines[at].text.clone());
        assert_eq!(ends(&state), ["1", "kick"]);
        for number in 0..MAX_QUEUED {
            state.push(line(AUDIT, number.to_string()));
        }
        // In a queue of audit lines, the new one is lost.
        assert_eq!(ends(&state), ["kick".to_string(), (MAX_QUEUED - 2).to_string()]);
        assert!(state.lines.iter().all(LogLine::is_audit));
    }
}

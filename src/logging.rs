//! Where log lines go: through a queue to one thread, which writes them.
//!
//! Standard error is a pipe to somebody else. When that reader is slow the pipe fills and a write
//! waits. That may not reach a site or a request, so they only queue a line. What finds the queue
//! full is lost, and how many were is said.
//!
//! When that reader has gone, or the disk is full, a write fails, and `simple_logger` panics where
//! it does. So it never writes there itself: see `Detour`.
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
use line::Line;

/// Most lines waiting to be written: a burst from a thousand sites.
const MAX_WAITING: usize = 1024;

/// Longest wait at the end for the lines under way: the program must end within 2 s.
const FLUSH: Duration = Duration::from_millis(500);

/// From one look for a report that is due to the next, where none is expected.
const IDLE: Duration = Duration::from_secs(3600);

/// Stack of the thread, in bytes: it formats a line at a time.
const STACK: usize = 128 * 1024;

/// Begins to log. `level` stands above `RUST_LOG`, which stands above the default.
pub fn start(level: Option<LevelFilter>) {
    let writer = SimpleLogger::new().with_level(LevelFilter::Info).env();
    let writer = match level {
        Some(level) => writer.with_level(level),
        None => writer,
    };
    let most = writer.max_level();
    // Who has no descriptor left for the log has none for anything else, either.
    let Ok(detour) = Detour::new().map(|detour| DETOUR.get_or_init(|| detour)) else { return };
    let write = move || QUEUE.write(&writer, detour);
    if thread::Builder::new().name("log".into()).stack_size(STACK).spawn(write).is_ok()
        && log::set_logger(&*QUEUE).is_ok()
    {
        log::set_max_level(most);
    }
}

/// Ends the log: waits until what was said is written, but not for long. What is logged after this goes nowhere,
/// and standard error is itself: for a last word, or for the program that takes this one's place.
pub fn end() {
    QUEUE.report_all();
    let mut state = QUEUE.flushed();
    state.has_ended = true;
    if let Some(detour) = DETOUR.get() {
        // It is not itself where the log's own thread has panicked.
        detour.end();
    }
}

/// How many lines were left out since the start: they came faster than they may, or than they could be written.
#[must_use]
pub fn dropped() -> u64 {
    QUEUE.lock().dropped
}

static QUEUE: LazyLock<Queue> = LazyLock::new(Queue::default);

static DETOUR: OnceLock<Detour> = OnceLock::new();

/// Lines on their way. The lock is held to put one in or take one out, never to write.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// A line has come.
    more: Condvar,
    /// All lines are written.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Line>,
    /// Lines that found no place since the last time that was said.
    lost: usize,
    /// Lines that were left out since the start: they found no place, or there were too many like them.
    dropped: u64,
    limiter: Limiter,
    /// Whether a line is being written.
    writing: bool,
    /// Whether none is to be written any more.
    has_ended: bool,
}

impl State {
    /// Adds a line. Where the queue is full a line is lost: that one, or for an audit line the oldest that is none.
    fn push(&mut self, line: Line) {
        if self.lines.len() >= MAX_WAITING {
            self.lost += 1;
            self.dropped += 1;
            let other = self.lines.iter().position(|waiting| !waiting.is_audit());
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

    /// Writes lines as they come, until the log ends.
    fn write(&self, writer: &SimpleLogger, detour: &Detour) {
        let mut state = self.lock();
        while !state.has_ended {
            let now = Instant::now();
            let report = state.limiter.report(now, false);
            let Some(line) = report.or_else(|| state.lines.pop_front()) else {
                state.writing = false;
                self.idle.notify_all();
                let wait = state.limiter.next_report().map_or(IDLE, |at| at.saturating_duration_since(now));
                state = self.more.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            };
            state.writing = true;
            let lost = std::mem::take(&mut state.lost);
            drop(state);
            for Line { level, target, text } in std::iter::once(line).chain(note(lost)) {
                detour.write(|| {
                    let mut record = Record::builder();
                    record.level(level).target(&target);
                    write_dated(writer, &record.args(format_args!("{text}")).build());
                });
            }
            state = self.lock();
        }
    }

    /// Reports the lines that were left out until now.
    fn report_all(&self) {
        let mut state = self.lock();
        while let Some(report) = state.limiter.report(Instant::now(), true) {
            state.push(report);
        }
        drop(state);
        self.more.notify_one();
    }

    /// Waits until all lines are written, but not for long. Late or not at all: the program ends all the same.
    fn flushed(&self) -> MutexGuard<'_, State> {
        let busy = |state: &mut State| state.writing || !state.lines.is_empty();
        let waited = self.idle.wait_timeout_while(self.lock(), FLUSH, busy);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Writes a line with its date. The logger's own dates would take ten KiB more of flash.
fn write_dated(writer: &SimpleLogger, record: &Record) {
    if writer.enabled(record.metadata()) {
        // A write there does not fail, see `Detour`.
        let _ = write!(io::stderr(), "{} ", humantime::format_rfc3339_millis(SystemTime::now()));
        writer.log(record);
    }
}

/// The way of a line to standard error: through a pipe of ours, which stands in for that for as long as
/// `simple_logger` writes. There a write can't fail, as it can where nobody reads any more, and needs not wait,
/// as the pipe is empty before.
struct Detour {
    entrance: PipeWriter,
    exit: PipeReader,
    /// Standard error itself.
    stderr: File,
}

impl Detour {
    fn new() -> io::Result<Self> {
        let (exit, entrance) = pipe()?;
        // What is in it is read, and no more waited for.
        ioctl_fionbio(&exit, true)?;
        Ok(Self { entrance, exit, stderr: io::stderr().as_fd().try_clone_to_owned()?.into() })
    }

    /// Takes what `write` writes to standard error there, or nowhere: the next line may find a reader again.
    fn write(&self, write: impl FnOnce()) {
        if dup2_stderr(&self.entrance).is_err() {
            return;
        }
        write();
        self.end();
        let mut line = Vec::new();
        // It always ends with an error: that there is no more to be read yet.
        let _ = (&self.exit).read_to_end(&mut line);
        let _ = (&self.stderr).write_all(&line);
    }

    /// Lets standard error be itself again.
    fn end(&self) {
        // It can't fail: both are open.
        let _ = dup2_stderr(&self.stderr);
    }
}

/// Says how many lines were lost, if any were.
fn note(lost: usize) -> Option<Line> {
    let text =
        format!("lost={lost} msg=\"log lines were lost: they came faster than they could be written\"");
    (lost > 0).then(|| Line { level: Level::Warn, target: module_path!().into(), text })
}

impl Log for Queue {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (line, place) = (Line::of(record), limit::place(record));
        let mut state = self.lock();
        let admitted =
            if line.is_limited() { state.limiter.admit(place, line, Instant::now()) } else { Some(line) };
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

    fn line(target: &str, text: String) -> Line {
        Line { level: Level::Info, target: target.into(), text }
    }

    #[test]
    fn audit_lines_take_the_place_of_others_in_a_full_queue() {
        let mut state = State::default();
        for number in 0..=MAX_WAITING {
            state.push(line("other", number.to_string()));
        }
        assert_eq!((state.lines.len(), state.lost, state.dropped), (MAX_WAITING, 1, 1));
        state.push(line(AUDIT, "kick".into()));
        assert_eq!((state.lines.len(), state.lost, state.dropped), (MAX_WAITING, 2, 2));
        let ends = |state: &State| [0, MAX_WAITING - 1].map(|at| state.lines[at].text.clone());
        assert_eq!(ends(&state), ["1", "kick"]);
        for number in 0..MAX_WAITING {
            state.push(line(AUDIT, number.to_string()));
        }
        // All are audit lines, and those that wait stay.
        assert_eq!(ends(&state), ["kick".to_string(), (MAX_WAITING - 2).to_string()]);
        assert!(state.lines.iter().all(Line::is_audit));
    }
}

//! Where log lines go: through a queue to one thread, which writes them.
//!
//! Standard error is a pipe to somebody else. When that reader is slow the pipe fills and a write
//! waits; when it has gone, `simple_logger` panics. Neither may reach a site or a request, so
//! they only queue a line. What finds the queue full is lost, and how many were is said.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

/// Most lines waiting to be written: a burst from a thousand sites.
const MAX_WAITING: usize = 1024;

/// Longest wait at the end for the lines under way: the program must end within 2 s.
const FLUSH: Duration = Duration::from_millis(500);

/// Stack of the thread, in bytes: it formats a line at a time.
const STACK: usize = 128 * 1024;

/// Begins to log. `level` stands above `RUST_LOG`, which stands above the default.
pub fn start(level: Option<LevelFilter>) {
    let writer = SimpleLogger::new()
        .with_utc_timestamps()
        .with_level(LevelFilter::Info)
        .env()
        // It calls an error what the gate does on purpose: no more connections are wanted.
        .with_module_level("tiny_http", LevelFilter::Off);
    let writer = match level {
        Some(level) => writer.with_level(level),
        None => writer,
    };
    let most = writer.max_level();
    let write = move || QUEUE.write(&writer);
    if thread::Builder::new().name("log".into()).stack_size(STACK).spawn(write).is_ok()
        && log::set_logger(&*QUEUE).is_ok()
    {
        log::set_max_level(most);
    }
}

static QUEUE: LazyLock<Queue> = LazyLock::new(Queue::default);

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
    /// Whether a line is being written.
    writing: bool,
}

struct Line {
    level: Level,
    target: String,
    text: String,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines as they come, for ever.
    fn write(&self, writer: &SimpleLogger) {
        let mut state = self.lock();
        loop {
            let Some(line) = state.lines.pop_front() else {
                state.writing = false;
                self.idle.notify_all();
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.writing = true;
            let lost = std::mem::take(&mut state.lost);
            drop(state);
            for Line { level, target, text } in std::iter::once(line).chain(note(lost)) {
                let put = AssertUnwindSafe(|| {
                    writer.log(
                        &Record::builder().level(level).target(&target).args(format_args!("{text}")).build(),
                    );
                });
                // It panics where nobody reads any more; the next line may find a reader again.
                let _ = catch_unwind(put);
            }
            state = self.lock();
        }
    }
}

/// Says how many lines were lost, if any were.
fn note(lost: usize) -> Option<Line> {
    let text = format!("{lost} lines were lost: they came faster than they could be written");
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
        let text = record.args().to_string();
        let line = Line { level: record.level(), target: record.target().into(), text };
        let mut state = self.lock();
        if state.lines.len() < MAX_WAITING {
            state.lines.push_back(line);
        } else {
            state.lost += 1;
        }
        drop(state);
        self.more.notify_one();
    }

    fn flush(&self) {
        let busy = |state: &mut State| state.writing || !state.lines.is_empty();
        // Late or not at all: the program ends all the same.
        drop(self.idle.wait_timeout_while(self.lock(), FLUSH, busy));
    }
}

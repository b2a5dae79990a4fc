//! Where log lines go: through a queue to one thread, which writes them.
//!
//! Standard error is a pipe to somebody else. When that reader is slow the pipe fills and a write
//! waits; when it has gone, `simple_logger` panics. Neither may reach a site or a request, so
//! they only queue a line. What finds the queue full is lost, and how many were is said.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
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
    let (queue, waiting) = sync_channel(MAX_WAITING);
    let lost: &'static AtomicUsize = Box::leak(Box::default());
    let write = move || write(&writer, &waiting, lost);
    if thread::Builder::new().name("log".into()).stack_size(STACK).spawn(write).is_ok()
        && log::set_boxed_logger(Box::new(Lines { queue, lost })).is_ok()
    {
        log::set_max_level(most);
    }
}

enum Message {
    Line { level: Level, target: String, text: String },
    Flush(SyncSender<()>),
}

struct Lines {
    queue: SyncSender<Message>,
    lost: &'static AtomicUsize,
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            let line = Message::Line { level: record.level(), target: record.target().into(), text };
            if self.queue.try_send(line).is_err() {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn flush(&self) {
        let (done, flushed) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            // Late or not at all: the program ends all the same.
            let _ = flushed.recv_timeout(FLUSH);
        }
    }
}

fn write(writer: &SimpleLogger, waiting: &Receiver<Message>, lost: &AtomicUsize) {
    let put = |level, target: &str, text: &str| {
        let line = AssertUnwindSafe(|| {
            writer.log(&Record::builder().level(level).target(target).args(format_args!("{text}")).build());
        });
        // It panics where nobody reads any more; the next line may find a reader again.
        let _ = catch_unwind(line);
    };
    for message in waiting {
        match message {
            Message::Line { level, target, text } => put(level, &target, &text),
            Message::Flush(done) => {
                let _ = done.try_send(());
            }
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            put(
                Level::Warn,
                module_path!(),
                &format!("{lost} lines were lost: they came faster than they could be written"),
            );
        }
    }
}

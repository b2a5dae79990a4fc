//! Runs tasks on one thread that all of them share.
//!
//! It does what `smol::spawn` does, without the part that waits for child processes: the agent has none, and that part
//! would be 10 KB of the binary.

use std::sync::Once;
use std::thread;

use smol::{Executor, Task, block_on, future};

static EXECUTOR: Executor<'static> = Executor::new();

/// Runs a future on the thread of all tasks, until it ends or the task is dropped.
///
/// # Panics
///
/// When the system has no thread left for the first task. The program then restarts, and waits before it does so again.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    start();
    EXECUTOR.spawn(future)
}

/// Starts the thread, the first time.
fn start() {
    static THREAD: Once = Once::new();
    THREAD.call_once(|| {
        let run = || block_on(EXECUTOR.run(future::pending::<()>()));
        if let Err(error) = thread::Builder::new().name("executor".into()).spawn(run) {
            panic!("no thread for tasks: {error}");
        }
    });
}

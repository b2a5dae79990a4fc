//! Runs all tasks on one shared thread.
//!
//! It replaces `smol::spawn`, whose support of child processes would add 10 KB to the binary. The agent starts none.

use std::sync::Once;
use std::thread;

use smol::future::{self, FutureExt};
use smol::{Executor, Task, block_on};

static EXECUTOR: Executor<'static> = Executor::new();

/// Runs a future on the thread of all tasks, until it ends or the task is dropped.
///
/// It is boxed, so that the code of a task exists once for all types of futures.
///
/// # Panics
///
/// If the system can't start the thread for the first task. The program then restarts, with a growing delay.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    start();
    EXECUTOR.spawn(future.boxed())
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

//! Limits the time of a future.

use std::time::Duration;

use smol::Timer;
use smol::future::FutureExt;

/// The output of a future, or `None` if it takes longer than this. What is ready at once counts, even if no time is left.
pub async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let passed = async {
        Timer::after(time).await;
        None
    };
    async { Some(future.await) }.or(passed).await
}

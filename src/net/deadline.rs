//! Deadlines of a future, with messages that name them.

use std::time::Duration;

use super::error::{Cause, Error};
use crate::deadline;

/// The output of `future`, or an error with this cause if it takes longer than `timeout`. The message is `what`,
/// followed by the time.
///
/// # Errors
///
/// If the timeout has passed.
pub(super) async fn within<T>(
    future: impl Future<Output = T>,
    timeout: Duration,
    cause: Cause,
    what: &str,
) -> Result<T, Error> {
    deadline::within(timeout, future).await.ok_or_else(|| Error::new(cause, exceeded(what, timeout)))
}

/// The message for a deadline that has passed, such as `no answer to /login within 5s`.
pub fn exceeded(what: &str, timeout: Duration) -> String {
    /// Rounded up to this, because earlier steps have used a little of the configured time.
    const STEP_MS: u128 = 50;
    let rounded = timeout.as_millis().div_ceil(STEP_MS) * STEP_MS;
    let rounded = Duration::from_millis(u64::try_from(rounded).unwrap_or(u64::MAX));
    format!("{what} within {}", humantime::format_duration(rounded))
}

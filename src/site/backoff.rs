//! How long to leave a router alone after a failure.

use std::time::Duration;

use crate::routeros::error::Cause;

/// Shortest and longest wait after a failure.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The same after a refused login: each try is a line in the router's log, and a wrong
/// password does not mend itself.
const WAIT_AUTH: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(900));

/// A session that lasted this long was a good one; shorter ones in a row count as failures,
/// or a router that ends each session at once would be logged in to every second.
const GOOD_SESSION: Duration = Duration::from_secs(60);

/// Waits that double with each failure in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after a failure of this `cause`, of a session that `lasted`.
    pub(super) fn next(&mut self, cause: Cause, lasted: Duration) -> Duration {
        if lasted >= GOOD_SESSION {
            self.failures = 0;
        }
        let (least, most) = if cause == Cause::Auth { WAIT_AUTH } else { WAIT };
        let doubled = least.saturating_mul(2u32.saturating_pow(self.failures)).min(most);
        self.failures = self.failures.saturating_add(1);
        // Up to a quarter less, so that sites lost together don't come back together.
        doubled.mul_f64(1.0 - fastrand::f64() / 4.0).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_ends() {
        for (cause, (least, most)) in [(Cause::Refused, WAIT), (Cause::Auth, WAIT_AUTH)] {
            let mut backoff = Backoff::default();
            let mut expected = least;
            for _ in 0..40 {
                let wait = backoff.next(cause, Duration::ZERO);
                assert!(
                    wait <= expected && wait >= least.max(expected.mul_f64(0.75)),
                    "{wait:?} of {expected:?}"
                );
                expected = (expected * 2).min(most);
            }
            assert_eq!(expected, most);
            assert!(backoff.next(cause, GOOD_SESSION) < least * 2, "a good session starts it anew");
        }
    }
}

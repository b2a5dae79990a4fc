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

/// Waits that double with each failure of a kind in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// Refused logins, which have waits of their own.
    refused: u32,
}

impl Backoff {
    /// How long to wait after a failure of this `cause`, of a session that `lasted`.
    pub(super) fn next(&mut self, cause: Cause, lasted: Duration) -> Duration {
        if lasted >= GOOD_SESSION {
            *self = Self::default();
        }
        let (count, (least, most)) = if cause == Cause::Auth {
            // Who refuses can be reached.
            self.failures = 0;
            (&mut self.refused, WAIT_AUTH)
        } else {
            (&mut self.failures, WAIT)
        };
        let doubled = least.saturating_mul(2u32.saturating_pow(*count));
        *count = count.saturating_add(1);
        // Up to a quarter more, so that sites lost together don't come back together.
        doubled.min(most.mul_f64(1.0 / 1.25)).mul_f64(1.0 + fastrand::f64() / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_ends() {
        for (cause, (least, most)) in [(Cause::Refused, WAIT), (Cause::Auth, WAIT_AUTH)] {
            let mut backoff = Backoff::default();
            let mut base = least;
            for _ in 0..40 {
                let wait = backoff.next(cause, Duration::ZERO);
                assert!(
                    wait >= base.min(most.mul_f64(0.79)) && wait <= base.mul_f64(1.25).min(most),
                    "{wait:?}"
                );
                base = (base * 2).min(most);
            }
            assert_eq!(base, most);
            assert!(backoff.next(cause, GOOD_SESSION) <= least.mul_f64(1.25), "a good session starts anew");
        }
    }

    #[test]
    fn the_first_refused_login_waits_a_minute_after_whatever_outage() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.next(Cause::Unreachable, Duration::ZERO);
        }
        let wait = backoff.next(Cause::Auth, Duration::ZERO);
        assert!(wait >= WAIT_AUTH.0 && wait <= WAIT_AUTH.0.mul_f64(1.25), "{wait:?}");
        assert!(backoff.next(Cause::Unreachable, Duration::ZERO) <= WAIT.0.mul_f64(1.25));
    }

    #[test]
    fn refused_logins_wait_longer_though_other_failures_come_between() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.next(Cause::Auth, Duration::ZERO);
            backoff.next(Cause::Closed, Duration::ZERO);
        }
        assert!(backoff.next(Cause::Auth, Duration::ZERO) >= WAIT_AUTH.1.mul_f64(0.79));
    }

    #[test]
    fn sites_lost_together_come_back_apart() {
        let waits: Vec<Duration> =
            (0..20).map(|_| Backoff::default().next(Cause::Refused, Duration::ZERO)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }
}

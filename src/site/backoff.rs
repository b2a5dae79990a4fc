//! Exponential backoff: how long to wait after a failed connection or a refused login.

use std::time::Duration;

use crate::routeros::error::Cause;
use crate::timings::Timings;

/// Waits that double with each consecutive failure of a kind.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// Refused logins. They have longer waits.
    refused_logins: u32,
}

impl Backoff {
    /// How long to wait after a failure with this `cause`, of a session that `lasted` this long.
    pub(super) fn next(&mut self, timings: &Timings, cause: Cause, lasted: Duration) -> Duration {
        if lasted >= timings.retry_reset {
            *self = Self::default();
        }
        let (count, (least, most)) = if cause == Cause::Auth {
            // A refused login proves that the router is reachable, so other failures start again at the shortest wait.
            self.failures = 0;
            (&mut self.refused_logins, (timings.auth_retry_min, timings.auth_retry_max))
        } else {
            (&mut self.failures, (timings.retry_min, timings.retry_max))
        };
        let doubled = least.saturating_mul(2u32.saturating_pow(*count));
        *count = count.saturating_add(1);
        // Up to a quarter is added, so that sites that were lost together do not reconnect together. The maximum
        // includes it.
        doubled.min(most.mul_f64(1.0 / 1.25)).mul_f64(1.0 + fastrand::f64() / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next wait by the default timings.
    fn next(backoff: &mut Backoff, cause: Cause, lasted: Duration) -> Duration {
        backoff.next(&Timings::default(), cause, lasted)
    }

    #[test]
    fn waits_double_up_to_their_maximum() {
        let timings = Timings::default();
        for (cause, least, most) in [
            (Cause::Refused, timings.retry_min, timings.retry_max),
            (Cause::Auth, timings.auth_retry_min, timings.auth_retry_max),
        ] {
            let mut backoff = Backoff::default();
            let mut base = least;
            for _ in 0..40 {
                let wait = next(&mut backoff, cause, Duration::ZERO);
                assert!(
                    wait >= base.min(most.mul_f64(0.79)) && wait <= base.mul_f64(1.25).min(most),
                    "{wait:?}"
                );
                base = (base * 2).min(most);
            }
            assert_eq!(base, most);
            assert!(
                next(&mut backoff, cause, timings.retry_reset) <= least.mul_f64(1.25),
                "a long session resets the waits"
            );
        }
    }

    #[test]
    fn the_first_refused_login_waits_a_minute_after_any_outage() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            next(&mut backoff, Cause::Unreachable, Duration::ZERO);
        }
        let wait = next(&mut backoff, Cause::Auth, Duration::ZERO);
        assert!(
            wait >= Timings::default().auth_retry_min
                && wait <= Timings::default().auth_retry_min.mul_f64(1.25),
            "{wait:?}"
        );
        assert!(
            next(&mut backoff, Cause::Unreachable, Duration::ZERO)
                <= Timings::default().retry_min.mul_f64(1.25)
        );
    }

    #[test]
    fn refused_logins_wait_longer_even_with_other_failures_in_between() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            next(&mut backoff, Cause::Auth, Duration::ZERO);
            next(&mut backoff, Cause::Closed, Duration::ZERO);
        }
        assert!(
            next(&mut backoff, Cause::Auth, Duration::ZERO)
                >= Timings::default().auth_retry_max.mul_f64(0.79)
        );
    }

    #[test]
    fn sites_lost_together_reconnect_at_different_times() {
        let waits: Vec<Duration> =
            (0..20).map(|_| next(&mut Backoff::default(), Cause::Refused, Duration::ZERO)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }
}

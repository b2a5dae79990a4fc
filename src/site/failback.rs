//! Failback: when to return from a later host of a site to an earlier one that has recovered.

use std::time::Duration;

use smol::{Timer, future};

use super::context::SiteContext;
use crate::config;
use crate::routeros::client::connect;
use crate::timings::Timings;

/// Consecutive probes that an earlier host must pass before the first failback.
const MIN_PROBES: u32 = 3;

/// Upper bound of that number after many failbacks: with one probe per minute, an hour.
const MAX_PROBES: u32 = 60;

/// The number of consecutive probes that an earlier host must pass. Each failback doubles that number, so that the
/// agent does not keep returning to a host that fails under load.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailbackPolicy {
    probes: u32,
}

impl Default for FailbackPolicy {
    fn default() -> Self {
        Self { probes: MIN_PROBES }
    }
}

impl FailbackPolicy {
    pub(super) fn record_failback(&mut self) {
        self.probes = (self.probes * 2).min(MAX_PROBES);
    }

    /// Records that a session ended after this time.
    pub(super) fn record_session(&mut self, timings: &Timings, lasted: Duration) {
        if lasted >= timings.failback_reset {
            *self = Self::default();
        }
    }

    /// Waits until a host before the one `in_use` has passed enough consecutive probes. A probe connects without a
    /// login, because the router logs each login.
    pub(super) async fn host_recovered(&self, site: &SiteContext, config: &config::Site, in_use: usize) {
        let earlier = &config.hosts[..in_use];
        if earlier.is_empty() {
            return future::pending().await;
        }
        let (least, most) = (site.timings.failback_probe_min, site.timings.failback_probe_max);
        let interval = config.refresh.clamp(least, most);
        let mut passed = vec![0; earlier.len()];
        loop {
            Timer::after(interval).await;
            for (at, (host, passed)) in earlier.iter().zip(&mut passed).enumerate() {
                let tls = config.tls_of(at);
                // Boxed, because a site with one host never needs its memory.
                let probe = Box::pin(connect((&host.name, host.port), &tls, config.connect_timeout));
                let error = probe.await.err();
                *passed = if error.is_none() { *passed + 1 } else { 0 };
                site.update(|site| site.host_tried(at, error));
                if *passed >= self.probes {
                    return;
                }
            }
        }
    }
}

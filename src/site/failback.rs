//! Which of a site's hosts: the first that answers, and back to an earlier one when it is well again.

use std::time::Duration;

use smol::{Timer, future};

use super::context::SiteContext;
use crate::config;
use crate::routeros::connect::connect;
use crate::timings::Timings;

/// Connections in a row that an earlier host must have taken before it is gone back to.
const LEAST_NEEDED: u32 = 3;

/// The same for one that was gone back to again and again: at a minute each, an hour.
const MOST_NEEDED: u32 = 60;

/// How much an earlier host must have shown before it is trusted again. Each return costs twice as
/// much patience as the one before, so that a host which fails under load is not gone back to all day.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailbackPolicy {
    needed: u32,
}

impl Default for FailbackPolicy {
    fn default() -> Self {
        Self { needed: LEAST_NEEDED }
    }
}

impl FailbackPolicy {
    /// An earlier host is gone back to.
    pub(super) fn returns(&mut self) {
        self.needed = (self.needed * 2).min(MOST_NEEDED);
    }

    /// A session ended that lasted so long.
    pub(super) fn lasted(&mut self, timings: &Timings, lasted: Duration) {
        if lasted >= timings.failback_reset {
            *self = Self::default();
        }
    }

    /// Waits until a host before the one `in_use` has taken enough connections in a row. None is logged in
    /// to: that would be a line in the router's log each time.
    pub(super) async fn host_recovered(&self, site: &SiteContext, config: &config::Site, in_use: usize) {
        let earlier = &config.hosts[..in_use];
        if earlier.is_empty() {
            return future::pending().await;
        }
        let (least, most) = (site.timings.failback_probe_min, site.timings.failback_probe_max);
        let interval = config.refresh.clamp(least, most);
        let mut taken = vec![0; earlier.len()];
        loop {
            Timer::after(interval).await;
            for (at, (host, taken)) in earlier.iter().zip(&mut taken).enumerate() {
                let tls = config.tls_of(at);
                let took = connect((&host.name, host.port), &tls, config.connect_timeout).await;
                let error = took.err();
                *taken = if error.is_none() { *taken + 1 } else { 0 };
                site.update(|site| site.host_tried(at, error));
                if *taken >= self.needed {
                    return;
                }
            }
        }
    }
}

//! The memory budget: limits for the state of all sites together and for replies and responses in progress.
//!
//! Limits per connection add up over sites. The budget is the memory limit of the process. `PROGRAM` bytes of it are for
//! the program itself. The rest is divided by purpose, in sixteenths:
//!
//! | share | purpose |
//! | --- | --- |
//! | 3 | the state of the sites ([`Budget::kept`]) |
//! | 3 | the next state of a site, which is built while the previous one is in use, and previous states in event queues |
//! | 3 | replies that are being received from routers ([`Replies`]) |
//! | 7 | HTTP responses: a large one exists twice while it is sent, see [`Budget::answer`] |

mod limit;
mod replies;

use std::path::Path;
use std::sync::Arc;

pub(crate) use replies::MAX_WAIT;
pub use replies::{Account, Held, Replies, Turn};

/// The environment variable that sets the budget in bytes. It is for tests only and may change at any time.
pub const TEST_VARIABLE: &str = "PHSWEB_AGENT_TEST_MEMORY";

/// The budget if the system has no limit: that of the systemd unit.
const DEFAULT: usize = 64 << 20;

/// Largest budget. 50,000 sessions at 500 sites take a fourth of its share for the state of the sites.
const MAX: usize = 256 << 20;

/// Memory of the program itself: code, stacks, buffers, HTTP connections, and fragments that the allocator can't return.
const PROGRAM: usize = 9 << 20;

/// Smallest budget: smaller shares could not hold one hotspot.
const MIN: usize = 16 << 20;

/// Overhead of an allocation in bytes: header and rounding.
pub const ALLOCATION: usize = 24;

/// The memory limit of each purpose.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Maximum number of bytes of the state of all sites.
    pub kept: usize,
    /// Maximum number of bytes of one HTTP response.
    pub answer: usize,
    /// Replies that are being received from all routers.
    pub replies: Arc<Replies>,
}

impl Budget {
    /// A budget of this many bytes.
    pub fn of(bytes: usize) -> Self {
        let sixteenth = (bytes.clamp(MIN, MAX) - PROGRAM) / 16;
        Self { kept: 3 * sixteenth, answer: 7 * sixteenth / 2, replies: Replies::new(3 * sixteenth) }
    }

    /// The budget of this process.
    pub fn of_process() -> Self {
        let test_value = std::env::var(TEST_VARIABLE).ok().and_then(|bytes| bytes.parse().ok());
        let bytes =
            test_value.unwrap_or_else(|| limit::of_process(Path::new("/")).unwrap_or(DEFAULT).min(MAX));
        log::debug!("budget={bytes} msg=\"memory budget in bytes\"");
        Self::of(bytes)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(DEFAULT)
    }
}

/// The largest limit per item with which all items together fit into `total`, so that only the largest items are
/// truncated. `usize::MAX` if no item must be truncated.
pub fn fair_limit(sizes: impl IntoIterator<Item = usize>, total: usize) -> usize {
    let mut sizes: Vec<usize> = sizes.into_iter().collect();
    sizes.sort_unstable();
    let (mut left, mut rest) = (total, sizes.len());
    for size in sizes {
        if size > left / rest {
            return left / rest;
        }
        left -= size;
        rest -= 1;
    }
    usize::MAX
}

/// The first items that together take up to `max_bytes`.
pub fn first<T>(items: &[T], cost: impl Fn(&T) -> usize, max_bytes: usize) -> &[T] {
    let mut left = max_bytes;
    let fits = |item: &&T| {
        let rest = left.checked_sub(cost(item));
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    let count = items.iter().take_while(fits).count();
    &items[..count]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_items_that_fit_are_taken() {
        for (most, count) in [(0, 0), (1, 1), (2, 1), (3, 2), (5, 2), (6, 3), (100, 3)] {
            assert_eq!(first(&[1, 2, 3], |item| *item, most).len(), count, "{most}");
        }
    }

    #[test]
    fn the_largest_are_truncated_first() {
        for (sizes, most, limit) in [
            (&[][..], 0, usize::MAX),
            (&[5, 5], 10, usize::MAX),
            (&[5, 6], 10, 5),
            (&[1, 100, 2], 10, 7),
            (&[100, 1, 100], 11, 5),
            (&[100, 100], 0, 0),
            (&[usize::MAX, 3], 9, 6),
        ] {
            assert_eq!(fair_limit(sizes.iter().copied(), most), limit, "{sizes:?} into {most}");
            let sum: usize = sizes.iter().map(|size| size.min(&limit)).sum();
            assert!(sum <= most, "{sizes:?} into {most}");
        }
    }

    #[test]
    fn the_shares_are_within_the_budget() {
        for bytes in [0, 32 << 20, 64 << 20, 256 << 20, usize::MAX] {
            let budget = Budget::of(bytes);
            let used = 2 * budget.kept + budget.replies.size() + 2 * budget.answer;
            assert!(used + PROGRAM <= bytes.clamp(MIN, MAX), "{bytes}");
        }
    }
}

//! The memory budget: how much may be kept of what routers say, and of answers in progress, for all sites together.
//!
//! Limits of one connection add up over sites. The budget is the process's memory limit. `PROGRAM` bytes of it are for
//! the program itself, and each share of the rest is for one purpose. In sixteenths:
//!
//! | share | is for |
//! | --- | --- |
//! | 4 | what is known of the sites ([`Budget::kept`]) |
//! | 4 | the next state of a site, which is built while the one before it is still shown |
//! | 3 | replies on their way from routers ([`Replies`]) |
//! | 5 | HTTP answers: a large one is there twice while it is sent, see [`Budget::answer`] |

mod limit;
mod replies;

use std::path::Path;
use std::sync::Arc;

pub(crate) use replies::MAX_WAIT;
pub use replies::{Account, Held, Replies, Turn};

/// Names the budget in bytes. For tests only, and may change at any time.
pub const TEST_VARIABLE: &str = "PHSWEB_AGENT_TEST_MEMORY";

/// The budget where the system tells no limit: that of the systemd unit.
const USUAL: usize = 64 << 20;

/// Largest budget. 50,000 sessions at 500 sites take half of what of it is for what is known.
const MOST: usize = 256 << 20;

/// What the program itself takes: code, stacks, buffers, clients of the page, and what the allocator can't give back.
const PROGRAM: usize = 9 << 20;

/// Smallest budget: the shares of less hold no hotspot.
const LEAST: usize = 16 << 20;

/// What an allocation takes beside its bytes: its header and what it is rounded up by.
pub const ALLOCATION: usize = 24;

/// How much memory may be used for what.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Most bytes of what is known of all sites.
    pub kept: usize,
    /// Most bytes of one HTTP answer.
    pub answer: usize,
    /// Replies on their way from all routers.
    pub replies: Arc<Replies>,
}

impl Budget {
    /// The budget of so many bytes.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        let sixteenth = (bytes.clamp(LEAST, MOST) - PROGRAM) / 16;
        Self { kept: 4 * sixteenth, answer: 5 * sixteenth / 2, replies: Replies::new(3 * sixteenth) }
    }

    /// The budget of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let given = std::env::var(TEST_VARIABLE).ok().and_then(|bytes| bytes.parse().ok());
        let bytes = given.unwrap_or_else(|| limit::of_process(Path::new("/")).unwrap_or(USUAL).min(MOST));
        log::debug!("budget={bytes} msg=\"memory for what is known and for answers\"");
        Self::of(bytes)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(USUAL)
    }
}

/// The size that none of these may exceed so that together they fit into `most`: as large as possible, so that only the
/// largest are cut. `usize::MAX` where all of them fit as they are.
#[must_use]
pub fn fair_limit(sizes: impl IntoIterator<Item = usize>, most: usize) -> usize {
    let mut sizes: Vec<usize> = sizes.into_iter().collect();
    sizes.sort_unstable();
    let (mut left, mut rest) = (most, sizes.len());
    for size in sizes {
        if size > left / rest {
            return left / rest;
        }
        left -= size;
        rest -= 1;
    }
    usize::MAX
}

/// The first of these items that together take up to `most` bytes.
#[must_use]
pub fn first<T>(items: &[T], cost: impl Fn(&T) -> usize, most: usize) -> &[T] {
    let mut left = most;
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
    fn the_largest_are_cut_first() {
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
            assert!(used + PROGRAM <= bytes.clamp(LEAST, MOST), "{bytes}");
        }
    }
}

//! How much of its limits a user or a session has used.

/// A limit of a user or a session, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes or seconds.
    pub used: u64,
    /// The limit in the same unit, which is not zero. That of a session is what was left at its login.
    pub limit: u64,
    /// Whether the limit is a time, in seconds.
    pub is_time: bool,
}

impl Quota {
    /// Of usages with their limits, and whether these are times, the one with the largest share.
    pub(super) fn largest(of: [(u64, Option<u64>, bool); 4]) -> Option<Self> {
        let limited =
            of.into_iter().filter_map(|(used, limit, is_time)| Some(Self { used, limit: limit?, is_time }));
        limited.max_by(|one, other| one.share().total_cmp(&other.share()))
    }

    /// The used share, from 0 to 1.
    pub fn share(self) -> f64 {
        self.used as f64 / self.limit as f64
    }

    /// The used share in these parts of the whole, rounded down.
    pub fn parts(self, whole: u64) -> u64 {
        let parts = u128::from(self.used) * u128::from(whole) / u128::from(self.limit.max(1));
        u64::try_from(parts).unwrap_or(u64::MAX)
    }
}

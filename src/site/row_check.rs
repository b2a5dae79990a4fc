//! Detects lists that lack rows: compares them from time to time with the number of rows that the router counts.
//!
//! Users log in and out while rows are sent, so a single difference is not an error. A check fails if the router counts
//! more rows than it listed, and counts the same number again after the list. Only several consecutive failures are
//! reported. After the first failure each read is checked until list and count agree.

use std::time::{Duration, Instant};

use crate::plugin::Answer;
use crate::routeros::value;

/// Consecutive failed checks before missing rows are reported.
const MAX_MISSES: u32 = 3;

/// The checks of one connection.
#[derive(Debug)]
pub(super) struct RowCheck {
    interval: Duration,
    /// When the next check is due; `None` if the router does not count.
    next: Option<Instant>,
    /// Consecutive checks that found rows missing.
    misses: u32,
    /// Rows listed and counted, from [`MAX_MISSES`] on.
    missing: Option<(u64, u64)>,
}

impl RowCheck {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, next: Some(Instant::now() + interval), misses: 0, missing: None }
    }

    pub(super) fn is_due(&self) -> bool {
        self.next.is_some_and(|next| self.misses > 0 || next <= Instant::now())
    }

    /// Compares a list with a count that was queried together with it. Returns the count if rows may be missing: the
    /// router must then count again, for [`Self::confirm`].
    pub(super) fn compare(&mut self, list: Option<&Answer>, count: Option<&Answer>) -> Option<u64> {
        self.next = Some(Instant::now() + self.interval);
        let counted = self.counted(count)?;
        let list = list?.as_ref().ok().filter(|list| list.partial().is_none())?;
        let listed = list.rows.iter().filter(|row| row.attributes().next().is_some()).count() as u64;
        if counted <= listed {
            (self.misses, self.missing) = (0, None);
            return None;
        }
        if self.misses >= MAX_MISSES {
            self.missing = Some((listed, counted));
            return None;
        }
        Some(counted)
    }

    /// Ends a check with its second count. It equals the first one unless users logged in or out.
    pub(super) fn confirm(&mut self, first: u64, second: Option<&Answer>) {
        self.misses += u32::from(self.counted(second) == Some(first));
    }

    /// The reason why a list is partial, if it is.
    pub(super) fn partial(&self) -> Option<String> {
        self.missing.map(|(listed, counted)| format!("{listed} of {counted} rows are listed"))
    }

    /// Reads a count. If the router refuses to count, or answers in another form, the agent does not ask again over
    /// this connection.
    fn counted(&mut self, count: Option<&Answer>) -> Option<u64> {
        match count? {
            Ok(reply) => {
                let counted = reply.ret.as_deref().and_then(value::number);
                if counted.is_none() {
                    self.give_up();
                }
                counted
            }
            Err(error) => {
                if error.is_refusal() {
                    self.give_up();
                }
                None
            }
        }
    }

    fn give_up(&mut self) {
        (self.next, self.misses, self.missing) = (None, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routeros::client::Reply;
    use crate::routeros::error::{Cause, Error, Trap};
    use crate::routeros::wire::Sentence;

    fn list(rows: usize) -> Reply {
        // RouterOS occasionally sends a bare `!re`.
        let bare = Sentence::from_words(["!re"]);
        let rows = vec![Sentence::from_words(["!re", "=user=x"]); rows].into_iter().chain([bare]).collect();
        Reply { rows, ..Reply::default() }
    }

    fn count(count: &str) -> Reply {
        Reply { ret: Some(count.into()), ..Reply::default() }
    }

    /// Runs a check that is due, with the first count, the number of listed rows and the second count.
    fn check(check: &mut RowCheck, first: &str, listed: usize, second: &str) -> Option<String> {
        assert!(check.is_due());
        if let Some(first) = check.compare(Some(&Ok(list(listed))), Some(&Ok(count(first)))) {
            check.confirm(first, Some(&Ok(count(second))));
        }
        check.partial()
    }

    #[test]
    fn rows_that_stay_missing_are_reported_until_list_and_count_agree() {
        let mut row_check = RowCheck::new(Duration::ZERO);
        for _ in 0..MAX_MISSES {
            assert_eq!(check(&mut row_check, "23", 22, "23"), None);
        }
        assert_eq!(check(&mut row_check, "24", 22, "").as_deref(), Some("22 of 24 rows are listed"));
        assert_eq!(check(&mut row_check, "24", 24, ""), None);
        assert_eq!(check(&mut row_check, "24", 23, "24"), None, "it begins again");
    }

    #[test]
    fn logins_and_logouts_during_a_list_are_not_missing_rows() {
        let mut row_check = RowCheck::new(Duration::ZERO);
        for _ in 0..20 {
            for (first, listed, second) in
                // A logout during the list, a login, or both; list and count agree in between.
                [
                    ("23", 22, "22"),
                    ("23", 24, "24"),
                    ("23", 22, "23"),
                    ("23", 22, "23"),
                    ("23", 23, "23"),
                ]
            {
                assert_eq!(check(&mut row_check, first, listed, second), None);
            }
        }
    }

    #[test]
    fn after_one_miss_each_read_is_checked() {
        let mut row_check = RowCheck::new(Duration::from_secs(300));
        assert!(!row_check.is_due());
        let first = row_check.compare(Some(&Ok(list(1))), Some(&Ok(count("2")))).unwrap();
        assert!(!row_check.is_due());
        row_check.confirm(first, Some(&Ok(count("2"))));
        assert!(row_check.is_due());
        assert_eq!(check(&mut row_check, "2", 2, ""), None);
        assert!(!row_check.is_due());
    }

    #[test]
    fn a_router_that_does_not_count_is_not_asked_again() {
        let refusal = Error::from(vec![Trap { message: "unknown parameter".into() }]);
        for (answer, is_asked_again) in [
            (Err(refusal), false),
            (Ok(Reply::default()), false),
            (Err(Error::new(Cause::QueryTimeout, "")), true),
        ] {
            let mut row_check = RowCheck::new(Duration::ZERO);
            assert_eq!(row_check.compare(Some(&Ok(list(1))), Some(&answer)), None);
            assert_eq!(row_check.is_due(), is_asked_again, "{answer:?}");
        }
    }

    #[test]
    fn a_list_that_failed_or_was_cut_is_not_checked() {
        let cut = Ok(Reply { is_truncated: true, ..Reply::default() });
        for list in [Err(Error::new(Cause::QueryTimeout, "")), cut] {
            let mut row_check = RowCheck::new(Duration::ZERO);
            assert_eq!(row_check.compare(Some(&list), Some(&Ok(count("2")))), None);
        }
    }
}

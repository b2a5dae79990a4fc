//! Wrong tokens, counted by address: who guesses must wait.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::http::peer;

/// Wrong tokens of one address within [`WINDOW`] from which on it waits: more than
/// anybody mistypes, and at ten a minute no token of any length is found.
const MAX_WRONG: usize = 10;

/// How long a wrong token counts.
const WINDOW: Duration = Duration::from_secs(60);

/// How often the log reports an address whose wrong tokens came with requests for public content: a proxy may add one
/// to each request.
const REPORT_ON_PUBLIC: Duration = Duration::from_secs(24 * 3600);

/// Most addresses that are counted, some 200 bytes each.
const MAX_ADDRESSES: usize = 1024;

/// The addresses from which wrong tokens came lately.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    addresses: Mutex<HashMap<IpAddr, Wrong>>,
    /// Whether the tokens came with requests that need none.
    is_public: bool,
}

/// One address's wrong tokens.
#[derive(Debug, Default)]
struct Wrong {
    /// When they came, oldest first; [`MAX_WRONG`] at most.
    times: VecDeque<Moment>,
    /// When the log last said that it waits.
    told: Option<Moment>,
}

impl Attempts {
    /// For tokens that come with requests that need none.
    pub(super) fn on_public_content() -> Self {
        Self { is_public: true, ..Self::default() }
    }

    /// What `check` makes of a token from `peer`; `None` makes it a wrong one. Where the
    /// address waits nothing is checked or counted, and the error is for how long it does still.
    pub(super) fn judge<T>(
        &self,
        peer: IpAddr,
        now: Moment,
        check: impl FnOnce() -> Option<T>,
    ) -> Result<Option<T>, Duration> {
        let from = peer::network(peer);
        // Held over the check, which only compares: requests side by side get no more
        // guesses than one after the other.
        let mut addresses = self.lock();
        if let Some(wait) = addresses.get_mut(&from).and_then(|wrong| wrong.wait(now)) {
            return Err(wait);
        }
        let found = check();
        if found.is_some() {
            return Ok(found);
        }
        if addresses.len() >= MAX_ADDRESSES && !addresses.contains_key(&from) {
            forget_oldest(&mut addresses);
        }
        let report_every = if self.is_public { REPORT_ON_PUBLIC } else { WINDOW };
        let begins = addresses.entry(from).or_default().add(now, report_every);
        drop(addresses);
        log::debug!("{peer}: a wrong token");
        if begins {
            let whole = if from.is_ipv6() { "/64" } else { "" };
            if self.is_public {
                log::info!(
                    "peer={from}{whole} msg=\"{MAX_WRONG} wrong tokens within a minute for public content: tokens from \
                     this address are not checked there for up to a minute\""
                );
            } else {
                log::warn!("{from}{whole} sent {MAX_WRONG} wrong tokens within a minute and must wait");
            }
        }
        Ok(None)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Wrong>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wrong {
    /// How long the address must wait still, if it must.
    fn wait(&mut self, now: Moment) -> Option<Duration> {
        while self.times.front().is_some_and(|&first| now.since(first) >= WINDOW) {
            self.times.pop_front();
        }
        let first = *self.times.front().filter(|_| self.times.len() >= MAX_WRONG)?;
        Some(WINDOW.saturating_sub(now.since(first)))
    }

    /// Counts one more. Says whether the log should tell that the address now waits: once in
    /// `report_every`, whoever goes on.
    fn add(&mut self, now: Moment, report_every: Duration) -> bool {
        self.times.push_back(now);
        let tell =
            self.times.len() >= MAX_WRONG && self.told.is_none_or(|told| now.since(told) >= report_every);
        if tell {
            self.told = Some(now);
        }
        tell
    }
}

fn forget_oldest(addresses: &mut HashMap<IpAddr, Wrong>) {
    let oldest = addresses.iter().min_by_key(|(_, wrong)| wrong.times.back().copied());
    if let Some((&address, _)) = oldest {
        addresses.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Sends tokens at second after second: `+` a right one, `-` a wrong one; what became of
    /// each: `+`, `-`, or the whole seconds to wait.
    fn outcomes(attempts: &Attempts, peer: &str, sent: &[(u64, char)]) -> Vec<String> {
        let start = Moment::now();
        let outcome = |&(second, token): &(u64, char)| {
            let now = start.after(Duration::from_secs(second));
            match attempts.judge(peer.parse().unwrap(), now, || (token == '+').then_some(())) {
                Ok(Some(())) => "+".to_string(),
                Ok(None) => "-".to_string(),
                Err(wait) => wait.as_secs().to_string(),
            }
        };
        sent.iter().map(outcome).collect()
    }

    #[test]
    fn ten_wrong_tokens_in_a_minute_wait() {
        let wrong = |count: usize, second| vec![(second, '-'); count];
        for (sent, last) in [
            (wrong(10, 0), "-"),
            (wrong(11, 0), "60"),
            // A right one is held off, too, or a guess that is right would be told.
            ([wrong(10, 0), vec![(0, '+')]].concat(), "60"),
            ([wrong(9, 0), vec![(0, '+')]].concat(), "+"),
            // A right one in between makes no room for more guesses.
            ([wrong(9, 0), vec![(0, '+')], wrong(1, 0), vec![(1, '+')]].concat(), "59"),
            ([wrong(10, 0), vec![(59, '+')]].concat(), "1"),
            ([wrong(10, 0), vec![(60, '+')]].concat(), "+"),
            // What is held off does not count.
            ([wrong(10, 0), wrong(50, 30), vec![(60, '+')]].concat(), "+"),
            // Fewer than ten in any minute.
            ((0..100).map(|number| (number * 7, '-')).collect(), "-"),
            // The first of ten ends, and there is room for one.
            ([wrong(1, 0), wrong(9, 30), vec![(60, '-')]].concat(), "-"),
            ([wrong(1, 0), wrong(9, 30), vec![(60, '-'), (60, '+')]].concat(), "30"),
        ] {
            let outcomes = outcomes(&Attempts::default(), "192.0.2.1", &sent);
            assert_eq!(outcomes.last().unwrap(), last, "{sent:?}: {outcomes:?}");
        }
    }

    #[test]
    fn each_address_waits_for_itself() {
        let attempts = Attempts::default();
        outcomes(&attempts, "192.0.2.1", &[(0, '-'); 10]);
        outcomes(&attempts, "2001:db8::1", &[(0, '-'); 10]);
        for (peer, waits) in
            [("192.0.2.1", true), ("192.0.2.2", false), ("2001:db8::2", true), ("2001:db8:0:1::1", false)]
        {
            assert_eq!(outcomes(&attempts, peer, &[(1, '+')]) != ["+"], waits, "{peer}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_oldest() {
        let attempts = Attempts::default();
        let start = Moment::now();
        let address = |number: u32| IpAddr::from(Ipv4Addr::from_bits(number));
        let send = |number, after_s| {
            let now = start.after(Duration::from_secs(after_s));
            attempts.judge(address(number), now, || None::<()>)
        };
        let most = u32::try_from(MAX_ADDRESSES).unwrap();
        for _ in 0..MAX_WRONG {
            assert_eq!(send(0, 0), Ok(None));
            assert_eq!(send(1, 1), Ok(None));
        }
        for number in 2..=most {
            assert_eq!(send(number, 2), Ok(None));
        }
        assert_eq!(attempts.lock().len(), MAX_ADDRESSES);
        assert!(send(1, 3).is_err(), "the one before the oldest still waits");
        assert_eq!(send(0, 3), Ok(None), "the oldest is forgotten");
        assert_eq!(attempts.lock().len(), MAX_ADDRESSES);
    }

    #[test]
    fn the_log_tells_once_a_minute_and_of_public_content_once_a_day() {
        let start = Moment::now();
        for (report_every, expected) in [(WINDOW, &[45, 105, 165][..]), (REPORT_ON_PUBLIC, &[45])] {
            let mut wrong = Wrong::default();
            let mut told = Vec::new();
            for second in (0..200).step_by(5) {
                let now = start.after(Duration::from_secs(second));
                if wrong.wait(now).is_none() && wrong.add(now, report_every) {
                    told.push(second);
                }
            }
            assert_eq!(told, expected);
        }
    }
}

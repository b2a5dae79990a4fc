//! Delays and limits wrong tokens, by address and in total.
//!
//! A correct token of at least [`MIN_TOKEN`](crate::config::MIN_TOKEN) characters is accepted at any time, because it
//! can't be guessed with any number of attempts. The limits bound the resources that wrong tokens use. A shorter token,
//! which earlier versions accepted, is not checked while its address is throttled.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::http::peer;

/// Different wrong tokens of one address within [`WINDOW`] after which further ones are refused. People mistype a token
/// less often.
const MAX_WRONG: usize = 10;

/// The same for all addresses together: ten a second, which bounds the delayed responses and the log lines.
const MAX_WRONG_IN_ALL: usize = 600;

/// How long a wrong token counts.
const WINDOW: Duration = Duration::from_secs(60);

/// Maximum number of responses to one address that are delayed at once, each one delay after the previous one. A
/// program that still sends a replaced token may send this many concurrent requests.
const MAX_WAITING: u32 = 4;

/// How often the log reports an address whose wrong tokens came with requests for public content: a proxy may add one
/// to each request.
const REPORT_ON_PUBLIC: Duration = Duration::from_secs(24 * 3600);

/// Maximum number of addresses that are counted, some 300 bytes each. The one whose last wrong token is the oldest is
/// evicted.
const MAX_ADDRESSES: usize = 1024;

/// The addresses that have sent wrong tokens lately.
#[derive(Debug, Default)]
pub(super) struct LoginThrottle {
    table: Mutex<Counts>,
    /// Random keys: hashes with them reveal nothing about a token.
    keys: RandomState,
    /// Whether the requests with these tokens need no token.
    is_public: bool,
}

#[derive(Debug, Default)]
struct Counts {
    addresses: HashMap<IpAddr, WrongTokens>,
    /// The current window for all addresses: its start, and the number of wrong tokens.
    window: Option<(Moment, usize)>,
}

/// The wrong tokens of one address.
#[derive(Debug, Default)]
struct WrongTokens {
    /// The time and hash of each different one, the oldest first; at most [`MAX_WRONG`].
    tokens: VecDeque<(Moment, u64)>,
    /// When the last delayed response is due.
    due: Option<Moment>,
    /// When the log last reported it.
    reported: Option<Moment>,
}

impl LoginThrottle {
    /// For tokens of requests that need no token.
    pub(super) fn on_public_content() -> Self {
        Self { is_public: true, ..Self::default() }
    }

    /// Counts a wrong token; a repeated one counts once. Returns the delay of the response, `delay` or a multiple of
    /// it. The error is the time for which further wrong tokens are refused.
    pub(super) fn record(
        &self,
        peer: IpAddr,
        token: &str,
        delay: Duration,
        now: Moment,
    ) -> Result<Duration, Duration> {
        let from = peer::network(peer);
        let hash = self.keys.hash_one(token);
        let mut table = self.lock();
        let Counts { addresses, window } = &mut *table;
        if addresses.len() >= MAX_ADDRESSES && !addresses.contains_key(&from) {
            evict_oldest(addresses);
        }
        let wrong = addresses.entry(from).or_default();
        if !wrong.contains(hash, now) {
            if let Some(wait) = wrong.wait(now) {
                return Err(wait);
            }
            wrong.tokens.push_back((now, hash));
            let (start, count) = window.filter(|(start, _)| now.since(*start) < WINDOW).unwrap_or((now, 0));
            *window = Some((start, count + 1));
            if count >= MAX_WRONG_IN_ALL {
                if count == MAX_WRONG_IN_ALL {
                    log::warn!(
                        "msg=\"{MAX_WRONG_IN_ALL} wrong tokens within a minute: further ones are refused for the rest of it\""
                    );
                }
                return Err(WINDOW.saturating_sub(now.since(start)));
            }
            log::debug!("peer={peer} msg=\"wrong token\"");
            self.report(from, wrong, now);
        }
        let waiting = wrong.due.map(|due| due.since(now)).unwrap_or_default();
        if waiting > delay * (MAX_WAITING - 1) {
            return Err(waiting);
        }
        wrong.due = Some(now.after(waiting + delay));
        Ok(waiting + delay)
    }

    /// How long the address is throttled, if it is.
    pub(super) fn wait(&self, peer: IpAddr, now: Moment) -> Option<Duration> {
        self.lock().addresses.get(&peer::network(peer))?.wait(now)
    }

    /// Logs that an address has reached its limit, unless that was logged lately.
    fn report(&self, from: IpAddr, wrong: &mut WrongTokens, now: Moment) {
        let every = if self.is_public { REPORT_ON_PUBLIC } else { WINDOW };
        let is_due = wrong.reported.is_none_or(|at| now.since(at) >= every);
        if wrong.tokens.len() < MAX_WRONG || !is_due {
            return;
        }
        wrong.reported = Some(now);
        let prefix = if from.is_ipv6() { "/64" } else { "" };
        if self.is_public {
            log::info!(
                "peer={from}{prefix} msg=\"{MAX_WRONG} wrong tokens within a minute for public content: short tokens from \
                 this address are not checked there for up to a minute\""
            );
        } else {
            log::warn!(
                "peer={from}{prefix} msg=\"{MAX_WRONG} wrong tokens within a minute: further ones are refused for up to \
                 a minute\""
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WrongTokens {
    /// Whether a token was counted within the window.
    fn contains(&mut self, hash: u64, now: Moment) -> bool {
        while self.tokens.front().is_some_and(|(first, _)| now.since(*first) >= WINDOW) {
            self.tokens.pop_front();
        }
        self.tokens.iter().any(|(_, other)| *other == hash)
    }

    /// How long further wrong tokens are refused, if they are.
    fn wait(&self, now: Moment) -> Option<Duration> {
        let (first, _) = self.tokens.front().filter(|_| self.tokens.len() >= MAX_WRONG)?;
        Some(WINDOW.saturating_sub(now.since(*first))).filter(|wait| !wait.is_zero())
    }
}

fn evict_oldest(addresses: &mut HashMap<IpAddr, WrongTokens>) {
    let last = |wrong: &WrongTokens| wrong.tokens.back().map(|(at, _)| *at);
    let oldest = addresses.iter().min_by_key(|(_, wrong)| last(wrong));
    if let Some((&address, _)) = oldest {
        addresses.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const DELAY: Duration = Duration::from_secs(1);

    /// Sends wrong tokens, one character each, at these seconds. The outcome of each: `-` if it is counted, or the whole
    /// seconds for which it is refused.
    fn outcomes(attempts: &LoginThrottle, peer: &str, sent: &[(u64, &str)]) -> Vec<String> {
        let start = Moment::now();
        let mut outcomes = Vec::new();
        for (second, tokens) in sent {
            let now = start.after(Duration::from_secs(*second));
            for token in tokens.chars() {
                // Without a delay.
                let recorded =
                    attempts.record(peer.parse().unwrap(), &token.to_string(), Duration::ZERO, now);
                outcomes.push(recorded.map_or_else(|wait| wait.as_secs().to_string(), |_| "-".into()));
            }
        }
        outcomes
    }

    #[test]
    fn ten_different_wrong_tokens_within_a_minute_are_counted() {
        for (sent, last) in [
            (vec![(0, "abcdefghij")], "-"),
            (vec![(0, "abcdefghijk")], "60"),
            (vec![(0, "abcdefghij"), (59, "k")], "1"),
            (vec![(0, "abcdefghij"), (60, "k")], "-"),
            // A repeated one counts once, also after the tenth.
            (vec![(0, "aaaaaaaaaaaaaaabaaaaaaaaaaaaac")], "-"),
            (vec![(0, "abcdefghij"), (30, "a")], "-"),
            (vec![(0, "abcdefghij"), (30, "aaak")], "30"),
            // A refused one does not count.
            (vec![(0, "abcdefghij"), (30, "klmnopqrst"), (60, "u")], "-"),
            // The first of ten expires, so one more is counted.
            (vec![(0, "a"), (30, "bcdefghij"), (60, "k")], "-"),
            (vec![(0, "a"), (30, "bcdefghij"), (60, "kl")], "30"),
        ] {
            let outcomes = outcomes(&LoginThrottle::default(), "192.0.2.1", &sent);
            assert_eq!(outcomes.last().unwrap(), last, "{sent:?}: {outcomes:?}");
        }
    }

    #[test]
    fn each_address_has_its_own_limit() {
        let attempts = LoginThrottle::default();
        outcomes(&attempts, "192.0.2.1", &[(0, "abcdefghij")]);
        outcomes(&attempts, "2001:db8::1", &[(0, "abcdefghij")]);
        for (peer, refused) in
            [("192.0.2.1", true), ("192.0.2.2", false), ("2001:db8::2", true), ("2001:db8:0:1::1", false)]
        {
            assert_eq!(outcomes(&attempts, peer, &[(1, "k")]) != ["-"], refused, "{peer}");
            assert_eq!(attempts.wait(peer.parse().unwrap(), Moment::now()).is_some(), refused, "{peer}");
        }
    }

    fn address(number: usize) -> IpAddr {
        Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into()
    }

    #[test]
    fn all_addresses_share_a_budget() {
        let (attempts, start) = (LoginThrottle::default(), Moment::now());
        for number in 0..MAX_WRONG_IN_ALL {
            assert_eq!(attempts.record(address(number), "a", DELAY, start), Ok(DELAY));
        }
        let later = start.after(Duration::from_secs(20));
        let rest = Duration::from_secs(40);
        assert_eq!(attempts.record(address(MAX_WRONG_IN_ALL), "a", DELAY, later), Err(rest));
        assert_eq!(attempts.record(address(0), "b", DELAY, later), Err(rest));
        assert_eq!(attempts.record(address(0), "a", DELAY, later), Ok(DELAY), "it was counted before");
        assert_eq!(attempts.record(address(1), "b", DELAY, start.after(WINDOW)), Ok(DELAY));
    }

    #[test]
    fn responses_to_one_address_are_delayed_one_after_the_other_and_few_at_once() {
        let (attempts, now) = (LoginThrottle::default(), Moment::now());
        let record = |token, now| attempts.record(address(1), token, DELAY, now);
        for (token, wait) in [("a", 1), ("a", 2), ("b", 3), ("a", 4)] {
            assert_eq!(record(token, now), Ok(Duration::from_secs(wait)));
        }
        assert_eq!(record("a", now), Err(4 * DELAY));
        assert_eq!(record("a", now.after(DELAY)), Ok(4 * DELAY));
        assert_eq!(attempts.record(address(2), "a", DELAY, now), Ok(DELAY), "another address");
        assert_eq!(record("a", now.after(30 * DELAY)), Ok(DELAY));
    }

    #[test]
    fn the_table_is_bounded_and_evicts_the_oldest() {
        let attempts = LoginThrottle::default();
        let start = Moment::now();
        let send = |number, token: usize, after_s| {
            let now = start.after(Duration::from_secs(after_s));
            attempts.record(address(number), &token.to_string(), Duration::ZERO, now)
        };
        for token in 0..MAX_WRONG {
            assert!(send(0, token, 0).is_ok() && send(1, token, 1).is_ok());
        }
        for number in 2..MAX_ADDRESSES {
            let _ = send(number, 0, 2);
        }
        assert_eq!(attempts.lock().addresses.len(), MAX_ADDRESSES);
        let now = start.after(Duration::from_secs(3));
        assert!(attempts.wait(address(0), now).is_some());
        let _ = send(MAX_ADDRESSES, 0, 3);
        assert_eq!(attempts.lock().addresses.len(), MAX_ADDRESSES);
        assert!(attempts.wait(address(1), now).is_some(), "a newer one is still there");
        assert!(attempts.wait(address(0), now).is_none(), "the oldest is evicted");
    }

    #[test]
    fn tokens_are_not_stored() {
        let attempts = LoginThrottle::default();
        let _ = attempts.record(address(1), "a-secret-of-another-program", DELAY, Moment::now());
        let kept = format!("{attempts:?}");
        assert!(!kept.contains("secret") && kept.contains("tokens: [("), "{kept}");
    }

    #[test]
    fn the_log_reports_once_a_minute_and_for_public_content_once_a_day() {
        let start = Moment::now();
        for (attempts, expected) in
            [(LoginThrottle::default(), &[45, 105, 165][..]), (LoginThrottle::on_public_content(), &[45])]
        {
            let mut wrong = WrongTokens::default();
            let mut reported = Vec::new();
            for second in (0..200).step_by(5) {
                let now = start.after(Duration::from_secs(second));
                if !wrong.contains(second, now) && wrong.wait(now).is_none() {
                    wrong.tokens.push_back((now, second));
                    let before = wrong.reported;
                    attempts.report(address(1), &mut wrong, now);
                    reported.extend((wrong.reported != before).then_some(second));
                }
            }
            assert_eq!(reported, expected);
        }
    }
}

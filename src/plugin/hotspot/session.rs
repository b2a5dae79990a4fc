//! One active session, as a row of `/ip/hotspot/active` describes it.

use std::time::Duration;

use super::rates::{Meter, Rates};
use crate::clock::Moment;
use crate::plugin::context::ReadContext;
use crate::plugin::limits;
use crate::routeros::value::{self, Text};
use crate::routeros::wire::Sentence;

/// `RouterOS` reports a session's age in whole seconds: two login times that differ by up to this are the same login.
const LOGIN_SLACK: Duration = Duration::from_secs(5);

/// The clocks of router and host together gain or lose at most one second in this many: NTP corrects a clock by up to
/// 500 ppm.
const SECONDS_PER_DRIFT_SECOND: u32 = 2000;

/// One session: a device that is logged in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The router's `.id`. It is derived from the address, so the next session at the address has it again.
    pub id: Text,
    /// Name of the hotspot server.
    pub server: Option<String>,
    /// The user's name.
    pub user: Text,
    /// The device's IP address.
    pub address: Option<String>,
    /// The device's MAC address.
    pub mac: Option<Text>,
    /// How it logged in: `http-chap`, `cookie`, `trial`, …
    pub login_by: Option<String>,
    /// When it logged in: the time of the answer minus the uptime. Keeps its first value, unless a later row differs by
    /// more than clock drift explains.
    pub login: Option<Moment>,
    /// The same according to the last row: the clocks of router and host drift apart over days.
    pub(super) reported_login: Option<Moment>,
    /// How long it has been online.
    pub uptime: Option<Duration>,
    /// Time since the device last sent something.
    pub idle: Option<Duration>,
    /// The maximum duration; absent if there is no limit.
    pub time_left: Option<Duration>,
    /// `bytes-in`: from the user, so the upload.
    pub bytes_in: u64,
    /// `bytes-out`: to the user, so the download.
    pub bytes_out: u64,
    /// The comment on the user.
    pub comment: Option<String>,
    /// Bytes that it may still upload, download, and transfer in total; absent if there is no limit.
    pub bytes_left: [Option<u64>; 3],
    /// The counters up to which its traffic is counted.
    pub(super) reported: Reported,
    /// Measures this traffic.
    pub(super) meter: Meter,
}

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
    #[must_use]
    pub fn share(self) -> f64 {
        self.used as f64 / self.limit as f64
    }
}

/// The last byte counters that the router reported for a session; `None` before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reported {
    upload: Option<u64>,
    download: Option<u64>,
}

impl Session {
    /// A session before its first byte.
    pub(super) fn zero() -> Self {
        Self { reported: Reported { upload: Some(0), download: Some(0) }, ..Self::default() }
    }

    /// The session of a whole row.
    #[must_use]
    pub fn read(row: &Sentence, context: &ReadContext) -> Self {
        let id = Text::new(row.get(".id").unwrap_or_default(), context.codepage);
        let mut session = Self { id, ..Self::default() };
        session.merge(row, context);
        session.login = session.reported_login;
        session
    }

    /// Updates the session from a row, except the id, by which it was found. Properties that the row lacks stay.
    pub(super) fn merge(&mut self, row: &Sentence, context: &ReadContext) {
        for (key, value) in row.attributes() {
            let text = |most| Text::short(value, most, context.codepage);
            let shown = |most| (!value.is_empty()).then(|| value::short_text(value, most, context.codepage));
            match key {
                b"user" => self.user = text(limits::USER),
                b"mac-address" => self.mac = (!value.is_empty()).then(|| text(limits::ADDRESS)),
                b"server" => self.server = shown(limits::NAME),
                b"address" => self.address = shown(limits::ADDRESS),
                b"login-by" => self.login_by = shown(limits::LOGIN_BY),
                b"comment" => self.comment = shown(limits::COMMENT),
                b"uptime" => {
                    self.uptime = value::duration(value);
                    self.reported_login = self.uptime.map(|uptime| context.now.before(uptime));
                }
                b"idle-time" => self.idle = value::duration(value),
                b"session-time-left" => self.time_left = value::duration(value),
                b"limit-bytes-in" => self.bytes_left[0] = value::number(value),
                b"limit-bytes-out" => self.bytes_left[1] = value::number(value),
                b"limit-bytes-total" => self.bytes_left[2] = value::number(value),
                b"bytes-in" => {
                    self.reported.upload = value::number(value).or(self.reported.upload);
                    self.bytes_in = self.reported.upload.unwrap_or_default();
                }
                b"bytes-out" => {
                    self.reported.download = value::number(value).or(self.reported.download);
                    self.bytes_out = self.reported.download.unwrap_or_default();
                }
                _ => {}
            }
        }
    }

    /// The cells, in the order of the columns.
    pub(in crate::plugin) fn row(&self) -> Vec<Option<String>> {
        let duration = |d: Option<Duration>| d.map(value::format_duration);
        let [upload_left, download_left, total_left] =
            self.bytes_left.map(|left| left.map(|bytes| bytes.to_string()));
        vec![
            Some(self.user.to_string()),
            self.address.clone(),
            self.mac.as_ref().map(ToString::to_string),
            self.server.clone(),
            self.login_by.clone(),
            duration(self.uptime),
            duration(self.idle),
            duration(self.time_left),
            Some(self.bytes_in.to_string()),
            Some(self.bytes_out.to_string()),
            self.comment.clone(),
            upload_left,
            download_left,
            total_left,
        ]
    }

    /// Whether a later row with this id, `other`, is the same session. The next user at the address has the same id, and
    /// the same user may log in again, so the login time decides. A login earlier than known is not a new one; one whose
    /// answer `took` long appears at most that much later.
    #[must_use]
    pub(super) fn continues_as(&self, other: &Self, took: Duration) -> bool {
        let login = match (self.reported_login, other.reported_login) {
            (Some(one), Some(other)) => other.since(one) <= LOGIN_SLACK + took,
            _ => true,
        };
        (&self.user, &self.mac) == (&other.user, &other.mac) && login
    }

    /// The login time of this session, which was `known` before this row: the first value, so that it does not change
    /// with each row, unless drift and an answer that `took` long don't explain the difference. Then one of the clocks
    /// was wrong, and the latest row is right.
    pub(super) fn login_after(&self, known: &Self, took: Duration) -> Option<Moment> {
        let slack = LOGIN_SLACK + took + self.uptime.unwrap_or_default() / SECONDS_PER_DRIFT_SECOND;
        match (known.login, self.reported_login) {
            (Some(first), Some(now)) if now.apart(first) <= slack => Some(first),
            (first, now) => now.or(first),
        }
    }

    /// The upload and download, in bytes, between the `known` state of the session and this row, which arrived at `now`
    /// and `is_answer` to a query, or else a change.
    ///
    /// A row with a lower age was overtaken by a change, so the known counters stay. A lower counter in an older
    /// session was reset: it counts nothing and is the baseline for what follows. Counting it from zero could count a
    /// whole session twice, which is a larger error than missing the traffic between two reads.
    pub(super) fn traffic_since(&mut self, known: &Self, now: Moment, is_answer: bool) -> (u64, u64) {
        self.meter = known.meter;
        if self.uptime.zip(known.uptime).is_some_and(|(now, known)| now < known) {
            self.reported = known.reported;
            return (0, 0);
        }
        let moved = |reported: &mut Option<u64>, known: Option<u64>| {
            *reported = reported.or(known);
            (*reported)?.checked_sub(known?)
        };
        let upload = moved(&mut self.reported.upload, known.reported.upload);
        let download = moved(&mut self.reported.download, known.reported.download);
        self.meter = match upload.zip(download) {
            Some(moved) => self.meter.advance(moved, is_answer.then_some(now)),
            None => Meter::begin(now),
        };
        (upload.unwrap_or(0), download.unwrap_or(0))
    }

    /// The rates of its traffic. Unknown until the second answer, also after its counters were reset.
    #[must_use]
    pub fn rates(&self) -> Option<Rates> {
        self.meter.rates()
    }

    /// The limit of which this session has used the largest share. Limits report what remains, and none as zero.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        let total = self.bytes_in.saturating_add(self.bytes_out);
        let [upload, download, both] = self.bytes_left;
        let limit = |used: u64, left: Option<u64>| {
            left.filter(|&left| left > 0).map(|left| used.saturating_add(left))
        };
        let used_time = seconds(self.uptime).unwrap_or_default();
        Quota::largest([
            (used_time, limit(used_time, seconds(self.time_left.filter(|_| self.uptime.is_some()))), true),
            (self.bytes_in, limit(self.bytes_in, upload), false),
            (self.bytes_out, limit(self.bytes_out, download), false),
            (total, limit(total, both), false),
        ])
    }

    /// Whether `other` is this session at another time, and neither the one before it nor the one after it.
    #[must_use]
    pub fn is_same(&self, other: &Self, took: Duration) -> bool {
        self.continues_as(other, took) && other.continues_as(self, took)
    }

    /// Whether the device logged in automatically, as it may do right after a kick.
    #[must_use]
    pub fn logged_in_automatically(&self) -> bool {
        self.login_by.as_deref().is_some_and(|by| ["cookie", "mac-cookie", "mac"].contains(&by))
    }

    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        let texts = [&self.server, &self.address, &self.login_by, &self.comment].into_iter().flatten();
        let kept = [Some(&self.id), Some(&self.user), self.mac.as_ref()].into_iter().flatten();
        size_of::<Self>() + texts.map(String::len).sum::<usize>() + kept.map(Text::cost).sum::<usize>()
    }
}

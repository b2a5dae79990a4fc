//! One active session, as a row of `/ip/hotspot/active` describes it.

use std::num::NonZeroU32;
use std::time::Duration;

use super::quota::Quota;
use super::rates::{Meter, Rates};
use super::texts::{self, Part, RowTexts, Texts};
use crate::clock::Moment;
use crate::memory::ALLOCATION;
use crate::plugin::context::ReadContext;
use crate::routeros::value;
use crate::routeros::wire::SentenceRef;

/// `RouterOS` reports a session's age in whole seconds: two login times that differ by up to this are the same login.
const LOGIN_SLACK: Duration = Duration::from_secs(5);

/// The clocks of router and host together gain or lose at most one second in this many: NTP corrects a clock by up to
/// 500 ppm.
const SECONDS_PER_DRIFT_SECOND: u32 = 2000;

/// How much later than expected a login may appear in a short row until the row is read in full: an uptime is a whole
/// second, and clocks drift.
const UPTIME_SLACK: Duration = Duration::from_secs(2);

/// One session: a device that is logged in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    pub(super) texts: Texts,
    /// When it logged in: the time of the answer minus the uptime. Keeps its first value, unless a later row differs by
    /// more than clock drift explains.
    pub login: Option<Moment>,
    /// The same according to the last row: the clocks of router and host drift apart over days.
    pub(super) reported_login: Option<Moment>,
    /// The byte counters up to which its traffic is counted.
    pub(super) reported: Reported,
    /// Measures this traffic.
    pub(super) meter: Meter,
    pub(super) uptime: Seconds,
    pub(super) idle: Seconds,
    pub(super) time_left: Seconds,
    /// Bytes that it may upload, download, and transfer in total since its login. Most sessions have no limit.
    pub(super) byte_limits: Option<Box<[Option<u64>; 3]>>,
}

/// A number of seconds, plus one to take no space for `None`.
pub(super) type Seconds = Option<NonZeroU32>;

fn seconds(duration: Duration) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(u32::try_from(duration.as_secs()).unwrap_or(u32::MAX))
}

fn duration(seconds: Seconds) -> Option<Duration> {
    seconds.map(|seconds| Duration::from_secs(u64::from(seconds.get()) - 1))
}

/// The last byte counters that the router reported for a session; `None` before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reported {
    upload: Option<u64>,
    download: Option<u64>,
}

/// What a row says about the properties that it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowKind {
    /// All properties: others are absent.
    Whole,
    /// The figures that change, see [`FIGURES`](super::command::FIGURES): texts stay, and the time left passes.
    Figures,
    /// Some changed properties: the others stay.
    Change,
    /// Those of the next session at the id, which is derived from the address: the address and the server stay.
    Next,
}

impl Session {
    /// A session before its first byte.
    pub(super) fn zero() -> Self {
        Self { reported: Reported { upload: Some(0), download: Some(0) }, ..Self::default() }
    }

    /// The session of a whole row.
    pub fn read<'r>(row: impl Into<SentenceRef<'r>>, context: &ReadContext) -> Self {
        Self::default().after(row.into(), RowKind::Whole, context)
    }

    /// This session after a row with its id.
    pub(super) fn after(&self, row: SentenceRef, kind: RowKind, context: &ReadContext) -> Self {
        let mut session = match kind {
            RowKind::Whole | RowKind::Next => Self::default(),
            RowKind::Figures => Self { uptime: None, idle: None, ..self.clone() },
            RowKind::Change => self.clone(),
        };
        let mut texts = RowTexts::default();
        let mut bytes_left = [None; 3];
        let seconds_of = |value| value::duration(value).map(seconds);
        let is_new = matches!(kind, RowKind::Whole | RowKind::Next);
        let (mut has_uptime, mut has_time_left) = (false, is_new);
        for (key, value) in row.attributes() {
            match key {
                b"uptime" => {
                    session.uptime = seconds_of(value);
                    session.reported_login = session.uptime().map(|uptime| context.now.before(uptime));
                    has_uptime = true;
                }
                b"idle-time" => session.idle = seconds_of(value),
                b"session-time-left" => (session.time_left, has_time_left) = (seconds_of(value), true),
                b"bytes-in" => session.reported.upload = value::number(value).or(session.reported.upload),
                b"bytes-out" => {
                    session.reported.download = value::number(value).or(session.reported.download);
                }
                b"limit-bytes-in" => bytes_left[0] = value::number(value),
                b"limit-bytes-out" => bytes_left[1] = value::number(value),
                b"limit-bytes-total" => bytes_left[2] = value::number(value),
                // Of the texts it has the id only, by which the session was found.
                _ if kind == RowKind::Figures => {}
                // If a text is repeated, the first counts.
                key => {
                    if let Some(at) = texts::index_of(key) {
                        texts[at].get_or_insert(value);
                    }
                }
            }
        }
        if bytes_left != [None; 3] {
            let mut limits = session.byte_limits.as_deref().copied().unwrap_or_default();
            for ((limit, used), left) in limits.iter_mut().zip(session.used_bytes()).zip(bytes_left) {
                // A row reports what remains, and no limit as zero.
                let remaining = left.map(|left| (left > 0).then(|| left.saturating_add(used)));
                *limit = remaining.unwrap_or(*limit);
            }
            session.byte_limits = (limits != [None; 3]).then(|| limits.into());
        }
        if has_uptime && !has_time_left {
            let end = self.time_left().zip(self.uptime()).map(|(left, uptime)| left.saturating_add(uptime));
            let left = end.zip(session.uptime()).map(|(end, uptime)| end.saturating_sub(uptime));
            session.time_left = left.map(seconds);
        }
        if is_new {
            session.login = session.reported_login;
            let place = [Part::Address as usize, Part::Server as usize];
            let is_absent = |at: &usize| kind == RowKind::Whole || !place.contains(at);
            for at in (0..texts.len()).filter(is_absent) {
                texts[at].get_or_insert(b"");
            }
        }
        if kind != RowKind::Figures {
            session.texts = self.texts.with(&texts, context.codepage);
        }
        session
    }

    /// Whether a row with figures only may belong to another session than this one, which it made to `now`: the uptime or
    /// a counter fell, or the uptime increased too little or too much, as in an answer from before this session. A session
    /// that has no time left now has a new limit, or ends.
    pub(super) fn is_doubtful(&self, now: &Self, context: &ReadContext) -> bool {
        let is_younger = match (self.reported_login, now.reported_login) {
            (Some(known), Some(login)) => {
                now.uptime < self.uptime
                    || login.since(known) > UPTIME_SLACK + context.took
                    || known.since(login) > LOGIN_SLACK + context.took
            }
            (known, login) => known != login,
        };
        let fell = |known: Option<u64>, now: Option<u64>| now < known;
        is_younger
            || fell(self.reported.upload, now.reported.upload)
            || fell(self.reported.download, now.reported.download)
            || (now.time_left() == Some(Duration::ZERO) && self.time_left() != now.time_left())
    }

    /// The router's `.id`. It is derived from the address, so the next session at the address has it again.
    pub fn id(&self) -> &str {
        self.texts.get(Part::Id)
    }

    /// The original bytes of the `.id`.
    pub fn id_bytes(&self) -> &[u8] {
        self.texts.original(Part::Id)
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        self.texts.get(Part::User)
    }

    /// The original bytes of the user's name.
    pub fn user_bytes(&self) -> &[u8] {
        self.texts.original(Part::User)
    }

    /// The device's MAC address.
    pub fn mac(&self) -> Option<&str> {
        self.text(Part::Mac)
    }

    /// The device's IP address.
    pub fn address(&self) -> Option<&str> {
        self.text(Part::Address)
    }

    /// Name of the hotspot server.
    pub fn server(&self) -> Option<&str> {
        self.text(Part::Server)
    }

    /// How it logged in: `http-chap`, `cookie`, `trial`, …
    pub fn login_by(&self) -> Option<&str> {
        self.text(Part::LoginBy)
    }

    /// The comment on the user.
    pub fn comment(&self) -> Option<&str> {
        self.text(Part::Comment)
    }

    fn text(&self, part: Part) -> Option<&str> {
        Some(self.texts.get(part)).filter(|text| !text.is_empty())
    }

    /// How long it has been online.
    pub fn uptime(&self) -> Option<Duration> {
        duration(self.uptime)
    }

    /// Time since the device last sent something.
    pub fn idle(&self) -> Option<Duration> {
        duration(self.idle)
    }

    /// The maximum duration from now on; absent if there is no limit.
    pub fn time_left(&self) -> Option<Duration> {
        duration(self.time_left)
    }

    /// `bytes-in`: from the user, so the upload.
    pub fn bytes_in(&self) -> u64 {
        self.reported.upload.unwrap_or_default()
    }

    /// `bytes-out`: to the user, so the download.
    pub fn bytes_out(&self) -> u64 {
        self.reported.download.unwrap_or_default()
    }

    /// Bytes of upload, of download, and of both.
    fn used_bytes(&self) -> [u64; 3] {
        let [upload, download] = [self.bytes_in(), self.bytes_out()];
        [upload, download, upload.saturating_add(download)]
    }

    /// The bytes and limits of upload, download, and both.
    fn byte_quotas(&self) -> [(u64, Option<u64>); 3] {
        let limits = self.byte_limits.as_deref().copied().unwrap_or_default();
        let [upload, download, both] = self.used_bytes();
        [(upload, limits[0]), (download, limits[1]), (both, limits[2])]
    }

    /// The limit of which this session has used the largest share.
    pub fn quota(&self) -> Option<Quota> {
        let uptime = self.uptime().unwrap_or_default();
        let time = self.time_left().filter(|_| self.uptime.is_some()).map(|left| uptime.saturating_add(left));
        let [upload, download, both] = self.byte_quotas().map(|(used, limit)| (used, limit, false));
        let time = time.map(|limit| limit.as_secs()).filter(|&limit| limit > 0);
        Quota::largest([(uptime.as_secs(), time, true), upload, download, both])
    }

    /// The cells, in the order of the columns.
    pub(in crate::plugin) fn row(&self) -> Vec<Option<String>> {
        let shown = |time: Option<Duration>| time.map(value::format_duration);
        let text = |text: Option<&str>| text.map(String::from);
        let [upload_left, download_left, total_left] =
            self.byte_quotas().map(|(used, limit)| limit.map(|limit| limit.saturating_sub(used).to_string()));
        vec![
            Some(self.user().into()),
            text(self.address()),
            text(self.mac()),
            text(self.server()),
            text(self.login_by()),
            shown(self.uptime()),
            shown(self.idle()),
            shown(self.time_left()),
            Some(self.bytes_in().to_string()),
            Some(self.bytes_out().to_string()),
            text(self.comment()),
            upload_left,
            download_left,
            total_left,
        ]
    }

    /// Whether the user and the device are the same.
    pub fn is_same_user(&self, other: &Self) -> bool {
        self.texts.is_same_user(&other.texts)
    }

    /// Whether a later row with this id, `other`, is the same session. The next user at the address has the same id, and
    /// the same user may log in again, so the login time decides. A login earlier than known is not a new one; one whose
    /// answer `took` long appears at most that much later.
    pub(super) fn continues_as(&self, other: &Self, took: Duration) -> bool {
        let login = match (self.reported_login, other.reported_login) {
            (Some(one), Some(other)) => other.since(one) <= LOGIN_SLACK + took,
            _ => true,
        };
        self.is_same_user(other) && login
    }

    /// The login time of this session, which was `known` before this row: the first value, so that it does not change
    /// with each row, unless drift and an answer that `took` long don't explain the difference. Then one of the clocks
    /// was wrong, and the latest row is right.
    pub(super) fn login_after(&self, known: &Self, took: Duration) -> Option<Moment> {
        let slack = LOGIN_SLACK + took + self.uptime().unwrap_or_default() / SECONDS_PER_DRIFT_SECOND;
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
    pub fn rates(&self) -> Option<Rates> {
        self.meter.rates()
    }

    /// Whether `other` is this session at another time, and neither the one before it nor the one after it.
    pub fn is_same(&self, other: &Self, took: Duration) -> bool {
        self.continues_as(other, took) && other.continues_as(self, took)
    }

    /// Whether the device logged in automatically, as it may do right after a kick.
    pub fn logged_in_automatically(&self) -> bool {
        self.login_by().is_some_and(|by| ["cookie", "mac-cookie", "mac"].contains(&by))
    }

    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        size_of::<Self>()
            + self.texts.cost()
            + self.byte_limits.as_deref().map_or(0, |limits| size_of_val(limits) + ALLOCATION)
    }
}

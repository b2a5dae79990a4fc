//! The outbox: groups announcements into notifications, and holds them back in quiet hours.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::notification::Notification;
use super::record::AlertRecord;
use super::time::Tick;

/// How long an alert waits for the end of its flapping if it resolved before it was sent. It is sent after that, unless
/// its condition turns out to be unstable.
const BRIEF: Duration = Duration::from_secs(120);

/// Maximum number of announcements that wait: a long night of a large fleet. The oldest are dropped and counted.
const MAX_WAITING: usize = 1000;

/// Maximum number of alerts in the text of a notification: chat services refuse longer ones. The rest is counted. Its
/// list has all alerts, which are at most [`MAX_WAITING`].
const MAX_SHOWN: usize = 20;

/// Announcements that wait to be sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Outbox {
    waiting: Vec<Announcement>,
    /// The number that was dropped.
    dropped: u64,
    /// The identifier of the last notification.
    last_id: u64,
    /// Whether the announcements were held back by quiet hours.
    is_digest: bool,
}

/// A change of an alert that is announced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Announcement {
    /// Where the condition is: the site, the rule and the part.
    pub place: String,
    /// The alert.
    pub alert: AlertRecord,
    /// Why it is announced.
    pub occasion: Occasion,
    /// When it is sent at the latest, outside of quiet hours.
    pub due: Tick,
}

/// Why an alert is announced. The earliest occasion counts if several wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Occasion {
    /// It is new: nothing about it was sent yet.
    First,
    /// It is unstable, stable again, or resolved.
    Change,
    /// It is firing as before.
    Reminder,
}

impl Announcement {
    pub(super) fn is_firing(&self) -> bool {
        self.alert.until.is_none()
    }

    pub(super) fn is_new(&self) -> bool {
        self.occasion == Occasion::First
    }

    /// Whether its alert resolved before it was sent as firing.
    fn has_passed(&self) -> bool {
        self.alert.is_brief && !self.is_firing()
    }
}

impl Outbox {
    /// Adds an announcement. A resolution joins the announcement that its alert fires, if that was not sent yet.
    pub(super) fn push(&mut self, mut new: Announcement, now: Tick) {
        if let Some(unsent) = self.waiting.iter_mut().find(|waiting| waiting.alert.id == new.alert.id) {
            new.occasion = unsent.occasion.min(new.occasion);
            new.alert.is_brief = new.is_new() && !new.is_firing();
            new.due = if new.alert.is_brief { now.after(BRIEF) } else { unsent.due };
            *unsent = new;
            return;
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.remove(0);
            self.dropped += 1;
        }
        self.waiting.push(new);
    }

    /// Takes back announcements that wait.
    pub(super) fn withdraw(&mut self, is_it: impl Fn(&Announcement) -> bool) -> Vec<Announcement> {
        self.waiting.extract_if(.., |waiting| is_it(waiting)).collect()
    }

    /// The identifiers of the alerts that wait.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().map(|waiting| waiting.alert.id.as_str())
    }

    /// The next notification, if one is due. In quiet hours there is none; the first one after them is a digest.
    pub(super) fn take(&mut self, now: Tick, is_quiet: bool) -> Option<Notification> {
        if is_quiet {
            self.waiting.retain(|waiting| waiting.occasion != Occasion::Reminder);
            self.is_digest = !self.waiting.is_empty();
            return None;
        }
        let is_digest = std::mem::take(&mut self.is_digest) && !self.waiting.is_empty();
        if !is_digest && !self.waiting.iter().any(|waiting| waiting.due <= now) {
            return None;
        }
        let is_due = |waiting: &&Announcement| is_digest || !waiting.has_passed() || waiting.due <= now;
        // An outage that has passed is not reported after the next one there.
        let places: HashSet<String> =
            self.waiting.iter().filter(is_due).map(|due| due.place.clone()).collect();
        let is_taken = |waiting: &mut Announcement| places.contains(&waiting.place);
        let taken: Vec<Announcement> = self.waiting.extract_if(.., is_taken).collect();
        self.last_id += 1;
        let dropped = std::mem::take(&mut self.dropped);
        Some(notification(self.last_id, taken, is_digest, dropped))
    }
}

fn notification(id: u64, taken: Vec<Announcement>, is_digest: bool, dropped: u64) -> Notification {
    let firing = taken.iter().filter(|announcement| announcement.is_firing()).count();
    let counted = |count: usize, state: &str| (count > 0).then(|| format!("{count} {state}"));
    let counts = [counted(firing, "firing"), counted(taken.len() - firing, "resolved")];
    let counts = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let title = match &taken[..] {
        [one] if !is_digest => one.alert.message.clone(),
        _ if is_digest => format!("After quiet hours: {counts}"),
        _ => format!("{} alerts: {counts}", taken.len()),
    };
    let mut lines: Vec<String> = Vec::new();
    for announcement in taken.iter().take(MAX_SHOWN) {
        let state = match (announcement.is_firing(), announcement.occasion) {
            (false, _) => "Resolved: ",
            (true, Occasion::Reminder) => "Still firing: ",
            // It has no end, so it does not last either.
            (true, _) if announcement.alert.is_brief => "",
            (true, _) => "Firing: ",
        };
        let hint = announcement.alert.hint.as_ref().filter(|_| announcement.is_firing());
        let hint = hint.map(|hint| format!("\n{hint}")).unwrap_or_default();
        lines.push(format!("{state}{}{hint}", announcement.alert.message));
    }
    let more = taken.len().saturating_sub(MAX_SHOWN);
    if more > 0 {
        lines.push(format!("And {more} more"));
    }
    if dropped > 0 {
        lines.push(format!("{dropped} earlier messages were dropped, because too many waited"));
    }
    let alerts = taken.into_iter().map(|announcement| announcement.alert).collect();
    Notification { id, title, text: lines.join("\n"), alerts }
}

//! The reasons of logouts in the lines of a router's log, where a declared plugin reads `/log`.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::JournalEntry;
use super::reason::Reason;
use crate::clock::Moment;
use crate::plugin::Listing;
use crate::state::{Reading, SiteState};

/// What precedes the reason in a line such as `->: chidi (10.5.50.2): logged out: keepalive timeout`.
const LOGGED_OUT: &str = "): logged out: ";

/// What precedes the reason in a line such as `chidi (10.5.50.2): login failed: invalid username or password`.
const LOGIN_FAILED: &str = "): login failed: ";

/// The prefix of the logging rule that a hotspot's setup adds.
const PREFIX: &str = "->: ";

/// A line of a router's log about a logout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoggedLogout {
    site: String,
    /// The user's name, which may follow the prefix of a logging rule and a colon.
    user: String,
    pub(super) address: String,
    pub(super) reason: Reason,
}

impl LoggedLogout {
    /// Reads a line. A user's name may contain any text, so the line is read from its end.
    fn read(site: &str, message: &str) -> Option<Self> {
        let (before, reason) = message.rsplit_once(LOGGED_OUT)?;
        let (user, address) = before.rsplit_once(" (")?;
        Some(Self {
            site: site.into(),
            user: user.into(),
            address: address.into(),
            reason: Reason::from_log(reason),
        })
    }

    /// Whether the line is about the session of this entry, or about another one of that user at that address.
    pub(super) fn is_of(&self, entry: &JournalEntry) -> bool {
        let is_user = |user: &str| {
            self.user.strip_suffix(user).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with(": "))
        };
        self.site == entry.site && entry.address.as_deref() == Some(&self.address) && is_user(&entry.user)
    }
}

/// A refused login in the router's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedLogin<'s> {
    /// The name that was entered.
    pub user: &'s str,
    /// The IP address of the device.
    pub address: &'s str,
    /// The router's reason.
    pub reason: &'s str,
    /// The time in the log, which is local at the router.
    pub time: Option<&'s str>,
}

/// The refused logins in a site's log, newest first; `None` if no log was read.
pub fn failed_logins<'s>(site: &'s SiteState) -> Option<impl Iterator<Item = FailedLogin<'s>>> {
    let mut logs = site.readings.iter().filter(|reading| is_log(reading));
    let (reading, messages) = logs.find_map(|reading| Some((reading, messages(reading)?)))?;
    let columns = &reading.data.as_deref()?.listing()?.table.columns;
    let time = columns.iter().position(|column| column == "time");
    let failed = move |(row, message): (&'s [Option<String>], Option<&'s str>)| {
        let (before, reason) = message?.rsplit_once(LOGIN_FAILED)?;
        let (user, address) = before.rsplit_once(" (")?;
        let user = user.strip_prefix(PREFIX).unwrap_or(user);
        Some(FailedLogin { user, address, reason, time: time.and_then(|at| row.get(at)?.as_deref()) })
    };
    Some(messages.rev().filter_map(failed))
}

/// The logouts in the lines that are new in the log of `new`, oldest first. If the log was not read before, no line is known
/// to be new.
pub(super) fn new_logouts(old: &SiteState, new: &SiteState) -> Vec<LoggedLogout> {
    let mut logouts = Vec::new();
    for reading in new.readings.iter().filter(|reading| is_log(reading)) {
        let old = old.reading(reading.plugin.name()).filter(|old| old.plugin == reading.plugin);
        let Some(old) = old.filter(|old| !has_same_data(old, reading)) else { continue };
        let (Some(before), Some(now)) = (messages(old), messages(reading)) else { continue };
        // The rows have no ids, and a log drops its oldest lines.
        let mut known: HashMap<&[Option<String>], usize> = HashMap::new();
        for (row, _) in before {
            *known.entry(row).or_default() += 1;
        }
        for (row, message) in now {
            match known.get_mut(row) {
                Some(count) if *count > 0 => *count -= 1,
                _ => logouts.extend(message.and_then(|message| LoggedLogout::read(&new.key, message))),
            }
        }
    }
    logouts
}

/// When the logs of a site were last read.
pub(super) fn last_read(site: &SiteState) -> impl Iterator<Item = Moment> {
    site.readings.iter().filter(|reading| is_log(reading)).filter_map(|reading| reading.at)
}

fn is_log(reading: &Reading) -> bool {
    reading.plugin.declaration().is_some_and(|declaration| declaration.menu == "/log")
}

fn has_same_data(old: &Reading, new: &Reading) -> bool {
    old.data.as_ref().zip(new.data.as_ref()).is_some_and(|(old, new)| Arc::ptr_eq(old, new))
}

/// The rows with their messages, if the plugin shows these.
fn messages(reading: &Reading) -> Option<impl DoubleEndedIterator<Item = (&[Option<String>], Option<&str>)>> {
    let Listing { table, .. } = reading.data.as_deref()?.listing()?;
    let column = table.columns.iter().position(|column| column == "message")?;
    Some(table.rows.iter().map(move |row| (row.as_slice(), row.get(column).and_then(Option::as_deref))))
}

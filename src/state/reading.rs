//! A reading: the data that a plugin last read from a router, its age, and the result of the last attempt.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::plugin::{self, Answer, Data, Following, Partial, Plugin, ReadContext};
use crate::routeros::codepage::Codepage;
use crate::routeros::error::{Cause, Error};
use crate::routeros::rows::Rows;

/// The data that a plugin last read from a router, and the result of its last attempt.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The plugin that reads the data.
    pub plugin: Plugin,
    /// The last valid data. Later failures do not remove it.
    pub data: Option<Arc<Data>>,
    /// When this data arrived.
    pub at: Option<Moment>,
    /// How long the last attempt took.
    pub took: Option<Duration>,
    /// Why the last attempt failed.
    pub error: Option<Error>,
    /// When the current series of failures began.
    pub failed_since: Option<Moment>,
    /// Why the data is incomplete.
    pub partial: Option<Partial>,
    /// Bytes of memory that the data takes.
    pub cost: usize,
    /// Whether a `listen` reported changes over the last connection.
    pub is_live: bool,
}

/// The state of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingState {
    /// Not read yet.
    Waiting,
    /// The data is from the last attempt.
    Ok,
    /// The data is older: the router can't be reached, or the last attempt failed.
    Stale,
    /// The router's user may not read this menu.
    Denied,
    /// The router has no such menu.
    Unsupported,
    /// The last attempt failed, and there is no older data.
    Failed,
}

impl ReadingState {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ok => "ok",
            Self::Stale => "stale",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::Failed => "failed",
        }
    }
}

impl Reading {
    /// A reading before its first attempt.
    pub fn new(plugin: Plugin) -> Self {
        Self {
            plugin,
            data: None,
            at: None,
            took: None,
            error: None,
            failed_since: None,
            partial: None,
            cost: 0,
            is_live: false,
        }
    }

    /// Adopts those data of an older reading, of a plugin with the same name, that are valid for this plugin.
    pub fn inherit(self, old: &Self) -> Self {
        if self.plugin == old.plugin {
            return old.clone();
        }
        match old.data.as_deref().and_then(|data| self.plugin.inherit(data, &old.plugin)) {
            Some(data) => {
                Self { plugin: self.plugin, cost: data.cost(), data: Some(Arc::new(data)), ..old.clone() }
            }
            None => self,
        }
    }

    /// The reading after an attempt: the plugin's commands were sent at `asked`, and at `now` all replies had arrived or
    /// timed out.
    pub fn after(
        mut self,
        answers: &[Answer],
        asked: Moment,
        now: Moment,
        codepage: &'static Codepage,
        following: Following,
    ) -> Self {
        let replies = || answers.iter().filter_map(|answer| answer.as_ref().ok());
        // The replies to other plugins may have taken longer. The data is as old as this plugin's own reply.
        let took = replies().map(|reply| reply.took).max().unwrap_or_default();
        let at = asked.after(took);
        let previous = self.data.as_deref();
        let context = ReadContext { took, following, ..ReadContext::new(at, codepage) };
        match self.plugin.read(answers, previous, &context) {
            Ok(data) => {
                self.is_live = !matches!(following, Following::No);
                self.partial = plugin::partial(answers).or_else(|| data.incomplete().map(Partial::from));
                self.cost = data.cost();
                self.data = Some(Arc::new(data));
                self.at = Some(at);
                self.took = Some(took);
                self.error = None;
                self.failed_since = None;
            }
            Err(error) => {
                self.took = Some(now.since(asked));
                self.error = Some(error);
                self.failed_since.get_or_insert(now);
            }
        }
        self
    }

    /// The reading after changes between two refreshes: reported by a `listen`, or without one made by this agent.
    ///
    /// # Errors
    ///
    /// If the data exceeds its limit after the changes.
    pub fn followed(
        mut self,
        changes: &Rows,
        now: Moment,
        codepage: &'static Codepage,
    ) -> Result<Self, Error> {
        let following = if self.is_live { Following::On } else { Following::No };
        let context = ReadContext { following, ..ReadContext::new(now, codepage) };
        if let Some(previous) = &self.data
            && let Some(data) = previous.follow(changes, &context)?
        {
            self.cost = data.cost();
            self.data = Some(Arc::new(data));
        }
        Ok(self)
    }

    /// Why the last attempt failed. The router's own texts about private data are for the admin only.
    pub fn error_for(&self, is_admin: bool) -> Option<Cow<'_, Error>> {
        let error = self.error.as_ref()?;
        Some(if self.shows_words(is_admin) {
            Cow::Borrowed(error)
        } else {
            Cow::Owned(error.without_quote())
        })
    }

    /// The reason why the data is incomplete. The same rule applies to the router's texts.
    pub fn partial_for(&self, is_admin: bool) -> Option<&str> {
        let partial = self.partial.as_ref()?;
        Some(if self.shows_words(is_admin) { &partial.message } else { partial.without_quote() })
    }

    fn shows_words(&self, is_admin: bool) -> bool {
        is_admin || !self.plugin.private()
    }

    /// Truncates the data to this many bytes, which makes it partial.
    pub(super) fn truncate(&mut self, max_bytes: usize) {
        let data = self.data.as_ref().filter(|_| self.cost > max_bytes);
        if let Some((data, reason)) = data.and_then(|data| data.truncated(max_bytes)) {
            self.cost = data.cost();
            self.data = Some(Arc::new(data));
            self.partial = Some(reason.into());
        }
    }

    /// The state, depending on whether the router is `online`.
    pub fn state(&self, online: bool) -> ReadingState {
        match (&self.error, &self.data) {
            (Some(Error { cause: Cause::Permission, .. }), _) => ReadingState::Denied,
            (Some(Error { cause: Cause::Unsupported, .. }), _) => ReadingState::Unsupported,
            (None, Some(_)) if online => ReadingState::Ok,
            (_, Some(_)) => ReadingState::Stale,
            (Some(_), None) => ReadingState::Failed,
            (None, None) => ReadingState::Waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Health;

    #[test]
    fn the_state_follows_from_data_and_error() {
        let mut reading = Reading::new(Plugin::Health);
        assert_eq!(reading.state(true), ReadingState::Waiting);
        reading.error = Some(Error::new(Cause::QueryTimeout, ""));
        assert_eq!(reading.state(true), ReadingState::Failed);
        reading.data = Some(Arc::new(Data::Health(Health::default())));
        assert_eq!(reading.state(true), ReadingState::Stale);
        reading.error = None;
        assert_eq!(reading.state(true), ReadingState::Ok);
        assert_eq!(reading.state(false), ReadingState::Stale);
        reading.error = Some(Error::new(Cause::Permission, ""));
        assert_eq!(reading.state(true), ReadingState::Denied);
        reading.error = Some(Error::new(Cause::Unsupported, ""));
        assert_eq!(reading.state(true), ReadingState::Unsupported);
    }
}

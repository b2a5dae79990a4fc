//! One plugin's last answer: value, age, state.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::plugin::{self, Answer, Context, Data, Following, Plugin};
use crate::routeros::codepage::Codepage;
use crate::routeros::error::{self, Cause, Error};
use crate::routeros::wire::Sentence;

/// What a plugin last read from a router, and how its last try went.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The plugin that reads it.
    pub plugin: Arc<dyn Plugin>,
    /// The last good answer. Stays when later tries fail.
    pub data: Option<Arc<Data>>,
    /// When that answer came.
    pub at: Option<Moment>,
    /// How long the last try took.
    pub took: Option<Duration>,
    /// Why the last try failed.
    pub error: Option<Error>,
    /// Since when tries fail.
    pub failed_since: Option<Moment>,
    /// Why the data is only a part of the whole, in the router's words.
    pub partial: Option<String>,
    /// Bytes of memory that the data takes.
    pub cost: usize,
    /// Whether changes are told as they happen, over the connection that there is or was last.
    pub is_live: bool,
}

/// How a reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingState {
    /// Not tried yet.
    Waiting,
    /// The last try gave the data.
    Ok,
    /// The data is from before: the router can't be reached or the last try failed.
    Stale,
    /// The router's user may not see this menu.
    Denied,
    /// The router has no such menu.
    Unsupported,
    /// The last try failed, and none before it gave data.
    Failed,
}

impl ReadingState {
    /// The name in JSON.
    #[must_use]
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
    /// A reading before its first try.
    #[must_use]
    pub fn new(plugin: Arc<dyn Plugin>) -> Self {
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

    /// What of a reading by a plugin of this name holds for the one that it is now.
    #[must_use]
    pub fn inherit(self, from: &Self) -> Self {
        if *self.plugin == *from.plugin {
            return from.clone();
        }
        let data = from.data.as_deref().zip(from.plugin.declaration());
        match data.and_then(|(data, declaration)| self.plugin.inherit(data, declaration)) {
            Some(data) => {
                Self { plugin: self.plugin, cost: data.cost(), data: Some(Arc::new(data)), ..from.clone() }
            }
            None => self,
        }
    }

    /// The reading after a try: the plugin's commands left at `asked`, and all of these answers
    /// were in, or waited for no longer, at `now`.
    #[must_use]
    pub fn after(
        mut self,
        answers: &[Answer],
        asked: Moment,
        now: Moment,
        codepage: &'static Codepage,
        following: Following,
    ) -> Self {
        let replies = || answers.iter().filter_map(|answer| answer.as_ref().ok());
        // The answers of other plugins may have taken longer: what this one says is as old as its own.
        let took = replies().map(|reply| reply.took).max().unwrap_or_default();
        let at = asked.after(took);
        let previous = self.data.as_deref();
        let context = Context { took, previous, following, ..Context::new(at, codepage) };
        match self.plugin.read(answers, &context) {
            Ok(data) => {
                self.is_live = !matches!(following, Following::No);
                self.partial = plugin::partial(answers).or_else(|| data.incomplete());
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

    /// The reading after changes that came between the answers: told by a `listen` where there is one, or else
    /// made by somebody here.
    ///
    /// # Errors
    ///
    /// When they make more of the data than is taken.
    pub fn followed(
        mut self,
        changes: &[Sentence],
        now: Moment,
        codepage: &'static Codepage,
    ) -> Result<Self, Error> {
        let previous = self.data.as_deref();
        let following = if self.is_live { Following::On } else { Following::No };
        let context = Context { previous, following, ..Context::new(now, codepage) };
        if let Some(data) = self.plugin.follow(changes, &context)? {
            self.cost = data.cost();
            self.data = Some(Arc::new(data));
        }
        Ok(self)
    }

    /// Why the last try failed. Of what is private, the router's own words are for the admin.
    #[must_use]
    pub fn error_for(&self, is_admin: bool) -> Option<Cow<'_, Error>> {
        let error = self.error.as_ref()?;
        let is_whole = is_admin || !self.plugin.private();
        Some(if is_whole { Cow::Borrowed(error) } else { Cow::Owned(error.without_words()) })
    }

    /// Why the data is only a part of the whole, with the same words.
    #[must_use]
    pub fn partial_for(&self, is_admin: bool) -> Option<&str> {
        let partial = self.partial.as_deref()?;
        let is_whole = is_admin || !self.plugin.private();
        Some(if is_whole { partial } else { error::without_words(partial) })
    }

    /// Truncates the data to this many bytes, after which it is partial.
    pub(super) fn truncate(&mut self, max_bytes: usize) {
        let data = self.data.as_ref().filter(|_| self.cost > max_bytes);
        if let Some((data, reason)) = data.and_then(|data| data.cut(max_bytes)) {
            self.cost = data.cost();
            self.data = Some(Arc::new(data));
            self.partial = Some(reason);
        }
    }

    /// How it stands, by whether its router is `online`.
    #[must_use]
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
    use crate::plugin::{Health, built_in};

    #[test]
    fn a_reading_says_how_it_stands() {
        let mut reading = Reading::new(built_in("health").unwrap());
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

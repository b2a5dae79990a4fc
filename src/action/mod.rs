//! Actions: requests that a site's router must carry out or answer. One file per action.
//!
//! Each file has the request with its syntax, the job that the site's task runs, the outcome as JSON and in the log, and
//! the texts of its errors. To add an action, add a file here and a row to the HTTP routes.

pub mod diagnose;
pub mod kick;
pub mod refresh;
pub mod users;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;
use crate::routeros::client::{Client, Command, Reply};
use crate::routeros::error::{Cause, Error};
use crate::routeros::wire::Sentence;
use crate::site::SiteContext;
pub use crate::site::handle::{ActionError, JobQueue, SiteHandles};

/// Longest text of a client or router in a log line or an error, in characters. Longer texts are truncated.
const MAX_QUOTED: usize = 100;

/// Longest such text after escaping, in bytes.
const MAX_ESCAPED: usize = 4 * MAX_QUOTED + 2;

/// An action on one site that is logged.
pub trait Action: Send + Sized + 'static {
    /// The outcome of the action.
    type Outcome: Serialize + Send + 'static;

    /// Its name in the log.
    const NAME: &'static str;

    /// The jobs that it waits for.
    const QUEUE: JobQueue;

    /// The parameters for the log, each as ` name=value`.
    fn arguments(&self) -> String {
        String::new()
    }

    /// The outcome for the log: a word, then details, each as ` name=value`.
    fn result(outcome: &Self::Outcome) -> String;

    /// Carries out the action, which may have waited since `requested_at`.
    fn job(
        self,
        site: Arc<SiteContext>,
        requested_at: Moment,
    ) -> impl Future<Output = Result<Self::Outcome, ActionError>> + Send;
}

/// Lets a site's task run an action.
///
/// # Errors
///
/// The reason why it was not carried out.
pub async fn run<A: Action>(handles: &SiteHandles, site: &str, action: A) -> Result<A::Outcome, ActionError> {
    let now = Moment::now();
    handles.run(site, A::QUEUE, move |site| action.job(site, now)).await
}

/// Sends all commands in one write; returns the rows of each. An item that the router lacks has no rows.
async fn ask(
    client: &Client,
    commands: Vec<Command>,
    timeout: Duration,
) -> Vec<Result<Vec<Sentence>, Error>> {
    let answers = client.call_all(commands, timeout).await;
    let rows = answers.into_iter().map(|answer| match answer {
        Err(error) if error.is_missing_item() => Ok(Vec::new()),
        answer => answer.and_then(complete).map(|reply| reply.rows),
    });
    rows.collect()
}

/// A reply, unless it is truncated: an action shows all rows or none.
fn complete(reply: Reply) -> Result<Reply, Error> {
    let why = reply.partial().filter(|_| reply.is_truncated);
    why.map_or(Ok(reply), |why| Err(Error::new(Cause::Protocol, why.message)))
}

/// An error of a router, as JSON.
#[derive(Debug, Serialize)]
struct RouterError<'e> {
    cause: &'static str,
    message: &'e str,
    hint: &'static str,
}

impl<'e> From<&'e Error> for RouterError<'e> {
    fn from(error: &'e Error) -> Self {
        Self { cause: error.cause.name(), message: &error.message, hint: error.hint }
    }
}

/// Quotes and truncates a client's or router's text for a log line or an error. The quotes keep it from forging a line.
/// Escapes can make it ten times as long, so the escaped text is truncated again.
fn quoted(text: &str) -> String {
    let beginning = truncated(text);
    let mut quoted = format!("{beginning:?}");
    let is_long = quoted.len() > MAX_ESCAPED;
    let end = (0..=MAX_ESCAPED.min(quoted.len())).rev().find(|&at| quoted.is_char_boundary(at));
    quoted.truncate(end.unwrap_or_default());
    if is_long || beginning.len() < text.len() {
        quoted.push('…');
    }
    quoted
}

/// The first [`MAX_QUOTED`] characters of a text.
fn truncated(text: &str) -> &str {
    text.char_indices().nth(MAX_QUOTED).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_short_however_it_is_escaped() {
        assert_eq!(quoted("ada \"x\""), r#""ada \"x\"""#);
        assert_eq!(quoted(&"é".repeat(101)), format!("\"{}\"…", "é".repeat(100)));
        let escaped = quoted(&"\u{10FFFD}".repeat(100));
        assert!(escaped.len() <= MAX_ESCAPED + '…'.len_utf8() && escaped.ends_with('…'), "{escaped}");
    }
}

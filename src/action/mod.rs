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
use serde::de::DeserializeOwned;

use crate::clock::Moment;
use crate::routeros::client::{Client, Command, Reply};
use crate::routeros::error::{Cause, Error};
use crate::routeros::rows::Rows;
pub use crate::site::JobQueue;
use crate::site::SiteContext;
pub use crate::site::handle::{ActionError, SiteHandles};
use crate::text;

/// Longest text of a client or router in a log line or an error, in characters. Longer texts are truncated.
const MAX_QUOTED: usize = 100;

/// An action on one site that is logged.
pub trait Action: Send + Sized + 'static {
    /// The outcome of the action.
    type Outcome: Serialize + Send + 'static;

    /// Its name in the log.
    const NAME: &'static str;

    /// The jobs that it waits for.
    const QUEUE: JobQueue;

    /// Parses the body of a request.
    ///
    /// # Errors
    ///
    /// The problem of the body, and the expected form.
    fn parse(body: &[u8]) -> Result<Self, String>;

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
async fn ask(client: &Client, commands: Vec<Command>, timeout: Duration) -> Vec<Result<Rows, Error>> {
    let answers = client.call_all(&commands, timeout).await;
    let rows = answers.into_iter().map(|answer| match answer {
        Err(error) if error.is_missing_item() => Ok(Rows::default()),
        answer => answer.and_then(complete).map(|reply| reply.rows),
    });
    rows.collect()
}

/// A reply, unless it is truncated: an action shows all rows or none.
fn complete(reply: Reply) -> Result<Reply, Error> {
    let why = reply.partial().filter(|_| reply.is_truncated);
    why.map_or(Ok(reply), |why| Err(Error::new(Cause::Protocol, why.message)))
}

/// An error of a router as JSON: its cause, and how to fix it.
#[derive(Debug, Serialize)]
pub struct ErrorJson {
    cause: &'static str,
    message: String,
    hint: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl ErrorJson {
    /// The error, and when it began if it lasts.
    pub fn new(error: &Error, since: Option<String>) -> Self {
        Self { cause: error.cause.name(), message: error.message.clone(), hint: error.hint, since }
    }
}

/// Parses a JSON object that a client sent.
///
/// # Errors
///
/// The problem of the body, and the `expected` form.
pub fn parse_object<T: DeserializeOwned>(body: &[u8], expected: &str) -> Result<T, String> {
    // `serde` would also accept an array of the fields' values.
    let parsed = if body.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice(body).map_err(|error| error.to_string())
    } else {
        Err("no object".into())
    };
    parsed.map_err(|error| {
        format!("Invalid body: {}. Expected {expected}.", text::shortened(&error, MAX_QUOTED))
    })
}

/// Quotes a client's or router's text for a log line or an error.
fn quoted(text: &str) -> String {
    text::quoted(text, MAX_QUOTED)
}

//! Runs actions for HTTP: logs each in one line, and turns its error into a response.
//!
//! The lines of the admin's actions are audit lines. A refresh is an ordinary line: viewers can cause it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use smol::channel::bounded;

use super::api;
use super::auth::Role;
use super::message::{Response, problem};
use crate::action::refresh::{self, RefreshOutcomes};
use crate::action::{self, Action, ActionError, SiteHandles};
use crate::executor;
use crate::logging;
use crate::routeros::error::{Cause, Error};

/// Maximum number of requests for a refresh that wait at once. This is less than the server's limit of waiting
/// responses, because every viewer may refresh: the remaining places are reserved for the admin's actions.
pub(super) const MAX_REFRESHES: usize = 192;

/// The client that requested an action, as the log shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who {
    pub(super) role: Role,
    pub(super) peer: IpAddr,
    /// Whether the request came without a token.
    pub(super) is_anonymous: bool,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by={} peer={}", self.role.name(), self.peer)
    }
}

/// Runs an action to its end and logs it, even if the connection to the client ends earlier. Shutting down interrupts
/// it, and waits for its log line.
pub(super) async fn run<A: Action>(
    handles: &Arc<SiteHandles>,
    site: &str,
    action: A,
    who: Who,
) -> Result<A::Outcome, ActionError> {
    let (handles, site) = (handles.clone(), site.to_owned());
    let (done, outcome) = bounded(1);
    let guard = handles.begin_action();
    executor::spawn(async move {
        let what = format!("{} site={site}{}", A::NAME, action.arguments());
        let outcome = action::run(&handles, &site, action).await;
        log_action(who, &what, outcome.as_ref().map(A::result));
        drop(guard);
        // This fails if the caller was dropped.
        let _ = done.try_send(outcome);
    })
    .detach();
    outcome.recv().await.unwrap_or(Err(ActionError::Abandoned))
}

/// Refreshes these sites. It is logged only if a router was queried.
pub(super) async fn refresh(handles: &SiteHandles, sites: Vec<String>, who: Who) -> RefreshOutcomes {
    let outcomes = refresh::refresh(handles, sites, who.is_anonymous).await;
    if let Some((site, result)) = refresh::log_fields(&outcomes) {
        log::info!("action=refresh site={site} {who} result={result}");
    }
    outcomes
}

/// Logs an action: its name and parameters, and its result.
pub(super) fn log_action(who: Who, what: &str, outcome: Result<String, &ActionError>) {
    match outcome {
        Ok(result) => log::info!(target: logging::AUDIT, "action={what} {who} result={result}"),
        Err(error) => {
            let why = error.to_string();
            log::warn!(target: logging::AUDIT, "action={what} {who} result=failed msg={why:?}");
        }
    }
}

/// A parsed request, or the error that parsing it caused.
pub(super) fn parsed<T>(request: Result<T, String>) -> Result<T, Response> {
    request.map_err(|why| problem(400, &why))
}

/// The problem response for an action that was not carried out.
pub(super) fn refused(error: &ActionError) -> Response {
    refused_as(error, |status| match error {
        ActionError::Router(cause) => api::problem_of(status, &error.to_string(), cause),
        _ => problem(status, &error.to_string()),
    })
}

/// The response for an action that was not carried out, in another format, which is built from a status.
pub(super) fn refused_as(error: &ActionError, shape: impl FnOnce(u16) -> Response) -> Response {
    let response = shape(match error {
        ActionError::NoSite | ActionError::Gone(_) => 404,
        ActionError::Conflict(_) => 409,
        ActionError::Busy | ActionError::Abandoned | ActionError::Stopping => 503,
        ActionError::Router(Error { cause: Cause::QueryTimeout | Cause::ConnectTimeout, .. }) => 504,
        ActionError::Router(error) if error.is_refusal() && error.cause != Cause::Auth => 403,
        ActionError::Router(_) => 502,
    });
    if *error == ActionError::Busy { response.with("Retry-After", "1") } else { response }
}

/// The outcome of an action in a response, or the error.
pub(super) fn answer<T>(outcome: &Result<T, ActionError>, shape: impl FnOnce(&T) -> Response) -> Response {
    outcome.as_ref().map_or_else(refused, shape)
}

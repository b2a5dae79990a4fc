//! What is asked of a router when somebody wants it. Each action is one log line.
//!
//! Those of the admin are audit lines. A refresh is a line like any other: viewers can cause it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;
use serde::de::Error as _;
use smol::Timer;
use smol::channel::bounded;
use smol::future::FutureExt;

use super::api;
use super::auth::Role;
use super::message::{Request, Response, problem};
use crate::action::{
    ActionError, DiagnosticStep, Kick, Kicked, PageRequest, Refreshed, SiteHandles, UserPage,
};
use crate::executor;
use crate::logging;
use crate::routeros::error::{Cause, Error};

/// Users of a page where nobody says how many.
pub(super) const USERS: usize = 50;

/// Most users of a page: the router is asked for each of them by its id.
const MAX_USERS: usize = 500;

/// Most calls for a refresh that wait at once. They are fewer than the answers that the gate lets wait: whoever
/// may look may refresh, and the admin's actions have the rest of the places to themselves.
pub(super) const MAX_REFRESHES: usize = 192;

/// Longest text of others in a line, in characters; a name of 10 KB is cut.
const MAX_QUOTED: usize = 100;

/// The same once it is escaped, in bytes.
const MAX_ESCAPED: usize = 4 * MAX_QUOTED + 2;

/// How it went at each site.
pub(super) type Outcomes = Vec<(String, Result<Refreshed, ActionError>)>;

/// Who asks for an action, as the log tells it.
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

/// The body of a kick.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KickBody {
    id: String,
    user: String,
    mac: String,
    #[serde(default)]
    forget: bool,
}

/// What a kick's JSON asks for.
pub(super) fn kick_of(request: &Request) -> Result<Kick, Response> {
    // A list of the fields' values would be taken for them, too.
    let is_object = request.body.trim_ascii_start().starts_with(b"{");
    let read = if is_object {
        serde_json::from_slice(&request.body)
    } else {
        Err(serde_json::Error::custom("no object"))
    };
    let body: KickBody = read.map_err(|error| {
        let expected = r#"{"id": "*A053202", "user": "…", "mac": "…"}, and "forget": true if its cookies are to go, too"#;
        problem(400, "Bad Request", &format!("The body is not what is expected, {expected}: {}.", cut(&error.to_string())))
    })?;
    let KickBody { id, user, mac, forget } = body;
    Ok(Kick { id, user, mac, forget })
}

/// Ends a session.
pub(super) async fn kick(
    desk: &Arc<SiteHandles>,
    site: &str,
    kick: Kick,
    who: Who,
) -> Result<Kicked, ActionError> {
    let (desk, site) = (desk.clone(), site.to_owned());
    to_the_end(async move { logged_kick(&desk, &site, kick, who).await }).await
}

async fn logged_kick(desk: &SiteHandles, site: &str, kick: Kick, who: Who) -> Result<Kicked, ActionError> {
    let (user, mac, id) = (quoted(&kick.user), quoted(&kick.mac), quoted(&kick.id));
    let what = format!("kick site={site} user={user} mac={mac} session={id}");
    let kicked = in_time(desk, Instant::now(), desk.kick(site, kick)).await;
    let outcome = kicked.as_ref().map(|kicked| {
        let back = match kicked.is_back {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        format!("removed sessions={} cookies={} back={back}", kicked.removed.len(), kicked.cookies)
    });
    log_action(who, &what, outcome);
    kicked
}

/// Tries the way to a site's router.
pub(super) async fn test(
    desk: &Arc<SiteHandles>,
    site: &str,
    who: Who,
) -> Result<Vec<DiagnosticStep>, ActionError> {
    let (desk, site) = (desk.clone(), site.to_owned());
    to_the_end(async move { logged_test(&desk, &site, who).await }).await
}

async fn logged_test(desk: &SiteHandles, site: &str, who: Who) -> Result<Vec<DiagnosticStep>, ActionError> {
    let steps = in_time(desk, Instant::now(), desk.test(site)).await;
    let outcome = steps.as_ref().map(|steps| {
        let failed = steps.iter().filter(|step| step.outcome.is_err()).count();
        format!("tested steps={} failed={failed}", steps.len())
    });
    log_action(who, &format!("test site={site}"), outcome);
    steps
}

/// Runs an action to its end, with its line in the log, even if the client disconnects or is disconnected meanwhile.
async fn to_the_end<T: Send + 'static>(
    action: impl Future<Output = Result<T, ActionError>> + Send + 'static,
) -> Result<T, ActionError> {
    let (done, outcome) = bounded(1);
    executor::spawn(async move {
        // An error means that nobody waits for it.
        let _ = done.try_send(action.await);
    })
    .detach();
    outcome.recv().await.unwrap_or(Err(ActionError::Abandoned))
}

/// The users of a page.
pub(super) async fn users(
    desk: &SiteHandles,
    site: &str,
    page: PageRequest,
) -> Result<UserPage, ActionError> {
    in_time(desk, Instant::now(), desk.users(site, page)).await
}

/// Has these sites asked now, side by side; how it went, in their order. It is an action only where a router was asked.
pub(super) async fn refresh(desk: &SiteHandles, sites: Vec<String>, who: Who) -> Outcomes {
    let began = Instant::now();
    // All are called before the first is waited for.
    let called: Vec<_> =
        sites.into_iter().map(|site| (desk.refresh(&site, who.is_anonymous), site)).collect();
    let mut outcomes = Vec::new();
    for (refreshed, site) in called {
        outcomes.push((site, in_time(desk, began, refreshed).await));
    }
    let asked = outcomes.iter().filter(|(_, outcome)| *outcome != Ok(Refreshed::Recent)).count();
    if asked > 0 {
        let answered = outcomes.iter().filter(|(_, outcome)| *outcome == Ok(Refreshed::Asked)).count();
        let site = match outcomes.as_slice() {
            [(site, _)] => site,
            _ => "*",
        };
        let result = if answered > 0 { "answered" } else { "failed" };
        log::info!("action=refresh site={site} {who} result={result} asked={asked} answered={answered}");
    }
    outcomes
}

/// What a site answers to who `began` to ask then, or that it takes too long.
async fn in_time<T>(
    desk: &SiteHandles,
    began: Instant,
    answer: impl Future<Output = Result<T, ActionError>>,
) -> Result<T, ActionError> {
    let timeout = desk.timeout();
    let late = async {
        Timer::at(began + timeout).await;
        let told = format!("no answer from the site within {}", humantime::format_duration(timeout));
        Err(Error::new(Cause::QueryTimeout, told).into())
    };
    answer.or(late).await
}

/// Which users a query asks for.
pub(super) fn page_of(request: &Request) -> Result<PageRequest, Response> {
    let limit = match request.parameter("limit") {
        None => USERS,
        Some(text) => text.parse().ok().filter(|limit| (1..=MAX_USERS).contains(limit)).ok_or_else(|| {
            let told = format!("limit: found {}; expected a number from 1 to {MAX_USERS}.", quoted(&text));
            problem(400, "Bad Request", &told)
        })?,
    };
    Ok(PageRequest { after: request.parameter("after"), limit })
}

fn log_action(who: Who, what: &str, outcome: Result<String, &ActionError>) {
    match outcome {
        Ok(result) => log::info!(target: logging::AUDIT, "action={what} {who} result={result}"),
        Err(refusal) => {
            let why = in_words(refusal);
            log::warn!(target: logging::AUDIT, "action={what} {who} result=failed msg={why:?}");
        }
    }
}

/// A text of others in a line: quoted, so that it is no line of its own, and not longer than is read. Escaped it may be
/// ten times as long, and what follows it in the line must not be cut off.
fn quoted(text: &str) -> String {
    let cut = cut(text);
    let mut quoted = format!("{cut:?}");
    let is_long = quoted.len() > MAX_ESCAPED;
    let end = (0..=MAX_ESCAPED.min(quoted.len())).rev().find(|&at| quoted.is_char_boundary(at));
    quoted.truncate(end.unwrap_or_default());
    if is_long || cut.len() < text.len() {
        quoted.push('…');
    }
    quoted
}

/// The begin of a text.
fn cut(text: &str) -> &str {
    text.char_indices().nth(MAX_QUOTED).map_or(text, |(end, _)| &text[..end])
}

/// Why it was not done, for a person.
pub(super) fn in_words(refusal: &ActionError) -> String {
    match refusal {
        ActionError::NoSite => "This site is not configured (any more).".into(),
        ActionError::Abandoned => {
            "The site was changed or taken out of sites.ron meanwhile, or the agent failed over this, which its log \
             would tell. Whether it was done is not known: look, and try again."
                .into()
        }
        ActionError::Busy => "Too much is asked of this site at once: try again in a moment.".into(),
        ActionError::Gone => "The session is not there any more.".into(),
        ActionError::Another => {
            "The session of this id is another one by now: another user or device, or logged in anew. \
             Look at the list again."
                .into()
        }
        ActionError::Router(error) => format!("{}. {}", capital(&error.message), error.hint),
    }
}

/// The same in an answer.
pub(super) fn refused(refusal: &ActionError) -> Response {
    refused_as(refusal, |status, title| match refusal {
        ActionError::Router(error) => api::problem_of(status, title, &in_words(refusal), error),
        _ => problem(status, title, &in_words(refusal)),
    })
}

/// The same in an answer of another shape, which is made of its status and title.
pub(super) fn refused_as(
    refusal: &ActionError,
    shape: impl FnOnce(u16, &'static str) -> Response,
) -> Response {
    let (status, title) = match refusal {
        ActionError::NoSite | ActionError::Gone => (404, "Not Found"),
        ActionError::Another => (409, "Conflict"),
        ActionError::Busy | ActionError::Abandoned => (503, "Service Unavailable"),
        ActionError::Router(Error { cause: Cause::QueryTimeout | Cause::ConnectTimeout, .. }) => {
            (504, "Gateway Timeout")
        }
        ActionError::Router(error) if error.is_refusal() && error.cause != Cause::Auth => (403, "Forbidden"),
        ActionError::Router(_) => (502, "Bad Gateway"),
    };
    let response = shape(status, title);
    if *refusal == ActionError::Busy { response.with("Retry-After", "1") } else { response }
}

/// What was done in the shape of an answer, or why it was not.
pub(super) fn answer<T>(outcome: &Result<T, ActionError>, shape: impl FnOnce(&T) -> Response) -> Response {
    outcome.as_ref().map_or_else(refused, shape)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_a_line_is_short_however_it_is_escaped() {
        assert_eq!(quoted("ada \"x\""), r#""ada \"x\"""#);
        assert_eq!(quoted(&"é".repeat(101)), format!("\"{}\"…", "é".repeat(100)));
        let escaped = quoted(&"\u{10FFFD}".repeat(100));
        assert!(escaped.len() <= MAX_ESCAPED + '…'.len_utf8() && escaped.ends_with('…'), "{escaped}");
    }
}

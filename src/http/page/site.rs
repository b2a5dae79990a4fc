//! A site's page: its figures, each plugin's rows, and its connections.

use askama::Template;

use super::card::Card;
use super::ended_sessions::{self, EndedSession};
use super::format::{bytes, grouped};
use super::history::{HistorySection, sparkline};
use super::layout::{Layout, render, see_other};
use super::notice;
use super::session_list::SessionList;
use super::session_query::SessionQuery;
use super::tables::{self, ShownTable};
use crate::clock;
use crate::http::api::View;
use crate::http::context::Context;
use crate::http::message::Response;
use crate::journal::{FailedLogin, failed_logins};
use crate::plugin::Data;
use crate::state::{ConnectionEvent, Reading, ReadingState, SiteState, Usage};

/// Failed logins on the page. The router's log has more.
const MAX_FAILED: usize = 10;

#[derive(Template)]
#[template(path = "site.html")]
struct SitePage<'p> {
    layout: Layout,
    generation: u64,
    notice: String,
    card: Card<'p>,
    /// The query of the session list, which a form keeps.
    session_query: String,
    history: Option<HistorySection>,
    sections: Vec<Section<'p>>,
    /// The titles of the plugins whose first answer is awaited.
    waiting: Vec<&'p str>,
    /// The number of failed logins in the router's log, and the latest; for the admin, if the log is read.
    failed: Option<(usize, Vec<FailedLogin<'p>>)>,
    ended: Vec<EndedSession>,
    events: Vec<Event<'p>>,
    /// The agent's overhead on the router.
    usage: &'p Usage,
    sent: String,
    received: String,
    is_admin: bool,
    has_admin: bool,
    /// The titles of the sections that only the admin may see, and whether there are several.
    hidden: String,
    hides_several: bool,
}

/// The data of one plugin.
struct Section<'p> {
    name: &'p str,
    title: &'p str,
    state: &'static str,
    age: Option<String>,
    problem: Option<String>,
    /// The reason why the rows are incomplete.
    partial: Option<&'p str>,
    content: Content<'p>,
    more: Option<More>,
}

enum Content<'p> {
    Sessions(SessionList<'p>),
    Table(ShownTable),
}

/// A link to all rows, if the page shows only some.
struct More {
    shown: usize,
    total: String,
    href: String,
}

/// A connection that was opened or lost.
struct Event<'p> {
    at: String,
    ago: String,
    is_lost: bool,
    detail: &'p str,
}

/// `GET /sites/{site}`. Personal details are for the admin.
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    let (site, view, is_admin) = (context.site()?, context.view(), context.is_admin());
    let query = SessionQuery::read(context.request.query.as_bytes());
    let _guard = context.rendering();
    let (shown, hidden): (Vec<&Reading>, Vec<_>) =
        site.readings.iter().partition(|reading| is_admin || !reading.plugin.private());
    let hidden: Vec<&str> = hidden.into_iter().map(hidden_title).collect();
    let (waiting, shown): (Vec<&Reading>, Vec<_>) =
        shown.into_iter().partition(|reading| reading.state(site.is_online()) == ReadingState::Waiting);
    let failed = failed_logins(site).filter(|_| is_admin).map(Iterator::collect::<Vec<_>>);
    Ok(render(&SitePage {
        layout: context.layout(),
        generation: view.snapshot.generation,
        notice: notice::text(context),
        card: Card { sparkline: sparkline(context, site), ..Card::new(view, site) },
        session_query: query.to_string(),
        history: HistorySection::new(context, site, &query),
        sections: shown.into_iter().map(|reading| section(view, site, reading, &query)).collect(),
        waiting: waiting.into_iter().map(|reading| reading.plugin.title()).collect(),
        failed: failed.map(|failed| (failed.len(), failed.into_iter().take(MAX_FAILED).collect())),
        ended: ended_sessions::latest(context, site),
        events: events(view, site),
        usage: &site.usage,
        sent: bytes(site.usage.sent_bytes),
        received: bytes(site.usage.received_bytes),
        is_admin,
        has_admin: context.http.admin.is_some(),
        hides_several: hidden.len() > 1,
        hidden: match hidden.split_last() {
            Some((last, others @ [_, ..])) => format!("{} and {last}", others.join(", ")),
            _ => hidden.concat(),
        },
    }))
}

/// The path, relative to the root, of a site's page with this query of sessions, and with a notice.
pub(super) fn path(key: &str, query: &SessionQuery, notice: Option<String>) -> String {
    notice::path(&format!("sites/{key}"), query.to_string(), notice)
}

/// `GET` of a form's path, as after a login or by a reload: redirects to the site's page, which contains the form.
pub(in crate::http) fn redirect(context: &Context) -> Result<Response, Response> {
    let query = SessionQuery::read(context.request.query.as_bytes());
    Ok(see_other(&context.request.path, &path(&context.site()?.key, &query, None)))
}

fn hidden_title(reading: &Reading) -> &str {
    let plugin = &reading.plugin;
    if plugin.declaration().is_some() { plugin.title() } else { "Who is online" }
}

fn section<'p>(view: View, site: &'p SiteState, reading: &'p Reading, query: &SessionQuery) -> Section<'p> {
    let mut more = None;
    let content = match reading.data.as_deref() {
        Some(Data::Hotspot(hotspot)) => Content::Sessions(SessionList::new(site, hotspot, query)),
        Some(Data::Resource(resource)) => Content::Table(tables::properties(resource)),
        Some(Data::Health(health)) => Content::Table(tables::sensors(health)),
        Some(Data::Listing(listing)) => {
            let table = tables::rows(&reading.plugin, &listing.table, reading.partial.is_none());
            let (shown, total) = (table.rows.len(), listing.table.rows.len());
            let href = || format!("api/sites/{}/plugins/{}", site.key, reading.plugin.name());
            more = (shown < total).then(|| More { shown, total: grouped(total), href: href() });
            Content::Table(table)
        }
        Some(Data::Internal(_)) | None => Content::Table(ShownTable::default()),
    };
    Section {
        name: reading.plugin.name(),
        title: reading.plugin.title(),
        state: reading.state(site.is_online()).name(),
        age: reading.at.map(|at| clock::ago(view.now.since(at))),
        problem: reading.error.as_ref().map(|error| format!("{}. {}", error.message, error.hint)),
        partial: reading.partial_for(true),
        content,
        more,
    }
}

/// Newest first.
fn events<'p>(view: View, site: &'p SiteState) -> Vec<Event<'p>> {
    let event = |event: &'p ConnectionEvent| Event {
        at: view.snapshot.clock.rfc3339(event.at),
        ago: clock::ago(view.now.since(event.at)),
        is_lost: event.outcome.is_err(),
        detail: match &event.outcome {
            Ok(host) => host,
            Err(error) => &error.message,
        },
    };
    site.connection_events.iter().rev().map(event).collect()
}

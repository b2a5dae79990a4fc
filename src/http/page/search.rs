//! The search for users at all sites, for the admin.

use std::borrow::Cow;

use askama::Template;

use super::layout::{Layout, render};
use super::notice;
use super::session_list::{kick_path, shorten};
use super::session_query::{Column, MAX_SEARCH, ROWS};
use crate::http::api::find_sessions;
use crate::http::context::Context;
use crate::http::listed_session::ListedSession;
use crate::http::message::Response;
use crate::state::SiteState;

/// The parameter with which the confirmation of a kick keeps the text of a search.
pub(super) const FIND: &str = "find";

/// Sites that are listed above the sessions. A text that more names contain is no name.
const MAX_SITES: usize = 10;

/// The columns after the user and the site.
const COLUMNS: [&str; 7] = ["address", "mac", "device", "comment", "online", "download-rate", "upload-rate"];

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage<'p> {
    layout: Layout,
    generation: u64,
    notice: String,
    text: String,
    /// How many sessions match; more than there are rows if there are too many.
    matching: usize,
    columns: [&'static Column; COLUMNS.len()],
    rows: Vec<FoundRow<'p>>,
    /// Sites whose name or key contains the text.
    sites: Vec<&'p SiteState>,
    /// Sites whose sessions are not known now.
    unknown: Vec<&'p str>,
}

struct FoundRow<'p> {
    site: &'p SiteState,
    session_id: &'p str,
    user: Cow<'p, str>,
    /// The texts in the columns; empty if unknown.
    cells: [Cow<'p, str>; COLUMNS.len()],
    /// The link to the confirmation.
    disconnect: Option<String>,
}

/// `GET /search`
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    let text = context.request.parameter("q").unwrap_or_default();
    let text: String = text.trim().chars().take(MAX_SEARCH).collect();
    let search = text.to_lowercase();
    let is_named =
        |site: &&SiteState| [&site.name, &site.key].iter().any(|of| of.to_lowercase().contains(&search));
    let sites = || context.snapshot.sites.iter().map(AsRef::as_ref).filter(|_| !search.is_empty());
    let _guard = context.rendering();
    let mut found: Vec<(&SiteState, ListedSession)> =
        sites().flat_map(|site| find_sessions(site, &search).map(move |session| (site, session))).collect();
    found.sort_by_cached_key(|(site, listed)| (listed.session.user().to_lowercase(), &site.name));
    let unknown = sites().filter(|site| site.hotspot_reading().is_some() && !site.is_hotspot_current());
    Ok(render(&SearchPage {
        layout: Layout { search: Some(text.clone()), ..context.layout() },
        generation: context.snapshot.generation,
        notice: notice::text(context),
        matching: found.len(),
        columns: COLUMNS.map(Column::named),
        rows: found.iter().take(ROWS).map(|(site, listed)| row(site, *listed, &text)).collect(),
        sites: sites().filter(is_named).take(MAX_SITES).collect(),
        unknown: unknown.map(|site| site.name.as_str()).collect(),
        text,
    }))
}

/// The path of a search, relative to the root.
pub(super) fn path(text: &str, notice: Option<String>) -> String {
    notice::path("search", pair("q", text), notice)
}

/// The part of a kick's query that names a search.
pub(super) fn origin(text: &str) -> String {
    pair(FIND, text)
}

fn pair(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

fn row<'p>(site: &'p SiteState, listed: ListedSession<'p>, text: &str) -> FoundRow<'p> {
    let cell = |name| Column::named(name).text(listed).map(shorten).unwrap_or_default();
    FoundRow {
        site,
        session_id: listed.session.id(),
        user: shorten(Cow::Borrowed(listed.session.user())),
        cells: COLUMNS.map(cell),
        disconnect: kick_path(site, listed.session, &origin(text)),
    }
}

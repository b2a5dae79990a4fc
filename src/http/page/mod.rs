//! The page: HTML from a snapshot, whole without JavaScript.
//!
//! Templates are beside this file. `askama` escapes every value that they show.

mod figures;
mod kick;
mod notice;
mod session_query;
mod sessions;
mod tables;
mod users;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use askama::Template;

use super::api::View;
use super::embedded::{Embedded, embedded};
use super::message::{Method, Request, Response, problem};
use crate::action::diagnose::DiagnosticStep;
use crate::action::users::UserPage;
use crate::clock::{self, Moment};
use crate::plugin::{Data, Table};
use crate::state::{Reading, Reload, ReloadDiagnostic, SiteState};
use figures::{Card, Totals};
pub(super) use kick::{KickTarget, Nobody};
pub(super) use notice::Notice;
pub(super) use session_query::List;
use sessions::SessionList;
use users::UserList;

/// A file that pages load. Its address in a page carries a hash of all of them, so browsers may
/// keep it until an agent with another one answers.
#[derive(Debug)]
pub(super) struct Asset {
    name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: Embedded,
}

const ASSETS: [Asset; 3] = [
    Asset { name: "style.css", content_type: "text/css; charset=utf-8", body: embedded!("style.css") },
    Asset { name: "page.js", content_type: "text/javascript; charset=utf-8", body: embedded!("page.js") },
    Asset { name: "icon.svg", content_type: "image/svg+xml", body: embedded!("icon.svg") },
];

/// The asset of this name.
pub(super) fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// Seconds between reloads of the page where scripts don't run.
const RELOAD_S: u32 = 30;

/// What every page has.
pub(super) struct Layout {
    title: String,
    /// The relative address of the overview, which each link begins with, see [`root`].
    root: String,
    account: AccountMenu,
    banner: Option<Banner>,
    assets: &'static str,
    reload_s: u32,
}

/// What is wrong with the configuration, or its warnings.
struct Banner {
    file: String,
    problems: Arc<[ReloadDiagnostic]>,
    are_warnings: bool,
    more: usize,
    is_detailed: bool,
    /// How old the one in use is, if there is one.
    since: Option<String>,
}

/// What a page says of who reads it.
pub(super) enum AccountMenu {
    /// Nothing: there is nothing to log in with, or the page is about that itself.
    None,
    /// Nobody that is known, and where to log in.
    Unknown { login: String },
    /// A viewer or the admin; by a cookie, which can be left.
    Known { is_admin: bool, can_leave: bool },
}

impl AccountMenu {
    /// Nobody that is known; a login leads back to `path`.
    pub(super) fn unknown(path: &str) -> Self {
        let to: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
        Self::Unknown { login: format!("login?to={to}") }
    }
}

impl Layout {
    /// For the page at `path`.
    pub(super) fn new(title: &str, account: AccountMenu, path: &str) -> Self {
        static HASH: LazyLock<String> = LazyLock::new(|| {
            let mut hasher = DefaultHasher::new();
            for asset in &ASSETS {
                asset.body.0.hash(&mut hasher);
            }
            format!("{:x}", hasher.finish())
        });
        let (title, root) = (title.into(), root(path));
        Self { title, root, account, banner: None, assets: &HASH, reload_s: RELOAD_S }
    }

    /// The same, with what is wrong with the configuration if anything is, or else with its warnings.
    /// `is_detailed`: with each problem, which may name hosts and users, and with warnings.
    pub(super) fn with_reload(self, reload: &Reload, now: Moment, is_detailed: bool) -> Self {
        let are_warnings = reload.is_good();
        let is_shown = !are_warnings || (is_detailed && !reload.warnings.is_empty());
        let banner = is_shown.then(|| Banner {
            file: reload.file.as_deref().unwrap_or("the configuration").into(),
            problems: if are_warnings { &reload.warnings } else { &reload.problems }.clone(),
            are_warnings,
            more: if are_warnings { 0 } else { reload.more_problems },
            is_detailed,
            since: reload.succeeded.map(|at| clock::ago(now.since(at))),
        });
        Self { banner, ..self }
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'p> {
    layout: Layout,
    generation: u64,
    said: &'static str,
    totals: Totals,
    cards: Vec<Card<'p>>,
}

#[derive(Template)]
#[template(path = "waiting.html")]
struct Waiting<'p> {
    layout: Layout,
    file: &'p str,
    /// Where the file lies, or is to lie, and its name there.
    folder: &'p str,
    name: &'p str,
}

#[derive(Template)]
#[template(path = "site.html")]
struct SitePage<'p> {
    layout: Layout,
    generation: u64,
    said: &'static str,
    card: Card<'p>,
    /// The list as a query, for where a form leads back to.
    list: String,
    sections: Vec<Section<'p>>,
    events: Vec<figures::Event<'p>>,
    usage: figures::UsageFigures,
    is_admin: bool,
    has_admin: bool,
    /// What was left out, for it is of people, and whether that is more than one thing.
    hidden: String,
    hides_more: bool,
}

/// What one plugin read.
struct Section<'p> {
    title: &'p str,
    state: &'static str,
    age: Option<String>,
    problem: Option<String>,
    /// Why the rows are a part of the truth only.
    partial: Option<&'p str>,
    content: Content<'p>,
    rest: Option<Rest>,
}

/// What a page has no room for.
struct Rest {
    shown: usize,
    total: String,
    /// Where all of it is.
    href: String,
}

enum Content<'p> {
    Sessions(SessionList<'p>),
    Table(Table),
}

#[derive(Template)]
#[template(path = "kick.html")]
struct Confirmation<'p> {
    layout: Layout,
    site: &'p SiteState,
    meant: &'p KickTarget,
    known: Option<kick::Facts<'p>>,
    back: String,
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage<'p> {
    layout: Layout,
    site: &'p SiteState,
    users: UserList<'p>,
    is_first: bool,
}

#[derive(Template)]
#[template(path = "steps.html")]
struct Tested<'p> {
    layout: Layout,
    site: &'p SiteState,
    steps: &'p [DiagnosticStep],
    failed: usize,
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct ErrorPage<'p> {
    layout: Layout,
    what: &'p str,
    why: &'p str,
    back: &'p str,
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'p> {
    layout: Layout,
    to: &'p str,
    notice: Option<String>,
    /// Whether there is nothing to log in with.
    is_off: bool,
}

/// All sites at a glance; before there is a configuration, what is missing.
pub(super) fn overview(view: View, layout: Layout, said: Option<Notice>) -> Response {
    let reload = &view.snapshot.reload;
    if let (None, Some(file)) = (reload.succeeded, reload.file.as_deref()) {
        let (folder, name) = file.rsplit_once('/').unwrap_or((".", file));
        return render(&Waiting { layout, file, folder, name });
    }
    let cards = view.snapshot.sites.iter().map(|site| Card::new(view, site)).collect();
    let generation = view.snapshot.generation;
    render(&Overview { layout, generation, said: in_words(said), totals: Totals::new(view.snapshot), cards })
}

/// What a site's page shows beside what is known of the site.
pub(super) struct ViewOptions {
    pub(super) list: List,
    pub(super) said: Option<Notice>,
    pub(super) is_admin: bool,
    pub(super) has_admin: bool,
}

/// One site: its figures, its plugins' rows, its connections. Rows of people are the admin's.
pub(super) fn site(view: View, site: &SiteState, layout: Layout, wanted: &ViewOptions) -> Response {
    let ViewOptions { ref list, said, is_admin, has_admin } = *wanted;
    let shown = site.readings.iter().filter(|reading| is_admin || !reading.plugin.private());
    let section = |reading| section(view, site, reading, list);
    let hidden: Vec<&str> = site.readings.iter().filter_map(|reading| hidden(reading, is_admin)).collect();
    render(&SitePage {
        layout,
        generation: view.snapshot.generation,
        said: in_words(said),
        card: Card::new(view, site),
        list: list.query(),
        sections: shown.map(section).collect(),
        events: figures::events(view, site),
        usage: figures::UsageFigures::new(site),
        is_admin,
        has_admin,
        hidden: hidden.join(" and "),
        hides_more: hidden.len() > 1,
    })
}

/// What a section is called that who reads the page may not see.
fn hidden(reading: &Reading, is_admin: bool) -> Option<&str> {
    let plugin = &reading.plugin;
    let title = if plugin.declaration().is_some() { plugin.title() } else { "Who is online" };
    (!is_admin && plugin.private()).then_some(title)
}

fn section<'p>(view: View, site: &'p SiteState, reading: &'p Reading, list: &List) -> Section<'p> {
    let content = match reading.data.as_deref() {
        Some(Data::Hotspot(hotspot)) => Content::Sessions(SessionList::new(&site.key, hotspot, list)),
        Some(Data::Resource(resource)) => Content::Table(tables::properties(resource)),
        Some(Data::Health(health)) => Content::Table(tables::sensors(health)),
        Some(Data::Listing(listing)) => {
            let menu = reading.plugin.declaration().map_or("", |declaration| &declaration.menu);
            Content::Table(tables::rows(menu, &listing.table, reading.partial.is_none()))
        }
        None => Content::Table(Table::default()),
    };
    let rest = match (&content, reading.data.as_deref()) {
        (Content::Table(shown), Some(Data::Listing(all))) => rest(site, reading, shown, &all.table),
        _ => None,
    };
    Section {
        title: reading.plugin.title(),
        state: reading.state(site.is_online()).name(),
        age: reading.at.map(|at| clock::ago(view.now.since(at))),
        problem: reading.error.as_ref().map(|error| format!("{}. {}", error.message, error.hint)),
        partial: reading.partial.as_deref(),
        content,
        rest,
    }
}

/// Where the rest is, where there is more than is shown.
fn rest(site: &SiteState, reading: &Reading, shown: &Table, all: &Table) -> Option<Rest> {
    let (shown, total) = (shown.rows.len(), all.rows.len());
    let href = || format!("api/sites/{}/plugins/{}", site.key, reading.plugin.name());
    (shown < total).then(|| Rest { shown, total: figures::grouped(total), href: href() })
}

/// What is asked before a session is ended.
pub(super) fn confirmation(view: View, site: &SiteState, layout: Layout, meant: &KickTarget) -> Response {
    let sessions = site.hotspot().map_or(&[][..], |hotspot| &hotspot.sessions);
    let known = kick::Facts::new(view, meant, sessions);
    render(&Confirmation { layout, site, meant, known, back: site_path(&site.key, &meant.list, None) })
}

/// Some of a site's configured users; `is_first`: from the first on.
pub(super) fn users(site: &SiteState, layout: Layout, users: &UserPage, is_first: bool) -> Response {
    let sessions = site.hotspot().map_or(&[][..], |hotspot| &hotspot.sessions);
    render(&UsersPage { layout, site, users: UserList::new(&site.key, users, sessions), is_first })
}

/// How a test of the way to a site's router went.
pub(super) fn steps(site: &SiteState, layout: Layout, steps: &[DiagnosticStep]) -> Response {
    let failed = steps.iter().filter(|step| step.outcome.is_err()).count();
    render(&Tested { layout, site, steps, failed })
}

/// Where a token is taken, to go on to `to`.
pub(super) fn login(layout: Layout, to: &str, notice: Option<String>, is_off: bool) -> Response {
    render(&Login { layout, to, notice, is_off })
}

/// What did not happen, why, and the way back, relative to the root.
pub(super) fn trouble(layout: Layout, status: u16, what: &str, why: &str, back: &str) -> Response {
    let page = render(&ErrorPage { layout, what, why, back });
    if page.status == 200 { Response { status, ..page } } else { page }
}

/// Why a request is refused: a page for a browser, a problem for a program.
pub(super) fn refusal(request: &Request, layout: Layout, status: u16, title: &str, detail: &str) -> Response {
    if request.takes_html() {
        trouble(layout, status, title, detail, "")
    } else {
        problem(status, title, detail)
    }
}

/// The answer to a method that the path does not allow, and to `OPTIONS`.
pub(super) fn not_allowed(request: &Request, layout: Layout, allowed: &'static str) -> Response {
    let response = if request.method == Method::Options {
        Response::new(204, "", "")
    } else {
        let detail = format!("This path answers {allowed}.");
        refusal(request, layout, 405, "Method Not Allowed", &detail)
    };
    response.with("Allow", allowed)
}

/// The overview's address relative to `path`: `./` or `../`, once for each folder. Links and redirects begin with
/// it, so that they stay below the path that a reverse proxy serves the agent at, whatever that is.
pub(super) fn root(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".into(),
        depth => "../".repeat(depth - 1),
    }
}

/// The address, relative to the root, of a site's page that shows this list and says what was done.
pub(super) fn site_path(key: &str, list: &List, said: Option<Notice>) -> String {
    let said = said.map(|said| format!("said={}", said.code()));
    let query: Vec<String> = said.into_iter().chain([list.query()]).filter(|part| !part.is_empty()).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("sites/{key}{mark}{}", query.join("&"))
}

/// To the page at `to`, relative to the root, by `GET`; `path` is that of the request.
pub(super) fn see_other(path: &str, to: &str) -> Response {
    Response::new(303, "", "").with("Location", root(path) + to)
}

fn in_words(said: Option<Notice>) -> &'static str {
    said.map_or("", Notice::in_words)
}

fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Response::new(200, "text/html; charset=utf-8", html),
        // Only a value whose own formatting fails could do this.
        Err(error) => problem(500, "Internal Server Error", &error.to_string()),
    }
}

/// A session of these attributes, with spaces between them; the dot before `id` goes without saying.
#[cfg(test)]
fn session(attributes: &str) -> std::sync::Arc<crate::plugin::Session> {
    use crate::plugin::{Context, Session};
    use crate::routeros::{codepage::Codepage, wire::Sentence};

    let words = attributes.split(' ').map(|word| match word.strip_prefix("id=") {
        Some(id) => format!("=.id={id}"),
        None => format!("={word}"),
    });
    let words: Vec<String> = std::iter::once("!re".into()).chain(words).collect();
    let codepage = Codepage::named("windows-1252").unwrap();
    let context = Context::new(crate::clock::Moment::now(), codepage);
    Session::read(&Sentence::from_words(words.iter().map(String::as_str)), &context).into()
}

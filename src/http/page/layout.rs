//! The layout of all pages: head, account menu, configuration banner and footer.

use std::sync::Arc;

use askama::Template;

use super::asset;
use crate::clock::{self, Moment};
use crate::config::Http;
use crate::http::message::{Request, Response, problem};
use crate::state::{ReloadDiagnostic, Snapshot, StorageState};

/// Seconds between reloads of a page in a browser without JavaScript.
const RELOAD_S: u32 = 30;

/// The data that all pages have in common.
pub(in crate::http) struct Layout {
    pub(super) title: String,
    /// The relative address of the overview, with which each link begins, see [`root`].
    pub(super) root: String,
    pub(super) account: AccountMenu,
    /// The number of firing alerts; `None`: the bell is not shown.
    pub(super) bell: Option<usize>,
    pub(super) banner: Option<Banner>,
    pub(super) storage: StorageState,
    /// The hash in links to assets.
    pub(super) assets: &'static str,
    pub(super) reload_s: u32,
    /// The number of sites that are offline, for the title and the icon.
    pub(super) offline: usize,
    /// The text in the search field, which is for the admin.
    pub(super) search: Option<String>,
}

/// The icon, the manifest and the style. This and the next two parts of the layout are templates of their own, so that the
/// binary has them once, and not in each page.
#[derive(Template)]
#[template(path = "layout_links.html")]
pub(super) struct LayoutLinks<'l> {
    layout: &'l Layout,
}

/// The search field, the bell and the account.
#[derive(Template)]
#[template(path = "layout_menu.html")]
pub(super) struct LayoutMenu<'l> {
    layout: &'l Layout,
}

/// Problems and warnings of the configuration and of stored data.
#[derive(Template)]
#[template(path = "layout_banners.html")]
pub(super) struct LayoutBanners<'l> {
    layout: &'l Layout,
}

/// Problems or warnings of the configuration.
pub(super) struct Banner {
    pub(super) file: String,
    pub(super) problems: Arc<[ReloadDiagnostic]>,
    pub(super) are_warnings: bool,
    /// The number of problems that are not listed.
    pub(super) more: usize,
    pub(super) is_detailed: bool,
    /// The age of the configuration in use, if there is one.
    pub(super) since: Option<String>,
}

/// The user's login state.
pub(in crate::http) enum AccountMenu {
    /// Not shown: no tokens are configured, or the page is the login form.
    None,
    /// Not logged in; a link to the login form.
    Unknown { login: String },
    /// A viewer or the admin, who can log out if a cookie identifies them.
    Known { is_admin: bool, can_leave: bool },
}

impl AccountMenu {
    /// Not logged in; a login leads back to `path`.
    pub(in crate::http) fn unknown(path: &str) -> Self {
        let to: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
        Self::Unknown { login: format!("login?to={to}") }
    }
}

impl Layout {
    /// The layout of the page at `path`, without a banner.
    pub(in crate::http) fn new(http: &Http, account: AccountMenu, path: &str) -> Self {
        let (title, root) = (http.title.clone(), root(path));
        let (storage, assets) = (StorageState::default(), asset::hash());
        let (bell, banner, reload_s, offline, search) = (None, None, RELOAD_S, 0, None);
        Self { title, root, account, bell, banner, storage, assets, reload_s, offline, search }
    }

    pub(super) fn links(&self) -> LayoutLinks<'_> {
        LayoutLinks { layout: self }
    }

    pub(super) fn menu(&self) -> LayoutMenu<'_> {
        LayoutMenu { layout: self }
    }

    pub(super) fn banners(&self) -> LayoutBanners<'_> {
        LayoutBanners { layout: self }
    }

    /// Adds the number of sites that are offline, and for the admin the search field.
    pub(in crate::http) fn with_sites(self, snapshot: &Snapshot, is_admin: bool) -> Self {
        let offline = snapshot.sites.iter().filter(|site| site.is_offline()).count();
        Self { offline, search: is_admin.then(String::new), ..self }
    }

    /// Adds the number of firing alerts.
    pub(in crate::http) fn with_bell(self, firing: usize) -> Self {
        Self { bell: Some(firing), ..self }
    }

    /// Adds banners if stored data or the configuration has problems, or warnings. `is_detailed`: with each problem, which may contain
    /// hosts and users, and with warnings.
    pub(in crate::http) fn with_banners(self, snapshot: &Snapshot, now: Moment, is_detailed: bool) -> Self {
        let Snapshot { reload, storage, .. } = snapshot;
        let are_warnings = reload.is_good();
        // Before the first file nothing is wrong: the page asks for it.
        let is_awaited = reload.is_missing && reload.succeeded.is_none();
        let is_shown = !is_awaited && (!are_warnings || (is_detailed && !reload.warnings.is_empty()));
        let banner = is_shown.then(|| Banner {
            file: reload.file.as_deref().unwrap_or("the configuration").into(),
            problems: if are_warnings { &reload.warnings } else { &reload.problems }.clone(),
            are_warnings,
            more: if are_warnings { 0 } else { reload.more_problems },
            is_detailed,
            since: reload.succeeded.map(|at| clock::ago(now.since(at))),
        });
        Self { banner, storage: storage.clone(), ..self }
    }
}

/// The overview's address relative to `path`: `./`, or `../` for each folder. Links and redirects begin with it, so that
/// they work below any path at which a reverse proxy serves the agent.
fn root(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".into(),
        depth => "../".repeat(depth - 1),
    }
}

/// A redirect by `GET` from the request's `path` to the page at `to`, relative to the root. It must not be cached.
pub(in crate::http) fn see_other(path: &str, to: &str) -> Response {
    Response::new(303, "", "").with("Location", root(path) + to).no_store()
}

/// A redirect of any method to `path`, with the request's query.
pub(in crate::http) fn moved(request: &Request, path: &str) -> Response {
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let to = format!("{}{query}", path.trim_start_matches('/'));
    Response { status: 308, ..see_other(&request.path, &to) }
}

/// Renders a page.
pub(super) fn render(page: &impl Template) -> Response {
    response(page.render())
}

fn response(rendered: askama::Result<String>) -> Response {
    match rendered {
        Ok(html) => Response::new(200, "text/html; charset=utf-8", html),
        // Only possible if the `Display` of a value fails.
        Err(error) => problem(500, &error.to_string()),
    }
}

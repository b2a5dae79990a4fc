//! Which path answers what: pure functions of a request and the last snapshot.
//!
//! Nothing here waits for a router.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::api::{self, View};
use super::auth::{self, Role};
use super::message::{Field, Method, Request, Response, problem};
use super::page;
use crate::clock::Moment;
use crate::config::Http;
use crate::state::{Link, SiteState, Snapshot, Store};

/// Nothing but what the agent itself serves, nothing inline, no frame around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// How long a browser may keep a file whose name tells its content, in seconds: a year.
const ASSET_AGE_S: u32 = 31_536_000;

/// Answers requests from what the store holds.
#[derive(Debug)]
pub struct Routes {
    store: Arc<Store>,
    http: Http,
    /// Makes tags that tell this run from the one before it, whose generations were others.
    tags: RandomState,
}

/// What a path leads to.
enum Route<'r> {
    Page,
    SitePage(&'r str),
    Asset(&'static page::Asset),
    Stats,
    SiteStats(&'r str),
    Sessions(&'r str),
    Sites,
    Site(&'r str),
    Plugin(&'r str, &'r str),
    Routers,
    Healthz,
    Readyz,
}

impl<'r> Route<'r> {
    fn find(path: &'r str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        Some(match segments.as_slice() {
            [""] => Self::Page,
            ["sites", site] => Self::SitePage(site),
            ["api", "hotspot", "stats"] => Self::Stats,
            ["api", "hotspot", site] => Self::SiteStats(site),
            ["api", "hotspot", site, "active"] => Self::Sessions(site),
            ["api", "sites"] => Self::Sites,
            ["api", "sites", site] => Self::Site(site),
            ["api", "sites", site, "plugins", plugin] => Self::Plugin(site, plugin),
            ["api", "routers"] => Self::Routers,
            ["healthz"] => Self::Healthz,
            ["readyz"] => Self::Readyz,
            [name] => Self::Asset(page::asset(name)?),
            _ => return None,
        })
    }

    /// Who may have it, as far as the path alone tells.
    fn needs(&self) -> Role {
        match self {
            // Style and script hold nothing of anybody's; a refusal's page needs them too.
            Self::Healthz | Self::Readyz | Self::Asset(_) => Role::Anyone,
            Self::Sessions(_) => Role::Admin,
            _ => Role::Viewer,
        }
    }
}

impl Routes {
    /// Routes over this store, as `http` says.
    #[must_use]
    pub fn new(store: Arc<Store>, http: Http) -> Self {
        Self { store, http, tags: RandomState::new() }
    }

    /// Answers one request.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Response {
        secure(self.respond(request))
    }

    fn respond(&self, request: &Request) -> Response {
        let Some(route) = Route::find(&request.path) else {
            return not_found(
                "There is nothing at this path. The page is at /, the figures at /api/hotspot/stats.",
            );
        };
        let role = auth::role(request, &self.http);
        if role < route.needs() {
            return auth::refuse(role, route.needs(), &self.http);
        }
        if !matches!(request.method, Method::Get | Method::Head) {
            return problem(405, "Method Not Allowed", "This path answers GET and HEAD.")
                .with("Allow", "GET, HEAD");
        }
        let snapshot = self.store.snapshot();
        let etag = self.etag(&snapshot, &request.path, role);
        if request.field(Field::IfNoneMatch).is_some_and(|tags| matches_etag(tags, &etag)) {
            return fresh(Response::new(304, "", ""), &etag);
        }
        let view = View { snapshot: &snapshot, now: Moment::now() };
        match self.content(&route, view, role) {
            Ok(response) => fresh(response, &etag),
            Err(refusal) => refusal,
        }
    }

    /// What is at a route, or why it is not to be had.
    fn content(&self, route: &Route, view: View, role: Role) -> Result<Response, Response> {
        let snapshot = view.snapshot;
        let find = |key: &str| snapshot.site(key).ok_or_else(|| unknown_site(snapshot));
        Ok(match *route {
            Route::Page => page::overview(view, &self.http.title),
            Route::SitePage(key) => {
                page::site(view, find(key)?, &self.http.title, role == Role::Admin, self.http.admin.is_some())
            }
            Route::Asset(asset) => Response::new(200, asset.content_type, asset.body)
                .with("Cache-Control", format!("public, max-age={ASSET_AGE_S}, immutable")),
            Route::Stats => keyed(snapshot, |site| api::stats(view, site)),
            Route::SiteStats(key) => json(&api::stats(view, find(key)?)),
            Route::Sessions(key) => {
                let site = find(key)?;
                json(&api::sessions(view, site).ok_or_else(|| no_sessions(site))?)
            }
            Route::Sites => keyed(snapshot, |site| api::site(view, site)),
            Route::Site(key) => json(&api::site(view, find(key)?)),
            Route::Plugin(key, name) => {
                let site = find(key)?;
                let reading = site.reading(name).ok_or_else(|| unknown_plugin(site))?;
                if reading.plugin.private() && role < Role::Admin {
                    return Err(auth::refuse(role, Role::Admin, &self.http));
                }
                json(&api::table(view, site, reading))
            }
            Route::Routers => keyed(snapshot, |site| api::router(view, site)),
            Route::Healthz => Response::new(200, "text/plain; charset=utf-8", "alive\n"),
            Route::Readyz => readyz(snapshot)?,
        })
    }

    /// Says which state of what is known an answer shows, so that asking again costs
    /// nothing where nothing came since. Ages go on by themselves: the minute is part of it.
    /// Only an answer that was given has a tag that a client can know.
    fn etag(&self, snapshot: &Snapshot, path: &str, role: Role) -> String {
        let minute = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
        format!("W/\"{:016x}\"", self.tags.hash_one((snapshot.generation, minute, path, role as u8)))
    }
}

/// Whether `If-None-Match` names this tag (RFC 9110, 13.1.2).
fn matches_etag(tags: &str, etag: &str) -> bool {
    tags.split(',').any(|tag| tag.trim() == etag)
}

/// An answer that may be kept, and must be asked for again unless it says otherwise.
fn fresh(response: Response, etag: &str) -> Response {
    let says = response.headers.iter().any(|(name, _)| *name == "Cache-Control");
    let response = response.with("ETag", etag);
    if says { response } else { response.with("Cache-Control", "private, no-cache") }
}

fn secure(response: Response) -> Response {
    response
        .with("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        .with("X-Content-Type-Options", "nosniff")
        .with("X-Frame-Options", "DENY")
        .with("Referrer-Policy", "same-origin")
}

/// Configuration loaded, which it is by now, and every site tried once.
fn readyz(snapshot: &Snapshot) -> Result<Response, Response> {
    let waiting = snapshot.sites.iter().filter(|site| site.link == Link::Connecting).count();
    if waiting == 0 {
        Ok(Response::new(200, "text/plain; charset=utf-8", "ready\n"))
    } else {
        // How many, not which: anyone may ask.
        Err(problem(
            503,
            "Service Unavailable",
            &format!("{waiting} of {} sites have not been tried yet.", snapshot.sites.len()),
        ))
    }
}

/// An object with one entry for each site.
fn keyed<'s, T: Serialize>(snapshot: &'s Snapshot, entry: impl Fn(&'s SiteState) -> T) -> Response {
    let entries: BTreeMap<&str, T> =
        snapshot.sites.iter().map(|site| (site.key.as_str(), entry(site))).collect();
    json(&entries)
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => Response::new(200, "application/json", body),
        // No map here has keys that are not text, and no writer of bytes fails.
        Err(error) => problem(500, "Internal Server Error", &error.to_string()),
    }
}

fn unknown_site(snapshot: &Snapshot) -> Response {
    let keys: Vec<&str> = snapshot.sites.iter().map(|site| site.key.as_str()).collect();
    not_found(&format!("There is no such site. The sites are: {}.", keys.join(", ")))
}

fn unknown_plugin(site: &SiteState) -> Response {
    let names: Vec<&str> = site.readings.iter().map(|reading| reading.plugin.name()).collect();
    not_found(&format!("This site collects no plugin of that name. It has: {}.", names.join(", ")))
}

/// An empty list would say that nobody is online.
fn no_sessions(site: &SiteState) -> Response {
    let Some(reading) = site.reading("hotspot") else { return unknown_plugin(site) };
    let why = match (&site.link, &reading.error) {
        (Link::Offline { error, .. }, _) | (_, Some(error)) => format!("{}. {}", error.message, error.hint),
        _ => "The router has not been asked yet.".into(),
    };
    problem(503, "Service Unavailable", &format!("The sessions are not known. {why}"))
}

fn not_found(detail: &str) -> Response {
    problem(404, "Not Found", detail)
}

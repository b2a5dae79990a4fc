//! Answers requests: each path in `route`.
//!
//! What is known is answered at once: a pure function of a request and the last snapshot. What must be
//! asked of a router goes to the [`SiteHandles`], and comes later.

mod pages;
mod route;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::json as json_of;
use smol::future::{FutureExt, poll_once};
use smol::lock::Semaphore;
use smol::stream;

use super::actions::{self, Who};
use super::api::{self, View};
use super::auth::{self, Authenticator, Identity, Refusal, Role, SessionEnd};
use super::message::{Field, Method, Reply, Request, Response, json, json_within, problem};
use super::metrics;
use super::page::{self, AccountMenu, Layout, List, Notice, ViewOptions};
use super::server::MAX_ANSWER;
use super::sse::Events;
use crate::action::diagnose::Diagnose;
use crate::action::kick::Kick;
use crate::action::refresh::{RefreshOutcomes, RefreshedJson};
use crate::action::users::{PageRequest, list_users};
use crate::action::{ActionError, SiteHandles};
use crate::clock::Moment;
use crate::config::Http;
use crate::memory::fair_limit;
use crate::state::{ConnectionState, SiteState, Snapshot, Store};
use crate::timings::Timings;
use route::{Asked, Route, Shown};

/// Nothing but what the agent itself serves, nothing inline, no frame around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Has browsers use HTTPS alone for the host from now on, for as long as a login lasts at most: an operator may go back to
/// plain HTTP, and the host may serve something else on another port.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=2592000";

/// How long a browser may keep a file whose name tells its content, in seconds: a year.
const ASSET_AGE_S: u32 = 31_536_000;

/// Answers requests from what the store holds, and from what the desk is told.
#[derive(Debug)]
pub struct Routes {
    store: Arc<Store>,
    desk: Arc<SiteHandles>,
    events: Arc<Events>,
    http: RwLock<Arc<Http>>,
    authenticator: Authenticator,
    /// Held while a large answer is rendered: of several at once each would take its megabytes.
    rendering: Mutex<()>,
    /// A place for each call for a refresh that waits.
    refreshing: Arc<Semaphore>,
    /// Makes tags that tell this run from the one before it, whose generations were others.
    tags: RandomState,
}

impl Routes {
    /// Routes over this store, as `http` says.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        desk: Arc<SiteHandles>,
        events: Arc<Events>,
        http: Http,
        timings: &Timings,
    ) -> Self {
        let http = RwLock::new(Arc::new(http));
        let refreshing = Arc::new(Semaphore::new(actions::MAX_REFRESHES));
        Self {
            store,
            desk,
            events,
            http,
            authenticator: Authenticator::new(timings),
            rendering: Mutex::new(()),
            refreshing,
            tags: RandomState::new(),
        }
    }

    /// Goes by another `http` from the next request on. Who is logged in stays so for as long as the token
    /// does.
    pub fn configure(&self, http: Http) {
        let mut current = self.http.write().unwrap_or_else(PoisonError::into_inner);
        let access = |http: &Http| (http.view.clone(), http.admin.clone(), http.hosts.clone());
        let are_others = access(&http) != access(&current);
        *current = Arc::new(http);
        drop(current);
        if are_others {
            self.events.disconnect_all();
        }
    }

    fn http(&self) -> Arc<Http> {
        self.http.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers one request.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Reply {
        let http = self.http();
        let is_https = auth::is_https(request, &http);
        let reply = self.respond(request, &http).unwrap_or_else(Reply::Now);
        reply.map(move |response| secure(response, is_https))
    }

    /// The reply, or why there is none.
    fn respond(&self, request: &Request, http: &Http) -> Result<Reply, Response> {
        let now = Moment::now();
        let layout = || Layout::new(&http.title, AccountMenu::None, &request.path);
        // Probes may use any name.
        if !matches!(request.path.as_str(), "/healthz" | "/readyz")
            && let Some(why) = auth::misdirected(request, http)
        {
            return Err(page::refusal(request, layout(), 421, "Misdirected Request", &why));
        }
        if request.method == Method::Post && !auth::same_origin(request) {
            return Err(page::refusal(request, layout(), 403, "Cross-Origin", auth::CROSS_ORIGIN));
        }
        if let Some(answer) = self.authenticator.answer(request, http, now) {
            return Ok(answer);
        }
        let route = Route::find(&request.path).ok_or_else(|| {
            let told = "There is nothing at this path. The page is at /, the figures at /api/hotspot/stats.";
            missing(request, layout(), told)
        })?;
        let allowed = route.allows();
        if request.method == Method::Options {
            return Ok(page::not_allowed(request, layout(), allowed).into());
        }
        let identity = match self.needs(&route) {
            // What anyone may have is the same for all: no token is looked at.
            Role::Anyone => Identity::nobody(http),
            needed => self.authenticator.identity(request, needed, http, now),
        };
        let refused = |refusal: Refusal| {
            if route.is_page() {
                auth::refuse_page(request, refusal, identity, http)
            } else {
                refusal.problem()
            }
        };
        let refuse = |refusal| Ok(self.authenticator.refuse(refusal, identity.delay(), refused));
        if let Err(refusal) = identity.may(route.needs(), http) {
            return refuse(refusal);
        }
        if !allowed.split(", ").any(|name| Method::from_name(name) == request.method) {
            return Err(page::not_allowed(request, layout(), allowed));
        }
        if let Err(refusal) = identity.may(self.needs(&route), http) {
            return refuse(refusal);
        }
        let reply = match &route {
            Route::Asks(asked) => self.ask(asked, request, identity),
            Route::Shows(shown) => self.show(shown, request, identity, now).map(Reply::Now),
            Route::Takes(form) if request.method == Method::Post => self.send(form, request, identity),
            Route::Takes(form) => self.form(form, request, identity).map(Reply::Now),
        };
        let reply = match reply {
            Ok(reply @ (Reply::Later(_) | Reply::Events(..))) => {
                Ok(match self.authenticator.session_end(identity, request, http, now) {
                    Some(end) => until(end, reply, request, || refused(Refusal::NoToken)),
                    None => reply,
                })
            }
            reply => reply,
        };
        // It may have personal details.
        if identity.is_admin() {
            return reply.map(|reply| reply.map(Response::no_store)).map_err(Response::no_store);
        }
        reply
    }

    /// The role that a route needs, including what only its content tells.
    fn needs(&self, route: &Route) -> Role {
        let Route::Shows(Shown::Plugin(site, name)) = *route else { return route.needs() };
        let snapshot = self.store.snapshot();
        let reading = snapshot.site(site).and_then(|site| site.reading(name));
        if reading.is_some_and(|reading| reading.plugin.private()) { Role::Admin } else { route.needs() }
    }

    /// What must be asked for, once it is there.
    fn ask(&self, asked: &Asked, request: &Request, identity: Identity) -> Result<Reply, Response> {
        let (desk, snapshot) = (self.desk.clone(), self.store.snapshot());
        let who = who(request, identity);
        let find = |key: &str| {
            snapshot.site(key).map(|site| site.key.clone()).ok_or_else(|| unknown_site(&snapshot))
        };
        let sites = match *asked {
            Asked::Refresh => snapshot.sites.iter().map(|site| site.key.clone()).collect(),
            Asked::SiteRefresh(key) => vec![find(key)?],
            Asked::UsersPage(key) => return self.users_page(key, request, identity),
            Asked::Events => {
                let head = Response::new(200, "text/event-stream", "").no_store();
                // A proxy that gathers answers would hold events back.
                return Ok(Reply::Events(
                    head.with("X-Accel-Buffering", "no"),
                    self.events.follow().into_stream(),
                ));
            }
            Asked::Kick(key) => {
                let (site, kick) = (find(key)?, actions::parsed(Kick::parse(&request.body))?);
                return Ok(Reply::later(async move {
                    let kicked = actions::run(&desk, &site, kick, who).await;
                    actions::answer(&kicked, json)
                }));
            }
            Asked::Test(key) => {
                let site = find(key)?;
                return Ok(Reply::later(async move {
                    let steps = actions::run(&desk, &site, Diagnose, who).await;
                    actions::answer(&steps, json)
                }));
            }
            Asked::Users(key) => {
                let page =
                    PageRequest::parse(request.parameter("limit").as_deref(), request.parameter("after"));
                let (site, page, store) = (find(key)?, actions::parsed(page)?, self.store.clone());
                return Ok(Reply::later(async move {
                    let users = list_users(&desk, &site, page).await;
                    let snapshot = store.snapshot();
                    let hotspot = snapshot.site(&site).and_then(|site| site.hotspot());
                    let sessions = hotspot.map_or(&[][..], |hotspot| &hotspot.sessions);
                    actions::answer(&users, |users| json(&api::users(users, sessions)))
                }));
            }
        };
        let refreshed = self.refresh(sites, who)?;
        Ok(Reply::later(async move { json(&RefreshedJson::new(&refreshed.await)) }))
    }

    /// Has these sites asked now; or says that too many wait for that already.
    fn refresh(
        &self,
        sites: Vec<String>,
        who: Who,
    ) -> Result<impl Future<Output = RefreshOutcomes> + Send + use<>, Response> {
        let place = self.refreshing.try_acquire_arc().ok_or_else(|| actions::refused(&ActionError::Busy))?;
        let desk = self.desk.clone();
        Ok(async move {
            let outcomes = actions::refresh(&desk, sites, who).await;
            drop(place);
            outcomes
        })
    }

    /// What is known, unless the client has it already.
    fn show(
        &self,
        shown: &Shown,
        request: &Request,
        identity: Identity,
        now: Moment,
    ) -> Result<Response, Response> {
        let snapshot = self.store.snapshot();
        let etag = self.etag((snapshot.generation, &request.path, &request.query, identity.tag()));
        if request.field(Field::IfNoneMatch).is_some_and(|tags| matches_etag(tags, &etag)) {
            return Ok(fresh(Response::new(304, "", ""), &etag));
        }
        let view = View { snapshot: &snapshot, is_admin: identity.role == Role::Admin, now };
        self.content(shown, request, view, identity).map(|response| fresh(response, &etag))
    }

    /// What is known at a path, or why it is not to be had.
    fn content(
        &self,
        shown: &Shown,
        request: &Request,
        view: View,
        identity: Identity,
    ) -> Result<Response, Response> {
        let snapshot = view.snapshot;
        let find = |key: &str| snapshot.site(key).ok_or_else(|| unknown_site(snapshot));
        let said = || Notice::of(&request.parameter("said")?);
        Ok(match *shown {
            Shown::Page => page::overview(view, self.layout(request, identity), said()),
            Shown::SitePage(key) => {
                let wanted = ViewOptions {
                    list: List::read(request.query.as_bytes()),
                    said: said(),
                    is_admin: identity.role == Role::Admin,
                    has_admin: self.http().admin.is_some(),
                };
                let site = self.site_of_page(snapshot, key, request, identity)?;
                let _alone = self.alone();
                page::site(view, site, self.layout(request, identity), &wanted)
            }
            Shown::Asset(asset) => Response::new(200, asset.content_type, asset.body.bytes())
                .with("Cache-Control", format!("public, max-age={ASSET_AGE_S}, immutable")),
            Shown::Stats => keyed(snapshot, |site| api::stats(view, site)),
            Shown::SiteStats(key) => json(&api::stats(view, find(key)?)),
            Shown::Sessions(key) => {
                let site = find(key)?;
                self.large(&api::sessions(view, site).ok_or_else(|| no_sessions(site))?)
            }
            Shown::Sites => keyed(snapshot, |site| api::site(view, site)),
            Shown::Site(key) => json(&api::site(view, find(key)?)),
            Shown::Plugin(key, name) => {
                let site = find(key)?;
                let reading = site.reading(name).ok_or_else(|| unknown_plugin(site))?;
                if reading.plugin.private() {
                    identity.may(Role::Admin, &self.http()).map_err(Refusal::problem)?;
                }
                self.large(&api::table(view, site, reading))
            }
            Shown::Routers => keyed(snapshot, |site| api::router(view, site)),
            Shown::Config => json(&api::config(view, self.is_detailed(identity))),
            Shown::Metrics => {
                let _alone = self.alone();
                metrics::metrics(snapshot, self.store.budget().answer.min(MAX_ANSWER) / 2)
            }
            Shown::Openapi => Response::new(200, "application/json", api::OPENAPI.bytes()),
            Shown::Healthz => Response::new(200, "text/plain; charset=utf-8", "alive\n"),
            Shown::Readyz => readyz(snapshot)?,
        })
    }

    /// Waits until no other answer that may be megabytes is rendered.
    fn alone(&self) -> MutexGuard<'_, ()> {
        self.rendering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer that may be megabytes, within the memory budget.
    fn large(&self, value: &impl Serialize) -> Response {
        let _alone = self.alone();
        json_within(value, self.store.budget().answer.min(MAX_ANSWER))
    }

    /// Says which state of what is known an answer shows, so that asking again costs
    /// nothing where nothing came since. Ages go on by themselves: the minute is part of it.
    /// Only an answer that was given has a tag that a client can know.
    fn etag(&self, of: impl Hash) -> String {
        let minute = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
        format!("W/\"{:016x}\"", self.tags.hash_one((of, minute)))
    }
}

/// Who asks for an action.
fn who(request: &Request, identity: Identity) -> Who {
    Who { role: identity.role, peer: request.peer, is_anonymous: identity.is_anonymous() }
}

/// A reply to a session, which gets nothing more after its `end`. What was to be done is done all the same, and logged.
fn until(end: SessionEnd, reply: Reply, request: &Request, refused: impl FnOnce() -> Response) -> Reply {
    match reply {
        Reply::Now(response) => Reply::Now(response),
        Reply::Events(head, events) => Reply::Events(head, Box::pin(stream::stop_after_future(events, end))),
        Reply::Later(response) => {
            let (refused, is_action) = (refused(), request.method == Method::Post);
            Reply::later(async move {
                if is_action {
                    let response = response.await;
                    return if poll_once(end).await.is_some() { refused } else { response };
                }
                let ended = async {
                    end.await;
                    refused
                };
                ended.or(response).await
            })
        }
    }
}

/// Whether `If-None-Match` names this tag (RFC 9110, 13.1.2).
fn matches_etag(tags: &str, etag: &str) -> bool {
    tags.split(',').any(|tag| tag.trim() == etag)
}

/// An answer that may be kept, and must be asked for again unless it says otherwise. One that may not be
/// kept needs no tag.
fn fresh(response: Response, etag: &str) -> Response {
    match response.headers.iter().find(|(name, _)| *name == "Cache-Control") {
        Some((_, how)) if how == "no-store" => response,
        Some(_) => response.with("ETag", etag),
        None => {
            let response = response.with("ETag", etag).with("Cache-Control", "private, no-cache");
            response.with("Vary", "Authorization, Cookie")
        }
    }
}

fn secure(response: Response, is_https: bool) -> Response {
    let response = if is_https {
        response.with("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY)
    } else {
        response
    };
    response
        .with("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        .with("X-Content-Type-Options", "nosniff")
        .with("X-Frame-Options", "DENY")
        .with("Referrer-Policy", "same-origin")
        .with("Cross-Origin-Opener-Policy", "same-origin")
        .with("Cross-Origin-Resource-Policy", "same-origin")
}

/// Configuration loaded and every site tried once.
fn readyz(snapshot: &Snapshot) -> Result<Response, Response> {
    if snapshot.reload.succeeded.is_none() {
        return Err(problem(503, "Service Unavailable", "There is no configuration yet."));
    }
    // One that connects anew, as the file says now, has been tried before.
    let is_untried =
        |site: &&Arc<SiteState>| site.link == ConnectionState::Connecting && site.events.is_empty();
    let waiting = snapshot.sites.iter().filter(is_untried).count();
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

/// An object with one entry for each site. Where all of them have more bytes than an answer, the largest are replaced by
/// an error, so that one site does not take the answer from the others.
fn keyed<'s, T: Serialize>(snapshot: &'s Snapshot, entry: impl Fn(&'s SiteState) -> T) -> Response {
    keyed_within(snapshot, entry, MAX_ANSWER)
}

fn keyed_within<'s, T: Serialize>(
    snapshot: &'s Snapshot,
    entry: impl Fn(&'s SiteState) -> T,
    most: usize,
) -> Response {
    let rendered = |site: &'s Arc<SiteState>| {
        let entry = json_within(&entry(site), most);
        // What is no entry is too large for one.
        (site.key.as_str(), if entry.status == 200 { entry.body } else { Vec::new() })
    };
    let entries: BTreeMap<&str, Vec<u8>> = snapshot.sites.iter().map(rendered).collect();
    // `"key":,` around each, and the brackets.
    let around: usize = entries.keys().map(|key| key.len() + 4).sum();
    let limit = fair_limit(entries.values().map(Vec::len), most.saturating_sub(around + 2));
    let mut body = Vec::new();
    for (key, entry) in entries {
        // A key has letters, digits, `-` and `_`.
        body.extend_from_slice(if body.is_empty() { b"{\"" } else { b",\"" });
        body.extend_from_slice(key.as_bytes());
        body.extend_from_slice(b"\":");
        if entry.is_empty() || entry.len() > limit {
            let message =
                format!("what is known of the site {key} is too large for an answer with all sites");
            let error = json_of!({ "error": { "cause": "protocol", "message": message } });
            body.extend_from_slice(error.to_string().as_bytes());
        } else {
            body.extend_from_slice(&entry);
        }
    }
    body.extend_from_slice(if body.is_empty() { "{}" } else { "}" }.as_bytes());
    Response::new(200, "application/json", body)
}

/// A page for a person who came to where nothing is; a program is told so in its own way.
fn missing(request: &Request, layout: Layout, told: &str) -> Response {
    if request.takes_html() {
        page::trouble(layout, 404, "There is no such page", told, "")
    } else {
        not_found(told)
    }
}

fn unknown_site(snapshot: &Snapshot) -> Response {
    not_found(&no_site(snapshot))
}

fn no_site(snapshot: &Snapshot) -> String {
    let keys: Vec<&str> = snapshot.sites.iter().map(|site| site.key.as_str()).collect();
    format!("There is no such site. The sites are: {}.", keys.join(", "))
}

fn unknown_plugin(site: &SiteState) -> Response {
    let names: Vec<&str> = site.readings.iter().map(|reading| reading.plugin.name()).collect();
    not_found(&format!("This site collects no plugin of that name. It has: {}.", names.join(", ")))
}

/// An empty list would say that nobody is online.
fn no_sessions(site: &SiteState) -> Response {
    let Some(reading) = site.reading("hotspot") else { return unknown_plugin(site) };
    let told = |why: &str| format!("The sessions are not known. {why}");
    match (&site.link, &reading.error) {
        (ConnectionState::Offline { error, .. }, _) | (_, Some(error)) => {
            let detail = told(&format!("{}. {}", error.message, error.hint));
            api::problem_of(503, "Service Unavailable", &detail, error)
        }
        _ => problem(503, "Service Unavailable", &told("The router has not been asked yet.")),
    }
}

fn not_found(detail: &str) -> Response {
    problem(404, "Not Found", detail)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::state::Reload;

    #[test]
    fn a_site_that_is_too_large_leaves_the_others_as_they_are() {
        let store = Store::new(Reload::first(None, Vec::new()));
        let texts = [("b", 10), ("a", 2000), ("c", 300), ("d", 0)];
        let site = |key: &str| SiteState::new(key, key, Duration::from_secs(30), [], []).into();
        store.rearrange(|_| texts.iter().map(|(key, _)| site(key)).collect());
        let snapshot = store.snapshot();
        let entry = |site: &SiteState| {
            let length = texts.iter().find(|(key, _)| *key == site.key).unwrap().1;
            json_of!({ "text": "x".repeat(length) })
        };
        let told = |most: usize| -> serde_json::Value {
            let answer = keyed_within(&snapshot, entry, most);
            assert_eq!(answer.status, 200);
            serde_json::from_slice(&answer.body).unwrap()
        };
        let all = told(10_000);
        let keys: Vec<&String> = all.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["a", "b", "c", "d"]);
        // The first is too large for all of them, and for an answer by itself.
        for most in [2100, 1000] {
            let part = told(most);
            assert_eq!((&part["b"], &part["c"], &part["d"]), (&all["b"], &all["c"], &all["d"]), "{most}");
            let message = part["a"]["error"]["message"].as_str().unwrap();
            assert!(message.contains("the site a is too large"), "{message}");
        }
        assert_eq!(
            keyed_within(&Store::new(Reload::first(None, Vec::new())).snapshot(), entry, 10).body,
            b"{}"
        );
    }
}

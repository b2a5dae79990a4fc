//! Dispatches requests: checks host, origin, role and method, and calls the handler of the route.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use smol::future::{FutureExt, poll_once};
use smol::stream;

use super::auth::{self, AccessError, Identity, Role, SessionEnd};
use super::context::{Context, Dependencies, Services};
use super::gzip;
use super::message::{HandlerOutput, HeaderField, Method, Request, Response};
use super::page::{self, AccountMenu, Layout};
use super::render_cache::{REUSE_FOR, RenderCache, RenderKey};
use super::routes::{self, Handler, ImmediateHandler};
use crate::clock::Moment;
use crate::config::Http;
use crate::state::Snapshot;
use crate::storage::Persist;
use crate::timings::Timings;

/// Allows only resources that the agent itself serves, without inline scripts and without framing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Makes browsers use only HTTPS for the host, for the maximum time of a login. It is not longer, because an operator
/// may return to plain HTTP, and the host may serve other content on another port.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=2592000";

const NO_ROUTE: &str = "There is nothing at this path. The page is at /, the figures at /api/hotspot/stats.";

/// Answers requests from the store, and through the sites' handles.
#[derive(Debug)]
pub struct Dispatcher {
    services: Services,
    settings: RwLock<Arc<HttpSettings>>,
    /// The key of the hash in entity tags. It differs between runs, because generations start again with each.
    etag_key: RandomState,
}

/// The `http` section, and what was rendered with it. Responses of one section are never sent with another.
#[derive(Debug)]
struct HttpSettings {
    http: Http,
    rendered: RenderCache,
}

impl HttpSettings {
    fn new(http: Http) -> Arc<Self> {
        Arc::new(Self { http, rendered: RenderCache::new(REUSE_FOR) })
    }
}

impl Dispatcher {
    /// A dispatcher for these parts of the agent.
    pub fn new(dependencies: Dependencies, http: Http, timings: &Timings) -> Self {
        Self {
            services: Services::new(dependencies, timings),
            settings: RwLock::new(HttpSettings::new(http)),
            etag_key: RandomState::new(),
        }
    }

    /// Applies another `http` section from the next request on. A login stays valid as long as its token.
    pub fn configure(&self, http: Http) {
        let mut current = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        let access = |http: &Http| (http.view.clone(), http.admin.clone(), http.hosts.clone());
        let has_changed = access(&http) != access(&current.http);
        *current = HttpSettings::new(http);
        drop(current);
        if has_changed {
            self.services.events.disconnect_all();
        }
    }

    /// The login sessions, which are stored from now on.
    pub fn persist_logins(&self) -> Arc<dyn Persist> {
        self.services.authenticator.persist_logins()
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> HandlerOutput {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let is_https = auth::is_https(request, &settings.http);
        let reply = self.respond(request, &settings).unwrap_or_else(HandlerOutput::Now);
        reply.map(move |response| with_security_fields(response, is_https))
    }

    fn respond(&self, request: &Request, settings: &HttpSettings) -> Result<HandlerOutput, Response> {
        let HttpSettings { http, rendered } = settings;
        let now = Moment::now();
        let layout = || Layout::new(http, AccountMenu::None, &request.path);
        // Probes may use any host name.
        if !matches!(request.path.as_str(), "/healthz" | "/readyz")
            && let Some(why) = auth::misdirected(request, http)
        {
            return Err(page::refusal(request, layout(), 421, "Misdirected Request", &why));
        }
        if request.method == Method::Post && !auth::same_origin(request) {
            return Err(page::refusal(request, layout(), 403, "Cross-Origin", auth::CROSS_ORIGIN));
        }
        let (route, parameters) =
            routes::find(&request.path).ok_or_else(|| match routes::without_slash(&request.path) {
                Some(path) => page::moved(request, path),
                None => page::not_found(true, request, layout, NO_ROUTE),
            })?;
        if request.method == Method::Options {
            return Err(page::not_allowed(request, layout(), route.methods()));
        }
        let snapshot = self.services.store.snapshot();
        let role = route.role.max(parameters.role(&snapshot));
        let authenticator = &self.services.authenticator;
        let identity = match role {
            // The response is the same for everyone, so no token is checked.
            Role::Anyone => Identity::anonymous(http),
            role => authenticator.identity(request, role, http, now),
        };
        let refused = |refusal: AccessError| {
            if route.is_page() {
                auth::refuse_page(request, refusal, identity, http)
            } else {
                refusal.problem()
            }
        };
        let refuse = |refusal| Ok(authenticator.refuse(refusal, identity.delay(), refused));
        if let Err(refusal) = identity.may(route.role, http) {
            return refuse(refusal);
        }
        if !route.allows(request.method) {
            return Err(page::not_allowed(request, layout(), route.methods()));
        }
        if let Err(refusal) = identity.may(role, http) {
            return refuse(refusal);
        }
        let is_page = route.is_page();
        let context = Context {
            services: &self.services,
            http,
            request,
            parameters,
            identity,
            snapshot: &snapshot,
            now,
            is_page,
        };
        let reply = match route.handler {
            Handler::Read(handler) => self.read(handler, &context, rendered).map(HandlerOutput::Now),
            Handler::Form(show, _) if request.method != Method::Post => {
                show(&context).map(HandlerOutput::Now)
            }
            Handler::Fetch(handler) | Handler::Action(handler) | Handler::Form(_, handler) => {
                handler(&context)
            }
        };
        let reply = match reply {
            Ok(reply @ (HandlerOutput::Later(_) | HandlerOutput::Events(..))) => {
                Ok(match authenticator.session_end(identity, request, http, now) {
                    Some(end) => until(end, reply, request, || refused(AccessError::MissingToken)),
                    None => reply,
                })
            }
            reply => reply,
        };
        // It may contain personal details.
        if identity.is_admin() {
            return reply.map(|reply| reply.map(Response::no_store)).map_err(Response::no_store);
        }
        reply
    }

    /// The response of a handler of `GET`, which is called unless the client has the current response already, or the
    /// agent has.
    fn read(
        &self,
        handler: ImmediateHandler,
        context: &Context,
        rendered: &RenderCache,
    ) -> Result<Response, Response> {
        let Request { path, query, .. } = context.request;
        let key = RenderKey {
            path: path.clone(),
            query: query.clone(),
            audience: context.identity.tag(),
            is_csv: context.wants_csv(),
            is_gzip: gzip::is_accepted(context.request),
        };
        let etag = self.etag(context.snapshot, &key);
        let tags = context.request.field(HeaderField::IfNoneMatch).unwrap_or_default();
        if matches_etag(tags, &etag) {
            return Ok(with_etag(Response::new(304, "", ""), &etag));
        }
        rendered.get_or_render(&key, &etag, || {
            let response = handler(context)?;
            if response.status != 200 {
                return Err(response);
            }
            let response = with_etag(response, &etag);
            Ok(if key.is_gzip { gzip::compressed(response) } else { response })
        })
    }

    /// The tag of the response to this request. It changes with each change of the data, and each minute, because
    /// responses contain ages.
    fn etag(&self, snapshot: &Snapshot, key: &RenderKey) -> String {
        let minute = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
        let hash = self.etag_key.hash_one((snapshot.generation, self.services.revisions(), minute, key));
        format!("W/\"{hash:016x}\"")
    }
}

/// A response to a login session. It contains no data from after the session's `end`. An action that has begun still
/// completes.
fn until(
    end: SessionEnd,
    reply: HandlerOutput,
    request: &Request,
    refused: impl FnOnce() -> Response,
) -> HandlerOutput {
    match reply {
        HandlerOutput::Now(response) => HandlerOutput::Now(response),
        HandlerOutput::Events(head, events) => {
            HandlerOutput::Events(head, Box::pin(stream::stop_after_future(events, end)))
        }
        HandlerOutput::Later(response) => {
            let (refused, is_action) = (refused(), request.method == Method::Post);
            HandlerOutput::later(async move {
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

/// Whether `If-None-Match` contains this tag (RFC 9110, 13.1.2), weak or not.
fn matches_etag(tags: &str, etag: &str) -> bool {
    let opaque = etag.trim_start_matches("W/");
    tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == opaque)
}

/// Clients may cache a response, and must revalidate it unless it has its own `Cache-Control`.
fn with_etag(response: Response, etag: &str) -> Response {
    let has_policy = response.headers.iter().any(|(name, _)| *name == "Cache-Control");
    let response = response.with("ETag", etag);
    if has_policy {
        return response.with("Vary", "Accept-Encoding");
    }
    let response = response.with("Cache-Control", "private, no-cache");
    response.with("Vary", "Accept, Accept-Encoding, Authorization, Cookie")
}

fn with_security_fields(response: Response, is_https: bool) -> Response {
    let response = if is_https {
        response.with("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY)
    } else {
        response
    };
    let policy = "Cross-Origin-Resource-Policy";
    let is_for_others = response.headers.iter().any(|(name, _)| *name == policy);
    let response = if is_for_others { response } else { response.with(policy, "same-origin") };
    response
        .with("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        .with("X-Content-Type-Options", "nosniff")
        .with("X-Frame-Options", "DENY")
        .with("Referrer-Policy", "same-origin")
        .with("Cross-Origin-Opener-Policy", "same-origin")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::config::Secret;
    use crate::history::History;
    use crate::net::proxy::ProxySettings;
    use crate::plugin::{Data, Hotspot, Plugin, ReadContext, Session};
    use crate::routeros::codepage::Codepage;
    use crate::routeros::error::{Cause, Error};
    use crate::routeros::wire::Sentence;
    use crate::state::{Reload, SiteState, Store};

    fn dispatcher(store: Arc<Store>, http: Http) -> Dispatcher {
        let history = Arc::new(History::new(store.snapshot().clock));
        let dependencies = Dependencies::new(store, history, ProxySettings::default(), &Arc::default());
        Dispatcher::new(dependencies, http, &Timings::default())
    }

    fn answer(dispatcher: &Dispatcher, method: Method, path: &str, token: &str) -> Response {
        let request = Request::new(method, path, Ipv4Addr::LOCALHOST.into());
        let request = request.with(HeaderField::Host, "localhost");
        let request = request.with(HeaderField::Authorization, format!("Bearer {token}"));
        match dispatcher.answer(&request) {
            HandlerOutput::Now(response) => response,
            _ => panic!("not a response at once"),
        }
    }

    #[test]
    fn clients_of_one_role_share_a_response_until_the_data_changes() {
        let token = "admin-token-01234";
        let http = Http { admin: Some(Secret::new(token.into())), ..Http::default() };
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        let dispatcher = dispatcher(store.clone(), http.clone());
        let body = |path: &str, token: &str| answer(&dispatcher, Method::Get, path, token).body;
        // A machine may be so busy that a second passes between two.
        let share = |one: &dyn Fn() -> Arc<Vec<u8>>, other: &dyn Fn() -> Arc<Vec<u8>>| {
            (0..10).any(|_| Arc::ptr_eq(&one(), &other()))
        };
        for path in ["/", "/api/sites", "/metrics"] {
            let viewer = || body(path, "");
            assert!(share(&viewer, &viewer), "{path}");
            assert!(!share(&viewer, &|| body(path, token)), "{path}: another role");
            assert!(!share(&viewer, &|| body(&format!("{path}?a"), "")), "{path}: another query");
            let changed = || {
                store.note_reload(|_| ());
                viewer()
            };
            assert!(!share(&viewer, &changed), "{path}: other data");
            let settings = || {
                dispatcher.configure(http.clone());
                viewer()
            };
            assert!(!share(&viewer, &settings), "{path}: another configuration");
        }
        for path in ["/nothing", "/login"] {
            assert!(!share(&|| body(path, ""), &|| body(path, "")), "{path}");
        }
    }

    #[test]
    fn csv_has_all_current_sessions_by_default() {
        let token = "admin-token-01234";
        let http = Http { admin: Some(Secret::new(token.into())), ..Http::default() };
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        let context = ReadContext::new(Moment::now(), Codepage::named("windows-1252").unwrap());
        let row = |n: usize| Sentence::from_words(["!re", &format!("=.id=*{n}"), "=user=ada"]);
        let mut hotspot = Hotspot::default();
        hotspot.sessions = (0..2001).map(|n| Session::read(&row(n), &context)).collect();
        let data = Arc::new(Data::Hotspot(hotspot.into()));
        let site = |n: usize| {
            let mut site =
                SiteState::new(&format!("s{n}"), "", Duration::from_secs(30), [], [Plugin::Hotspot]);
            site.connected(0, Moment::now());
            site.readings[0].data = Some(data.clone());
            Arc::new(site)
        };
        store.rearrange(|_| (0..25).map(site).collect());
        let dispatcher = dispatcher(store.clone(), http);
        let lines = |path: &str| {
            let response = answer(&dispatcher, Method::Get, path, token);
            assert_eq!(response.status, 200, "{path}");
            response.body.split(|byte| *byte == b'\n').count() - 2
        };
        assert_eq!(lines("/api/sessions?format=csv"), 25 * 2001);
        assert_eq!(lines("/api/sessions?format=csv&limit=3"), 3);
        // The router answers, but not about its sessions: these are old.
        store.update("s7", |site| site.readings[0].error = Some(Error::new(Cause::QueryTimeout, "")));
        assert_eq!(lines("/api/sessions?format=csv"), 24 * 2001);
        let json = answer(&dispatcher, Method::Get, "/api/sessions?limit=1", token).body;
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!((&json["total"], &json["unavailable"]), (&(24 * 2001).into(), &vec!["s7"].into()));
    }

    #[test]
    fn login_and_logout_refuse_other_methods() {
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        let dispatcher = dispatcher(store, Http::default());
        let answer = |method, path: &str| answer(&dispatcher, method, path, "");
        for (method, path) in
            [(Method::Other, "/login"), (Method::Get, "/logout"), (Method::Other, "/logout")]
        {
            let response = answer(method, path);
            assert_eq!(response.status, 405, "{path}");
            let values = |name: &str| response.headers.iter().filter(|(its, _)| *its == name).count();
            assert_eq!((values("Allow"), values("Set-Cookie")), (1, 0), "{path}");
            assert!(response.headers.contains(&("Cache-Control", "no-store".into())), "{path}");
        }
        assert_eq!(answer(Method::Get, "/logins").status, 404);
        let moved = answer(Method::Get, "/api/alerts/?b=1");
        assert_eq!(moved.status, 308);
        assert!(moved.headers.contains(&("Location", "../../api/alerts?b=1".into())), "{:?}", moved.headers);
    }
}

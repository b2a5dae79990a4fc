//! `/login` and `/logout`: a browser sends its token once and then uses a cookie.

use super::access_error::AccessError;
use super::authenticator::{Authenticator, Identity, has_tokens};
use super::cookie::{self, Transport};
use super::role::Role;
use super::sessions::NewSession;
use crate::clock::Moment;
use crate::config::{Http, Secret};
use crate::http::message::{HandlerOutput, HeaderField, Request, Response};
use crate::http::page::{self, AccountMenu, Layout};

/// Longest path that a login redirects to, in bytes: paths of pages have fewer than 60, and a long path would not fit
/// into the head of a response.
const MAX_PATH: usize = 512;

/// The `Content-Type` of a form.
const FORM: &str = "application/x-www-form-urlencoded";

impl Authenticator {
    /// The login form. With the token of a login link, it begins a session.
    pub(in crate::http) fn login_page(&self, request: &Request, http: &Http, now: Moment) -> Response {
        let value = |name| form_value(request.query.as_bytes(), name);
        let to = local_path(value("to"));
        let login = value("token").filter(|_| http.accepts_login_link).map(|token| {
            let role = self.check_token(request, &token, false, http, now)?;
            Ok(self.begin_session(request, &token, role, &to, http, now))
        });
        match login {
            Some(Ok(response)) => response,
            login => {
                let error = login.and_then(Result::err);
                login_page(error, request, &to, self.browser(request, http, now), http)
            }
        }
    }

    /// Ends the browser's session.
    pub(in crate::http) fn log_out(&self, request: &Request, http: &Http) -> HandlerOutput {
        self.end_session(request, http);
        self.once_saved(redirect(request, "/", cookie::set(request, Transport::of(request, http), None)))
    }

    /// A response that waits until the change of the sessions is on disk.
    fn once_saved(&self, response: Response) -> HandlerOutput {
        let Some(saved) = self.sessions.saved() else { return response.into() };
        HandlerOutput::later(async {
            saved.await;
            response
        })
    }

    /// Begins a session with the token of the form.
    pub(in crate::http) fn log_in(&self, request: &Request, http: &Http, now: Moment) -> HandlerOutput {
        let to = local_path(form_value(&request.body, "to"));
        let refused = |error: AccessError| {
            login_page(Some(error), request, &to, self.browser(request, http, now), http)
        };
        if !has_tokens(http) {
            return refused(AccessError::AdminDisabled).into();
        }
        if !is_form(request) {
            let detail = format!("Send a login as {FORM}: token=TOKEN.");
            return failed(request, http, 415, "Unsupported Media Type", &detail).into();
        }
        let token = form_value(&request.body, "token").unwrap_or_default();
        let token = token.trim();
        let role = match self.check_token(request, token, false, http, now) {
            Ok(role) => role,
            Err(error) => return self.refuse(error, error.delay(), refused),
        };
        self.once_saved(self.begin_session(request, token, role, &to, http, now))
    }

    /// Begins a session, and redirects to the path `to` with its cookie.
    fn begin_session(
        &self,
        request: &Request,
        token: &str,
        role: Role,
        to: &str,
        http: &Http,
        now: Moment,
    ) -> Response {
        let session = self.sessions.begin(&Secret::new(token.into()), role, request.peer, now);
        let Some(NewSession { id, is_replacement }) = session else {
            let detail = "The system has no random bytes for a session.";
            return failed(request, http, 500, "Internal Server Error", detail);
        };
        self.end_session(request, http);
        if is_replacement {
            // If the session replaces a new one, this is not logged: a burst of logins is one line.
        } else if role == Role::Admin {
            // Log lines are rate-limited by statement. A separate statement keeps viewers' logins from hiding the
            // admin's.
            log::info!("action=login by=admin peer={}", request.peer);
        } else {
            log::info!("action=login by={} peer={}", role.name(), request.peer);
        }
        redirect(request, to, cookie::set(request, Transport::of(request, http), Some(&id)))
    }

    /// Ends the session of the request's cookie.
    fn end_session(&self, request: &Request, http: &Http) {
        cookie::ids(request, Transport::of(request, http)).for_each(|id| self.sessions.end(id));
    }
}

/// The response to a refused request for a page: a browser gets the login form.
pub(in crate::http) fn refuse_page(
    request: &Request,
    error: AccessError,
    identity: Identity,
    http: &Http,
) -> Response {
    if request.accepts_html() {
        let to = local_path(Some(request.path.clone()));
        login_page(Some(error), request, &to, identity, http)
    } else {
        error.problem()
    }
}

/// The login page, which redirects to `to`. No response here may be cached.
fn login_page(
    error: Option<AccessError>,
    request: &Request,
    to: &str,
    identity: Identity,
    http: &Http,
) -> Response {
    let account = match identity.account(http, to) {
        // The page has the form itself.
        AccountMenu::Unknown { .. } => AccountMenu::None,
        known => known,
    };
    let is_off = !has_tokens(http) || error == Some(AccessError::AdminDisabled);
    let notice = error.map(AccessError::notice);
    let page = page::login(Layout::new(http, account, &request.path), to, notice, is_off);
    match error {
        Some(error) => error.with_fields(Response { status: error.status(), ..page }.no_store()),
        None => page.no_store(),
    }
}

/// Redirects to the path `to`, with `GET`.
fn redirect(request: &Request, to: &str, cookie: String) -> Response {
    page::see_other(&request.path, to.trim_start_matches('/')).with("Set-Cookie", cookie)
}

/// The page of a login that failed for another reason than its token.
fn failed(request: &Request, http: &Http, status: u16, title: &str, detail: &str) -> Response {
    let layout = Layout::new(http, AccountMenu::None, &request.path);
    page::refusal(request, layout, status, title, detail).no_store()
}

/// The first value of this name in a form or query.
fn form_value(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The path, or the overview's path if a browser could interpret it as another origin.
fn local_path(path: Option<String>) -> String {
    let is_local = |path: &String| {
        path.len() <= MAX_PATH
            && path.starts_with('/')
            && !path.contains("//")
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    path.filter(is_local).unwrap_or_else(|| "/".into())
}

fn is_form(request: &Request) -> bool {
    let content_type = request.field(HeaderField::ContentType).unwrap_or_default();
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM))
}

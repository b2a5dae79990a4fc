//! `/login` and `/logout`: a browser sends its token once and has a cookie from then on.

use std::time::Duration;

use super::sessions::Begun;
use super::{Authenticator, Identity, Refusal, Role, Verdict, cookie, has_tokens, transport};
use crate::clock::Moment;
use crate::config::{Http, Secret};
use crate::http::message::{Field, Reply, Request, Response};
use crate::http::page::{self, AccountMenu, Layout};

/// Longest path to go to after a login, in bytes: those of pages are under 60, and a long one
/// would not fit into the head of an answer.
const MAX_PATH: usize = 512;

/// What a form is sent as.
const FORM: &str = "application/x-www-form-urlencoded";

impl Authenticator {
    /// The login form.
    pub(in crate::http) fn login_page(&self, request: &Request, http: &Http, now: Moment) -> Response {
        let to = local(value(request.query.as_bytes(), "to"));
        page(200, None, request, &to, self.browser(request, http, now), http)
    }

    /// Ends the browser's session.
    pub(in crate::http) fn log_out(&self, request: &Request, http: &Http) -> Response {
        self.leave(request, http);
        redirect(request, "/", cookie::set(request, transport(request, http), None))
    }

    /// Begins a session with the token of the form.
    pub(in crate::http) fn log_in(&self, request: &Request, http: &Http, now: Moment) -> Reply {
        let to = local(value(&request.body, "to"));
        let refused = |refusal: Refusal| {
            page(refusal.status(), Some(refusal), request, &to, self.browser(request, http, now), http)
        };
        let failed = |status, title, detail: &str| {
            page::refusal(request, plain(request, http), status, title, detail).no_store().into()
        };
        if !has_tokens(http) {
            return refused(Refusal::Off).into();
        }
        if !is_form(request) {
            let detail = format!("A login is sent as {FORM}: token=TOKEN.");
            return failed(415, "Unsupported Media Type", &detail);
        }
        let token = value(&request.body, "token").unwrap_or_default();
        let token = token.trim();
        let role = match self.check_token(request, token, false, http, now) {
            Verdict::Correct(role) => role,
            Verdict::Wrong(delay) => return self.refuse(Refusal::WrongToken, delay, refused),
            Verdict::HeldOff(wait) => return self.refuse(Refusal::Wait(wait), Duration::ZERO, refused),
        };
        let begun = self.sessions.begin(Secret::new(token.into()), role, request.peer, now);
        let Some(Begun { id, is_replacement }) = begun else {
            return failed(500, "Internal Server Error", "The system has no random bytes for a cookie.");
        };
        self.leave(request, http);
        if is_replacement {
            // It takes the place of one that has just begun: a burst of logins is logged once.
        } else if role == Role::Admin {
            // Each place has a rate limit of its own: logins of viewers must not hide one of the admin.
            log::info!("{} logged in as admin", request.peer);
        } else {
            log::info!("{} logged in as {}", request.peer, role.name());
        }
        redirect(request, &to, cookie::set(request, transport(request, http), Some(&id))).into()
    }

    /// Ends the session that the browser had.
    fn leave(&self, request: &Request, http: &Http) {
        cookie::ids(request, transport(request, http)).for_each(|id| self.sessions.end(id));
    }
}

/// What a page answers that is refused: a browser gets the form that takes a token.
pub(in crate::http) fn refuse_page(
    request: &Request,
    refusal: Refusal,
    identity: Identity,
    http: &Http,
) -> Response {
    if request.takes_html() {
        let to = local(Some(request.path.clone()));
        page(refusal.status(), Some(refusal), request, &to, identity, http)
    } else {
        refusal.problem()
    }
}

/// The login page, which leads to `to`. Neither it nor any other response here may be cached.
fn page(
    status: u16,
    refusal: Option<Refusal>,
    request: &Request,
    to: &str,
    identity: Identity,
    http: &Http,
) -> Response {
    let account = match identity.account(http, to) {
        // It has the form itself.
        AccountMenu::Unknown { .. } => AccountMenu::None,
        known => known,
    };
    let is_off = !has_tokens(http) || refusal == Some(Refusal::Off);
    let page = page::login(
        Layout::new(&http.title, account, &request.path),
        to,
        refusal.map(Refusal::notice),
        is_off,
    );
    let page = Response { status, ..page }.no_store();
    match refusal {
        Some(refusal) => refusal.with_fields(page),
        None => page,
    }
}

/// To the page at the path `to`, by `GET`.
fn redirect(request: &Request, to: &str, cookie: String) -> Response {
    page::see_other(&request.path, to.trim_start_matches('/')).with("Set-Cookie", cookie)
}

/// The frame of a page that nobody is logged in to.
fn plain(request: &Request, http: &Http) -> Layout {
    Layout::new(&http.title, AccountMenu::None, &request.path)
}

/// The first value of this name in a form or query.
fn value(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(its, _)| its == name).map(|(_, value)| value.into_owned())
}

/// The path, if it can only be one of this agent's, or else the overview's.
fn local(path: Option<String>) -> String {
    let is_local = |path: &String| {
        path.len() <= MAX_PATH
            && path.starts_with('/')
            && !path.contains("//")
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    path.filter(is_local).unwrap_or_else(|| "/".into())
}

fn is_form(request: &Request) -> bool {
    let sent = request.field(Field::ContentType).unwrap_or_default();
    sent.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM))
}

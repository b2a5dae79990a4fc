//! Identifies the client of a request, and checks its role.

use std::sync::Arc;
use std::time::Duration;

use smol::Timer;
use smol::lock::Semaphore;

use super::access_error::AccessError;
use super::cookie::{self, Transport};
use super::login_throttle::LoginThrottle;
use super::role::Role;
use super::sessions::{LoginSessions, SessionEnd};
use crate::alert::Alerts;
use crate::clock::Moment;
use crate::config::{self, Http};
use crate::http::message::{HandlerOutput, HeaderField, Request, Response};
use crate::http::page::AccountMenu;
use crate::storage::Persist;
use crate::timings::Timings;

/// Maximum number of errors for wrong tokens that are delayed at once. Together with the waiting refreshes this is less
/// than the server's limit of waiting responses, so places remain for the admin's actions.
const MAX_DELAYED: usize = 32;

/// Identifies the clients of requests. It keeps login sessions and wrong tokens; the valid tokens are arguments, because a
/// reload can change them.
#[derive(Debug)]
pub(in crate::http) struct Authenticator {
    /// They count refused logins.
    alerts: Arc<Alerts>,
    throttle: LoginThrottle,
    /// For wrong tokens of requests that need no token. Their limit is separate, so that a token for a proxy in front
    /// of the agent does not throttle clients with a token of the agent.
    public_throttle: LoginThrottle,
    /// See [`Timings::wrong_token_delay`].
    delay: Duration,
    /// A permit for each delayed error.
    delayed: Arc<Semaphore>,
    pub(super) sessions: LoginSessions,
}

/// The role of a request, and the credential that it is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Identity {
    pub(in crate::http) role: Role,
    credential: Credential,
}

/// The credential of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    /// No credential, or the cookie of a session that has ended.
    Missing,
    /// A token that is wrong or was not checked.
    Rejected(AccessError),
    /// A valid token.
    Bearer,
    /// The cookie of a login session.
    Session,
}

impl Authenticator {
    pub(in crate::http) fn new(timings: &Timings, alerts: Arc<Alerts>) -> Self {
        Self {
            alerts,
            throttle: LoginThrottle::default(),
            public_throttle: LoginThrottle::on_public_content(),
            delay: timings.wrong_token_delay,
            delayed: Arc::new(Semaphore::new(MAX_DELAYED)),
            sessions: LoginSessions::new(timings.session_idle),
        }
    }

    /// The login sessions, which are stored from now on.
    pub(in crate::http) fn persist_logins(&self) -> Arc<dyn Persist> {
        self.sessions.persist()
    }

    /// Identifies a request that needs the role `needed`: by its cookie, or if that does not suffice, by its Bearer
    /// token.
    ///
    /// A wrong token counts against its address. It is ignored if no token is needed, because proxies add tokens of their
    /// own.
    pub(in crate::http) fn identity(
        &self,
        request: &Request,
        needed: Role,
        http: &Http,
        now: Moment,
    ) -> Identity {
        let browser = self.browser(request, http, now);
        let is_logged_in = browser.credential == Credential::Session;
        let Some(token) = bearer(request).filter(|_| !is_logged_in || browser.role < needed) else {
            return browser;
        };
        let is_public = Role::without_token(http) >= needed;
        match self.check_token(request, token, is_public, http, now) {
            Ok(role) => Identity { role, credential: Credential::Bearer },
            Err(_) if is_public => browser,
            Err(AccessError::WrongToken(_)) if is_logged_in => browser,
            Err(error) => Identity { credential: Credential::Rejected(error), ..browser },
        }
    }

    /// The role of a token, and an error if it is wrong or throttled. The request needs a token unless it `is_public`.
    pub(super) fn check_token(
        &self,
        request: &Request,
        token: &str,
        is_public: bool,
        http: &Http,
        now: Moment,
    ) -> Result<Role, AccessError> {
        // This does not count as a guess: no token is empty. And if no token is configured, as before the first valid
        // file, programs still send theirs.
        if token.is_empty() || !has_tokens(http) {
            return Err(AccessError::WrongToken(Duration::ZERO));
        }
        let (throttle, delay) =
            if is_public { (&self.public_throttle, Duration::ZERO) } else { (&self.throttle, self.delay) };
        match Role::of_token(token, http) {
            Some(role) if !config::is_short(token) => Ok(role),
            Some(role) => throttle
                .wait(request.peer, now)
                .map_or(Ok(role), |wait| Err(AccessError::TooManyAttempts(wait))),
            // Only a short token could be guessed this way.
            None if is_public && !has_short_token(http) => Err(AccessError::WrongToken(Duration::ZERO)),
            None => {
                // A proxy may add its own token to each request for public content.
                if !is_public {
                    self.alerts.record_refused_login();
                }
                Err(throttle
                    .record(request.peer, token, delay, now)
                    .map_or_else(AccessError::TooManyAttempts, AccessError::WrongToken))
            }
        }
    }

    /// The response to a refused request, after `delay`. The delay blocks no thread.
    pub(in crate::http) fn refuse(
        &self,
        error: AccessError,
        delay: Duration,
        response: impl FnOnce(AccessError) -> Response,
    ) -> HandlerOutput {
        if delay.is_zero() {
            return response(error).into();
        }
        let Some(permit) = self.delayed.try_acquire_arc() else {
            return response(AccessError::TooManyAttempts(delay)).into();
        };
        let response = response(error);
        HandlerOutput::later(async move {
            Timer::after(delay).await;
            drop(permit);
            response
        })
    }

    /// Resolves when the session of a request ends; `None` if it has none.
    pub(in crate::http) fn session_end(
        &self,
        identity: Identity,
        request: &Request,
        http: &Http,
        now: Moment,
    ) -> Option<SessionEnd> {
        if identity.credential != Credential::Session {
            return None;
        }
        let mut ids = cookie::ids(request, Transport::of(request, http));
        let id = ids.find(|id| self.role_of(id, http, now).is_some())?;
        Some(self.sessions.wait_for_end(id))
    }

    /// The identity by the cookie alone. A wrong cookie does not count, because open tabs still send old cookies after
    /// a restart.
    pub(super) fn browser(&self, request: &Request, http: &Http, now: Moment) -> Identity {
        let role =
            cookie::ids(request, Transport::of(request, http)).find_map(|id| self.role_of(id, http, now));
        role.map_or(Identity::anonymous(http), |role| Identity { role, credential: Credential::Session })
    }

    /// The role of a session. This counts as its use.
    fn role_of(&self, id: &str, http: &Http, now: Moment) -> Option<Role> {
        self.sessions.find(id, now, |is_token| Role::matching(http, is_token))
    }
}

impl Identity {
    /// The identity of a request without a credential.
    pub(in crate::http) fn anonymous(http: &Http) -> Self {
        Self { role: Role::without_token(http), credential: Credential::Missing }
    }

    /// Checks that it has the role `needed`.
    pub(in crate::http) fn may(&self, needed: Role, http: &Http) -> Result<(), AccessError> {
        if self.role >= needed {
            return Ok(());
        }
        if needed == Role::Admin && http.admin.is_none() {
            return Err(AccessError::AdminDisabled);
        }
        Err(match self.credential {
            Credential::Missing => AccessError::MissingToken,
            Credential::Rejected(error) => error,
            Credential::Bearer | Credential::Session => AccessError::AdminRequired,
        })
    }

    /// Whether the request has neither a valid token nor the cookie of a login session.
    pub(in crate::http) fn is_anonymous(&self) -> bool {
        !matches!(self.credential, Credential::Bearer | Credential::Session)
    }

    /// The delay of its error response.
    pub(in crate::http) fn delay(&self) -> Duration {
        if let Credential::Rejected(error) = self.credential { error.delay() } else { Duration::ZERO }
    }

    /// Whether its responses may contain personal details.
    pub(in crate::http) fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// The account menu of a page at this path.
    pub(in crate::http) fn account(&self, http: &Http, path: &str) -> AccountMenu {
        match self.credential {
            Credential::Bearer | Credential::Session => AccountMenu::Known {
                is_admin: self.role == Role::Admin,
                can_leave: self.credential == Credential::Session,
            },
            _ if has_tokens(http) => AccountMenu::unknown(path),
            _ => AccountMenu::None,
        }
    }

    /// Equal for identities that see the same page.
    pub(in crate::http) fn tag(&self) -> (Role, bool) {
        (self.role, self.credential == Credential::Session)
    }
}

/// Whether the browser uses HTTPS.
pub(in crate::http) fn is_https(request: &Request, http: &Http) -> bool {
    Transport::of(request, http) != Transport::Http
}

/// Whether a token is so short that it could be guessed.
fn has_short_token(http: &Http) -> bool {
    [&http.view, &http.admin].into_iter().flatten().any(|token| config::is_short(token.expose()))
}

/// Whether any token is configured.
pub(super) fn has_tokens(http: &Http) -> bool {
    http.view.is_some() || http.admin.is_some()
}

/// The token of an `Authorization` field. The scheme is case-insensitive (RFC 9110, 11.1).
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.field(HeaderField::Authorization)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests;

//! Who may come in: whoever has a token, and whoever has logged in with one.
//!
//! ```text
//! Cookie → sessions → the token that logged in → role
//! Authorization: Bearer → role, or a wrong token → attempts → a delayed refusal
//! POST /login → role → a session → its cookie, or a wrong token as above
//! ```
//!
//! A route asks for a [`Identity`] and whether it [may](Caller::may); the words of a
//! refusal are in `refusal`, the login page's routes in `login`. POSTs have to pass
//! [`same_origin`] before all that.

mod access_error;
mod cookie;
mod host;
mod login;
mod login_throttle;
mod role;
mod same_origin;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use smol::Timer;
use smol::lock::Semaphore;

use super::message::{Field, HandlerOutput, Request, Response};
use super::page::AccountMenu;
use crate::clock::Moment;
use crate::config::{self, Http};
use crate::timings::Timings;
pub(super) use access_error::AccessError;
use cookie::Transport;
pub(super) use host::misdirected;
pub(super) use login::refuse_page;
use login_throttle::LoginThrottle;
pub(super) use role::Role;
pub(super) use same_origin::{CROSS_ORIGIN, same_origin};
use sessions::LoginSessions;
pub(super) use sessions::SessionEnd;

/// Most refusals of wrong tokens that are delayed at once. Together with the refreshes that wait they are fewer than the
/// answers that the gate lets wait, so the admin's actions always have places.
const MAX_DELAYED: usize = 32;

/// Tells callers apart. It keeps what they did; the tokens come with each question, so that
/// they can change while it stands.
#[derive(Debug)]
pub(super) struct Authenticator {
    throttle: LoginThrottle,
    /// Wrong tokens sent with requests that need none. They have a limit of their own, so that a token meant for a
    /// proxy in front of the agent does not hold off who has one of ours.
    public_throttle: LoginThrottle,
    /// See [`Timings::wrong_token_delay`].
    delay: Duration,
    /// A place for each refusal that is delayed.
    delayed: Arc<Semaphore>,
    sessions: LoginSessions,
}

/// Who a request is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) role: Role,
    credential: Credential,
}

/// What a request says for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    /// Nothing, or a cookie of a session that has ended.
    Nothing,
    /// A wrong token. The refusal is delayed by so long.
    Wrong(Duration),
    /// One more wrong token than are answered, or a short token in place of one: for so long.
    HeldOff(Duration),
    /// A token.
    Bearer,
    /// A cookie.
    Session,
}

/// What a token comes to.
enum Verdict {
    Correct(Role),
    /// The refusal is delayed by so long.
    Wrong(Duration),
    /// No further one is answered for so long.
    HeldOff(Duration),
}

impl Authenticator {
    pub(super) fn new(timings: &Timings) -> Self {
        Self {
            throttle: LoginThrottle::default(),
            public_throttle: LoginThrottle::on_public_content(),
            delay: timings.wrong_token_delay,
            delayed: Arc::new(Semaphore::new(MAX_DELAYED)),
            sessions: LoginSessions::new(timings.session_idle),
        }
    }

    /// Who asks for what needs `needed`: by its cookie, and if that does not suffice, by its Bearer token.
    ///
    /// A wrong token counts against its address, except where nobody needs one: proxies send tokens of their own
    /// along. There it changes nothing.
    pub(super) fn identity(&self, request: &Request, needed: Role, http: &Http, now: Moment) -> Identity {
        let browser = self.browser(request, http, now);
        let is_logged_in = browser.credential == Credential::Session;
        let Some(token) = bearer(request).filter(|_| !is_logged_in || browser.role < needed) else {
            return browser;
        };
        let is_public = Role::without_token(http) >= needed;
        match self.check_token(request, token, is_public, http, now) {
            Verdict::Correct(role) => Identity { role, credential: Credential::Bearer },
            _ if is_public => browser,
            Verdict::Wrong(_) if is_logged_in => browser,
            Verdict::Wrong(delay) => Identity { credential: Credential::Wrong(delay), ..browser },
            Verdict::HeldOff(wait) => Identity { credential: Credential::HeldOff(wait), ..browser },
        }
    }

    /// What a token is that came with a request, which needs one unless it `is_public`.
    fn check_token(
        &self,
        request: &Request,
        token: &str,
        is_public: bool,
        http: &Http,
        now: Moment,
    ) -> Verdict {
        // Nobody guesses that: no token is empty. Where there is none, as before the first file is there, those of
        // programs are no guesses.
        if token.is_empty() || !has_tokens(http) {
            return Verdict::Wrong(Duration::ZERO);
        }
        let (throttle, delay) =
            if is_public { (&self.public_throttle, Duration::ZERO) } else { (&self.throttle, self.delay) };
        match Role::of_token(token, http) {
            Some(role) if !config::is_short(token) => Verdict::Correct(role),
            Some(role) => throttle.wait(request.peer, now).map_or(Verdict::Correct(role), Verdict::HeldOff),
            // Only a short one could be guessed there.
            None if is_public && !has_short_token(http) => Verdict::Wrong(Duration::ZERO),
            None => {
                throttle.record(request.peer, token, delay, now).map_or_else(Verdict::HeldOff, Verdict::Wrong)
            }
        }
    }

    /// The answer to a request that is refused, delayed where a wrong token came with it. It takes no thread meanwhile.
    pub(super) fn refuse(
        &self,
        refusal: AccessError,
        delay: Duration,
        answer: impl FnOnce(AccessError) -> Response,
    ) -> HandlerOutput {
        if delay.is_zero() {
            return answer(refusal).into();
        }
        let Some(place) = self.delayed.try_acquire_arc() else {
            return answer(AccessError::TooManyAttempts(delay)).into();
        };
        let answer = answer(refusal);
        HandlerOutput::later(async move {
            Timer::after(delay).await;
            drop(place);
            answer
        })
    }

    /// Resolves when the session ends that a caller came with; none if it came without one.
    pub(super) fn session_end(
        &self,
        identity: Identity,
        request: &Request,
        http: &Http,
        now: Moment,
    ) -> Option<SessionEnd> {
        if identity.credential != Credential::Session {
            return None;
        }
        let mut ids = cookie::ids(request, transport(request, http));
        let id = ids.find(|id| self.role_of(id, http, now).is_some())?;
        Some(self.sessions.end_of(id.into()))
    }

    /// Who this is by its cookie alone. A wrong one counts against nobody: tabs that were left
    /// open send theirs still after a restart.
    fn browser(&self, request: &Request, http: &Http, now: Moment) -> Identity {
        let role = cookie::ids(request, transport(request, http)).find_map(|id| self.role_of(id, http, now));
        role.map_or(Identity::nobody(http), |role| Identity { role, credential: Credential::Session })
    }

    /// The role of a session, which is used by that.
    fn role_of(&self, id: &str, http: &Http, now: Moment) -> Option<Role> {
        self.sessions.find(id, now, |token| Role::of_token(token.expose(), http))
    }
}

impl Identity {
    /// Who says nothing for itself.
    pub(super) fn nobody(http: &Http) -> Self {
        Self { role: Role::without_token(http), credential: Credential::Nothing }
    }

    /// Whether it may have what needs `needed`.
    pub(super) fn may(&self, needed: Role, http: &Http) -> Result<(), AccessError> {
        if self.role >= needed {
            return Ok(());
        }
        if needed == Role::Admin && http.admin.is_none() {
            return Err(AccessError::AdminDisabled);
        }
        Err(match self.credential {
            Credential::Nothing => AccessError::MissingToken,
            Credential::Wrong(_) => AccessError::WrongToken,
            Credential::HeldOff(wait) => AccessError::TooManyAttempts(wait),
            Credential::Bearer | Credential::Session => AccessError::AdminRequired,
        })
    }

    /// Whether the request came without a token, and without the cookie of one.
    pub(super) fn is_anonymous(&self) -> bool {
        !matches!(self.credential, Credential::Bearer | Credential::Session)
    }

    /// By how long its refusal is delayed.
    pub(super) fn delay(&self) -> Duration {
        if let Credential::Wrong(delay) = self.credential { delay } else { Duration::ZERO }
    }

    /// Whether what it is answered may have personal details.
    pub(super) fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// What a page shows of it, at a path.
    pub(super) fn account(&self, http: &Http, path: &str) -> AccountMenu {
        match self.credential {
            Credential::Bearer | Credential::Session => AccountMenu::Known {
                is_admin: self.role == Role::Admin,
                can_leave: self.credential == Credential::Session,
            },
            _ if has_tokens(http) => AccountMenu::unknown(path),
            _ => AccountMenu::None,
        }
    }

    /// What two requests have in common that see the same.
    pub(super) fn tag(&self) -> (Role, bool) {
        (self.role, self.credential == Credential::Session)
    }
}

/// How the browser that sent a request reaches the agent.
fn transport(request: &Request, http: &Http) -> Transport {
    Transport::of(request, http.tls.is_some())
}

/// Whether the browser that sent a request reaches the agent over HTTPS.
pub(super) fn is_https(request: &Request, http: &Http) -> bool {
    transport(request, http) != Transport::Http
}

/// Whether a token is so short that it could be guessed.
fn has_short_token(http: &Http) -> bool {
    [&http.view, &http.admin].into_iter().flatten().any(|token| config::is_short(token.expose()))
}

/// Whether there is anything to log in with.
fn has_tokens(http: &Http) -> bool {
    http.view.is_some() || http.admin.is_some()
}

/// The token of an `Authorization` field; the scheme's name is of any case.
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.field(Field::Authorization)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests;

//! Who may come in: whoever has a token, and whoever has logged in with one.
//!
//! ```text
//! Cookie → sessions → the token that logged in ────────────────→ role
//! Authorization: Bearer → attempts (unless the address waits) ─→ role
//! POST /login → attempts → role → a session → its cookie
//! ```
//!
//! A route asks for a [`Caller`] and whether it [may](Caller::may); the words of a
//! refusal are in `refusal`, the login page's routes in `login`. POSTs have to pass
//! [`same_origin`] before all that.

mod attempts;
mod cookie;
mod host;
mod login;
mod refusal;
mod role;
mod same_origin;
mod sessions;

use std::net::IpAddr;
use std::time::Duration;

use super::message::{Field, Request};
use super::page::Account;
use crate::clock::Moment;
use crate::config::Http;
use attempts::Attempts;
use cookie::Transport;
pub(super) use host::misdirected;
pub(super) use login::refuse_page;
pub(super) use refusal::Refusal;
pub(super) use role::Role;
pub(super) use same_origin::{CROSS_ORIGIN, same_origin};
use sessions::Sessions;

/// Tells callers apart. It keeps what they did; the tokens come with each question, so that
/// they can change while it stands.
#[derive(Debug)]
pub(super) struct Authority {
    attempts: Attempts,
    /// Wrong tokens sent with requests that need none. They have a limit of their own, so that a token meant for a
    /// proxy in front of the agent does not hold off who has one of ours.
    attempts_on_public: Attempts,
    sessions: Sessions,
}

/// Who a request is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) role: Role,
    proof: Proof,
}

/// What a request says for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Nothing, or a cookie of a session that has ended.
    Nothing,
    /// A token that is none.
    Wrong,
    /// A token that was not looked at: its address must wait for so long.
    HeldOff(Duration),
    /// A token.
    Bearer,
    /// A cookie.
    Session,
}

impl Default for Authority {
    fn default() -> Self {
        Self {
            attempts: Attempts::default(),
            attempts_on_public: Attempts::on_public_content(),
            sessions: Sessions::default(),
        }
    }
}

impl Authority {
    /// Who asks for what needs `needed`: by its cookie, and if that does not suffice, by its Bearer token.
    ///
    /// A wrong token counts against its address, except where nobody needs one: proxies send tokens of their own
    /// along. There it changes nothing.
    pub(super) fn caller(&self, request: &Request, needed: Role, http: &Http, now: Moment) -> Caller {
        let browser = self.browser(request, http, now);
        let is_logged_in = browser.proof == Proof::Session;
        let Some(token) = bearer(request).filter(|_| !is_logged_in || browser.role < needed) else {
            return browser;
        };
        let is_public = Role::without_token(http) >= needed;
        let attempts = if is_public { &self.attempts_on_public } else { &self.attempts };
        match judge(attempts, request.peer, token, http, now) {
            Ok(Some(role)) => Caller { role, proof: Proof::Bearer },
            Ok(None) | Err(_) if is_public => browser,
            Ok(None) if is_logged_in => browser,
            Ok(None) => Caller { proof: Proof::Wrong, ..browser },
            Err(wait) => Caller { proof: Proof::HeldOff(wait), ..browser },
        }
    }

    /// Who this is by its cookie alone. A wrong one counts against nobody: tabs that were left
    /// open send theirs still after a restart.
    fn browser(&self, request: &Request, http: &Http, now: Moment) -> Caller {
        let role = cookie::ids(request, transport(request, http))
            .find_map(|id| self.sessions.find(id, now, |token| Role::of_token(token.expose(), http)));
        role.map_or(Caller::nobody(http), |role| Caller { role, proof: Proof::Session })
    }
}

/// The role that a token from this address gives, if it is one; the error is for how long
/// the address must wait.
fn judge(
    attempts: &Attempts,
    peer: IpAddr,
    token: &str,
    http: &Http,
    now: Moment,
) -> Result<Option<Role>, Duration> {
    // Nobody guesses that: no token is empty. Where there is none, as before the first file is there, programs
    // that have theirs must not have to wait once it is.
    if token.is_empty() || !has_tokens(http) {
        return Ok(None);
    }
    attempts.judge(peer, now, || Role::of_token(token, http))
}

impl Caller {
    /// Who says nothing for itself.
    pub(super) fn nobody(http: &Http) -> Self {
        Self { role: Role::without_token(http), proof: Proof::Nothing }
    }

    /// Whether it may have what needs `needed`.
    pub(super) fn may(&self, needed: Role, http: &Http) -> Result<(), Refusal> {
        if self.role >= needed {
            return Ok(());
        }
        if needed == Role::Admin && http.admin.is_none() {
            return Err(Refusal::Off);
        }
        Err(match self.proof {
            Proof::Nothing => Refusal::NoToken,
            Proof::Wrong => Refusal::WrongToken,
            Proof::HeldOff(wait) => Refusal::Wait(wait),
            Proof::Bearer | Proof::Session => Refusal::ViewersToken,
        })
    }

    /// Whether the request came without a token, and without the cookie of one.
    pub(super) fn is_anonymous(&self) -> bool {
        !matches!(self.proof, Proof::Bearer | Proof::Session)
    }

    /// What a page shows of it, at a path.
    pub(super) fn account(&self, http: &Http, path: &str) -> Account {
        match self.proof {
            Proof::Bearer | Proof::Session => {
                Account::Known { is_admin: self.role == Role::Admin, can_leave: self.proof == Proof::Session }
            }
            _ if has_tokens(http) => Account::unknown(path),
            _ => Account::None,
        }
    }

    /// What two requests have in common that see the same.
    pub(super) fn tag(&self) -> (Role, bool) {
        (self.role, self.proof == Proof::Session)
    }
}

/// How the browser that sent a request reaches the agent.
fn transport(request: &Request, http: &Http) -> Transport {
    Transport::of(request, http.tls.is_some())
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

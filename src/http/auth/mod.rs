//! Authentication and authorization, by a token or by the cookie of a login session.
//!
//! ```text
//! Cookie → login session → the token that logged in → role
//! Authorization: Bearer (RFC 6750) → role, or a wrong token → login throttle → a delayed error
//! POST /login → role → a login session → its cookie, or a wrong token as above
//! ```
//!
//! A route gets the [`Identity`] of a request and calls [`Identity::may`]. A POST must first pass [`same_origin`].

mod access_error;
mod authenticator;
mod cookie;
mod host;
mod login;
mod login_session;
mod login_throttle;
mod role;
mod same_origin;
mod sessions;

pub(super) use access_error::AccessError;
pub(super) use authenticator::{Authenticator, Identity, is_https};
pub(super) use host::misdirected;
pub(super) use login::refuse_page;
pub(super) use role::Role;
pub(super) use same_origin::{CROSS_ORIGIN, same_origin};
pub(super) use sessions::SessionEnd;

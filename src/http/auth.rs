//! Who asks: anyone, a viewer or the admin.

use constant_time_eq::constant_time_eq;

use super::message::{Field, Request, Response, problem};
use crate::config::{Http, Secret};

/// What a request may see and do; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Whether the agent is alive.
    Anyone,
    /// Figures of sites and routers.
    Viewer,
    /// People: who is online, from where.
    Admin,
}

/// The role that a request's token gives it.
pub(super) fn role(request: &Request, http: &Http) -> Role {
    let token = request.field(Field::Authorization).and_then(bearer);
    let is = |secret: &Option<Secret>| match (secret, token) {
        (Some(secret), Some(token)) => constant_time_eq(secret.expose().as_bytes(), token.as_bytes()),
        _ => false,
    };
    // Both are compared whatever the first gives: the time tells nothing.
    match (is(&http.admin), is(&http.view)) {
        (true, _) => Role::Admin,
        (false, true) => Role::Viewer,
        (false, false) if http.view.is_none() => Role::Viewer,
        (false, false) => Role::Anyone,
    }
}

/// Why a request of this role may not have what needs another.
pub(super) fn refuse(role: Role, needed: Role, http: &Http) -> Response {
    if needed == Role::Admin && http.admin.is_none() {
        return problem(
            403,
            "Off",
            "Details of people and actions are off. To turn them on, give the admin a token in sites.ron: \
             http: (admin: Token(Env(\"PHSWEB_ADMIN_TOKEN\")))",
        );
    }
    match role {
        Role::Viewer if http.view.is_some() => {
            problem(403, "Forbidden", "This needs the admin's token; the token sent is a viewer's.")
        }
        _ => problem(401, "Unauthorized", "This needs a token: send it as Authorization: Bearer TOKEN.")
            .with("WWW-Authenticate", "Bearer"),
    }
}

/// The token of an `Authorization` field; the scheme's name is of any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::http::message::Method;

    fn role_of(authorization: &str, view: Option<&str>, admin: Option<&str>) -> Role {
        let secret = |text: Option<&str>| text.map(|text| Secret::new(text.into()));
        let http = Http { view: secret(view), admin: secret(admin), ..Http::default() };
        let request = Request::new(Method::Get, "/", Ipv4Addr::LOCALHOST.into());
        role(&request.with(Field::Authorization, authorization), &http)
    }

    #[test]
    fn a_token_gives_its_role() {
        for (authorization, view, admin, expected) in [
            ("", None, None, Role::Viewer),
            ("", Some("v"), Some("a"), Role::Anyone),
            ("Bearer v", Some("v"), Some("a"), Role::Viewer),
            ("Bearer a", Some("v"), Some("a"), Role::Admin),
            ("bearer a", None, Some("a"), Role::Admin),
            ("Bearer  a ", None, Some("a"), Role::Admin),
            ("Bearer b", None, Some("a"), Role::Viewer),
            ("Bearer b", Some("v"), Some("a"), Role::Anyone),
            ("Bearer ", Some("v"), Some("a"), Role::Anyone),
            ("Bearer", Some("v"), Some("a"), Role::Anyone),
            ("Basic a", Some("v"), Some("a"), Role::Anyone),
            ("a", Some("v"), Some("a"), Role::Anyone),
            // No admin token: nobody is, whatever is sent.
            ("Bearer a", None, None, Role::Viewer),
            ("Bearer ", None, None, Role::Viewer),
        ] {
            assert_eq!(role_of(authorization, view, admin), expected, "{authorization:?} {view:?} {admin:?}");
        }
    }
}

//! The roles, and the token of each.

use constant_time_eq::constant_time_eq;

use crate::config::{Http, Secret};

/// The permissions of a request; each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::http) enum Role {
    /// Whether the agent is alive.
    Anyone,
    /// Figures of sites and routers.
    Viewer,
    /// Personal details: who is online, and from where.
    Admin,
}

impl Role {
    /// The role of a request without a token.
    pub(super) fn without_token(http: &Http) -> Self {
        if http.view.is_none() { Self::Viewer } else { Self::Anyone }
    }

    /// The role of a token; `None` if it is wrong.
    pub(super) fn of_token(token: &str, http: &Http) -> Option<Self> {
        Self::matching(http, |secret| constant_time_eq(secret.expose().as_bytes(), token.as_bytes()))
    }

    /// The role of the token for which `is_token` is true; `None` if it is wrong.
    pub(super) fn matching(http: &Http, is_token: impl Fn(&Secret) -> bool) -> Option<Self> {
        let is = |secret: &Option<Secret>| secret.as_ref().is_some_and(&is_token);
        // Both tokens are always compared, so that the duration reveals nothing about them.
        match (is(&http.admin), is(&http.view)) {
            (true, _) => Some(Self::Admin),
            (false, true) => Some(Self::Viewer),
            (false, false) => None,
        }
    }

    /// Its name in log lines.
    pub(in crate::http) fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_its_role() {
        for (token, view, admin, expected) in [
            ("v", Some("v"), Some("a"), Some(Role::Viewer)),
            ("a", Some("v"), Some("a"), Some(Role::Admin)),
            ("a", None, Some("a"), Some(Role::Admin)),
            ("a", Some("a"), Some("a"), Some(Role::Admin)),
            ("A", Some("v"), Some("a"), None),
            ("aa", Some("v"), Some("a"), None),
            ("", Some("v"), Some("a"), None),
            // Without an admin token nobody is the admin.
            ("a", Some("v"), None, None),
            ("", None, None, None),
        ] {
            let secret = |text: Option<&str>| text.map(|text| Secret::new(text.into()));
            let http = Http { view: secret(view), admin: secret(admin), ..Http::default() };
            assert_eq!(Role::of_token(token, &http), expected, "{token:?} {view:?} {admin:?}");
        }
    }
}

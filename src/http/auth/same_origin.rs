//! Whether a POST comes from a page of ours, or was made by another site's in somebody's browser.
//!
//! All browsers of today send `Sec-Fetch-Site`, though only to HTTPS and loopback; all send
//! `Origin` with every POST. Who sends neither is a program, which nobody can make do things.

use super::host;
use crate::http::message::{Field, Request};

/// Why a request is refused that another site's page made, or that looks like it.
pub(in crate::http) const CROSS_ORIGIN: &str = "The request came from a page of another origin, and only the agent's \
    own pages may send it. If it came from one of them, a reverse proxy changes the Host field: configure it to pass \
    on the browser's, in nginx with `proxy_set_header Host $http_host;`. A program sends neither Origin nor \
    Sec-Fetch-Site.";

/// Whether no other site's page made this request.
pub(in crate::http) fn same_origin(request: &Request) -> bool {
    match (request.field(Field::SecFetchSite), request.field(Field::Origin)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => request.field(Field::Host).is_some_and(|host| is_same(origin, host)),
        (None, None) => true,
    }
}

/// Whether an `Origin` names this host and port; a port that is its scheme's own may be left out.
fn is_same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = if scheme.eq_ignore_ascii_case("http") {
        80
    } else if scheme.eq_ignore_ascii_case("https") {
        443
    } else {
        return false;
    };
    let (theirs, their_port) = host::split(authority);
    let (ours, our_port) = host::split(host);
    theirs.eq_ignore_ascii_case(ours) && their_port.unwrap_or(default) == our_port.unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::http::message::Method;

    #[test]
    fn only_our_own_pages_may_post() {
        for (site, origin, host, may) in [
            // No browser.
            ("", "", "10.0.0.5:8080", true),
            ("", "", "", true),
            // A new one says it itself.
            ("same-origin", "", "10.0.0.5:8080", true),
            ("same-origin", "https://public.example", "10.0.0.5:8080", true),
            ("none", "", "10.0.0.5:8080", true),
            ("same-site", "http://10.0.0.5:8080", "10.0.0.5:8080", false),
            ("cross-site", "http://10.0.0.5:8080", "10.0.0.5:8080", false),
            ("Same-Origin", "", "10.0.0.5:8080", false),
            ("anything", "", "10.0.0.5:8080", false),
            // The others say where they are.
            ("", "http://10.0.0.5:8080", "10.0.0.5:8080", true),
            ("", "https://10.0.0.5:8080", "10.0.0.5:8080", true),
            ("", "http://Agent.Example", "agent.example", true),
            ("", "HTTP://agent.example:80", "agent.example", true),
            ("", "http://agent.example", "agent.example:80", true),
            ("", "https://agent.example", "agent.example:443", true),
            ("", "https://agent.example:443", "agent.example", true),
            ("", "http://[2001:db8::1]:8080", "[2001:db8::1]:8080", true),
            ("", "http://[2001:db8::1]", "[2001:DB8::1]", true),
            ("", "https://agent.example", "agent.example:80", false),
            ("", "http://agent.example:443", "agent.example", false),
            ("", "http://10.0.0.5:8081", "10.0.0.5:8080", false),
            ("", "http://10.0.0.5", "10.0.0.5:8080", false),
            ("", "http://10.0.0.50:8080", "10.0.0.5:8080", false),
            ("", "http://agent.example.evil.example", "agent.example", false),
            ("", "http://evil.example/agent.example", "agent.example", false),
            ("", "http://evil.example", "agent.example", false),
            ("", "http://u@agent.example", "agent.example", false),
            ("", "null", "null", false),
            ("", "null", "10.0.0.5:8080", false),
            ("", "agent.example", "agent.example", false),
            ("", "file://", "", false),
            ("", "chrome-extension://agent.example", "agent.example", false),
            ("", "http://agent.example", "", false),
            ("", "http://agent.example http://evil.example", "agent.example", false),
        ] {
            let mut request = Request::new(Method::Post, "/", Ipv4Addr::LOCALHOST.into());
            for (field, value) in [(Field::SecFetchSite, site), (Field::Origin, origin), (Field::Host, host)]
            {
                if !value.is_empty() {
                    request = request.with(field, value);
                }
            }
            assert_eq!(same_origin(&request), may, "{request:?}");
        }
    }
}

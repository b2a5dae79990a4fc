//! Protection against cross-site request forgery: a POST must not come from another site's page.
//!
//! Current browsers send `Sec-Fetch-Site`, though only to HTTPS and loopback (Fetch Metadata), and `Origin` with every
//! POST (RFC 6454, 7). A client that sends neither is not a browser, so no page can control it.

use super::host;
use crate::http::message::{HeaderField, Request};

/// The detail of the error for a request from another origin.
pub(in crate::http) const CROSS_ORIGIN: &str = "The request came from a page of another origin, and only the agent's \
    own pages may send it. If it came from one of them, a reverse proxy changes the Host field: configure it to pass \
    on the browser's, in nginx with `proxy_set_header Host $http_host;`. A program sends neither Origin nor \
    Sec-Fetch-Site.";

/// Whether the request does not come from a page of another origin.
pub(in crate::http) fn same_origin(request: &Request) -> bool {
    match (request.field(HeaderField::SecFetchSite), request.field(HeaderField::Origin)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => request.field(HeaderField::Host).is_some_and(|host| is_same(origin, host)),
        (None, None) => true,
    }
}

/// Whether an `Origin` has this host and port. The default port of its scheme may be omitted.
fn is_same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = if scheme.eq_ignore_ascii_case("http") {
        80
    } else if scheme.eq_ignore_ascii_case("https") {
        443
    } else {
        return false;
    };
    let (origin_host, origin_port) = host::split(authority);
    let (own_host, own_port) = host::split(host);
    origin_host.eq_ignore_ascii_case(own_host)
        && origin_port.unwrap_or(default) == own_port.unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::http::message::Method;

    #[test]
    fn only_the_agents_own_pages_may_post() {
        for (site, origin, host, may) in [
            // Not a browser.
            ("", "", "10.0.0.5:8080", true),
            ("", "", "", true),
            // A browser with Fetch Metadata.
            ("same-origin", "", "10.0.0.5:8080", true),
            ("same-origin", "https://public.example", "10.0.0.5:8080", true),
            ("none", "", "10.0.0.5:8080", true),
            ("same-site", "http://10.0.0.5:8080", "10.0.0.5:8080", false),
            ("cross-site", "http://10.0.0.5:8080", "10.0.0.5:8080", false),
            ("Same-Origin", "", "10.0.0.5:8080", false),
            ("anything", "", "10.0.0.5:8080", false),
            // A browser without.
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
            for (field, value) in
                [(HeaderField::SecFetchSite, site), (HeaderField::Origin, origin), (HeaderField::Host, host)]
            {
                if !value.is_empty() {
                    request = request.with(field, value);
                }
            }
            assert_eq!(same_origin(&request), may, "{request:?}");
        }
    }
}

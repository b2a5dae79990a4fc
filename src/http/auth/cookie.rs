//! The cookie with the id of a login session (RFC 6265).

use super::host;
use super::sessions::MAX_AGE;
use crate::config::Http;
use crate::http::message::{HeaderField, Request};

/// The transport between a browser and the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// Plain HTTP.
    Http,
    /// TLS that the agent serves itself.
    Https,
    /// TLS that a trusted proxy serves, perhaps below a path.
    HttpsToProxy,
}

impl Transport {
    pub(super) fn of(request: &Request, http: &Http) -> Self {
        match request.is_https {
            Some(true) => Self::HttpsToProxy,
            None if http.tls.is_some() => Self::Https,
            None | Some(false) => Self::Http,
        }
    }
}

/// The cookie's name. Browsers send a host's cookies to all of its ports, so it contains the port that the browser
/// uses: otherwise several agents on one host would log each other out. With the prefix `__Host-`, browsers reject the
/// cookie from other hosts and over plain HTTP. That requires the path `/`, so behind a proxy it is `__Secure-`, which
/// excludes plain HTTP only.
fn name(request: &Request, transport: Transport) -> String {
    let prefix = match transport {
        Transport::Http => "",
        Transport::Https => "__Host-",
        Transport::HttpsToProxy => "__Secure-",
    };
    match host::split(request.field(HeaderField::Host).unwrap_or_default()) {
        (_, Some(port)) => format!("{prefix}phsweb-{port}"),
        (_, None) => format!("{prefix}phsweb"),
    }
}

/// The ids in a request. Other hosts of the same domain can set a cookie of this name, which must not hide the agent's.
pub(super) fn ids(request: &Request, transport: Transport) -> impl Iterator<Item = &str> {
    let name = name(request, transport);
    let pairs = request.field(HeaderField::Cookie).unwrap_or_default().split(';');
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(key, _)| *key == name)
        .map(|(_, id)| id)
}

/// The `Set-Cookie` with an id, or without one the `Set-Cookie` that deletes it.
pub(super) fn set(request: &Request, transport: Transport, id: Option<&str>) -> String {
    let name = name(request, transport);
    let age_s = id.map_or(0, |_| MAX_AGE.as_secs());
    // Without a path, browsers limit the cookie to the folder of /login, so other programs behind the same proxy do not
    // receive it. The prefix `__Host-` requires a path, and an agent that serves TLS itself is at the root.
    let scope = match transport {
        Transport::Http => "",
        Transport::Https => "; Secure; Path=/",
        Transport::HttpsToProxy => "; Secure",
    };
    format!("{name}={}; Max-Age={age_s}; HttpOnly; SameSite=Strict{scope}", id.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::http::message::Method;

    fn request(host: &str, cookie: &str) -> Request {
        let request = Request::new(Method::Get, "/", Ipv4Addr::LOCALHOST.into());
        request.with(HeaderField::Host, host).with(HeaderField::Cookie, cookie)
    }

    #[test]
    fn the_agents_cookie_is_found_among_others() {
        use Transport::{Http, Https, HttpsToProxy};
        for (host, transport, cookie, expected) in [
            ("a:8080", Http, "phsweb-8080=1", vec!["1"]),
            ("a", Http, "phsweb=1", vec!["1"]),
            ("[::1]", Http, "phsweb=1", vec!["1"]),
            ("[::1]:8080", Http, "phsweb-8080=1", vec!["1"]),
            ("a:8080", Https, "phsweb-8080=1; __Host-phsweb-8080=2", vec!["2"]),
            ("a:8080", Https, "__Secure-phsweb-8080=2", vec![]),
            (
                "a:8080",
                HttpsToProxy,
                "phsweb-8080=1; __Host-phsweb-8080=2; __Secure-phsweb-8080=3",
                vec!["3"],
            ),
            ("a:8080", Http, "__Host-phsweb-8080=2; __Secure-phsweb-8080=3", vec![]),
            ("a:8080", Http, "phsweb=0; phsweb-8081=0; xphsweb-8080=0; PHSWEB-8080=0", vec![]),
            ("a:8080", Http, "theme=\"a;b\"; =; ;;phsweb-8080=1;???=?; phsweb-8080", vec!["1"]),
            ("a:8080", Http, "x=phsweb-8080=3", vec![]),
            ("a:8080", Http, " phsweb-8080=1 ;phsweb-8080=2", vec!["1", "2"]),
            ("a:8080", Http, "", vec![]),
        ] {
            let request = request(host, cookie);
            assert_eq!(ids(&request, transport).collect::<Vec<_>>(), expected, "{host} {cookie}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_only_and_hidden_from_scripts() {
        use Transport::{Http, Https, HttpsToProxy};
        for (host, transport, id, expected) in [
            ("a:8080", Http, Some("1f"), "phsweb-8080=1f; Max-Age=2592000; HttpOnly; SameSite=Strict"),
            ("a", Http, Some("1f"), "phsweb=1f; Max-Age=2592000; HttpOnly; SameSite=Strict"),
            ("a", Http, None, "phsweb=; Max-Age=0; HttpOnly; SameSite=Strict"),
            (
                "a",
                Https,
                Some("1f"),
                "__Host-phsweb=1f; Max-Age=2592000; HttpOnly; SameSite=Strict; Secure; Path=/",
            ),
            ("a", Https, None, "__Host-phsweb=; Max-Age=0; HttpOnly; SameSite=Strict; Secure; Path=/"),
            (
                "a",
                HttpsToProxy,
                Some("1f"),
                "__Secure-phsweb=1f; Max-Age=2592000; HttpOnly; SameSite=Strict; Secure",
            ),
        ] {
            assert_eq!(set(&request(host, ""), transport, id), expected);
        }
    }
}

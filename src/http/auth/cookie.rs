//! The cookie that carries a session's id.

use super::host;
use super::sessions::MAX_AGE;
use crate::http::message::{Field, Request};

/// How a browser reaches the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// By plain HTTP.
    Http,
    /// By TLS that the agent serves itself.
    Https,
    /// By TLS that a trusted proxy serves, perhaps below a path.
    HttpsToProxy,
}

impl Transport {
    pub(super) fn of(request: &Request, has_tls: bool) -> Self {
        match request.is_https {
            Some(true) => Self::HttpsToProxy,
            None if has_tls => Self::Https,
            None | Some(false) => Self::Http,
        }
    }
}

/// Its name. Browsers send a host's cookies to all of its ports, so the port that the
/// browser knows is part of it: agents side by side don't log each other out. Over TLS
/// it has the prefix by which browsers let no other host or plain HTTP set it. `__Host-`
/// demands the path `/`, so behind a proxy it is the prefix that only rules out plain HTTP.
fn name(request: &Request, transport: Transport) -> String {
    let prefix = match transport {
        Transport::Http => "",
        Transport::Https => "__Host-",
        Transport::HttpsToProxy => "__Secure-",
    };
    match host::split(request.field(Field::Host).unwrap_or_default()) {
        (_, Some(port)) => format!("{prefix}phsweb-{port}"),
        (_, None) => format!("{prefix}phsweb"),
    }
}

/// The ids that a request brings. There may be several: other hosts of the same domain can
/// add one, which must not hide ours.
pub(super) fn ids(request: &Request, transport: Transport) -> impl Iterator<Item = &str> {
    let name = name(request, transport);
    let pairs = request.field(Field::Cookie).unwrap_or_default().split(';');
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(its, _)| *its == name)
        .map(|(_, id)| id)
}

/// The `Set-Cookie` that gives an id, or with none takes it away.
pub(super) fn set(request: &Request, transport: Transport, id: Option<&str>) -> String {
    let name = name(request, transport);
    let age_s = id.map_or(0, |_| MAX_AGE.as_secs());
    // Without a path a browser takes the folder of /login: below a reverse proxy's path no other program is sent it.
    // The prefix `__Host-` demands one, and an agent that serves TLS itself is at the root.
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
        request.with(Field::Host, host).with(Field::Cookie, cookie)
    }

    #[test]
    fn our_cookie_is_found_among_others() {
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
    fn a_cookie_is_for_this_host_alone_and_no_script() {
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

//! The cookie that carries a session's id.

use super::host;
use super::sessions::MAX_AGE;
use crate::http::message::{Field, Request};

/// Its name. Browsers send a host's cookies to all of its ports, so the port that the
/// browser knows is part of it: agents side by side don't log each other out. Over TLS
/// it has the prefix by which browsers let no other host or plain HTTP set it.
fn name(request: &Request, secure: bool) -> String {
    let prefix = if secure { "__Host-" } else { "" };
    match host::split(request.field(Field::Host).unwrap_or_default()) {
        (_, Some(port)) => format!("{prefix}phsweb-{port}"),
        (_, None) => format!("{prefix}phsweb"),
    }
}

/// The ids that a request brings. There may be several: other hosts of the same domain can
/// add one, which must not hide ours.
pub(super) fn ids(request: &Request, secure: bool) -> impl Iterator<Item = &str> {
    let name = name(request, secure);
    let pairs = request.field(Field::Cookie).unwrap_or_default().split(';');
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(its, _)| *its == name)
        .map(|(_, id)| id)
}

/// The `Set-Cookie` that gives an id, or with none takes it away.
pub(super) fn set(request: &Request, secure: bool, id: Option<&str>) -> String {
    let name = name(request, secure);
    let age_s = id.map_or(0, |_| MAX_AGE.as_secs());
    // Without a path a browser takes the folder of /login: below a reverse proxy's path no other program is sent it.
    // The prefix demands one, and an agent that serves TLS itself is at the root.
    let scope = if secure { "; Secure; Path=/" } else { "" };
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
        for (host, secure, cookie, expected) in [
            ("a:8080", false, "phsweb-8080=1", vec!["1"]),
            ("a", false, "phsweb=1", vec!["1"]),
            ("[::1]", false, "phsweb=1", vec!["1"]),
            ("[::1]:8080", false, "phsweb-8080=1", vec!["1"]),
            ("a:8080", true, "phsweb-8080=1; __Host-phsweb-8080=2", vec!["2"]),
            ("a:8080", false, "__Host-phsweb-8080=2", vec![]),
            ("a:8080", false, "phsweb=0; phsweb-8081=0; xphsweb-8080=0; PHSWEB-8080=0", vec![]),
            ("a:8080", false, "theme=\"a;b\"; =; ;;phsweb-8080=1;???=?; phsweb-8080", vec!["1"]),
            ("a:8080", false, "x=phsweb-8080=3", vec![]),
            ("a:8080", false, " phsweb-8080=1 ;phsweb-8080=2", vec!["1", "2"]),
            ("a:8080", false, "", vec![]),
        ] {
            let request = request(host, cookie);
            assert_eq!(ids(&request, secure).collect::<Vec<_>>(), expected, "{host} {cookie}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_alone_and_no_script() {
        for (host, secure, id, expected) in [
            ("a:8080", false, Some("1f"), "phsweb-8080=1f; Max-Age=2592000; HttpOnly; SameSite=Strict"),
            ("a", false, Some("1f"), "phsweb=1f; Max-Age=2592000; HttpOnly; SameSite=Strict"),
            ("a", false, None, "phsweb=; Max-Age=0; HttpOnly; SameSite=Strict"),
            (
                "a",
                true,
                Some("1f"),
                "__Host-phsweb=1f; Max-Age=2592000; HttpOnly; SameSite=Strict; Secure; Path=/",
            ),
            ("a", true, None, "__Host-phsweb=; Max-Age=0; HttpOnly; SameSite=Strict; Secure; Path=/"),
        ] {
            assert_eq!(set(&request(host, ""), secure, id), expected);
        }
    }
}

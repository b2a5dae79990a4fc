//! Checks the `Host` of a request against DNS rebinding.
//!
//! The owner of another site can make its name resolve to the agent's address. A browser then treats both as one
//! origin, so a page of that site could read the agent's responses. But `Host` still contains the other site's name.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::config::Http;
use crate::http::message::{HeaderField, Request};

/// Suffixes that can't be registered in the public DNS: those of home and company networks (RFC 6762, RFC 8375).
const LOCAL: [&str; 4] = [".local", ".lan", ".internal", ".home.arpa"];

/// Longest name that the error repeats, in characters.
const MAX_SHOWN: usize = 100;

/// Splits an authority into the host and its port, if it has one: `example.com:8080`, `192.0.2.1`, `[2001:db8::1]:80`.
pub(super) fn split(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host, Some(port)),
        // An IPv6 address ends in a bracket.
        _ => (authority, None),
    }
}

/// The error for a request whose `Host` is not a name of the agent; `None` if it is.
pub(in crate::http) fn misdirected(request: &Request, http: &Http) -> Option<String> {
    let name = name_of(request.field(HeaderField::Host).unwrap_or_default());
    if is_served(&name, http) {
        return None;
    }
    let shown: String = name.chars().take(MAX_SHOWN).collect();
    let ellipsis = if shown.len() < name.len() { "…" } else { "" };
    Some(format!(
        "The Host {shown:?}{ellipsis} is not one of the agent's names. If it should be, add it in sites.ron: http: (hosts: \
         [{shown:?}]). Other names are refused, because another site could use one that resolves to the agent to read its \
         pages."
    ))
}

/// The name or address in a `Host` field, in lower case, without port, brackets and trailing dot.
fn name_of(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether the agent serves a host of this name: an address, a name that only a local network resolves, or a name in
/// `http.hosts`. Without that list, any name is accepted if viewers need a token, because another site's page has no
/// token.
fn is_served(name: &str, http: &Http) -> bool {
    let is_address = name.parse::<Ipv4Addr>().is_ok() || name.parse::<Ipv6Addr>().is_ok();
    let is_local = |suffix: &&str| name.len() > suffix.len() && name.ends_with(*suffix);
    // Browsers always send a name.
    is_address
        || !name.contains('.')
        || LOCAL.iter().any(is_local)
        || http.hosts.iter().any(|host| host == name)
        || (http.hosts.is_empty() && http.view.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::http::message::Method;

    #[test]
    fn addresses_local_names_and_configured_names_are_served() {
        let long = format!("{}.example", "a".repeat(240));
        for (host, by_default, with_hosts) in [
            ("192.0.2.1", true, true),
            ("192.0.2.1:8080", true, true),
            ("[2001:db8::1]", true, true),
            ("[2001:DB8::1]:8080", true, true),
            ("localhost", true, true),
            ("LOCALHOST:8080", true, true),
            ("localhost.", true, true),
            ("agent", true, true),
            ("agent:8080", true, true),
            ("agent.lan", true, true),
            ("agent.LAN.:8080", true, true),
            ("agent.local", true, true),
            ("a.b.internal", true, true),
            ("agent.home.arpa", true, true),
            // HTTP/1.0.
            ("", true, true),
            ("hotspots.example", false, true),
            ("Hotspots.Example:8443", false, true),
            ("hotspots.example.", false, true),
            ("hotspots.example:", false, true),
            ("a.hotspots.example", false, false),
            ("evil.example", false, false),
            ("hotspots.example.evil.example", false, false),
            ("evil.example:80", false, false),
            ("evil-lan.example", false, false),
            ("agent.lan.evil.example", false, false),
            ("xhome.arpa", false, false),
            ("home.arpa", false, false),
            (".lan", false, false),
            ("192.0.2.1.evil.example", false, false),
            ("192.0.2.256", false, false),
            ("127.1", false, false),
            ("[192.0.2.1.evil.example]", false, false),
            ("hotspots.example..", false, false),
            (&long, false, false),
        ] {
            let request =
                Request::new(Method::Get, "/", Ipv4Addr::LOCALHOST.into()).with(HeaderField::Host, host);
            let view = Some(Secret::new("view-token-01234".into()));
            let listed = Http { hosts: vec!["hotspots.example".into()], ..Http::default() };
            for (http, expected) in [
                (Http::default(), by_default),
                (Http { view: view.clone(), ..Http::default() }, true),
                (listed.clone(), with_hosts),
                (Http { view, ..listed }, with_hosts),
            ] {
                let refusal = misdirected(&request, &http);
                assert_eq!(refusal.is_none(), expected, "{host:?} {http:?}: {refusal:?}");
                if let Some(detail) = refusal {
                    assert!(detail.contains("http: (hosts: [\""), "{detail}");
                    assert!(detail.len() < 500 && !detail.contains(&"a".repeat(MAX_SHOWN + 1)), "{detail}");
                }
            }
        }
    }

    #[test]
    fn an_authority_is_split_into_host_and_port() {
        for (authority, expected) in [
            ("example.com", ("example.com", None)),
            ("example.com:8080", ("example.com", Some(8080))),
            ("192.0.2.1:80", ("192.0.2.1", Some(80))),
            ("[2001:db8::1]", ("[2001:db8::1]", None)),
            ("[2001:db8::1]:443", ("[2001:db8::1]", Some(443))),
            ("", ("", None)),
            // None of these is a valid host.
            ("example.com:", ("example.com:", None)),
            ("example.com:65536", ("example.com:65536", None)),
            ("example.com:80@x", ("example.com:80@x", None)),
        ] {
            assert_eq!(split(authority), expected, "{authority:?}");
        }
    }
}

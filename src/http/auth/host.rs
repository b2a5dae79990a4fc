//! The `Host` field, in its parts.

/// A host with its port, where it has one: `example.com:8080`, `192.0.2.1`, `[2001:db8::1]:80`.
pub(super) fn split(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host, Some(port)),
        // An IPv6 address ends in a bracket.
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (authority, expected) in [
            ("example.com", ("example.com", None)),
            ("example.com:8080", ("example.com", Some(8080))),
            ("192.0.2.1:80", ("192.0.2.1", Some(80))),
            ("[2001:db8::1]", ("[2001:db8::1]", None)),
            ("[2001:db8::1]:443", ("[2001:db8::1]", Some(443))),
            ("", ("", None)),
            // None of these is a host of ours, and none is equal to one.
            ("example.com:", ("example.com:", None)),
            ("example.com:65536", ("example.com:65536", None)),
            ("example.com:80@x", ("example.com:80@x", None)),
        ] {
            assert_eq!(split(authority), expected, "{authority:?}");
        }
    }
}

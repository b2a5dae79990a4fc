//! What the name of a RouterOS property says of its values.

/// Longest name of a property, in characters: the longest of RouterOS has half of it.
const MAX_PROPERTY: usize = 64;

/// Whether a property could be named so.
pub(super) fn is_property(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    (1..=MAX_PROPERTY).contains(&text.len())
        && text.bytes().all(is_part)
        && text.bytes().any(|b| b.is_ascii_alphanumeric())
        && !text.starts_with('-')
}

/// Whether its values may be secrets. A router gives some of them in clear to who may read.
pub(super) fn is_secret(property: &str) -> bool {
    const SECRET: [&str; 9] =
        ["password", "passwd", "passphrase", "passcode", "secret", "secrets", "psk", "token", "pin"];
    /// What a key has that is none to be kept, such as `public-key` and `key-size`.
    const HARMLESS: [&str; 5] = ["public", "size", "type", "usage", "format"];
    let words = || words(property);
    words().any(|word| SECRET.contains(&word.as_str()))
        || (words().any(|word| word == "key") && !words().any(|word| HARMLESS.contains(&word.as_str())))
}

/// Whether its values tell who somebody is, or which device is whose.
pub(super) fn is_personal(property: &str) -> bool {
    const WHO: [&str; 14] = [
        "address", "comment", "email", "host", "hostname", "id", "identity", "ip", "mac", "message", "name",
        "owner", "user", "username",
    ];
    words(property).last().is_some_and(|word| WHO.contains(&word.as_str()))
}

/// `mac-address` is of two words.
fn words(property: &str) -> impl Iterator<Item = String> {
    property.split(['-', '.', '_']).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_properties() {
        for (name, is_one) in [
            ("mac-address", true),
            (".id", true),
            ("rx-1024-1518", true),
            ("HTTPS", true),
            ("a_b", true),
            ("802.1x", true),
            ("", false),
            (".", false),
            ("-a", false),
            ("a b", false),
            ("a,b", false),
            ("a=b", false),
            ("naïve", false),
        ] {
            assert_eq!(is_property(name), is_one, "{name:?}");
        }
        assert!(is_property(&"a".repeat(MAX_PROPERTY)) && !is_property(&"a".repeat(MAX_PROPERTY + 1)));
    }

    #[test]
    fn what_may_hold_a_secret() {
        for name in [
            "password",
            "Password",
            "passphrase",
            "secret",
            "radius-secret",
            "private-key",
            "pre-shared-key",
            "wpa2-pre-shared-key",
            "static-key-0",
            "authentication-password",
            "ipsec-secret",
            "security.passphrase",
            "auth-key",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in
            ["address", "public-key", "key-size", "keepalive-timeout", "monkey", "pinged", "host-key-type"]
        {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn what_tells_who_somebody_is() {
        for name in [
            "user",
            "name",
            "address",
            "mac-address",
            "active-address",
            "active-mac-address",
            "host-name",
            "client-id",
            "caller-id",
            "comment",
            ".id",
            "session-id",
            "last-ip",
        ] {
            assert!(is_personal(name), "{name}");
        }
        for name in [
            "server",
            "status",
            "login-by",
            "dynamic",
            "interface",
            "profile",
            "service",
            "ssid",
            "address-list",
        ] {
            assert!(!is_personal(name), "{name}");
        }
    }
}

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

/// Properties that hold secrets in whatever menu, beside those that [`WORDS`] find. The names are those of MikroTik's
/// manual: "Router AAA" lists what the policy `sensitive` covers, and the page of each menu has the rest.
const SECRET: [&str; 29] = [
    // /interface/macsec, /interface/lte.
    "cak",
    "pin",
    // /interface/wireless/security-profiles and access-list, /caps-man/security.
    "wpa-pre-shared-key",
    "wpa2-pre-shared-key",
    "private-pre-shared-key",
    "static-key-0",
    "static-key-1",
    "static-key-2",
    "static-key-3",
    "static-sta-private-key",
    "management-protection-key",
    // /interface/wireguard and its peers.
    "private-key",
    "preshared-key",
    "pre-shared-key",
    // /ip/ipsec/installed-sa, /routing, /system/ntp/key.
    "auth-key",
    "enc-key",
    "authentication-key",
    "tcp-md5-key",
    "key",
    // /ip/cloud: a configuration with its private key in it.
    "vpn-wireguard-client-config",
    "vpn-wireguard-client-config-qrcode",
    // /snmp: the community of versions 1 and 2c is their password.
    "trap-community",
    // Scripts, which log in to other services: /system/scheduler, /ip/hotspot/user/profile, /ppp/profile,
    // /ip/dhcp-client, /interface/vrrp. Others end in `-script`.
    "on-event",
    "on-login",
    "on-logout",
    "on-up",
    "on-down",
    "on-message",
    "script",
];

/// Properties that hold secrets in one menu and others elsewhere, from the same pages.
const SECRET_IN: [(&str, &str); 6] = [
    ("/container/envs", "value"),
    ("/file", "contents"),
    ("/snmp/community", "name"),
    ("/system/script", "source"),
    ("/system/script/environment", "value"),
    ("/zerotier", "identity"),
];

/// What a name has in it that tells of a secret, whichever menu and version it is of.
const WORDS: [&str; 8] =
    ["password", "passwd", "passphrase", "passcode", "secret", "secrets", "psk", "token"];

/// Settings about passwords, of /ip/ssh and /user/settings, and a number that tells flows apart.
const HARMLESS: [&str; 4] =
    ["always-allow-password-login", "minimum-password-length", "password-authentication", "gre-key"];

/// Whether the values of a menu's property may be secrets. A router gives some of them in clear to who may read.
pub(super) fn is_secret(menu: &str, property: &str) -> bool {
    let property = property.to_ascii_lowercase();
    // There it is the name of a variable.
    if (menu, property.as_str()) == ("/container/envs", "key") {
        return false;
    }
    if SECRET.contains(&property.as_str()) || SECRET_IN.contains(&(menu, &property)) {
        return true;
    }
    let has = |known: &[&str]| words(&property).any(|word| known.contains(&word.as_str()));
    // A key of a later version is taken for a secret one; `key-id` and `group-key-update` are none.
    let is_key = property.ends_with("-key") && !has(&["public"]);
    (has(&WORDS) || is_key || property.ends_with("-script")) && !HARMLESS.contains(&property.as_str())
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
            "cak",
            "pin",
            "key",
            "key-of-a-later-version.host-key",
            "vpn-wireguard-client-config",
            "vpn-wireguard-client-config-qrcode",
            "trap-community",
            "on-login",
            "up-script",
        ] {
            assert!(is_secret("/any/menu", name), "{name}");
        }
        for name in [
            "address",
            "public-key",
            "key-size",
            "key-id",
            "key-usage",
            "gre-key",
            "group-key-update",
            "keepalive-timeout",
            "monkey",
            "pinged",
            "pin-status",
            "host-key-type",
            "server-public-key",
            "minimum-password-length",
            "value",
            "name",
            "source",
            "script-count",
        ] {
            assert!(!is_secret("/any/menu", name), "{name}");
        }
        for (menu, name) in SECRET_IN {
            assert!(is_secret(menu, name), "{menu} {name}");
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

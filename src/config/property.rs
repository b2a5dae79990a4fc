//! RouterOS properties and menus that hold secrets or personal data, by their names.

/// Longest name of a property, in characters: the longest of RouterOS has half of it.
const MAX_PROPERTY: usize = 64;

/// Whether a text may be the name of a property.
pub(super) fn is_property(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    (1..=MAX_PROPERTY).contains(&text.len())
        && text.bytes().all(is_part)
        && text.bytes().any(|b| b.is_ascii_alphanumeric())
        && !text.starts_with('-')
}

/// Properties that hold secrets in every menu, besides those that [`WORDS`] find. The names are those of MikroTik's
/// manual: "Router AAA" lists the properties that the policy `sensitive` covers; the others are on the pages of the
/// menus.
const SECRET: [&str; 32] = [
    // /interface/macsec, /interface/lte.
    "cak",
    "pin",
    "puk",
    // Several keys in one: /user/ssh-keys, /iot.
    "keys",
    // /system/script, /file. Other menus have no such property.
    "source",
    "contents",
    // /snmp: the names of communities, which are the passwords of versions 1 and 2c.
    "community",
    "snmp-community",
    // /interface/wireguard/peers, /ip/cloud: a configuration with its private key in it.
    "client-config",
    "client-config-qr",
    // /container: variables and arguments.
    "env",
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
    // /ip/cloud: the same.
    "vpn-wireguard-client-config",
    "vpn-wireguard-client-config-qrcode",
    // /snmp: the community of versions 1 and 2c is their password.
    "trap-community",
    // A script, which logs in to other services. Others begin with `on-` or end in `-script`.
    "script",
];

/// Properties that hold secrets in one menu and others elsewhere, from the same pages.
const SECRET_IN: [(&str, &str); 13] = [
    ("/container", "cmd"),
    ("/container", "entrypoint"),
    ("/container/envs", "value"),
    // Options may contain URLs with a login, or keys.
    ("/ip/dhcp-client/option", "value"),
    ("/ip/dhcp-server/option", "value"),
    ("/ip/dhcp-server/option", "raw-value"),
    ("/ipv6/dhcp-client/option", "value"),
    ("/ipv6/dhcp-server/option", "value"),
    ("/ipv6/dhcp-server/option", "raw-value"),
    ("/snmp/community", "name"),
    ("/system/script/environment", "value"),
    ("/user-manager/user", "attributes"),
    ("/zerotier", "identity"),
];

/// Words in the names of secrets, in all menus and versions.
const WORDS: &str = "credentials otp passcode passphrase passphrases password passwords passwd psk pwd secret secrets token \
    tokens";

/// Settings about passwords, of /ip/ssh and /user/settings, and a number that distinguishes flows.
const HARMLESS: [&str; 4] =
    ["always-allow-password-login", "minimum-password-length", "password-authentication", "gre-key"];

/// Whether the values of a menu's property may be secrets. A router sends some of them in clear to every user with the
/// policy `read`.
pub(super) fn is_secret(menu: &str, property: &str) -> bool {
    let property = property.to_ascii_lowercase();
    // In this menu it is the name of a variable.
    if (menu, property.as_str()) == ("/container/envs", "key") {
        return false;
    }
    // In names such as `security.passphrase`, the last part decides.
    let last = property.rsplit('.').next().unwrap_or_default();
    if SECRET.contains(&last) || SECRET_IN.contains(&(menu, &property)) {
        return true;
    }
    let has = |known: &str| property.split(SEPARATORS).any(|word| is_listed(word, known));
    // An unknown key is probably secret; `key-id` and `group-key-update` are not.
    let ends_with = |ends: &[&str]| ends.iter().any(|end| last.ends_with(end));
    let is_key = ends_with(&["-key", "-keys"]) && !has("public");
    (has(WORDS) || is_key || last.starts_with("on-") || ends_with(&["-script", "-pin", "-puk"]))
        && !HARMLESS.contains(&last)
}

/// Whether the values of a property identify a person or a device, by the last word of its name. An address, a number or a
/// key distinguishes devices, and a `target` of `/queue/simple` is an address.
pub(super) fn is_personal(menu: &str, property: &str) -> bool {
    /// The remote end of a connection, and a session, identify a person with any last word.
    const BEGINS: [&str; 4] = ["remote", "src", "dst", "session"];
    const WHO: &str = "account address addresses agent bssid called caller client comment contact customer device email \
        fingerprint fqdn from host hostname hosts iccid id identifier identity ids imei imsi info ip key \
        latitude location login longitude mac macs message mobile msisdn name names number numbers owner \
        path peer person phone position recipient referer sender serial station subject subscriber target \
        text to uid uri url user username who";
    let property = property.to_ascii_lowercase();
    property.split(SEPARATORS).next_back().is_some_and(|word| is_listed(word, WHO))
        || BEGINS.iter().any(|begin| property.starts_with(begin))
        // `<pppoe-USER>`; those of radios and ARP are the router's own.
        || (property == "interface" && !["/registration-table", "/arp"].iter().any(|end| menu.ends_with(end)))
}

/// Whether the rows of a menu are about people or their devices.
pub(super) fn is_about_people(menu: &str) -> bool {
    /// These menus and all below them.
    const MENUS: [&str; 41] = [
        "/interface/bridge/host",
        "/interface/bridge/mdb",
        "/interface/dot1x/server/active",
        "/interface/ethernet/switch/host",
        "/interface/l2tp-server",
        "/interface/ovpn-server",
        "/interface/pppoe-server",
        "/interface/pptp-server",
        "/interface/sstp-server",
        "/interface/wireguard/peers",
        "/iot/bluetooth",
        "/ip/accounting",
        "/ip/arp",
        "/ip/dhcp-server/lease",
        // Names that were looked up, and sites that were visited.
        "/ip/dns/cache",
        "/ip/firewall/address-list",
        "/ip/firewall/connection",
        "/ip/ipsec/active-peers",
        "/ip/ipsec/installed-sa",
        "/ip/kid-control",
        "/ip/neighbor",
        "/ip/pool/used",
        "/ip/proxy",
        "/ip/smb/sessions",
        "/ip/socks/connections",
        "/ipv6/dhcp-server/binding",
        "/ipv6/firewall/address-list",
        "/ipv6/firewall/connection",
        "/ipv6/neighbor",
        "/ipv6/pool/used",
        "/log",
        "/queue/simple",
        "/system/history",
        "/tool/ip-scan",
        "/tool/mac-scan",
        "/tool/mac-server/sessions",
        "/tool/sms",
        "/tool/torch",
        "/tool/user-manager",
        "/user",
        "/user-manager",
    ];
    /// Menus below these.
    const PARENTS: [&str; 2] = ["/ip/hotspot/", "/ppp/"];
    /// In those of wireless, wifi, wifiwave2 and `CAPsMAN`, and of the tools that listen.
    const PARTS: [&str; 4] = ["/access-list", "/registration-table", "/sniffer", "/snooper"];
    let is_below =
        |above: &&str| menu.strip_prefix(*above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    MENUS.iter().any(is_below)
        || PARENTS.iter().any(|above| menu.starts_with(above))
        || PARTS.iter().any(|part| menu.contains(part))
}

/// `mac-address` consists of two words.
const SEPARATORS: [char; 3] = ['-', '.', '_'];

fn is_listed(word: &str, list: &str) -> bool {
    list.split(' ').any(|listed| listed == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_properties_are_recognized() {
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
    fn properties_that_may_hold_a_secret_are_recognized() {
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
            "on-master",
            "on-backup",
            "on-fail",
            "up-script",
            "source",
            "contents",
            "keys",
            "ssh-keys",
            "puk",
            "sim-pin",
            "otp-secret",
            "one-time-passwords",
            "security.static-key-0",
            "configuration.keys",
            "client-config",
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
            "script-count",
            "public-keys",
            "data-source",
            "pinned",
        ] {
            assert!(!is_secret("/any/menu", name), "{name}");
        }
        for (menu, name) in SECRET_IN {
            assert!(is_secret(menu, name), "{menu} {name}");
        }
    }

    #[test]
    fn properties_that_identify_a_person_are_recognized() {
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
            "target",
            "imsi",
            "imei",
            "phone-number",
            "to-addresses",
            "login",
            "caller",
            "serial-number",
            "public-key",
            "client-address",
            "ip-addresses",
            "info",
            "client-info",
            "interface",
            "remote",
            "remote-port",
            "src-port",
            "dst",
            "who",
            "bssid",
            "identifier",
            "uid",
            "session",
            "sessions",
            "fqdn",
            "email-to",
            "user-agent",
        ] {
            assert!(is_personal("/any/menu", name), "{name}");
        }
        for name in ["server", "status", "login-by", "dynamic", "profile", "service", "ssid", "address-list"]
        {
            assert!(!is_personal("/any/menu", name), "{name}");
        }
        for menu in ["/interface/wifi/registration-table", "/ip/arp"] {
            assert!(!is_personal(menu, "interface"), "{menu}");
        }
    }

    #[test]
    fn menus_about_people_are_recognized() {
        for menu in [
            "/ip/hotspot/active",
            "/ip/hotspot/user",
            "/ppp/active",
            "/ppp/secret",
            "/ip/dhcp-server/lease",
            "/ipv6/dhcp-server/binding",
            "/interface/wireless/registration-table",
            "/interface/wifi/registration-table",
            "/interface/wifiwave2/registration-table",
            "/caps-man/registration-table",
            "/interface/wifi/access-list",
            "/log",
            "/user",
            "/user/active",
            "/user-manager/session",
            "/tool/sms/inbox",
            "/ip/arp",
            "/ip/neighbor",
            "/queue/simple",
            "/ip/pool/used",
            "/interface/dot1x/server/active",
            "/interface/ethernet/switch/host",
            "/interface/bridge/mdb",
            "/ip/firewall/address-list",
            "/ip/smb/sessions",
            "/ip/socks/connections",
            "/interface/wireless/snooper",
            "/interface/wireless/sniffer/packet",
            "/tool/torch",
            "/tool/sniffer/host",
            "/tool/mac-server/sessions",
            "/system/history",
        ] {
            assert!(is_about_people(menu), "{menu}");
        }
        for menu in [
            "/interface",
            "/ip/hotspot",
            "/ppp",
            "/ip/dhcp-server",
            "/ip/dhcp-server/leases-of-a-later-version",
            "/logging",
            "/user-agent",
            "/tool/netwatch",
            "/system/health",
        ] {
            assert!(!is_about_people(menu), "{menu}");
        }
    }

    #[test]
    fn private_plugins_of_the_catalogue_are_about_people() {
        let plugins = include_str!("catalogue.ron").split("menu: \"").skip(1);
        let menus = plugins.filter(|plugin| plugin.contains("private: true"));
        let menus = menus.filter_map(|plugin| plugin.split('"').next());
        // Its comments may name people, but its rows are not about them.
        let menus: Vec<&str> = menus.filter(|menu| *menu != "/ip/firewall/filter").collect();
        assert!(menus.len() >= 8, "{menus:?}");
        for menu in menus {
            assert!(is_about_people(menu), "{menu}");
        }
    }
}

//! Menus other than the hotspot's: their presence and rows by version and board.

use std::time::Instant;

use super::client::{Client, TIMEOUT, V6_49, V7_11, V7_20, number, show, start, text, version};
use phsweb_agent::routeros::wire::Sentence;
use phsweb_agent::simulator::{Login, Policies, Router, Settings};

const WIRELESS: &str = "/interface/wireless/registration-table/print";
const WIFI: &str = "/interface/wifi/registration-table/print";

fn board(version_text: &str, board: &str) -> Settings {
    Settings { board: board.to_string(), ..version(version_text) }
}

pub(super) fn print(router: &Router, words: &[&str]) -> Vec<Sentence> {
    Client::logged_in(router).rows(words)
}

/// Prints rows until a condition is true, for values that the clock moves.
pub(super) fn until_rows(router: &Router, words: &[&str], is_true: impl Fn(&[Sentence]) -> bool) {
    let mut client = Client::logged_in(router);
    let began = Instant::now();
    loop {
        let rows = client.rows(words);
        if is_true(&rows) {
            return;
        }
        let shown: Vec<_> = rows.iter().map(show).collect();
        assert!(began.elapsed() < TIMEOUT, "timed out after {TIMEOUT:?} with {words:?}: {shown:#?}");
    }
}

/// The two numbers of a value such as `1234/5678`.
fn pair(row: &Sentence, key: &str, separator: char) -> (u64, u64) {
    let value = text(row, key);
    let (first, second) = value.split_once(separator).unwrap_or_else(|| panic!("{key} is {value}"));
    (first.parse().unwrap(), second.parse().unwrap())
}

#[test]
fn rows_have_the_keys_of_real_routers() {
    let lease = [
        "address mac-address client-id server radius blocked disabled host-name status expires-after",
        "last-seen active-address active-mac-address active-server dynamic",
    ]
    .join(" ");
    let host = [
        "mac-address address to-address server uptime idle-time bytes-in bytes-out DHCP authorized bypassed",
        "found-by",
    ]
    .join(" ");
    // Only dynamic rows have the key `dynamic`.
    let interface = "name type mtu link-downs rx-byte tx-byte running disabled comment";
    let caller_interface = interface.replace("disabled comment", "dynamic disabled");
    let ppp =
        "name service caller-id address uptime encoding session-id limit-bytes-in limit-bytes-out radius";
    let queue = [
        "name target parent packet-marks priority queue limit-at max-limit bytes packets dropped rate",
        "packet-rate queued-bytes queued-packets invalid dynamic disabled",
    ]
    .join(" ");
    let watched = "interval timeout since status up-script down-script comment disabled";
    let address = "address network interface actual-interface invalid dynamic disabled comment";
    let neighbor = [
        "interface address address4 mac-address identity platform version age uptime board",
        "interface-name",
    ]
    .join(" ");
    let wireless = [
        "interface mac-address ap wds bridge rx-rate tx-rate packets bytes uptime last-activity",
        "signal-strength signal-to-noise tx-ccq p-throughput last-ip wmm-enabled",
    ]
    .join(" ");
    let wifi = [
        "interface ssid mac-address uptime last-activity signal band tx-rate rx-rate packets bytes",
        "tx-bits-per-second rx-bits-per-second authorized",
    ]
    .join(" ");
    for (version_text, watched, stations, station) in [
        (V6_49, format!("host {watched}"), WIRELESS, wireless),
        (V7_20, format!("host type {watched}"), WIFI, wifi),
    ] {
        let router = start(version(version_text));
        // The command, the number of rows, and the keys of the first row.
        let table: &[(&[&str], usize, &str)] = &[
            (&["/ip/dhcp-server/lease/print", "?dynamic=true"], 25, &lease),
            (&["/ip/hotspot/host/print"], 29, &host),
            (&["/ppp/active/print"], 6, ppp),
            (&["/interface/print", "?dynamic=true", "?#!"], 6, interface),
            (&["/interface/print", "?dynamic=true"], 6, &caller_interface),
            (&["/queue/simple/print"], 3, &queue),
            (&["/tool/netwatch/print"], 4, &watched),
            (&["/ip/pool/print"], 3, "name ranges"),
            (&["/ip/pool/used/print"], 32, "pool address owner info"),
            (&["/ip/address/print"], 3, address),
            (&["/ip/neighbor/print"], 2, &neighbor),
            (&["/ip/dhcp-server/print"], 2, "name interface address-pool lease-time invalid disabled"),
            (&["/ip/firewall/filter/print"], 3, "chain action bytes packets comment invalid disabled"),
            (&["/user/active/print", "?via=winbox"], 1, "when name address via group radius"),
            (&["/log/print", "?message=router rebooted"], 1, "time topics message"),
            (&[stations], 25, &station),
        ];
        let mut client = Client::logged_in(&router);
        for (words, count, keys) in table {
            let rows = client.rows(words);
            assert_eq!(rows.len(), *count, "{version_text}: {words:?}");
            let found: Vec<_> = rows[0].attributes().map(|(key, _)| String::from_utf8_lossy(key)).collect();
            assert_eq!(found.join(" "), format!(".id {keys}"), "{version_text}: {words:?}");
        }
    }
}

#[test]
fn wifi_clients_are_in_the_menu_of_the_version() {
    let missing = |part: &str| {
        vec![
            format!("!trap | =category=0 | =message=no such command or directory ({part})"),
            "!trap | =category=0 | =message=no such command prefix".to_string(),
            "!done".to_string(),
        ]
    };
    let (ap, without) = ("hAP ac^2", "RB4011iGS+");
    for (version_text, name, menu, other, stations) in [
        (V6_49, ap, WIRELESS, WIFI, 25),
        (V6_49, without, WIRELESS, WIFI, 0),
        (V7_11, ap, WIRELESS, WIFI, 25),
        ("7.12.1 (stable)", "hEX", WIRELESS, WIFI, 0),
        ("7.13 (stable)", ap, WIFI, WIRELESS, 25),
        (V7_20, without, WIFI, WIRELESS, 0),
    ] {
        let router = start(board(version_text, name));
        let mut client = Client::logged_in(&router);
        assert_eq!(client.rows(&[menu]).len(), stations, "{version_text} {name}");
        let expected = match version_text {
            V6_49 => missing("")[1..].to_vec(),
            _ => missing(if other == WIFI { "wifi" } else { "wireless" }),
        };
        assert_eq!(client.ask(&[other]), expected, "{version_text} {name}");
        let kinds = client.rows(&["/interface/print", "?type=wlan", "?type=wifi", "?#|"]);
        assert_eq!(kinds.len(), if name == ap { 2 } else { 0 }, "{version_text} {name}");
    }
}

#[test]
fn wifi_clients_have_signal_and_traffic() {
    for (version_text, menu, signal, after) in
        [(V6_49, WIRELESS, "signal-strength", "@6Mbps"), (V7_20, WIFI, "signal", "")]
    {
        let router = start(version(version_text));
        let rows = print(&router, &[menu]);
        let radios: Vec<_> =
            print(&router, &["/interface/print"]).iter().map(|row| text(row, "name")).collect();
        for row in &rows {
            let signal = text(row, signal);
            let dbm: i64 = signal.strip_suffix(after).and_then(|dbm| dbm.parse().ok()).unwrap();
            assert!((-90..=-40).contains(&dbm), "expected -90 to -40 dBm, got {signal}");
            assert!(radios.contains(&text(row, "interface")), "{radios:?}");
            let (sent, received) = pair(row, "bytes", ',');
            assert!(sent > received, "expected more sent than received: {}", show(row));
        }
        for session in router.sessions() {
            assert!(rows.iter().any(|row| text(row, "mac-address") == session.mac), "{session:?}");
        }
        let by_id = format!("=.id={}", text(&rows[0], ".id"));
        let before = pair(&rows[0], "bytes", ',');
        until_rows(&router, &[menu, &by_id], |now| {
            let (sent, received) = pair(&now[0], "bytes", ',');
            sent > before.0 && received > before.1 && text(&now[0], "uptime") != text(&rows[0], "uptime")
        });
    }
}

#[test]
fn leases_are_waiting_or_bound_and_use_pool_addresses() {
    let router = start(Settings::default());
    let mut client = Client::logged_in(&router);
    let bound = client.rows(&["/ip/dhcp-server/lease/print", "?status=bound"]);
    let waiting = client.rows(&["/ip/dhcp-server/lease/print", "?status=waiting"]);
    assert_eq!((bound.len(), waiting.len()), (26, 2));
    for row in &waiting {
        let absent = ["active-address", "active-mac-address", "expires-after"];
        assert!(absent.iter().all(|key| row.get(key).is_none()), "{}", show(row));
        assert_eq!((text(row, "server"), text(row, "dynamic")), ("office".into(), "false".into()));
    }
    let seen: Vec<_> = waiting.iter().map(|row| text(row, "last-seen")).collect();
    assert_eq!(seen, ["3w2d4h11m8s", "never"]);
    // Each bound lease and each PPP session uses a pool address.
    let used = client.rows(&["/ip/pool/used/print"]);
    for row in &bound {
        let expected = [text(row, "active-address"), "DHCP".into(), text(row, "active-mac-address")];
        let is_match = |row: &&Sentence| ["address", "owner", "info"].map(|key| text(row, key)) == expected;
        assert_eq!(used.iter().filter(is_match).count(), 1, "{}", show(row));
    }
    let caller = client.rows(&["/ppp/active/print"]).remove(0);
    let interfaces = client.rows(&["/interface/print", "?type=pppoe-in"]);
    assert!(interfaces.iter().any(|row| text(row, "name") == format!("<pppoe-{}>", text(&caller, "name"))));
    let of_address = format!("?address={}", text(&caller, "address"));
    let query = ["/ip/pool/used/print", &of_address];
    let used = client.rows(&query).remove(0);
    assert_eq!((text(&used, "owner"), text(&used, "info")), ("PPP".into(), text(&caller, "name")));
    assert_eq!(client.ask(&["/ppp/active/remove", &format!("=.id={}", text(&caller, ".id"))]), ["!done"]);
    assert!(client.rows(&query).is_empty(), "expected a free address");
    let its_interface = format!("?name=<{}-{}>", text(&caller, "service"), text(&caller, "name"));
    assert!(client.rows(&["/interface/print", &its_interface]).is_empty(), "expected no interface");
    let (id, before) = (text(&bound[0], ".id"), text(&bound[0], "expires-after"));
    until_rows(&router, &["/ip/dhcp-server/lease/print", &format!("=.id={id}")], |now| {
        text(&now[0], "expires-after") != before && text(&now[0], "last-seen") != text(&bound[0], "last-seen")
    });
}

#[test]
fn queues_count_bytes_and_watched_hosts_have_a_status() {
    let router = start(Settings::default());
    let queues = print(&router, &["/queue/simple/print"]);
    let before: Vec<_> = queues.iter().map(|row| pair(row, "bytes", '/')).collect();
    for row in &queues {
        let (limit, rate) = (pair(row, "max-limit", '/'), pair(row, "rate", '/'));
        assert!(rate.0 <= limit.0 && rate.1 <= limit.1, "{}", show(row));
    }
    until_rows(&router, &["/queue/simple/print"], |now| {
        now.iter().zip(&before).all(|(row, before)| {
            let bytes = pair(row, "bytes", '/');
            bytes.0 > before.0 && bytes.1 > before.1
        })
    });
    let states: Vec<_> =
        print(&router, &["/tool/netwatch/print"]).iter().map(|row| text(row, "status")).collect();
    assert_eq!(states, ["up", "up", "up", "down"]);
}

#[test]
fn log_has_hotspot_logins_and_logouts() {
    let router = start(Settings { active: 0, ..Settings::default() });
    let id = router.log_in("anna", "10.5.99.7".parse().unwrap(), "02:00:00:00:00:07").unwrap();
    router.log_out(&id);
    let messages = |topics: &str| -> Vec<String> {
        let rows = print(&router, &["/log/print", &format!("?topics={topics}")]);
        rows.iter().map(|row| text(row, "message")).collect()
    };
    let account = ["anna (10.5.99.7): logged in", "anna (10.5.99.7): logged out: user request"];
    assert_eq!(messages("hotspot,account,info,debug"), account);
    assert_eq!(messages("hotspot,info,debug"), ["anna (10.5.99.7): trying to log in by http-chap"]);
}

#[test]
fn administrators_include_api_users() {
    let policies = Policies { write: false, ..Policies::ALL };
    let reader = Login { policies, ..Login::new("reader", "password") };
    let router =
        start(Settings { logins: vec![Login::new("api-user", "password"), reader], ..Settings::default() });
    let mut client = Client::connect(&router);
    assert_eq!(client.ask(&["/login", "=name=reader", "=password=password"]), ["!done"]);
    let mut client = Client::logged_in(&router);
    let rows = client.rows(&["/user/active/print"]);
    let shown: Vec<_> = rows.iter().map(|row| ["name", "via", "group"].map(|key| text(row, key))).collect();
    let expected = [
        ["admin", "winbox", "full"],
        ["admin", "ssh", "full"],
        ["reader", "api", "read"],
        ["api-user", "api", "full"],
    ];
    assert_eq!(shown, expected);
}

#[test]
fn clock_format_matches_version() {
    for (version_text, form) in [(V6_49, "aaa/99/9999"), (V7_20, "9999-99-99")] {
        let router = start(version(version_text));
        let row = print(&router, &["/system/clock/print"]).remove(0);
        let shape = |key: &str| {
            let shape = |c: char| {
                if c.is_ascii_digit() {
                    '9'
                } else if c.is_ascii_lowercase() {
                    'a'
                } else {
                    c
                }
            };
            text(&row, key).chars().map(shape).collect::<String>()
        };
        assert_eq!((shape("date"), shape("time")), (form.into(), "99:99:99".into()), "{version_text}");
        assert_eq!((text(&row, "time-zone-name"), text(&row, "gmt-offset")), ("UTC".into(), "+00:00".into()));
        let time = text(&row, "time");
        until_rows(&router, &["/system/clock/print"], |now| text(&now[0], "time") != time);
    }
}

#[test]
fn reboot_resets_counters_and_sessions_and_keeps_leases() {
    let router = start(Settings { active: 5, ..Settings::default() });
    let leases = |router: &Router| print(router, &["/ip/dhcp-server/lease/print"]).len();
    let (before, callers) = (leases(&router), print(&router, &["/ppp/active/print"]));
    let received = |row: &Sentence| number(row, "rx-byte");
    let most = |router: &Router| print(router, &["/interface/print"]).iter().map(received).max().unwrap();
    let moved = most(&router);
    router.reboot();
    assert_eq!(leases(&router), before, "expected the leases of before the reboot");
    assert!(most(&router) < moved / 1000, "expected counters to restart at zero");
    let again = print(&router, &["/ppp/active/print"]);
    let seconds = |row: &Sentence| text(row, "uptime").strip_suffix('s').and_then(|s| s.parse::<u64>().ok());
    assert!(again.len() == callers.len() && again.iter().all(|row| seconds(row).is_some_and(|s| s < 30)));
    assert!(print(&router, &[WIFI]).is_empty(), "expected no Wi-Fi clients");
    assert_eq!(print(&router, &["/user/active/print"]).len(), 1, "expected only the API user");
}

#[test]
fn services_list_open_connections_from_7_19() {
    const PRINT: &[&str] = &["/ip/service/print", "?name=api"];
    let connections = |router: &Router| {
        print(router, PRINT).iter().filter(|row| row.get("dynamic") == Some(b"true")).count()
    };
    let old = start(version("7.18.2 (stable)"));
    let _other = Client::connect(&old);
    assert_eq!(print(&old, PRINT).len(), 1);
    let router = start(version("7.19 (stable)"));
    assert_eq!(connections(&router), 1, "expected the own connection only");
    let other = Client::connect(&router);
    assert_eq!(connections(&router), 2);
    drop(other);
    let began = Instant::now();
    while connections(&router) > 1 {
        assert!(began.elapsed() < TIMEOUT, "expected the closed connection to disappear within {TIMEOUT:?}");
    }
    let rows = print(&router, &["/ip/service/print", "?name=api", "?dynamic=true", "?#!"]);
    assert_eq!((rows.len(), text(&rows[0], "port")), (1, "8728".into()));
}

#[test]
fn services_have_the_keys_of_the_version() {
    for (of, list, has_max_sessions) in
        [("7.15.3", "address", false), ("7.16", "address", true), ("7.24", "available-from", true)]
    {
        let row = &print(&start(version(of)), &["/ip/service/print", "?name=api"])[0];
        for name in ["address", "available-from"] {
            assert_eq!(row.get(name).is_some(), name == list, "{of}: {name}");
        }
        assert_eq!(row.get("max-sessions").is_some(), has_max_sessions, "{of}");
    }
}

#[test]
fn license_has_the_level_of_the_board() {
    for (version_text, name, key, level) in [
        (V6_49, "hAP ac^2", "nlevel", "4"),
        (V6_49, "RB4011iGS+", "nlevel", "5"),
        (V7_20, "hEX", "level", "4"),
        (V7_20, "x86", "level", "6"),
        (V7_20, "CHR", "level", "p1"),
    ] {
        let rows = print(&start(board(version_text, name)), &["/system/license/print"]);
        assert_eq!((rows.len(), text(&rows[0], key)), (1, level.into()), "{version_text} {name}");
        assert_eq!(rows[0].get(".id"), None, "{version_text} {name}");
    }
}

#[test]
fn used_pool_addresses_are_counted() {
    let router = start(Settings::default());
    let mut client = Client::logged_in(&router);
    let count = ["/ip/pool/used/print", "=count-only=", "?pool=hs-pool-1"];
    assert_eq!(client.ask(&count), ["!done | =ret=25"]);
    assert_eq!(client.ask(&count[..2]), ["!done | =ret=32"]);
    let pools = client.rows(&["/ip/pool/print", "?name=hs-pool-1"]);
    assert_eq!(text(&pools[0], "ranges"), "10.5.50.2-10.5.57.254");
}

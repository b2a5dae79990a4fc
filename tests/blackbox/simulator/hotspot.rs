//! The hotspot: sessions, counters, cookies and hosts.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::client::{Client, TIMEOUT, number, show, start, text, until};
use phsweb_agent::simulator::{IdOrder, Settings};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 5, 99, 7);
const MAC: &str = "02:00:00:00:00:07";

#[test]
fn kick_ends_the_session_and_its_id_is_reused() {
    let router = start(Settings::default());
    let mut client = Client::logged_in(&router);
    let user = client.rows(&["/ip/hotspot/user/print", "=.id=*2"]).remove(0);
    let (name, before) = (text(&user, "name"), number(&user, "bytes-out"));
    let id = router.log_in(&name, ADDRESS, MAC).unwrap();
    assert_eq!(router.log_in("other", ADDRESS, MAC), None, "expected a second login at that address to fail");
    let by_id = format!("=.id={id}");
    let session = client.rows(&["/ip/hotspot/active/print", &by_id]).remove(0);
    assert_eq!((text(&session, "user"), text(&session, "address")), (name, ADDRESS.to_string()));
    let of_mac = format!("?mac-address={MAC}");
    let authorized = ["/ip/hotspot/host/print", &of_mac, "?authorized=true", "=count-only="];
    assert_eq!(client.ask(&authorized), ["!done | =ret=1"]);
    assert_eq!(client.ask(&["/ip/hotspot/cookie/print", &of_mac, "=count-only="]), ["!done | =ret=1"]);

    let remove = ["/ip/hotspot/active/remove", &by_id];
    assert_eq!(client.ask(&remove), ["!done"]);
    assert_eq!(client.ask(&remove), ["!trap | =message=no such item (4)", "!done"]);
    assert!(router.sessions().iter().all(|session| session.id != id));
    let after = client.rows(&["/ip/hotspot/user/print", "=.id=*2"]).remove(0);
    assert!(number(&after, "bytes-out") > before, "expected the counters to move at logout");
    assert_eq!(client.ask(&authorized), ["!done | =ret=0"]);

    assert_eq!(router.log_in("somebody else", ADDRESS, "02:00:00:00:00:08"), Some(id));
}

#[test]
fn cookie_logs_a_kicked_user_back_in() {
    let router = start(Settings { cookies_log_back_in: true, active: 0, ..Settings::default() });
    let mut client = Client::logged_in(&router);
    let id = router.log_in("anna", ADDRESS, MAC).unwrap();
    let remove = ["/ip/hotspot/active/remove", &format!("=.id={id}")];
    assert_eq!(client.ask(&remove), ["!done"]);
    let row = client.rows(&["/ip/hotspot/active/print"]).remove(0);
    let seen = ["user", "login-by", ".id"].map(|key| text(&row, key));
    assert_eq!(seen, ["anna", "cookie", &id]);
    let cookie = text(&client.rows(&["/ip/hotspot/cookie/print"])[0], ".id");
    assert_eq!(client.ask(&["/ip/hotspot/cookie/remove", &format!("=.id={cookie}")]), ["!done"]);
    assert_eq!(client.ask(&remove), ["!done"]);
    assert_eq!(router.sessions(), []);
}

#[test]
fn removal_ends_all_sessions_of_a_user_if_configured() {
    for removal_ends_all in [false, true] {
        let router = start(Settings { removal_ends_all, active: 0, ..Settings::default() });
        let mut client = Client::logged_in(&router);
        let log_in = |n: u8, user: &str| router.log_in(user, Ipv4Addr::new(10, 5, 99, n), MAC).unwrap();
        let first = log_in(1, "anna");
        let _ = (log_in(2, "anna"), log_in(3, "bert"));
        assert_eq!(client.ask(&["/ip/hotspot/active/remove", &format!("=.id={first}")]), ["!done"]);
        let left: Vec<String> = router.sessions().into_iter().map(|session| session.user).collect();
        assert_eq!(left, if removal_ends_all { vec!["bert"] } else { vec!["anna", "bert"] });
    }
}

#[test]
fn ids_are_addresses_in_either_byte_order() {
    for (id_order, id) in [(IdOrder::Network, "*A056307"), (IdOrder::Reversed, "*763050A")] {
        let router = start(Settings { id_order, ..Settings::default() });
        assert_eq!(router.log_in("anna", ADDRESS, MAC).as_deref(), Some(id));
    }
}

#[test]
fn menus_have_the_configured_number_of_rows() {
    let settings = Settings { users: 60, active: 17, ..Settings::default() };
    let router = start(settings.clone());
    let mut client = Client::logged_in(&router);
    let table: &[(&[&str], usize)] = &[
        (&["/ip/hotspot/user/print"], 61),
        (&["/ip/hotspot/user/print", "?default=true", "?name=default-trial"], 1),
        (&["/ip/hotspot/user/print", "?password"], 60),
        (&["/ip/hotspot/active/print"], 17),
        (&["/ip/hotspot/print", "?HTTPS=false"], 1),
        // Two hosts are not logged in: one device has a second address, one never logs in.
        (&["/ip/hotspot/host/print", "?DHCP=true"], 19),
        (&["/ip/hotspot/host/print", "?authorized=true"], 17),
        (&["/ip/hotspot/host/print", "?bypassed=true", "?authorized=false"], 3),
    ];
    for (words, count) in table {
        let words = [words, &["=count-only="][..]].concat();
        assert_eq!(client.ask(&words), [format!("!done | =ret={count}")], "{words:?}");
    }
    let hosts = client.rows(&["/ip/hotspot/host/print", "?DHCP=true"]);
    let mut macs: Vec<_> = hosts.iter().map(|host| text(host, "mac-address")).collect();
    macs.sort();
    macs.dedup();
    assert_eq!(macs.len(), 18, "expected two rows with the same MAC address");

    let comments = client.rows(&["/ip/hotspot/user/print", "?comment"]);
    let any = |is_true: fn(&[u8]) -> bool| comments.iter().any(|row| is_true(row.get("comment").unwrap()));
    assert!(any(|comment| std::str::from_utf8(comment).is_err()), "expected a comment that is not UTF-8");
    assert!(
        any(|comment| !comment.is_ascii() && std::str::from_utf8(comment).is_ok()),
        "expected a comment in UTF-8"
    );
    assert!(any(|comment| comment.contains(&b'=')), "expected a comment with an equals sign");

    assert_eq!(
        start(settings.clone()).sessions(),
        router.sessions(),
        "expected the same people from the same seed"
    );
    assert_ne!(start(Settings { seed: 9, ..settings }).sessions(), router.sessions());
}

#[test]
fn counters_and_uptime_grow() {
    let router = start(Settings::default());
    let mut client = Client::logged_in(&router);
    let id = router.log_in("anna", ADDRESS, MAC).unwrap();
    let print = ["/ip/hotspot/active/print", &format!("=.id={id}")];
    let before = client.rows(&print).remove(0);
    let began = Instant::now();
    loop {
        let row = client.rows(&print).remove(0);
        let moved = |key| number(&row, key) > number(&before, key);
        if ["bytes-in", "bytes-out", "packets-in", "packets-out"].into_iter().all(moved)
            && text(&row, "uptime") != text(&before, "uptime")
        {
            assert!(
                number(&row, "bytes-out") > number(&row, "bytes-in"),
                "expected more download than upload"
            );
            break;
        }
        assert!(began.elapsed() < TIMEOUT, "expected growing counters, got {}", show(&row));
    }
}

#[test]
fn churn_keeps_the_number_of_sessions_around_the_configured_one() {
    let router = start(Settings { active: 20, churn: Duration::from_millis(2), ..Settings::default() });
    let first = router.sessions();
    until(&router, "a new person is online", |router| {
        router.sessions().iter().any(|session| first.iter().all(|old| old.user != session.user))
    });
    until(&router, "all first people have logged out", |router| {
        let online = router.sessions();
        // The tolerance is a tenth plus two.
        assert!((16..=24).contains(&online.len()), "expected 16 to 24 sessions, got {}", online.len());
        !first.iter().any(|old| online.contains(old))
    });
}

#[test]
fn session_limit_is_the_remaining_allowance() {
    let router = start(Settings { active: 0, ..Settings::default() });
    let mut client = Client::logged_in(&router);
    let user = client.rows(&["/ip/hotspot/user/print", "?limit-bytes-out"]).remove(0);
    let before = number(&user, "bytes-out");
    let by_id = format!("=.id={}", text(&user, ".id"));
    for (limit, left) in [(before + 1_000_000_000, 1_000_000_000), (before / 2, 0)] {
        let set = ["/ip/hotspot/user/set", &by_id, &format!("=limit-bytes-out={limit}")];
        assert_eq!(client.ask(&set), ["!done"]);
        let id = router.log_in(&text(&user, "name"), ADDRESS, MAC).unwrap();
        let session = client.rows(&["/ip/hotspot/active/print", &format!("=.id={id}")]).remove(0);
        let remains = number(&session, "limit-bytes-out");
        // Part of it may be used already.
        assert!(remains <= left && remains >= left / 2, "expected at most {left}, got {remains}");
        router.log_out(&id);
    }
}

#[test]
fn disabled_users_do_not_log_in() {
    // More people than enabled users: the others are on trial.
    let router = start(Settings { users: 50, active: 50, ..Settings::default() });
    let mut client = Client::logged_in(&router);
    let disabled = client.rows(&["/ip/hotspot/user/print", "?disabled=true"]);
    assert!(!disabled.is_empty());
    let online = router.sessions();
    assert_eq!(online.len(), 50);
    for user in disabled {
        assert!(online.iter().all(|session| session.user != text(&user, "name")), "{}", show(&user));
    }

    let router =
        start(Settings { users: 10, active: 10, churn: Duration::from_millis(2), ..Settings::default() });
    let mut client = Client::logged_in(&router);
    let users = client.rows(&["/ip/hotspot/user/print", "?-default"]);
    for user in &users {
        client.ask(&["/ip/hotspot/user/set", &format!("=.id={}", text(user, ".id")), "=disabled=yes"]);
    }
    until(&router, "only trial users are online", |router| {
        router.sessions().iter().all(|session| session.user.starts_with("T-"))
    });
}

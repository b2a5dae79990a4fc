//! Login, policies, refused connections, and how connections end.

use std::net::TcpStream;
use std::time::Instant;

use super::client::{Client, TIMEOUT, V6_42, V6_49, V7_11, V7_20, start, text, until, version, with_crates};
use phsweb_agent::simulator::{Login, Policies, Settings};

const REFUSED: [&str; 2] = ["!trap | =message=invalid user name or password (6)", "!done"];

#[test]
fn plain_login_checks_name_and_password() {
    let router = start(version(V6_49));
    let mut client = Client::connect(&router);
    assert_eq!(client.ask(&["/login", "=name=api-user", "=password=wrong"]), REFUSED);
    assert_eq!(client.ask(&["/login", "=name=nobody", "=password=password"]), REFUSED);
    assert_eq!(client.ask(&["/login", "=name=api-user", "=password=password"]), ["!done"]);
    assert_eq!((router.counters().logins, router.counters().logins_refused), (1, 2));
    let session = client.rows(&["/user/active/print", "?name=api-user"]).remove(0);
    assert_eq!((text(&session, "name"), text(&session, "via")), ("api-user".into(), "api".into()));
}

/// Sends a bare `/login` and responds to its challenge.
fn respond(client: &mut Client, password: &str) -> Vec<String> {
    let reply = client.ask(&["/login"]).remove(0);
    let ret =
        reply.strip_prefix("!done | =ret=").unwrap_or_else(|| panic!("expected a challenge, got {reply}"));
    assert_eq!(ret.len(), 32, "{reply}");
    let challenge = u128::from_str_radix(ret, 16).unwrap().to_be_bytes();
    let hashed = md5::compute([&[0], password.as_bytes(), &challenge].concat());
    client.ask(&["/login", "=name=api-user", &format!("=response=00{hashed:x}")])
}

#[test]
fn only_versions_before_6_43_accept_a_challenge_response() {
    let cannot = ["!trap | =message=cannot log in", "!done"];
    for (version_text, right, wrong) in
        [(V6_42, &["!done"][..], cannot), (V6_49, &REFUSED, REFUSED), (V7_20, &REFUSED, REFUSED)]
    {
        let router = start(version(version_text));
        assert_eq!(respond(&mut Client::connect(&router), "password"), right, "{version_text}");
        assert_eq!(respond(&mut Client::connect(&router), "wrong"), wrong, "{version_text}");
    }
    let router = start(version(V6_42));
    let reply = Client::connect(&router).ask(&["/login", "=name=api-user", "=password=password"]);
    assert!(reply[0].starts_with("!done | =ret="), "expected a challenge from an old router, got {reply:?}");
    // A response without a challenge is refused.
    let mut client = Client::connect(&router);
    assert_eq!(client.ask(&["/login", "=name=api-user", "=response=00"]), cannot);
}

#[test]
fn fatal_has_its_reason_as_a_bare_word() {
    let router = start(Settings::default());
    let mut client = Client::connect(&router);
    let wrong = ["/login", "=name=api-user", "=password=wrong"];
    for attempt in 1..=4 {
        assert_eq!(client.ask(&wrong), REFUSED, "attempt {attempt}");
    }
    for (mut client, words, reason) in [
        (client, &wrong[..], "too many commands before login"),
        (Client::connect(&router), &["/system/resource/print", ".tag=1"], "not logged in"),
        (Client::connect(&router), &["/cancel"], "not logged in"),
        (Client::logged_in(&router), &["/quit"], "session terminated on request"),
    ] {
        assert_eq!(client.ask(words), [format!("!fatal | {reason}")]);
        assert_eq!(client.next(), "closed", "after {reason}");
    }
    until(&router, "all connections are closed", |router| router.counters().open == 0);
}

#[test]
fn commands_need_their_policy() {
    let login = |name: &str, api, read, write| Login {
        policies: Policies { api, read, write },
        ..Login::new(name, "p")
    };
    let logins = vec![
        login("no-api", false, true, true),
        login("no-read", true, false, true),
        login("no-write", true, true, false),
    ];
    let router = with_crates(Settings { logins, ..Settings::default() });
    let denied: &[&str] = &["!trap | =message=not enough permissions (9)", "!done"];
    let print = &["/test/crate/print", "=count-only="][..];
    let remove = &["/test/crate/remove", "=.id=*1"][..];
    for (name, refused, allowed, reply) in
        [("no-read", print, remove, "!done"), ("no-write", remove, print, "!done | =ret=2")]
    {
        let mut client = Client::connect(&router);
        assert_eq!(client.ask(&["/login", &format!("=name={name}"), "=password=p"]), ["!done"]);
        assert_eq!(client.ask(refused), denied, "{name}");
        assert_eq!(client.ask(allowed), [reply], "{name}");
    }
    assert_eq!(Client::connect(&router).ask(&["/login", "=name=no-api", "=password=p"]), REFUSED);
}

#[test]
fn connections_are_refused_above_the_limit_and_by_address() {
    let router = start(Settings { max_sessions: 2, ..Settings::default() });
    let (mut first, _second) = (Client::logged_in(&router), Client::logged_in(&router));
    assert_eq!(Client::connect(&router).next(), "closed");
    assert_eq!(first.ask(&["/quit"]), ["!fatal | session terminated on request"]);
    assert_eq!(first.next(), "closed");
    drop(first);
    until(&router, "a connection is accepted again", |router| {
        let mut third = Client::connect(router);
        third.ask(&["/login", "=name=api-user", "=password=password"]) == ["!done"]
    });
    let counters = router.counters();
    assert_eq!((counters.logins, counters.connections - counters.refused), (3, 3));

    for (allowed, open) in [("10.0.0.1", false), ("127.0.0.1", true)] {
        let router = start(Settings { allow_from: vec![allowed.parse().unwrap()], ..Settings::default() });
        let login = Client::connect(&router).next_after_login();
        assert_eq!(login == "!done", open, "{allowed}: {login}");
        assert_eq!(router.counters().refused, u64::from(!open), "{allowed}");
    }
}

impl Client {
    /// The next sentence after a login on a connection that may be closed.
    fn next_after_login(&mut self) -> String {
        self.send(&["/login", "=name=api-user", "=password=password"]);
        self.next()
    }
}

#[test]
fn reboot_resets_uptime_and_sessions_and_keeps_cookies() {
    let router = start(version(V7_11));
    let mut client = Client::logged_in(&router);
    let uptime = |client: &mut Client| text(&client.rows(&["/system/resource/print"])[0], "uptime");
    assert!(uptime(&mut client).contains('d'), "expected an uptime of days");
    let cookies = client.ask(&["/ip/hotspot/cookie/print", "=count-only="]);
    let began = Instant::now();
    router.reboot();
    assert_eq!(client.next(), "closed");
    let mut client = Client::logged_in(&router);
    let after = uptime(&mut client);
    // The uptime is at most the time since the reboot, which is longer on a busy machine.
    let max = began.elapsed().as_secs();
    let seconds = after.strip_suffix('s').and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(
        seconds.is_some_and(|seconds| seconds <= max),
        "expected an uptime of at most {max} s, got {after}"
    );
    assert_eq!(router.sessions(), []);
    for menu in ["active", "host"] {
        let print = format!("/ip/hotspot/{menu}/print");
        assert_eq!(client.ask(&[&print, "=count-only="]), ["!done | =ret=0"], "{menu}");
    }
    assert_eq!(client.ask(&["/ip/hotspot/user/print", "=count-only="]), ["!done | =ret=151"]);
    assert_ne!(cookies, ["!done | =ret=0"]);
    assert_eq!(
        client.ask(&["/ip/hotspot/cookie/print", "=count-only="]),
        cookies,
        "expected the cookies of before the reboot"
    );
}

#[test]
fn drop_closes_connections_and_port() {
    let router = start(Settings::default());
    let mut client = Client::logged_in(&router);
    client.send(&["/ip/hotspot/active/listen"]);
    let addr = router.addr();
    drop(router);
    assert_eq!(client.next(), "closed");
    let began = Instant::now();
    while TcpStream::connect(addr).is_ok() {
        assert!(began.elapsed() < TIMEOUT, "expected a closed port within {TIMEOUT:?}");
    }
}

//! Behind a reverse proxy: tokens of the proxy, and the address of the client.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use phsweb_agent::simulator::{Router, Settings};

use super::agent::{Agent, AgentBuilder, Answer, TIMEOUT, until};
use super::answers::form_of;
use super::browser::{Browser, ask_from, connect_from};
use super::router;
use crate::support::reloading_agent::ReloadingAgent;

const ADMIN: &str = "admin: Token(Plain(\"admin-token-01234\")),";

/// A token of the proxy, as single sign-on sends it with each request.
const FOREIGN: (&str, &str) = ("Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl");

/// The proxy.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Another host, which is not a trusted proxy.
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

const TRUSTED: &str = "trusted_proxies: [\"127.0.0.2/32\", \"fd00::/8\"],";

/// Paths without anything about people.
const PUBLIC: [&str; 4] = ["/", "/api/hotspot/stats", "/metrics", "/api/sites/awka/plugins/resource"];

/// Paths that are protected by their path or by their content.
const PROTECTED: [&str; 2] = ["/api/hotspot/awka/active", "/api/sites/awka/plugins/hotspot"];

fn given(router: &Router, http: &str) -> AgentBuilder {
    let given =
        AgentBuilder::default().http(http).defaults("refresh: \"1h\",").site("awka", router.addr(), "");
    given.argument("--log").argument("debug")
}

fn agent(router: &Router, http: &str) -> Agent {
    let agent = given(router, http).start();
    until("the agent is ready", || (agent.get("/readyz").status == 200).then_some(()));
    agent
}

fn shows_people(router: &Router, answer: &Answer) -> bool {
    router.sessions().iter().all(|person| answer.body.contains(&person.user))
}

/// Stops an agent and returns its log.
fn log(agent: Agent) -> String {
    let mut running = agent.running;
    running.signal("TERM");
    running.wait_for_exit(TIMEOUT);
    running.err()
}

/// A connection of a proxy that carries requests of several clients.
struct Connection(TcpStream);

impl Connection {
    fn open(from: Ipv4Addr, to: SocketAddr) -> Self {
        Self(connect_from(from, to))
    }

    /// The status of the answer to a request for a path by a client; none if the connection is closed.
    fn status(&mut self, path: &str, client: &str) -> Option<u16> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\nAuthorization: Bearer one-more\r\n\r\n"
        );
        self.0.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            answer.extend(match self.0.read(&mut bytes) {
                Ok(count @ 1..) => &bytes[..count],
                _ => return None,
            });
            let mut fields = [httparse::EMPTY_HEADER; 32];
            let mut parsed = httparse::Response::new(&mut fields);
            let Ok(httparse::Status::Complete(head)) = parsed.parse(&answer) else { continue };
            let length = parsed.headers.iter().find(|field| field.name == "Content-Length").unwrap();
            let length: usize = std::str::from_utf8(length.value).unwrap().parse().unwrap();
            if answer.len() >= head + length {
                return parsed.code;
            }
        }
    }

    fn is_answered(&mut self, client: &str) -> bool {
        self.status("/healthz", client) == Some(200)
    }
}

#[test]
fn proxy_tokens_on_public_content_do_not_throttle_clients() {
    let router = router(Settings::default());
    let agent = agent(&router, ADMIN);
    let ask = |path: &str, token: &str| {
        ask_from(PROXY, agent.address, ("GET", path), &[("Authorization", &format!("Bearer {token}"))], "")
    };
    for path in PUBLIC {
        for number in 0..12 {
            let answer = ask(path, &format!("foreign-{number}"));
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        }
    }
    for path in PROTECTED {
        assert_eq!(ask(path, "admin-token-01234").status, 200, "{path}");
    }
    // Where a token is needed, by the path or by the content, wrong ones count.
    for (number, path) in PROTECTED.iter().cycle().take(10).enumerate() {
        assert_eq!(ask(path, &format!("wrong-{number}")).status, 401, "{path}");
    }
    for path in PROTECTED {
        assert_eq!(ask(path, "one-more").status, 429, "{path}");
        assert_eq!(ask(path, "admin-token-01234").status, 200, "{path}");
    }
}

/// Guesses could find a short token, which files of earlier versions may have.
#[test]
fn guesses_of_a_short_token_on_public_content_are_limited() {
    let router = router(Settings::default());
    for (admin, is_short) in [("admin-token", true), ("admin-token-01234", false)] {
        let agent = agent(&router, &format!("admin: Token(Plain(\"{admin}\")),"));
        let page = |token: &str| {
            let fields = [("Authorization", format!("Bearer {token}"))];
            let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
            let page = ask_from(PROXY, agent.address, ("GET", "/sites/awka"), &fields, "");
            assert_eq!(page.status, 200, "{}", page.body);
            shows_people(&router, &page)
        };
        for number in 0..9 {
            assert!(!page(&format!("guess-{number}")));
        }
        assert!(page(admin));
        assert!(!page("guess-9"));
        assert_eq!(
            page(admin),
            !is_short,
            "expected guesses of a short token to be throttled after ten wrong ones"
        );
    }
}

#[test]
fn login_cookie_works_with_a_proxy_token() {
    let router = router(Settings::default());
    let agent = agent(&router, &format!("view: Token(Plain(\"view-token-01234\")), {ADMIN}"));
    let mut browser = Browser::new(PROXY.octets());
    browser.log_in(&agent, "admin-token-01234");
    let mut get = |path: &str| browser.ask(&agent, ("GET", path), &[FOREIGN], "");
    for _ in 0..6 {
        assert!(shows_people(&router, &get("/sites/awka")));
        assert_eq!(get("/api/hotspot/awka/active").status, 200);
    }
    let person = router.sessions()[0].clone();
    let origin = format!("http://{}", agent.address);
    let fields = [FOREIGN, ("Origin", &origin)];
    let kicked = browser.ask(&agent, ("POST", "/sites/awka/kick"), &fields, &form_of(&person));
    assert_eq!(kicked.status, 303, "{}", kicked.body);
    assert!(!router.sessions().iter().any(|session| session.id == person.id));
    // None of them counted.
    Browser::new(PROXY.octets()).log_in(&agent, "admin-token-01234");
}

#[test]
fn client_address_from_a_trusted_proxy_is_throttled_and_logged() {
    let router = router(Settings::default());
    let agent = agent(&router, &format!("{ADMIN} {TRUSTED}"));
    let ask = |from: Ipv4Addr, forwarded: &[&str], token: &str| {
        let bearer = format!("Bearer {token}");
        let mut fields = vec![("Authorization", bearer.as_str())];
        fields.extend(forwarded.iter().map(|value| ("X-Forwarded-For", *value)));
        ask_from(from, agent.address, ("GET", PROTECTED[0]), &fields, "").status
    };
    // The same client in different notations, and with addresses that the client sent itself.
    for number in 0..10_u32 {
        let own = format!("198.51.100.{number}");
        let forwarded: &[&str] = match number % 5 {
            0 => &["192.0.2.1"],
            1 => &["192.0.2.1:4711"],
            2 => &["[::ffff:192.0.2.1]:4711"],
            3 => &[&own, "192.0.2.1"],
            _ => &[&own, "192.0.2.1,fd00::2", "127.0.0.2"],
        };
        assert_eq!(ask(PROXY, forwarded, &format!("wrong-{number}")), 401, "{forwarded:?}");
    }
    assert_eq!(ask(PROXY, &["192.0.2.1"], "one-more"), 429);
    assert_eq!(ask(PROXY, &["192.0.2.1"], "admin-token-01234"), 200);
    for forwarded in [&["192.0.2.2"][..], &["192.0.2.1, 192.0.2.2"], &["2001:db8::1"], &["garbage"], &[]] {
        assert_eq!(ask(PROXY, forwarded, "one-more"), 401, "{forwarded:?}");
    }
    // Only a trusted proxy can report another address.
    for number in 0..10 {
        assert_eq!(ask(OTHER, &["192.0.2.2"], &format!("wrong-{number}")), 401);
    }
    assert_eq!(ask(OTHER, &["192.0.2.9"], "one-more"), 429);
    assert_eq!(ask(PROXY, &["192.0.2.2"], "one-more"), 401);

    let forwarded = ("X-Forwarded-For", "192.0.2.2");
    let mut browser = Browser::new(PROXY.octets());
    let login = browser.ask(&agent, ("POST", "/login"), &[forwarded], "token=admin-token-01234");
    assert_eq!(login.status, 303, "{}", login.body);
    let form = form_of(&router.sessions()[0]);
    let kick = browser.ask(&agent, ("POST", "/sites/awka/kick"), &[forwarded], &form);
    assert_eq!(kick.status, 303, "{}", kick.body);
    // A request that is refused before routing.
    let mut stream = connect_from(PROXY, agent.address);
    let chunked = "POST /login HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.3\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
    stream.write_all(chunked.as_bytes()).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();

    let log = log(agent);
    for line in [
        "peer=192.0.2.1 msg=\"10 wrong tokens within a minute: further ones are refused",
        "peer=127.0.0.3 msg=\"10 wrong tokens within a minute: further ones are refused",
        "action=login by=admin peer=192.0.2.2",
        "action=kick site=awka ",
        " by=admin peer=192.0.2.2 result=removed ",
        "peer=192.0.2.3 status=400 msg=",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
    assert!(
        !log.lines().any(|line| line.contains("action=login") && line.contains(&format!("peer={PROXY}"))),
        "{log}"
    );
}

#[test]
fn cookie_is_secure_if_a_trusted_proxy_reports_https() {
    let router = router(Settings::default());
    let agent = agent(&router, &format!("{ADMIN} {TRUSTED}"));
    let port = agent.address.port();
    let origin = format!("https://{}", agent.address);
    for (from, proto, is_secure) in
        [(PROXY, "https", true), (PROXY, "http", false), (PROXY, "", false), (OTHER, "https", false)]
    {
        let mut fields = vec![("Origin", origin.as_str())];
        fields.extend([("X-Forwarded-Proto", proto)].into_iter().filter(|(_, proto)| !proto.is_empty()));
        let mut browser = Browser::new(from.octets());
        let login = browser.ask(&agent, ("POST", "/login"), &fields, "token=admin-token-01234");
        let cookie = login.field("Set-Cookie");
        let prefix = if is_secure { "__Secure-" } else { "" };
        assert!(cookie.starts_with(&format!("{prefix}phsweb-{port}=")), "{from} {proto}: {login:?}");
        assert_eq!(cookie.contains("; Secure"), is_secure, "{from} {proto}: {cookie}");
        assert!(
            !cookie.contains("Path"),
            "expected no Path, because the proxy may serve a sub-path: {cookie}"
        );
        let page = browser.ask(&agent, ("GET", "/sites/awka"), &fields, "");
        assert!(shows_people(&router, &page), "{from} {proto}");
        // Over plain HTTP browsers must ignore it.
        let strict = if is_secure { "max-age=2592000" } else { "" };
        for answer in [&login, &page, &browser.get(&agent, "/nothing")] {
            let expected = if answer.status == 404 { "" } else { strict };
            assert_eq!(answer.field("Strict-Transport-Security"), expected, "{from} {proto}");
        }
        let form = form_of(&router.sessions()[0]);
        let kick = browser.ask(&agent, ("POST", "/sites/awka/kick"), &fields, &form);
        assert_eq!(kick.status, 303, "{from} {proto}: {}", kick.body);
        let logout = browser.ask(&agent, ("POST", "/logout"), &fields, "");
        assert!(logout.field("Set-Cookie").starts_with(&format!("{prefix}phsweb-{port}=;")), "{logout:?}");
    }
}

#[test]
fn connections_of_a_trusted_proxy_count_for_its_clients() {
    const CONNECTIONS: usize = 60;
    /// Three quarters of 64.
    const SHARE: usize = 48;
    let router = router(Settings::default());
    let open = |agent: &Agent, from| -> Vec<Connection> {
        (0..CONNECTIONS).map(|_| Connection::open(from, agent.address)).collect()
    };
    let answered = |connections: &mut [Connection], client: &dyn Fn(usize) -> String| {
        let numbered = connections.iter_mut().enumerate();
        numbered
            .filter_map(|(number, connection)| connection.is_answered(&client(number)).then_some(()))
            .count()
    };
    let each = |number: usize| format!("192.0.2.{number}");
    let one = |_| "198.51.100.1".to_string();

    let agent = given(&router, &format!("{TRUSTED} max_connections: 64,")).start();
    let mut others = open(&agent, OTHER);
    // All have been accepted after this.
    answered(&mut others, &each);
    assert_eq!(
        answered(&mut others, &each),
        SHARE,
        "expected the share of one address without a trusted proxy"
    );
    drop(others);
    let agent = given(&router, &format!("{TRUSTED} max_connections: 64,")).start();
    let mut proxied = open(&agent, PROXY);
    for _ in 0..2 {
        assert_eq!(answered(&mut proxied, &each), CONNECTIONS);
    }
    assert_eq!(answered(&mut proxied, &one), CONNECTIONS);
    assert_eq!(answered(&mut proxied, &one), SHARE, "expected the share of one client");
}

#[test]
fn trusted_proxies_apply_from_the_next_request_after_a_reload() {
    let router = router(Settings::default());
    let kept = ReloadingAgent::start(&given(&router, ADMIN));
    let mut connection = Connection::open(PROXY, kept.address);
    for number in 0..10 {
        let bearer = format!("Bearer wrong-{number}");
        let fields = [("Authorization", bearer.as_str()), ("X-Forwarded-For", "192.0.2.1")];
        assert_eq!(ask_from(PROXY, kept.address, ("GET", PROTECTED[0]), &fields, "").status, 401);
    }
    assert_eq!(connection.status(PROTECTED[0], "192.0.2.2"), Some(429));
    kept.save(&given(&router, &format!("{ADMIN} {TRUSTED}")));
    assert_eq!(connection.status(PROTECTED[0], "192.0.2.2"), Some(401));
    kept.save(&given(&router, ADMIN));
    assert_eq!(connection.status(PROTECTED[0], "192.0.2.2"), Some(429));
    // The missing setting is reported once.
    kept.running.assert_logged("http.trusted_proxies", 1);
}

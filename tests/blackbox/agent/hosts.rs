//! Host names: DNS rebinding by another site gets no data.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use phsweb_agent::simulator::{Router, Settings};

use super::agent::{AgentBuilder, Answer, TIMEOUT};
use super::browser::ask_from;
use super::router;
use crate::support::reloading_agent::ReloadingAgent;

const PATHS: [&str; 9] = [
    "/",
    "/sites/awka",
    "/api/hotspot/stats",
    "/api/events",
    "/metrics",
    "/openapi.json",
    "/login",
    "/style.css",
    "/nothing",
];

const HTML: (&str, &str) = ("Accept", "text/html");

fn given(router: &Router, http: &str) -> AgentBuilder {
    AgentBuilder::default().http(http).site("awka", router.addr(), "")
}

fn ask(kept: &ReloadingAgent, method: &str, path: &str, host: &str, more: &[(&str, &str)]) -> Answer {
    let fields = [&[("Host", host)], more].concat();
    ask_from(Ipv4Addr::LOCALHOST, kept.address, (method, path), &fields, "")
}

#[test]
fn unknown_host_name_is_refused_with_an_explanation() {
    let router = router(Settings::default());
    let kept = ReloadingAgent::start(&given(&router, ""));
    kept.wait_until_active("awka");
    for path in PATHS {
        for (method, more) in
            [("GET", &[][..]), ("GET", &[HTML]), ("POST", &[]), ("HEAD", &[]), ("OPTIONS", &[])]
        {
            let answer = ask(&kept, method, path, "Evil.example:8080", more);
            assert_eq!(answer.status, 421, "{method} {path}: {answer:?}");
            let is_html = answer.field("Content-Type") == "text/html; charset=utf-8";
            let is_problem = answer.field("Content-Type") == "application/problem+json";
            assert!(if more.is_empty() { is_problem } else { is_html }, "{method} {path}: {answer:?}");
            let explains = ["evil.example", "http: (hosts: ["].iter().all(|part| answer.body.contains(part));
            assert!(explains || method == "HEAD", "{method} {path}: {answer:?}");
            assert!(!answer.body.contains("awka"), "{method} {path}: {answer:?}");
        }
    }
    // Probes may use any name.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(&kept, "GET", path, "evil.example", &[]).status, 200, "{path}");
    }
    let port = kept.address.port();
    for host in [
        "127.0.0.1",
        &format!("127.0.0.1:{port}"),
        "[::1]:1",
        "localhost",
        "agent",
        "agent.lan",
        "a.home.arpa.",
    ] {
        assert_eq!(ask(&kept, "GET", "/api/hotspot/stats", host, &[]).status, 200, "{host}");
    }
    let long = format!("{}.example", "a".repeat(240));
    let answer = ask(&kept, "GET", "/", &long, &[]);
    assert!(answer.status == 421 && answer.body.len() < 700, "{answer:?}");
}

/// The authority of an absolute target overrides `Host`, and HTTP/1.0 needs none.
#[test]
fn host_of_an_absolute_target_overrides_the_header() {
    let router = router(Settings::default());
    let kept = ReloadingAgent::start(&given(&router, ""));
    for (head, status) in [
        ("GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n", "421"),
        ("GET http://localhost/metrics HTTP/1.1\r\nHost: evil.example\r\n", "200"),
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", "400"),
        ("GET /metrics HTTP/1.1\r\n", "400"),
        ("GET /metrics HTTP/1.0\r\n", "200"),
        ("GET /metrics HTTP/1.0\r\nHost: evil.example\r\n", "421"),
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil.example\r\n", "200"),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\n", "421"),
    ] {
        let mut stream = TcpStream::connect(kept.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{head}: {answer}");
    }
}

#[test]
fn configured_names_apply_from_the_next_request() {
    let router = router(Settings::default());
    let kept = ReloadingAgent::start(&given(&router, ""));
    let status = |host: &str| ask(&kept, "GET", "/login", host, &[]).status;
    assert_eq!(status("hotspots.example"), 421);
    kept.save(&given(&router, "hosts: [\"Hotspots.example.\"],"));
    assert_eq!((status("hotspots.example"), status("HOTSPOTS.EXAMPLE.:443")), (200, 200));
    assert_eq!((status("other.example"), status("localhost")), (421, 200));
    // An event stream under a removed name is closed.
    let mut stream = TcpStream::connect(kept.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: hotspots.example\r\n\r\n").unwrap();
    kept.save(&given(&router, "hosts: [\"other.example\"],"));
    let mut events = String::new();
    stream.read_to_string(&mut events).unwrap();
    assert!(events.starts_with("HTTP/1.1 200 ") && !events.contains("event: config"), "{events}");
    // A token protects, too, because a page of another site can't send it.
    let token = "view: Token(Plain(\"view-token-01234\")),";
    kept.save_text_as(&given(&router, token).text(), "view-token-01234");
    assert_eq!((status("hotspots.example"), status("other.example")), (200, 200));
    // If names are configured, only these and the local ones are served.
    kept.save_text_as(
        &given(&router, &format!("{token} hosts: [\"hotspots.example\"],")).text(),
        "view-token-01234",
    );
    assert_eq!((status("hotspots.example"), status("other.example")), (200, 421));
}

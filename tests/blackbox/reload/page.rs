//! Changes of `http` in the file while clients are connected: title, tokens, address, HTTPS.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use phsweb_agent::simulator::{Router, Settings};

use super::agent::{AgentBuilder, TIMEOUT, throughout, until};
use super::browser::Browser;
use super::reloading_agent::{ReloadingAgent, WriteMethod, logins_and_connections};
use super::router;
use crate::support::address::listen_everywhere;

const HERE: [u8; 4] = [127, 0, 0, 1];

/// Longer than the interval between two attempts to bind an address.
const LOOKS: Duration = Duration::from_secs(4);

fn given(router: &Router, http: &str) -> AgentBuilder {
    AgentBuilder::default().http(http).site("awka", router.addr(), "")
}

fn tokens(view: &str, admin: &str) -> String {
    format!("view: Token(Plain(\"{view}\")), admin: Token(Plain(\"{admin}\")),")
}

/// The file with another `http.listen`.
fn at(listen: impl std::fmt::Display, given: &AgentBuilder) -> String {
    given.text().replacen("127.0.0.1:0", &listen.to_string(), 1)
}

/// A client with a persistent connection.
struct Visitor(TcpStream);

impl Visitor {
    fn at(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self(stream)
    }

    /// Whether a request on its connection is answered.
    fn is_answered(&mut self) -> bool {
        let sent = self.0.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut answer = Vec::new();
        while sent.is_ok() && !answer.ends_with(b"alive\n") {
            let mut bytes = [0; 1024];
            match self.0.read(&mut bytes) {
                Ok(count @ 1..) => answer.extend(&bytes[..count]),
                _ => return false,
            }
        }
        sent.is_ok()
    }
}

/// The inode of the socket that listens at this address, which identifies it.
fn listener(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { panic!("{address}") };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
    let all = fs::read_to_string("/proc/net/tcp").unwrap();
    let fields = all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.into_iter().find(|fields| fields[1] == local && fields[3] == "0A").map(|fields| fields[9].into())
}

#[test]
fn a_changed_title_is_shown_and_a_changed_token_ends_its_sessions() {
    let router = router(Settings::default());
    let agent = ReloadingAgent::start(&given(&router, &tokens("view-token-01234-1", "admin-token-01234-1")));
    let [mut viewer, mut admin] = [Browser::new(HERE), Browser::new(HERE)];
    viewer.log_in(&agent, "view-token-01234-1");
    admin.log_in(&agent, "admin-token-01234-1");
    let tag = viewer.get(&agent, "/").field("ETag").to_string();
    let may = |browser: &mut Browser, path: &str| browser.get(&agent, path).status == 200;
    assert!(may(&mut admin, "/api/hotspot/awka/active") || may(&mut admin, "/sites/awka"));

    agent.save_text_as(
        &given(&router, &format!("{}title: \"Ọja\",", tokens("view-token-01234-1", "admin-token-01234-2")))
            .text(),
        "admin-token-01234-2",
    );
    let page = viewer.get(&agent, "/");
    assert!(page.status == 200 && page.body.contains("Ọja") && page.field("ETag") != tag, "{}", page.body);
    assert!(!may(&mut admin, "/"), "expected the replaced token to be refused");
    assert!(!may(&mut viewer, "/api/hotspot/awka/active"));
    admin.log_in(&agent, "admin-token-01234-2");
    assert!(may(&mut admin, "/"));

    agent.save_text_as(
        &given(&router, &tokens("view-token-01234-2", "admin-token-01234-2")).text(),
        "view-token-01234-2",
    );
    assert!(!may(&mut viewer, "/") && may(&mut admin, "/"));
    let without = given(&router, "view: Public,");
    agent.save_text_as(&without.text(), "");
    assert!(may(&mut viewer, "/") && !may(&mut admin, "/api/hotspot/awka/active"));
    assert_eq!(agent.applied_files().iter().filter(|line| *line == "changed http").count(), 3);
    assert_eq!(logins_and_connections(&router), (1, 1));
}

/// A stream of events that was opened without a token ends when one is required.
#[test]
fn event_streams_end_when_the_required_token_changes() {
    let router = router(Settings::default());
    let agent = ReloadingAgent::start(&given(&router, "view: Public,"));
    agent.wait_until_active("awka");
    let follow = |token: &str| {
        let mut stream = TcpStream::connect(agent.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        write!(stream, "GET /api/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
            .unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("HTTP/1.1 200 "));
        lines
    };
    let mut before = follow("");
    assert!(before.any(|line| line.unwrap() == "event: site"));
    agent.save_text_as(
        &given(&router, "view: Token(Plain(\"view-token-01234-1\")),").text(),
        "view-token-01234-1",
    );
    // A comment would be sent only if the stream did not end.
    let rest: Vec<String> = before.map(Result::unwrap).take_while(|line| line != ": alive").collect();
    assert!(!rest.contains(&"event: config".to_string()), "{rest:?}");
    let mut after = follow("view-token-01234-1");
    assert!(after.any(|line| line.unwrap() == "event: site"));
    // A changed title does not end it.
    agent.save_text_as(
        &given(&router, "title: \"T\", view: Token(Plain(\"view-token-01234-1\")),").text(),
        "view-token-01234-1",
    );
    assert!(after.any(|line| line.unwrap() == "event: config"));
}

#[test]
fn the_listener_is_rebound_and_connections_stay() {
    let router = router(Settings::default());
    let given = given(&router, "");
    let mut agent = ReloadingAgent::start(&given);
    agent.wait_until_active("awka");
    let first = agent.address;
    let mut early = Visitor::at(first);
    assert!(early.is_answered());
    // The address at which it listens already.
    agent.save_text(&at(first, &given));
    assert_eq!(agent.config()["error"], serde_json::Value::Null);

    // An address in use: the listener stays, and is rebound once the address is free.
    let taken = listen_everywhere();
    let second = SocketAddr::from(([127, 0, 0, 1], taken.local_addr().unwrap().port()));
    agent.write("sites.ron", &at(second, &given), WriteMethod::InPlace);
    let message = agent.wait_for_file_error("http.listen: can't listen at");
    assert!(message.contains(&second.to_string()), "{message}");
    assert!(message.contains(&format!("stays at {first}")), "{message}");
    assert!(agent.page("/").contains("has a problem"));
    throughout(LOOKS, || assert!(early.is_answered()));
    agent.running.assert_logged("can't listen at", 1);
    drop(taken);
    assert_eq!(agent.running.line("The page is at http://"), format!("{second}/"));
    assert!(early.is_answered());
    agent.agent.address = second;
    until("the error is gone", || (agent.config()["isCurrent"] == true).then_some(()));
    assert!(!agent.page("/").contains("has a problem"));
    until("the old address is released", || TcpStream::connect(first).err());

    // An address that its own listener blocks.
    let mut late = Visitor::at(second);
    assert!(late.is_answered());
    let everywhere = SocketAddr::from(([0, 0, 0, 0], second.port()));
    agent.write("sites.ron", &at(everywhere, &given), WriteMethod::InPlace);
    assert_eq!(agent.running.line("The page is at http://"), format!("{everywhere}/"));
    agent.agent.address = SocketAddr::from(([127, 0, 0, 2], second.port()));
    assert_eq!(agent.get("/healthz").status, 200);
    assert!(early.is_answered() && late.is_answered());
    agent.running.assert_logged("the figures are open to everybody", 1);
    agent.write("sites.ron", &at(second, &given), WriteMethod::InPlace);
    assert_eq!(agent.running.line("The page is at http://"), format!("{second}/"));
    until("only that address is bound", || TcpStream::connect(agent.address).err());
    assert!(early.is_answered() && late.is_answered());
    assert_eq!(logins_and_connections(&router), (1, 1));
}

#[test]
fn the_address_is_not_released_repeatedly_for_one_that_stays_in_use() {
    let router = router(Settings::default());
    let given = given(&router, "");
    let mut agent = ReloadingAgent::start(&given);
    let first = SocketAddr::from(([127, 0, 0, 1], listen_everywhere().local_addr().unwrap().port()));
    agent.write("sites.ron", &at(first, &given), WriteMethod::InPlace);
    agent.running.line(&format!("The page is at http://{first}"));
    agent.agent.address = first;
    // Another process blocks the new address, too.
    let other = TcpListener::bind(("127.0.0.2", first.port())).unwrap();
    let everywhere = SocketAddr::from(([0, 0, 0, 0], first.port()));
    agent.write("sites.ron", &at(everywhere, &given), WriteMethod::InPlace);
    agent.wait_for_file_error("can't listen at 0.0.0.0");
    let socket = listener(first);
    assert!(socket.is_some());
    throughout(LOOKS, || assert_eq!(listener(first), socket));
    drop(other);
    // A changed file is tried at once.
    agent.save_text(&at(first, &given));
    agent.write("sites.ron", &at(everywhere, &given), WriteMethod::InPlace);
    agent.running.line(&format!("The page is at http://{everywhere}"));
}

#[test]
fn a_changed_connection_limit_applies_at_once() {
    let router = router(Settings::default());
    let agent = ReloadingAgent::start(&given(&router, "max_connections: 64,"));
    let mut visitors: Vec<Visitor> = (0..40).map(|_| Visitor::at(agent.address)).collect();
    assert!(visitors.iter_mut().all(Visitor::is_answered));
    agent.save(&given(&router, "max_connections: 16,"));
    let stay = visitors.iter_mut().filter_map(|visitor| visitor.is_answered().then_some(())).count();
    assert!((10..=16).contains(&stay), "expected 10 to 16 open connections, got {stay}");
    drop(visitors);
    agent.save(&given(&router, "max_connections: 64,"));
    let mut visitors: Vec<Visitor> = (0..40).map(|_| Visitor::at(agent.address)).collect();
    assert!(visitors.iter_mut().all(Visitor::is_answered));
}

#[test]
fn https_is_switched_on_and_off() {
    let router = router(Settings::default());
    let agent = ReloadingAgent::start(&given(&router, ""));
    agent.wait_until_active("awka");
    let mut early = Visitor::at(agent.address);
    assert!(early.is_answered());
    for (name, file) in [("page.cert", "cert.pem"), ("page.key", "key.pem")] {
        let kept_at = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/certificates/{name}.pem"));
        fs::copy(kept_at, agent.path(file)).unwrap();
    }
    let secured = given(&router, "tls: (cert: \"cert.pem\", key: \"key.pem\"),");
    agent.write("sites.ron", &secured.text(), WriteMethod::InPlace);
    assert_eq!(agent.running.line("The page is at https://"), format!("{}/", agent.address));
    until("plain HTTP is refused", || (!Visitor::at(agent.address).is_answered()).then_some(()));
    assert!(early.is_answered(), "expected the open connection to stay");
    agent.write("sites.ron", &given(&router, "").text(), WriteMethod::InPlace);
    assert_eq!(agent.running.line("The page is at http://"), format!("{}/", agent.address));
    until("plain HTTP is served", || Visitor::at(agent.address).is_answered().then_some(()));
    assert!(early.is_answered());
    assert_eq!(logins_and_connections(&router), (1, 1));
}

#[test]
fn the_command_line_overrides_the_file() {
    let router = router(Settings::default());
    let given = |name: &str| {
        let site = AgentBuilder::default().site("awka", router.addr(), &format!("name: \"{name}\""));
        ["run", "--simulate", "--listen", "127.0.0.1:0"].iter().fold(site, |given, word| given.argument(word))
    };
    let agent = ReloadingAgent::start(&given("first"));
    agent.wait_until_active("awka");
    let address = agent.site("awka")["address"].clone();
    agent.save_text(&at("192.0.2.1:80", &given("second")));
    assert_eq!(agent.site("awka")["name"], "second");
    assert_eq!(
        (agent.site("awka")["address"].clone(), agent.site("awka")["usage"]["logins"].clone()),
        (address, 1.into())
    );
    let more =
        given("second").raw_site("lagos", "hosts: [\"192.0.2.2\"], password: Plain(\"lagos-password\")");
    agent.save_text(&at("192.0.2.1:80", &more));
    agent.wait_until_active("lagos");
    // The simulated router accepts the password of the current file.
    let other = more.text().replace("lagos-password", "other-password");
    agent.save_text(&at("192.0.2.1:80", &given("second")));
    agent.save_text(&other);
    agent.wait_until_active("lagos");
    assert_eq!(logins_and_connections(&router), (0, 0), "expected no connection to the real router");
}

#[test]
fn details_of_a_problem_are_for_the_admin_if_there_is_one() {
    let router = router(Settings::default());
    for (http, is_for_all) in [("", true), ("admin: Token(Plain(\"admin-token-01234-1\")),", false)] {
        let given = given(&router, http).defaults("refresh: \"1s\",");
        let agent = ReloadingAgent::start(&given);
        agent.write("sites.ron", &given.text().replace("refresh:", "refesh:"), WriteMethod::InPlace);
        agent.wait_for_file_error("sites.ron:");
        let page = agent.ask("GET", "/", &[]).body;
        assert!(page.contains("sites.ron has a problem"), "{page}");
        assert_eq!(page.contains("refesh"), is_for_all, "{page}");
        let page = agent.ask("GET", "/", &[("Authorization", "Bearer admin-token-01234-1")]).body;
        assert!(is_for_all || page.contains("refesh"), "{page}");
        // The line of the file may contain hosts and users.
        for (token, is_shown) in [("", is_for_all), ("Bearer admin-token-01234-1", true)] {
            let answer = agent.ask("GET", "/api/config", &[("Authorization", token)]);
            let problem = &answer.json()["error"]["problems"][0];
            assert!(problem["place"].as_str().unwrap().starts_with("sites.ron:"), "{problem}");
            assert_eq!(problem["excerpt"].is_string(), is_shown, "{token:?}: {problem}");
            for detail in ["api-user", "refesh"] {
                assert_eq!(answer.body.contains(detail), is_shown, "{token:?}: {}", answer.body);
            }
        }
    }
}

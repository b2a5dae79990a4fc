//! The agent's client and plugins against a server that is encoded by librouteros, a third-party library. Its replies
//! are in `tests/clients/serve_librouteros.py`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use phsweb_agent::clock::Moment;
use phsweb_agent::plugin::{BUILT_IN, Data, Plugin, Quantity, ReadContext};
use phsweb_agent::routeros::client::Command;
use phsweb_agent::routeros::codepage::Codepage;
use phsweb_agent::routeros::error::Cause;
use phsweb_agent::routeros::login::LoginMethod;

use super::peer::{TIMEOUT, at};

/// The server process, which is killed on drop.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/serve_librouteros.py");
        let started =
            Process::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut server = Self {
            process: started.expect("expected python3"),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut line = String::new();
        BufReader::new(server.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse();
        server.address.set_port(port.expect("expected a port from the server; is librouteros installed?"));
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs python3 with librouteros"]
fn plugins_read_replies_of_librouteros() {
    let server = Server::start();
    let replies = at(server.address, async |session| {
        session.client.login("api-user", "password", LoginMethod::Plain, TIMEOUT).await.unwrap();
        let commands = BUILT_IN.iter().flat_map(Plugin::commands).collect::<Vec<_>>();
        session.client.call_all(&commands, TIMEOUT).await
    });
    let mut replies = replies.into_iter();
    let codepage = Codepage::named("windows-1252").unwrap();
    let now = Moment::now();
    let read = BUILT_IN.map(|plugin| {
        let own: Vec<_> = replies.by_ref().take(plugin.commands().len()).collect();
        plugin.read(&own, None, &ReadContext::new(now, codepage)).unwrap()
    });
    let [Data::Hotspot(hotspot), Data::Resource(resource), Data::Health(health)] = read else {
        panic!("{read:?}");
    };

    assert_eq!(hotspot.configured_users, Some(3), "expected the default-trial row not to count");
    let [ngozi, aissatou, kofi] = hotspot.sessions.as_slice() else { panic!("{:?}", hotspot.sessions) };
    assert_eq!((ngozi.id(), ngozi.user()), ("*A053202", "ngozi.okafor"));
    assert_eq!(ngozi.mac(), Some("8C:F5:A3:00:00:01"));
    assert_eq!(ngozi.address(), Some("10.5.50.2"));
    assert_eq!(ngozi.server(), Some("hotspot1"));
    assert_eq!(ngozi.login_by(), Some("http-chap"));
    assert_eq!(ngozi.uptime(), Some(Duration::from_secs(9 * 86_400 + 3 * 3600 + 4 * 60 + 5)));
    assert_eq!((ngozi.idle(), ngozi.time_left()), (Some(Duration::ZERO), None));
    assert_eq!((ngozi.bytes_in(), ngozi.bytes_out()), (1000, u64::MAX));
    assert_eq!(ngozi.comment(), None, "expected no comment for an empty one");
    assert_eq!(aissatou.user(), "aïssatou");
    assert_eq!(aissatou.comment(), Some("café, paid=2000 €"));
    assert_eq!(aissatou.uptime(), Some(Duration::from_secs(14 * 3600 + 40 * 60 + 26)));
    assert_eq!(aissatou.time_left(), Some(Duration::from_secs(1800)));
    assert_eq!((kofi.server(), kofi.login_by()), (Some("hotspot2"), Some("mac-cookie")));
    let shortened = format!("{}…", &"a=b;".repeat(5000)[..199]);
    assert_eq!(kofi.comment(), Some(shortened.as_str()), "expected a comment of at most 200 characters");

    assert_eq!(resource.uptime, Some(Duration::from_secs(((15 * 7 + 3) * 24 + 3) * 3600 + 42 * 60 + 53)));
    assert_eq!(resource.version.as_deref(), Some("7.20.7"));
    assert_eq!((resource.cpu_load_percent, resource.cpu_count), (Some(12), Some(4)));
    assert_eq!((resource.free_memory, resource.total_memory), (Some(45_678_912), Some(134_217_728)));
    assert_eq!((resource.free_storage, resource.total_storage), (None, None));
    assert_eq!(resource.board.as_deref(), Some("hAP ac²"));

    let measures: Vec<_> =
        health.sensors.iter().map(|s| (s.name.as_str(), s.value.as_str(), s.measure)).collect();
    let expected = [
        ("voltage", "24.1", Some((Quantity::Voltage, 24.1))),
        ("temperature", "44", Some((Quantity::Temperature, 44.0))),
        ("psu1-state", "ok", None),
    ];
    assert_eq!(measures, expected);
}

#[test]
#[ignore = "needs python3 with librouteros"]
fn values_keep_their_bytes_and_traps_are_errors() {
    let server = Server::start();
    at(server.address, async |session| {
        let client = &session.client;
        client.login("api-user", "password", LoginMethod::Plain, TIMEOUT).await.unwrap();
        // The tag is alternately the second word and the last one.
        for _ in 0..2 {
            let reply = session.call("/system/identity/print").await.unwrap();
            assert_eq!(reply.rows.first().unwrap().get("name"), Some(&b"Lom\xE9"[..]));
        }
        let print = Command::new("/ip/hotspot/user/print").proplist(".id,name");
        let reply = client.call(print, TIMEOUT).await.unwrap();
        let names: Vec<_> = reply.rows.iter().map(|row| row.get("name").unwrap().to_vec()).collect();
        assert_eq!(names, [&b"default-trial"[..], b"ngozi.okafor", b"a\xEFssatou", b"kofi"]);
        assert!(reply.rows.iter().all(|row| row.attributes().count() == 2), "{:?}", reply.rows);
        let error = session.call("/no/such/print").await.unwrap_err();
        assert_eq!(error.cause, Cause::Unsupported, "{error}");
        let listen = Command::new("/ip/hotspot/active/listen");
        let error = client.call(listen, Duration::from_millis(150)).await.unwrap_err();
        assert_eq!(error.cause, Cause::QueryTimeout, "{error}");
        assert_eq!(session.call("/system/identity/print").await.unwrap().rows.len(), 1);
        // The end of the cancelled listen: a trap and two `!done`.
        assert_eq!(client.usage().unsolicited, 3);
        let error = session.call("/quit").await.unwrap_err();
        assert_eq!(error.cause, Cause::Closed);
        assert!(error.message.contains("session terminated on request"), "{error}");
    });
}

#[test]
#[ignore = "needs python3 with librouteros"]
fn wrong_password_is_an_auth_error() {
    let server = Server::start();
    let error = at(server.address, async |session| {
        session.client.login("api-user", "wrong", LoginMethod::Plain, TIMEOUT).await.unwrap_err()
    });
    assert_eq!(error.cause, Cause::Auth);
    assert!(error.message.contains("invalid user name or password (6)"), "{error}");
}

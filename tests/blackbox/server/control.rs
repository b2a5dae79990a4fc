//! Changes of a running server: certificate, address and size. Open connections stay open.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use futures_rustls::rustls::HandshakeKind;
use phsweb_agent::config::Https;
use phsweb_agent::http::server::Limits;

use super::tls::{BOTH, client, pem};
use super::{Client, TIMEOUT, TestServer, get};

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < TIMEOUT, "timed out waiting until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the server has closed a connection that has nothing to receive.
fn is_closed(client: &Client) -> bool {
    let stream = client.0.get_ref();
    stream.set_nonblocking(true).unwrap();
    let closed = match stream.peek(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false).unwrap();
    closed
}

fn https(pair: &str) -> Https {
    Https::load(pem(&format!("{pair}.cert")), pem(&format!("{pair}.key"))).unwrap()
}

#[test]
fn a_returning_client_resumes_its_tls_session() {
    let served = TestServer::secured(Limits::default());
    for version in BOTH {
        let config = client(&[version]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut client = served.secure_with(&config);
            assert_eq!(client.get("/").status, 200);
            assert_eq!(client.session().handshake_kind(), Some(expected));
        }
    }
}

#[test]
fn a_new_certificate_applies_to_new_connections() {
    let served = TestServer::with_https(https("page"), Limits::default());
    let config = client(&BOTH);
    let mut before = served.secure_with(&config);
    assert_eq!(before.get("/").status, 200);
    assert!(before.has("page"));

    served.handle.secure(Some(https("other")));
    until("a connection gets the other certificate", || {
        let mut after = served.secure_with(&config);
        assert_eq!(after.get("/").status, 200);
        // Sessions of the previous certificate are not resumed.
        let is_other = after.has("other");
        assert!(!is_other || after.session().handshake_kind() == Some(HandshakeKind::Full));
        is_other
    });
    assert_eq!(before.get("/").status, 200);

    served.handle.secure(None);
    until("a connection is without TLS", || {
        let mut client = served.connect();
        client.send(get("/"));
        client.answer().status == 200
    });
    assert_eq!(before.get("/").status, 200);
}

#[test]
fn a_new_listener_replaces_the_first() {
    let served = TestServer::new(Limits::default());
    let fetch = |client: &mut Client| {
        client.send(get("/"));
        client.answer().status
    };
    let mut before = served.connect();
    assert_eq!(fetch(&mut before), 200);
    let mut address = listen(&served, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    assert_eq!(fetch(&mut Client::new(TcpStream::connect(address).unwrap())), 200);
    let refused = TcpStream::connect(served.address).map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(ErrorKind::ConnectionRefused));
    assert_eq!(fetch(&mut before), 200, "expected open connections to stay open");

    // The same port of all addresses can be bound once the first listener is released. A client of another test may use it
    // at another address of this machine: then another port is tried.
    let moved = (0..20).any(|_| {
        let wider = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        assert_eq!(TcpListener::bind(wider).map_err(|error| error.kind()).err(), Some(ErrorKind::AddrInUse));
        smol::block_on(served.handle.release());
        let is_moved = listen(&served, wider).is_ok();
        if !is_moved {
            address = listen(&served, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        }
        is_moved
    });
    assert!(moved, "expected to bind a released port");
    assert_eq!(fetch(&mut Client::new(TcpStream::connect(address).unwrap())), 200);
    assert_eq!(fetch(&mut before), 200);
}

/// Makes the server listen there. Returns the address.
fn listen(served: &TestServer, at: SocketAddr) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    served.handle.listen(listener.try_into()?);
    Ok(address)
}

#[test]
fn a_smaller_limit_closes_the_least_valuable_connections() {
    let served = TestServer::new(Limits { max_connections: 64, ..Limits::default() });
    let clients: Vec<Client> = (0..40).map(|_| served.connect()).collect();
    let mut valuable = served.connect();
    valuable.send(get("/"));
    assert_eq!(valuable.answer().status, 200);
    served.handle.resize(16);
    let mut open: Vec<Client> = clients;
    until("at most sixteen connections are open", || {
        open.retain(|client| !is_closed(client));
        open.len() < 16
    });
    served.handle.resize(64);
    let more: Vec<Client> = (0..30).map(|_| served.connect()).collect();
    let mut last = served.connect();
    last.send(get("/"));
    assert_eq!(last.answer().status, 200);
    assert!(!more.iter().any(is_closed));
}

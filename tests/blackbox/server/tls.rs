//! HTTPS: the limits of handshakes and the end of connections.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, ServerName};
use futures_rustls::rustls::crypto::ring::default_provider;
use futures_rustls::rustls::version::{TLS12, TLS13};
use futures_rustls::rustls::{
    AlertDescription, ClientConfig, ClientConnection, ConnectionTrafficSecrets, Error, ProtocolVersion,
    RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use phsweb_agent::config::Https;
use phsweb_agent::http::server::{Limits, MAX_BODY, MAX_HEAD};
use ring::aead;
use rustix::net::sockopt::set_socket_send_buffer_size;

use super::{Answer, BIG, Client, TIMEOUT, TestServer, field, get, post, workers, zeros};

pub(super) type Secured = Client<StreamOwned<ClientConnection, TcpStream>>;

pub(super) const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A test file: certificates for localhost and 127.0.0.1, and their keys.
pub(super) fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(format!("{name}.pem"))
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(pem(&format!("{name}.cert"))).unwrap()
}

fn https() -> Https {
    Https::load(pem("page.cert"), pem("page.key")).unwrap()
}

impl TestServer {
    pub(super) fn secured(limits: Limits) -> Self {
        Self::with_https(https(), limits)
    }

    pub(super) fn with_https(https: Https, limits: Limits) -> Self {
        Self::start(TcpListener::bind("127.0.0.1:0").unwrap(), workers(), limits, Some(https))
    }

    fn secure(&self) -> Secured {
        self.secure_with(&client(&BOTH))
    }

    pub(super) fn secure_with(&self, config: &Arc<ClientConfig>) -> Secured {
        secure(session(config), TcpStream::connect(self.address).unwrap())
    }

    /// One request on a connection of its own.
    pub(super) fn fetch_securely(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut client = self.secure();
        client.send(request);
        client.answer()
    }
}

fn session(config: &Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(config.clone(), ServerName::try_from("localhost").unwrap()).unwrap()
}

fn secure(session: ClientConnection, stream: TcpStream) -> Secured {
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    Client(BufReader::new(StreamOwned::new(session, stream)))
}

/// A client of these versions, which trusts the certificates that tests have.
pub(super) fn client(versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    client_for(versions, &[])
}

fn client_for(versions: &[&'static SupportedProtocolVersion], protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for name in ["page", "other"] {
        roots.add(certificate(name)).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.enable_secret_extraction = true;
    config.into()
}

impl Secured {
    pub(super) fn session(&self) -> &ClientConnection {
        &self.0.get_ref().conn
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.session().peer_certificates().unwrap() == [certificate(name)]
    }

    /// Everything until the server closes the connection, which must begin with `close_notify`.
    fn end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }
}

/// A `ClientHello`, and the session that continues the handshake.
fn hello() -> (Vec<u8>, ClientConnection) {
    let mut session = session(&client(&BOTH));
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    (hello, session)
}

#[test]
fn http_works_over_both_tls_versions() {
    let served = TestServer::secured(Limits::default());
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut client = served.secure_with(&client(&[version]));
        assert_eq!(client.get("/first").body, "/first ");
        assert_eq!(client.session().protocol_version(), Some(expected));
        assert!(client.has("page"));
        let requests = [&get("/one?a=b"), &post(5), "hello", &get("/two"), &get("/last")].concat();
        client.send(requests);
        for body in ["/one a=b", "5 bytes for /p", "/two ", "/last "] {
            assert_eq!(client.answer().body, body);
        }
        client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
        let (status, head) = client.head();
        assert_eq!((status, field(&head, "Content-Length")), (200, Some("3")));
        client.send(post(MAX_BODY).replace("Host", "Expect: 100-continue\r\nHost"));
        assert_eq!(client.head().0, 100);
        client.send(zeros(MAX_BODY));
        assert_eq!(client.answer().body, format!("{MAX_BODY} bytes for /p"));
        assert_eq!(client.get("/big").body.len(), BIG);
        assert_eq!(client.get("/peer").body, "127.0.0.1");
        client.send("nonsense\r\n\r\n");
        assert_eq!(client.answer().status, 400);
        assert_eq!(client.end(), b"");
    }
}

#[test]
fn the_application_protocol_is_negotiated() {
    let served = TestServer::secured(Limits::default());
    for (offered, agreed) in [
        (&[][..], None),
        (&[b"http/1.1".as_slice()], Some(b"http/1.1".as_slice())),
        (&[b"h2", b"http/1.1"], Some(b"http/1.1")),
        (&[b"http/1.0"], Some(b"http/1.0")),
    ] {
        let mut client = served.secure_with(&client_for(&BOTH, offered));
        assert_eq!(client.get("/").status, 200);
        assert_eq!(client.session().alpn_protocol(), agreed);
    }
    let mut other = served.secure_with(&client_for(&BOTH, &[b"h2"]));
    let refused = other.0.read(&mut [0]).unwrap_err();
    let refused = refused.get_ref().and_then(|error| error.downcast_ref::<Error>());
    assert_eq!(refused, Some(&Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
}

#[test]
fn connections_end_with_close_notify() {
    let short = Duration::from_millis(300);
    let served =
        TestServer::secured(Limits { head_timeout: TIMEOUT, idle_timeout: short, ..Limits::default() });
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        // The idle timeout ends it.
        &get("/"),
        "nonsense\r\n\r\n",
        &format!("GET /{}", "x".repeat(MAX_HEAD)),
        &(post(2 * MAX_BODY) + &"x".repeat(2 * MAX_BODY)),
    ] {
        let mut client = served.secure();
        client.send(request);
        client.answer();
        assert_eq!(client.end(), b"", "{request:.50}");
    }
    let hasty = TestServer::secured(Limits { head_timeout: short, ..Limits::default() });
    assert_eq!(hasty.secure().end(), b"");
    let mut client = hasty.secure();
    client.send("GET /");
    assert_eq!(client.answer().status, 408);
    assert_eq!(client.end(), b"");
}

#[test]
fn clients_that_disconnect_early_do_not_affect_others() {
    let served = TestServer::secured(Limits::default());
    for _ in 0..20 {
        let mut client = served.secure();
        client.send(get("/big"));
        client.head();
    }
    for _ in 0..20 {
        let (hello, _) = hello();
        TcpStream::connect(served.address).unwrap().write_all(&hello).unwrap();
    }
    assert_eq!(served.fetch_securely(get("/")).status, 200);
    // A client that sends `close_notify` gets its response and the server's `close_notify`.
    let mut client = served.secure();
    client.send(get("/"));
    client.0.get_mut().conn.send_close_notify();
    client.0.get_mut().flush().unwrap();
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.end(), b"");
}

#[test]
fn connections_of_clients_that_do_not_read_are_closed() {
    let served =
        TestServer::secured(Limits { write_timeout: Duration::from_millis(200), ..Limits::default() });
    let mut stalled: Vec<_> = (0..20).map(|_| served.secure()).collect();
    for client in &mut stalled {
        client.send(get("/big"));
    }
    assert_eq!(served.fetch_securely(get("/")).status, 200);
    // No condition can be awaited here: reading would be progress.
    thread::sleep(Duration::from_secs(1));
    for client in &mut stalled {
        let mut rest = Vec::new();
        let cut = client.0.read_to_end(&mut rest).unwrap_err().kind();
        assert!(matches!(cut, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{cut:?}");
        assert!(rest.len() < BIG);
    }
    assert_eq!(served.secure().get("/big").body.len(), BIG);
}

/// A socket that records what it receives.
struct Tapped(TcpStream, Vec<u8>);

impl Read for Tapped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

impl Write for Tapped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn long_responses_are_sent_in_short_records() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // The socket takes only a part of each write.
    set_socket_send_buffer_size(&listener, 4096).unwrap();
    let served = TestServer::start(listener, workers(), Limits::default(), Some(https()));
    let stream = TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let tapped = Tapped(stream, Vec::new());
    let mut client = Client(BufReader::new(StreamOwned::new(session(&client(&BOTH)), tapped)));
    // It stays open, so no close flushes the rest.
    assert_eq!(client.get("/big").body.len(), BIG);

    let Tapped(_, bytes) = &client.0.get_ref().sock;
    let mut rest = bytes.as_slice();
    let mut records = 0;
    while let [_, _, _, high, low, more @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        assert!(length < 8 * 1024 + 256, "a record of {length} bytes");
        rest = &more[length.min(more.len())..];
        records += 1;
    }
    assert!(records > BIG / (8 * 1024));
}

#[test]
fn handshake_and_first_head_share_one_deadline() {
    let head = Duration::from_secs(2);
    let served = TestServer::secured(Limits { head_timeout: head, ..Limits::default() });
    let (whole, _) = hello();
    let sent = |bytes: &[u8]| {
        let mut client = served.connect();
        client.send(bytes);
        client
    };
    let began = Instant::now();
    let silent = sent(b"");
    let halfway = sent(&whole[..whole.len() / 2]);
    // The server's reply to a complete `ClientHello` is not answered.
    let unanswered = sent(&whole);
    let mut late = sent(b"");
    let mut dripping = sent(b"");
    let mut drip = dripping.0.get_ref().try_clone().unwrap();
    let bytes = whole.clone();
    let drops = thread::spawn(move || {
        for byte in bytes {
            if drip.write_all(&[byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(30));
        }
    });
    thread::sleep(head * 6 / 10);
    // The first head gets only the rest of the time.
    let mut late = secure(session(&client(&BOTH)), late.0.get_mut().try_clone().unwrap());
    assert_eq!(late.end(), b"");
    assert!(began.elapsed() < head * 3 / 2, "{:?}", began.elapsed());
    for mut client in [silent, halfway, unanswered] {
        client.rest();
    }
    dripping.rest();
    assert!(began.elapsed() < head * 3 / 2, "{:?}", began.elapsed());
    drops.join().unwrap();
    assert_eq!(served.fetch_securely(get("/")).status, 200);
}

/// A `ClientHello` of TLS 1.1.
fn old_hello() -> Vec<u8> {
    let signatures = [0, 8, 0, 13, 0, 4, 0, 2, 4, 3];
    let body = [&[3, 2][..], &[7; 32], &[0, 0, 2, 0xc0, 0x13, 1, 0], &signatures].concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[test]
fn connections_with_invalid_handshakes_are_closed() {
    let served = TestServer::secured(Limits { head_timeout: 10 * TIMEOUT, ..Limits::default() });
    let (hello, _) = hello();
    let record = |kind: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[kind, 3, 1][..], &length, content].concat()
    };
    for (bytes, alert) in [
        (b"\r\n\r\n\r\n\r\n".to_vec(), None),
        (vec![0; 4096], None),
        (vec![0xff; 64 * 1024], None),
        (vec![22; 64 * 1024], None),
        (record(21, &[2, 40]), None),
        (record(23, &[0; 100]), None),
        (b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10".to_vec(), None),
        ([&hello[..20], &[0xff; 4000]].concat(), None),
        (old_hello(), Some(70)),
        // A `ClientHello` that never ends, in complete records.
        ([record(22, &[1, 0, 255, 240, 3, 3]), record(22, &[7; 4100]).repeat(2)].concat(), None),
    ] {
        let mut client = served.connect();
        // The server may close before all of it is sent.
        let _ = client.0.get_mut().write_all(&bytes);
        let rest = client.rest();
        let sent = rest.last_chunk::<7>();
        assert!(
            rest.len() <= 7 && rest.first().is_none_or(|kind| *kind == 21),
            "{:?}: {rest:?}",
            &bytes[..9]
        );
        if let Some(alert) = alert {
            assert_eq!(sent, Some(&[21, 3, 3, 0, 2, 2, alert]));
        }
    }
    assert_eq!(served.fetch_securely(get("/")).status, 200);
}

#[test]
fn plain_http_gets_an_error_that_names_https() {
    let served = TestServer::secured(Limits::default());
    for request in [get("/"), post(5) + "hello", "G".into(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()] {
        let mut client = served.connect();
        client.send(&request);
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{request:?}");
        assert_eq!(field(&answer.head, "Content-Type"), Some("application/problem+json"));
        assert_eq!(field(&answer.head, "Connection"), Some("close"));
        assert!(answer.body.contains("This port expects HTTPS"), "{answer:?}");
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn half_open_handshakes_are_evicted_first() {
    let served = TestServer::secured(Limits { max_connections: 8, ..Limits::default() });
    let mut persistent = served.secure();
    assert_eq!(persistent.get("/").status, 200);
    let mut half_open: Vec<_> = (0..20)
        .map(|_| {
            let (hello, session) = hello();
            let mut stream = TcpStream::connect(served.address).unwrap();
            stream.write_all(&hello[..100]).unwrap();
            (stream, session, hello)
        })
        .collect();
    assert_eq!(served.fetch_securely(get("/")).status, 200);
    let (mut stream, session, hello) = half_open.pop().unwrap();
    // The oldest are closed. The newest are open, and so is the one that had a request.
    for (stream, ..) in half_open.drain(..11) {
        assert_eq!(Client::new(stream).rest(), b"");
    }
    stream.write_all(&hello[100..]).unwrap();
    assert_eq!(secure(session, stream).get("/").status, 200);
    assert_eq!(persistent.get("/").status, 200);
}

/// The first `pieces` of a handshake message of 64 KiB, as `session` would send it.
fn endless_message(session: ClientConnection, pieces: u64) -> Vec<u8> {
    const PIECE: u16 = 4000;
    const KEY_UPDATE: [u8; 4] = [24, 0, 255, 240];
    let (first, secrets) = session.dangerous_extract_secrets().unwrap().tx;
    let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else { panic!("another cipher") };
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, key.as_ref()).unwrap();
    let key = aead::LessSafeKey::new(key);
    let record = |number: u64| {
        let mut nonce: [u8; 12] = iv.as_ref().try_into().unwrap();
        nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(iv, byte)| *iv ^= byte);
        let mut content = zeros(PIECE.into());
        if number == first {
            content[..4].copy_from_slice(&KEY_UPDATE);
        }
        // The content type, and then the tag.
        content.push(22);
        let [high, low] = (PIECE + 17).to_be_bytes();
        let head = [23, 3, 3, high, low];
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, aead::Aad::from(head), &mut content).unwrap();
        [head.as_slice(), &content].concat()
    };
    (first..first + pieces).flat_map(record).collect()
}

#[test]
fn a_handshake_message_that_never_ends_is_not_buffered() {
    let served = TestServer::secured(Limits {
        head_timeout: 10 * TIMEOUT,
        idle_timeout: 10 * TIMEOUT,
        ..Limits::default()
    });
    for (pieces, is_read) in [(5, true), (7, false)] {
        let mut client = served.secure_with(&client(&[&TLS13]));
        // All that the server sends is read.
        assert_eq!(client.get("/").status, 200);
        let StreamOwned { conn, mut sock, .. } = client.0.into_inner();
        // The server may close before all of it is sent.
        let _ = sock.write_all(&endless_message(conn, pieces));
        if is_read {
            sock.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            assert_eq!(sock.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        } else {
            // With or without `close_notify`.
            assert!(Client::new(sock).rest().len() < 30);
        }
    }
}

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls;
use futures_rustls::rustls::crypto::ring;

use super::*;
use crate::net::tls::{Authorities, Fingerprint};

/// A server for one connection on its own thread: it reads until `end`, at least once, and writes `response`. Returns what it read.
fn server(end: &'static str, response: impl Into<Vec<u8>>) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let response = response.into();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut piece = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut piece) {
            request.extend_from_slice(&piece[..read]);
            if request.ends_with(end.as_bytes()) {
                break;
            }
        }
        // The client may have closed the connection.
        let _ = stream.write_all(&response);
        String::from_utf8_lossy(&request).into_owned()
    });
    (address, thread)
}

fn client(proxies: ProxySettings) -> HttpClient {
    let connect_timeout = Duration::from_secs(5);
    HttpClient { proxies, connect_timeout, exchange_timeout: Duration::from_secs(5) }
}

fn request(url: &str) -> HttpRequest {
    HttpRequest {
        method: "POST",
        url: HttpUrl::parse(url).unwrap(),
        trust: Trust::System,
        fields: Vec::new(),
        body: b"body".to_vec(),
    }
}

fn send(request: &HttpRequest) -> Result<HttpResponse, HttpClientError> {
    smol::block_on(client(ProxySettings::default()).send(request))
}

#[test]
fn a_request_has_the_fields_that_servers_need() {
    let (address, received) = server("body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let mut post = request(&format!("http://ada:pa%3Ass@{address}/hook?key=1"));
    post.fields = vec![
        ("X-Key".into(), "válue".into()),
        ("Host".into(), "other".into()),
        ("X-Split".into(), "a\r\nX-Other: b".into()),
    ];
    assert!(send(&post).unwrap().is_success());
    let expected = format!(
        "POST /hook?key=1 HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {USER_AGENT}\r\nConnection: close\r\n\
         Authorization: Basic YWRhOnBhOnNz\r\nX-Key: válue\r\nContent-Length: 4\r\n\r\nbody"
    );
    assert_eq!(received.join().unwrap(), expected);

    let (address, received) = server("\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
    let get = HttpRequest { method: "GET", body: Vec::new(), ..request(&format!("http://{address}")) };
    assert_eq!(send(&get).unwrap().status, 204);
    assert!(!received.join().unwrap().contains("Content-Length"));
}

#[test]
fn errors_name_the_server_and_no_path() {
    let redirect = |location: &str| format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n");
    for (response, part) in [
        (
            redirect("https://elsewhere.example/s3cret"),
            "redirects (302) to https://elsewhere.example: configure",
        ),
        (redirect("/s3cret"), "redirects (302) to another path"),
        ("220 mail.example ESMTP\r\n".into(), "not HTTP"),
        (String::new(), "closed without a response"),
        (format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(1 << 20)), "longer than"),
    ] {
        let (address, received) = server("body", response);
        let error = send(&request(&format!("http://{address}/s3cret"))).unwrap_err().to_string();
        assert!(error.contains(&format!("http://{address}")) && error.contains(part), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
        received.join().unwrap();
    }
}

#[test]
fn connection_errors_have_a_hint() {
    // A port that nothing listens at: it was free a moment ago.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = send(&request(&format!("https://{closed}/"))).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    let (address, _received) = server("", "HTTP/1.1 400 Bad Request\r\n\r\n");
    let error = send(&request(&format!("https://{address}/"))).unwrap_err().to_string();
    assert!(error.contains("does not use TLS") && error.contains("http:// instead"), "{error}");
}

#[test]
fn a_silent_server_ends_the_exchange_at_its_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = client(ProxySettings::default());
    client.exchange_timeout = Duration::from_millis(50);
    let began = Instant::now();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let error = smol::block_on(client.send(&request(&url))).unwrap_err();
    assert!(error.to_string().contains("no response within 50ms"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_proxy_forwards_http_and_tunnels_https() {
    let (address, received) = server("body", "HTTP/1.1 200 OK\r\n\r\n");
    let proxies = |address: SocketAddr| {
        let value = format!("http://ada:secret@{address}");
        ProxySettings::from_environment(&|name| name.ends_with("S_PROXY").then(|| value.clone())).unwrap()
    };
    let http = ProxySettings::from_environment(&|name| {
        (name == "HTTP_PROXY").then(|| format!("http://ada:secret@{address}"))
    });
    smol::block_on(client(http.unwrap()).send(&request("http://hook.example/a"))).unwrap();
    let received = received.join().unwrap();
    assert!(
        received.starts_with("POST http://hook.example/a HTTP/1.1\r\nHost: hook.example\r\n"),
        "{received}"
    );
    assert!(received.contains("\r\nProxy-Authorization: Basic YWRhOnNlY3JldA==\r\n"), "{received}");

    for (response, part) in [
        ("HTTP/1.1 407 Login\r\n\r\n", "requires a login"),
        ("HTTP/1.1 502 Bad\r\n\r\n", "refused to connect: 502"),
        // What follows is no TLS.
        ("HTTP/1.1 200 Connected\r\n\r\nSSH-2.0-OpenSSH\r\n", "https://hook.example: "),
    ] {
        let (address, received) = server("\r\n\r\n", response);
        let client = client(proxies(address));
        let error =
            smol::block_on(client.send(&request("https://hook.example/s3cret"))).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("secret") && !error.contains("s3cret"), "{error}");
        let received = received.join().unwrap();
        let head =
            "CONNECT hook.example:443 HTTP/1.1\r\nHost: hook.example:443\r\nProxy-Authorization: Basic ";
        assert!(received.starts_with(head), "{received}");
    }
}

#[test]
fn header_fields_of_the_client_can_not_be_replaced() {
    for (name, value, expected) in [
        ("X-Key", "a b\tc", true),
        ("Authorization", "Bearer é", true),
        ("host", "a", false),
        ("content-length", "0", false),
        ("", "a", false),
        ("X Key", "a", false),
        ("X-Key:", "a", false),
        ("X-Key", "a\nb", false),
        ("X-Key", "a\0", false),
    ] {
        assert_eq!(is_field(name, value), expected, "{name:?} {value:?}");
    }
}

/// A TLS server with the certificate for `localhost` in tests/certificates. It responds to one request.
fn tls_server() -> SocketAddr {
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(include_bytes!("../../../tests/certificates/page.key.pem"))
                .unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(session, stream);
        // The client ends the handshake if it does not trust the certificate.
        if stream.read(&mut [0; 1024]).is_ok() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    address
}

const CERTIFICATE: &str = include_str!("../../../tests/certificates/page.cert.pem");

#[test]
fn a_certificate_is_trusted_by_its_authority_or_by_a_pin() {
    let fingerprint = Fingerprint::of(&CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap());
    let own = Authorities::from_pem(CERTIFICATE).unwrap();
    for (trust, expected) in [
        (Trust::Pin(fingerprint), Ok(())),
        (Trust::Ca(own.clone()), Ok(())),
        (Trust::Ca(Authorities::built_in().and(own)), Ok(())),
        (Trust::Pin(Fingerprint::of(b"")), Err("the server has a new certificate, set `ca`")),
        (Trust::Ca(Authorities::built_in()), Err("set `ca` to a PEM file or the certificate's fingerprint")),
    ] {
        let request =
            HttpRequest { trust, ..request(&format!("https://localhost:{}/s3cret", tls_server().port())) };
        match (send(&request), expected) {
            (Ok(response), Ok(())) => assert!(response.is_success()),
            (Err(error), Err(part)) => {
                let error = error.to_string();
                assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
            }
            (found, _) => panic!("{expected:?}: {found:?}"),
        }
    }
}

//! HTTPS for the agent's own page, and the renewal of its certificate.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, ServerName};
use futures_rustls::rustls::crypto::ring::default_provider;
use futures_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustix::net::{AddressFamily, SocketType};
use tempfile::TempDir;

use super::agent::{AgentBuilder, Running, TIMEOUT, run_to_end, throughout, until};
use super::tls::{Certificates, NOW};

/// Long enough for two polls of the files.
const LOOKS: Duration = Duration::from_millis(1500);

/// A file of those beside the tests: certificates for localhost and 127.0.0.1, and their keys.
fn certificate_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(format!("{name}.pem"))
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(certificate_file(&format!("{name}.cert"))).unwrap()
}

fn given() -> AgentBuilder {
    AgentBuilder::default()
        .http("tls: (cert: \"cert.pem\", key: \"key.pem\"), admin: Token(Plain(\"admin-token-01234\")),")
        .raw_site("awka", "hosts: [\"127.0.0.1:9\"], password: Plain(\"p\")")
        .argument("--config")
        .argument("sites.ron")
}

/// An agent whose page has the certificate and the key in its own folder.
struct Page {
    running: Running,
    address: SocketAddr,
    folder: TempDir,
}

impl Page {
    #[track_caller]
    fn start(cert: &Path, key: &Path) -> Self {
        let (mut command, folder) = given().command();
        fs::copy(cert, folder.path().join("cert.pem")).unwrap();
        fs::copy(key, folder.path().join("key.pem")).unwrap();
        fs::set_permissions(folder.path().join("key.pem"), Permissions::from_mode(0o600)).unwrap();
        let running = Running::start(&mut command);
        let address = running.line("The page is at https://").trim_end_matches('/').parse().unwrap();
        Self { running, address, folder }
    }

    #[track_caller]
    fn with_certificate(pair: &str) -> Self {
        Self::start(&certificate_file(&format!("{pair}.cert")), &certificate_file(&format!("{pair}.key")))
    }

    fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Connection(StreamOwned::new(session(), stream))
    }

    fn connect_from(&self, host: Ipv4Addr) -> Connection {
        let stream = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&stream, &SocketAddrV4::new(host, 0)).unwrap();
        rustix::net::connect(&stream, &self.address).unwrap();
        let stream = TcpStream::from(stream);
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Connection(StreamOwned::new(session(), stream))
    }

    /// Whether a new connection gets this certificate.
    fn has(&self, name: &str) -> bool {
        let mut connection = self.connect();
        assert!(connection.get("/healthz").ends_with("\r\n\r\nalive\n"));
        connection.0.conn.peer_certificates().unwrap() == [certificate(name)]
    }

    #[track_caller]
    fn until_has(&self, name: &str) {
        until(&format!("the page has the certificate {name}"), || self.has(name).then_some(()));
    }

    /// How often this text was logged.
    fn logged(&self, words: &str) -> usize {
        self.running.err().matches(words).count()
    }

    fn put(&self, file: &str, name: &str) {
        fs::write(self.folder.path().join(file), fs::read(certificate_file(name)).unwrap()).unwrap();
    }

    /// Replaces a file atomically.
    fn rename(&self, file: &str, name: &str) {
        self.put("new", name);
        fs::rename(self.folder.path().join("new"), self.folder.path().join(file)).unwrap();
    }
}

/// A session of a client, which trusts the certificates that tests have.
fn session() -> ClientConnection {
    let mut roots = RootCertStore::empty();
    for name in ["page", "other", "rsa4096"] {
        roots.add(certificate(name)).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    ClientConnection::new(config.into(), ServerName::try_from("localhost").unwrap()).unwrap()
}

struct Connection(StreamOwned<ClientConnection, TcpStream>);

impl Connection {
    /// Sends a GET and reads the complete response.
    fn get(&mut self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
    }

    /// Sends a request and reads the complete response.
    fn ask(&mut self, request: &str) -> String {
        self.0.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        loop {
            let mut more = [0; 4096];
            let count = self.0.read(&mut more).unwrap();
            assert_ne!(count, 0, "closed");
            answer.extend_from_slice(&more[..count]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return text.into_owned();
            }
        }
    }
}

const FOLLOWED: &str = "config=sites.ron reload=applied msg=\"changed http\"";
const KEPT: &str = "config=sites.ron reload=rejected ";

#[test]
fn https_reloads_certificate_files() {
    let page = Page::with_certificate("page");
    let mut early = page.connect();
    assert!(early.get("/").contains("</html>"));
    assert!(page.has("page"));
    let mut plain = TcpStream::connect(page.address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut response = String::new();
    plain.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 400 ") && response.contains("HTTPS"), "{response}");

    page.rename("key.pem", "other.key");
    page.rename("cert.pem", "other.cert");
    page.until_has("other");
    page.put("cert.pem", "page.cert");
    page.put("key.pem", "page.key");
    page.until_has("page");
    until("each warning is logged", || (page.logged(FOLLOWED) == 2).then_some(()));
    assert!(early.get("/api/sites").contains("awka"), "expected the open connection to stay");
    assert_eq!(page.logged(KEPT), 0);
}

#[test]
fn invalid_new_certificate_keeps_the_current_one() {
    let page = Page::with_certificate("page");
    page.put("cert.pem", "other.cert");
    until("the warning is logged", || (page.logged(KEPT) == 1).then_some(()));
    assert_eq!(page.logged("the file key.pem is not the key of cert.pem"), 1);
    throughout(LOOKS, || assert!(page.has("page")));
    fs::remove_file(page.folder.path().join("key.pem")).unwrap();
    until("another error is logged", || (page.logged(KEPT) == 2).then_some(()));
    assert_eq!(page.logged("the file key.pem can't be read: No such file"), 1);
    assert!(page.has("page"));
    page.put("key.pem", "other.key");
    page.until_has("other");
    until("the warning is logged", || (page.logged(FOLLOWED) == 1).then_some(()));
    assert_eq!(page.logged(KEPT), 2);
    let output = page.running.out() + &page.running.err();
    for name in ["page.key", "other.key", "page.cert", "other.cert"] {
        let content = fs::read_to_string(certificate_file(name)).unwrap();
        let lines = content.lines().filter(|line| !line.starts_with('-'));
        lines.for_each(|line| assert!(!output.contains(line), "{name}"));
    }
}

#[test]
fn browser_logs_in_and_receives_events_over_https() {
    let page = Page::with_certificate("page");
    let form = "token=admin-token-01234";
    let login = format!(
        "POST /login HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\nAccept: text/html\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = page.connect().ask(&login);
    let cookie = answer.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.ends_with("; Secure; Path=/"), "{cookie}");
    assert!(answer.contains("\r\nStrict-Transport-Security: max-age=2592000\r\n"), "{answer}");
    let (cookie, _) = cookie.split_once(';').unwrap();
    let mut connection = page.connect();
    let users = connection.ask(&format!("GET /sites/awka HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"));
    assert!(users.contains("action=\"../logout\""), "{users}");

    write!(connection.0, "GET /api/events HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut received = String::new();
    while !received.contains("\ndata: ") {
        let mut more = [0; 4096];
        let count = connection.0.read(&mut more).unwrap();
        assert_ne!(count, 0, "expected an event before the end: {received}");
        received += std::str::from_utf8(&more[..count]).unwrap();
    }
    assert!(received.contains("Content-Type: text/event-stream") && received.contains("awka"), "{received}");
}

#[test]
fn handshakes_of_one_address_do_not_delay_another() {
    // Each takes several milliseconds.
    let page = Page::with_certificate("rsa4096");
    let mut hello = Vec::new();
    session().write_tls(&mut hello).unwrap();
    let overtakes = || {
        let others: Vec<_> = (0..60)
            .map(|_| {
                let mut stream = TcpStream::connect(page.address).unwrap();
                stream.write_all(&hello).unwrap();
                stream.set_nonblocking(true).unwrap();
                stream
            })
            .collect();
        assert!(page.connect_from(Ipv4Addr::new(127, 0, 0, 2)).get("/healthz").ends_with("alive\n"));
        let waits = |stream: &&TcpStream| {
            stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        };
        others.iter().filter(waits).count() > 20
    };
    // This machine may be busy with something else until all are answered.
    assert!((0..5).any(|_| overtakes()), "expected an answer before those of all others");
}

#[test]
fn insecure_tls_settings_cause_warnings() {
    let page = Page::start(&certificate_file("ended.cert"), &certificate_file("page.key"));
    let ended = "the certificate cert.pem ended at 2021-01-01T00:00:00Z, and it is 2";
    until("the warning is logged", || (page.logged(ended) == 1).then_some(()));
    assert_eq!(page.logged("chmod 600"), 0);
    fs::set_permissions(page.folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(page.folder.path().join("key.pem"), Permissions::from_mode(0o644)).unwrap();
    page.put("cert.pem", "page.cert");
    until("the warning about the new file is logged", || (page.logged("chmod 600") == 1).then_some(()));
    assert!(page.has("page"));
    assert_eq!(page.logged(ended), 1);
}

#[test]
fn invalid_certificate_prevents_the_start() {
    let (command, folder) = given().command();
    fs::copy(certificate_file("page.cert"), folder.path().join("cert.pem")).unwrap();
    fs::copy(certificate_file("other.key"), folder.path().join("key.pem")).unwrap();
    let ended = run_to_end(command);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{}", ended.err);
    let error = "sites.ron:2:64: http.tls.key: the file key.pem is not the key of cert.pem";
    assert!(ended.err.contains(error), "{}", ended.err);
}

/// Runs another program. Returns whether it succeeds, and its output.
fn foreign(program: &str, arguments: &str, input: &[u8]) -> (bool, String) {
    let mut child = Command::new(program)
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("expected {program}: {error}"));
    // It may have exited.
    let _ = child.stdin.take().unwrap().write_all(input);
    let ended = child.wait_with_output().unwrap();
    let output = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), String::from_utf8_lossy(&output).into_owned())
}

#[test]
#[ignore = "needs openssl and curl"]
fn openssl_and_curl_connect() {
    let certificates = Certificates::new().signed("router", NOW);
    let chain = certificates.path("chain.crt");
    let both = ["router.crt", "authority.crt"].map(|file| fs::read(certificates.path(file)).unwrap());
    fs::write(&chain, both.concat()).unwrap();
    let page = Page::start(&chain, &certificates.path("router.key"));
    let (address, authority) = (page.address, certificates.path("authority.crt"));
    let authority = authority.display();

    let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let connect = format!("s_client -connect {address} -ign_eof -CAfile {authority} -verify_return_error");
    for (version, protocol) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let (ok, output) = foreign("openssl", &format!("{connect} {version} -alpn h2,http/1.1"), request);
        assert!(ok && output.contains("\r\n\r\nalive\n"), "{output}");
        for text in [protocol, "Verify return code: 0 (ok)", "ALPN protocol: http/1.1", "depth=1"] {
            assert!(output.contains(text), "expected {text:?}: {output}");
        }
        // openssl reports an error if the TLS close is missing.
        assert!(!output.contains("unexpected eof"), "{output}");
    }
    let old = "-tls1_1 -cipher DEFAULT:@SECLEVEL=0";
    let (ok, output) = foreign("openssl", &format!("{connect} {old}"), request);
    assert!(!ok && output.contains("SSL alert number"), "{output}");

    let curl = format!("-sS -v --max-time 20 --cacert {authority}");
    let at = |path: &str| format!("https://{address}{path}");
    for options in ["--tls-max 1.2", "--tlsv1.3", "--http1.0", "--no-alpn", "--http2"] {
        let (ok, output) = foreign("curl", &format!("{curl} {options} {} {}", at("/healthz"), at("/")), b"");
        assert!(ok && output.contains("alive\n") && output.contains("</html>"), "{options}: {output}");
        let reused = output.contains("Re-using existing connection");
        assert_eq!(reused, options != "--http1.0", "{options}: {output}");
    }
    let (ok, output) = foreign("curl", &format!("{curl} -I {}", at("/")), b"");
    assert!(ok && output.contains("HTTP/1.1 200 OK"), "{output}");
    let body = page.folder.path().join("body");
    fs::write(&body, vec![b'x'; 60_000]).unwrap();
    let (ok, output) = foreign("curl", &format!("{curl} --data-binary @{} {}", body.display(), at("/")), b"");
    assert!(ok && output.contains("HTTP/1.1 405"), "{output}");
    // The certificate is not valid for this name.
    let (ok, output) = foreign("curl", &format!("{curl} --connect-to a:443:{address} https://a/"), b"");
    assert!(!ok && output.contains("does not match"), "{output}");
    let (ok, output) = foreign("curl", &format!("-sS -i http://{address}/"), b"");
    assert!(ok && output.starts_with("HTTP/1.1 400") && output.contains("HTTPS"), "{output}");
}

#[test]
#[ignore = "needs openssl and curl"]
fn documented_command_creates_a_valid_certificate() {
    let document = include_str!("../../../docs/configuration.md");
    let (_, rest) = document.split_once("openssl req ").unwrap();
    let command = format!("openssl req {}", rest.split("```").next().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("sh").args(["-c", &command]).current_dir(folder.path()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let cert = folder.path().join("cert.pem");
    let page = Page::start(&cert, &folder.path().join("key.pem"));
    for name in ["hotspots.lan", "10.0.0.5"] {
        let options = format!("--connect-to {name}:443:{} --cacert {}", page.address, cert.display());
        let (ok, output) = foreign("curl", &format!("-sS {options} https://{name}/healthz"), b"");
        assert!(ok && output == "alive\n", "{output}");
    }
    assert_eq!(page.logged("chmod 600") + page.logged("the certificate"), 0, "{}", page.running.err());
}

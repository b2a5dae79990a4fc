//! TLS to routers behind openssl: valid, invalid, expired and foreign certificates.
//!
//! ```sh
//! cargo test --test blackbox tls:: -- --ignored
//! ```

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::crypto::ring::{default_provider, sign::any_supported_type};
use futures_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use futures_rustls::rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion, version};
use phsweb_agent::simulator::{Router, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::agent::{AgentBuilder, run_to_end, until};
use super::router;

/// The configuration of openssl, which replaces that of the machine.
const CONFIGURATION: &str = "
[req]
distinguished_name = name
[name]
[ca]
default_ca = signing
[signing]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = named
[named]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[nameless]
keyUsage = digitalSignature, keyEncipherment
[router]
subjectAltName = IP:127.0.0.1
[elsewhere]
subjectAltName = DNS:router.lan, IP:10.9.9.9
";

/// Allows obsolete algorithms.
const ANYTHING: &str = "DEFAULT:@SECLEVEL=0";

/// A validity that includes the current year.
pub(super) const NOW: (u32, u32) = (2020, 2049);

/// A folder of keys and certificates, each named `NAME.key` and `NAME.crt`.
pub(super) struct Certificates(TempDir);

impl Certificates {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("openssl.cnf"), CONFIGURATION).unwrap();
        fs::write(folder.path().join("index"), "").unwrap();
        fs::write(folder.path().join("serial"), "02\n").unwrap();
        Self(folder)
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn openssl(&self) -> Command {
        let mut command = Command::new("openssl");
        command.current_dir(self.0.path()).env("OPENSSL_CONF", "openssl.cnf").stdin(Stdio::null());
        command
    }

    /// Runs openssl. Returns its output if it succeeds.
    fn try_run(&self, line: &str) -> Result<String, String> {
        let ended = self.openssl().args(line.split(' ')).output().expect("expected openssl");
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_string();
        if ended.status.success() { Ok(text(&ended.stdout)) } else { Err(text(&ended.stderr)) }
    }

    #[track_caller]
    fn run(&self, line: &str) -> String {
        self.try_run(line).unwrap_or_else(|error| panic!("openssl {line}: {error}"))
    }

    /// A key and a request for a certificate of the common name `NAME`.
    #[track_caller]
    fn key(&self, name: &str, kind: &str) {
        self.run(&format!("req -newkey {kind} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    }

    /// A self-signed certificate as routers create it, without a name that a client could check.
    #[track_caller]
    fn self_signed(self) -> Self {
        self.key("router", "rsa:2048");
        self.sign_itself("router", "nameless");
        self
    }

    #[track_caller]
    fn sign_itself(&self, name: &str, extensions: &str) {
        self.run(&format!(
            "x509 -req -in {name}.csr -signkey {name}.key -out {name}.crt -days 2 \
             -extfile openssl.cnf -extensions {extensions}"
        ));
    }

    /// A certificate with these extensions and validity, signed by a new authority.
    #[track_caller]
    pub(super) fn signed(self, extensions: &str, (from, to): (u32, u32)) -> Self {
        self.authority("authority");
        self.key("router", "rsa:2048");
        self.run(&format!(
            "ca -batch -notext -in router.csr -cert authority.crt -keyfile authority.key -out router.crt \
             -startdate {from}0101000000Z -enddate {to}0101000000Z -extensions {extensions}"
        ));
        self
    }

    #[track_caller]
    fn authority(&self, name: &str) {
        self.key(name, "ec -pkeyopt ec_paramgen_curve:prime256v1");
        self.sign_itself(name, "authority");
    }

    /// The fingerprint as openssl prints it.
    #[track_caller]
    fn fingerprint(&self) -> String {
        let printed = self.run("x509 -in router.crt -noout -fingerprint -sha256");
        let (_, bytes) = printed.split_once('=').unwrap();
        format!("sha256:{bytes}")
    }

    fn pin(&self) -> String {
        format!("tls: Pin(\"{}\"),", self.fingerprint())
    }

    fn ca(&self, file: &str) -> String {
        format!("tls: Ca(\"{}\"),", self.path(file).display())
    }

    /// A router that has `router.crt` and its key.
    fn serve(&self, arguments: &str) -> Secured {
        self.serve_with(&format!("-key router.key -cert router.crt {arguments}"))
    }

    fn serve_with(&self, arguments: &str) -> Secured {
        let (folder, arguments) = (self.0.path().to_path_buf(), arguments.trim().to_string());
        let router = router(Settings::default());
        let plain = router.addr();
        let server = TestServer::start(move |client| relay(&folder, &arguments, client, plain));
        Secured { server, router }
    }
}

/// A simulated router behind openssl.
struct Secured {
    server: TestServer,
    router: Router,
}

impl Secured {
    fn addr(&self) -> SocketAddr {
        self.server.address
    }
}

/// A port that serves each connection in a thread.
struct TestServer {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl TestServer {
    fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let (over, serve) = (Arc::clone(&ended), Arc::new(serve));
        thread::spawn(move || {
            for client in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let (client, serve) = (client.unwrap(), Arc::clone(&serve));
                thread::spawn(move || serve(client));
            }
        });
        Self { address, ended }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // It may have exited.
        let _ = TcpStream::connect(self.address);
    }
}

/// Serves one connection with an openssl process that forwards to the router.
fn relay(folder: &Path, arguments: &str, client: TcpStream, plain: SocketAddr) {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    let socket = format!("socket{}", LAST.fetch_add(1, Ordering::SeqCst));
    let mut openssl = Command::new("openssl")
        .args(["s_server", "-quiet", "-naccept", "1", "-unix", &socket])
        .args(arguments.split(' '))
        .current_dir(folder)
        .env("OPENSSL_CONF", "openssl.cnf")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let socket = folder.join(socket);
    let secured = until("openssl listens", || UnixStream::connect(&socket).ok());
    let router = TcpStream::connect(plain).unwrap();
    let (received, sent) = (openssl.stdout.take().unwrap(), openssl.stdin.take().unwrap());
    // Bytes are forwarded in both directions. When one side ends, both do.
    let pass = |mut from: Box<dyn Read + Send>, mut to: Box<dyn Write + Send>, end: Box<dyn Fn() + Send>| {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            end();
        })
    };
    let from_client = client.try_clone().unwrap();
    let to_client = client.try_clone().unwrap();
    let (close_secured, close_router) = (secured.try_clone().unwrap(), router.try_clone().unwrap());
    let end_of_router = secured.try_clone().unwrap();
    let passing = [
        pass(
            Box::new(from_client),
            Box::new(secured.try_clone().unwrap()),
            Box::new(move || drop(close_secured.shutdown(Shutdown::Both))),
        ),
        // Only this direction is closed, so that the last bytes arrive.
        pass(
            Box::new(secured),
            Box::new(to_client),
            Box::new(move || drop(client.shutdown(Shutdown::Write))),
        ),
        pass(
            Box::new(received),
            Box::new(router.try_clone().unwrap()),
            Box::new(move || drop(close_router.shutdown(Shutdown::Both))),
        ),
        pass(
            Box::new(router),
            Box::new(sent),
            Box::new(move || drop(end_of_router.shutdown(Shutdown::Both))),
        ),
    ];
    let [from_client, to_client, ..] = passing;
    from_client.join().unwrap();
    to_client.join().unwrap();
    // It may have exited.
    let _ = openssl.kill();
    let _ = openssl.wait();
}

fn given(addr: SocketAddr, tls: &str) -> AgentBuilder {
    let times = "refresh: \"1s\", query_timeout: \"2s\", connect_timeout: \"2s\", collect: [\"resource\"],";
    AgentBuilder::default().defaults(times).site("awka", addr, tls)
}

/// The handshake step of `test`.
#[track_caller]
fn handshake(addr: SocketAddr, tls: &str) -> Value {
    let (command, _folder) = given(addr, tls).argument("test").argument("--json").command();
    let ended = run_to_end(command);
    let steps: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| {
        panic!("{error}: {}{}", ended.out, ended.err);
    });
    let step = steps.as_array().unwrap().iter().find(|step| step["step"] == "tls");
    step.unwrap_or_else(|| panic!("expected a handshake step: {steps:#}")).clone()
}

/// Checks that the handshake fails with this message and hint.
#[track_caller]
fn refused(addr: SocketAddr, tls: &str, cause: &str) -> (String, String) {
    let step = handshake(addr, tls);
    assert_eq!(step["error"]["cause"], cause, "{step:#}");
    let text = |field: &str| step["error"][field].as_str().unwrap().to_string();
    (text("message"), text("hint"))
}

/// Checks that the agent is online and stays so over one connection.
#[track_caller]
fn serves(secured: &Secured, tls: &str) {
    let agent = given(secured.addr(), tls).start();
    agent.wait_until_active("awka");
    let commands = secured.router.counters().commands;
    until("the router was queried again", || {
        (secured.router.counters().commands >= commands + 4).then_some(())
    });
    assert_eq!(agent.json("/api/routers")["awka"]["version"], "7.20.7");
    assert_eq!(secured.router.counters().logins, 1);
}

#[test]
#[ignore = "needs openssl"]
fn pinned_self_signed_certificate_is_accepted() {
    let certificates = Certificates::new().self_signed();
    let secured = certificates.serve("");
    serves(&secured, &certificates.pin());
    let step = handshake(secured.addr(), &certificates.pin());
    let fingerprint = certificates.fingerprint().replace(':', "").to_lowercase().replace("sha256", "sha256:");
    assert_eq!(step["detail"], format!("TLS 1.3, certificate {fingerprint}"), "{step}");
}

#[test]
#[ignore = "needs openssl"]
fn certificate_of_a_configured_authority_is_accepted() {
    let certificates = Certificates::new().signed("router", NOW);
    serves(&certificates.serve(""), &certificates.ca("authority.crt"));
}

#[test]
#[ignore = "needs openssl"]
fn certificate_for_another_name_error_has_the_expected_name() {
    let certificates = Certificates::new().signed("elsewhere", NOW);
    let secured = certificates.serve("");
    let (message, hint) = refused(secured.addr(), &certificates.ca("authority.crt"), "tls");
    for text in ["127.0.0.1", "router.lan"] {
        assert!(message.contains(text), "expected {text:?}: {message}");
    }
    assert!(hint.contains("subject-alt-name") && hint.contains("Pin("), "{hint}");
    assert_eq!(secured.router.counters().logins, 0);
}

#[test]
#[ignore = "needs openssl"]
fn certificate_without_a_name_error_has_the_expected_name() {
    let certificates = Certificates::new().signed("nameless", NOW);
    let secured = certificates.serve("");
    let (message, hint) = refused(secured.addr(), &certificates.ca("authority.crt"), "tls");
    assert!(message.contains("127.0.0.1"), "{message}");
    assert!(hint.contains("subject-alt-name"), "{hint}");
}

#[test]
#[ignore = "needs openssl"]
fn expired_certificate_error_has_the_date_unless_pinned() {
    let certificates = Certificates::new().signed("router", (2020, 2021));
    let secured = certificates.serve("");
    let (message, hint) = refused(secured.addr(), &certificates.ca("authority.crt"), "tls");
    assert!(message.contains("ended at 2021-01-01T00:00:00Z"), "{message}");
    assert!(hint.contains("Pin("), "{hint}");
    assert_eq!(secured.router.counters().logins, 0);
    serves(&secured, &certificates.pin());
}

#[test]
#[ignore = "needs openssl"]
fn not_yet_valid_certificate_hints_at_the_clock_unless_pinned() {
    let certificates = Certificates::new().signed("router", (2048, 2049));
    let secured = certificates.serve("");
    let (message, _) = refused(secured.addr(), &certificates.ca("authority.crt"), "tls");
    assert!(message.contains("begins at 2048-01-01T00:00:00Z"), "{message}");
    assert!(message.contains("this machine's clock"), "{message}");
    serves(&secured, &certificates.pin());
}

#[test]
#[ignore = "needs openssl"]
fn certificate_of_an_unknown_authority_is_refused() {
    let certificates = Certificates::new().signed("router", NOW);
    certificates.authority("other");
    let secured = certificates.serve("");
    let (message, hint) = refused(secured.addr(), &certificates.ca("other.crt"), "tls");
    assert!(message.contains("signed by none of the authorities"), "{message}");
    assert!(hint.contains("Pin("), "{hint}");
    // The same name is not sufficient.
    let same_name = Certificates::new();
    same_name.authority("authority");
    let (message, _) = refused(secured.addr(), &same_name.ca("authority.crt"), "tls");
    assert!(message.contains("another authority of the same name"), "{message}");
    // Neither is a self-signed one.
    let own = Certificates::new().self_signed();
    refused(own.serve("").addr(), &certificates.ca("authority.crt"), "tls");
    assert_eq!(secured.router.counters().logins, 0);
}

#[test]
#[ignore = "needs openssl"]
fn wrong_pin_error_has_the_fingerprint() {
    let (certificates, others) = (Certificates::new().self_signed(), Certificates::new().self_signed());
    let secured = certificates.serve("");
    let (message, hint) = refused(secured.addr(), &others.pin(), "tls_pin");
    let plain = |pin: String| pin["sha256:".len()..].replace(':', "").to_lowercase();
    let (seen, expected) = (plain(certificates.fingerprint()), plain(others.fingerprint()));
    assert!(
        message.contains(&format!("found a certificate with the fingerprint sha256:{seen}")),
        "{message}"
    );
    assert!(message.contains(&format!("expected sha256:{expected}")), "{message}");
    assert!(hint.contains("/certificate print detail"), "{hint}");
    let agent = given(secured.addr(), &others.pin()).start();
    agent.wait_for_error("awka", "tls_pin");
    assert_eq!(secured.router.counters().logins, 0);
}

#[test]
#[ignore = "needs openssl"]
fn a_certificate_that_ends_soon_is_an_alert_of_the_site() {
    // It is valid for two days.
    let certificates = Certificates::new().self_signed();
    let secured = certificates.serve("");
    let agent = given(secured.addr(), &certificates.pin()).start();
    let alert = until("the alert fires", || {
        let firing = agent.json("/api/alerts")["firing"].clone();
        firing.as_array().unwrap().iter().find(|alert| alert["kind"] == "CertificateExpires").cloned()
    });
    assert_eq!((&alert["site"], &alert["value"]), (&json!("awka"), &json!(1.0)), "{alert}");
}

#[test]
#[ignore = "needs openssl"]
fn tls_1_2_is_accepted() {
    let certificates = Certificates::new().self_signed();
    let secured = certificates.serve("-tls1_2");
    serves(&secured, &certificates.pin());
    let step = handshake(secured.addr(), &certificates.pin());
    assert!(step["detail"].as_str().unwrap().starts_with("TLS 1.2, certificate sha256:"), "{step}");
}

#[test]
#[ignore = "needs openssl"]
fn tls_1_1_is_reported_as_too_old() {
    let certificates = Certificates::new().self_signed();
    let secured = certificates.serve(&format!("-tls1_1 -cipher {ANYTHING}"));
    let (message, hint) = refused(secured.addr(), &certificates.pin(), "tls");
    assert!(message.contains("does not support TLS 1.2 or 1.3"), "{message}");
    assert!(hint.contains("Upgrade RouterOS"), "{hint}");
}

#[test]
#[ignore = "needs openssl"]
fn service_without_a_certificate_has_a_hint() {
    let certificates = Certificates::new().self_signed();
    let secured = certificates.serve_with("-nocert -tls1_2 -cipher ADH-AES128-SHA:@SECLEVEL=0");
    let (message, hint) = refused(secured.addr(), &certificates.pin(), "tls_no_certificate");
    assert!(message.contains("api-ssl has no certificate"), "{message}");
    for command in [
        "/certificate add name=",
        "/certificate sign ",
        "/ip service set [find name=api-ssl and !dynamic] certificate=",
    ] {
        assert!(hint.contains(command), "expected {command:?}: {hint}");
    }
    let agent = given(secured.addr(), &certificates.pin()).start();
    let stats = agent.wait_for_error("awka", "tls_no_certificate");
    assert_eq!(stats["error"]["hint"], hint, "{stats}");
}

#[test]
#[ignore = "needs openssl"]
fn dhe_only_key_exchange_is_mentioned_in_the_same_hint() {
    let certificates = Certificates::new().self_signed();
    let secured = certificates.serve("-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256");
    // Both end the handshake with the same alert, so the hint has to mention both.
    let (message, hint) = refused(secured.addr(), &certificates.pin(), "tls_no_certificate");
    assert!(message.contains("alert 40"), "{message}");
    assert!(hint.contains("DHE") && hint.contains("upgrade RouterOS"), "{hint}");
}

#[test]
#[ignore = "needs openssl"]
fn pinned_certificate_without_its_key_is_refused() {
    let certificates = Certificates::new().self_signed();
    certificates.key("thief", "rsa:2048");
    let chain = vec![CertificateDer::from_pem_file(certificates.path("router.crt")).unwrap()];
    let served_by = |key: &str, version: &'static SupportedProtocolVersion| {
        let key = PrivateKeyDer::from_pem_file(certificates.path(key)).unwrap();
        let key = CertifiedKey::new(chain.clone(), any_supported_type(&key).unwrap());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        let config = Arc::new(config);
        TestServer::start(move |mut client| {
            let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
            // Until the client disconnects, which may be during the handshake.
            while session.complete_io(&mut client).is_ok_and(|(read, _)| read > 0) {}
        })
    };
    for (version, name) in [(&version::TLS12, "TLS 1.2"), (&version::TLS13, "TLS 1.3")] {
        let owner = served_by("router.key", version);
        let step = handshake(owner.address, &certificates.pin());
        assert!(step["ok"] == true && step["detail"].as_str().unwrap().starts_with(name), "{step}");
        let thief = served_by("thief.key", version);
        let (message, hint) = refused(thief.address, &certificates.pin(), "tls");
        assert!(message.contains("the peer does not have its key"), "{name}: {message}");
        assert!(hint.contains("Somebody else"), "{name}: {hint}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn certificate_of_version_1_is_reported() {
    let certificates = Certificates::new();
    certificates.key("router", "rsa:2048");
    // From openssl 3.2 on, version 1 needs an option, which earlier versions lack.
    certificates
        .try_run("req -x509 -x509v1 -key router.key -out router.crt -days 2 -subj /CN=router")
        .or_else(|_| {
            certificates.try_run("x509 -req -in router.csr -signkey router.key -out router.crt -days 2")
        })
        .unwrap();
    assert!(certificates.run("x509 -in router.crt -noout -text").contains("Version: 1 "));
    let (message, hint) = refused(certificates.serve("").addr(), &certificates.pin(), "tls");
    assert!(message.contains("X.509 version 1"), "{message}");
    assert!(hint.contains("/certificate add"), "{hint}");
}

#[test]
#[ignore = "needs openssl"]
fn short_key_is_reported() {
    let certificates = Certificates::new();
    certificates.key("router", "rsa:1024");
    certificates.sign_itself("router", "router");
    for more in ["", "-tls1_2"] {
        let secured = certificates.serve(&format!("-cipher {ANYTHING} {more}"));
        let (message, hint) = refused(secured.addr(), &certificates.pin(), "tls");
        assert!(message.contains("2048"), "{message}");
        assert!(hint.contains("/certificate add") && hint.contains("key-size=2048"), "{hint}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn tls_and_plain_mismatch_is_reported() {
    let certificates = Certificates::new().self_signed();
    let helps = |hint: &str| assert!(hint.contains("8729") && hint.contains("/ip service print"), "{hint}");
    // The router parses the handshake as a sentence. Depending on the random bytes it waits for the rest, closes
    // because of an invalid length, or replies to an unknown word.
    let plain = router(Settings::default());
    let step = handshake(plain.addr(), &certificates.pin());
    let cause = step["error"]["cause"].as_str().unwrap();
    let text = match cause {
        "connect_timeout" | "closed" => "TLS handshake",
        "tls" => "the service at this port does not use TLS",
        _ => panic!("{step}"),
    };
    assert!(step["error"]["message"].as_str().unwrap().contains(text), "{step}");
    helps(step["error"]["hint"].as_str().unwrap());
    for is_silent in [true, false] {
        let plain = TestServer::start(move |mut client| {
            let _ = client.read(&mut [0; 64]);
            if is_silent {
                // Until the client disconnects.
                let _ = client.read_to_end(&mut Vec::new());
            } else {
                let _ = client.write_all(b"\x06!fatal\x0dnot logged in\x00");
                let _ = client.read_to_end(&mut Vec::new());
            }
        });
        let cause = if is_silent { "connect_timeout" } else { "tls" };
        let (message, hint) = refused(plain.address, &certificates.pin(), cause);
        assert!(message.contains("TLS"), "{message}");
        helps(&hint);
    }

    // A server that speaks only TLS ends the connection at once, with an alert or without.
    let secured = certificates.serve("");
    let alert = TestServer::start(|mut client| {
        let _ = client.read(&mut [0; 64]);
        let _ = client.write_all(b"\x15\x03\x01\x00\x02\x02\x46");
    });
    for (address, text) in [
        (secured.addr(), "closed: the router closed the connection"),
        (alert.address, "tls: the service at this port uses TLS"),
    ] {
        let (command, _folder) = given(address, "").argument("test").command();
        let ended = run_to_end(command);
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        let login: Vec<&str> = ended.out.lines().skip_while(|line| !line.contains("  login ")).collect();
        assert!(login[0].contains(text), "{}", ended.out);
        assert!(login[1].contains("api-ssl") && login[1].contains("tls: Pin("), "{}", ended.out);
    }
}

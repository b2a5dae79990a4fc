//! TLS of `api-ssl`, with rustls and openssl as clients.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::crypto::{self, ring::default_provider};
use futures_rustls::rustls::version::{TLS12, TLS13};
use futures_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};

use super::client::{Client, TIMEOUT, start, until};
use super::faults::LOGIN;
use phsweb_agent::routeros::wire::Sentence;
use phsweb_agent::simulator::{Fault, Router, Settings};

/// Accepts any certificate whose key the router has, and records its fingerprint.
#[derive(Debug, Default)]
struct RecordingVerifier(Mutex<String>);

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        assert!(chain.is_empty(), "expected a self-signed certificate");
        let digest = ring::digest::digest(&ring::digest::SHA256, leaf);
        let start = "sha256:".to_string();
        *self.0.lock().unwrap() =
            digest.as_ref().iter().fold(start, |text, byte| text + &format!("{byte:02x}"));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &default_provider().signature_verification_algorithms;
        crypto::verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &default_provider().signature_verification_algorithms;
        crypto::verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Runs a handshake. Returns the client and the fingerprint of the certificate.
fn handshake(
    router: &Router,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<(Client<Tls>, String)> {
    let verifier = Arc::new(RecordingVerifier::default());
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    let name = ServerName::from(router.addr().ip());
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(router.addr()).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut tls = StreamOwned::new(connection, stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    let fingerprint = verifier.0.lock().unwrap().clone();
    Ok((Client::over(tls), fingerprint))
}

fn logged_in(router: &Router) -> (Client<Tls>, String) {
    let (mut client, fingerprint) = handshake(router, &TLS13).unwrap();
    assert_eq!(client.ask(&LOGIN), ["!done"]);
    (client, fingerprint)
}

fn secure() -> Router {
    start(Settings { tls: true, ..Settings::default() })
}

#[test]
fn api_works_over_tls_1_2_and_1_3() {
    let router = start(Settings { tls: true, users: 2000, ..Settings::default() });
    for (version, fault) in [(&TLS12, None), (&TLS13, None), (&TLS13, Some(Fault::OneByteWrites))] {
        let (mut client, fingerprint) = handshake(&router, version).unwrap();
        assert_eq!(Some(fingerprint), router.fingerprint());
        assert_eq!(client.ask(&LOGIN), ["!done"]);
        client.send(&["/ip/hotspot/active/listen", "=.proplist=.id", ".tag=1"]);
        assert_eq!(client.rows(&["/ip/hotspot/user/print"]).len(), 2001);
        router.set_fault(fault);
        let id = router.log_in("somebody", "10.5.99.7".parse().unwrap(), "02:00:00:00:00:07").unwrap();
        assert_eq!(client.next(), format!("!re | .tag=1 | =.id={id}"));
        router.set_fault(None);
        router.log_out(&id);
        assert_eq!(client.next(), format!("!re | .tag=1 | =.id={id} | =.dead=true"));
        client.send(&["/quit"]);
        // No reply, but a TLS close: without it the read would fail.
        assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);
    }
    assert_eq!(router.counters().broken, 0);
    assert_eq!(start(Settings::default()).fingerprint(), None);
}

#[test]
fn no_certificate_is_alert_40() {
    let router = secure();
    let (mut before, _) = logged_in(&router);
    router.set_fault(Some(Fault::NoCertificate));
    for version in [&TLS12, &TLS13] {
        let error = handshake(&router, version).map(drop).unwrap_err();
        assert_eq!(error.to_string(), "received fatal alert: HandshakeFailure");
    }
    // A record of five bytes. The connection is closed without a reset, so that the alert is never lost.
    let mut raw = TcpStream::connect(router.addr()).unwrap();
    raw.write_all(b"\x16\x03\x01\x00\x05hello").unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 40]);
    assert_eq!(router.counters().broken, 3);
    assert_eq!(before.ask(&["/system/identity/print"]), ["!re | =name=MikroTik", "!done"]);
    router.set_fault(None);
    logged_in(&router);
}

#[test]
fn new_certificate_closes_open_connections() {
    let router = secure();
    let (mut before, first) = logged_in(&router);
    router.set_fault(Some(Fault::OtherCertificate));
    assert_eq!(before.next(), "closed");
    let (_during, other) = logged_in(&router);
    assert_ne!(first, other);
    assert_eq!((Some(other), router.counters().broken), (router.fingerprint(), 2));
    router.set_fault(None);
    let (_after, last) = logged_in(&router);
    assert_eq!((Some(&last), &last), (router.fingerprint().as_ref(), &first));
}

#[test]
fn stalled_router_does_not_handshake() {
    let router = secure();
    router.set_fault(Some(Fault::Stall));
    let mut stream = TcpStream::connect(router.addr()).unwrap();
    stream.write_all(&[22, 3, 1]).unwrap();
    until(&router, "the connection counts as broken", |router| router.counters().broken == 1);
    // Silence can only be observed by waiting.
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(stream);
    until(&router, "the connection is closed", |router| router.counters().open == 0);
}

#[test]
fn plain_text_closes_only_its_own_connection() {
    let router = secure();
    let (mut client, _) = logged_in(&router);
    let mut plain = Client::connect(&router);
    plain.send(&LOGIN);
    let mut answer = Vec::new();
    plain.stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.first(), Some(&21), "expected a TLS alert");
    assert_eq!(client.ask(&["/system/identity/print"]), ["!re | =name=MikroTik", "!done"]);
}

#[test]
#[ignore = "needs openssl"]
fn openssl_accepts_the_handshake_and_certificate() {
    let router = secure();
    // Runs openssl until its output contains `last`, or it exits.
    let client = |flag: &str, input: &[u8], last: &str| {
        let address = router.addr().to_string();
        let mut client = Command::new("openssl")
            .args(["s_client", "-ign_eof", "-connect", &address, flag])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        client.stdin.as_mut().unwrap().write_all(input).unwrap();
        let (mut output, mut buffer) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&output).contains(last) {
            match client.stdout.as_mut().unwrap().read(&mut buffer).unwrap() {
                0 => break,
                count => output.extend_from_slice(&buffer[..count]),
            }
        }
        // It may have exited.
        let _ = client.kill();
        output.extend(client.wait_with_output().unwrap().stderr);
        String::from_utf8_lossy(&output).into_owned()
    };
    let mut input = Vec::new();
    for words in [&LOGIN[..], &["/system/identity/print"]] {
        Sentence::from_words(words).encode(&mut input);
    }
    for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let output = client(flag, &input, "=name=MikroTik");
        for text in ["CN = router", "2048 bit", version, "=name=MikroTik"] {
            assert!(output.contains(text), "expected {text:?} in {output}");
        }
    }
    router.set_fault(Some(Fault::NoCertificate));
    let output = client("-tls1_2", b"", "nothing");
    assert!(output.contains("alert number 40"), "{output}");
}

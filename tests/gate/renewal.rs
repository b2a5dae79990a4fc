//! Clients that come again, and certificates that are replaced in the meantime.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_rustls::rustls::{ClientConfig, HandshakeKind};
use phsweb_agent::config::Https;
use phsweb_agent::http::gate::Limits;

use super::tls::{BOTH, client, kept};
use super::{PATIENCE, Served, get};

#[test]
fn a_client_that_comes_again_needs_no_new_signature() {
    let served = Served::secured(Limits::default());
    for version in BOTH {
        let config = client(&[version]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut client = served.secure_with(&config);
            assert_eq!(client.get("/").status, 200);
            assert_eq!(client.session().handshake_kind(), Some(expected));
        }
    }
}

/// Waits until new connections of a client get another certificate.
fn until_served(served: &Served, config: &Arc<ClientConfig>, name: &str) {
    let began = Instant::now();
    loop {
        let mut client = served.secure_with(config);
        assert_eq!(client.get("/").status, 200);
        if client.has(name) {
            return assert_eq!(client.session().handshake_kind(), Some(HandshakeKind::Full));
        }
        assert!(began.elapsed() < PATIENCE, "no connection gets the certificate {name}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn files_that_are_replaced_in_any_way_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // As Kubernetes mounts a secret, and much as certbot keeps its own.
    for pair in ["page", "other"] {
        fs::create_dir(at(pair)).unwrap();
        for part in ["cert", "key"] {
            fs::copy(kept(&format!("{pair}.{part}")), at(pair).join(part)).unwrap();
        }
    }
    symlink("page", at("data")).unwrap();
    for part in ["cert", "key"] {
        symlink(Path::new("data").join(part), at(part)).unwrap();
    }
    let served = Served::with_https(Https::load(at("cert"), at("key")).unwrap(), Limits::default());
    let config = client(&BOTH);
    let mut kept_open = served.secure_with(&config);
    assert_eq!(kept_open.get("/").status, 200);
    assert!(kept_open.has("page"));

    symlink("other", at("new")).unwrap();
    fs::rename(at("new"), at("data")).unwrap();
    until_served(&served, &config, "other");

    // One after the other by renaming.
    for part in ["cert", "key"] {
        fs::copy(kept(&format!("page.{part}")), at("new")).unwrap();
        fs::rename(at("new"), at(part)).unwrap();
    }
    until_served(&served, &config, "page");

    // In place, with a pause between, in which the old one is served.
    fs::write(at("key"), fs::read(kept("other.key")).unwrap()).unwrap();
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert!(served.ask_securely(get("/")).status == 200);
        thread::sleep(Duration::from_millis(50));
    }
    fs::write(at("cert"), fs::read(kept("other.cert")).unwrap()).unwrap();
    until_served(&served, &config, "other");
    assert_eq!(kept_open.get("/").status, 200);
}

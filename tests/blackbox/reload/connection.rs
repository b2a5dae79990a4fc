//! Changes of the address or the credentials of a router: the site reconnects at once, and forgets its backoff.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::TlsAcceptor;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::ServerConfig;
use futures_rustls::rustls::crypto::ring::default_provider;
use phsweb_agent::simulator::{Fault, Router, Settings};
use serde_json::Value;
use smol::future::FutureExt;

use super::agent::{AgentBuilder, until, until_within};
use super::reloading_agent::{ReloadingAgent, WriteMethod, logins_and_connections};
use super::{router, router_with_password};

/// Maximum time from a change until the site is online: far less than the shortest wait after a refused login.
const AT_ONCE: Duration = Duration::from_secs(10);

const LOGINS: &str = "mikrotik_hotspot_logins_total{site=\"awka\",server=\"hotspot1\"}";

fn given(hosts: &[SocketAddr], fields: &str) -> AgentBuilder {
    let hosts: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
    AgentBuilder::default()
        .raw_site("awka", &format!("refresh: \"1h\", hosts: [{}], {fields}", hosts.join(", ")))
}

fn password(router: &Router, password: &str) -> AgentBuilder {
    given(&[router.addr()], &format!("password: Plain(\"{password}\")"))
}

#[track_caller]
fn online_at_once(agent: &ReloadingAgent) -> Value {
    until_within(AT_ONCE, "the site is online", || {
        let site = agent.site("awka");
        (site["state"] == "online").then_some(site)
    })
}

#[test]
fn a_wrong_password_is_reported_and_a_correct_one_is_tried_at_once() {
    let router = router_with_password("right-9c1e");
    let agent = ReloadingAgent::start(&password(&router, "wrong-77a0"));
    agent.wait_for_error("awka", "auth");
    agent.save(&password(&router, "right-9c1e"));
    online_at_once(&agent);
    assert_eq!(logins_and_connections(&router), (1, 2));
    assert_eq!(router.counters().logins_refused, 1);
    let (user, mac) = ("ngozi", "8C:F5:A3:00:00:01");
    assert!(router.log_in(user, [10, 5, 70, 1].into(), mac).is_some());
    until("the login is counted", || (agent.series(LOGINS)? > 0.5).then_some(()));

    agent.save(&password(&router, "wrong-31d8"));
    let error = until("the site is offline", || {
        let site = agent.site("awka");
        (site["state"] == "offline").then(|| site["error"].clone())
    });
    assert_eq!(error["cause"], "auth", "expected no reboot, because the password changed: {error}");
    until("the connection is closed", || (router.counters().open == 0).then_some(()));
    assert!(agent.stats("awka")["lastKnown"]["activeUsers"].is_u64());
    assert_eq!(agent.series(LOGINS), Some(1.0));
    agent.save(&password(&router, "right-9c1e"));
    let site = online_at_once(&agent);
    assert_eq!(agent.series(LOGINS), Some(1.0), "expected the counters to stay");
    assert_eq!(site["usage"]["logins"], 2);
    assert_eq!((logins_and_connections(&router), router.counters().logins_refused), ((2, 4), 2));
}

#[test]
fn a_secret_file_is_rotated() {
    let router = router_with_password("first-5b20");
    let given = given(&[router.addr()], "password: File(\"secret\")");
    let agent = ReloadingAgent::start_with(&given, &[("secret", "first-5b20\n")]);
    agent.running.secrets.add("other-66f3");
    agent.wait_until_active("awka");
    agent.write("secret", "other-66f3\n", WriteMethod::Renamed);
    agent.wait_for_error("awka", "auth");
    until("the change is logged", || (agent.applied_files() == ["changed awka"]).then_some(()));
    for method in WriteMethod::ALL {
        agent.write("secret", "other-66f3\n", WriteMethod::InPlace);
        until("the wrong password is tried", || (agent.site("awka")["state"] == "offline").then_some(()));
        agent.write("secret", "first-5b20\n", method);
        online_at_once(&agent);
    }
    // The same content is no change, however it is written, and an empty secret is not tried.
    let before = (logins_and_connections(&router), router.counters().logins_refused);
    for _ in 0..4 {
        agent.write("secret", "first-5b20\n", WriteMethod::Truncated);
        agent.write("secret", "first-5b20\n", WriteMethod::Removed);
    }
    agent.write("secret", "\n", WriteMethod::InPlace);
    let message = agent.wait_for_file_error("password: the secret file secret is empty");
    assert!(message.starts_with("sites.ron:"), "{message}");
    assert_eq!((logins_and_connections(&router), router.counters().logins_refused), before);
}

#[test]
fn each_change_of_the_connection_is_one_new_login_and_known_data_stays() {
    let secured = router(Settings { tls: true, ..Settings::default() });
    let other = router(Settings::default());
    let pin = secured.fingerprint().unwrap();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let usual = "password: Plain(\"password\")";
    let pinned = |hosts: &[SocketAddr], pin: &str| given(hosts, &format!("{usual}, tls: Pin(\"{pin}\")"));
    let unused_address = crate::support::address::unused_address();
    let agent = ReloadingAgent::start(&pinned(&[secured.addr()], &pin));
    agent.wait_until_active("awka");

    agent.save(&pinned(&[secured.addr()], &wrong));
    agent.wait_for_error("awka", "tls_pin");
    agent.save(&pinned(&[secured.addr()], &pin));
    online_at_once(&agent);
    assert_eq!(secured.counters().logins, 2);
    agent.save(&pinned(&[secured.addr(), unused_address], &pin));
    until("the second host is listed", || {
        let site = agent.site("awka");
        (site["hosts"].as_array().unwrap().len() == 2 && site["state"] == "online").then_some(())
    });
    until("the router has another login", || (secured.counters().logins == 3).then_some(()));
    agent.save(&pinned(&[unused_address, secured.addr()], &pin));
    until("the other host is tried first", || {
        let hosts = agent.site("awka")["hosts"].clone();
        (hosts[0]["error"]["cause"] == "refused" && hosts[1]["inUse"] == true).then_some(())
    });
    assert_eq!(secured.counters().logins, 4);
    assert_eq!(agent.site("awka")["usage"]["logins"], 4, "expected the same site");

    // If all hosts change, it may be another router: the data of the old one is discarded.
    agent.save(&given(&[other.addr()], usual));
    let site = online_at_once(&agent);
    assert_eq!(
        (site["usage"]["logins"].as_u64(), site["connections"].as_array().unwrap().len()),
        (Some(1), 1)
    );
    assert_eq!(logins_and_connections(&other), (1, 1));
    until("the old connection is closed", || (secured.counters().open == 0).then_some(()));
}

#[test]
fn a_changed_login_method_and_user_are_used_at_once() {
    let old = Settings { version: "6.42.12 (long-term)".parse().unwrap(), ..Settings::default() };
    let router = router(old);
    let agent = ReloadingAgent::start(&password(&router, "password"));
    until("the site is offline", || (agent.site("awka")["state"] == "offline").then_some(()));
    agent.save(&given(&[router.addr()], "password: Plain(\"password\"), login: Challenge"));
    online_at_once(&agent);
    agent.save(&given(&[router.addr()], "password: Plain(\"password\"), login: Challenge, user: \"nobody\""));
    agent.wait_for_error("awka", "auth");
    agent.save(&given(&[router.addr()], "password: Plain(\"password\"), login: Challenge"));
    online_at_once(&agent);
    assert_eq!(router.counters().logins, 2);
}

#[test]
fn a_site_in_backoff_is_tried_at_once_at_a_new_host() {
    let (lost, found) = (router(Settings::default()), router(Settings::default()));
    lost.set_fault(Some(Fault::LoginRefused));
    let usual = "password: Plain(\"password\")";
    let agent = ReloadingAgent::start(&given(&[lost.addr()], usual));
    agent.wait_for_error("awka", "auth");
    // A changed name triggers no retry: each attempt is a line in the router's log.
    agent.save(&given(&[lost.addr()], &format!("{usual}, name: \"Awka\"")));
    agent.save(&given(&[lost.addr(), found.addr()], usual));
    until("the login is tried again", || (lost.counters().logins_refused == 2).then_some(()));
    agent.save(&given(&[found.addr(), lost.addr()], usual));
    online_at_once(&agent);
    assert_eq!((found.counters().logins, lost.counters().logins_refused), (1, 2));
}

/// A TLS proxy in front of the router, with the test certificate for 127.0.0.1.
fn secured(router: &Router) -> (SocketAddr, smol::Task<()>) {
    let cert = CertificateDer::from_pem_file(certificate("page.cert")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificate("page.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    let (acceptor, to) = (TlsAcceptor::from(Arc::new(config)), router.addr());
    let listener = smol::block_on(async_net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let served = smol::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            smol::spawn(async move {
                let Ok(client) = acceptor.accept(client).await else { return };
                let Ok(server) = async_net::TcpStream::connect(to).await else { return };
                let (from, into) = smol::io::split(client);
                let requests = smol::io::copy(from, server.clone());
                let replies = smol::io::copy(server, into);
                // The end of one direction ends both.
                let _ = requests.or(replies).await;
            })
            .detach();
        }
    });
    (address, served)
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/certificates/{name}.pem"))
}

#[test]
fn a_replaced_ca_file_is_used() {
    let router = router(Settings::default());
    let (address, _served) = secured(&router);
    let authorities = |name: &str| fs::read_to_string(certificate(name)).unwrap();
    let given = given(&[address], "password: Plain(\"password\"), tls: Ca(\"ca.pem\")");
    let agent = ReloadingAgent::start_with(&given, &[("ca.pem", &authorities("page.cert"))]);
    agent.wait_until_active("awka");
    agent.write("ca.pem", &authorities("other.cert"), WriteMethod::Renamed);
    agent.wait_for_error("awka", "tls");
    until("the connection is closed", || (router.counters().open == 0).then_some(()));
    agent.write("ca.pem", &authorities("page.cert"), WriteMethod::Renamed);
    online_at_once(&agent);
    assert_eq!(router.counters().logins, 2);
    until("both changes are logged", || (agent.applied_files() == ["changed awka"; 2]).then_some(()));
    // With both authorities the certificate stays valid, but the site reconnects.
    let both = authorities("other.cert") + &authorities("page.cert");
    agent.write("ca.pem", &both, WriteMethod::Truncated);
    until("the router has another login", || (router.counters().logins == 3).then_some(()));
    online_at_once(&agent);
    assert_eq!(agent.rejected_files().len(), 0);
}

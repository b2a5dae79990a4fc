//! Another way to a router: connected to anew at once, whatever was learnt of the way before.

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

use super::agent::{Given, until, until_within};
use super::kept::{Kept, Way, met};
use super::{router, taking};

/// What a change may take until the site is well: far less than the least wait after a refused login.
const AT_ONCE: Duration = Duration::from_secs(10);

const LOGINS: &str = "mikrotik_hotspot_logins_total{site=\"awka\",server=\"hotspot1\"}";

fn of(hosts: &[SocketAddr], fields: &str) -> Given {
    let hosts: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
    Given::default().raw_site("awka", &format!("refresh: \"1h\", hosts: [{}], {fields}", hosts.join(", ")))
}

fn password(router: &Router, password: &str) -> Given {
    of(&[router.addr()], &format!("password: Plain(\"{password}\")"))
}

#[track_caller]
fn well_at_once(kept: &Kept) -> Value {
    until_within(AT_ONCE, "it is online", || {
        let site = kept.site("awka");
        (site["state"] == "online").then_some(site)
    })
}

#[test]
fn a_wrong_password_is_told_and_a_right_one_is_tried_at_once() {
    let router = taking("right-9c1e");
    let kept = Kept::start(&password(&router, "wrong-77a0"));
    kept.fails("awka", "auth");
    kept.save(&password(&router, "right-9c1e"));
    well_at_once(&kept);
    assert_eq!(met(&router), (1, 2));
    assert_eq!(router.counters().logins_refused, 1);
    let (user, mac) = ("ngozi", "8C:F5:A3:00:00:01");
    assert!(router.log_in(user, [10, 5, 70, 1].into(), mac).is_some());
    until("who comes is told", || (kept.series(LOGINS)? > 0.5).then_some(()));

    kept.save(&password(&router, "wrong-31d8"));
    let error = until("it is told", || {
        let site = kept.site("awka");
        (site["state"] == "offline").then(|| site["error"].clone())
    });
    assert_eq!(error["cause"], "auth", "no reboot: the password is another: {error}");
    assert_eq!(router.counters().open, 0);
    assert!(kept.stats("awka")["lastKnown"]["activeUsers"].is_u64());
    assert_eq!(kept.series(LOGINS), Some(1.0));
    kept.save(&password(&router, "right-9c1e"));
    let site = well_at_once(&kept);
    assert_eq!(kept.series(LOGINS), Some(1.0), "what was counted stays");
    assert_eq!(site["usage"]["logins"], 2);
    assert_eq!((met(&router), router.counters().logins_refused), ((2, 4), 2));
}

#[test]
fn a_secret_file_is_rotated() {
    let router = taking("first-5b20");
    let given = of(&[router.addr()], "password: File(\"secret\")");
    let kept = Kept::start_with(&given, &[("secret", "first-5b20\n")]);
    kept.running.unsaid.add("other-66f3");
    kept.well("awka");
    kept.write("secret", "other-66f3\n", Way::Renamed);
    kept.fails("awka", "auth");
    assert_eq!(kept.taken(), ["changed awka"]);
    for way in Way::ALL {
        kept.write("secret", "other-66f3\n", Way::InPlace);
        until("the wrong one is tried", || (kept.site("awka")["state"] == "offline").then_some(()));
        kept.write("secret", "first-5b20\n", way);
        well_at_once(&kept);
    }
    // The same again is none, however it is written, and an empty one is not tried.
    let before = (met(&router), router.counters().logins_refused);
    for _ in 0..4 {
        kept.write("secret", "first-5b20\n", Way::Truncated);
        kept.write("secret", "first-5b20\n", Way::Removed);
    }
    kept.write("secret", "\n", Way::InPlace);
    let told = kept.until_wrong("password: the secret file secret is empty");
    assert!(told.starts_with("sites.ron:"), "{told}");
    assert_eq!((met(&router), router.counters().logins_refused), before);
}

#[test]
fn each_field_of_the_way_is_one_new_login_and_what_is_known_stays() {
    let secured = router(Settings { tls: true, ..Settings::default() });
    let other = router(Settings::default());
    let pin = secured.fingerprint().unwrap();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let usual = "password: Plain(\"password\")";
    let pinned = |hosts: &[SocketAddr], pin: &str| of(hosts, &format!("{usual}, tls: Pin(\"{pin}\")"));
    let nobody = crate::support::address::nobody();
    let kept = Kept::start(&pinned(&[secured.addr()], &pin));
    kept.well("awka");

    kept.save(&pinned(&[secured.addr()], &wrong));
    kept.fails("awka", "tls_pin");
    kept.save(&pinned(&[secured.addr()], &pin));
    well_at_once(&kept);
    assert_eq!(secured.counters().logins, 2);
    kept.save(&pinned(&[secured.addr(), nobody], &pin));
    until("there is a host more", || {
        let site = kept.site("awka");
        (site["hosts"].as_array().unwrap().len() == 2 && site["state"] == "online").then_some(())
    });
    until("it is logged in to once more", || (secured.counters().logins == 3).then_some(()));
    kept.save(&pinned(&[nobody, secured.addr()], &pin));
    until("the other is tried first", || {
        let hosts = kept.site("awka")["hosts"].clone();
        (hosts[0]["error"]["cause"] == "refused" && hosts[1]["inUse"] == true).then_some(())
    });
    assert_eq!(secured.counters().logins, 4);
    assert_eq!(kept.site("awka")["usage"]["logins"], 4, "it is the same site all along");

    // Another place altogether may be another router: nothing of the one before counts for it.
    kept.save(&of(&[other.addr()], usual));
    let site = well_at_once(&kept);
    assert_eq!(
        (site["usage"]["logins"].as_u64(), site["connections"].as_array().unwrap().len()),
        (Some(1), 1)
    );
    assert_eq!(met(&other), (1, 1));
    until("the one before is left", || (secured.counters().open == 0).then_some(()));
}

#[test]
fn the_kind_of_login_is_another() {
    let old = Settings { version: "6.42.12 (long-term)".parse().unwrap(), ..Settings::default() };
    let router = router(old);
    let kept = Kept::start(&password(&router, "password"));
    until("it is told", || (kept.site("awka")["state"] == "offline").then_some(()));
    kept.save(&of(&[router.addr()], "password: Plain(\"password\"), login: Challenge"));
    well_at_once(&kept);
    kept.save(&of(&[router.addr()], "password: Plain(\"password\"), login: Challenge, user: \"nobody\""));
    kept.fails("awka", "auth");
    kept.save(&of(&[router.addr()], "password: Plain(\"password\"), login: Challenge"));
    well_at_once(&kept);
    assert_eq!(router.counters().logins, 2);
}

#[test]
fn a_site_in_its_back_off_is_tried_at_once_where_it_is_elsewhere() {
    let (lost, found) = (router(Settings::default()), router(Settings::default()));
    lost.set_fault(Some(Fault::LoginRefused));
    let usual = "password: Plain(\"password\")";
    let kept = Kept::start(&of(&[lost.addr()], usual));
    kept.fails("awka", "auth");
    // Another name does not hurry it: the router would have another line in its log.
    kept.save(&of(&[lost.addr()], &format!("{usual}, name: \"Awka\"")));
    kept.save(&of(&[lost.addr(), found.addr()], usual));
    until("it is tried again", || (lost.counters().logins_refused == 2).then_some(()));
    kept.save(&of(&[found.addr(), lost.addr()], usual));
    well_at_once(&kept);
    assert_eq!((found.counters().logins, lost.counters().logins_refused), (1, 2));
}

/// A place where the router is served over TLS, with the certificate for 127.0.0.1 of those beside the tests.
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
                let asked = smol::io::copy(from, server.clone());
                let said = smol::io::copy(server, into);
                // Whoever ends first ends both.
                let _ = asked.or(said).await;
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
fn a_file_of_authorities_is_replaced() {
    let router = router(Settings::default());
    let (address, _served) = secured(&router);
    let authorities = |name: &str| fs::read_to_string(certificate(name)).unwrap();
    let given = of(&[address], "password: Plain(\"password\"), tls: Ca(\"ca.pem\")");
    let kept = Kept::start_with(&given, &[("ca.pem", &authorities("page.cert"))]);
    kept.well("awka");
    kept.write("ca.pem", &authorities("other.cert"), Way::Renamed);
    kept.fails("awka", "tls");
    until("the connection is given up", || (router.counters().open == 0).then_some(()));
    kept.write("ca.pem", &authorities("page.cert"), Way::Renamed);
    well_at_once(&kept);
    assert_eq!((router.counters().logins, kept.taken()), (2, vec!["changed awka".to_string(); 2]));
    // Both sign: it is another way to the router, however it ends.
    let both = authorities("other.cert") + &authorities("page.cert");
    kept.write("ca.pem", &both, Way::Truncated);
    until("it is logged in to once more", || (router.counters().logins == 3).then_some(()));
    well_at_once(&kept);
    assert_eq!(kept.not_taken().len(), 0);
}

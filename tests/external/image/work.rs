//! The agent of an image runs all its functions with only the mounted folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use phsweb_agent::simulator::{Login, Router, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, until};
use super::archive::{Image, output};
use super::root::{CHROOT, Root};
use super::router;

const TOKEN: &str = "admin-token-of-the-image";

/// The password of a router, and a wrong one.
const RIGHT: &str = "right-9c1e0f";
const WRONG: &str = "wrong-5b2077";

/// Upper bound of the shutdown, emulated or not.
const END: Duration = Duration::from_secs(2);

/// The routers, one per site.
struct Routers {
    awka: Router,
    /// With TLS and the correct pin.
    lagos: Router,
    /// With TLS and a wrong pin.
    abuja: Router,
    /// With a password from a file.
    kano: Router,
}

impl Routers {
    fn start() -> Self {
        let secured = |seed| router(Settings { tls: true, seed, active: 5, ..Settings::default() });
        let logins = vec![Login::new("api-user", RIGHT)];
        let kano = router(Settings { logins, ..Settings::default() });
        Self { awka: router(Settings::default()), lagos: secured(2), abuja: secured(3), kano }
    }

    /// The first three sites.
    fn given(&self) -> AgentBuilder {
        let pin = |pin: &str| format!("tls: Pin(\"{pin}\")");
        let none = format!("sha256:{}", "0".repeat(64));
        AgentBuilder::default()
            .http(&format!("admin: Token(Plain(\"{TOKEN}\")),"))
            .defaults("refresh: \"1s\",")
            .site("awka", self.awka.addr(), "")
            .site("lagos", self.lagos.addr(), &pin(&self.lagos.fingerprint().unwrap()))
            .site("abuja", self.abuja.addr(), &pin(&none))
    }

    /// All sites.
    fn given_all(&self) -> AgentBuilder {
        let fields = format!("hosts: [\"{}\"], password: File(\"kano.secret\")", self.kano.addr());
        self.given().raw_site("kano", &fields)
    }
}

/// Runs the agent from a start without a file to its shutdown.
pub(super) fn run_from_start_to_end(image: &Image) {
    let root = image.unpack();
    let before = root.contents();
    let routers = Routers::start();
    let mut command = Command::new(CHROOT);
    command.arg(format!("--userspec={}", root.user)).arg("--groups=");
    command.arg(root.path("")).args(&root.words);
    let agent = Root::start(command);
    for secret in [TOKEN, RIGHT, WRONG] {
        agent.running.secrets.add(secret);
    }
    assert_waits_for_file(&agent);

    root.mount("sites.ron", routers.given().text());
    wait_for_site(&agent, "awka");
    let agent = agent.with_token(TOKEN);
    assert_shows_router(&agent, "awka", &routers.awka);
    assert_shows_router(&agent, "lagos", &routers.lagos);
    agent.wait_for_error("abuja", "tls_pin");
    assert_eq!(routers.abuja.counters().logins, 0);
    assert_kick_works(&agent, &routers.awka);

    root.mount("kano.secret", WRONG);
    root.mount("sites.ron", routers.given_all().text());
    wait_for_site(&agent, "kano");
    agent.wait_for_error("kano", "auth");
    root.mount("kano.secret", RIGHT);
    assert_shows_router(&agent, "kano", &routers.kano);
    assert_eq!(routers.awka.counters().logins, 1, "expected an unchanged site to keep its connection");

    // Process metrics are unknown here; all others exist.
    let metrics = agent.get("/metrics").body;
    assert!(metrics.contains("mikrotik_up{site=\"awka\"} 1\n"), "{metrics}");
    assert!(!metrics.contains("process_resident_memory_bytes"), "{metrics}");

    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    let certificate = certificates.join("page.cert.pem");
    root.mount("cert.pem", fs::read(&certificate).unwrap());
    root.mount("key.pem", fs::read(certificates.join("page.key.pem")).unwrap());
    root.mount("sites.ron", routers.given_all().http("tls: (cert: \"cert.pem\", key: \"key.pem\"),").text());
    assert_https_and_shutdown(agent, &certificate);

    let mounted = ["cert.pem", "kano.secret", "key.pem", "sites.ron"].map(String::from);
    assert_eq!(root.mounted(), BTreeSet::from(mounted));
    assert_eq!(root.contents(), before, "expected no written file");
}

fn assert_waits_for_file(agent: &Agent) {
    let page = agent.page("/");
    for words in ["Waiting for sites.ron", "/etc/phsweb-agent/sites.ron", "dst=/etc/phsweb-agent\n"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!((agent.get("/healthz").status, agent.get("/readyz").status), (200, 503));
    agent.running.assert_logged("reload=waiting ", 1);
}

/// Waits until the file with this site is applied.
fn wait_for_site(agent: &Agent, site: &str) {
    let path = format!("/api/hotspot/{site}");
    until(&format!("{site} exists"), || (agent.get(&path).status == 200).then_some(()));
}

/// Checks that a site shows the sessions of its router.
fn assert_shows_router(agent: &Agent, site: &str, router: &Router) {
    let stats = agent.wait_until_active(site);
    let sessions = router.sessions();
    assert_eq!(agent.json("/api/hotspot/stats")[site]["activeUsers"], sessions.len());
    assert_eq!((&stats["activeUsers"], &stats["totalUsers"]), (&json!(sessions.len()), &json!(150)));
    assert_eq!(stats["routerStatus"]["version"], "7.20.7");
    assert_eq!(stats["routerStatus"]["totalMemory"], 128 << 20);
    let held: Vec<Value> =
        sessions.iter().map(|s| json!([s.id, s.user, s.address.to_string(), s.mac])).collect();
    let shown = agent.json(&format!("/api/hotspot/{site}/active"));
    let shown: Vec<Value> = { shown.as_array().unwrap().iter() }
        .map(|s| json!([s["id"], s["user"], s["address"], s["mac"]]))
        .collect();
    assert_eq!(shown, held);
}

fn assert_kick_works(agent: &Agent, router: &Router) {
    let sessions = router.sessions();
    let session = &sessions[3];
    let body = json!({ "id": session.id, "user": session.user, "mac": session.mac });
    let answer = agent.post("/api/hotspot/awka/kick", body.to_string());
    assert_eq!((answer.status, &answer.json()["removed"][0]["id"]), (200, &json!(session.id)), "{answer:?}");
    assert!(!router.sessions().iter().any(|other| other.id == session.id));
    assert_shows_router(agent, "awka", router);
}

/// Checks that the agent switches to HTTPS with this certificate, and exits on SIGTERM.
fn assert_https_and_shutdown(mut agent: Agent, certificate: &Path) {
    let address = agent.address;
    assert_eq!(agent.running.line("The page is at https://"), format!("{address}/"));
    let page =
        output("curl", &["-sS", "--cacert", certificate.to_str().unwrap(), &format!("https://{address}/")]);
    assert!(String::from_utf8_lossy(&page).contains("data-key=\"kano\""));
    agent.running.signal("TERM");
    let status = agent.running.wait_for_exit(END);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!agent.running.err().contains("panicked"), "{}", agent.running.err());
}

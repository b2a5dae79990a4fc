//! The agent of an image does all that it is for, with nothing around it but what is mounted.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use phsweb_agent::simulator::{Login, Router, Settings};
use serde_json::{Value, json};

use super::agent::{Agent, Given, until};
use super::archive::{Image, output};
use super::root::{CHROOT, Root};
use super::router;

const TOKEN: &str = "admin-token-of-the-image";

/// A router's password, and one that is none.
const RIGHT: &str = "right-9c1e0f";
const WRONG: &str = "wrong-5b2077";

/// What the end may take, emulated or not.
const END: Duration = Duration::from_secs(2);

/// The routers, each of them a site of its own.
struct Routers {
    awka: Router,
    /// With TLS, and known by its certificate.
    lagos: Router,
    /// With TLS too, and taken for another.
    abuja: Router,
    /// Its password comes from a file.
    kano: Router,
}

impl Routers {
    fn start() -> Self {
        let secured = |seed| router(Settings { tls: true, seed, active: 5, ..Settings::default() });
        let logins = vec![Login::new("api-user", RIGHT)];
        let kano = router(Settings { logins, ..Settings::default() });
        Self { awka: router(Settings::default()), lagos: secured(2), abuja: secured(3), kano }
    }

    /// The three that are there first.
    fn given(&self) -> Given {
        let pin = |pin: &str| format!("tls: Pin(\"{pin}\")");
        let none = format!("sha256:{}", "0".repeat(64));
        Given::default()
            .http(&format!("admin: Token(Plain(\"{TOKEN}\")),"))
            .defaults("refresh: \"1s\",")
            .site("awka", self.awka.addr(), "")
            .site("lagos", self.lagos.addr(), &pin(&self.lagos.fingerprint().unwrap()))
            .site("abuja", self.abuja.addr(), &pin(&none))
    }

    /// All of them.
    fn given_all(&self) -> Given {
        let fields = format!("hosts: [\"{}\"], password: File(\"kano.secret\")", self.kano.addr());
        self.given().raw_site("kano", &fields)
    }
}

/// From its start with nothing to its end.
pub(super) fn is_done(image: &Image) {
    let root = image.unpack();
    let before = root.contents();
    let routers = Routers::start();
    let mut command = Command::new(CHROOT);
    command.arg(format!("--userspec={}", root.user)).arg("--groups=");
    command.arg(root.path("")).args(&root.words);
    let agent = Root::start(command);
    for secret in [TOKEN, RIGHT, WRONG] {
        agent.running.unsaid.add(secret);
    }
    asks_for_its_file(&agent);

    root.mount("sites.ron", routers.given().text());
    has(&agent, "awka");
    let agent = agent.with_token(TOKEN);
    tells_the_truth(&agent, "awka", &routers.awka);
    tells_the_truth(&agent, "lagos", &routers.lagos);
    agent.fails("abuja", "tls_pin");
    assert_eq!(routers.abuja.counters().logins, 0);
    kicks(&agent, &routers.awka);

    root.mount("kano.secret", WRONG);
    root.mount("sites.ron", routers.given_all().text());
    has(&agent, "kano");
    agent.fails("kano", "auth");
    root.mount("kano.secret", RIGHT);
    tells_the_truth(&agent, "kano", &routers.kano);
    assert_eq!(routers.awka.counters().logins, 1, "who is as before keeps the connection");

    // Of the process nothing is known here, and all the rest is.
    let metrics = agent.get("/metrics").body;
    assert!(metrics.contains("mikrotik_up{site=\"awka\"} 1\n"), "{metrics}");
    assert!(!metrics.contains("process_resident_memory_bytes"), "{metrics}");

    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    let certificate = certificates.join("page.cert.pem");
    root.mount("cert.pem", fs::read(&certificate).unwrap());
    root.mount("key.pem", fs::read(certificates.join("page.key.pem")).unwrap());
    root.mount("sites.ron", routers.given_all().http("tls: (cert: \"cert.pem\", key: \"key.pem\"),").text());
    ends(agent, &certificate);

    let mounted = ["cert.pem", "kano.secret", "key.pem", "sites.ron"].map(String::from);
    assert_eq!(root.mounted(), BTreeSet::from(mounted));
    assert_eq!(root.contents(), before, "nothing is written anywhere");
}

fn asks_for_its_file(agent: &Agent) {
    let page = agent.page("/");
    for words in ["Waiting for sites.ron", "/etc/phsweb-agent/sites.ron", "dst=/etc/phsweb-agent\n"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!((agent.get("/healthz").status, agent.get("/readyz").status), (200, 503));
    assert_eq!(agent.running.err().matches("waiting for ").count(), 1, "{}", agent.running.err());
}

/// A file that has this site is in use.
fn has(agent: &Agent, site: &str) {
    let path = format!("/api/hotspot/{site}");
    until(&format!("{site} is there"), || (agent.get(&path).status == 200).then_some(()));
}

/// What is said of a site is what its router holds.
fn tells_the_truth(agent: &Agent, site: &str, router: &Router) {
    let stats = agent.well(site);
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

fn kicks(agent: &Agent, router: &Router) {
    let sessions = router.sessions();
    let session = &sessions[3];
    let body = json!({ "id": session.id, "user": session.user, "mac": session.mac });
    let answer = agent.post("/api/hotspot/awka/kick", body.to_string());
    assert_eq!((answer.status, &answer.json()["removed"][0]["id"]), (200, &json!(session.id)), "{answer:?}");
    assert!(!router.sessions().iter().any(|other| other.id == session.id));
    tells_the_truth(agent, "awka", router);
}

/// It turns to HTTPS, by this certificate, and at SIGTERM ends.
fn ends(mut agent: Agent, certificate: &Path) {
    let address = agent.address;
    assert_eq!(agent.running.line("The page is at https://"), format!("{address}/"));
    let page =
        output("curl", &["-sS", "--cacert", certificate.to_str().unwrap(), &format!("https://{address}/")]);
    assert!(String::from_utf8_lossy(&page).contains("data-key=\"kano\""));
    agent.running.signal("TERM");
    let status = agent.running.ended(END);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!agent.running.err().contains("panicked"), "{}", agent.running.err());
}

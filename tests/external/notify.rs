//! Messages to channels, received by Python's HTTP server over TLS, and by Alertmanager.

use std::io::{BufRead, BufReader, Lines};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use phsweb_agent::alert::{AlertRecord, AlertTime, Notification, Tick};
use phsweb_agent::config::{ChannelConfig, ChannelService, Secret, ServerTrust};
use phsweb_agent::net::proxy::ProxySettings;
use phsweb_agent::net::tls::Authorities;
use phsweb_agent::notify::{http_client, send_once};
use phsweb_agent::simulator::Settings;
use phsweb_agent::timings::Timings;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::agent::{AgentBuilder, TIMEOUT, until};
use super::router;
use crate::support::address::unique_host;
use crate::support::webhook::{Message, webhook};

/// The key that the receiver checks signatures with.
const KEY: &str = "hmac-key-0123456789";

const TOKEN: &str = "123456:s3cret-token-of-the-bot";

/// The receiver. It is killed on drop.
struct Receiver {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    port: u16,
    proxy: u16,
    authorities: Authorities,
    _folder: TempDir,
}

impl Receiver {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-subj", "/CN=receiver", "-days", "2", "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", "subjectAltName=DNS:localhost,DNS:api.telegram.org"])
            .args(["-keyout", &file("key"), "-out", &file("certificate")])
            .output()
            .expect("expected openssl");
        assert!(made.status.success(), "{made:?}");
        let authorities =
            Authorities::from_pem(&std::fs::read_to_string(file("certificate")).unwrap()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/alert_receiver.py");
        let mut child = Command::new("python3")
            .arg(script)
            .args([file("certificate"), file("key")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("expected python3");
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let ports = output.next().expect("expected the ports").unwrap();
        let (port, proxy) = ports.split_once(' ').unwrap();
        let (port, proxy) = (port.parse().unwrap(), proxy.parse().unwrap());
        Self { child, output, port, proxy, authorities, _folder: folder }
    }

    fn send(&self, service: ChannelService) -> Result<String, String> {
        let trust = ServerTrust::Ca(self.authorities.clone());
        let channel = ChannelConfig { name: "ops".into(), service, trust };
        let proxy = format!("127.0.0.1:{}", self.proxy);
        let proxies = ProxySettings::from_environment(&|name| (name == "HTTPS_PROXY").then(|| proxy.clone()));
        let timings = Timings::default();
        let client = http_client(&timings, proxies.unwrap());
        smol::block_on(send_once(&channel, &client, &message(), now(), &timings))
    }

    fn url(&self, path: &str) -> Secret {
        Secret::new(format!("https://localhost:{}{path}", self.port))
    }

    fn received(&mut self) -> Value {
        serde_json::from_str(&self.output.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn message() -> Notification {
    let alert = AlertRecord {
        id: "1".into(),
        kind: "SiteDown".into(),
        site: Some("awka".into()),
        name: Some("Ọ̀ka \"1\"".into()),
        // 2026-05-31, 09:54:33 UTC.
        since: Tick::at(Duration::from_secs(1_780_221_273)),
        message: "Ọ̀ka is down".into(),
        ..AlertRecord::default()
    };
    Notification {
        id: 1,
        title: "Ọ̀ka is down: \"1\"".into(),
        text: "line 1\nline 2".into(),
        alerts: vec![alert],
    }
}

fn now() -> AlertTime {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    AlertTime { tick: Tick::at(unix), unix }
}

fn body(request: &Value) -> Value {
    serde_json::from_str(request["body"].as_str().unwrap()).unwrap()
}

#[test]
#[ignore = "needs python3 and openssl"]
fn python_receives_the_messages_of_each_service_over_tls() {
    let mut receiver = Receiver::start();
    let webhook = |url, body: Option<&str>| ChannelService::Webhook {
        url,
        headers: vec![("X-Key".into(), Secret::new("key-s3cret".into()))],
        secret: Some(Secret::new(KEY.into())),
        body: body.map(Into::into),
    };
    assert_eq!(receiver.send(webhook(receiver.url("/hook?a=b"), None)), Ok("200 OK".into()));
    let request = receiver.received();
    assert_eq!((&request["method"], &request["path"]), (&json!("POST"), &json!("/hook?a=b")));
    assert_eq!(request["fields"]["x-key"], "key-s3cret");
    assert_eq!(request["fields"]["x-signature"], request["signature"]);
    assert_eq!(body(&request)["alerts"][0]["name"], "Ọ̀ka \"1\"");

    receiver.send(webhook(receiver.url("/"), Some(r#"{"t":"{title}","a":{alerts}}"#))).unwrap();
    let request = receiver.received();
    assert_eq!(request["fields"]["x-signature"], request["signature"]);
    assert_eq!(body(&request)["t"], message().title);
    assert_eq!(body(&request)["a"][0]["until"], Value::Null);

    let token = Some(Secret::new("tk_s3cret".into()));
    receiver.send(ChannelService::Ntfy { url: receiver.url("/topic"), token }).unwrap();
    let request = receiver.received();
    assert_eq!((&request["path"], &request["title"]), (&json!("/topic"), &json!(message().title)));
    assert_eq!(
        (&request["body"], &request["fields"]["authorization"]),
        (&json!("line 1\nline 2"), &json!("Bearer tk_s3cret"))
    );

    receiver.send(ChannelService::Slack { url: receiver.url("/slack") }).unwrap();
    assert_eq!(body(&receiver.received())["text"], "Ọ̀ka is down: \"1\"\nline 1\nline 2");
    receiver.send(ChannelService::Discord { url: receiver.url("/discord") }).unwrap();
    assert_eq!(body(&receiver.received())["content"], "Ọ̀ka is down: \"1\"\nline 1\nline 2");
    receiver.send(ChannelService::Alertmanager { url: receiver.url("/prefix/") }).unwrap();
    let request = receiver.received();
    assert_eq!(request["path"], "/prefix/api/v2/alerts");
    assert_eq!(body(&request)[0]["labels"]["alertname"], "SiteDown");

    let error = receiver.send(ChannelService::Slack { url: receiver.url("/refuse-s3cret") }).unwrap_err();
    assert!(error.starts_with("429 Too Many Requests: ") && !error.contains("s3cret"), "{error}");
}

#[test]
#[ignore = "needs python3 and openssl"]
fn telegram_is_reached_through_a_proxy() {
    let mut receiver = Receiver::start();
    let telegram = || ChannelService::Telegram { token: Secret::new(TOKEN.into()), chat: "-1001234".into() };
    assert_eq!(receiver.send(telegram()), Ok("200 OK".into()));
    let request = receiver.received();
    assert_eq!(request["path"], format!("/bot{TOKEN}/sendMessage"));
    assert_eq!(request["fields"]["host"], "api.telegram.org");
    assert_eq!(body(&request)["chat_id"], "-1001234");
    // The built-in authorities did not sign this certificate.
    receiver.authorities = Authorities::built_in();
    let error = receiver.send(telegram()).unwrap_err();
    assert!(error.contains("https://api.telegram.org: the certificate is"), "{error}");
    assert!(!error.contains(TOKEN), "{error}");
}

/// The state and the name of the alert in the next notification.
#[track_caller]
fn next(notifications: &mpsc::Receiver<Message>) -> (String, String) {
    let (_, body) = notifications.recv_timeout(TIMEOUT).expect("expected a notification");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let text = |pointer: &str| body.pointer(pointer).unwrap().as_str().unwrap().to_string();
    (text("/alerts/0/status"), text("/alerts/0/labels/alertname"))
}

/// An Alertmanager. It is killed on drop.
struct Alertmanager {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Alertmanager {
    /// One that notifies a webhook at once of each alert.
    fn start(webhook: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("alertmanager.yml");
        let config = format!(
            "{{route: {{receiver: hook, group_by: [id], group_wait: 0s, group_interval: 1s}}, \
             receivers: [{{name: hook, webhook_configs: [{{url: 'http://{webhook}'}}]}}]}}"
        );
        std::fs::write(&file, config).unwrap();
        // It does not report which port it chose.
        let address = TcpListener::bind((unique_host(), 0)).unwrap().local_addr().unwrap();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stderr(Stdio::null())
            .spawn()
            .expect("expected prometheus-alertmanager");
        let started = Self { child, address, _folder: folder };
        until("Alertmanager serves", || started.alerts());
        started
    }

    /// The labels of the alerts that fire.
    fn alerts(&self) -> Option<Value> {
        let http: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let mut answer = http.get(format!("http://{}/api/v2/alerts", self.address)).call().ok()?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs prometheus-alertmanager"]
fn alertmanager_shows_and_resolves_alerts() {
    let (webhook, notifications) = webhook();
    let alertmanager = Alertmanager::start(webhook);
    let url = Secret::new(format!("http://{}", alertmanager.address));
    let service = ChannelService::Alertmanager { url };
    let channel = ChannelConfig { name: "am".into(), service, trust: ServerTrust::BuiltIn };
    let timings = Timings::default();
    let client = http_client(&timings, ProxySettings::default());
    let send =
        |message: &Notification| smol::block_on(send_once(&channel, &client, message, now(), &timings));
    let mut message = message();
    assert_eq!(send(&message), Ok("200 OK".into()));
    let shown = until("the alert is shown", || {
        alertmanager.alerts().filter(|alerts| alerts.as_array().is_some_and(|alerts| !alerts.is_empty()))
    });
    assert_eq!(shown[0]["labels"]["site"], "awka", "{shown}");
    assert_eq!(shown[0]["annotations"]["summary"], "Ọ̀ka is down", "{shown}");
    assert_eq!(shown[0]["startsAt"], "2026-05-31T09:54:33.000Z", "{shown}");
    assert_eq!(next(&notifications), ("firing".into(), "SiteDown".into()));
    message.alerts[0].until = Some(now().tick);
    assert_eq!(send(&message), Ok("200 OK".into()));
    until("the alert is resolved", || alertmanager.alerts().filter(|alerts| *alerts == json!([])));
    assert_eq!(next(&notifications), ("resolved".into(), "SiteDown".into()));
    // It ended before it was sent, as in quiet hours.
    let (id, kind) = ("2".into(), "PluginFailing".into());
    message.alerts[0] = AlertRecord { id, kind, is_brief: true, ..message.alerts[0].clone() };
    assert_eq!(send(&message), Ok("200 OK".into()));
    assert_eq!(next(&notifications), ("firing".into(), "PluginFailing".into()));
}

#[test]
#[ignore = "needs prometheus-alertmanager"]
fn alertmanager_notifies_of_a_reboot() {
    let (webhook, notifications) = webhook();
    let alertmanager = Alertmanager::start(webhook);
    let router = router(Settings::default());
    let alerts = format!(
        "alerts: (on: [Rebooted], to: {{\"am\": Alertmanager(url: \"http://{}\")}}),",
        alertmanager.address
    );
    let agent = AgentBuilder::default().file(&alerts).defaults("refresh: \"1s\",");
    let agent = agent.timing("alert_group", "100ms").timing("alert_tick", "50ms");
    let agent = agent.site("awka", router.addr(), "").start();
    agent.wait_until_active("awka");
    router.reboot();
    assert_eq!(next(&notifications), ("firing".into(), "Rebooted".into()));
}

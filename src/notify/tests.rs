//! Channels against receivers on real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::samples::{firing, message, resolved};
use super::*;
use crate::alert::{AlertRecord, Alerts, Notification};
use crate::config::{AlertsConfig, ChannelConfig, ChannelService, HeartbeatConfig, Secret, ServerTrust};
use crate::net::proxy::ProxySettings;
use crate::timings::Timings;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

const REFUSED: &str = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";

/// How long a test waits for something.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The body of each request that a server receives, and when. Each response is used once, and the last one from then on.
fn receiver(listener: TcpListener, responses: &[&str]) -> Receiver<(String, Instant)> {
    receiver_except(listener, "no request has this", responses)
}

/// The same, but requests with this word are refused.
fn receiver_except(
    listener: TcpListener,
    word: &'static str,
    responses: &[&str],
) -> Receiver<(String, Instant)> {
    let (sender, received) = channel();
    let mut responses: Vec<String> = responses.iter().rev().map(ToString::to_string).collect();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&mut stream);
            let response = match responses.len() {
                _ if request.contains(word) => REFUSED.into(),
                1 => responses[0].clone(),
                _ => responses.pop().unwrap(),
            };
            let _ = stream.write_all(response.as_bytes());
            if sender.send((request, Instant::now())).is_err() {
                break;
            }
        }
    });
    received
}

/// The first line of a GET, or the body of a POST.
fn read_request(stream: &mut impl Read) -> String {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).unwrap();
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split_once("Content-Length: ").map(|(_, rest)| rest.lines().next().unwrap());
        match length {
            None => return head.lines().next().unwrap().into(),
            Some(length) if body.len() >= length.parse().unwrap() => return body.into(),
            Some(_) => {}
        }
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn webhook(name: &str, address: SocketAddr) -> ChannelConfig {
    let url = Secret::new(format!("http://{address}/token-s3cret"));
    let service =
        ChannelService::Webhook { url, headers: Vec::new(), secret: None, body: Some("{title}".into()) };
    ChannelConfig { name: name.into(), service, trust: ServerTrust::BuiltIn }
}

fn alertmanager(address: SocketAddr) -> ChannelConfig {
    let service = ChannelService::Alertmanager { url: Secret::new(format!("http://{address}/")) };
    ChannelConfig { name: "am".into(), service, trust: ServerTrust::BuiltIn }
}

/// Whether the alert at this place of the body ends later than a group of Alertmanager waits.
fn fires_for_long(body: &str, at: usize) -> bool {
    let body: Value = serde_json::from_str(body).unwrap();
    let end = humantime::parse_rfc3339(body[at]["endsAt"].as_str().unwrap()).unwrap();
    end > SystemTime::now() + Duration::from_secs(300)
}

fn alerts(channels: Vec<ChannelConfig>) -> AlertsConfig {
    AlertsConfig { channels, ..AlertsConfig::default() }
}

fn timings() -> Arc<Timings> {
    let text = "notify_retry_min=10ms notify_retry_max=20ms notify_permanent_retry=60ms notify_resend=40ms";
    Arc::new(Timings::default().with(text).unwrap())
}

fn notifier(saved: SavedMessages) -> Notifier {
    let notifier = Notifier::new(Arc::new(Alerts::new(Duration::ZERO)), timings(), ProxySettings::default());
    notifier.restore(saved);
    notifier
}

fn titled(title: &str) -> Notification {
    message(title, "", vec![])
}

fn next(received: &Receiver<(String, Instant)>) -> String {
    received.recv_timeout(TIMEOUT).expect("expected a request").0
}

#[track_caller]
fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < TIMEOUT, "expected that {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn messages_wait_while_the_receiver_is_down() {
    let (listener, address) = listen();
    drop(listener);
    let notifier = notifier(SavedMessages::default());
    notifier.configure(&alerts(vec![webhook("ops", address)]));
    for number in 0..MAX_QUEUED + 6 {
        notifier.send(titled(&number.to_string()));
    }
    let status = || notifier.channels().remove(0);
    until("the attempts fail", || status().attempts.failed > 3);
    assert_eq!((status().queued, status().dropped), (MAX_QUEUED, 6));
    let error = status().attempts.last.unwrap().result.unwrap_err();
    assert!(error.contains("refused") && !error.contains("s3cret"), "{error}");
    let Ok(listener) = TcpListener::bind(address) else { return };
    let received = receiver(listener, &[OK]);
    for number in 6..MAX_QUEUED + 6 {
        assert_eq!(next(&received), number.to_string());
    }
    until("the queue is empty", || status().queued == 0);
    assert_eq!(status().attempts.last.unwrap().result, Ok("200 OK".into()));
}

#[test]
fn errors_are_retried_when_the_server_permits() {
    for (response, least_ms, error) in [
        ("HTTP/1.1 500 Oops\r\n\r\nno token-s3cret\r\n", 10, "500 Oops: no …"),
        ("HTTP/1.1 429 Slow\r\nRetry-After: 0.1\r\n\r\n", 100, "429 Slow"),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 60, "401 Unauthorized"),
        (
            "HTTP/1.1 301 Moved\r\nLocation: http://other/s3cret\r\n\r\n",
            60,
            "redirects (301) to http://other: configure",
        ),
        ("SSH-2.0\r\n", 10, "not HTTP"),
    ] {
        let (listener, address) = listen();
        let received = receiver(listener, &[response, OK]);
        let notifier = notifier(SavedMessages::default());
        notifier.configure(&alerts(vec![webhook("ops", address)]));
        notifier.send(titled("a"));
        let (_, first) = received.recv_timeout(TIMEOUT).unwrap();
        until("the attempt failed", || notifier.channels()[0].attempts.failed == 1);
        let shown = notifier.channels()[0].attempts.last.clone().unwrap().result;
        let (title, second) = received.recv_timeout(TIMEOUT).unwrap();
        assert_eq!(title, "a");
        assert!(second - first >= Duration::from_millis(least_ms), "{response}: {:?}", second - first);
        let shown = shown.unwrap_err();
        assert!(shown.contains(error) && !shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn a_message_that_the_server_refuses_does_not_block_the_next() {
    let (listener, address) = listen();
    let received = receiver(listener, &[REFUSED, OK, REFUSED, OK]);
    let notifier = notifier(SavedMessages::default());
    notifier.configure(&alerts(vec![webhook("ops", address)]));
    notifier.send(titled("bad"));
    notifier.send(titled("good"));
    assert_eq!([next(&received), next(&received), next(&received)], ["bad", "good", "bad"]);
    until("the bad one is dropped", || notifier.channels()[0].dropped == 1);
    assert_eq!(notifier.channels()[0].queued, 0);
}

#[test]
fn a_silent_receiver_delays_no_other_channel() {
    let (silent, silent_address) = listen();
    let (listener, address) = listen();
    let received = receiver(listener, &[OK]);
    let notifier = notifier(SavedMessages::default());
    notifier.configure(&alerts(vec![webhook("silent", silent_address), webhook("ops", address)]));
    for title in ["a", "b", "c"] {
        notifier.send(titled(title));
    }
    assert_eq!([next(&received), next(&received), next(&received)], ["a", "b", "c"]);
    assert_eq!(notifier.channels()[0].queued, 3);
    drop(silent);
}

#[test]
fn a_changed_channel_keeps_its_messages_and_a_restart_restores_them() {
    let (listener, closed) = listen();
    drop(listener);
    let notifier = notifier(SavedMessages::default());
    notifier.configure(&alerts(vec![webhook("ops", closed), webhook("other", closed)]));
    let revision = notifier.revision();
    notifier.send(titled("a"));
    assert!(notifier.revision() > revision);
    let bytes = notifier.saved().encode().unwrap();

    let (listener, address) = listen();
    let received = receiver(listener, &[OK]);
    notifier.configure(&alerts(vec![webhook("ops", address)]));
    assert_eq!(next(&received), "a");
    until("the queue is empty", || notifier.channels()[0].queued == 0);
    assert_eq!(notifier.channels().len(), 1);

    let restarted = super::tests::notifier(SavedMessages::decode(&bytes).unwrap());
    restarted.configure(&alerts(vec![webhook("ops", address)]));
    assert_eq!(next(&received), "a");
}

#[test]
fn alertmanager_gets_alerts_that_fire_again_and_again() {
    let (listener, address) = listen();
    let received = receiver_except(listener, "abuja", &[OK]);
    let notifier = notifier(SavedMessages::default());
    notifier.configure(&alerts(vec![alertmanager(address)]));
    let sites = |body: &str| {
        let alerts: Value = serde_json::from_str(body).unwrap();
        let of = |alert: &Value| alert["labels"]["site"].as_str().unwrap().to_string();
        alerts.as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let passed = AlertRecord { is_brief: true, ..resolved("SiteDown", "lagos") };
    notifier.send(message("t", "", vec![firing("SiteDown", "awka"), firing("SiteDown", "jos"), passed]));
    let all = next(&received);
    assert!(sites(&all) == ["awka", "jos", "lagos"] && fires_for_long(&all, 2), "{all}");
    for _ in 0..3 {
        assert_eq!(sites(&next(&received)), ["awka", "jos"]);
    }
    notifier.send(message("t", "", vec![resolved("SiteDown", "awka")]));
    until("only one is sent again", || sites(&next(&received)) == ["jos"]);
    // After a restart it still has to be sent.
    let firing_now = || notifier.saved().channels["am"].firing.clone();
    assert_eq!(firing_now(), [firing("SiteDown", "jos")]);
    // A message that the server refuses is no reason to let the others resolve.
    notifier.send(message("t", "", vec![firing("SiteDown", "abuja")]));
    until("the new one is refused", || sites(&next(&received)) == ["abuja"]);
    until("the other one is sent again", || sites(&next(&received)) == ["jos"]);
    notifier.retain_firing(|id| id == "SiteDown-abuja");
    assert_eq!(firing_now(), []);
}

#[test]
fn what_ended_while_alertmanager_was_down_fires_there() {
    let (listener, address) = listen();
    let received = receiver(listener, &["HTTP/1.1 503 Oops\r\nContent-Length: 0\r\n\r\n", OK]);
    let notifier = notifier(SavedMessages::default());
    notifier.configure(&alerts(vec![alertmanager(address)]));
    notifier.send(message("t", "", vec![firing("SiteDown", "awka")]));
    notifier.send(message("t", "", vec![resolved("SiteDown", "awka")]));
    until("it fires for long", || fires_for_long(&next(&received), 0));
}

/// The body of each request. Each response waits for the sender.
fn held_receiver(listener: TcpListener) -> (Receiver<String>, Sender<()>) {
    let ((sender, received), (release, released)) = (channel(), channel());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            sender.send(read_request(&mut stream)).unwrap();
            if released.recv().is_err() {
                break;
            }
            let _ = stream.write_all(OK.as_bytes());
        }
    });
    (received, release)
}

#[test]
fn a_change_of_a_channel_waits_for_the_attempt_in_progress() {
    let (listener, address) = listen();
    let (received, release) = held_receiver(listener);
    let notifier = notifier(SavedMessages::default());
    notifier.configure(&alerts(vec![webhook("ops", address)]));
    notifier.send(titled("a"));
    assert_eq!(received.recv_timeout(TIMEOUT).unwrap(), "a");
    let mut changed = webhook("ops", address);
    let ChannelService::Webhook { body, .. } = &mut changed.service else { panic!() };
    *body = Some("{title}!".into());
    notifier.configure(&alerts(vec![changed]));
    notifier.send(titled("b"));
    (0..2).for_each(|_| release.send(()).unwrap());
    assert_eq!(received.recv_timeout(TIMEOUT).unwrap(), "b!", "the first one was delivered");
}

#[test]
fn the_end_waits_for_the_attempt_in_progress() {
    let (listener, address) = listen();
    let (received, release) = held_receiver(listener);
    let notifier = notifier(SavedMessages::default());
    notifier.configure(&alerts(vec![webhook("ops", address)]));
    notifier.send(titled("a"));
    received.recv_timeout(TIMEOUT).unwrap();
    smol::block_on(async {
        let mut stop = std::pin::pin!(notifier.stop());
        assert!(smol::future::poll_once(&mut stop).await.is_none());
        release.send(()).unwrap();
        stop.await;
    });
    assert_eq!(notifier.channels()[0].queued, 0);
}

#[test]
fn heartbeats_are_sent_at_each_interval() {
    let (listener, address) = listen();
    let received = receiver(listener, &[OK, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"]);
    let notifier = Notifier::new(Arc::new(Alerts::new(Duration::ZERO)), timings(), ProxySettings::default());
    let url = Secret::new(format!("http://{address}/ping/s3cret"));
    let every = Duration::from_millis(10);
    let heartbeat = Some(HeartbeatConfig { url, every, trust: ServerTrust::BuiltIn });
    notifier.configure(&AlertsConfig { heartbeat, ..AlertsConfig::default() });
    assert_eq!(next(&received), "GET /ping/s3cret HTTP/1.1");
    next(&received);
    until("a heartbeat fails", || notifier.heartbeat().unwrap().failed > 0);
    let attempts = notifier.heartbeat().unwrap();
    assert_eq!((attempts.delivered, attempts.last.unwrap().result), (1, Err("500 Oops".into())));
}

#[test]
fn an_invalid_url_is_shown_as_the_result() {
    let mut config = webhook("ops", ([127, 0, 0, 1], 1).into());
    config.service = ChannelService::Slack { url: Secret::new("hooks.slack.com/s3cret".into()) };
    let notifier = notifier(SavedMessages::default());
    notifier.configure(&alerts(vec![config]));
    until("it is reported", || notifier.channels()[0].attempts.failed == 1);
    let error = notifier.channels().remove(0).attempts.last.unwrap().result.unwrap_err();
    assert_eq!(error, "the URL does not begin with https:// or http://");
}

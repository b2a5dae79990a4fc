//! Alerts: what a webhook receives, and what `/api/alerts`, the page, the metrics and the log show.

use std::sync::mpsc;

use phsweb_agent::simulator::{Fault, Settings};
use ring::hmac;
use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, TIMEOUT, until};
use super::router;
use crate::support::webhook::{Message, webhook};

const ADMIN: &str = "admin: Token(Plain(\"admin-token-01234\")),";

const KEY: &str = "key-of-the-signature";

/// The next message, whose signature must be valid.
#[track_caller]
fn next(messages: &mpsc::Receiver<Message>) -> Value {
    let (signature, body) = messages.recv_timeout(TIMEOUT).unwrap();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes()), &body);
    let digits = tag.as_ref().iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"));
    assert_eq!(signature, format!("sha256={digits}"));
    serde_json::from_slice(&body).unwrap()
}

/// The list of alerts, when it fulfils a condition.
#[track_caller]
fn alerts_when(agent: &Agent, what: &str, is_true: impl Fn(&Value) -> bool) -> Value {
    until(what, || Some(agent.json("/api/alerts")).filter(&is_true))
}

#[track_caller]
fn wait_for_log(agent: &Agent, line: &str) {
    until(&format!("the log has {line:?}"), || agent.running.err().contains(line).then_some(()));
}

#[test]
fn an_outage_is_one_message_and_its_end_another() {
    let router = router(Settings::default());
    let (address, messages) = webhook();
    let alerts = format!(
        "alerts: (on: [SiteDown(after: \"1s\")], to: {{\"hook\": Webhook(url: \"http://{address}/hook\", secret: Plain(\"{KEY}\"))}}),"
    );
    let agent = AgentBuilder::default().file(&alerts).http(ADMIN);
    let agent = agent.timing("alert_group", "100ms").timing("alert_tick", "50ms");
    let agent = agent.site("awka", router.addr(), "name: \"Awka\"").start().with_token("admin-token-01234");
    agent.wait_until_active("awka");
    let tag = agent.get("/api/alerts").field("ETag").to_string();
    router.set_fault(Some(Fault::NoService));

    let message = next(&messages);
    let alert = &message["alerts"][0];
    let id = alert["id"].as_str().unwrap();
    assert_eq!((&message["version"], message["alerts"].as_array().unwrap().len()), (&json!(1), 1));
    for (name, expected) in [
        ("kind", json!("SiteDown")),
        ("site", json!("awka")),
        ("name", json!("Awka")),
        ("state", json!("firing")),
        ("until", Value::Null),
        ("value", Value::Null),
    ] {
        assert_eq!(alert[name], expected, "{name}: {message}");
    }
    assert!(alert["message"].as_str().unwrap().starts_with("Awka is offline for 1s: "), "{message}");

    let is_delivered = |list: &Value| list["firing"][0]["delivery"][0]["result"] == "delivered";
    let list = alerts_when(&agent, "the message is delivered", is_delivered);
    let firing = &list["firing"][0];
    assert_eq!(
        (&firing["id"], &firing["since"], &firing["acknowledged"]),
        (&alert["id"], &alert["since"], &Value::Null)
    );
    assert_eq!((&firing["delivery"][0]["channel"], &list["past"]), (&json!("hook"), &json!([])));
    assert_eq!(
        (&list["channels"][0]["delivered"], &list["channels"][0]["last"]["result"]),
        (&json!(1), &json!("200 OK"))
    );
    assert_eq!(agent.ask("GET", "/api/alerts", &[("If-None-Match", &tag)]).status, 200);
    let metrics = agent.get("/metrics").body;
    for line in [
        "phsweb_agent_alerts_firing{kind=\"SiteDown\"} 1\n",
        "phsweb_agent_alerts_firing{kind=\"Rebooted\"} 0\n",
        "phsweb_agent_notifications_total{channel=\"hook\",result=\"delivered\"} 1\n",
        "phsweb_agent_notifications_queued{channel=\"hook\"} 0\n",
    ] {
        assert!(metrics.contains(line), "expected {line:?} in {metrics}");
    }
    let page = agent.page("/alerts");
    for part in [
        "<strong>1 firing</strong>",
        "Awka is offline",
        "hook: delivered ",
        "Last message to <strong>hook</strong>",
    ] {
        assert!(page.contains(part), "expected {part:?} in {page}");
    }
    let acknowledged = agent.post(&format!("/api/alerts/{id}/acknowledge"), "").json();
    assert_eq!((&acknowledged["id"], &acknowledged["acknowledged"]["by"]), (&alert["id"], &json!("admin")));
    wait_for_log(
        &agent,
        &format!("action=acknowledge alert={id} by=admin peer=127.0.0.1 result=acknowledged"),
    );

    router.set_fault(None);
    let message = next(&messages);
    let resolved = &message["alerts"][0];
    assert_eq!((&resolved["id"], &resolved["state"]), (&alert["id"], &json!("resolved")));
    assert!(resolved["until"].is_string(), "{message}");
    assert!(resolved["message"].as_str().unwrap().starts_with("Awka is online again after "), "{message}");
    let is_delivered = |list: &Value| list["past"][0]["delivery"][1]["result"] == "delivered";
    let list = alerts_when(&agent, "the end is delivered", is_delivered);
    assert_eq!((&list["firing"], &list["past"][0]["acknowledged"]["by"]), (&json!([]), &json!("admin")));
    assert_eq!(list["past"][0]["delivery"][1]["state"], "resolved");
    assert_eq!(agent.post(&format!("/api/alerts/{id}/acknowledge"), "").status, 404);
    assert!(messages.try_recv().is_err(), "expected no other message");
}

#[test]
fn a_reboot_is_one_message_that_fires() {
    let router = router(Settings::default());
    let (address, messages) = webhook();
    let alerts = format!(
        "alerts: (on: [Rebooted], to: {{\"hook\": Webhook(url: \"http://{address}\", secret: Plain(\"{KEY}\"))}}),"
    );
    let agent = AgentBuilder::default().file(&alerts).defaults("refresh: \"1s\",");
    let agent = agent.timing("alert_group", "100ms").timing("alert_tick", "50ms");
    let agent = agent.site("awka", router.addr(), "name: \"Awka\"").start();
    agent.wait_until_active("awka");
    router.reboot();
    let message = next(&messages);
    let alert = &message["alerts"][0];
    assert_eq!((&message["title"], &alert["state"]), (&json!("Awka rebooted"), &json!("firing")));
    assert_eq!((&alert["kind"], &alert["until"]), (&json!("Rebooted"), &Value::Null));
    let text = message["text"].as_str().unwrap();
    assert!(text.starts_with("Awka rebooted\nIf nobody rebooted it, check its power supply"), "{message}");
    let is_delivered = |list: &Value| list["past"][0]["delivery"][0]["result"] == "delivered";
    let list = alerts_when(&agent, "the message is delivered", is_delivered);
    let past = &list["past"][0];
    assert_eq!((&past["id"], &past["delivery"][0]["state"]), (&alert["id"], &json!("firing")));
    assert_eq!((&past["state"], &past["until"]), (&json!("resolved"), &past["since"]));
    let page = agent.page("/alerts");
    assert!(page.contains("Awka rebooted") && page.contains("hook: delivered "), "{page}");
}

#[test]
fn a_mute_is_listed_and_logged_until_it_is_ended() {
    let agent = AgentBuilder::default()
        .http(ADMIN)
        .raw_site("awka", "hosts: [\"127.0.0.1:9\"], password: Plain(\"password\")");
    let agent = agent.start().with_token("admin-token-01234");
    let mute = agent.post("/api/alerts/mute", r#"{"site": "awka", "for": "1h"}"#).json();
    assert_eq!((&mute["site"], &mute["by"]), (&json!("awka"), &json!("admin")));
    assert_eq!(agent.json("/api/alerts")["mutes"], json!([mute]));
    wait_for_log(&agent, "action=mute site=awka for=1h by=admin peer=127.0.0.1 result=muted");
    let body = agent.post("/api/alerts/mute", r#"{"for": "2months"}"#);
    assert_eq!(body.status, 400);
    assert!(body.json()["detail"].as_str().unwrap().contains("expected a time such as 1h"), "{body:?}");

    // The form of the page.
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = agent.ask_with("POST", "/alerts/mute", &form, b"site=awka&for=0s");
    assert_eq!((answer.status, answer.location().as_str()), (303, "/alerts?notice=mute"));
    assert_eq!(agent.json("/api/alerts")["mutes"], json!([]));
    wait_for_log(&agent, "action=mute site=awka for=0s by=admin peer=127.0.0.1 result=unmuted");
}

#[test]
fn without_a_section_alerts_the_built_in_rules_are_shown() {
    let agent = AgentBuilder::default().http(ADMIN).timing("alert_tick", "50ms").start();
    for _ in 0..20 {
        let refused = agent.ask("GET", "/api/journal", &[("Authorization", "Bearer wrong-token")]);
        assert!([401, 429].contains(&refused.status), "{refused:?}");
    }
    let list = alerts_when(&agent, "refused logins are reported", |list| list["firing"] != json!([]));
    assert_eq!(
        (&list["firing"][0]["kind"], &list["firing"][0]["site"]),
        (&json!("LoginsRefused"), &Value::Null)
    );
    assert_eq!((&list["firing"][0]["delivery"], &list["channels"]), (&json!([]), &json!([])));
    let page = agent.page("/alerts");
    for part in ["1 firing", "No channel is configured", "docs/channels.md"] {
        assert!(page.contains(part), "expected {part:?} in {page}");
    }
    assert!(!page.contains("<button"), "expected no forms for a viewer in {page}");
}

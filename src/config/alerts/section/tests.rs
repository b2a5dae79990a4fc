//! The section `alerts` of a file, and the messages about its problems.

use std::time::Duration;

use crate::config::{
    AlertCondition, AlertFigure, ChannelService, Config, Secret, ServerTrust, SiteAlerts, Threshold, parse,
};

fn load(alerts: &str, site: &str) -> Result<Config, String> {
    let text = format!(
        "(sites: {{\"a\": (hosts: [\"h\"], user: \"u\", password: Plain(\"p\"){site})}}, alerts: ({alerts}))"
    );
    let environment = |name: &str| (name == "KEY").then(|| "secret-of-key".to_string());
    parse("sites.ron".as_ref(), &text, &environment).map_err(|problems| problems.to_string())
}

#[test]
fn the_rules_of_the_documentation_are_read() {
    let config = load(
        r#"on: [
            SiteDown(after: "90s"), Rebooted, PluginFailing(after: "10m"),
            Above(figure: CpuLoad, limit: 90, clear: 75, after: "10m"),
            Below(figure: ActiveUsers, limit: 1, after: "2h", between: ("08:00", "22:00"), days: ["Mon"]),
            CertificateExpires(within: "14days"), SiteDown(), Above(figure: Temperature, limit: 60.5),
        ],
        to: {
            "ops": Telegram(token: Plain("t"), chat: "-1001234"),
            "phone": Ntfy(url: "https://ntfy.sh/topic", token: Env("KEY"), ca: System),
            "hook": Webhook(url: "https://hook.example", headers: {"X-Key": Env("KEY"), "X-Text": "t"}, secret: Env("KEY")),
            "am": Alertmanager(url: "http://10.0.0.1:9093"),
            "chat": Slack(url: Plain("https://hooks.slack.com/services/T/B/X")),
        },
        remind: "6h",
        quiet: [(from: "22:00", to: "07:00")],
        heartbeat: (url: "https://hc.example/x", every: "1m"),"#,
        "",
    );
    let config = config.unwrap();
    assert_eq!(config.warnings, []);
    let alerts = config.alerts;
    let threshold = Threshold { figure: AlertFigure::CpuLoad, limit: 90.0, clear: 75.0 };
    assert_eq!(alerts.rules[3].condition, AlertCondition::Above(threshold));
    let threshold = Threshold { figure: AlertFigure::ActiveUsers, limit: 1.0, clear: 1.0 };
    assert_eq!(alerts.rules[4].condition, AlertCondition::Below(threshold));
    assert_eq!(alerts.rules[6].after, Duration::from_secs(90));
    let threshold = Threshold { figure: AlertFigure::Temperature, limit: 60.5, clear: 55.5 };
    assert_eq!(alerts.rules[7].condition, AlertCondition::Above(threshold));
    let names: Vec<&str> = alerts.channels.iter().map(|channel| &*channel.name).collect();
    assert_eq!(names, ["ops", "phone", "hook", "am", "chat"]);
    assert_eq!(alerts.channels[1].trust, ServerTrust::System);
    let ChannelService::Webhook { headers, body: None, .. } = &alerts.channels[2].service else { panic!() };
    assert_eq!(headers[0], ("X-Key".to_string(), Secret::new("secret-of-key".into())));
    assert_eq!((alerts.remind, alerts.quiet.len()), (Some(Duration::from_secs(6 * 3600)), 1));
    assert!(!format!("{:?}", alerts.channels).contains("hooks.slack.com"), "a URL is a secret");
    let below = load("on: [Below(figure: MemoryUsed, limit: 95)]", "").unwrap().alerts.rules[0].condition;
    let threshold = Threshold { figure: AlertFigure::MemoryUsed, limit: 95.0, clear: 100.0 };
    assert_eq!(below, AlertCondition::Below(threshold), "a percentage that can be reached");
    assert_eq!(load("", "").unwrap().alerts.rules.len(), 11);
    assert_eq!(load("on: []", "").unwrap().alerts.rules, []);
    assert_eq!(load("", ", alerts: Off").unwrap().sites[0].alerts, SiteAlerts::Off);
    let rules = load("", ", alerts: [SiteDown(after: \"5m\")]").unwrap().sites[0].alerts.clone();
    assert!(matches!(rules, SiteAlerts::Rules(rules) if rules.len() == 1));
}

#[test]
fn problems_have_their_place_and_say_what_was_expected() {
    for (text, expected) in [
        ("on: [SiteDwn]", "no rule is named `SiteDwn`; did you mean `SiteDown`?"),
        ("on: [5]", "alerts.on: found a number; expected a rule"),
        ("on: [Rebooted(after: \"1m\")]", "alerts.after: Rebooted has no such field; expected none"),
        ("on: [SiteDown(limit: 5)]", "SiteDown has no such field; expected after, between, days"),
        (
            "on: [SiteDown(after: \"8days\")]",
            "alerts.after: found \"8days\"; expected a duration from 0s to 7days",
        ),
        ("on: [Above(figure: CpuLoad)]", "Above has no limit; expected a number from -273"),
        ("on: [Above(limit: 5)]", "Above has no figure; expected CpuLoad,"),
        ("on: [Above(figure: Cpu, limit: 5)]", "alerts.figure: found Cpu; expected CpuLoad,"),
        ("on: [Above(figure: CpuLoad, limit: 900)]", "alerts.limit: found 900; expected a percentage"),
        (
            "on: [Below(figure: CpuLoad, limit: 90, clear: 105)]",
            "alerts.clear: found 105; expected a percentage from 0 to 100",
        ),
        (
            "on: [Above(figure: CpuLoad, limit: 90, clear: 95)]",
            "alerts.clear: found 95; expected at most the limit, 90",
        ),
        (
            "on: [Below(figure: CpuLoad, limit: 9, clear: 5)]",
            "alerts.clear: found 5; expected at least the limit, 9",
        ),
        ("on: [SiteDown(between: (\"8\", \"22:00\"))]", "expected two times of the day"),
        ("on: [SiteDown(days: [\"Monday\"])]", "alerts.days: found \"Monday\"; expected \"Mon\""),
        ("quiet: [(from: \"22:00\")]", "alerts.quiet has no to; expected to: \"07:00\""),
        ("quiet: [(from: \"22:00\", to: \"25:00\")]", "expected a time of the day, such as \"07:00\""),
        ("remind: \"1s\"", "alerts.remind: found \"1s\"; expected a duration from 1m"),
        ("to: {\"o\": Teams(url: \"https://x\")}", "no service is named `Teams`"),
        ("to: {\"o\": Telegram(token: Plain(\"t\"))}", "Telegram has no chat; expected"),
        (
            "to: {\"o\": Slack(url: \"hooks.slack.com/TOPSECRET\")}",
            "alerts.to.o.url: the URL does not begin with https",
        ),
        ("to: {\"o\": Slack(url: \"https://a/b c\")}", "alerts.to.o.url: the URL has a space"),
        ("to: {\"o\": Webhook(url: \"https://a:0/\")}", "alerts.to.o.url: the URL has no valid port"),
        (
            "to: {\"o\": Telegram(token: Plain(\"a b\"), chat: \"1\")}",
            "alerts.to.o.token: the token has characters",
        ),
        (
            "to: {\"o\": Slack(\"https://hooks.slack.com/TOPSECRET\")}",
            "expected a structure in round brackets",
        ),
        ("to: \"https://hooks.slack.com/TOPSECRET\"", "alerts.to: found a text; expected a map"),
        ("to: {\"o\": Ntfy(url: Env(\"UNSET\"))}", "the environment variable UNSET is not set"),
        (
            "to: {\"o\": Webhook(url: \"https://x\", headers: {\"Host\": \"x\"})}",
            "expected the name of a header",
        ),
        (
            "to: {\"o\": Slack(url: \"https://x\", ca: Pin(\"x\"))}",
            "alerts.to.o.ca: found Pin(…) of another form; expected System",
        ),
        ("heartbeat: (every: \"1m\")", "alerts.heartbeat has no url; expected url:"),
    ] {
        let problems = load(text, "").unwrap_err();
        assert!(problems.contains(expected), "{text}: {problems}");
        assert!(problems.starts_with("sites.ron:1:"), "{problems}");
        assert!(!problems.contains("TOPSECRET"), "{problems}");
    }
    let warned = load("to: {\"o\": Webhook(url: \"http://hook.example/x\")}", "").unwrap().warnings;
    assert!(warned[0].message().contains("cross the Internet in clear"), "{warned:?}");
}

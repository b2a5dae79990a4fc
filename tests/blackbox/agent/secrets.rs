//! No output or response of the agent contains a secret.

use std::fs;

use phsweb_agent::simulator::{Login, Settings};

use super::agent::{Agent, AgentBuilder, program, run_to_end, until};
use super::{router, version};
use crate::support::reloading_agent::{ReloadingAgent, WriteMethod};

const PASSWORDS: [&str; 4] = ["pw-plain-7f3a", "pw-env-91bc", "pw-file-55de", "pw-override-0d2e"];
const VIEW_TOKEN: &str = "tok-view-a81c-5f02";
const ADMIN_TOKEN: &str = "tok-admin-c4e0-77b1";
const GUESSED: &str = "tok-guessed-1b9f";

#[test]
fn no_log_line_or_response_contains_a_secret() {
    let settings =
        |password: &str| Settings { logins: vec![Login::new("api-user", password)], ..version("7.20") };
    let good = router(settings(PASSWORDS[0]));
    let challenge = router(Settings {
        logins: vec![Login::new("api-user", PASSWORDS[1])],
        ..version("6.42.12 (long-term)")
    });
    let refusing = router(settings("another"));
    let stalled = router(settings("another"));
    stalled.set_fault(Some(phsweb_agent::simulator::Fault::Garbage));
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), PASSWORDS[2]).unwrap();
    let hosts = |router: &phsweb_agent::simulator::Router| format!("hosts: [\"{}\"],", router.addr());
    let agent = AgentBuilder::default()
        .http(&format!("view: Token(Plain(\"{VIEW_TOKEN}\")), admin: Token(Env(\"TOKEN\")),"))
        .defaults("refresh: \"1s\",")
        .raw_site("good", &format!("{} password: Plain(\"{}\")", hosts(&good), PASSWORDS[0]))
        .raw_site("old", &format!("{} password: Env(\"OLD\"), login: Challenge", hosts(&challenge)))
        .raw_site("wrong", &format!("{} password: File(\"{}\")", hosts(&refusing), secret.path().display()))
        .raw_site("garbage", &format!("{} password: Plain(\"\")", hosts(&stalled)))
        .variable("TOKEN", ADMIN_TOKEN)
        .variable("OLD", PASSWORDS[1])
        .variable("MIKROTIK_GARBAGE_PASSWORD", PASSWORDS[3])
        .argument("--log")
        .argument("trace")
        .start()
        .with_token(ADMIN_TOKEN);
    agent.wait_until_active("good");
    agent.wait_until_active("old");
    agent.wait_for_error("wrong", "auth");
    agent.wait_for_error("garbage", "protocol");
    until("the router was queried again", || (good.counters().commands > 8).then_some(()));

    let mut output = String::new();
    for sent in ["", VIEW_TOKEN, ADMIN_TOKEN, GUESSED] {
        let bearer = format!("Bearer {sent}");
        for path in ["/", "/api/hotspot/stats", "/api/routers", "/api/sites", "/readyz", "/nowhere"] {
            output += &agent.ask("GET", path, &[("Authorization", &bearer)]).body;
        }
        for site in ["good", "old", "wrong", "garbage"] {
            for path in [
                "/sites/SITE",
                "/api/sites/SITE",
                "/api/hotspot/SITE/active",
                "/api/sites/SITE/plugins/hotspot",
            ] {
                output += &agent.ask("GET", &path.replace("SITE", site), &[("Authorization", &bearer)]).body;
            }
        }
    }
    let mut running = agent.running;
    running.signal("TERM");
    running.wait_for_exit(super::agent::TIMEOUT);
    let log = running.err();
    assert!(
        log.contains("site=wrong state=offline") && log.contains("DEBUG"),
        "expected a complete log, got {log}"
    );
    output += &log;
    output += &running.out();
    for secret in PASSWORDS.into_iter().chain([VIEW_TOKEN, ADMIN_TOKEN, GUESSED]) {
        assert!(!output.contains(secret), "expected no {secret} in {output}");
    }
}

/// Runs the agent with invalid files; no error may repeat the secret.
#[track_caller]
fn none_is_repeated(texts: &[String]) {
    const SECRET: &str = "hunter2-e11c";
    let mut repeated = Vec::new();
    for text in texts {
        assert!(text.contains("SECRET"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("sites.ron"), text.replace("SECRET", SECRET)).unwrap();
        let mut command = program(["run", "--log", "trace"]);
        command.current_dir(folder.path());
        let ended = run_to_end(command);
        assert_eq!(ended.code, Some(1), "{text}: {}", ended.err);
        assert!(ended.err.contains("sites.ron:"), "{text}: {}", ended.err);
        if ended.err.contains(SECRET) || ended.out.contains(SECRET) {
            repeated.push(format!("{text}\nsaid\n{}", ended.err));
        }
    }
    assert!(repeated.is_empty(), "{}", repeated.join("\n"));
}

fn site(fields: &str) -> String {
    format!("(\n  sites: {{\n    \"awka\": (hosts: [\"r\"], user: \"u\", {fields}),\n  }},\n)")
}

fn http(fields: &str) -> String {
    format!("(\n  http: ({fields}),\n  sites: {{}},\n)")
}

#[test]
fn no_error_repeats_a_secret_in_a_wrong_form() {
    none_is_repeated(&[
        site("password: \"SECRET\""),
        site("password: Plan(\"SECRET\")"),
        site("password: Plain(\"SECRET\", 1)"),
        site("password: Plain(\"SECRET\" \"x\")"),
        site("password: SECRET"),
        site("password: Plain(\"SECRET\"), refresh: \"soon\""),
        site("password: Plain(\"SECRET\"), password: Plain(\"SECRET\")"),
        http("admin: \"SECRET\""),
        http("view: \"SECRET\""),
        http("admin: Token(\"SECRET\")"),
    ]);
}

/// The log has the same text about a file as the pages of viewer and admin.
#[test]
fn no_error_repeats_a_secret_in_another_fields_place() {
    let plugin = |fields: &str| {
        format!("(\n  sites: {{}},\n  plugins: {{\n    \"p\": (columns: [\"a\"], {fields}),\n  }},\n)")
    };
    none_is_repeated(&[
        plugin("menu: \"/ppp/active\", query: [\"?password=SECRET\"]"),
        plugin("menu: \"/ppp/active\", query: [\"?=password=SECRET\"]"),
        plugin("menu: \"/ppp/active\", query: [\"?name=SECRET\"]"),
        plugin("menu: \"/ppp/secret/print ?password=SECRET\""),
        site("name: Some(Plain(\"SECRET\"))"),
        site("name: (\"api\", \"SECRET\")"),
        site("tls: Pin(Plain(\"SECRET\"))"),
        site("tls: Ca(\"SECRET\"), refresh: \"soon\""),
        site("login: (\"api\", \"SECRET\")"),
        site("refresh: (password: Plain(\"SECRET\"))"),
        site("collect: [(File(\"SECRET\"))]"),
        site("collect: [\"admin:SECRET@x\"]"),
        "(\n  defaults: (user: Some(Plain(\"SECRET\"))),\n  sites: {},\n)".into(),
        "(\n  defaults: (user: (\"api\", \"SECRET\")),\n  sites: {},\n)".into(),
        "(\n  sites: { \"awka\": (hosts: [(\"127.0.0.1\", \"api\", \"SECRET\")]) },\n)".into(),
        "(\n  sites: {\n    \"awka\": \"SECRET\",\n  },\n)".into(),
        "(\n  sites: { \"awka\": \"SECRET\" },\n)".into(),
        "(\n  sites: [(\"awka\", \"SECRET\")],\n)".into(),
        "(\n  sites: [\"SECRET\"],\n)".into(),
        http("title: Some(Token(Plain(\"SECRET\")))"),
        http("title: \"token=SECRET\", max_connections: 1"),
        http("hosts: [\"https://admin:SECRET@x\"]"),
        http("trusted_proxies: [\"http://admin:SECRET@10.0.0.1\"]"),
        http("tls: (cert: \"SECRET\", key: \"SECRET\"), max_connections: 1"),
    ]);
}

#[test]
fn no_error_repeats_a_secret_of_a_mistyped_name() {
    none_is_repeated(&[
        site("pasword: \"SECRET\""),
        site("passwd: \"SECRET\""),
        site("Pasword: (\"SECRET\")"),
        http("token: \"SECRET\""),
        http("admn: \"SECRET\""),
    ]);
}

#[test]
fn no_error_repeats_a_secret_on_its_own_line() {
    none_is_repeated(&[
        site("password:\n      \"SECRET\""),
        site("password: Plain(\n      \"SECRET\" oops\n    )"),
        site("password: Plain(\n\n      \"SECRET\" oops\n    )"),
        site("password:\n      // Ask Ngozi.\n      \"SECRET\""),
        http("admin: Token(\n    Plain(\n      \"SECRET\" oops\n    ))"),
    ]);
}

/// A password or token in place of the name of its variable or file.
#[test]
fn secret_in_place_of_a_name_is_never_repeated() {
    let router = router(Settings::default());
    let given = || AgentBuilder::default().http("admin: Token(Plain(\"admin-token-of-this-test\")),");
    let good = given().site("awka", router.addr(), "");
    let agent = ReloadingAgent::start(&good);
    let site = format!("hosts: [\"{}\"]", router.addr());
    for (name, secret) in [
        ("Env", "hunter2_e11c"),
        ("Env", "JBSWY3DPEHPK3PXP"),
        ("File", "hunter2-e11c"),
        ("File", "aGVs/bG8rd29ybGQ"),
    ] {
        for text in [
            given().raw_site("awka", &format!("{site}, password: {name}(\"{secret}\")")).text(),
            given()
                .http(&format!("view: Token({name}(\"{secret}\")),"))
                .site("awka", router.addr(), "")
                .text(),
            given()
                .http(&format!("tls: (cert: \"{secret}\", key: \"{secret}\"),"))
                .site("awka", router.addr(), "")
                .text(),
            given().site("awka", router.addr(), &format!("tls: Ca(\"{secret}\")")).text(),
        ] {
            let before = agent.rejected_files().len();
            agent.running.secrets.add(secret);
            agent.write("sites.ron", &text, WriteMethod::InPlace);
            agent.running.signal("HUP");
            until("the problem is logged", || (agent.rejected_files().len() > before).then_some(()));
            // The agent's answers and log are searched for it by `secrets`.
            for token in ["", "Bearer admin-token-of-this-test"] {
                for path in ["/api/config", "/", "/sites/awka", "/metrics"] {
                    agent.ask("GET", path, &[("Authorization", token)]);
                }
            }
            let admin = ("Authorization", "Bearer admin-token-of-this-test");
            let problem = agent.ask("GET", "/api/config", &[admin]).json()["error"]["problems"][0].clone();
            assert!(problem["place"].as_str().unwrap().starts_with("sites.ron:"), "{problem}");
            assert!(problem["message"].as_str().unwrap().contains('…'), "{problem}");
            for command in ["check", "run"] {
                let mut command = program([command]);
                command.current_dir(agent.path(""));
                let ended = run_to_end(command);
                assert_eq!(ended.code, Some(1), "{}", ended.err);
                let output = ended.out + &ended.err;
                assert!(output.contains("sites.ron:") && !output.contains(secret), "{output}");
            }
            agent.save(&good);
        }
    }
}

/// A variable with a conventional name is named on a terminal, and nowhere else.
#[test]
fn missing_variable_is_named_on_a_terminal_only() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sites.ron"), site("password: Env(\"AWKA_PASSWORD\")")).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = program(arguments);
        command.current_dir(folder.path());
        command
    };
    for arguments in [&["check"][..], &["run"]] {
        let ended = run_to_end(command(arguments));
        let output = ended.out + &ended.err;
        assert!(output.contains("the environment variable AWKA_PASSWORD is not set"), "{output}");
        assert!(output.contains("Env(\"AWKA_PASSWORD\")"), "{output}");
    }
    let agent = Agent::start(command(&["run", "--wait", "--config", "sites.ron", "--listen", "127.0.0.1:0"]));
    let error = "sites.awka.password: the environment variable … is not set";
    until("the error is logged", || agent.running.err().contains(error).then_some(()));
    for text in [agent.get("/api/config").body, agent.page("/"), agent.running.err()] {
        assert!(text.contains(error) && !text.contains("AWKA_PASSWORD"), "{text}");
    }
}

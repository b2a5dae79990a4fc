//! `run --wait`: the agent starts without a file or with an invalid one, and continues once the file is valid.

use std::fs;
use std::process::Command;

use phsweb_agent::simulator::{Router, Settings};

use super::agent::{Agent, AgentBuilder, program, run_to_end, until};
use super::reloading_agent::{ReloadingAgent, WriteMethod, logins_and_connections};
use super::router;

fn waiting(router: &Router) -> AgentBuilder {
    ["--wait", "--listen", "127.0.0.1:0"]
        .into_iter()
        .fold(AgentBuilder::default().site("awka", router.addr(), ""), AgentBuilder::argument)
}

#[test]
fn without_a_file_the_page_shows_what_is_missing() {
    let router = router(Settings::default());
    let given = waiting(&router);
    let agent = ReloadingAgent::start_without_file(&given);
    let page = agent.page("/");
    let file = agent.path("sites.ron");
    let folder = file.parent().unwrap().display();
    for words in ["Waiting for sites.ron", &file.display().to_string(), &format!("dst={folder}\n")] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("id=\"config\""), "no file yet is no error: {page}");
    let config = agent.config();
    assert_eq!((&config["isCurrent"], &config["loadedAt"]), (&false.into(), &().into()));
    assert_eq!(agent.get("/healthz").status, 200);
    let ready = agent.get("/readyz");
    assert_eq!(
        (ready.status, ready.json()["detail"].as_str()),
        (503, Some("There is no configuration yet."))
    );
    assert_eq!(agent.get("/api/hotspot/stats").json(), serde_json::json!({}));
    assert_eq!(agent.series("phsweb_agent_config_last_reload_successful"), Some(0.0));
    assert_eq!(agent.series("phsweb_agent_config_last_reload_success_timestamp_seconds"), None);
    agent.running.assert_logged("reload=waiting ", 1);

    agent.write("sites.ron", &given.text(), WriteMethod::InPlace);
    agent.wait_until_applied(0);
    agent.wait_until_active("awka");
    let page = agent.page("/");
    assert!(!page.contains("Waiting for") && page.contains("data-key=\"awka\""), "{page}");
    until("every site was tried", || (agent.get("/readyz").status == 200).then_some(()));
    assert!(agent.config()["loadedAt"].is_string());
    // If the file is removed later, the agent keeps its content.
    fs::remove_file(&file).unwrap();
    agent.wait_for_file_error("can't be read");
    assert!(agent.page("/").contains("data-key=\"awka\""));
    assert_eq!(logins_and_connections(&router), (1, 1));
}

/// The first text in this region of the page.
fn region<'p>(page: &'p str, label: &str) -> &'p str {
    let (_, region) = page.split_once(&format!("aria-label=\"{label}\">")).expect("expected the region");
    region.split_once("</pre>").unwrap().0
}

#[test]
fn the_form_of_the_waiting_page_leads_to_a_site_that_works() {
    let router = router(Settings::default());
    let agent = ReloadingAgent::start_without_file(&waiting(&router));
    let send = |form: &str| agent.post("/setup", form);
    assert_eq!(agent.get("/setup").status, 303);
    for (form, expected) in [
        ("name=&address=10.0.1.1&user=u", "Expected a name of"),
        ("name=Awka&address=a+b&user=u", "Expected a host name or an address"),
        ("", "Expected a name of"),
        (
            &*format!("name={}&address=10.0.1.1&user=u", "n".repeat(101)),
            "Expected a name of at most 100 characters.",
        ),
    ] {
        let page = send(form);
        assert!(page.status == 200 && page.body.contains(expected), "{form}: {}", page.body);
        assert!(!page.body.contains("RouterOS commands"), "{form}");
    }
    let awkward = send("name=%22%3Cb%3E%5C&address=10.0.1.1&user=ada+%24o").body;
    assert!(!awkward.contains("<b>") && region(&awkward, "RouterOS commands").contains("\\$o"), "{awkward}");

    let answer = send(&format!("name=Awka+One&address={}&user=api-user", router.addr()));
    assert_eq!(answer.field("Cache-Control"), "no-store");
    let page = answer.body;
    let commands = region(&page, "RouterOS commands");
    let (_, password) = commands.split_once(" password=").unwrap();
    let password = password.split_whitespace().next().unwrap();
    let document =
        region(&page, "sites.ron").replace("&#34;", "\"").replace("&#60;", "<").replace("&#62;", ">");
    assert!(document.contains(&format!("password: Plain(\"{password}\")")), "{document}");
    let (_, token) = document.split_once("admin: Token(Plain(\"").unwrap();
    let token = token.split_once('"').unwrap().0;
    assert!(page.contains(&format!("<code>{token}</code>")) && token != password, "{page}");
    // The simulated router has another password.
    let document = document.replace(password, "password");
    agent.write("sites.ron", &document, WriteMethod::InPlace);
    agent.wait_until_applied(0);
    agent.wait_until_active("awka-one");
    let bearer = format!("Bearer {token}");
    let sessions = agent.ask("GET", "/api/hotspot/awka-one/active", &[("Authorization", &bearer)]);
    assert_eq!(sessions.status, 200);
    // From then on there is a configuration.
    assert_eq!(send("name=Awka&address=10.0.1.1&user=u").status, 303);
}

#[test]
fn a_file_that_is_invalid_at_the_start_is_reported_and_applied_once_it_is_valid() {
    let router = router(Settings::default());
    let given = waiting(&router).http("admin: Token(Plain(\"the-admin-token-01234\")), title: \"Ours\"");
    let (command, folder) = given.command();
    let path = folder.path().join("sites.ron");
    fs::write(&path, given.text().replace("hosts:", "hots:")).unwrap();
    let agent = Agent::start(command);
    let page = agent.page("/");
    assert!(page.contains("sites.ron has a problem") && !page.contains("`hosts`"), "{page}");
    assert_eq!(agent.get("/api/hotspot/awka/active").status, 401);
    // The token of the file applies already: the admin sees the problems.
    let agent = agent.with_token("the-admin-token-01234");
    let page = agent.page("/");
    assert!(page.contains("`hosts`") && page.contains("Ours"), "{page}");
    assert!(!page.contains("the-admin-token-01234"));
    for _ in 0..12 {
        assert_eq!(agent.get("/api/hotspot/awka/active").status, 404);
    }
    fs::write(&path, given.text()).unwrap();
    until("the file is in use", || (agent.json("/api/config")["isCurrent"] == true).then_some(()));
    agent.wait_until_active("awka");
    assert_eq!(agent.get("/api/hotspot/awka/active").status, 200);
    assert!(agent.page("/").contains("Ours"));
}

#[test]
fn an_invalid_file_does_not_open_a_page_that_it_protects() {
    let router = router(Settings::default());
    let tokens =
        "view: Token(Plain(\"view-token-of-this-test\")), admin: Token(Plain(\"admin-token-of-this-test\"))";
    let given = waiting(&router).http(tokens);
    let wrong = given.text().replace("hosts:", "hots:");
    // From the start, and after a file without a readable `http`.
    for first in [&wrong, "("] {
        let (command, folder) = given.command();
        let path = folder.path().join("sites.ron");
        fs::write(&path, first).unwrap();
        let agent = Agent::start(command);
        fs::write(&path, &wrong).unwrap();
        until("a token is required", || (agent.get("/api/config").status == 401).then_some(()));
        assert_eq!(agent.get("/").status, 401);
        let agent = agent.with_token("view-token-of-this-test");
        let config = agent.get("/api/config");
        assert!(config.body.contains("sites.ron:5:18"), "{}", config.body);
        for detail in ["`hosts`", "hots", "127.0.0.1"] {
            assert!(!config.body.contains(detail), "{}", config.body);
        }
        // The last valid tokens apply until the next valid ones.
        fs::write(&path, given.text().replace("admin-token-of-this-test\"", "")).unwrap();
        until("the other problem is reported", || {
            let config = agent.get("/api/config").body;
            (config.contains("not accepted") && !config.contains("sites.ron:5:18")).then_some(())
        });
        assert_eq!(agent.ask("GET", "/api/config", &[("Authorization", "")]).status, 401);
    }
}

#[test]
fn without_a_readable_http_section_no_content_of_the_file_is_shown() {
    let router = router(Settings::default());
    let given = waiting(&router)
        .http("admin: Token(Env(\"NOT_SET\"))")
        .raw_site("private-key", "hots: [\"private-host\"]");
    let (command, _folder) = given.command();
    let agent = Agent::start(command);
    let config = agent.json("/api/config");
    let problems = config["error"]["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{config}");
    let place = problems[0]["place"].as_str().unwrap();
    assert!(place.contains("sites.ron:2:"), "{config}");
    assert_eq!(
        problems[0]["message"],
        "http.admin: the environment variable … is not set; expected the secret in it"
    );
    assert!(problems[0]["excerpt"].is_null(), "{config}");
    assert!(config["error"]["moreProblems"].as_u64().unwrap() >= 1, "{config}");
    for path in ["/", "/api/config", "/api/sites"] {
        let body = agent.get(path).body;
        for private in ["private-key", "private-host"] {
            assert!(!body.contains(private), "expected no {private} at {path}: {body}");
        }
    }
}

#[test]
fn a_file_from_a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, "(").unwrap()
    });
    let pipe = pipe.to_str().unwrap();
    let ended = run_to_end(program(["run", "--wait", "--config", pipe, "--listen", "127.0.0.1:0"]));
    writer.join().unwrap();
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("not RON"), "{}", ended.err);
}

//! `run --wait`: the agent begins with no file, or with a wrong one, and gets well by itself.

use std::fs;
use std::process::Command;

use phsweb_agent::simulator::{Router, Settings};

use super::agent::{Agent, Given, end_of, program, until};
use super::kept::{Kept, Way, met};
use super::router;

fn waiting(router: &Router) -> Given {
    ["--wait", "--config", "sites.ron", "--listen", "127.0.0.1:0"]
        .into_iter()
        .fold(Given::default().site("awka", router.addr(), ""), Given::argument)
}

#[test]
fn before_there_is_a_file_the_page_says_what_is_missing() {
    let router = router(Settings::default());
    let given = waiting(&router);
    let kept = Kept::start_without_file(&given);
    let page = kept.page("/");
    let file = kept.path("sites.ron");
    let folder = file.parent().unwrap().display();
    for words in ["Waiting for sites.ron", &file.display().to_string(), &format!("dst={folder}\n")] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(page.contains("No such file") && page.contains("begins once that is mended"));
    let config = kept.config();
    assert_eq!((&config["isCurrent"], &config["loadedAt"]), (&false.into(), &().into()));
    assert_eq!(kept.get("/healthz").status, 200);
    let ready = kept.get("/readyz");
    assert_eq!(
        (ready.status, ready.json()["detail"].as_str()),
        (503, Some("There is no configuration yet."))
    );
    assert_eq!(kept.get("/api/hotspot/stats").json(), serde_json::json!({}));
    assert_eq!(kept.series("phsweb_agent_config_last_reload_successful"), Some(0.0));
    assert_eq!(kept.series("phsweb_agent_config_last_reload_success_timestamp_seconds"), None);
    assert_eq!(kept.running.err().matches("waiting for ").count(), 1, "{}", kept.running.err());

    kept.write("sites.ron", &given.text(), Way::InPlace);
    kept.until_taken(0);
    kept.well("awka");
    let page = kept.page("/");
    assert!(!page.contains("Waiting for") && page.contains("data-key=\"awka\""), "{page}");
    until("every site was tried", || (kept.get("/readyz").status == 200).then_some(()));
    assert!(kept.config()["loadedAt"].is_string());
    // Gone again, it is a file that was there once: what was read stays.
    fs::remove_file(&file).unwrap();
    kept.until_wrong("can't be read");
    assert!(kept.page("/").contains("data-key=\"awka\""));
    assert_eq!(met(&router), (1, 1));
}

#[test]
fn a_file_that_is_wrong_at_the_start_is_told_and_waited_for() {
    let router = router(Settings::default());
    let given = waiting(&router).http("admin: Token(Plain(\"the-admin-token\")), title: \"Ours\"");
    let (command, folder) = given.command();
    let path = folder.path().join("sites.ron");
    fs::write(&path, given.text().replace("hosts:", "hots:")).unwrap();
    let agent = Agent::start(command);
    let page = agent.page("/");
    assert!(page.contains("sites.ron has a problem") && page.contains("`hosts`"), "{page}");
    assert!(!page.contains("the-admin-token"));
    // A program that has its token asks on, and need not wait afterwards.
    let agent = agent.with_token("the-admin-token");
    for _ in 0..12 {
        assert_eq!(agent.get("/api/hotspot/awka/active").status, 403);
    }
    fs::write(&path, given.text()).unwrap();
    until("it is in use", || (agent.json("/api/config")["isCurrent"] == true).then_some(()));
    agent.well("awka");
    assert_eq!(agent.get("/api/hotspot/awka/active").status, 200);
    assert!(agent.page("/").contains("Ours"));
}

#[test]
fn what_came_through_a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, "(").unwrap()
    });
    let pipe = pipe.to_str().unwrap();
    let ended = end_of(program(["run", "--wait", "--config", pipe, "--listen", "127.0.0.1:0"]));
    writer.join().unwrap();
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("not RON"), "{}", ended.err);
}

//! Files that are being written: no error is reported if the next look finds them complete.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use std::time::Duration;

use phsweb_agent::simulator::{Router, Settings};

use super::agent::{AgentBuilder, throughout, until};
use super::reloading_agent::{ReloadingAgent, WriteMethod, logins_and_connections};
use super::router;

/// Time for several looks at the file.
const LOOKS: Duration = Duration::from_millis(1500);

/// How long it takes to write a file in pieces, and their number.
const WRITTEN: Duration = Duration::from_secs(3);
const PIECES: u32 = 60;

fn given(router: &Router, name: &str) -> AgentBuilder {
    AgentBuilder::default().defaults("refresh: \"1s\",").site(
        "awka",
        router.addr(),
        &format!("name: \"{name}\""),
    )
}

/// Waits until the site has this name, and checks that no error is reported meanwhile.
#[track_caller]
fn named_without_an_error(agent: &ReloadingAgent, name: &str) {
    until(&format!("the site is named {name}"), || {
        let config = agent.config();
        assert_eq!(config["isCurrent"], true, "{config}");
        (agent.site("awka")["name"] == name).then_some(())
    });
}

#[test]
fn a_file_is_applied_without_an_error_however_it_is_replaced() {
    let router = router(Settings::default());
    let agent = ReloadingAgent::start(&given(&router, "first"));
    agent.wait_until_active("awka");
    let mut number = 0;
    for _ in 0..3 {
        for method in WriteMethod::ALL {
            number += 1;
            let name = format!("number {number} {method:?}");
            agent.write("sites.ron", &given(&router, &name).text(), method);
            named_without_an_error(&agent, &name);
        }
    }
    assert_eq!(agent.applied_files().len(), 15, "expected one log line for each reload");
    assert_eq!((agent.rejected_files().len(), logins_and_connections(&router)), (0, (1, 1)));
}

#[test]
fn a_file_written_in_pieces_is_applied_when_it_is_complete() {
    let router = router(Settings::default());
    // Longer than a busy machine takes to write it.
    let agent = ReloadingAgent::start(&given(&router, "first").timing("config_settle", "30s"));
    agent.wait_until_active("awka");
    let text = given(&router, "whole").text();
    let mut file = OpenOptions::new().write(true).truncate(true).open(agent.path("sites.ron")).unwrap();
    for piece in text.as_bytes().chunks(text.len().div_ceil(PIECES as usize)) {
        file.write_all(piece).unwrap();
        assert_eq!(agent.config()["isCurrent"], true);
        thread::sleep(WRITTEN / PIECES);
    }
    named_without_an_error(&agent, "whole");
    throughout(LOOKS, || assert_eq!(agent.config()["isCurrent"], true));
    assert_eq!(
        (agent.applied_files().len(), agent.rejected_files().len(), logins_and_connections(&router)),
        (1, 0, (1, 1))
    );
}

#[test]
fn an_invalid_file_is_reported_once_and_changes_nothing() {
    let router = router(Settings::default());
    let agent = ReloadingAgent::start(&given(&router, "first"));
    agent.wait_until_active("awka");
    let metric = "phsweb_agent_config_last_reload_successful";
    let succeeded = "phsweb_agent_config_last_reload_success_timestamp_seconds";
    let loaded = agent.series(succeeded);
    assert_eq!(agent.series(metric), Some(1.0));
    let tag = agent.get("/").field("ETag").to_string();

    let bad = given(&router, "bad").text().replace("refresh:", "refesh:");
    agent.write("sites.ron", &bad, WriteMethod::InPlace);
    let message = agent.wait_for_file_error("`refresh`");
    assert!(message.starts_with("sites.ron:3:"), "{message}");
    let page = agent.get("/");
    assert!(page.body.contains("sites.ron has a problem") && page.field("ETag") != tag, "{}", page.body);
    assert_eq!((agent.series(metric), agent.series(succeeded)), (Some(0.0), loaded));
    until("the error is logged", || (agent.rejected_files().len() == 1).then_some(()));
    // The same content is not reported again; another problem is.
    agent.write("sites.ron", &bad, WriteMethod::Renamed);
    throughout(LOOKS, || assert_eq!(agent.rejected_files().len(), 1));
    fs::remove_file(agent.path("sites.ron")).unwrap();
    agent.wait_for_file_error("can't be read");
    until("the error is logged", || (agent.rejected_files().len() == 2).then_some(()));
    // A million brackets do not exhaust the stack.
    agent.write("sites.ron", &"(".repeat(1_000_000), WriteMethod::InPlace);
    agent.wait_for_file_error("not RON");
    assert_eq!(agent.site("awka")["name"], "first");

    agent.save(&given(&router, "fixed"));
    assert_eq!(agent.site("awka")["name"], "fixed");
    assert!(!agent.page("/").contains("sites.ron has a problem"));
    assert_eq!(agent.series(metric), Some(1.0));
    assert_eq!(
        (agent.applied_files().len(), agent.rejected_files().len(), logins_and_connections(&router)),
        (1, 3, (1, 1))
    );
}

#[test]
fn sighup_reloads_at_once_without_a_second_look() {
    let router = router(Settings::default());
    let agent = ReloadingAgent::start(&given(&router, "first"));
    agent.wait_until_active("awka");
    agent.running.signal("HUP");
    until("the file is read", || (agent.applied_files() == ["nothing changed"]).then_some(()));
    for n in 1..6 {
        fs::write(agent.path("sites.ron"), "(").unwrap();
        agent.running.signal("HUP");
        agent.wait_for_file_error("not RON");
        agent.write("sites.ron", &given(&router, &format!("number {n}")).text(), WriteMethod::InPlace);
        agent.running.signal("HUP");
        agent.wait_until_applied(n);
    }
    assert_eq!(logins_and_connections(&router), (1, 1));
}

/// If a single file is mounted into a container and replaced by a rename on the host, the path leads to a file without a
/// name. A link to a descriptor of this process has the same effect without a mount.
#[test]
fn a_mounted_file_that_is_replaced_by_a_rename_is_reported() {
    let router = router(Settings::default());
    let folder = tempfile::tempdir().unwrap();
    let [original, new, mounted] = ["original", "new", "mounted"].map(|name| folder.path().join(name));
    fs::write(&original, "password").unwrap();
    let open = fs::File::open(&original).unwrap();
    symlink(format!("/proc/{}/fd/{}", std::process::id(), open.as_raw_fd()), &mounted).unwrap();
    let site = format!("hosts: [\"{}\"], password: File(\"{}\")", router.addr(), mounted.display());
    let agent =
        ReloadingAgent::start(&AgentBuilder::default().defaults("refresh: \"1s\",").raw_site("awka", &site));
    agent.wait_until_active("awka");
    assert_eq!(agent.config()["isCurrent"], true);

    fs::write(&new, "another").unwrap();
    fs::rename(&new, &original).unwrap();
    let config = until("the file is reported", || {
        let config = agent.config();
        (config["isCurrent"] == false).then_some(config)
    });
    let problem = &config["error"]["problems"][0];
    assert_eq!(problem["place"], mounted.to_str().unwrap(), "{config}");
    assert!(problem["message"].as_str().unwrap().contains("mount the folder"), "{config}");
    let refreshed = router.counters().commands;
    until("the site is still refreshed", || (router.counters().commands > refreshed + 4).then_some(()));
    agent.running.assert_logged("was replaced or deleted", 1);

    // As after a restart of the container.
    fs::remove_file(&mounted).unwrap();
    fs::write(&mounted, "password").unwrap();
    until("the file is valid again", || (agent.config()["isCurrent"] == true).then_some(()));
    assert_eq!(
        logins_and_connections(&router),
        (1, 1),
        "expected no reconnection, because the password is the same"
    );
}

/// Opening a pipe blocks until a writer opens it, and there is none.
#[test]
fn a_pipe_in_the_place_of_a_file_is_reported_and_delays_nothing() {
    let router = router(Settings::default());
    let look = "phsweb_agent_config_last_look_timestamp_seconds";
    let site = format!("hosts: [\"{}\"], password: File(\"secret\")", router.addr());
    let given = AgentBuilder::default().defaults("refresh: \"1s\",").raw_site("awka", &site);
    let agent = ReloadingAgent::start_with(&given, &[("secret", "password")]);
    agent.wait_until_active("awka");
    for name in ["secret", "sites.ron"] {
        let text = fs::read_to_string(agent.path(name)).unwrap();
        fs::remove_file(agent.path(name)).unwrap();
        let made = Command::new("mkfifo").arg(agent.path(name)).status().unwrap();
        assert!(made.success());
        agent.running.signal("HUP");
        agent.wait_for_file_error("not a regular file");
        let looked = agent.series(look).unwrap();
        until("the files are polled again", || (agent.series(look)? > looked).then_some(()));
        assert_eq!(agent.stats("awka")["status"], "active");
        fs::remove_file(agent.path(name)).unwrap();
        fs::write(agent.path(name), &text).unwrap();
        until("the file is valid again", || (agent.config()["isCurrent"] == true).then_some(()));
    }
    assert_eq!(logins_and_connections(&router), (1, 1));
}

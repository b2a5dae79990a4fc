//! The directory of stored data: which one is used, and what is reported if it can't be used.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use super::agent::{Agent, AgentBuilder, program, until};
use super::stored_logins::{ADMIN, OPEN, log_in, status_with};
use crate::support::reloading_agent::ReloadingAgent;

/// An agent that stores its data in this directory, and retries often.
pub(super) fn given(directory: &Path) -> AgentBuilder {
    let given = AgentBuilder::default().http(&format!("admin: Token(Plain(\"{ADMIN}\")),"));
    given
        .file(&format!("state: \"{}\",", directory.display()))
        .timing("state_write", "100ms")
        .timing("state_lock", "1ms")
}

fn storage(agent: &Agent) -> Value {
    agent.json("/api/config")["storage"].clone()
}

/// Waits until the only problem has these words. Checks that it is reported everywhere.
#[track_caller]
fn wait_for_problem(agent: &Agent, words: &str) {
    let problem = until(&format!("a problem has {words:?}"), || {
        let message = storage(agent)["problems"][0]["message"].as_str().unwrap_or_default().to_string();
        message.contains(words).then_some(message)
    });
    assert_eq!(storage(agent)["isSaving"], false, "{problem}");
    let page = agent.page("/");
    assert!(page.contains("New data is not stored.") && page.contains(words), "{page}");
    assert!(metrics(agent).contains("phsweb_agent_state_last_write_successful 0\n"));
    agent.running.assert_logged(words, 1);
}

#[track_caller]
fn wait_until_saving(agent: &Agent) {
    until("the agent stores its data", || (storage(agent)["isSaving"] == true).then_some(()));
    assert_eq!(storage(agent)["problems"].as_array().unwrap().len(), 0);
    assert!(!agent.page("/").contains("id=\"storage\""));
    assert!(metrics(agent).contains("phsweb_agent_state_last_write_successful 1\n"));
    until("the log has it", || agent.running.err().contains("data is saved here").then_some(()));
}

fn metrics(agent: &Agent) -> String {
    agent.get("/metrics").body
}

fn write_errors(agent: &Agent) -> u64 {
    let text = metrics(agent);
    let value = text.lines().find_map(|line| line.strip_prefix("phsweb_agent_state_write_errors_total "));
    value.unwrap().parse().unwrap()
}

#[test]
fn a_second_agent_leaves_the_directory_alone() {
    let folder = tempfile::tempdir().unwrap();
    let first = given(folder.path()).start();
    log_in(&first);
    let file = || fs::read(folder.path().join("logins")).unwrap();
    until("the login is stored", || folder.path().join("logins").exists().then_some(()));
    let before = file();
    let second = given(folder.path()).start();
    wait_for_problem(&second, "another agent uses this directory");
    let cookie = log_in(&second);
    assert_eq!(status_with(&second, &cookie), OPEN, "it works in memory");
    assert_eq!(file(), before);
    assert_eq!(storage(&first)["problems"].as_array().unwrap().len(), 0);
}

#[test]
fn files_that_are_not_understood_stay_as_they_are() {
    for (content, words) in [
        ("somebody's notes", "it is not a file of the agent"),
        ("phsweb-agent logins 2\nlater", "a newer version of the agent wrote it"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logins");
        fs::write(&path, content).unwrap();
        let agent = given(folder.path()).start();
        wait_for_problem(&agent, words);
        log_in(&agent);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        fs::remove_file(&path).unwrap();
        wait_until_saving(&agent);
    }
}

#[test]
fn a_directory_that_can_not_be_created_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let agent = given(&path.join("state")).start();
    wait_for_problem(&agent, "Not a directory");
    until("it is tried again", || (write_errors(&agent) >= 2).then_some(()));
    fs::remove_file(&path).unwrap();
    wait_until_saving(&agent);
}

#[test]
fn what_a_full_disk_refuses_is_written_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let given = || given(folder.path());
    let (command, _folder) = given().command();
    // Without the trap, the limit would end the program. On a full disk, nothing does.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -S -f 0; exec \"$0\" \"$@\""]).arg(command.get_program());
    limited.args(command.get_args()).current_dir(command.get_current_dir().unwrap()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.env("PATH", std::env::var_os("PATH").unwrap());
    limited.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let agent = Agent::start(limited);
    let cookie = log_in(&agent);
    wait_for_problem(&agent, "could not be written: File too large");
    assert!(write_errors(&agent) > 0);
    assert_eq!(status_with(&agent, &cookie), OPEN);
    let pid = Pid::from_raw(agent.running.id().try_into().unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    wait_until_saving(&agent);
    agent.running.signal("KILL");
    drop(agent);
    assert_eq!(status_with(&given().start(), &cookie), OPEN);
}

#[test]
fn damage_is_reported_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logins");
    let agent = given(folder.path()).start();
    let cookies = [(); 3].map(|()| log_in(&agent));
    agent.running.signal("KILL");
    drop(agent);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let agent = given(folder.path()).start();
    let statuses = cookies.each_ref().map(|cookie| status_with(&agent, cookie));
    assert_eq!(statuses.iter().filter(|status| **status == OPEN).count(), 2, "{statuses:?}");
    assert!(agent.page("/").contains("Some stored data is not shown."));
    agent.running.assert_logged("bytes are damaged", 1);
    until("it is written", || (!storage(&agent)["writtenAt"].is_null()).then_some(()));
    assert_eq!(storage(&agent)["isSaving"], true);
    agent.running.signal("KILL");
    drop(agent);
    let agent = given(folder.path()).start();
    assert_eq!(storage(&agent)["problems"].as_array().unwrap().len(), 0);
}

#[test]
fn systemd_names_the_directory_if_the_file_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let variable = format!("{}:{}", first.display(), second.display());
    let agent = AgentBuilder::default().variable("STATE_DIRECTORY", &variable).start();
    assert_eq!(storage(&agent)["directory"], first.to_str().unwrap());
    let agent = given(&second).variable("STATE_DIRECTORY", &variable).start();
    assert_eq!(storage(&agent)["directory"], second.to_str().unwrap());
    assert_eq!(storage(&AgentBuilder::default().start()), Value::Null);
}

#[test]
fn simulated_data_is_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let simulated = given(folder.path()).variable("STATE_DIRECTORY", folder.path().to_str().unwrap());
    let simulated = simulated.argument("run").argument("--simulate").start();
    let mut demo = program(["demo", "--listen", "127.0.0.1:0"]);
    demo.env("STATE_DIRECTORY", folder.path()).env("PHSWEB_ADMIN_TOKEN", ADMIN);
    let demo = Agent::start(demo);
    for agent in [simulated, demo] {
        log_in(&agent);
        assert_eq!(storage(&agent), Value::Null);
        assert!(!metrics(&agent).contains("phsweb_agent_state_"));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn another_directory_is_used_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let arguments = ["run", "--wait", "--config", "sites.ron", "--listen", "127.0.0.1:0"];
    let waiting = arguments.iter().fold(given(&first), |given, argument| given.argument(argument));
    let agent = ReloadingAgent::start_without_file(&waiting);
    assert_eq!(storage(&agent), Value::Null, "no file names a directory");
    agent.save(&given(&first));
    assert_eq!(storage(&agent)["directory"], first.to_str().unwrap());
    agent.save(&given(&second));
    assert_eq!(storage(&agent)["directory"], first.to_str().unwrap());
    assert!(!second.exists());
    let warning = agent.ask("GET", "/api/config", &[("Authorization", &format!("Bearer {ADMIN}"))]);
    assert!(warning.body.contains("the directory changes when the agent is restarted"), "{warning:?}");
}

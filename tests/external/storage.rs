//! Stored data on file systems of its own: full, read-only, and mounted as in a container.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::agent::{Agent, AgentBuilder, until};

const TOKEN: &str = "admin-token-01234";

/// A directory that exists on every machine.
const DIRECTORY: &str = "/mnt";

/// Starts an agent after these commands, which mount file systems that only it sees.
fn start(given: AgentBuilder, mounts: &str) -> (Agent, tempfile::TempDir) {
    let given = given.http(&format!("admin: Token(Plain(\"{TOKEN}\")),")).timing("state_write", "100ms");
    let (command, folder) = given.command();
    let mut mounted = Command::new("unshare");
    mounted
        .args(["-m", "sh", "-c", &format!("set -e; {mounts}; exec \"$0\" \"$@\"")])
        .arg(command.get_program());
    mounted.args(command.get_args()).current_dir(folder.path()).env_clear();
    mounted.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    mounted.env("PATH", std::env::var_os("PATH").unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    (Agent::start(mounted), folder)
}

fn storage(agent: &Agent) -> Value {
    agent.json("/api/config")["storage"].clone()
}

fn log_in(agent: &Agent) {
    let origin = format!("http://{}", agent.address);
    let fields = [("Origin", &*origin), ("Content-Type", "application/x-www-form-urlencoded")];
    let answer = agent.ask_with("POST", "/login", &fields, format!("token={TOKEN}").as_bytes());
    assert_eq!(answer.status, 303);
}

/// Waits until data is stored, or until the only problem has these words.
#[track_caller]
fn wait_for(agent: &Agent, problem: Option<&str>) {
    until(&format!("the problem is {problem:?}"), || {
        let storage = storage(agent);
        let message = storage["problems"][0]["message"].as_str();
        (message.is_some() == problem.is_some() && message.unwrap_or("").contains(problem.unwrap_or("")))
            .then_some(())
    });
    assert_eq!(agent.page("/").contains("New data is not stored."), problem.is_some());
}

#[test]
#[ignore = "needs root"]
fn a_full_file_system_is_reported_until_it_has_room() {
    let given = AgentBuilder::default().file(&format!("state: \"{DIRECTORY}\","));
    let (agent, _folder) = start(given, &format!("mount -t tmpfs -o size=64k,mode=700 tmpfs {DIRECTORY}"));
    let seen = PathBuf::from(format!("/proc/{}/root{DIRECTORY}", agent.running.id()));
    wait_for(&agent, None);
    assert!(fs::write(seen.join("ballast"), vec![0; 1 << 20]).is_err(), "the file system is not full");
    log_in(&agent);
    wait_for(&agent, Some("No space left on device"));
    assert!(!seen.join("logins").exists() && !seen.join("logins.new").exists());
    fs::remove_file(seen.join("ballast")).unwrap();
    wait_for(&agent, None);
    assert!(seen.join("logins").exists());
}

#[test]
#[ignore = "needs root"]
fn a_read_only_file_system_is_reported_until_it_is_writable() {
    let given = AgentBuilder::default().file(&format!("state: \"{DIRECTORY}\","));
    let (agent, _folder) = start(given, &format!("mount -t tmpfs -o ro,mode=700 tmpfs {DIRECTORY}"));
    log_in(&agent);
    wait_for(&agent, Some("Read-only file system"));
    let id = agent.running.id().to_string();
    // Its root directory too: this program may itself run in another one.
    let remount = ["-m", "-r", "-t", &id, "mount", "-o", "remount,rw", DIRECTORY];
    assert!(Command::new("nsenter").args(remount).status().unwrap().success());
    wait_for(&agent, None);
    assert!(PathBuf::from(format!("/proc/{id}/root{DIRECTORY}/logins")).exists());
}

#[test]
#[ignore = "needs root"]
fn a_mount_is_used_as_in_a_container() {
    let directory = "/var/lib/phsweb-agent";
    let below = format!("mount -t tmpfs tmpfs /var/lib; mkdir {directory}");
    let (agent, _folder) = start(AgentBuilder::default(), &below);
    assert_eq!(storage(&agent), Value::Null, "nothing is mounted there");
    let (agent, _folder) =
        start(AgentBuilder::default(), &format!("{below}; mount -t tmpfs -o mode=700 tmpfs {directory}"));
    assert_eq!(storage(&agent)["directory"], directory);
    wait_for(&agent, None);
}

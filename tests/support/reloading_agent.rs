//! An agent whose `sites.ron` changes while it runs, and the methods by which editors and tools write a file.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use phsweb_agent::simulator::Router;
use serde_json::Value;
use tempfile::TempDir;

use super::agent::{Agent, AgentBuilder, until};

/// The log lines of a file that is applied, and of one that is rejected.
const APPLIED: &str = "reload=applied ";
const REJECTED: &str = "reload=rejected ";

/// How long a file is incomplete while it is written, as by an editor on a slow disk: far shorter than the poll
/// interval.
const HALF: Duration = Duration::from_millis(100);

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WriteMethod {
    /// Overwritten.
    InPlace,
    /// Replaced by a rename.
    Renamed,
    /// Truncated, and written a moment later.
    Truncated,
    /// A link to a link to a folder, of which the latter is switched, as Kubernetes does with a `ConfigMap`.
    Linked,
    /// Removed, and created again a moment later.
    Removed,
}

impl WriteMethod {
    pub(crate) const ALL: [Self; 5] =
        [Self::InPlace, Self::Renamed, Self::Truncated, Self::Linked, Self::Removed];
}

/// An agent and the folder with its file.
pub(crate) struct ReloadingAgent {
    pub(crate) agent: Agent,
    folder: TempDir,
}

impl Deref for ReloadingAgent {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl ReloadingAgent {
    #[track_caller]
    pub(crate) fn start(given: &AgentBuilder) -> Self {
        Self::start_with(given, &[])
    }

    /// Starts an agent with further files, which contain secrets.
    #[track_caller]
    pub(crate) fn start_with(given: &AgentBuilder, secrets: &[(&str, &str)]) -> Self {
        let (command, folder) = given.command();
        for (name, secret) in secrets {
            fs::write(folder.path().join(name), secret).unwrap();
        }
        let kept = Self { agent: Agent::start(command), folder };
        for (_, secret) in secrets {
            kept.running.secrets.add(secret);
        }
        kept
    }

    /// Starts an agent whose file does not exist yet.
    #[track_caller]
    pub(crate) fn start_without_file(given: &AgentBuilder) -> Self {
        let (command, folder) = given.command();
        fs::remove_file(folder.path().join("sites.ron")).unwrap();
        Self { agent: Agent::start(command), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in its folder, without waiting for the agent.
    pub(crate) fn write(&self, name: &str, text: &str, method: WriteMethod) {
        self.running.secrets.add_secrets_of(text);
        let path = self.path(name);
        match method {
            WriteMethod::InPlace => fs::write(path, text).unwrap(),
            WriteMethod::Renamed => {
                fs::write(self.path("new"), text).unwrap();
                fs::rename(self.path("new"), path).unwrap();
            }
            WriteMethod::Truncated => {
                fs::write(&path, "").unwrap();
                thread::sleep(HALF);
                fs::write(path, text).unwrap();
            }
            WriteMethod::Linked => self.switch(name, text),
            WriteMethod::Removed => {
                fs::remove_file(&path).unwrap();
                thread::sleep(HALF);
                fs::write(path, text).unwrap();
            }
        }
    }

    fn switch(&self, name: &str, text: &str) {
        let folder = tempfile::Builder::new().prefix("..").tempdir_in(self.folder.path()).unwrap().keep();
        fs::write(folder.join(name), text).unwrap();
        let put = |to: &Path, at: &str| {
            symlink(to, self.path("new")).unwrap();
            fs::rename(self.path("new"), self.path(at)).unwrap();
        };
        // One link per file, because the folder contains one file.
        let data = format!("..{name}");
        put(Path::new(folder.file_name().unwrap()), &data);
        if !self.path(name).is_symlink() {
            put(&Path::new(&data).join(name), name);
        }
    }

    /// Writes its file and waits until it is applied.
    #[track_caller]
    pub(crate) fn save(&self, given: &AgentBuilder) {
        self.save_text(&given.text());
    }

    /// Writes this text as its file and waits until it is applied.
    #[track_caller]
    pub(crate) fn save_text(&self, text: &str) {
        let before = self.applied_files().len();
        self.write("sites.ron", text, WriteMethod::InPlace);
        self.wait_until_applied(before);
    }

    /// Writes this text as its file and waits until it is applied. With the new file `/api/config` needs this token.
    #[track_caller]
    pub(crate) fn save_text_as(&self, text: &str, token: &str) {
        let before = self.applied_files().len();
        self.write("sites.ron", text, WriteMethod::InPlace);
        let bearer = format!("Bearer {token}");
        // Not before the reload: ten wrong tokens cause a delay.
        until("the file is reloaded", || (self.applied_files().len() > before).then_some(()));
        until("the file is applied", || {
            let config = self.ask("GET", "/api/config", &[("Authorization", &bearer)]);
            (config.json()["isCurrent"] == true).then_some(())
        });
    }

    /// Waits until the file was reloaded more than this many times and is applied.
    #[track_caller]
    pub(crate) fn wait_until_applied(&self, before: usize) {
        until("the file is reloaded", || (self.applied_files().len() > before).then_some(()));
        until("the file is applied", || (self.config()["isCurrent"] == true).then_some(()));
    }

    /// Waits until the error of the file contains these words. Returns the error.
    #[track_caller]
    pub(crate) fn wait_for_file_error(&self, words: &str) -> String {
        until(&format!("the error contains {words:?}"), || {
            let error = self.config()["error"]["message"].as_str().unwrap_or_default().to_string();
            error.contains(words).then_some(error)
        })
    }

    pub(crate) fn config(&self) -> Value {
        self.json("/api/config")
    }

    /// The log lines of files that were applied.
    pub(crate) fn applied_files(&self) -> Vec<String> {
        self.log_lines(APPLIED)
    }

    /// The log lines of files that were rejected.
    pub(crate) fn rejected_files(&self) -> Vec<String> {
        self.log_lines(REJECTED)
    }

    fn log_lines(&self, words: &str) -> Vec<String> {
        let log = self.running.err();
        log.lines().filter_map(|line| Some(message(line.split_once(words)?.1))).collect()
    }

    /// The state of a site, with its connection and plugins.
    pub(crate) fn site(&self, key: &str) -> Value {
        self.json(&format!("/api/sites/{key}"))
    }

    /// The current value of a metric.
    pub(crate) fn series(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").body;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }
}

/// The text of `msg="…"` at the end of a log line.
fn message(line: &str) -> String {
    line.split_once("msg=").unwrap().1.trim_matches('"').into()
}

/// The logins and connections that a router has counted.
pub(crate) fn logins_and_connections(router: &Router) -> (u64, u64) {
    let counters = router.counters();
    (counters.logins, counters.connections)
}

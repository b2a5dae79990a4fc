//! An agent with the file that it re-reads, and the ways in which people and their tools change one.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use phsweb_agent::simulator::Router;
use serde_json::Value;
use tempfile::TempDir;

use super::agent::{Agent, Given, until};

/// What the log says of a file that is taken, and of one that is not.
const TAKEN: &str = "reload=applied ";
const NOT_TAKEN: &str = "reload=rejected ";

/// How long a file may be cut off while it is written, by an editor on a slow disk: far less than from one look at it
/// to the next.
const HALF: Duration = Duration::from_millis(100);

/// How a file is replaced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// Written over.
    InPlace,
    /// Another is put in its place.
    Renamed,
    /// Cut to nothing, and filled a moment later.
    Truncated,
    /// It is a link to a link to a folder, and the latter is switched, as Kubernetes does with a `ConfigMap`.
    Linked,
    /// Removed, and made anew a moment later.
    Removed,
}

impl Way {
    pub(crate) const ALL: [Self; 5] =
        [Self::InPlace, Self::Renamed, Self::Truncated, Self::Linked, Self::Removed];
}

/// An agent, and the folder with its file.
pub(crate) struct Kept {
    pub(crate) agent: Agent,
    folder: TempDir,
}

impl Deref for Kept {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl Kept {
    #[track_caller]
    pub(crate) fn start(given: &Given) -> Self {
        Self::start_with(given, &[])
    }

    /// The same, with these files beside its own, which hold secrets.
    #[track_caller]
    pub(crate) fn start_with(given: &Given, secrets: &[(&str, &str)]) -> Self {
        let (command, folder) = given.command();
        for (name, secret) in secrets {
            fs::write(folder.path().join(name), secret).unwrap();
        }
        let kept = Self { agent: Agent::start(command), folder };
        for (_, secret) in secrets {
            kept.running.unsaid.add(secret);
        }
        kept
    }

    /// The same, before its file is there.
    #[track_caller]
    pub(crate) fn start_without_file(given: &Given) -> Self {
        let (command, folder) = given.command();
        fs::remove_file(folder.path().join("sites.ron")).unwrap();
        Self { agent: Agent::start(command), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes its file, or another in its folder, in some way. Nothing is waited for but what that takes.
    pub(crate) fn write(&self, name: &str, text: &str, way: Way) {
        self.running.unsaid.add_those_of(text);
        let path = self.path(name);
        match way {
            Way::InPlace => fs::write(path, text).unwrap(),
            Way::Renamed => {
                fs::write(self.path("new"), text).unwrap();
                fs::rename(self.path("new"), path).unwrap();
            }
            Way::Truncated => {
                fs::write(&path, "").unwrap();
                thread::sleep(HALF);
                fs::write(path, text).unwrap();
            }
            Way::Linked => self.switch(name, text),
            Way::Removed => {
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
        // One for each file: the other is not in the folder.
        let data = format!("..{name}");
        put(Path::new(folder.file_name().unwrap()), &data);
        if !self.path(name).is_symlink() {
            put(&Path::new(&data).join(name), name);
        }
    }

    /// Writes its file, and waits until it is in use.
    #[track_caller]
    pub(crate) fn save(&self, given: &Given) {
        self.save_text(&given.text());
    }

    /// The same, of a file with these words.
    #[track_caller]
    pub(crate) fn save_text(&self, text: &str) {
        let before = self.taken().len();
        self.write("sites.ron", text, Way::InPlace);
        self.until_taken(before);
    }

    /// The same, of a file by which this token is asked for at `/api/config`; empty: none is.
    #[track_caller]
    pub(crate) fn save_text_as(&self, text: &str, token: &str) {
        let before = self.taken().len();
        self.write("sites.ron", text, Way::InPlace);
        let bearer = format!("Bearer {token}");
        // Not before: ten wrong tokens must wait.
        until("it is read again", || (self.taken().len() > before).then_some(()));
        until("it is in use", || {
            let config = self.ask("GET", "/api/config", &[("Authorization", &bearer)]);
            (config.json()["isCurrent"] == true).then_some(())
        });
    }

    /// Waits until more was read than this many times, and all of it is in use.
    #[track_caller]
    pub(crate) fn until_taken(&self, before: usize) {
        until("it is read again", || (self.taken().len() > before).then_some(()));
        until("it is in use", || (self.config()["isCurrent"] == true).then_some(()));
    }

    /// What is wrong with the file, once that is told in these words.
    #[track_caller]
    pub(crate) fn until_wrong(&self, words: &str) -> String {
        until(&format!("it is told that {words}"), || {
            let told = self.config()["error"]["message"].as_str().unwrap_or_default().to_string();
            told.contains(words).then_some(told)
        })
    }

    pub(crate) fn config(&self) -> Value {
        self.json("/api/config")
    }

    /// What the log says of each file that was taken.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.told(TAKEN)
    }

    /// What it says of those that were not.
    pub(crate) fn not_taken(&self) -> Vec<String> {
        self.told(NOT_TAKEN)
    }

    fn told(&self, words: &str) -> Vec<String> {
        let log = self.running.err();
        log.lines().filter_map(|line| Some(message(line.split_once(words)?.1))).collect()
    }

    /// What is told of a site's connection and plugins.
    pub(crate) fn site(&self, key: &str) -> Value {
        self.json(&format!("/api/sites/{key}"))
    }

    /// A series' value now.
    pub(crate) fn series(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").body;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }
}

/// The text of `msg="…"` at the end of a log line.
fn message(line: &str) -> String {
    line.split_once("msg=").unwrap().1.trim_matches('"').into()
}

/// Logins and connections that a router has had.
pub(crate) fn met(router: &Router) -> (u64, u64) {
    let counters = router.counters();
    (counters.logins, counters.connections)
}

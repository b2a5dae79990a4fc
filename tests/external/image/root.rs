//! The unpacked root of an image, and the agent running in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::agent::Agent;
use super::archive::Image;

/// Debian installs it outside the `PATH` of users.
pub(super) const CHROOT: &str = "/usr/sbin/chroot";

/// The folder that is mounted into the container.
const MOUNTED: &str = "etc/phsweb-agent";

/// A root with the files of the image, and with an emulator if one is needed.
pub(super) struct Root {
    folder: TempDir,
    /// The command to run, with its arguments.
    pub(super) words: Vec<String>,
    /// The user and group that run the image.
    pub(super) user: String,
}

impl Root {
    /// The root in the bundle of this folder.
    pub(super) fn new(folder: TempDir, image: &Image) -> Self {
        let config = image.config();
        let user = config["config"]["User"].as_str().unwrap().to_string();
        let mut root = Self { folder, words: Vec::new(), user };
        if let [emulator, options @ ..] = image.emulator {
            let from = format!("/usr/bin/{emulator}");
            fs::copy(&from, root.path("emulator")).unwrap_or_else(|error| panic!("{from}: {error}"));
            root.words = ["/emulator"].iter().chain(options).map(ToString::to_string).collect();
        }
        for part in ["Entrypoint", "Cmd"] {
            let words = config["config"][part].as_array().unwrap();
            root.words.extend(words.iter().map(|word| word.as_str().unwrap().to_string()));
        }
        // In a container any address is free; here it may be in use.
        let listen = root.words.iter().position(|word| word == "--listen").unwrap();
        root.words[listen + 1] = "127.0.0.1:0".into();
        root
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("bundle/rootfs").join(name)
    }

    /// Starts the agent in this root, with an empty environment.
    #[track_caller]
    pub(super) fn start(mut command: Command) -> Agent {
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Agent::start(command)
    }

    /// Writes a file atomically into the mounted folder.
    pub(super) fn mount(&self, name: &str, content: impl AsRef<[u8]>) {
        let new = self.path(MOUNTED).join("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path(MOUNTED).join(name)).unwrap();
    }

    /// The files outside the mounted folder.
    pub(super) fn contents(&self) -> BTreeMap<PathBuf, ReloadingAgent> {
        let (mut found, mut folders) = (BTreeMap::new(), vec![self.path("")]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path == self.path(MOUNTED) {
                    continue;
                }
                let meta = path.symlink_metadata().unwrap();
                found.insert(path.clone(), ReloadingAgent::of(&meta));
                if meta.is_dir() {
                    folders.push(path);
                }
            }
        }
        found
    }

    /// The names in the mounted folder.
    pub(super) fn mounted(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path(MOUNTED)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Metadata that changes when a file is written, or when a folder had a new file for a moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReloadingAgent {
    mode: u32,
    owner: u32,
    size: u64,
    changed: (i64, i64),
}

impl ReloadingAgent {
    fn of(meta: &Metadata) -> Self {
        let changed = (meta.ctime(), meta.ctime_nsec());
        Self { mode: meta.mode(), owner: meta.uid(), size: meta.size(), changed }
    }
}

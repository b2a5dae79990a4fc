//! A memory cgroup (version 1 or 2). Needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;

/// A group of processes with a memory limit and without swap.
pub(crate) struct Group(PathBuf);

impl Group {
    /// A group with a limit in bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let name = format!("phsweb-agent-test-{}-{bytes}", process::id());
        let all = Path::new("/sys/fs/cgroup");
        let controllers = fs::read_to_string(all.join("cgroup.controllers")).unwrap_or_default();
        let (path, limit, swap) = if controllers.contains("memory") {
            fs::write(all.join("cgroup.subtree_control"), "+memory").unwrap();
            (all.join(name), "memory.max", "memory.swap.max")
        } else {
            // Version 1 has a separate tree for memory.
            let own = fs::read_to_string("/proc/self/cgroup").unwrap();
            let own = own.lines().find_map(|line| line.split_once(":memory:/"));
            let (_, own) = own.expect("expected a kernel with a memory controller");
            (all.join("memory").join(own).join(name), "memory.limit_in_bytes", "memory.swappiness")
        };
        fs::create_dir(&path).unwrap();
        let group = Self(path);
        fs::write(group.0.join(limit), bytes.to_string()).unwrap();
        // A kernel without swap has no such file.
        let _ = fs::write(group.0.join(swap), "0");
        group
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The same command, running in the group.
    pub(crate) fn confine(&self, command: &Command) -> Command {
        let mut confined = Command::new("/bin/sh");
        confined.args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#]).arg(&self.0);
        confined.arg(command.get_program()).args(command.get_args()).env_clear();
        confined.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = command.get_current_dir() {
            confined.current_dir(folder);
        }
        confined
            .stdin(process::Stdio::null())
            .stdout(process::Stdio::piped())
            .stderr(process::Stdio::piped());
        confined
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // All processes of the group have exited.
        let removed = fs::remove_dir(&self.0);
        assert!(removed.is_ok() || thread::panicking(), "{removed:?}");
    }
}

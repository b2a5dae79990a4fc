//! The memory limit of the process: the lowest of its cgroup limits (version 1 or 2) and half of the machine's memory.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Maximum number of bytes read of a file: a number, all of `/proc/self/cgroup`, or the first lines of `/proc/meminfo`.
const MAX_FILE: u64 = 16 * 1024;

/// The limit of this process in bytes, if the system whose files are below `root` has one.
pub(super) fn of_process(root: &Path) -> Option<usize> {
    let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| of_group(root, line));
    limits.chain(half_of_machine(root)).min()
}

/// The lowest limit of a group and its ancestors. `line` is a line of `/proc/self/cgroup`: `0::/path` for version 2, or
/// `4:memory:/path` for version 1. A container may see its own group as the root of the mount, while the path is the
/// host's, so folders may be missing. They have no limit.
fn of_group(root: &Path, line: &str) -> Option<usize> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let (mount, name) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|controller| controller == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let mount = root.join(mount);
    let own: PathBuf = Path::new(path).components().filter(is_name).collect();
    // A group without a limit has `max`, which is not a number.
    own.ancestors().filter_map(|group| read(&mount.join(group).join(name))?.trim().parse().ok()).min()
}

/// Whether a component of a path is a name. A process outside of its namespace's root sees `/../..`.
fn is_name(part: &std::path::Component) -> bool {
    matches!(part, std::path::Component::Normal(_))
}

/// Half of `MemTotal`, because there are other processes.
fn half_of_machine(root: &Path) -> Option<usize> {
    let text = read(&root.join("proc/meminfo"))?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: usize = total.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(512)
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of /proc/self/cgroup, the files below /sys/fs/cgroup, and the limit.
    type Case<'c> = (&'c str, &'c [(&'c str, String)], Option<usize>);

    #[test]
    fn the_lowest_limit_of_the_group_and_its_ancestors_applies() {
        const MIB: usize = 1 << 20;
        let (v1, v2) = ("memory.limit_in_bytes", "memory.max");
        let mib = |count: usize| (count * MIB).to_string();
        let cases: &[Case] = &[
            ("", &[], None),
            ("no line\n0::", &[], None),
            ("0::/", &[(v2, mib(64))], Some(64 * MIB)),
            ("0::/a/b\n", &[("a/b/memory.max", "max\n".into())], None),
            ("0::/a/b\n", &[("a/b/memory.max", mib(64)), ("a/memory.max", mib(32))], Some(32 * MIB)),
            ("0::/a/b\n", &[("a/b/memory.max", mib(16)), ("a/memory.max", mib(32))], Some(16 * MIB)),
            // The mount shows the container's own group only.
            ("0::/system.slice/docker-1\n", &[(v2, mib(48))], Some(48 * MIB)),
            ("0::/../../other\n", &[(v2, mib(48))], Some(48 * MIB)),
            ("4:memory:/a\n1:cpu:/b\n", &[("memory/a/memory.limit_in_bytes", mib(64))], Some(64 * MIB)),
            (
                "7:cpu,memory:/a/b\n",
                &[
                    ("memory/a/b/memory.limit_in_bytes", "9223372036854771712".into()),
                    ("memory/memory.limit_in_bytes", mib(40)),
                ],
                Some(40 * MIB),
            ),
            ("4:memory:/docker/1\n0::/x\n", &[(&*format!("memory/{v1}"), mib(40))], Some(40 * MIB)),
            ("4:memory:/a\n", &[("memory/a/memory.limit_in_bytes", "many".into())], None),
            ("1:cpu:/a\n", &[("memory/a/memory.limit_in_bytes", mib(64))], None),
        ];
        for (groups, files, expected) in cases {
            let root = tempfile::tempdir().unwrap();
            let write = |path: &str, text: &str| {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            };
            write("proc/self/cgroup", groups);
            for (path, text) in *files {
                write(&format!("sys/fs/cgroup/{path}"), text);
            }
            assert_eq!(of_process(root.path()), *expected, "{groups:?} {files:?}");
            write("proc/meminfo", "MemTotal:       40960 kB\nMemFree:  1 kB\n");
            let least = expected.map_or(20 * MIB, |limit| limit.min(20 * MIB));
            assert_eq!(of_process(root.path()), Some(least), "{groups:?} {files:?}");
        }
        assert!(of_process(Path::new("/")).is_some(), "this machine has memory");
    }
}

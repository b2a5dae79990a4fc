//! The agent's memory holds passwords: no other process of its user can read it, and its own metrics still work.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use phsweb_agent::simulator::Settings;
use rustix::process::geteuid;

use super::agent::{Agent, AgentBuilder};
use super::router;
use crate::support::binary::binary;

/// A user that owns nothing. It is not 65534, as which a container may show the owner of files that it does not know.
const USER: u32 = 65_533;

#[test]
fn other_processes_of_its_user_cannot_read_its_memory() {
    let router = router(Settings::default());
    let (given, folder) = AgentBuilder::default().site("awka", router.addr(), "").command();
    let (program, user) = if geteuid().is_root() {
        // Of root's processes everything is root's. Another user needs a program that it can reach.
        let program = folder.path().join("phsweb-agent");
        fs::copy(binary(), &program).unwrap();
        for path in [folder.path(), &program] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        (program, USER)
    } else {
        (given.get_program().into(), geteuid().as_raw())
    };
    let mut command = Command::new(program);
    command.args(given.get_args()).env_clear().current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if geteuid().is_root() {
        command.uid(USER).gid(USER);
    }
    let agent = Agent::start(command);
    agent.wait_until_active("awka");
    let process = format!("/proc/{}", agent.running.id());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    assert!(status.contains(&format!("\nUid:{0}\n", format!("\t{user}").repeat(4))), "{status}");
    // The owner of these files is the user only while its other processes may read the memory.
    for file in ["environ", "mem", "maps"] {
        let owner = fs::metadata(format!("{process}/{file}")).unwrap().uid();
        assert_ne!(owner, user, "expected another owner of {file}");
    }
    let metrics = agent.get("/metrics").body;
    for figure in ["process_open_fds ", "process_resident_memory_bytes ", "process_cpu_seconds_total "] {
        assert!(metrics.contains(&format!("\n{figure}")), "{figure}: {metrics}");
    }
}

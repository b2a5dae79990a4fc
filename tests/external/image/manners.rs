//! The agent with minimal resources: a read-only root, no privileges, and the memory of a small router.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use phsweb_agent::simulator::{self, Settings};

use super::AMD64;
use super::agent::{AgentBuilder, TIMEOUT};
use super::cgroup::Group;
use super::root::Root;
use super::router;

/// The memory limit in bytes, including the page cache and socket buffers.
const MEMORY: u64 = 32 << 20;

/// A user that owns nothing.
const NOBODY: &str = "65534";

/// The concurrent connections, and how many of them receive events.
const CONNECTIONS: usize = 300;
const SUBSCRIBERS: usize = 100;

/// The requests of each other connection for each path.
const ROUNDS: usize = 3;
const PATHS: [&str; 4] = ["/", "/api/hotspot/stats", "/metrics", "/sites/lagos"];

const SITES: [&str; 3] = ["awka", "lagos", "abuja"];

/// The mean time between two logins or logouts at a router.
const CHURN: Duration = Duration::from_millis(500);

/// A shell script with the arguments group, root, user, program and arguments. It joins the group, mounts the root
/// read-only, and runs the program there as the user.
const CONFINE: &str = r#"set -e
echo $$ > "$1/cgroup.procs"
mount --bind "$2" "$2"
mount -o remount,bind,ro "$2"
root=$2 user=$3
shift 3
exec chroot --userspec="$user:$user" --groups= "$root" "$@""#;

/// A client with a persistent connection.
struct Client(TcpStream);

impl Client {
    fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self(stream)
    }

    fn ask(&mut self, path: &str) {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }

    /// Reads until `is_complete` accepts the received text.
    #[track_caller]
    fn read_until(&mut self, is_complete: impl Fn(&str) -> bool) -> String {
        let (mut heard, mut more) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&heard);
            if is_complete(&text) {
                return text.into_owned();
            }
            let count = self.0.read(&mut more).unwrap();
            assert_ne!(count, 0, "expected an open connection, closed after {text:?}");
            heard.extend_from_slice(&more[..count]);
        }
    }
}

/// Whether a response has its full length.
fn is_answer(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    body.len() >= length.parse().unwrap()
}

#[test]
#[ignore = "needs root, skopeo, umoci, a memory cgroup and cross/image.sh's images"]
fn amd64_image_runs_with_minimal_resources() {
    let root = AMD64.unpack();
    let routers = simulator::demo().map(|kind| router(Settings { churn: CHURN, ..kind }));
    let given = AgentBuilder::default().defaults("refresh: \"1s\",");
    let sites = SITES.iter().zip(&routers);
    let given = { sites }.fold(given, |given, (site, router)| given.site(site, router.addr(), ""));
    root.mount("sites.ron", given.text());

    let group = Group::new(MEMORY);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", CONFINE, "sh"]).arg(group.path()).arg(root.path(""));
    command.arg(NOBODY).args(&root.words);
    let mut agent = Root::start(command);
    assert_confined(agent.running.id());
    for site in SITES {
        agent.wait_until_active(site);
    }

    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(agent.address)).collect();
    let (subscribers, others) = clients.split_at_mut(SUBSCRIBERS);
    for client in subscribers.iter_mut() {
        client.ask("/api/events");
    }
    for path in PATHS.iter().cycle().take(ROUNDS * PATHS.len()) {
        for client in others.iter_mut() {
            client.ask(path);
        }
        for client in others.iter_mut() {
            let answer = client.read_until(is_answer);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
    }
    for client in subscribers {
        client.read_until(|text| text.contains("\ndata: "));
    }
    for (site, router) in SITES.iter().zip(&routers) {
        let stats = agent.wait_until_active(site);
        assert!(stats["ageSeconds"].as_u64().unwrap() < 5, "{stats}");
        assert_eq!(router.counters().logins, 1);
    }
    println!("peak resident memory: {} KiB", agent.running.memory_kib("VmHWM"));
    agent.running.signal("TERM");
    let status = agent.running.wait_for_exit(TIMEOUT);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!agent.running.err().contains("panicked"), "{}", agent.running.err());
}

/// Checks that a process is unprivileged and has a read-only root.
#[track_caller]
fn assert_confined(process: u32) {
    let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap();
    let status = read("status");
    assert!(status.contains(&format!("\nUid:{0}\n", format!("\t{NOBODY}").repeat(4))), "{status}");
    assert!(status.contains("\nCapEff:\t0000000000000000\n"), "{status}");
    let mounts = read("mountinfo");
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
    assert!(root.unwrap().split(' ').nth(5).unwrap().starts_with("ro"), "{mounts}");
}

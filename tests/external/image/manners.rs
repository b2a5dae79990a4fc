//! The agent is content with little: nowhere to write, no rights, and no more memory than a small router can spare.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use phsweb_agent::simulator::{self, Settings};

use super::AMD64;
use super::agent::{Given, PATIENCE};
use super::cgroup::Group;
use super::root::Root;
use super::router;

/// All the memory that it may have, with what the kernel has of its files and for its sockets, in bytes.
const MEMORY: u64 = 32 << 20;

/// A user that owns nothing.
const NOBODY: &str = "65534";

/// How many are connected at a time, and of them follow the events.
const CONNECTIONS: usize = 300;
const FOLLOWERS: usize = 100;

/// How often each of the others asks for each of these.
const ROUNDS: usize = 3;
const PATHS: [&str; 4] = ["/", "/api/hotspot/stats", "/metrics", "/sites/lagos"];

const SITES: [&str; 3] = ["awka", "lagos", "abuja"];

/// Somebody comes or goes at each router.
const CHURN: Duration = Duration::from_millis(500);

/// For a shell whose arguments are a group, a root, a user, and a program with its own: it joins the group, makes
/// the root one where nothing can be written, and becomes that user's program in there.
const CONFINE: &str = r#"set -e
echo $$ > "$1/cgroup.procs"
mount --bind "$2" "$2"
mount -o remount,bind,ro "$2"
root=$2 user=$3
shift 3
exec chroot --userspec="$user:$user" --groups= "$root" "$@""#;

/// One client, which keeps its connection.
struct Client(TcpStream);

impl Client {
    fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    fn ask(&mut self, path: &str) {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }

    /// What comes, until all of it is there.
    #[track_caller]
    fn hears(&mut self, is_whole: impl Fn(&str) -> bool) -> String {
        let (mut heard, mut more) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&heard);
            if is_whole(&text) {
                return text.into_owned();
            }
            let count = self.0.read(&mut more).unwrap();
            assert_ne!(count, 0, "closed after {text:?}");
            heard.extend_from_slice(&more[..count]);
        }
    }
}

/// Whether an answer has come to its length.
fn is_answer(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    body.len() >= length.parse().unwrap()
}

#[test]
#[ignore = "needs root, skopeo, umoci, a memory cgroup and cross/image.sh's images"]
fn amd64_makes_do_with_little() {
    let root = AMD64.unpack();
    let routers = simulator::demo().map(|kind| router(Settings { churn: CHURN, ..kind }));
    let given = Given::default().defaults("refresh: \"1s\",");
    let sites = SITES.iter().zip(&routers);
    let given = { sites }.fold(given, |given, (site, router)| given.site(site, router.addr(), ""));
    root.mount("sites.ron", given.text());

    let group = Group::new(MEMORY);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", CONFINE, "sh"]).arg(group.path()).arg(root.path(""));
    command.arg(NOBODY).args(&root.words);
    let mut agent = Root::start(command);
    is_confined(agent.running.id());
    for site in SITES {
        agent.well(site);
    }

    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(agent.address)).collect();
    let (followers, others) = clients.split_at_mut(FOLLOWERS);
    for client in followers.iter_mut() {
        client.ask("/api/events");
    }
    for path in PATHS.iter().cycle().take(ROUNDS * PATHS.len()) {
        for client in others.iter_mut() {
            client.ask(path);
        }
        for client in others.iter_mut() {
            let answer = client.hears(is_answer);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
    }
    for client in followers {
        client.hears(|text| text.contains("\ndata: "));
    }
    for (site, router) in SITES.iter().zip(&routers) {
        let stats = agent.well(site);
        assert!(stats["ageSeconds"].as_u64().unwrap() < 5, "{stats}");
        assert_eq!(router.counters().logins, 1);
    }
    println!("at the most {} KiB were resident", agent.running.memory_kib("VmHWM"));
    agent.running.signal("TERM");
    let status = agent.running.ended(PATIENCE);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!agent.running.err().contains("panicked"), "{}", agent.running.err());
}

/// A process is nobody's, and can write nowhere.
#[track_caller]
fn is_confined(process: u32) {
    let told = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap();
    let status = told("status");
    assert!(status.contains(&format!("\nUid:{0}\n", format!("\t{NOBODY}").repeat(4))), "{status}");
    assert!(status.contains("\nCapEff:\t0000000000000000\n"), "{status}");
    let mounts = told("mountinfo");
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
    assert!(root.unwrap().split(' ').nth(5).unwrap().starts_with("ro"), "{mounts}");
}

//! mktxp, a Prometheus exporter. It has no figures of a hotspot: it reads the DHCP leases in their place, and the
//! resources and the health as the others do.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::agent::process;
use crate::program::Program;

/// Longest time until it serves metrics.
const START: Duration = Duration::from_secs(30);

/// Everything else is off.
const COLLECTED: &str = "enabled = True\nusername = api-user\npassword = password\nhealth = True\ndhcp = True\ndhcp_lease = True\n";

const OFF: [&str; 21] = [
    "installed_packages",
    "connections",
    "interface",
    "route",
    "pool",
    "firewall",
    "neighbor",
    "address_list_entries",
    "total_address_list_counts",
    "poe",
    "monitor",
    "netwatch",
    "public_ip",
    "wireless",
    "wireless_clients",
    "capsman",
    "capsman_clients",
    "user",
    "queue",
    "check_for_updates",
    "use_ssl",
];

pub(crate) struct Mktxp {
    process: Child,
    url: String,
    client: ureq::Agent,
    _folder: tempfile::TempDir,
}

impl Mktxp {
    pub(crate) fn start(addresses: &[String]) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        // It can't listen on a port that the system chooses.
        let listen = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let threads = addresses.len().min(100);
        let system = format!(
            "[MKTXP]\nlisten = '{listen}'\nsocket_timeout = 30\nminimal_collect_interval = 0\nbandwidth = False\n\
             fetch_routers_in_parallel = True\nmax_worker_threads = {threads}\nmax_scrape_duration = 90\n"
        );
        let off: String = OFF.iter().map(|name| format!("{name} = False\n")).collect();
        let mut routers = format!("[default]\nhostname = 127.0.0.1\n{COLLECTED}{off}");
        for (number, address) in addresses.iter().enumerate() {
            let (host, port) = address.rsplit_once(':').unwrap();
            routers += &format!("[site-{number}]\nhostname = {host}\nport = {port}\n");
        }
        fs::write(folder.path().join("_mktxp.conf"), system).unwrap();
        fs::write(folder.path().join("mktxp.conf"), routers).unwrap();
        let mut command = Command::new("mktxp");
        command.arg("--cfg-dir").arg(folder.path()).arg("export").stdin(Stdio::null());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.map_err(|error| format!("mktxp: {error} (tests/clients/requirements.txt)"))?;
        let started =
            Self { process, url: format!("http://{listen}/metrics"), client: ureq::agent(), _folder: folder };
        let began = Instant::now();
        while std::net::TcpStream::connect(listen).is_err() {
            if began.elapsed() > START {
                return Err(format!("it served nothing within {START:?}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(started)
    }
}

impl Program for Mktxp {
    fn refresh(&mut self) {
        let mut response = self.client.get(&self.url).call().unwrap();
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
        assert!(text.contains("mktxp_system_uptime"), "expected metrics of routers: {text}");
    }

    fn cpu(&self) -> Duration {
        process::cpu_with_ended_threads(self.process.id())
    }

    fn memory(&self) -> u64 {
        process::memory(self.process.id(), "VmRSS")
    }
}

impl Drop for Mktxp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

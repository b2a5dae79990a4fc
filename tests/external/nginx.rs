//! nginx as a reverse proxy of the agent.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::address::unique_host;
use crate::support::agent::until;
use tempfile::TempDir;

/// An nginx that serves HTTPS, until it is dropped.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    process: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Starts nginx with these locations.
    #[track_caller]
    pub(crate) fn start(locations: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let address = SocketAddr::from((unique_host(), 8443));
        let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
        let certificates = certificates.display();
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let folders = folders.map(|kind| format!("{kind}_temp_path {kind};")).join("\n");
        let text = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;
             events {{}}
             http {{
                 access_log off;
                 {folders}
                 server {{
                     listen {address} ssl;
                     ssl_certificate {certificates}/page.cert.pem;
                     ssl_certificate_key {certificates}/page.key.pem;
                     {locations}
                 }}
             }}"
        );
        fs::write(folder.path().join("nginx.conf"), text).unwrap();
        let process = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut nginx = Self { address, process, _folder: folder };
        until("nginx listens", || {
            assert!(nginx.process.try_wait().unwrap().is_none(), "expected a running nginx");
            TcpStream::connect(address).ok()
        });
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The documented configuration with the address of this agent.
#[track_caller]
pub(crate) fn documented(agent: SocketAddr) -> String {
    let text = include_str!("../../docs/behind-a-proxy.md");
    let (_, rest) = text.split_once("```nginx\n").expect("expected a configuration of nginx in the document");
    let (locations, _) = rest.split_once("```").unwrap();
    assert!(locations.contains("http://127.0.0.1:8080/;"), "{locations}");
    locations.replace("127.0.0.1:8080", &agent.to_string())
}

//! The commands, one file each; `main` chooses one by the arguments.

mod agent;
pub mod check;
pub mod demo;
mod listener;
mod problems;
mod reload;
pub mod restart;
pub mod run;
mod serve;
mod signals;
pub mod simulate;
mod site_log;
pub mod test;

use std::env;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::config::{self, Diagnostics, Host};
use crate::net::tls::Tls;
use crate::simulator::{Router, Settings};
use crate::text::visible_lines;
pub use signals::Signals;

/// Why a command could not do what it was asked, in words for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The answer is no.
    No(String),
    /// It was called wrongly.
    Usage(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::No(message)
    }
}

/// Where the file is on a machine that has one agent.
const SYSTEM_FILE: &str = "/etc/phsweb-agent/sites.ron";

/// Where the file is looked for when nothing names it.
const PLACES: [&str; 2] = ["sites.ron", SYSTEM_FILE];

/// The file that is named, by the argument or `$PHSWEB_CONFIG`, or else lies in one of the usual places.
fn file(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if named.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
        return Err(Failure::Usage("the name of the configuration is empty; expected a file".into()));
    }
    let variable = || env::var_os("PHSWEB_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = named.or_else(variable);
    let usual = || PLACES.map(PathBuf::from).into_iter().find(|path| path.exists());
    let path = named.or_else(usual).ok_or_else(|| {
        format!(
            "no configuration: neither {} exists; name one with --config FILE or $PHSWEB_CONFIG, \
             or look around with `phsweb-agent demo`",
            PLACES.join(" nor ")
        )
    })?;
    Ok(path)
}

/// Why nothing is started from this file.
fn not_started(problems: &Diagnostics, path: &Path) -> Failure {
    format!("{problems}\nNothing was started: mend {} first.", path.display()).into()
}

/// Starts a simulated router on loopback for a site.
fn simulated(site: &config::Site, settings: Settings) -> Result<Router, Failure> {
    Router::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), settings)
        .map_err(|error| format!("no simulated router for {}: {error}", site.key).into())
}

/// The site with a simulated router's address for its own.
fn at_simulator(site: &config::Site, router: &Router) -> config::Site {
    let host = Host { name: router.addr().ip().to_string(), port: router.addr().port() };
    config::Site { hosts: vec![host], tls: Tls::Off, pins: Vec::new(), ..site.clone() }
}

/// For a command that has no file.
fn nothing_to_reload() {
    log::info!("SIGHUP: there is no file to read again");
}

/// Tells the user at the terminal. Where nobody listens, nobody is told.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{}", visible_lines(line));
}

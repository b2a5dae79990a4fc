//! `simulate`: the simulated routers alone, for other people's clients.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::{Failure, Signals, nothing_to_reload, say};
use crate::config::{API_PORT, API_TLS_PORT};
use crate::simulator::{self, Capture, Fault, Login, Policies, Router, Settings, Version};

/// Most bytes of a captured board. Menus with thousands of rows take one or two megabytes.
const MAX_CAPTURE: u64 = 8 << 20;

/// The boards that come with the source.
const BOARDS: &str = "examples/boards/{cap-ac,cap-ax,ccr2004,hap-ac3,rb951,x86-6.33,x86-7.21}.txt";

/// Options of `simulate`.
#[derive(Debug, Clone)]
pub struct Simulate {
    /// How many routers.
    pub routers: u16,
    /// People online at each.
    pub active: Option<usize>,
    /// Users configured at each.
    pub users: Option<usize>,
    /// The RouterOS of all; without it each has another.
    pub version: Option<Version>,
    /// The file of a captured board, whose rows all routers replay.
    pub board: Option<PathBuf>,
    /// The first router's port, the others' follow it; 0 lets the system choose all. Without it, the
    /// one that the service has on a router.
    pub port: Option<u16>,
    /// Whether they serve `api-ssl`.
    pub tls: bool,
    /// What goes wrong with all of them.
    pub fault: Option<Fault>,
}

impl Simulate {
    /// Serves the routers until a signal ends it.
    ///
    /// # Errors
    ///
    /// When a port is taken.
    pub fn execute(self, signals: Signals) -> Result<(), Failure> {
        let capture = self.board.as_deref().map(capture).transpose()?;
        if capture.is_some() && self.version.is_some() {
            return Err(Failure::Usage("found --version with --board, whose rows say the version".into()));
        }
        let mut routers = Vec::new();
        let first = self.port.unwrap_or(if self.tls { API_TLS_PORT } else { API_PORT });
        for (number, kind) in (0..self.routers).zip(simulator::demo().into_iter().cycle()) {
            let port = match first {
                0 => 0,
                _ => first
                    .checked_add(number)
                    .ok_or_else(|| Failure::Usage("the last router's port would be over 65535".into()))?,
            };
            let settings = Settings {
                identity: format!("{}-{}", kind.identity, number + 1),
                seed: u64::from(number) + 1,
                version: self.version.clone().unwrap_or(kind.version.clone()),
                active: self.active.unwrap_or(kind.active),
                users: self.users.unwrap_or(kind.users),
                logins: logins(),
                tls: self.tls,
                ..kind
            };
            let settings = match &capture {
                Some(capture) => settings.replaying(capture.clone()),
                None => settings,
            };
            let told = format!("RouterOS {}, {}, as {}", settings.version, settings.board, settings.identity);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let router = Router::start(address, settings)
                .map_err(|error| format!("can't listen at {address}: {error}; choose another with --port"))?;
            router.set_fault(self.fault);
            say(&format!("{}  {told}", router.addr()));
            routers.push(router);
        }
        // All have the same certificate.
        if let Some(fingerprint) = routers.first().and_then(Router::fingerprint) {
            say(&format!("tls: Pin(\"{fingerprint}\")"));
        }
        say("Log in as api-user or reader with the password password, or as admin with none.");
        if let Some(fault) = self.fault {
            say(&format!("Fault {fault}: {}.", fault.description()));
        }
        smol::block_on(signals.until_ended(nothing_to_reload));
        Ok(())
    }
}

/// Reads a captured board.
fn capture(path: &Path) -> Result<Capture, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_CAPTURE).read_to_string(&mut text))
        .map_err(|error| format!("can't read {}: {error}; the source has {BOARDS}", path.display()))?;
    if text.len() as u64 == MAX_CAPTURE {
        return Err(format!("{}: it is too long", path.display()));
    }
    text.parse().map_err(|error| format!("{}: {error}", path.display()))
}

/// Who may log in: the agent's user, one who may only look, and the one that a new router has.
fn logins() -> Vec<Login> {
    let may_look = Policies { write: false, ..Policies::ALL };
    vec![
        Login::new("api-user", "password"),
        Login { policies: may_look, ..Login::new("reader", "password") },
        Login::new("admin", ""),
    ]
}

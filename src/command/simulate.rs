//! `simulate`: the simulated routers alone, for other people's clients.

use std::net::{Ipv4Addr, SocketAddr};

use super::{Failure, say, signals, until_ended};
use crate::simulator::{self, Fault, Login, Policies, Router, Settings, Version};

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
    /// The first router's port, the others' follow it; 0 lets the system choose all.
    pub port: u16,
    /// What goes wrong with all of them.
    pub fault: Option<Fault>,
}

impl Simulate {
    /// Serves the routers until a signal ends it.
    ///
    /// # Errors
    ///
    /// When a port is taken.
    pub fn execute(self) -> Result<(), Failure> {
        let signals = signals()?;
        let mut routers = Vec::new();
        for (number, kind) in (0..self.routers).zip(simulator::demo().into_iter().cycle()) {
            let port = match self.port {
                0 => 0,
                first => first
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
                ..kind
            };
            let told = format!("RouterOS {}, {}, as {}", settings.version, settings.board, settings.identity);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let router = Router::start(address, settings)
                .map_err(|error| format!("can't listen at {address}: {error}; choose another with --port"))?;
            router.set_fault(self.fault);
            say(&format!("{}  {told}", router.addr()));
            routers.push(router);
        }
        say("Log in as api-user or reader with the password password, or as admin with none.");
        if let Some(fault) = self.fault {
            say(&format!("Fault {fault}: {}.", fault.description()));
        }
        smol::block_on(until_ended(signals));
        Ok(())
    }
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

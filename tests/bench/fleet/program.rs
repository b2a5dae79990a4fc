//! The programs that refresh a fleet: this agent, and clients and exporters of others.

use std::time::Duration;

use crate::mktxp::Mktxp;
use crate::phsweb::Phsweb;
use crate::script::Script;

/// A program that is connected to all routers.
pub(crate) trait Program {
    /// Reads all routers once, and returns when the last has replied.
    fn refresh(&mut self);

    /// The time until another refresh really asks the routers again.
    fn pause(&self) -> Duration {
        Duration::ZERO
    }

    fn cpu(&self) -> Duration;

    /// Resident memory in bytes.
    fn memory(&self) -> u64;
}

/// Starts a program for these routers with this many sessions in total, or says why it can't be measured.
type Start = fn(&[String], usize) -> Result<Box<dyn Program>, String>;

/// All programs by their names, and the most sessions that they are measured with: the others need minutes for more.
pub(crate) const PROGRAMS: [(&str, usize, Start); 4] = [
    ("phsweb-agent", usize::MAX, |addresses, sessions| Ok(Box::new(Phsweb::start(addresses, sessions)))),
    ("node-routeros", 10_000, |addresses, sessions| {
        Ok(Box::new(Script::node_routeros(addresses, sessions)?))
    }),
    ("librouteros", 10_000, |addresses, sessions| Ok(Box::new(Script::librouteros(addresses, sessions)?))),
    ("mktxp", 1000, |addresses, _| Ok(Box::new(Mktxp::start(addresses)?))),
];

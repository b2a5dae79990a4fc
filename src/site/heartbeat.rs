//! The command that shows that a router still answers, and for how long it has been up.

use std::time::Duration;

use crate::clock::Moment;
use crate::routeros::client::{Command, Reply};
use crate::routeros::value;

/// A command that every router answers at once in one short row, which also reveals a reboot.
pub(super) fn heartbeat() -> Command {
    Command::new("/system/resource/print").proplist("uptime")
}

/// The router's uptime, and the moment of that uptime.
pub(super) fn uptime_of(heartbeat: &Reply, asked_at: Moment) -> Option<(Duration, Moment)> {
    let uptime = value::duration(heartbeat.rows.first()?.get("uptime")?)?;
    Some((uptime, asked_at.after(heartbeat.took)))
}

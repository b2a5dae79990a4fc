//! The list of commands.

use super::argument::{HelpList, Subcommand};
use super::{check, demo, notify, run, simulate, test};

/// The definition of the program without a command: its options and its help.
pub(super) static PROGRAM: Subcommand = Subcommand {
    name: "",
    summary: "",
    about: "Monitors MikroTik hotspots (captive portals) over the RouterOS API: who is online, and the state \
            of the routers. It reads sites.ron and serves a page at /, JSON at /api/hotspot/stats, and \
            Prometheus metrics at /metrics.",
    list: Some(HelpList {
        heading: "Commands",
        rows: || COMMANDS.map(|command| (command.name, command.summary)).to_vec(),
    }),
    notes: "Exit codes: 0 success, 1 failure (an invalid file, an address in use), 2 wrong arguments. \
            `phsweb-agent COMMAND --help` describes a command.",
    ..run::COMMAND
};

/// All commands, in the order of the help.
pub(super) static COMMANDS: [&Subcommand; 6] =
    [&run::COMMAND, &check::COMMAND, &test::COMMAND, &notify::COMMAND, &demo::COMMAND, &simulate::COMMAND];

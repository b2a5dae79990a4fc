//! The list of commands.

use super::argument::{HelpList, Program, Subcommand};
use super::{check, completions, demo, help, init, man, notify, run, simulate, status, test};

/// The program and its commands. The parser, the help, the completions and the manual are made from these definitions.
pub(super) static PROGRAM: Program = Program { definition: &DEFINITION, commands: &COMMANDS };

static DEFINITION: Subcommand = Subcommand {
    name: "",
    summary: "",
    about: "Monitors MikroTik hotspots (captive portals) over the RouterOS API: who is online, and the state \
            of the routers. It reads sites.ron and serves a page at /, JSON at /api/hotspot/stats, and \
            Prometheus metrics at /metrics.",
    operand: None,
    list: Some(HelpList {
        heading: "Commands",
        rows: || COMMANDS.iter().map(|command| (command.name, command.summary)).collect(),
    }),
    notes: "Exit codes: 0 success, 1 a negative result or a failure (an invalid file, a site that is offline, \
            an address in use), 2 wrong arguments. `phsweb-agent help COMMAND` describes a command. Output on \
            a terminal is in color, unless NO_COLOR is set.",
    ..run::COMMAND
};

/// All commands, in the order of the help.
static COMMANDS: [&Subcommand; 11] = [
    &run::COMMAND,
    &demo::COMMAND,
    &simulate::COMMAND,
    &init::COMMAND,
    &check::COMMAND,
    &test::COMMAND,
    &status::COMMAND,
    &notify::COMMAND,
    &completions::COMMAND,
    &man::COMMAND,
    &help::COMMAND,
];

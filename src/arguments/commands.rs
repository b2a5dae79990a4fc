//! The table of commands: what each takes, and what becomes of it.

use std::ffi::OsStr;

use phsweb_agent::command::restart::run_restarting;
use phsweb_agent::command::{check::Check, demo::Demo, run::Run, simulate::Simulate, test::Test};
use phsweb_agent::config::Http;
use phsweb_agent::simulator::Fault;

use super::values::{number, parsed, text, unexpected};
use super::{Argument, Given, List, Subcommand};

/// Sites of a demo that nobody gave a number.
const SITES: usize = 3;

/// Routers of a simulation that nobody gave a number.
const ROUTERS: u16 = 1;

/// Most sites of a demo, and most routers of a simulation.
const MAX_ROUTERS: u16 = 1000;

const PLACES: &str = "The configuration; else $PHSWEB_CONFIG, ./sites.ron, /etc/phsweb-agent/sites.ron";

const HELP: Argument = Argument::switch("--help", "Print this help", |given| given.help = true).short("-h");
const VERSION: Argument =
    Argument::switch("--version", "Print the version, the target and the features", |given| {
        given.own_version = true;
    })
    .short("-V");
const LOG: Argument = Argument::value(
    "--log",
    "LEVEL",
    "How much to log: off, error, warn, info, debug or trace; else $RUST_LOG, else info",
    |given, value| {
        parsed(value, "off, error, warn, info, debug or trace").map(|level| given.log = Some(level))
    },
);
const CONFIG: Argument = Argument::value("--config", "FILE", PLACES, |given, value| {
    given.config = Some(value.into());
    Ok(())
});

fn set_listen(given: &mut Given, value: &OsStr) -> Result<(), String> {
    parsed(value, "ADDRESS:PORT, such as 127.0.0.1:8080").map(|address| given.listen = Some(address))
}

/// What is meant where options are given and no command is named.
pub(super) static PROGRAM: Subcommand = Subcommand {
    name: "",
    summary: "",
    about: "Shows who is online on MikroTik hotspots at many sites, and how the routers are. It reads \
            sites.ron, logs in to each router over the RouterOS API, and serves a page at / and JSON at \
            /api/hotspot/stats.",
    options: RUN.options,
    operand: None,
    list: Some(List {
        heading: "Commands",
        rows: || COMMANDS.map(|command| (command.name, command.summary)).to_vec(),
    }),
    notes: "Exit codes: 0 it ended well, 1 it can't (a wrong file, an address that is taken), 2 it was \
            called wrongly. `phsweb-agent COMMAND --help` tells more of each command.",
    execute: RUN.execute,
};

/// All there are, in the order of the help.
pub(super) static COMMANDS: [&Subcommand; 5] = [&RUN, &CHECK, &TEST, &DEMO, &SIMULATE];

static RUN: Subcommand = Subcommand {
    name: "run",
    summary: "Run the agent",
    about: "Runs the agent: asks the routers of sites.ron, serves the page and JSON.",
    options: &[
        LOG,
        CONFIG,
        Argument::value(
            "--listen",
            "ADDR",
            "Where to listen, as ADDRESS:PORT; stands above http.listen of the file",
            set_listen,
        ),
        Argument::switch(
            "--wait",
            "Don't end where there is no good file yet: say on the page what is missing or wrong, and begin \
             once it is good; for services and containers",
            |given| given.wait = true,
        ),
        Argument::switch(
            "--simulate",
            "Let a simulated router answer for each of the file: your own configuration, no network",
            |given| given.simulate = true,
        ),
        HELP,
        VERSION,
    ],
    operand: None,
    list: None,
    notes: "It ends on SIGTERM or SIGINT. A file that is wrong is not started, unless with --wait: all of \
            its problems are shown, and the exit code is 1. While it runs it follows the file, and the \
            secrets and certificates that this names: what is good is taken within two seconds, or at once \
            on SIGHUP, and only what changed is touched; what is wrong changes nothing, and is told on the \
            page and in the log.",
    execute: |given| {
        let Given { config, listen, wait, simulate, .. } = given;
        run_restarting(|signals, timings| Run { config, listen, wait, simulate }.execute(signals, timings))
    },
};

static CHECK: Subcommand = Subcommand {
    name: "check",
    summary: "Say what is wrong with sites.ron, all at once, with line and column",
    about: "Checks sites.ron, and all that it names: secrets, certificates, variables. Nothing is started \
            and no router is asked.",
    options: &[LOG, HELP, VERSION],
    operand: Some(Argument::value("", "FILE", PLACES, |given, value| {
        let first = given.config.replace(value.into());
        if first.is_some() { Err(unexpected(value, "one FILE")) } else { Ok(()) }
    })),
    list: None,
    notes: "Prints every problem at once, as sites.ron:LINE:COLUMN, with what was found and what was \
            expected. The exit code is 1 if there is any.",
    execute: |given| Check { file: given.config }.execute(),
};

static TEST: Subcommand = Subcommand {
    name: "test",
    summary: "Try the way to each router, step by step, and say where it ends and why",
    about: "Tries the way to each router of sites.ron: resolve, connect, TLS, login, each plugin's menu, \
            and whether sessions can be ended.",
    options: &[
        LOG,
        CONFIG,
        Argument::switch("--json", "Print one JSON array of all steps instead", |given| given.json = true),
        HELP,
        VERSION,
    ],
    operand: Some(Argument::value(
        "",
        "SITE...",
        "Keys of the sites to try; all where none is named",
        |given, value| text(value).map(|key| given.keys.push(key.into())),
    )),
    list: None,
    notes: "Prints a line for each step with its time, and under one that failed what to do about it. It \
            logs in once to each host. The exit code is 1 if any step failed.",
    execute: |given| Test { config: given.config, json: given.json, sites: given.keys }.execute(),
};

static DEMO: Subcommand = Subcommand {
    name: "demo",
    summary: "Look around: the agent over simulated routers, with no file",
    about: "Runs the agent over simulated routers, with people coming and going. Needs no file.",
    options: &[
        LOG,
        Argument::value("--sites", "N", "How many sites, 1 to 1000", |given, value| {
            number(value, 1..=MAX_ROUTERS.into()).map(|sites| given.sites = Some(sites))
        })
        .default(|| SITES.to_string()),
        Argument::value("--listen", "ADDR", "Where to listen, as ADDRESS:PORT", set_listen)
            .default(|| Http::default_listen().to_string()),
        HELP,
        VERSION,
    ],
    operand: None,
    list: None,
    notes: "PHSWEB_ADMIN_TOKEN in the environment turns details of people on, for who sends that token.",
    execute: |given| {
        let sites = given.sites.unwrap_or(SITES);
        let listen = given.listen.unwrap_or_else(Http::default_listen);
        run_restarting(|signals, timings| Demo { sites, listen }.execute(signals, timings))
    },
};

static SIMULATE: Subcommand = Subcommand {
    name: "simulate",
    summary: "Simulated routers alone, for other clients of the RouterOS API",
    about: "Runs simulated routers alone, on loopback, for other clients of the RouterOS API.",
    options: &[
        LOG,
        Argument::value("--routers", "N", "How many routers, 1 to 1000", |given, value| {
            number(value, 1..=MAX_ROUTERS).map(|routers| given.routers = Some(routers))
        })
        .default(|| ROUTERS.to_string()),
        Argument::value(
            "--active",
            "N",
            "People online at each router; else 23, 45, 12 by turns",
            |given, value| number(value, 0..=usize::MAX).map(|active| given.active = Some(active)),
        ),
        Argument::value(
            "--users",
            "N",
            "Users configured at each router; else 150, 300, 80 by turns",
            |given, value| number(value, 0..=usize::MAX).map(|users| given.users = Some(users)),
        ),
        // Of the routers, not of this program.
        Argument::value(
            "--version",
            "V",
            "The RouterOS of all routers, such as 6.42, 6.49.10, 7.11 or 7.20.7; else each has another",
            |given, value| {
                let version = text(value)?.parse();
                version.map(|version| given.version = Some(version)).map_err(|bad| bad.to_string())
            },
        ),
        Argument::value(
            "--board",
            "FILE",
            "Replay the rows captured from a real board, such as those in examples/boards of the source",
            |given, value| {
                given.board = Some(value.into());
                Ok(())
            },
        ),
        Argument::value(
            "--port",
            "P",
            "The first router's port, the others' follow it; 0 lets the system choose; else 8728, with \
             --tls 8729",
            |given, value| number(value, 0..=u16::MAX).map(|port| given.port = Some(port)),
        ),
        Argument::switch(
            "--tls",
            "Serve api-ssl, with a certificate whose fingerprint is told: for tls of sites.ron",
            |given| given.tls = true,
        ),
        Argument::value(
            "--fault",
            "NAME",
            "What goes wrong with all routers, by a name from the list below; else nothing does",
            |given, value| {
                let fault = text(value)?.parse();
                fault.map(|fault| given.fault = Some(fault)).map_err(|unknown| unknown.to_string())
            },
        ),
        HELP,
    ],
    operand: None,
    list: Some(List {
        heading: "Faults, for --fault",
        rows: || Fault::ALL.map(|fault| (fault.name(), fault.description())).to_vec(),
    }),
    notes: "Log in as api-user with the password password, as reader with the same who may only look, or as \
            admin with none, as on a new router; before RouterOS 6.43 by challenge.",
    execute: |given| {
        let Given { routers, active, users, version, board, port, tls, fault, .. } = given;
        let routers = routers.unwrap_or(ROUTERS);
        run_restarting(|signals, _| {
            Simulate { routers, active, users, version, board, port, tls, fault }.execute(signals)
        })
    },
};

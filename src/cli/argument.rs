//! Definition of commands and their options, and the options that several commands accept.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;

use log::LevelFilter;
use phsweb_agent::agent::Failure;
use phsweb_agent::simulator::{Fault, Version};

use super::values::parsed;

/// The values of all options of all commands.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Options {
    pub(crate) log: Option<LevelFilter>,
    pub(super) help: bool,
    /// Requests the version of the program; `version` is the one of simulated routers.
    pub(super) program_version: bool,
    /// The configuration file; without it `$PHSWEB_CONFIG`, then the default paths.
    pub(super) config: Option<PathBuf>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) wait: bool,
    pub(super) simulate: bool,
    pub(super) json: bool,
    /// Keys of sites, or names of channels.
    pub(super) keys: Vec<String>,
    /// The number of sites.
    pub(super) sites: Option<usize>,
    pub(super) routers: Option<u16>,
    pub(super) active: Option<usize>,
    pub(super) users: Option<usize>,
    pub(super) version: Option<Version>,
    pub(super) board: Option<PathBuf>,
    pub(super) port: Option<u16>,
    pub(super) tls: bool,
    pub(super) fault: Option<Fault>,
}

#[derive(Debug)]
pub(crate) struct Subcommand {
    /// Empty for the program itself.
    pub(super) name: &'static str,
    /// Its line in the list of commands.
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) options: &'static [Argument],
    /// An argument without a name.
    pub(super) operand: Option<Argument>,
    /// A list after the options.
    pub(super) list: Option<HelpList>,
    pub(super) notes: &'static str,
    pub(crate) execute: fn(Options) -> Result<(), Failure>,
}

/// Names with their descriptions, for the help.
#[derive(Debug)]
pub(super) struct HelpList {
    pub(super) heading: &'static str,
    pub(super) rows: fn() -> Vec<(&'static str, &'static str)>,
}

/// An option or an operand.
#[derive(Debug)]
pub(super) struct Argument {
    /// `--config`; empty for an operand.
    pub(super) name: &'static str,
    /// `-h`; empty if there is none.
    pub(super) short: &'static str,
    pub(super) help: &'static str,
    pub(super) default: Option<fn() -> String>,
    pub(super) takes: Takes,
}

#[derive(Debug)]
pub(super) enum Takes {
    Nothing(fn(&mut Options)),
    /// The name of the value in the help, and the function that stores it or returns the expected form.
    Value(&'static str, fn(&mut Options, &OsStr) -> Result<(), String>),
}

impl Argument {
    pub(super) const fn switch(name: &'static str, help: &'static str, set: fn(&mut Options)) -> Self {
        Self { name, short: "", help, default: None, takes: Takes::Nothing(set) }
    }

    pub(super) const fn value(
        name: &'static str,
        value: &'static str,
        help: &'static str,
        set: fn(&mut Options, &OsStr) -> Result<(), String>,
    ) -> Self {
        Self { name, short: "", help, default: None, takes: Takes::Value(value, set) }
    }

    pub(super) const fn default(self, default: fn() -> String) -> Self {
        Self { default: Some(default), ..self }
    }

    pub(super) const fn short(self, short: &'static str) -> Self {
        Self { short, ..self }
    }
}

pub(super) const HELP: Argument =
    Argument::switch("--help", "Print this help", |options| options.help = true).short("-h");
pub(super) const VERSION: Argument =
    Argument::switch("--version", "Print the version, the target and the features", |options| {
        options.program_version = true;
    })
    .short("-V");
pub(super) const LOG: Argument = Argument::value(
    "--log",
    "LEVEL",
    "Log level: off, error, warn, info, debug or trace; default $RUST_LOG, then info",
    |options, value| {
        parsed(value, "off, error, warn, info, debug or trace").map(|level| options.log = Some(level))
    },
);

/// Where the configuration is searched for.
pub(super) const CONFIG_PLACES: &str =
    "The configuration; default $PHSWEB_CONFIG, then ./sites.ron, then /etc/phsweb-agent/sites.ron";
pub(super) const CONFIG: Argument = Argument::value("--config", "FILE", CONFIG_PLACES, |options, value| {
    options.config = Some(value.into());
    Ok(())
});

pub(super) fn set_listen(options: &mut Options, value: &OsStr) -> Result<(), String> {
    parsed(value, "ADDRESS:PORT, such as 127.0.0.1:8080").map(|address| options.listen = Some(address))
}

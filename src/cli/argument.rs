//! Definition of commands and their options, and the options that several commands accept.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;

use log::LevelFilter;
use phsweb_agent::agent::Failure;
use phsweb_agent::config::unknown;
use phsweb_agent::simulator::{Fault, Version};

use super::values::{listen_address, parsed, text, unexpected};

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
    /// Operands that are names: keys of sites, names of channels, a command or a shell.
    pub(super) keys: Vec<String>,
    pub(super) url: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca: Option<String>,
    pub(super) name: Option<String>,
    pub(super) address: Option<String>,
    pub(super) user: Option<String>,
    pub(super) output: Option<PathBuf>,
    /// Whether a demo has sites with problems.
    pub(super) has_problems: bool,
    /// The number of sites.
    pub(super) sites: Option<usize>,
    pub(super) routers: Option<u16>,
    pub(super) active: Option<usize>,
    pub(super) users: Option<usize>,
    pub(super) version: Option<Version>,
    pub(super) board: Option<PathBuf>,
    pub(super) port: Option<u16>,
    pub(super) latency_ms: Option<u64>,
    pub(super) churn_s: Option<u64>,
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
    pub(super) execute: Execute,
}

/// What a command does.
#[derive(Debug)]
pub(super) enum Execute {
    Run(fn(Options) -> Result<(), Failure>),
    /// Prints a text that is made from the definitions of all commands.
    Print(fn(&Options, &Program) -> Result<String, String>),
}

/// The definitions of all commands.
#[derive(Debug)]
pub(super) struct Program {
    /// The program without a command: its options and its help.
    pub(super) definition: &'static Subcommand,
    /// In the order of the help.
    pub(super) commands: &'static [&'static Subcommand],
}

impl Program {
    /// The command of this name, or an error that suggests one.
    pub(super) fn command(&self, name: &str) -> Result<&'static Subcommand, String> {
        self.commands.iter().find(|command| command.name == name).copied().ok_or_else(|| {
            let known: Vec<&str> = self.commands.iter().map(|command| command.name).collect();
            unknown(&format!("unknown command `{}`", name.escape_debug()), name, &known)
        })
    }
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
    /// The possible values, for completions; without them any value.
    pub(super) choices: Option<Choices>,
}

/// The possible values of an argument.
pub(super) type Choices = fn(&Program) -> Vec<&'static str>;

#[derive(Debug)]
pub(super) enum Takes {
    Nothing(fn(&mut Options)),
    /// The name of the value in the help, and the function that stores it or returns the expected form.
    Value(&'static str, fn(&mut Options, &OsStr) -> Result<(), String>),
}

impl Argument {
    pub(super) const fn switch(name: &'static str, help: &'static str, set: fn(&mut Options)) -> Self {
        Self { name, short: "", help, default: None, takes: Takes::Nothing(set), choices: None }
    }

    pub(super) const fn value(
        name: &'static str,
        value: &'static str,
        help: &'static str,
        set: fn(&mut Options, &OsStr) -> Result<(), String>,
    ) -> Self {
        Self { name, short: "", help, default: None, takes: Takes::Value(value, set), choices: None }
    }

    pub(super) const fn default(self, default: fn() -> String) -> Self {
        Self { default: Some(default), ..self }
    }

    pub(super) const fn choices(self, choices: Choices) -> Self {
        Self { choices: Some(choices), ..self }
    }

    /// The name of the value in the help; none for a switch.
    pub(super) fn value_name(&self) -> Option<&'static str> {
        match self.takes {
            Takes::Nothing(_) => None,
            Takes::Value(name, _) => Some(name),
        }
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
)
.choices(|_| vec!["off", "error", "warn", "info", "debug", "trace"]);

pub(super) const JSON: Argument =
    Argument::switch("--json", "Print the result as JSON", |options| options.json = true);

/// Where the configuration is searched for.
const CONFIG_PLACES: &str =
    "The configuration; default $PHSWEB_CONFIG, then ./sites.ron, then /etc/phsweb-agent/sites.ron";
pub(super) const CONFIG: Argument =
    Argument::value("--config", "FILE", CONFIG_PLACES, set_config).short("-c");
/// The same as an operand.
pub(super) const FILE: Argument = Argument::value("", "FILE", "The same as --config=FILE", set_config);

fn set_config(options: &mut Options, value: &OsStr) -> Result<(), String> {
    let first = options.config.replace(value.into());
    if first.is_some() { Err(unexpected(value, "one FILE")) } else { Ok(()) }
}

/// Stores an operand that is a name, or the configuration: no name of a site or channel has a dot or a slash.
pub(super) fn set_file_or_name(options: &mut Options, value: &OsStr) -> Result<(), String> {
    if value.as_encoded_bytes().iter().any(|byte| b"./".contains(byte)) {
        return set_config(options, value);
    }
    text(value).map(|name| options.keys.push(name.into()))
}

pub(super) fn set_listen(options: &mut Options, value: &OsStr) -> Result<(), String> {
    listen_address(value).map(|address| options.listen = Some(address))
}

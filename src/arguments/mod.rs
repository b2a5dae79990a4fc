//! What can be said on the command line: the commands, their options, and what each of these sets.
//!
//! What an option is called, what it does and what the help says of it stand in one place, and both
//! reading and help go by that.

mod commands;
mod help;
mod read;
mod values;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;

use log::LevelFilter;
use phsweb_agent::command::Failure;
use phsweb_agent::simulator::{Fault, Version};

pub(crate) use read::{Invocation, read};

/// What was given, whichever command takes it.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Given {
    pub(crate) log: Option<LevelFilter>,
    help: bool,
    /// Asked of the program; `version` is of simulated routers.
    own_version: bool,
    config: Option<PathBuf>,
    listen: Option<SocketAddr>,
    wait: bool,
    simulate: bool,
    json: bool,
    /// Of sites.
    keys: Vec<String>,
    /// How many.
    sites: Option<usize>,
    routers: Option<u16>,
    active: Option<usize>,
    users: Option<usize>,
    version: Option<Version>,
    board: Option<PathBuf>,
    port: Option<u16>,
    tls: bool,
    fault: Option<Fault>,
}

/// One thing to do.
#[derive(Debug)]
pub(crate) struct Subcommand {
    /// The program itself has none.
    name: &'static str,
    /// Its line among the commands.
    summary: &'static str,
    about: &'static str,
    options: &'static [Argument],
    /// What may stand without an option's name.
    operand: Option<Argument>,
    notes: &'static str,
    /// What else there is to choose from.
    list: Option<List>,
    pub(crate) execute: fn(Given) -> Result<(), Failure>,
}

/// Names for the help, and what is said of each.
#[derive(Debug)]
struct List {
    heading: &'static str,
    rows: fn() -> Vec<(&'static str, &'static str)>,
}

/// An option or an operand.
#[derive(Debug)]
struct Argument {
    /// `--config`; an operand has none.
    name: &'static str,
    /// `-h`, where there is such.
    short: &'static str,
    help: &'static str,
    default: Option<fn() -> String>,
    takes: Takes,
}

#[derive(Debug)]
enum Takes {
    Nothing(fn(&mut Given)),
    /// What the help calls the value, and what takes it or says what was expected.
    Value(&'static str, fn(&mut Given, &OsStr) -> Result<(), String>),
}

impl Argument {
    const fn switch(name: &'static str, help: &'static str, set: fn(&mut Given)) -> Self {
        Self { name, short: "", help, default: None, takes: Takes::Nothing(set) }
    }

    const fn value(
        name: &'static str,
        value: &'static str,
        help: &'static str,
        set: fn(&mut Given, &OsStr) -> Result<(), String>,
    ) -> Self {
        Self { name, short: "", help, default: None, takes: Takes::Value(value, set) }
    }

    const fn default(self, default: fn() -> String) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn short(self, short: &'static str) -> Self {
        Self { short, ..self }
    }
}

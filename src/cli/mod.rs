//! The command line: the arguments, the help, and one file for each command.
//!
//! It belongs to the program, not to the library. An option is defined once, in the file of its command; the parser, the
//! help, the completions and the manual all read that definition.

mod argument;
mod check;
mod commands;
mod completions;
mod config_file;
mod demo;
mod demo_history;
mod help;
mod init;
mod man;
mod notify;
mod parser;
mod run;
mod simulate;
mod simulated_site;
mod status;
mod terminal;
mod test;
mod values;

pub(crate) use parser::{Invocation, parse};

//! The command line: the arguments, the help, and one file for each command.
//!
//! It belongs to the program, not to the library. An option is defined once, in the file of its command; the parser
//! and the help both read that definition.

mod argument;
mod check;
mod commands;
mod config_file;
mod demo;
mod demo_history;
mod help;
mod notify;
mod parser;
mod run;
mod simulate;
mod simulated_site;
mod test;
mod values;

pub(crate) use parser::{Invocation, parse};

//! The texts of `help`, `--help` and `--version`.

use std::iter;

use super::argument::{Argument, Execute, HELP, LOG, Subcommand, VERSION};
use super::values::{text, unexpected};

/// Maximum width of a line, in characters, which are all ASCII.
const WIDTH: usize = 100;

/// The output of a call without a command.
pub(super) const SHORT: &str = "\
Monitors MikroTik hotspots over the RouterOS API: who is online, and the state of the routers.

Usage: phsweb-agent COMMAND

Examples:
  phsweb-agent demo                       Run the agent with simulated routers; needs no file
  phsweb-agent init                       Write a sites.ron, and print the commands for its router
  phsweb-agent check sites.ron            Check a configuration; contacts no router
  phsweb-agent test --config sites.ron    Test the connection to each router
  phsweb-agent run --config sites.ron     Run the agent
  phsweb-agent status                     Show the sites of the running agent

`phsweb-agent --help` lists all commands and options, `phsweb-agent help COMMAND` describes one.";

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "help",
    summary: "Describe the program or a command",
    about: "Describes the program, or a command with its options.",
    options: &[LOG, HELP, VERSION],
    operand: Some(
        Argument::value("", "COMMAND", "The command to describe", |options, value| {
            options.keys.push(text(value)?.into());
            if options.keys.len() > 1 { Err(unexpected(value, "one COMMAND")) } else { Ok(()) }
        })
        .choices(|program| program.commands.iter().map(|command| command.name).collect()),
    ),
    list: None,
    notes: "`phsweb-agent COMMAND --help` prints the same.",
    execute: Execute::Print(|options, program| match options.keys.first() {
        Some(name) => program.command(name).map(of),
        None => Ok(of(program.definition)),
    }),
};

/// The version, the target and the features.
pub(super) fn version() -> String {
    let linkage = if cfg!(target_feature = "crt-static") { ", static" } else { "" };
    let cpu = match env!("TARGET_CPU") {
        "" => String::new(),
        required => format!(", for a CPU with {required}"),
    };
    format!(
        "Version: phsweb-agent {}\n\
         target: {}{linkage}\n\
         features: TLS 1.2 and 1.3 by rustls with ring, simulator{cpu}",
        env!("CARGO_PKG_VERSION"),
        env!("TARGET"),
    )
}

/// The help of a command.
pub(super) fn of(command: &Subcommand) -> String {
    let Subcommand { about, options, operand, notes, list, .. } = command;
    let mut parts = vec![wrapped(about, 0), format!("Usage: {}", wrapped(&usage(command), "Usage: ".len()))];
    parts.extend(operand.iter().map(|operand| table("Arguments", &[row(operand)])));
    parts.push(table("Options", &options.iter().map(row).collect::<Vec<_>>()));
    parts.extend(list.iter().map(|list| {
        let rows: Vec<_> = (list.rows)().into_iter().map(|(name, text)| (name.into(), text.into())).collect();
        table(list.heading, &rows)
    }));
    parts.push(wrapped(notes, 0));
    parts.join("\n\n")
}

/// The command with its options and operands. `--help` and `--version` are not shown.
pub(super) fn usage(command: &Subcommand) -> String {
    let Subcommand { name, options, operand, .. } = command;
    let mut words = vec!["phsweb-agent".into(), if name.is_empty() { "[COMMAND]" } else { name }.into()];
    let options = options.iter().filter(|option| ![HELP.short, VERSION.short].contains(&option.short));
    words.extend(options.chain(operand).map(|argument| format!("[{}]", label(argument))));
    words.join(" ")
}

/// `--config=FILE`, or the operand.
fn label(argument: &Argument) -> String {
    match argument.value_name() {
        None => argument.name.into(),
        Some(kind) if argument.name.is_empty() => kind.into(),
        Some(kind) => format!("{}={kind}", argument.name),
    }
}

/// The description of an argument with its default.
pub(super) fn description(argument: &Argument) -> String {
    let default = argument.default.map(|default| format!(" [default: {}]", default())).unwrap_or_default();
    argument.help.to_string() + &default
}

fn row(argument: &Argument) -> (String, String) {
    let short = match argument.short {
        "" => String::new(),
        short => format!("{short}, "),
    };
    (short + &label(argument), description(argument))
}

/// Names, and next to them their descriptions.
fn table(heading: &str, rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let rows = rows.iter().map(|(name, text)| format!("  {name:width$}  {}", wrapped(text, width + 4)));
    let lines: Vec<String> = iter::once(format!("{heading}:")).chain(rows).collect();
    lines.join("\n")
}

/// A text wrapped into lines. The first one starts at this indent, and the others are indented by it.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut column = indent;
    for word in text.split(' ') {
        if column > indent && column + 1 + word.len() > WIDTH {
            lines.push('\n');
            lines.extend(iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += word.len();
    }
    lines
}

//! `man`: the manual page, in the macros of man(7).

use std::fmt::Write;

use super::argument::{Argument, Execute, HELP, LOG, Program, Subcommand, VERSION};
use super::help::{description, usage};

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "man",
    summary: "Print the manual page",
    about: "Prints the manual page in the format of man.",
    options: &[LOG, HELP, VERSION],
    operand: None,
    list: None,
    notes: "`phsweb-agent man | man -l -` shows it. The Debian package installs it.",
    execute: Execute::Print(|_, program| Ok(page(program))),
};

fn page(program: &Program) -> String {
    let Subcommand { about, options, notes, .. } = program.definition;
    let mut page = format!(
        ".TH PHSWEB\\-AGENT 1 \"\" phsweb\\-agent\n.SH NAME\nphsweb\\-agent \\- {}\n.SH SYNOPSIS\n",
        escaped(env!("CARGO_PKG_DESCRIPTION"))
    );
    let _ = writeln!(
        page,
        ".B phsweb\\-agent\n.I COMMAND\n.SH DESCRIPTION\n{}\n.PP\n{}",
        escaped(about),
        escaped(notes)
    );
    page += ".SH COMMANDS\n";
    for command in program.commands {
        page += &section(command);
    }
    page += ".SH OPTIONS\nThese are the options of\n.BR run ,\nwhich may also stand before its name.\n";
    page.extend(options.iter().map(argument));
    page.truncate(page.trim_end().len());
    page
}

fn section(command: &Subcommand) -> String {
    let Subcommand { name, about, options, operand, list, notes, .. } = command;
    let mut section = format!(".SS {name}\n.B {}\n.PP\n{}\n", escaped(&usage(command)), escaped(about));
    section.extend(options.iter().chain(operand).map(argument));
    if let Some(list) = list {
        let _ = writeln!(section, ".PP\n{}:", escaped(list.heading));
        let rows = (list.rows)();
        section.extend(
            rows.iter().map(|(name, text)| format!(".TP\n.B {}\n{}\n", escaped(name), escaped(text))),
        );
    }
    section + &format!(".PP\n{}\n", escaped(notes))
}

/// The paragraph of an option or an operand, with its names in bold and its value in italics.
fn argument(argument: &Argument) -> String {
    let names = [argument.short, argument.name].into_iter().filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(|name| format!("\\fB{}\\fR", escaped(name))).collect();
    let value = argument.value_name().map(|value| format!("\\fI{}\\fR", escaped(value))).unwrap_or_default();
    let equals = if names.is_empty() || value.is_empty() { "" } else { "=" };
    format!(".TP\n{}{equals}{value}\n{}\n", names.join(", "), escaped(&description(argument)))
}

/// A text whose characters have no meaning for troff, and whose hyphens and quotes can be copied.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_with_a_meaning_for_troff_are_escaped() {
        for (text, expected) in [
            ("--log", "\\-\\-log"),
            (".SH", "\\&.SH"),
            ("'x' `y`", "\\(aqx\\(aq \\(gay\\(ga"),
            ("a\\n", "a\\en"),
            ("./sites.ron", "\\&./sites.ron"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }
}

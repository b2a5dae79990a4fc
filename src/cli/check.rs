//! `check`: validates a configuration file and reports all of its problems.

use phsweb_agent::agent::Failure;
use phsweb_agent::config::{self, Diagnostic};
use serde::Serialize;

use super::argument::{CONFIG, Execute, FILE, HELP, JSON, LOG, Options, Subcommand, VERSION};
use super::config_file;
use super::terminal::{Color, OutputLine, print_json};

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "check",
    summary: "Report all problems of sites.ron at once, with line and column",
    about: "Checks sites.ron and everything it refers to: secrets, certificates, variables. It starts nothing \
            and contacts no router.",
    options: &[LOG, CONFIG, JSON, HELP, VERSION],
    operand: Some(FILE),
    list: None,
    notes: "Prints each problem as sites.ron:LINE:COLUMN, with what was found and what was expected. With \
            --json it prints an array of objects with file, line, column, message and severity, which is \
            error, deprecation or warning; line and column of a problem elsewhere are null, and file is then \
            the file or the environment variable. The exit code is 1 if there is any problem; warnings are \
            none.",
    execute: Execute::Run(check),
};

/// A diagnostic as JSON.
#[derive(Serialize)]
struct DiagnosticJson<'d> {
    file: &'d str,
    line: Option<usize>,
    column: Option<usize>,
    message: &'d str,
    severity: &'static str,
}

/// Checks the file as `run` does before it starts. A deprecation is a failure, a warning is not.
fn check(options: Options) -> Result<(), Failure> {
    let path = config_file::find(options.config)?;
    let loaded = config::load(&path, &config::environment);
    let all = match &loaded {
        Ok(config) => config.warnings.as_slice(),
        Err(problems) => problems.all(),
    };
    if options.json {
        print_json(&all.iter().map(json).collect::<Vec<_>>())?;
    } else {
        all.iter().for_each(print);
    }
    let warnings = all.iter().filter(|diagnostic| diagnostic.severity() == "warning").count();
    if warnings < all.len() {
        return Err(format!("{}.", count(all.len() - warnings, "problem")).into());
    }
    if let (Ok(config), false) = (&loaded, options.json) {
        let warnings =
            if warnings == 0 { String::new() } else { format!(", {}", count(warnings, "warning")) };
        let sites = count(config.sites.len(), "site");
        let line = OutputLine::new().text(&format!("{} ", path.display())).colored(Color::Good, "is valid");
        line.text(&format!(": {sites}{warnings}.")).print();
    }
    Ok(())
}

fn print(diagnostic: &Diagnostic) {
    let color = if diagnostic.severity() == "warning" { Color::Warning } else { Color::Bad };
    let text = diagnostic.to_string();
    let message = text.strip_prefix(diagnostic.place()).unwrap_or_default();
    OutputLine::new().colored(color, diagnostic.place()).text(message).print();
}

fn json(diagnostic: &Diagnostic) -> DiagnosticJson<'_> {
    let (file, position) = diagnostic.location();
    DiagnosticJson {
        file,
        line: position.map(|(line, _)| line),
        column: position.map(|(_, column)| column),
        message: diagnostic.message(),
        severity: diagnostic.severity(),
    }
}

/// A number with its noun, whose plural ends in `s`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

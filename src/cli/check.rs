//! `check`: validates a configuration file and reports all of its problems.

use phsweb_agent::agent::Failure;
use phsweb_agent::config;
use phsweb_agent::text::print_line;

use super::argument::{Argument, CONFIG_PLACES, HELP, LOG, Options, Subcommand, VERSION};
use super::config_file;
use super::values::unexpected;

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "check",
    summary: "Report all problems of sites.ron at once, with line and column",
    about: "Checks sites.ron and everything it refers to: secrets, certificates, variables. It starts nothing \
            and contacts no router.",
    options: &[LOG, HELP, VERSION],
    operand: Some(Argument::value("", "FILE", CONFIG_PLACES, |options, value| {
        let first = options.config.replace(value.into());
        if first.is_some() { Err(unexpected(value, "one FILE")) } else { Ok(()) }
    })),
    list: None,
    notes: "Prints each problem as sites.ron:LINE:COLUMN, with what was found and what was expected. The exit \
            code is 1 if there is any.",
    execute: check,
};

/// Checks the file as `run` does before it starts. A deprecation is a failure, a warning is not.
fn check(options: Options) -> Result<(), Failure> {
    let path = config_file::find(options.config)?;
    let config = config::load(&path, &config::environment).map_err(|problems| {
        print_line(&problems.to_string());
        format!("{}.", count(problems.all().len(), "problem"))
    })?;
    for warning in &config.warnings {
        print_line(&warning.to_string());
    }
    let deprecations = config.warnings.iter().filter(|warning| warning.is_deprecation()).count();
    if deprecations > 0 {
        return Err(format!("{}.", count(deprecations, "problem")).into());
    }
    let sites = count(config.sites.len(), "site");
    let warnings = match config.warnings.len() {
        0 => String::new(),
        some => format!(", {}", count(some, "warning")),
    };
    print_line(&format!("{} is valid: {sites}{warnings}.", path.display()));
    Ok(())
}

/// A number with its noun, whose plural ends in `s`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

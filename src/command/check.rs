//! `check`: says what is wrong with a file, or what it configures.

use std::path::PathBuf;

use super::{Failure, file, say};
use crate::config;

/// Options of `check`.
#[derive(Debug, Clone)]
pub struct Check {
    /// The file; without it `$PHSWEB_CONFIG`, then the usual places.
    pub file: Option<PathBuf>,
}

impl Check {
    /// Checks the file, and all that it names, as `run` would before it starts. Warnings are no failure, deprecations are.
    ///
    /// # Errors
    ///
    /// When anything is wrong with it, which has been told by then.
    pub fn execute(self) -> Result<(), Failure> {
        let path = file(self.file)?;
        match config::load(&path, &config::environment) {
            Ok(config) => {
                for warning in &config.warnings {
                    say(&warning.to_string());
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
                say(&format!("{} is good: {sites}{warnings}.", path.display()));
                Ok(())
            }
            Err(problems) => {
                say(&problems.to_string());
                Err(format!("{}.", count(problems.all().len(), "problem")).into())
            }
        }
    }
}

/// A number of things, whose plural ends in `s`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

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
    /// Checks the file, and all that it names, as `run` would before it starts.
    ///
    /// # Errors
    ///
    /// When anything is wrong with it, which has been told by then.
    pub fn execute(self) -> Result<(), Failure> {
        let path = file(self.file)?;
        match config::load(&path, &config::environment) {
            Ok(config) => {
                let sites = config.sites.len();
                say(&format!(
                    "{} is good: {sites} site{}.",
                    path.display(),
                    if sites == 1 { "" } else { "s" }
                ));
                Ok(())
            }
            Err(problems) => {
                say(&problems.to_string());
                let count = problems.all().len();
                Err(format!("{count} problem{}.", if count == 1 { "" } else { "s" }).into())
            }
        }
    }
}

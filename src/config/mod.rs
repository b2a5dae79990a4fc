//! `sites.ron`: which routers, how to log in to them, how the agent is reached.
//!
//! [`load`] takes the whole file or nothing: every problem comes back at once, each
//! with its place, what was found and what was expected.

mod check;
mod file;
mod https;
mod model;
mod plugins;
mod properties;
mod secret;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use check::Check;
use file::Reader;
pub use file::{Problem, unknown};
pub use https::{Digest, Files, Found, Https, Unfit};
pub use model::{API_PORT, API_TLS_PORT, Config, Host, Http, Site};
use plugins::Plugins;
pub use secret::Secret;

/// Longest file taken, in bytes: a thousand sites take a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;

/// Every problem of a configuration, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if at > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Where variables of the environment come from; a test has its own.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The process's own environment.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads, parses and checks a file.
///
/// # Errors
///
/// All that is wrong with it, and with the secrets and variables it names.
pub fn load(path: &Path, environment: Environment) -> Result<Config, Problems> {
    let text = read_text(path, MAX_FILE)
        .map_err(|message| Problems(vec![Problem::elsewhere(path.display().to_string(), message)]))?;
    parse(path, &text, environment)
}

/// Checks the text of a file that lies at `path`.
///
/// # Errors
///
/// As [`load`].
pub fn parse(path: &Path, text: &str, environment: Environment) -> Result<Config, Problems> {
    // Some editors begin a file with a mark, and some don't end its last line.
    let text = format!("{}\n", text.strip_prefix('\u{feff}').unwrap_or(text));
    let reader = Reader::new(path, &text, check::names());
    let mut check = Check { reader, environment, plugins: Plugins::default() };
    let config = check.config();
    match config {
        Some(config) if check.reader.problems.is_empty() => Ok(config),
        _ => {
            let mut problems = check.reader.problems;
            problems.sort_by_key(|problem| problem.offset);
            Err(Problems(problems))
        }
    }
}

fn read_text(path: &Path, most: u64) -> Result<String, String> {
    String::from_utf8(read_bytes(path, most)?).map_err(|_| "can't be read: it is no UTF-8".into())
}

fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("can't be read: {error}"))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("can't be read: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("is longer than the {most} bytes that are taken"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;

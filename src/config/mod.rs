//! `sites.ron`: which routers, how to log in to them, how the agent is reached.
//!
//! [`load`] takes the whole file or nothing: every problem comes back at once, each
//! with its place, what was found and what was expected. A [`Watch`] does so again whenever
//! the file changes, or another that it names, and [`Changes`] says what that comes to.

mod changes;
mod check;
mod contents;
mod fields;
mod file;
mod https;
mod model;
mod network;
mod plugins;
mod problem;
mod properties;
mod secret;
mod syntax;
mod watch;

use std::fmt;
use std::path::Path;

pub use changes::{Change, Changes};
use check::Check;
use contents::{Contents, is_pipe, read_pipe};
pub use fields::fields;
use file::Reader;
pub use file::unknown;
pub use https::{Https, Unfit};
pub use model::{API_PORT, API_TLS_PORT, Config, Host, Http, Site};
pub use network::Network;
use plugins::Plugins;
pub use problem::Problem;
pub use secret::{MIN_TOKEN, SHORT_TOKEN, Secret, is_short};
pub use watch::Watch;

/// Longest file taken, in bytes: a thousand sites take a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;

/// Every problem of a configuration, in the file's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Problems {
    all: Vec<Problem>,
    http: Option<Box<Http>>,
}

impl Problems {
    /// Each of them.
    #[must_use]
    pub fn all(&self) -> &[Problem] {
        &self.all
    }

    /// The `http` part, or its defaults, if none of the problems concerns it: who may see what is known all the same.
    #[must_use]
    pub fn http(&self) -> Option<&Http> {
        self.http.as_deref()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { all: vec![problem], http: None }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.all.iter().enumerate() {
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
    read(path, environment, true).0
}

/// Checks the text of a file that lies at `path`.
///
/// # Errors
///
/// As [`load`].
pub fn parse(path: &Path, text: &str, environment: Environment) -> Result<Config, Problems> {
    parse_with(path, text, environment, Contents::default()).0
}

/// The same as [`load`], and what was in all files that were read for it. `may_be_pipe`: somebody named the file just
/// now, and waits for what comes out of a pipe.
fn read(path: &Path, environment: Environment, may_be_pipe: bool) -> (Result<Config, Problems>, Contents) {
    let mut contents = Contents::default();
    let bytes =
        if may_be_pipe && is_pipe(path) { read_pipe(path, MAX_FILE) } else { contents.read(path, MAX_FILE) };
    let problem = match bytes.map(String::from_utf8) {
        Ok(Ok(text)) => return parse_with(path, &text, environment, contents),
        Ok(Err(error)) => Problem::not_text(path, &error),
        Err(message) => Problem::elsewhere(path.display().to_string(), message),
    };
    (Err(problem.into()), contents)
}

fn parse_with(
    path: &Path,
    text: &str,
    environment: Environment,
    contents: Contents,
) -> (Result<Config, Problems>, Contents) {
    // Some editors begin a file with a mark, and some don't end its last line.
    let text = format!("{}\n", text.strip_prefix('\u{feff}').unwrap_or(text));
    let reader = Reader::new(path, &text, contents);
    let mut check = Check { reader, environment, plugins: Plugins::default(), is_warned: false, http: None };
    let config = check.config();
    let http = check.http.map(Box::new);
    let (mut problems, mut warnings, contents) = check.reader.end();
    match config {
        Some(config) if problems.is_empty() => (Ok(Config { warnings, ..config }), contents),
        _ => {
            warnings.retain(Problem::is_deprecation);
            problems.append(&mut warnings);
            problems.sort_by_key(|problem| problem.offset);
            (Err(Problems { all: problems, http }), contents)
        }
    }
}

#[cfg(test)]
mod tests;

//! `sites.ron`: which routers, how to log in to them, how the agent is reached.
//!
//! [`load`] takes the whole file or nothing: every problem comes back at once, each
//! with its place, what was found and what was expected. A [`Watch`] does so again whenever
//! the file changes, or another that it names, and [`Changes`] says what that comes to.

mod changes;
mod diagnostic;
mod document;
mod fields;
mod fingerprint;
mod https;
mod model;
mod network;
mod plugins;
mod properties;
mod secret;
mod syntax;
mod validator;
mod watch;

use std::fmt;
use std::path::Path;

pub use changes::{Change, Changes};
pub use diagnostic::Diagnostic;
use document::Document;
pub use document::unknown;
pub use fields::fields;
use fingerprint::{Fingerprints, is_pipe, read_pipe};
pub use https::{Https, UnusableCertificate};
pub use model::{API_PORT, API_TLS_PORT, Config, Host, Http, Site};
pub use network::Network;
use plugins::Plugins;
pub use secret::{MIN_TOKEN, SHORT_TOKEN, Secret, is_short};
use validator::Validator;
pub use watch::Watch;

/// Longest file taken, in bytes: a thousand sites take a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;

/// Every problem of a configuration, in the file's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
    http: Option<Box<Http>>,
}

impl Diagnostics {
    /// Each of them.
    #[must_use]
    pub fn all(&self) -> &[Diagnostic] {
        &self.all
    }

    /// The `http` part, or its defaults, if none of the problems concerns it: who may see what is known all the same.
    #[must_use]
    pub fn http(&self) -> Option<&Http> {
        self.http.as_deref()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(problem: Diagnostic) -> Self {
        Self { all: vec![problem], http: None }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.all.iter().enumerate() {
            write!(f, "{}{problem}", if at > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

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
pub fn load(path: &Path, environment: Environment) -> Result<Config, Diagnostics> {
    read(path, environment, true).0
}

/// Checks the text of a file that lies at `path`.
///
/// # Errors
///
/// As [`load`].
pub fn parse(path: &Path, text: &str, environment: Environment) -> Result<Config, Diagnostics> {
    parse_with(path, text, environment, Fingerprints::default()).0
}

/// The same as [`load`], and what was in all files that were read for it. `may_be_pipe`: somebody named the file just
/// now, and waits for what comes out of a pipe.
fn read(
    path: &Path,
    environment: Environment,
    may_be_pipe: bool,
) -> (Result<Config, Diagnostics>, Fingerprints) {
    let mut contents = Fingerprints::default();
    let bytes =
        if may_be_pipe && is_pipe(path) { read_pipe(path, MAX_FILE) } else { contents.read(path, MAX_FILE) };
    let problem = match bytes.map(String::from_utf8) {
        Ok(Ok(text)) => return parse_with(path, &text, environment, contents),
        Ok(Err(error)) => Diagnostic::not_text(path, &error),
        Err(message) => Diagnostic::elsewhere(path.display().to_string(), message),
    };
    (Err(problem.into()), contents)
}

fn parse_with(
    path: &Path,
    text: &str,
    environment: Environment,
    contents: Fingerprints,
) -> (Result<Config, Diagnostics>, Fingerprints) {
    // Some editors begin a file with a mark, and some don't end its last line.
    let text = format!("{}\n", text.strip_prefix('\u{feff}').unwrap_or(text));
    let reader = Document::new(path, &text, contents);
    let mut check =
        Validator { reader, environment, plugins: Plugins::default(), is_warned: false, http: None };
    let config = check.config();
    let http = check.http.map(Box::new);
    let (mut problems, mut warnings, contents) = check.reader.end();
    match config {
        Some(config) if problems.is_empty() => (Ok(Config { warnings, ..config }), contents),
        _ => {
            warnings.retain(Diagnostic::is_deprecation);
            problems.append(&mut warnings);
            problems.sort_by_key(|problem| problem.offset);
            (Err(Diagnostics { all: problems, http }), contents)
        }
    }
}

#[cfg(test)]
mod tests;

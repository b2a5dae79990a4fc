//! Loads `sites.ron`: the whole file is accepted, or all of its problems are returned.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

use super::alerts::{self, AlertsConfig};
use super::diagnostic::{Diagnostic, Severity};
use super::document::Document;
use super::environment::Environment;
use super::fingerprint::{Fingerprints, is_pipe, read_pipe};
use super::history::{self, HistoryConfig};
use super::http::{self, Http, TOKEN_IN_CLEAR};
use super::journal;
use super::plugin;
use super::site::{self, Site};
use super::syntax::with_commas;
use super::table::Section;
use super::validator::{Fields, Validator};
use crate::journal::Retention;

/// Maximum size of the file, in bytes: a thousand sites take a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;

/// A valid `sites.ron`, with defaults filled in and secrets fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How the agent itself is reached.
    pub http: Http,
    /// The sites, in the file's order.
    pub sites: Vec<Arc<Site>>,
    /// The limits of the journal; `None`: it is disabled.
    pub journal: Option<Retention>,
    /// Where data that survives a restart is.
    pub state: StateDirectory,
    /// The history of figures.
    pub history: HistoryConfig,
    /// What is reported, and to whom.
    pub alerts: AlertsConfig,
    /// The warnings, in the file's order.
    pub warnings: Vec<Diagnostic>,
}

/// Where data that survives a restart is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StateDirectory {
    /// Not known yet, because there is no valid file.
    #[default]
    Undecided,
    /// In memory only.
    Memory,
    /// In this directory.
    At(PathBuf),
}

/// The variable in which systemd passes the directories of `StateDirectory=`, separated by colons.
const STATE_VARIABLE: &str = "STATE_DIRECTORY";

/// The directory in a container, which is used if something is mounted there. Otherwise the data would be lost with the
/// container.
const MOUNT: &str = "/var/lib/phsweb-agent";

impl StateDirectory {
    /// The directory of a file that names none.
    fn from_environment(environment: Environment) -> Self {
        let variable = environment(STATE_VARIABLE).unwrap_or_default();
        match variable.split(':').next().unwrap_or_default() {
            "" if is_mounted(MOUNT) => Self::At(MOUNT.into()),
            "" => Self::Memory,
            first => Self::At(first.into()),
        }
    }
}

impl Config {
    /// Replaces the address of the page.
    pub fn listen_at(&mut self, listen: SocketAddr) {
        self.http.listen = listen;
        let warned = self.warnings.iter().position(|warning| warning.message().ends_with(TOKEN_IN_CLEAR));
        match (self.http.sends_token_in_clear(), warned) {
            (true, None) => {
                let message = format!("http.admin: {TOKEN_IN_CLEAR}");
                self.warnings
                    .push(Diagnostic::elsewhere("--listen", message).with_severity(Severity::Warning));
            }
            (false, Some(at)) => drop(self.warnings.remove(at)),
            _ => {}
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: Http::default(),
            sites: Vec::new(),
            journal: Some(journal::default()),
            state: StateDirectory::default(),
            history: HistoryConfig::default(),
            alerts: AlertsConfig::default(),
            warnings: Vec::new(),
        }
    }
}

/// Whether something is mounted at a path.
fn is_mounted(path: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().any(|mount| mount.split(' ').nth(4) == Some(path))
}

/// Every problem of a configuration, in the file's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
    http: Option<Box<Http>>,
}

impl Diagnostics {
    /// All problems.
    pub fn all(&self) -> &[Diagnostic] {
        &self.all
    }

    /// The section `http`, or its defaults, unless it has a problem itself: its tokens and address apply although the
    /// rest is rejected.
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

/// Reads and validates a file.
///
/// # Errors
///
/// All problems of the file, and of the secrets and variables that it names.
pub fn load(path: &Path, environment: Environment) -> Result<Config, Diagnostics> {
    load_with_fingerprints(path, environment, true).0
}

/// Validates the text of the file at `path`.
///
/// # Errors
///
/// As [`load`].
pub fn parse(path: &Path, text: &str, environment: Environment) -> Result<Config, Diagnostics> {
    parse_with_fingerprints(path, text, environment, Fingerprints::default()).0
}

/// The same as [`load`], with the fingerprints of all files that were read. `may_be_pipe`: reading may block on a pipe,
/// because a person has just named the file.
pub(super) fn load_with_fingerprints(
    path: &Path,
    environment: Environment,
    may_be_pipe: bool,
) -> (Result<Config, Diagnostics>, Fingerprints) {
    let mut fingerprints = Fingerprints::default();
    let bytes = if may_be_pipe && is_pipe(path) {
        read_pipe(path, MAX_FILE)
    } else {
        fingerprints.read(path, MAX_FILE)
    };
    let problem = match bytes.map(String::from_utf8) {
        Ok(Ok(text)) => return parse_with_fingerprints(path, &text, environment, fingerprints),
        Ok(Err(error)) => Diagnostic::not_text(path, &error),
        Err(message) => Diagnostic::elsewhere(path.display().to_string(), message),
    };
    (Err(problem.into()), fingerprints)
}

fn parse_with_fingerprints(
    path: &Path,
    text: &str,
    environment: Environment,
    fingerprints: Fingerprints,
) -> (Result<Config, Diagnostics>, Fingerprints) {
    // Some editors begin a file with a byte order mark, and some don't end its last line.
    let text = format!("{}\n", text.strip_prefix('\u{feff}').unwrap_or(text));
    let parsed = with_commas(&text);
    let mut check = Validator::new(Document::new(path, [&text, &parsed], fingerprints), environment);
    let mut http = None;
    let config = read_file(&mut check, &mut http);
    let (mut problems, mut warnings, fingerprints) = check.document.finish();
    match config {
        Some(config) if problems.is_empty() => (Ok(Config { warnings, ..config }), fingerprints),
        _ => {
            warnings.retain(Diagnostic::is_deprecation);
            problems.append(&mut warnings);
            problems.sort_by_key(|problem| problem.offset);
            (Err(Diagnostics { all: problems, http: http.map(Box::new) }), fingerprints)
        }
    }
}

/// Reads the whole file. Sets `valid_http` to its `http`, or the default, if this section has no problem.
fn read_file(check: &mut Validator, valid_http: &mut Option<Http>) -> Option<Config> {
    let root = check.document.root()?;
    let fields = check.structure(Section::File, "the file", root)?;
    let http = fields.in_file("http").and_then(|value| http::read(check, value.node)).unwrap_or_default();
    // If an unknown field was reported, it may be a misspelt `http`.
    if check.document.count() == 0 {
        *valid_http = Some(http.clone());
    }
    let journal = fields.in_file("journal");
    let journal = journal.map_or_else(|| Some(journal::default()), |value| journal::read(check, value));
    // Plugins are read before the sections that refer to them.
    let plugins = fields.in_file("plugins").map(|value| plugin::read_all(check, value)).unwrap_or_default();
    let defaults = fields.in_file("defaults").and_then(|value| site::read_defaults(check, value, &plugins));
    let defaults = defaults.unwrap_or_else(|| Fields::left_out(Section::Defaults));
    check.require("the file", root, &fields, &|_| false);
    let sites = fields.in_file("sites").map(|value| site::read_all(check, value, &defaults, &plugins));
    let state = match fields.in_file("state") {
        None => StateDirectory::from_environment(check.environment),
        Some(value) => {
            let path = check.parsed(value, |text| (!text.is_empty()).then(|| PathBuf::from(text)));
            path.map_or(StateDirectory::Memory, |path| StateDirectory::At(check.document.relative(&path)))
        }
    };
    let history = fields.in_file("history").and_then(|value| history::read(check, value.node));
    let alerts = fields.in_file("alerts").map(|value| alerts::read(check, value).unwrap_or_default());
    Some(Config {
        http,
        sites: sites?,
        state,
        journal,
        alerts: alerts.unwrap_or_default(),
        history: history.unwrap_or_default(),
        warnings: Vec::new(),
    })
}

#[cfg(test)]
mod tests;

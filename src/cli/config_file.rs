//! Finds the configuration file of a command, and reports errors about an invalid one.

use std::env;
use std::path::{Path, PathBuf};

use phsweb_agent::agent::Failure;
use phsweb_agent::config::Diagnostics;

/// The first of [`PLACES`], where `--wait` expects the file if none exists.
pub(super) const FIRST_PLACE: &str = "sites.ron";

/// Paths at which the file is searched for if no argument or variable names it.
const PLACES: [&str; 2] = [FIRST_PLACE, "/etc/phsweb-agent/sites.ron"];

/// The file that the argument or `$PHSWEB_CONFIG` names, or without either, the first default path that exists.
pub(super) fn find(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if named.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
        return Err(Failure::Usage("the name of the configuration is empty; expected a file".into()));
    }
    let variable = || env::var_os("PHSWEB_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let usual = || PLACES.map(PathBuf::from).into_iter().find(|path| path.exists());
    let path = named.or_else(variable).or_else(usual).ok_or_else(|| {
        format!(
            "no configuration: neither {} exists; name one with --config FILE or $PHSWEB_CONFIG, \
             or try `phsweb-agent demo`",
            PLACES.join(" nor ")
        )
    })?;
    Ok(path)
}

/// The error of a command whose configuration file is invalid.
pub(super) fn invalid(problems: &Diagnostics, path: &Path, consequence: &str) -> Failure {
    Failure::Failed(format!("{problems}\n{consequence}: fix {} first.", path.display()))
}

//! The path of the binary under test.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

/// The environment variable with the path of another binary, such as a release binary.
const OTHER: &str = "PHSWEB_AGENT_BINARY";

/// The binary that `PHSWEB_AGENT_BINARY` names, by default the one that cargo has built.
pub(crate) fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_phsweb-agent"))
}

/// The binary that `PHSWEB_AGENT_BINARY` names, by default this one.
pub(crate) fn binary_or(default: &str) -> PathBuf {
    let other = env::var_os(OTHER);
    let path = other.as_deref().unwrap_or(OsStr::new(default));
    // It is started in other folders, so the path has to be absolute.
    std::fs::canonicalize(path).unwrap_or_else(|error| {
        panic!("{}: {error}; build it or set {OTHER}", path.display());
    })
}

/// Whether the binary is a release build, without debug assertions.
#[allow(dead_code)]
pub(crate) fn is_release() -> bool {
    !cfg!(debug_assertions) || env::var_os(OTHER).is_some()
}

//! Which program is tested.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

/// Names another program than cargo's: the release binary for some board, say.
const OTHER: &str = "PHSWEB_AGENT_BINARY";

/// The program that `PHSWEB_AGENT_BINARY` names, or else the one that cargo has built.
pub(crate) fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_phsweb-agent"))
}

/// The program that `PHSWEB_AGENT_BINARY` names, or else this one.
pub(crate) fn binary_or(usual: &str) -> PathBuf {
    let other = env::var_os(OTHER);
    let path = other.as_deref().unwrap_or(OsStr::new(usual));
    // It is started in folders of its own.
    std::fs::canonicalize(path).unwrap_or_else(|error| {
        panic!("{}: {error}; build it, or name another by {OTHER}", path.display());
    })
}

/// Whether that is made to be small and not to find mistakes.
#[allow(dead_code)]
pub(crate) fn is_release() -> bool {
    !cfg!(debug_assertions) || env::var_os(OTHER).is_some()
}

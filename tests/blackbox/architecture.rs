//! Holds the arrows of the map in `src/lib.rs` against the `use` lines of every module.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which parts of the crate each module may use besides itself. A part with `::` means that
/// one alone.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("clock", &[]),
    ("executor", &[]),
    ("timings", &[]),
    ("text", &[]),
    ("logging", &["text"]),
    ("memory", &[]),
    ("routeros", &["memory", "text"]),
    ("plugin", &["clock", "memory", "routeros"]),
    (
        "state",
        &[
            "clock",
            "memory",
            "plugin",
            "routeros::codepage",
            "routeros::error",
            "routeros::value",
            "routeros::wire",
        ],
    ),
    ("action", &["clock", "plugin", "routeros::error"]),
    ("config", &["plugin", "routeros::codepage", "routeros::login", "routeros::tls", "text"]),
    ("site", &["action", "clock", "config", "executor", "memory", "plugin", "routeros", "state", "timings"]),
    (
        "http",
        &[
            "action",
            "clock",
            "config",
            "executor",
            "logging",
            "memory",
            "plugin",
            "routeros::error",
            "routeros::value",
            "state",
            "timings",
        ],
    ),
    ("simulator", &["executor", "routeros::wire"]),
    (
        "agent",
        &[
            "action", "clock", "config", "executor", "http", "logging", "memory", "site", "state", "text",
            "timings",
        ],
    ),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The paths after `crate::` in a source, its tests left out: they may use what they like.
fn uses(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1).map(str::to_string))
        .map(|path| path.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect())
        .collect()
}

#[test]
fn each_module_uses_only_what_stands_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&src, &mut found);
    let mut arrows = 0;
    for path in &found {
        let relative = path.strip_prefix(&src).unwrap();
        let top = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| *module == top) else {
            // The program's own, which stand above the library.
            let is_program = ["lib", "main", "cli"].contains(&top);
            assert!(is_program, "{top} has no line in the table of this test");
            continue;
        };
        for used in uses(&fs::read_to_string(path).unwrap()) {
            let own = used == top || used.starts_with(&format!("{top}::"));
            let below =
                allowed.iter().any(|allowed| used == *allowed || used.starts_with(&format!("{allowed}::")));
            assert!(own || below, "{} uses crate::{used}; {top} may use {allowed:?}", relative.display());
            arrows += usize::from(below);
        }
    }
    assert!(arrows > 20, "only {arrows} arrows were found: the `use` lines are read wrongly");
}

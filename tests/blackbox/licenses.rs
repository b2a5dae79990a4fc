//! Checks that `cross/THIRD-PARTY-LICENSES.txt` covers exactly the crates in the binaries, and that no crate of a build
//! requires a newer Rust than `rust-version`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The targets that ship.
const TARGETS: [&str; 4] = [
    "aarch64-unknown-linux-musl",
    "armv5te-unknown-linux-musleabi",
    "armv7-unknown-linux-musleabihf",
    "x86_64-unknown-linux-musl",
];

/// What is in each binary besides the crates of `Cargo.lock`.
const PARTS: [&str; 6] = [
    "LLVM's libunwind",
    "Rust's compiler_builtins and libm",
    "Rust's standard library",
    "musl",
    "ring: code of BoringSSL",
    "zig's compiler_rt",
];

/// Licences of what is linked, as notices name them, and what they call a notice that comes with a licence.
const LICENSES: [&str; 7] = ["Apache-2.0", "BSD-3-Clause", "ISC", "LLVM", "MIT", "NCSA", "Unicode-3.0"];
const ADDITION: &str = "additional notice";

const UPDATE: &str = "run `cargo fetch --locked && cross/licenses.py`";

/// The dependencies of this crate for one target.
struct Graph {
    root: String,
    packages: BTreeMap<String, Value>,
    /// For each package the packages that it depends on, with the kinds: `null`, `build` or `dev`.
    dependencies: BTreeMap<String, Value>,
}

impl Graph {
    fn new(target: &str) -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", target])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo metadata for {target}: {stderr}");
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let by_id = |list: &Value| -> BTreeMap<String, Value> {
            { list.as_array().unwrap().iter() }.map(|item| (text(&item["id"]), item.clone())).collect()
        };
        Self {
            root: text(&metadata["resolve"]["root"]),
            packages: by_id(&metadata["packages"]),
            dependencies: by_id(&metadata["resolve"]["nodes"]),
        }
    }

    /// This crate, and the packages that it depends on by these kinds.
    fn reachable(&self, kinds: &[Value], with_macros: bool) -> Vec<&Value> {
        let (mut seen, mut pending) = (BTreeSet::new(), vec![self.root.clone()]);
        while let Some(id) = pending.pop() {
            if (is_macro(&self.packages[&id]) && !with_macros) || !seen.insert(id.clone()) {
                continue;
            }
            for dependency in self.dependencies[&id]["deps"].as_array().unwrap() {
                let found = dependency["dep_kinds"].as_array().unwrap();
                if found.iter().any(|kind| kinds.contains(&kind["kind"])) {
                    pending.push(text(&dependency["pkg"]));
                }
            }
        }
        seen.iter().map(|id| &self.packages[id]).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_string()
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().unwrap();
    targets.iter().any(|target| target["kind"].as_array().unwrap().contains(&"proc-macro".into()))
}

fn name(package: &Value) -> String {
    format!("{} {}", text(&package["name"]), text(&package["version"]))
}

/// The crates whose code is in the binaries, each as `name version`.
fn linked_crates() -> BTreeSet<String> {
    let own = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let graphs = TARGETS.map(Graph::new);
    let packages = graphs.iter().flat_map(|graph| graph.reachable(&[Value::Null], false));
    packages.map(name).filter(|name| name != own).collect()
}

/// A licence with what it applies to.
struct Notice {
    license: String,
    crates: BTreeSet<String>,
    /// What is in the binaries but not a crate: the first line of each name.
    parts: Vec<String>,
    text: String,
}

fn notices() -> Vec<Notice> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cross/THIRD-PARTY-LICENSES.txt");
    let file = fs::read_to_string(path).unwrap();
    let (between, below) = (format!("{}\n", "=".repeat(80)), format!("\n{}\n", "-".repeat(80)));
    let sections = file.split(&between).skip(1);
    sections
        .map(|section| {
            let (head, text) = section.split_once(&below).unwrap();
            let all = |field: &str| -> Vec<String> {
                head.lines().filter_map(|line| line.strip_prefix(field)).map(String::from).collect()
            };
            Notice {
                license: all("Licence: ").concat(),
                crates: all("Crate: ").into_iter().collect(),
                parts: all("Part: "),
                text: text.trim().to_string(),
            }
        })
        .collect()
}

#[test]
fn notices_name_exactly_the_linked_crates() {
    let linked = linked_crates();
    assert!(linked.iter().any(|name| name.starts_with("smol ")), "smol is not linked: {linked:?}");
    let named: BTreeSet<String> = notices().into_iter().flat_map(|notice| notice.crates).collect();
    let missing: Vec<&String> = linked.difference(&named).collect();
    assert!(missing.is_empty(), "expected notices for {missing:?}; {UPDATE}");
    let superfluous: Vec<&String> = named.difference(&linked).collect();
    assert!(
        superfluous.is_empty(),
        "expected no notices for {superfluous:?}, which are not linked; {UPDATE}"
    );
}

#[test]
fn notices_name_what_is_linked_besides_crates() {
    let parts: Vec<String> = notices().into_iter().flat_map(|notice| notice.parts).collect();
    for part in PARTS {
        assert!(parts.iter().any(|named| named.starts_with(part)), "no notice for `{part}` among {parts:?}");
    }
}

#[test]
fn every_notice_has_a_licence_and_its_text() {
    for Notice { license, crates, parts, text } in notices() {
        assert!(!license.is_empty(), "a notice for {crates:?} names no licence");
        assert!(!crates.is_empty() || !parts.is_empty(), "a notice under {license} applies to nothing");
        assert!(!text.is_empty(), "a notice under {license} for {crates:?} has no text");
    }
}

/// The package's `copyright` summarizes the notices, which the package contains as well.
#[test]
fn debian_copyright_names_every_licence() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cross/debian/copyright");
    let copyright = fs::read_to_string(path).unwrap().to_lowercase();
    let mut found = BTreeSet::new();
    for Notice { license, crates, parts, .. } in notices().iter().filter(|notice| notice.license != ADDITION)
    {
        let names: Vec<&str> =
            license.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '.').collect();
        let known: Vec<&str> = LICENSES.into_iter().filter(|known| names.contains(known)).collect();
        assert!(!known.is_empty(), "{license:?} of {crates:?} {parts:?} is none of {LICENSES:?}");
        found.extend(known);
    }
    for license in found {
        assert!(
            copyright.contains(&license.to_lowercase()),
            "cross/debian/copyright does not name {license}"
        );
    }
    assert!(copyright.contains("/usr/share/doc/phsweb-agent/third-party-licenses.txt"), "{copyright}");
}

#[test]
fn no_dependency_needs_a_newer_rust() {
    let promised = rust_version(env!("CARGO_PKG_RUST_VERSION"));
    let mut declared = 0;
    for target in TARGETS {
        let graph = Graph::new(target);
        for package in graph.reachable(&[Value::Null, "build".into()], true) {
            let Some(needed) = package["rust_version"].as_str() else { continue };
            declared += 1;
            let own = env!("CARGO_PKG_RUST_VERSION");
            assert!(rust_version(needed) <= promised, "{} needs Rust {needed}, not {own}", name(package));
        }
    }
    assert!(declared > 50, "only {declared} packages declare a Rust version");
}

/// Major, minor and patch of a Rust version; the patch is optional.
fn rust_version(text: &str) -> [u32; 3] {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(text.split('.')) {
        *number = part.parse().unwrap();
    }
    numbers
}

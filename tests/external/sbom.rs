//! The software bill of materials of `cross/sbom.py`, compared with the crates that cargo links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The shipped targets.
const TARGETS: [&str; 4] = [
    "aarch64-unknown-linux-musl",
    "armv5te-unknown-linux-musleabi",
    "armv7-unknown-linux-musleabihf",
    "x86_64-unknown-linux-musl",
];

/// The standard output of a program, which must succeed.
#[track_caller]
fn output(program: &str, arguments: &[&str]) -> String {
    let result = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let result = result.unwrap_or_else(|error| panic!("expected {program}: {error}"));
    assert!(result.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&result.stderr));
    String::from_utf8(result.stdout).unwrap()
}

/// The crates that cargo links into the binary of a target, each as `name version`.
fn linked(target: &str) -> BTreeSet<String> {
    let options = [
        "tree",
        "--offline",
        "--locked",
        "-e",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let tree = output(env!("CARGO"), &[&options[..], &["--target", target]].concat());
    let names =
        tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ").replace(" v", " "));
    names.filter(|name| !name.starts_with("phsweb-agent ")).collect()
}

/// The checksums of `Cargo.lock`, by `name version`.
fn checksums() -> BTreeMap<String, String> {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let packages = lock.split("[[package]]").filter_map(|package| {
        let value = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
            Some(line.trim_matches('"').to_string())
        };
        Some((format!("{} {}", value("name")?, value("version")?), value("checksum")?))
    });
    packages.collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
#[ignore = "needs python3"]
fn bill_of_materials_lists_exactly_the_linked_crates() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cross/sbom.py");
    let bill_of = |target| output(script.to_str().unwrap(), &["--print", target]);
    let checksums = checksums();
    for target in TARGETS {
        let text = bill_of(target);
        assert_eq!(text, bill_of(target), "{target}: expected a reproducible bill");
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{target}: expected no path of this machine");
        let bill: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
        let own = &bill["metadata"]["component"];
        assert_eq!(
            (&own["name"], &own["version"]),
            (&json!("phsweb-agent"), &json!(env!("CARGO_PKG_VERSION")))
        );

        let components = bill["components"].as_array().unwrap();
        let (crates, parts): (Vec<_>, Vec<_>) =
            components.iter().partition(|component| component["purl"].is_string());
        let mut named = BTreeSet::new();
        for component in crates {
            let [name, version] = ["name", "version"].map(|field| component[field].as_str().unwrap());
            assert_eq!(component["purl"], format!("pkg:cargo/{name}@{version}"));
            let name = format!("{name} {version}");
            assert_eq!(
                component["hashes"],
                json!([{ "alg": "SHA-256", "content": checksums[&name] }]),
                "{name}"
            );
            let license = component["licenses"][0]["expression"].as_str().unwrap();
            assert!(!license.is_empty() && !license.contains('/'), "{name}: {license}");
            named.insert(name);
        }
        assert_eq!(named, linked(target), "{target}");
        for part in ["musl (", "Rust's standard library (", "zig's compiler_rt"] {
            let is_named = |other: &&Value| other["name"].as_str().unwrap().starts_with(part);
            assert!(parts.iter().any(is_named), "{target}: expected {part}");
        }

        let references: Vec<&str> =
            components.iter().chain([own]).map(|component| component["bom-ref"].as_str().unwrap()).collect();
        let known: BTreeSet<&str> = references.iter().copied().collect();
        assert_eq!(references.len(), known.len(), "{target}: expected unique references");
        for dependency in bill["dependencies"].as_array().unwrap() {
            let needed = texts(&dependency["dependsOn"]);
            assert!(
                needed.iter().chain([&dependency["ref"].as_str().unwrap()]).all(|name| known.contains(name))
            );
        }
        let of_own =
            bill["dependencies"].as_array().unwrap().iter().find(|other| other["ref"] == own["bom-ref"]);
        assert!(texts(&of_own.unwrap()["dependsOn"]).len() > 20, "{target}");
    }
}

//! Checks the dependencies in the map of `src/lib.rs` against the code: between modules, and between files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Which modules each module may use besides itself. An entry with `::` permits that submodule only. A `use` outside of
/// this table is a decision about the architecture: change the map as well.
const MAY_USE: [(&str, &[&str]); 22] = [
    ("clock", &[]),
    ("deadline", &[]),
    ("executor", &[]),
    ("timings", &[]),
    ("text", &[]),
    ("logging", &["text"]),
    ("memory", &[]),
    ("net", &["deadline", "text"]),
    ("routeros", &["deadline", "memory", "net", "text"]),
    ("plugin", &["clock", "memory", "routeros"]),
    (
        "state",
        &[
            "clock",
            "memory",
            "plugin",
            "routeros::codepage",
            "routeros::error",
            "routeros::rows",
            "routeros::value",
        ],
    ),
    ("history", &["clock", "executor", "plugin", "state", "storage"]),
    ("storage", &["clock", "deadline", "executor", "state", "timings"]),
    ("journal", &["clock", "memory", "plugin", "state", "storage", "text"]),
    (
        "config",
        &[
            "journal",
            "net::http_client",
            "net::tls",
            "net::url",
            "plugin",
            "routeros::codepage",
            "routeros::login",
            "text",
        ],
    ),
    ("site", &["clock", "config", "deadline", "executor", "plugin", "routeros", "state", "timings"]),
    (
        "action",
        &["clock", "config", "executor", "memory", "net", "plugin", "routeros", "site", "state", "text"],
    ),
    ("notify", &["alert", "clock", "config", "deadline", "executor", "net", "text", "timings"]),
    (
        "http",
        &[
            "action",
            "alert",
            "clock",
            "config",
            "deadline",
            "executor",
            "history",
            "journal",
            "logging",
            "memory",
            "net::chunked",
            "net::proxy",
            "notify",
            "plugin",
            "routeros::error",
            "routeros::value",
            "state",
            "storage",
            "text",
            "timings",
        ],
    ),
    ("alert", &["clock", "config", "plugin", "routeros::error", "routeros::value", "state"]),
    ("simulator", &["clock", "deadline", "executor", "routeros::wire", "text"]),
    (
        "agent",
        &[
            "action",
            "alert",
            "clock",
            "config",
            "deadline",
            "executor",
            "history",
            "http",
            "journal",
            "logging",
            "memory",
            "net::proxy",
            "notify",
            "plugin",
            "routeros::error",
            "routeros::value",
            "site",
            "state",
            "storage",
            "text",
            "timings",
        ],
    ),
];

/// What the command line, which belongs to the program, may use of the library.
const CLI_MAY_USE: [&str; 14] = [
    "action",
    "agent",
    "alert",
    "clock",
    "config",
    "executor",
    "history",
    "logging",
    "net",
    "notify",
    "routeros::login",
    "simulator",
    "text",
    "timings",
];

/// A module as its path in the crate: `["plugin", "hotspot"]`.
type Module = Vec<String>;

/// What the code of a file says about others.
struct File {
    /// Paths that it uses, as written.
    uses: Vec<String>,
    /// Names that it exports from elsewhere, with their paths.
    exports: BTreeMap<String, String>,
}

fn files() -> BTreeMap<Module, File> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![(src, Module::new())];
    let mut codes = BTreeMap::new();
    while let Some((folder, module)) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let child = [module.as_slice(), &[name.to_string()]].concat();
            if name == "tests" {
                continue;
            }
            if path.is_dir() {
                folders.push((path, child));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = if ["mod", "lib"].contains(&name) { module.clone() } else { child };
                codes.insert(module, code(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let modules: BTreeSet<Module> = codes.keys().cloned().collect();
    codes.into_iter().map(|(module, code)| (module.clone(), parse(&module, &code, &modules))).collect()
}

/// A source without comments, unit tests, which are last, and the paths of visibilities, which import nothing.
fn code(source: &str) -> String {
    let source = source.replace("#[cfg(test)]\nmod tests;", "");
    let code = source.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut parts = code.split("pub(in ");
    let first = parts.next().unwrap().to_string();
    parts.fold(first, |code, part| code + "pub(crate)" + part.split_once(')').unwrap().1)
}

fn parse(module: &Module, code: &str, modules: &BTreeSet<Module>) -> File {
    let (mut uses, mut exports) = (Vec::new(), BTreeMap::new());
    let mut rest = String::new();
    for statement in code.split_inclusive(';') {
        let start = statement.lines().find(|line| line.contains("use ") && is_use(line));
        let Some(start) = start.and_then(|line| statement.find(line)) else {
            rest += statement;
            continue;
        };
        rest += &statement[..start];
        let (before, tree) = statement[start..].split_once("use ").unwrap();
        for (path, name) in flatten(tree.trim_end_matches(';')) {
            if before.trim().is_empty() {
                uses.push(path);
            } else {
                exports.insert(name, path);
            }
        }
    }
    // Paths in expressions: from a keyword, or from a child module.
    let words = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    for path in words.filter(|word| word.contains("::")) {
        let first = path.split("::").next().unwrap();
        let is_child = modules.contains(&[module.as_slice(), &[first.to_string()]].concat());
        // In the library it is a text, such as the target of a log line.
        let is_library = first == "phsweb_agent" && module[0] == "cli";
        if is_child || is_library || ["crate", "super", "self"].contains(&first) {
            uses.push(path.to_string());
        }
    }
    File { uses, exports }
}

fn is_use(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("use ")
        || line.starts_with("pub use ")
        || line.starts_with("pub(") && line.contains(") use ")
}

/// The paths of a `use` tree with the name of each: `a::{b, c as d}` is `a::b` as `b` and `a::c` as `d`.
fn flatten(tree: &str) -> Vec<(String, String)> {
    let tree = tree.trim();
    let Some((prefix, inner)) = tree.split_once('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, tree.rsplit("::").next().unwrap()));
        return vec![(path.trim().to_string(), name.trim().to_string())];
    };
    let inner = inner.trim().strip_suffix('}').unwrap();
    let mut depth = 0;
    let parts = inner.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let flat = parts.filter(|part| !part.trim().is_empty()).flat_map(flatten);
    flat.map(|(path, name)| match path.as_str() {
        "self" => {
            let path = prefix.trim_end_matches("::");
            (path.to_string(), path.rsplit("::").next().unwrap().to_string())
        }
        _ => (format!("{prefix}{path}"), name),
    })
    .collect()
}

/// A path as it is from the root of the crate; none for an item of another crate.
fn absolute(files: &BTreeMap<Module, File>, module: &Module, path: &str) -> Option<Vec<String>> {
    let mut parts = path.split("::").map(String::from).collect::<Vec<_>>();
    let mut at = module.clone();
    match parts[0].as_str() {
        "crate" | "phsweb_agent" => return Some(parts.split_off(1)),
        "self" => drop(parts.remove(0)),
        "super" => {
            while parts.first().is_some_and(|part| part == "super") {
                parts.remove(0);
                at.pop();
            }
        }
        _ if !files.contains_key(&[module.as_slice(), &parts[..1]].concat()) => return None,
        _ => {}
    }
    Some([at, parts].concat())
}

/// The module in whose file the item at an absolute path is defined.
fn defining_module(files: &BTreeMap<Module, File>, path: &[String]) -> Module {
    let mut at = Module::new();
    for part in path {
        let child = [at.as_slice(), std::slice::from_ref(part)].concat();
        if files.contains_key(&child) {
            at = child;
            continue;
        }
        let export = files.get(&at).and_then(|file| file.exports.get(part));
        match export.and_then(|export| absolute(files, &at, export)) {
            Some(target) => at = defining_module(files, &target),
            None => break,
        }
    }
    at
}

/// For each file the files that it uses, with the absolute path by which it does.
fn dependencies(files: &BTreeMap<Module, File>) -> BTreeMap<&Module, BTreeSet<(Module, String)>> {
    let of = |module: &Module, file: &File| -> BTreeSet<(Module, String)> {
        let paths = file.uses.iter().filter_map(|path| absolute(files, module, path));
        let targets = paths.map(|path| (defining_module(files, &path), path.join("::")));
        targets.filter(|(target, _)| target != module && files.contains_key(target)).collect()
    };
    files.iter().map(|(module, file)| (module, of(module, file))).collect()
}

#[test]
fn each_module_uses_only_modules_below_it() {
    let files = files();
    let mut count = 0;
    for (module, used) in dependencies(&files) {
        let Some(top) = module.first().filter(|top| *top != "main") else { continue };
        let allowed: &[&str] = match MAY_USE.iter().find(|(name, _)| name == top) {
            Some((_, allowed)) => allowed,
            None if top == "cli" => &CLI_MAY_USE,
            None => panic!("{top} has no line in the table of this test"),
        };
        let is_other = |path: &str| path.split("::").next() != Some(top);
        for (_, path) in used.iter().filter(|(_, path)| is_other(path)) {
            let is_allowed =
                allowed.iter().any(|allowed| path == allowed || path.starts_with(&format!("{allowed}::")));
            assert!(is_allowed, "{} uses {path}; {top} may use {allowed:?}", module.join("/"));
            count += 1;
        }
    }
    assert!(count > 100, "only {count} dependencies were found: the test reads the code wrongly");
}

#[test]
fn no_two_files_import_each_other() {
    let files = files();
    let dependencies = dependencies(&files);
    let reachable = |from: &Module| {
        let mut found = BTreeSet::new();
        let mut open = vec![from.clone()];
        while let Some(module) = open.pop() {
            for (target, _) in &dependencies[&module] {
                if found.insert(target.clone()) {
                    open.push(target.clone());
                }
            }
        }
        found
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        files.keys().map(|from| (from, reachable(from))).collect();
    let in_cycle = files.keys().filter(|module| reached[module].contains(*module));
    let mut cycles: Vec<Vec<String>> = Vec::new();
    for module in in_cycle {
        let cycle =
            files.keys().filter(|other| reached[module].contains(*other) && reached[other].contains(module));
        let cycle: Vec<String> = cycle.map(|module| module.join("/")).collect();
        if !cycles.contains(&cycle) {
            cycles.push(cycle);
        }
    }
    assert!(
        cycles.is_empty(),
        "files that import each other: pass a value, or move what both need to a third file: {cycles:#?}"
    );
}

//! Checks that the RouterOS scripts in `cross` are well formed, and that the manual steps in
//! `docs/install-mikrotik.md` match them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use phsweb_agent::config;

use super::markdown::{blocks, documents, read};

const DOCUMENT: &str = "docs/install-mikrotik.md";

const SCRIPTS: [&str; 2] = ["cross/mikrotik.rsc", "cross/mikrotik-remove.rsc"];

/// The command line of the image, which the script repeats.
const ARGUMENTS: &str = "run --wait --config /etc/phsweb-agent/sites.ron --listen 0.0.0.0:8080";

/// A script without comments and without the contents of strings. Panics if a bracket or a string is not closed.
/// RouterOS allows a comment at the start of a line only.
fn code(script: &str) -> String {
    let (mut code, mut open, mut in_string) = (String::new(), Vec::new(), false);
    for (number, line) in script.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => _ = characters.next(),
                '"' => in_string = !in_string,
                _ if in_string => {}
                '{' | '[' | '(' => open.push(character),
                '}' | ']' | ')' => {
                    let opened = open.pop().unwrap_or(' ');
                    assert!(
                        ["{}", "[]", "()"].contains(&&*format!("{opened}{character}")),
                        "line {}",
                        number + 1
                    );
                }
                _ => {}
            }
            if !in_string {
                code.push(character);
            }
        }
        assert!(!in_string || line.ends_with('\\'), "line {}: expected a closed string", number + 1);
        code.push('\n');
    }
    assert!(open.is_empty() && !in_string, "{open:?}");
    code
}

/// A script with joined lines and substituted variables, as a 32-bit router with RouterOS 7.21 runs it: there every
/// condition that sets a variable is true.
fn expand(script: &str) -> String {
    let substitute = |values: &BTreeMap<&str, String>, text: &str| {
        // In reverse order, so that a name comes before its prefixes.
        values
            .iter()
            .rev()
            .fold(text.to_string(), |text, (name, value)| text.replace(&format!("${name}"), value))
    };
    let known = [("image", "armv5"), ("apiPort", "8728"), ("secret", "A-LONG-RANDOM-PASSWORD")];
    let mut values: BTreeMap<&str, String> = known.map(|(name, value)| (name, value.to_string())).into();
    for line in script.lines().map(str::trim) {
        let set = line.strip_prefix(":local ").or_else(|| line.strip_prefix(":set "));
        let set = set.and_then(|rest| rest.strip_suffix('"')?.split_once(" \""));
        if let Some((name, value)) = set.filter(|(_, value)| !value.is_empty()) {
            values.insert(name, substitute(&values, value));
        }
    }
    substitute(&values, &script.replace("\\\n", ""))
}

/// The commands of a text that add something, each as the set of its words, because their order does not matter.
fn additions(text: &str) -> BTreeSet<BTreeSet<String>> {
    text.lines()
        .filter_map(|line| {
            let end = line.find("/add ")?;
            let start = line[..end].rfind([' ', '"', '[']).map_or(0, |before| before + 1);
            Some(line[start..].replace(['\\', '"', ']'], "").split_whitespace().map(str::to_string).collect())
        })
        .collect()
}

#[test]
fn syntax_of_newer_versions_is_inside_strings() {
    for script in SCRIPTS {
        let code = code(&read(script));
        for newer in ["/container", "/file/add", "mounts=", "mountlists=", "memory-high=", "#"] {
            assert!(!code.contains(newer), "{script}: expected {newer} inside a string only");
        }
    }
}

#[test]
fn the_password_is_used_for_the_user_and_the_file_only() {
    let script = read("cross/mikrotik.rsc").replace("$secretFile", "");
    let uses: Vec<&str> = script.lines().map(str::trim).filter(|line| line.contains("$secret")).collect();
    assert_eq!(uses.len(), 4, "{uses:?}");
    for line in uses {
        let to = ["$writeFile path=", "/file/set ", "/user/add ", "/user/set "];
        assert!(to.iter().any(|to| line.starts_with(to)), "{line}");
    }
}

#[test]
fn the_manual_steps_of_the_document_match_the_script() {
    let document = read(DOCUMENT);
    let script = read("cross/mikrotik.rsc");
    // The folder for stored data is optional, and not in the script.
    let steps = document.split("\n## Stored data").next().unwrap();
    let manual = additions(&blocks(steps, "routeros").join("\n"));
    let mut scripted = additions(&expand(&script));
    // The manual steps upload files instead.
    scripted.retain(|words| !words.contains("contents=$text"));
    assert_eq!(manual, scripted);
    for words in ["name=phsweb-agent", "list=phsweb-agent", "mounts=phsweb-agent", "mountlists=phsweb-agent"]
    {
        assert!(document.contains(&format!("| `{words}` |")), "{words}");
        assert!(script.contains(&format!(" \"{words}\"")), "{words}");
    }
}

#[test]
fn the_file_that_the_script_writes_is_valid() {
    let script = expand(&read("cross/mikrotik.rsc"));
    let line = script.lines().find_map(|line| line.trim().strip_prefix(":local sites (\"")).unwrap();
    let (before, after) = line.strip_suffix("\")").unwrap().split_once("\" . ").unwrap();
    let written = [before, after.trim_start().trim_start_matches('"')].concat();
    let written = written.replace("\\n", "\n").replace("\\\"", "\"");
    assert_eq!(blocks(&read(DOCUMENT), "ron"), [written.trim_end()]);

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mikrotik");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("router.secret"), "A-LONG-RANDOM-PASSWORD").unwrap();
    let config = config::parse(&folder.join("sites.ron"), &written, &|_| None).unwrap();
    assert_eq!(config.sites.len(), 1);
}

#[test]
fn names_paths_and_ports_match_the_image() {
    let document = read(DOCUMENT);
    let script = read("cross/mikrotik.rsc");
    assert!(script.contains(ARGUMENTS) && document.contains(ARGUMENTS));
    for image in ["arm64", "armv7", "armv5", "amd64"] {
        assert!(document.contains(&format!("`phsweb-agent-{image}.tar`")), "{image}");
        assert!(script.contains(image), "{image}");
    }
    let image_script = read("cross/image.sh");
    for word in
        ARGUMENTS.split(' ').chain(["/phsweb-agent", "arm64", "armv7", "armv5", "amd64", "phsweb-agent-"])
    {
        assert!(image_script.contains(word), "expected {word} in cross/image.sh");
    }
}

/// From RouterOS 7.19 on, open connections of a service are rows of its name, too.
#[test]
fn no_command_names_a_service_that_it_gets_or_sets() {
    let others = ["src/routeros/error.rs", SCRIPTS[0], SCRIPTS[1]];
    for name in documents().into_iter().chain(others.map(String::from)) {
        // RouterOS 6 lists no connections.
        let text = read(&name).replace("\\\n", "").replace("On RouterOS 6: /ip service set api-ssl", "");
        let words: Vec<&str> = text.split_whitespace().collect();
        for command in ["set", "get", "enable", "disable"] {
            for pair in words.windows(2) {
                let is_service = pair[0] == command || pair[0].ends_with(&format!("/ip/service/{command}"));
                assert!(!(is_service && pair[1].starts_with("api")), "{name}: {} {}", pair[0], pair[1]);
            }
        }
    }
}

#[test]
fn hints_mention_max_sessions_only_for_versions_that_have_it() {
    use phsweb_agent::routeros::error::Cause;
    let hint = Cause::Closed.hint();
    assert!(hint.contains("from 7.16 on, max-sessions") && hint.contains("available-from"), "{hint}");
    assert!(Cause::Refused.hint().contains("/ip service enable [find name=api and !dynamic]"));
}

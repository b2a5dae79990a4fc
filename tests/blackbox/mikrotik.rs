//! The RouterOS scripts in `cross` hold together, and `docs/install-mikrotik.md` says by hand what they do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use phsweb_agent::config;

use super::markdown::{blocks, documents, read};

const DOCUMENT: &str = "docs/install-mikrotik.md";

const SCRIPTS: [&str; 2] = ["cross/mikrotik.rsc", "cross/mikrotik-remove.rsc"];

/// What the image starts by itself, and the script says again.
const ARGUMENTS: &str = "run --wait --config /etc/phsweb-agent/sites.ron --listen 0.0.0.0:8080";

/// A script without its comments, which RouterOS knows at the start of a line only, and the insides of its strings.
/// All that is opened in it is closed, or this fails.
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
        assert!(!in_string || line.ends_with('\\'), "line {}: a string is open", number + 1);
        code.push('\n');
    }
    assert!(open.is_empty() && !in_string, "{open:?}");
    code
}

/// A script with its lines joined and the values of its variables put in, as it runs on a 32-bit router with RouterOS
/// 7.21, where every condition that sets one holds.
fn as_it_runs(script: &str) -> String {
    let put_in = |values: &BTreeMap<&str, String>, text: &str| {
        // Backwards, so that of two names that begin alike the longer one comes first.
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
            values.insert(name, put_in(&values, value));
        }
    }
    put_in(&values, &script.replace("\\\n", ""))
}

/// The commands of a text that add something, each as its words: in which order they come says nothing.
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
fn what_not_every_version_knows_is_parsed_when_its_turn_comes() {
    for script in SCRIPTS {
        let code = code(&read(script));
        for late in ["/container", "/file/add", "mounts=", "mountlists=", "memory-high=", "#"] {
            assert!(!code.contains(late), "{script}: {late} stands outside of a string");
        }
    }
}

#[test]
fn the_password_goes_nowhere_but_to_the_user_and_the_file() {
    let script = read("cross/mikrotik.rsc").replace("$secretFile", "");
    let uses: Vec<&str> = script.lines().map(str::trim).filter(|line| line.contains("$secret")).collect();
    assert_eq!(uses.len(), 4, "{uses:?}");
    for line in uses {
        let to = ["$writeFile path=", "/file/set ", "/user/add ", "/user/set "];
        assert!(to.iter().any(|to| line.starts_with(to)), "{line}");
    }
}

#[test]
fn the_document_does_by_hand_what_the_script_does() {
    let document = read(DOCUMENT);
    let script = read("cross/mikrotik.rsc");
    let by_hand = additions(&blocks(&document, "routeros").join("\n"));
    let mut by_script = additions(&as_it_runs(&script));
    // By hand files are uploaded.
    by_script.retain(|words| !words.contains("contents=$text"));
    assert_eq!(by_hand, by_script);
    for words in ["name=phsweb-agent", "list=phsweb-agent", "mounts=phsweb-agent", "mountlists=phsweb-agent"]
    {
        assert!(document.contains(&format!("| `{words}` |")), "{words}");
        assert!(script.contains(&format!(" \"{words}\"")), "{words}");
    }
}

#[test]
fn the_agent_takes_the_file_that_the_script_writes() {
    let script = as_it_runs(&read("cross/mikrotik.rsc"));
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
fn names_paths_and_ports_are_those_of_the_image() {
    let document = read(DOCUMENT);
    let script = read("cross/mikrotik.rsc");
    assert!(script.contains(ARGUMENTS) && document.contains(ARGUMENTS));
    for image in ["arm64", "armv7", "armv5", "amd64"] {
        assert!(document.contains(&format!("`phsweb-agent-{image}.tar`")), "{image}");
        assert!(script.contains(image), "{image}");
    }
    // How the image is made says the same.
    let making = read("cross/image.sh");
    for word in
        ARGUMENTS.split(' ').chain(["/phsweb-agent", "arm64", "armv7", "armv5", "amd64", "phsweb-agent-"])
    {
        assert!(making.contains(word), "{word} is not in how the image is made");
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

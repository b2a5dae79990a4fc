//! Checks the documents, the examples and the shipped sites.ron against the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use phsweb_agent::config::{self, Config, Diagnostics};
use serde_json::Value;

use super::markdown::{all_blocks, blocks, code_spans, documents, files, read, root};
use crate::support::agent::{Agent, program, run_to_end, until};

/// Follows the first steps of the README with a simulated router, as in step 3.
#[test]
fn the_first_steps_work() {
    let readme = read("README.md");
    let (file, commands) = (blocks(&readme, "ron").remove(0), blocks(&readme, "sh"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sites.ron");
    let file = file.replace("127.0.0.1:8080", "127.0.0.1:0");
    fs::write(&path, &file).unwrap();
    let mut run = program(["run", "--config", "sites.ron", "--simulate"]);
    run.current_dir(folder.path()).env("AWKA_PASSWORD", "A-LONG-RANDOM-PASSWORD");
    let agent = Agent::start(run);
    agent.wait_until_active("awka");

    let token = commands.iter().find(|command| command.contains("admin.token)")).unwrap();
    assert!(Command::new("sh").args(["-c", token]).current_dir(folder.path()).status().unwrap().success());
    assert!(file.contains("// admin: "));
    fs::write(&path, file.replace("// admin: ", "admin: ")).unwrap();
    let token = fs::read_to_string(folder.path().join("admin.token")).unwrap();
    let agent = agent.with_token(token.trim());
    until("the token is applied", || (agent.get("/api/hotspot/awka/active").status == 200).then_some(()));
    assert_eq!(agent.json("/api/config")["error"], Value::Null);

    let commands = blocks(&read("docs/http-api.md"), "sh");
    let kick = commands.iter().find(|command| command.contains("/kick")).unwrap();
    assert!(!kick.contains("--json"), "expected no --json, which curl has from 7.82 on only");
    let body = kick.split("-d '").nth(1).unwrap().split('\'').next().unwrap();
    let answer = agent.ask_with(
        "POST",
        "/api/hotspot/awka/kick",
        &[("Content-Type", "application/json")],
        body.as_bytes(),
    );
    assert!([404, 409].contains(&answer.status), "expected 404 or 409, as chidi has no session: {answer:?}");
}

#[test]
fn the_readme_is_short_and_begins_with_the_demo_and_the_tests() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 150, "{} lines", readme.lines().count());
    let first = blocks(&readme, "sh").remove(0);
    let commands: Vec<&str> = first.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
    assert_eq!(commands, ["cargo run --release -- demo", "cargo test"]);
}

#[test]
fn the_shipped_file_loads_and_shows_the_defaults() {
    let config = config::parse(Path::new("sites.ron"), &read("sites.ron"), &|_| None).unwrap();
    assert_eq!(config.sites.len(), 3);
    assert_eq!(config.http, config::Http::default());
    // Its values are the defaults of a file without them.
    let bare = r#"(sites: {"a": (hosts: ["h"], user: "api-user", password: Plain(""))})"#;
    let bare = config::parse(Path::new("bare.ron"), bare, &|_| None).unwrap();
    let (awka, bare) = (&config.sites[0], &bare.sites[0]);
    assert_eq!(awka.refresh, bare.refresh);
    assert_eq!(awka.connect_timeout, bare.connect_timeout);
    assert_eq!(awka.query_timeout, bare.query_timeout);
    assert_eq!(awka.plugins, bare.plugins);
}

/// An environment in which every secret is set.
fn secrets(name: &str) -> Option<String> {
    let overrides = ["_HOST", "_PORT", "_USER"].iter().any(|end| name.ends_with(end));
    (!overrides).then(|| format!("the-secret-of-{name}"))
}

/// Loads a file of the documents from a folder with all files that it names, including absolute paths.
fn load(text: &str) -> Result<Config, Diagnostics> {
    let folder = tempfile::tempdir().unwrap();
    let certificates = root().join("tests/certificates");
    let mut text = text.to_string();
    for (before, kept) in [
        ("File(\"", None),
        ("Ca(\"", Some("other.cert.pem")),
        ("cert: \"", Some("page.cert.pem")),
        ("key: \"", Some("page.key.pem")),
    ] {
        text = text.replace(&format!("{before}/"), before);
        for rest in text.split(before).skip(1) {
            let name = rest.split('"').next().unwrap();
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match kept {
                Some(kept) => _ = fs::copy(certificates.join(kept), path).unwrap(),
                None => fs::write(path, format!("the-secret-of-{name}")).unwrap(),
            }
        }
    }
    config::parse(&folder.path().join("sites.ron"), &text, &secrets)
}

#[test]
fn every_file_in_a_document_or_example_loads() {
    let mut texts: Vec<(String, String)> = Vec::new();
    for document in documents() {
        let found = blocks(&read(&document), "ron").into_iter();
        texts.extend(found.map(|block| (document.clone(), block)));
    }
    texts.extend(files("examples", "ron").into_iter().map(|example| (example.clone(), read(&example))));
    assert!(texts.len() >= 9, "only {} files were found", texts.len());
    for (name, text) in texts {
        // What is commented out for the next step is valid, too.
        let alerts = |text: &str| match text.split_once("// alerts: (") {
            Some((before, after)) => format!("{before}alerts: ({}", after.replace("// ", "")),
            None => text.to_string(),
        };
        for text in [text.replace("// admin: ", "admin: "), alerts(&text), text] {
            load(&text).unwrap_or_else(|problems| panic!("{name}: {problems}\n{text}"));
        }
    }
}

#[test]
fn the_documented_errors_match_the_program() {
    let wrong = r#"(
    sites: {
        "awka": (
            name: "Awka",
            hosts: ["10.0.1.1:x"],
            user: "api-user",
            refesh: "10s",
            password: Env("AWKA_PASSWORD"),
        ),
    },
)"#;
    let problems = config::parse(Path::new("sites.ron"), wrong, &|_| None).unwrap_err().to_string();
    let shown = blocks(&read("docs/configuration.md"), "text");
    assert!(shown.contains(&problems), "{problems}\n{shown:?}");
}

#[test]
fn each_dependency_has_a_row_with_its_purpose() {
    let manifest = read("Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<&str> = dependencies
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect();
    assert!(names.contains(&"smol"));
    let document = read("docs/decisions/dependencies.md");
    let rows: String = document.lines().filter(|line| line.starts_with("| ")).collect();
    let listed: Vec<&str> = rows.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').collect();
    for name in names {
        assert!(listed.contains(&name), "expected a row for {name} in docs/decisions/dependencies.md");
    }
}

#[test]
fn every_path_and_cause_of_openapi_json_is_documented() {
    let openapi: Value = serde_json::from_str(&read("src/http/api/openapi.json")).unwrap();
    let document = read("docs/http-api.md");
    // A row may include query parameters.
    let code: BTreeSet<&str> =
        code_spans(&document).into_iter().map(|span| span.split('?').next().unwrap()).collect();
    for path in openapi["paths"].as_object().unwrap().keys() {
        assert!(code.contains(path.as_str()), "expected {path} in docs/http-api.md");
    }
    for cause in openapi["components"]["schemas"]["Cause"]["enum"].as_array().unwrap() {
        let cause = cause.as_str().unwrap();
        assert!(code.contains(cause), "expected the cause {cause} in docs/http-api.md");
    }
}

#[test]
fn every_metric_is_documented_and_alert_rules_use_no_other() {
    let golden = read("src/http/metrics/golden.txt");
    let metrics: BTreeSet<&str> =
        golden.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(metrics.contains("mikrotik_up"));
    let document = read("docs/metrics.md");
    let code: BTreeSet<&str> = code_spans(&document).into_iter().collect();
    for metric in &metrics {
        assert!(code.contains(metric), "expected {metric} in docs/metrics.md");
    }
    let rules = read("examples/alerts.yml");
    for word in rules.split(|c: char| !c.is_alphanumeric() && c != '_') {
        let is_metric = word.starts_with("mikrotik_") || word.starts_with("phsweb_");
        assert!(!is_metric || metrics.contains(word), "unknown metric {word}");
    }
}

#[test]
fn the_example_for_compose_names_this_version_of_the_image() {
    let image = concat!("image: phsweb-agent:", env!("CARGO_PKG_VERSION"), "\n");
    assert!(read("examples/compose.yaml").contains(image), "{image}");
}

/// The help of a command, or with an empty name of the program.
fn help(command: &str) -> String {
    let arguments = [command, "--help"];
    run_to_end(program(arguments.into_iter().filter(|argument| !argument.is_empty()))).out
}

/// The options in a text, without their values.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let ends = ["|", "#", "&&", "<", ">", "\\"];
    let words = text.split_whitespace().take_while(move |word| !ends.contains(word));
    words.filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap())
}

#[test]
fn every_option_in_a_document_is_in_the_help() {
    let program = help("");
    let commands = program.split("\nCommands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<(&str, String)> = commands
        .lines()
        .filter_map(|line| Some(line.strip_prefix("  ")?.split(' ').next().unwrap()))
        .filter(|command| !command.is_empty())
        .map(|command| (command, help(command)))
        .collect();
    assert!(commands.iter().any(|(command, _)| *command == "simulate"));
    let has = |help: &str, option: &str| help.split([' ', '=', '\n']).any(|word| word == option);
    let mut count = 0;
    for document in documents() {
        let markdown = read(&document);
        let blocks = all_blocks(&markdown);
        let lines = blocks.iter().flat_map(|(_, block)| block.lines());
        for text in code_spans(&markdown).into_iter().chain(lines) {
            for after in text.split("phsweb-agent ").skip(1) {
                let named = after.split_whitespace().next().unwrap_or_default();
                let Some((command, help)) = commands.iter().find(|(command, _)| *command == named) else {
                    continue;
                };
                for option in options(after) {
                    count += 1;
                    assert!(has(help, option), "{document}: {command} lacks the option {option}");
                }
            }
            // An option without a command belongs to some command.
            if text.starts_with("--") {
                for option in options(text) {
                    count += 1;
                    let is_known = commands.iter().any(|(_, help)| has(help, option));
                    assert!(is_known, "{document}: no command has the option {option}");
                }
            }
        }
    }
    assert!(count > 20, "only {count} options were found");
}

//! What README and the shipped sites.ron say is so.

use std::fs;
use std::path::Path;
use std::process::Command;

use phsweb_agent::config;

use crate::support::agent::{Agent, program, until};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// An environment in which every variable is set.
fn all_set(name: &str) -> Option<String> {
    let overrides = ["_HOST", "_PORT", "_USER"].iter().any(|end| name.ends_with(end));
    (!overrides).then(|| "secret".to_string())
}

/// README's steps 2 to 5, each as it is written there. The router of the file is a simulated one, as in step 3.
#[test]
fn readmes_steps_followed_in_order_work() {
    let readme = read("README.md");
    let (file, commands) = (blocks(&readme, "ron").remove(0), blocks(&readme, "sh"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sites.ron");
    let file = file.replace("127.0.0.1:8080", "127.0.0.1:0");
    fs::write(&path, &file).unwrap();
    let mut run = program(["run", "--config", "sites.ron", "--simulate"]);
    run.current_dir(folder.path()).env("AWKA_PASSWORD", "A-LONG-RANDOM-PASSWORD");
    let agent = Agent::start(run);
    agent.well("awka");

    let token = commands.iter().find(|command| command.contains("admin.token)")).unwrap();
    assert!(Command::new("sh").args(["-c", token]).current_dir(folder.path()).status().unwrap().success());
    assert!(file.contains("// admin: "));
    fs::write(&path, file.replace("// admin: ", "admin: ")).unwrap();
    let token = fs::read_to_string(folder.path().join("admin.token")).unwrap();
    let agent = agent.with_token(token.trim());
    until("the token is taken", || (agent.get("/api/hotspot/awka/active").status == 200).then_some(()));
    assert_eq!(agent.json("/api/config")["error"], serde_json::Value::Null);

    let kick = commands.iter().find(|command| command.contains("/kick")).unwrap();
    assert!(!kick.contains("--json"), "curl has it from 7.82 on only");
    let body = kick.split("-d '").nth(1).unwrap().split('\'').next().unwrap();
    let answer = agent.ask_with(
        "POST",
        "/api/hotspot/awka/kick",
        &[("Content-Type", "application/json")],
        body.as_bytes(),
    );
    assert!(
        [404, 409].contains(&answer.status),
        "the body is understood, but chidi has no session: {answer:?}"
    );
}

/// The code blocks of a language in a Markdown text, their indentation taken away.
fn blocks<'m>(markdown: &'m str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() == format!("```{language}") {
            let indent = line.len() - line.trim_start().len();
            let inside = |line: &&'m str| line.trim() != "```";
            let block: Vec<&str> = lines
                .by_ref()
                .take_while(inside)
                .map(|line| line.get(indent..).unwrap_or_default())
                .collect();
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

#[test]
fn the_shipped_file_loads_and_shows_the_defaults() {
    let config = config::parse(Path::new("sites.ron"), &read("sites.ron"), &|_| None).unwrap();
    assert_eq!(config.sites.len(), 3);
    assert_eq!(config.http, config::Http::default());
    // What it calls a default is what a file without it has.
    let bare = r#"(sites: {"a": (hosts: ["h"], user: "api-user", password: Plain(""))})"#;
    let bare = config::parse(Path::new("bare.ron"), bare, &|_| None).unwrap();
    let (awka, bare) = (&config.sites[0], &bare.sites[0]);
    assert_eq!(awka.refresh, bare.refresh);
    assert_eq!(awka.connect_timeout, bare.connect_timeout);
    assert_eq!(awka.query_timeout, bare.query_timeout);
    assert_eq!(awka.plugins, bare.plugins);
}

#[test]
fn readmes_files_load() {
    let blocks = blocks(&read("README.md"), "ron");
    assert!(!blocks.is_empty());
    for block in blocks {
        config::parse(Path::new("sites.ron"), &block, &all_set).unwrap_or_else(|e| panic!("{e}\n{block}"));
    }
}

#[test]
fn readmes_errors_are_those_of_the_program() {
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
    let shown = blocks(&read("README.md"), "text");
    assert!(shown.contains(&problems), "{problems}\n{shown:?}");
}

#[test]
fn readme_says_what_each_dependency_is_for() {
    let manifest = read("Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<&str> = dependencies
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect();
    assert!(names.contains(&"smol"));
    let readme = read("README.md");
    let rows: String = readme.lines().filter(|line| line.starts_with("| ")).collect();
    let listed: Vec<&str> = rows.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').collect();
    for name in names {
        assert!(listed.contains(&name), "{name} has no line in README's table");
    }
}

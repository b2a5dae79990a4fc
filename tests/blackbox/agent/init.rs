//! `phsweb-agent init`: the first sites.ron, and the commands for the router.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use phsweb_agent::simulator::{Login, Settings};

use super::agent::{ProgramOutput, program, run_to_end};
use super::router;

const AWKA: [&str; 7] = ["init", "--name", "Awka", "--address", "127.0.0.1", "--user", "ada o"];

fn run(folder: &Path, arguments: &[&str]) -> ProgramOutput {
    let mut command = program(arguments);
    command.current_dir(folder);
    run_to_end(command)
}

/// The files in a folder, by name.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_new_file_passes_check_and_the_commands_are_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &AWKA);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
    assert_eq!(files(folder.path()), ["awka.password", "sites.ron"]);

    let secret = folder.path().join("awka.password");
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    let password = fs::read_to_string(secret).unwrap();
    let password = password.trim();
    assert!(password.len() >= 24, "{password}");
    let file = fs::read_to_string(folder.path().join("sites.ron")).unwrap();
    assert!(!file.contains(password) && file.contains("// login: Challenge"), "{file}");
    for command in [
        "/user group add name=phsweb-agent policy=api,read,write".to_string(),
        format!("/user add name=\"ada o\" group=phsweb-agent password={password} address=127.0.0.1/32"),
        "/ip service set [find name=api and !dynamic] disabled=no port=8728 address=127.0.0.1/32".into(),
    ] {
        assert!(ended.out.lines().any(|line| line.trim() == command), "expected {command} in {}", ended.out);
    }
    let checked = run(folder.path(), &["check", "--json"]);
    assert_eq!((checked.code, checked.out.trim()), (Some(0), "[]"), "{}", checked.err);
}

#[test]
fn questions_are_asked_for_what_no_option_names() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(Settings::default());
    let mut command = program(["init", "--output", "first"]);
    command.current_dir(folder.path()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let answers = format!("\nLagos \"Island\"\nno address\n{}\n\n", router.addr());
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    // Each wrong answer repeats its question.
    for (question, count) in [("Name of the site", 2), ("Address of its router", 2), ("[api-user]: ", 1)] {
        assert_eq!(err.matches(question).count(), count, "{question}: {err}");
    }
    assert!(
        out.contains(" name=api-user ") && out.contains(&format!("port={}", router.addr().port())),
        "{out}"
    );
    assert_eq!(files(folder.path()), ["first", "lagos-island.password"]);

    // The router accepts the login once the command was executed.
    let password = fs::read_to_string(folder.path().join("lagos-island.password")).unwrap();
    let login = Login::new("api-user", password.trim());
    drop(router);
    let router = super::router(Settings { logins: vec![login], ..Settings::default() });
    let file = fs::read_to_string(folder.path().join("first")).unwrap();
    let hosts = format!("hosts: [\"{}\"]", router.addr());
    let start = file.find("hosts: [").unwrap();
    let end = start + file[start..].find(']').unwrap() + 1;
    fs::write(folder.path().join("first"), file[..start].to_string() + &hosts + &file[end..]).unwrap();
    let tested = run(folder.path(), &["test", "./first"]);
    assert_eq!(tested.code, Some(0), "{}{}", tested.out, tested.err);
    assert!(tested.out.contains("lagos-island  all 8 steps ok, may end sessions: yes"), "{}", tested.out);
}

#[test]
fn no_file_is_overwritten_and_a_failed_attempt_leaves_none() {
    let folder = tempfile::tempdir().unwrap();
    for (existing, output) in [("sites.ron", "sites.ron"), ("awka.password", "other.ron")] {
        fs::write(folder.path().join(existing), "mine").unwrap();
        let ended = run(folder.path(), &[&AWKA[..], &["--output", output]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{existing}: {}", ended.err);
        assert!(ended.err.contains(&format!("{existing} exists")), "{}", ended.err);
        assert_eq!(fs::read_to_string(folder.path().join(existing)).unwrap(), "mine");
    }
    assert_eq!(files(folder.path()), ["awka.password", "sites.ron"]);

    let folder = tempfile::tempdir().unwrap();
    let long = "a".repeat(10_000);
    for (arguments, code) in [
        (&["init", "--name", long.as_str(), "--address", "127.0.0.1", "--user", "x"][..], 1),
        (&["init", "--name", "Awka"], 2),
        (&["init", "--address", "a b", "--name", "Awka"], 2),
    ] {
        let ended = run(folder.path(), arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains("expected") && !ended.err.contains("panicked"), "{}", ended.err);
        assert!(files(folder.path()).is_empty(), "{arguments:?}: {:?}", files(folder.path()));
    }
}

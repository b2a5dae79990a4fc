//! Output on a terminal, and the generated files in the programs that read them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::agent::{program, run_to_end};
use crate::support::binary::binary;

/// The output of a command on a terminal, which `script` provides.
fn on_terminal(folder: &Path, arguments: &str, variable: (&str, &str)) -> String {
    let command = format!("{} {arguments}", binary().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--command", &command, "/dev/null"]).current_dir(folder).stdin(Stdio::null());
    script.env_clear().env("TERM", "xterm").env("PATH", "/usr/bin:/bin").env(variable.0, variable.1);
    let output = script.output().unwrap_or_else(|error| panic!("script: {error}"));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs script of util-linux"]
fn output_on_a_terminal_has_colors_unless_they_are_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.ron"), "(sites: {})").unwrap();
    std::fs::write(folder.path().join("bad.ron"), "(site: {})").unwrap();
    let closed = "(sites: {\"awka\": (hosts: [\"127.0.0.1:1\"], user: \"x\", password: Plain(\"x\"))})";
    std::fs::write(folder.path().join("closed.ron"), closed).unwrap();
    for (arguments, part) in [
        ("check good.ron", "\x1b[32mis valid\x1b[0m"),
        ("check bad.ron", "\x1b[31mbad.ron:1:2\x1b[0m: unknown field"),
        ("test closed.ron", "\x1b[31mFAILED\x1b[0m"),
    ] {
        let colored = on_terminal(folder.path(), arguments, ("NO_COLOR", ""));
        assert!(colored.contains(part), "{arguments}: expected {part:?} in {colored:?}");
        for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let plain = on_terminal(folder.path(), arguments, variable);
            assert!(plain.len() > 10 && !plain.contains('\x1b'), "{arguments} {variable:?}: {plain:?}");
        }
    }
}

/// The output of the program, checked by another one that reads it from a file.
#[track_caller]
fn checked(arguments: &[&str], checker: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, run_to_end(program(arguments)).out).unwrap();
    let output = Command::new(checker[0]).args(&checker[1..]).arg(file).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", checker[0]));
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs man and groff"]
fn the_manual_page_is_shown_without_warnings() {
    let page = checked(&["man"], &["man", "--warnings", "--local-file", "--encoding=ascii"]);
    for part in
        ["PHSWEB-AGENT(1)", "phsweb-agent completions", "--fault=NAME", "-c, --config=FILE", "no-service"]
    {
        assert!(page.contains(part), "expected {part:?} in {page}");
    }
}

#[test]
#[ignore = "needs bash, zsh and fish"]
fn each_shell_reads_its_completions() {
    for shell in ["bash", "zsh", "fish"] {
        checked(&["completions", shell], &[shell, "-n"]);
    }
}

//! The completions and the manual page, which are made from the definitions of the commands.

use std::process::Command;

use super::agent::{program, run_to_end};

/// The output of a command that succeeds.
#[track_caller]
fn output(arguments: &[&str]) -> String {
    let ended = run_to_end(program(arguments));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{arguments:?}");
    ended.out
}

/// The names in the program's list of commands.
fn commands() -> Vec<String> {
    let help = output(&["help"]);
    let list = help.split("\nCommands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty()).map(String::from).collect()
}

/// The long options in the help of a command.
fn options(command: &str) -> Vec<String> {
    let help = output(&["help", command]);
    let words = help.lines().filter(|line| line.starts_with("  -")).flat_map(str::split_whitespace);
    let names = words.filter_map(|word| word.strip_prefix("--")?.split('=').next());
    names.map(String::from).collect()
}

#[test]
fn every_command_and_option_is_in_all_of_them() {
    let (bash, zsh) = (output(&["completions", "bash"]), output(&["completions", "zsh"]));
    let (fish, man) = (output(&["completions", "fish"]), output(&["man"]));
    let commands = commands();
    assert!(commands.len() > 9, "{commands:?}");
    for command in &commands {
        for (text, part) in [
            (&bash, format!("        '{command}') _phsweb_agent_words")),
            (&zsh, format!("        {command}) _arguments")),
            (&fish, format!(" -a {command} -d '")),
            (&man, format!("\n.SS {command}\n")),
        ] {
            assert!(text.contains(&part), "expected {part:?} in {text}");
        }
        let section = man.split(&format!("\n.SS {command}\n")).nth(1).unwrap().split("\n.S").next().unwrap();
        let case = bash.split(&format!("\n        '{command}') ")).nth(1).unwrap().lines().next().unwrap();
        let options = options(command);
        assert!(options.len() > 1, "{command}: {options:?}");
        for option in options {
            let escaped = option.replace('-', "\\-");
            assert!(section.contains(&format!("\\fB\\-\\-{escaped}\\fR")), "{command} --{option}: {section}");
            assert!(case.contains(&format!("--{option}")), "{command} --{option}: {case}");
            let fish_option = format!("__fish_seen_subcommand_from {command}'");
            let mut lines = fish.lines().filter(|line| line.contains(&fish_option));
            assert!(
                lines.any(|line| line.contains(&format!(" -l {option} "))),
                "{command} --{option}: {fish}"
            );
        }
    }
}

/// The words that bash offers at the end of a line.
fn completed(line: &[&str]) -> Vec<String> {
    let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "{}\ncompopt() {{ :; }}\nCOMP_WORDS=({}); COMP_CWORD={}; _phsweb_agent; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        output(&["completions", "bash"]),
        words.join(" "),
        line.len() - 1
    );
    let ended = Command::new("bash").args(["--norc", "-uc", &script]).output().unwrap();
    assert!(ended.stderr.is_empty(), "{ended:?}");
    String::from_utf8(ended.stdout).unwrap().split_whitespace().map(String::from).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    for (line, expected) in [
        (&["phsweb-agent", "comp"][..], &["completions"][..]),
        (&["phsweb-agent", "help", "st"], &["status"]),
        (&["phsweb-agent", "completions", ""], &["bash", "zsh", "fish"]),
        (&["phsweb-agent", "demo", "--tr"], &["--trouble"]),
        (&["phsweb-agent", "status", "--u"], &["--url"]),
        (&["phsweb-agent", "check", "--log", "d"], &["debug"]),
        (&["phsweb-agent", "check", "--log", "=", "t"], &["trace"]),
        (&["phsweb-agent", "simulate", "--fault", "="], &[]),
        (&["phsweb-agent", "simulate", "--fault", "no-s"], &["no-service"]),
        // bash completes files.
        (&["phsweb-agent", "check", "si"], &[]),
        (&["phsweb-agent", "run", "-c", ""], &[]),
        (&["phsweb-agent", "demo", "--sites", ""], &[]),
    ] {
        let found = completed(line);
        if line.last() == Some(&"=") {
            assert!(found.len() > 20 && found.contains(&"stall".to_string()), "{found:?}");
        } else {
            assert_eq!(found, expected, "{line:?}");
        }
    }
}

#[test]
fn the_manual_page_has_its_sections_and_no_unescaped_lines() {
    let man = output(&["man"]);
    assert!(man.starts_with(".TH PHSWEB\\-AGENT 1 "), "{man}");
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS"] {
        assert!(man.contains(&format!("\n.SH {section}\n")), "{section}");
    }
    for line in man.lines() {
        let request = line.split(' ').next().unwrap_or_default();
        let is_known = [".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".I", ".BR"].contains(&request);
        assert!(is_known || !line.starts_with(['.', '\'']), "{line}");
        assert!(line.is_ascii() && !line.is_empty(), "{line:?}");
    }
}

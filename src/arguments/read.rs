//! The command line, read from left to right.

use std::ffi::{OsStr, OsString};

use lexopt::{Arg, Error, Parser};
use phsweb_agent::config::unknown;

use super::commands::{COMMANDS, PROGRAM};
use super::values::unexpected;
use super::{Argument, Given, Subcommand, Takes, help};

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// To be told this: help, or the version.
    Show(String),
    Execute(&'static Subcommand, Given),
}

/// Reads the arguments that stand after the program's name.
///
/// # Errors
///
/// What is wrong with the first of them that is wrong. Who asks for help or the version as well gets that.
pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Result<Invocation, String> {
    let parser = Parser::from_args(arguments);
    let mut reader = Reader { parser, command: &PROGRAM, given: Given::default(), names: Vec::new() };
    let mut mistake = None;
    loop {
        match reader.step() {
            Ok(true) if reader.given.help => return Ok(Invocation::Show(help::of(reader.command))),
            Ok(true) if reader.given.own_version => return Ok(Invocation::Show(help::version())),
            Ok(true) => {}
            Ok(false) => break,
            Err(message) => {
                mistake.get_or_insert(message);
            }
        }
    }
    if let Some(mistake) = mistake {
        return Err(mistake);
    }
    // A bare call contacts nobody. An option that only `run` has says what is meant.
    if reader.command.name.is_empty() && reader.names.iter().all(|name| *name == "--log") {
        return Ok(Invocation::Show(help::SHORT.into()));
    }
    Ok(Invocation::Execute(reader.command, reader.given))
}

struct Reader {
    parser: Parser,
    command: &'static Subcommand,
    given: Given,
    /// Of the options that were given.
    names: Vec<&'static str>,
}

impl Reader {
    /// Takes the next argument, with its value; false where there is none.
    fn step(&mut self) -> Result<bool, String> {
        let name = match self.parser.next() {
            Ok(None) => return Ok(false),
            Ok(Some(Arg::Value(word))) => return self.word(&word).map(|()| true),
            Ok(Some(Arg::Short(letter))) => format!("-{letter}"),
            Ok(Some(Arg::Long(name))) => format!("--{name}"),
            Err(Error::UnexpectedValue { option, value }) => {
                return Err(format!("{option}: {}", unexpected(&value, "no value")));
            }
            Err(error) => return Err(error.to_string()),
        };
        self.option(&name).map(|()| true)
    }

    fn option(&mut self, name: &str) -> Result<(), String> {
        let Argument { name, takes, .. } = self.command.option(name)?;
        if self.names.contains(name) {
            return Err(format!("{name} stands twice; expected it once"));
        }
        self.names.push(name);
        match takes {
            Takes::Nothing(set) => set(&mut self.given),
            Takes::Value(kind, set) => {
                let value = self.parser.values().ok().and_then(|mut values| values.next());
                let value = value.ok_or_else(|| format!("{name} has no value; expected {name}={kind}"))?;
                set(&mut self.given, &value).map_err(|message| format!("{name}: {message}"))?;
            }
        }
        Ok(())
    }

    /// Takes the command, or after it an operand.
    fn word(&mut self, word: &OsStr) -> Result<(), String> {
        if self.command.name.is_empty() {
            self.command = command(word)?;
            // They were looked up before it was known what they are for.
            return self.names.iter().try_for_each(|name| self.command.option(name).map(drop));
        }
        let taken = match &self.command.operand {
            Some(Argument { takes: Takes::Value(_, set), .. }) => set(&mut self.given, word),
            _ => Err(unexpected(word, "options alone")),
        };
        taken.map_err(|message| format!("{}: {message}", self.command.name))
    }
}

fn command(word: &OsStr) -> Result<&'static Subcommand, String> {
    let word = word.to_string_lossy();
    COMMANDS.into_iter().find(|command| command.name == word).ok_or_else(|| {
        let told = format!("unknown command `{}`", word.escape_debug());
        unknown(&told, &word, &COMMANDS.map(|command| command.name))
    })
}

impl Subcommand {
    /// The option of this name, or what is wrong with the name.
    fn option(&self, name: &str) -> Result<&Argument, String> {
        let is_named = |option: &&Argument| option.name == name || option.short == name;
        self.options.iter().find(is_named).ok_or_else(|| {
            let command = if self.name.is_empty() { "phsweb-agent" } else { self.name };
            let told = format!("{command} has no option `{}`", name.escape_debug());
            let owners = COMMANDS.into_iter().filter(|command| command.options.iter().any(|o| is_named(&o)));
            let owners: Vec<&str> = owners.map(|command| command.name).collect();
            if owners.is_empty() {
                let known: Vec<&str> = self.options.iter().map(|option| option.name).collect();
                return unknown(&told, name, &known);
            }
            format!("{told}; it belongs to {}", owners.join(" and "))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use log::LevelFilter;

    use super::*;

    fn words(line: &str) -> impl Iterator<Item = OsString> {
        line.split_whitespace().map(OsString::from)
    }

    #[test]
    fn options_stand_before_and_after_and_set_what_they_are_for() {
        let none = Given::default;
        let config = || Some("a.ron".into());
        let listen = || Some("127.0.0.1:1".parse().unwrap());
        for (line, command, expected) in [
            ("--config a.ron", "", Given { config: config(), ..none() }),
            ("run --config a.ron", "run", Given { config: config(), ..none() }),
            ("run --config=a.ron", "run", Given { config: config(), ..none() }),
            ("--config=a.ron run", "run", Given { config: config(), ..none() }),
            ("--config a.ron test", "test", Given { config: config(), ..none() }),
            (
                "--listen 127.0.0.1:1 run --simulate",
                "run",
                Given { listen: listen(), simulate: true, ..none() },
            ),
            ("--wait", "", Given { wait: true, ..none() }),
            ("--log Debug check", "check", Given { log: Some(LevelFilter::Debug), ..none() }),
            ("check a.ron", "check", Given { config: config(), ..none() }),
            ("check -- --a", "check", Given { config: Some("--a".into()), ..none() }),
            ("check -", "check", Given { config: Some("-".into()), ..none() }),
            ("test a --json b", "test", Given { keys: vec!["a".into(), "b".into()], json: true, ..none() }),
            ("test", "test", none()),
            ("demo --sites 1", "demo", Given { sites: Some(1), ..none() }),
            ("demo --sites=1000 --listen 127.0.0.1:1", "demo", {
                Given { sites: Some(1000), listen: listen(), ..none() }
            }),
            ("simulate --routers 1000 --port 0", "simulate", {
                Given { routers: Some(1000), port: Some(0), ..none() }
            }),
            ("simulate --active 0 --users 9 --tls", "simulate", {
                Given { active: Some(0), users: Some(9), tls: true, ..none() }
            }),
            ("simulate --version 7.11 --fault stall", "simulate", {
                Given { version: "7.11".parse().ok(), fault: "stall".parse().ok(), ..none() }
            }),
        ] {
            match read(words(line)) {
                Ok(Invocation::Execute(found, given)) => {
                    assert_eq!((found.name, given), (command, expected), "{line}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_option_what_was_found_and_what_was_expected() {
        for (line, message) in [
            ("--confg x", "phsweb-agent has no option `--confg`; did you mean `--config`?"),
            ("run --simulat", "run has no option `--simulat`; did you mean `--simulate`?"),
            ("demo --sitse=3", "demo has no option `--sitse`; did you mean `--sites`?"),
            ("demo --config x", "demo has no option `--config`; it belongs to run and test"),
            ("--config x demo", "demo has no option `--config`; it belongs to run and test"),
            ("--fault stall", "phsweb-agent has no option `--fault`; it belongs to simulate"),
            ("check -x", "check has no option `-x`; expected one of --log, --help, --version"),
            ("dmo", "unknown command `dmo`; did you mean `demo`?"),
            ("status", "unknown command `status`; expected one of run, check, test, demo, simulate"),
            ("run check", "run: found \"check\"; expected options alone"),
            ("check a b", "check: found \"b\"; expected one FILE"),
            ("--config", "--config has no value; expected --config=FILE"),
            ("--config --wait", "--config has no value; expected --config=FILE"),
            ("demo --sites -1", "--sites has no value; expected --sites=N"),
            ("demo --sites=-1", "--sites: found \"-1\"; expected a number from 1 to 1000"),
            ("demo --sites 0", "--sites: found \"0\"; expected a number from 1 to 1000"),
            ("demo --sites 1001", "--sites: found \"1001\"; expected a number from 1 to 1000"),
            ("simulate --routers 0", "--routers: found \"0\"; expected a number from 1 to 1000"),
            ("simulate --routers 1001", "--routers: found \"1001\"; expected a number from 1 to 1000"),
            ("simulate --port 65536", "--port: found \"65536\"; expected a number from 0 to 65535"),
            ("--listen 1", "--listen: found \"1\"; expected ADDRESS:PORT, such as 127.0.0.1:8080"),
            ("--log loud", "--log: found \"loud\"; expected off, error, warn, info, debug or trace"),
            ("--wait=no", "--wait: found \"no\"; expected no value"),
            ("--wait --wait", "--wait stands twice; expected it once"),
            ("--log info check --log=debug", "--log stands twice; expected it once"),
            ("simulate --fault stal", "--fault: \"stal\" is not a fault; did you mean `stall`?"),
            // The first of several.
            (
                "--log loud dmo --sites 0",
                "--log: found \"loud\"; expected off, error, warn, info, debug or trace",
            ),
        ] {
            assert_eq!(read(words(line)).unwrap_err(), message, "{line}");
        }
    }

    #[test]
    fn what_is_no_utf_8_or_would_steer_a_terminal_is_shown_escaped() {
        let told = |arguments: &[&[u8]]| {
            let arguments = arguments.iter().map(|argument| OsString::from_vec(argument.to_vec()));
            read(arguments).unwrap_err()
        };
        assert!(told(&[b"d\xff\x1bmo"]).starts_with("unknown command `d\u{fffd}\\u{1b}mo`"));
        assert!(told(&[b"--con\xfffig=x"]).ends_with("did you mean `--config`?"));
        assert!(told(&[b"-\xff"]).contains("no option `-\u{fffd}`"));
        assert!(told(&[b"--\x1b[2J"]).contains("`--\\u{1b}[2J`"));
        assert_eq!(told(&[b"test", b"a\xff"]), "test: found \"a\u{fffd}\"; expected UTF-8");
        assert_eq!(
            told(&[b"demo", b"--sites", b"\xff"]),
            "--sites: found \"\u{fffd}\"; expected a number from 1 to 1000"
        );
    }

    #[test]
    fn who_asks_for_help_gets_it_whatever_else_is_wrong() {
        for (line, usage) in [
            ("--help", "phsweb-agent [COMMAND]"),
            ("-h", "phsweb-agent [COMMAND]"),
            ("dmo --help", "phsweb-agent [COMMAND]"),
            ("--config --help", "phsweb-agent [COMMAND]"),
            ("check --help", "phsweb-agent check"),
            ("check -h --zzz", "phsweb-agent check"),
            ("test --zzz=1 x --json=2 -hV", "phsweb-agent test"),
            ("--wait demo --help", "phsweb-agent demo"),
            ("run -V --help", "Version: phsweb-agent"),
            ("--zzz --version", "Version: phsweb-agent"),
            ("", "phsweb-agent demo"),
            ("--log debug", "phsweb-agent run --config sites.ron"),
        ] {
            match read(words(line)) {
                Ok(Invocation::Show(text)) => assert!(text.contains(usage), "{line}: {text}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}

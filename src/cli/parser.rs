//! Parses the command line from left to right.

use std::ffi::{OsStr, OsString};

use lexopt::{Arg, Error, Parser};
use phsweb_agent::config::unknown;

use super::argument::{Argument, Options, Subcommand, Takes};
use super::commands::{COMMANDS, PROGRAM};
use super::help;
use super::values::unexpected;

/// The result of parsing the command line.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// Print this text: help, or the version.
    Print(String),
    Execute(&'static Subcommand, Options),
}

/// Parses the arguments after the name of the program.
///
/// # Errors
///
/// The first error. A request for help or the version succeeds in spite of errors.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Invocation, String> {
    let parser = Parser::from_args(arguments);
    let mut parsing = Parsing { parser, command: &PROGRAM, options: Options::default(), names: Vec::new() };
    let mut first_error = None;
    loop {
        match parsing.step() {
            Ok(true) if parsing.options.help => return Ok(Invocation::Print(help::of(parsing.command))),
            Ok(true) if parsing.options.program_version => return Ok(Invocation::Print(help::version())),
            Ok(true) => {}
            Ok(false) => break,
            Err(message) => {
                first_error.get_or_insert(message);
            }
        }
    }
    if let Some(error) = first_error {
        return Err(error);
    }
    // A call without arguments contacts no router. An option of `run` implies that command.
    if parsing.command.name.is_empty() && parsing.names.iter().all(|name| *name == "--log") {
        return Ok(Invocation::Print(help::SHORT.into()));
    }
    Ok(Invocation::Execute(parsing.command, parsing.options))
}

/// The state of the parser.
struct Parsing {
    parser: Parser,
    command: &'static Subcommand,
    options: Options,
    /// Names of the options parsed so far.
    names: Vec<&'static str>,
}

impl Parsing {
    /// Parses the next argument with its value. Returns false at the end.
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
            return Err(format!("{name} is given twice; expected it once"));
        }
        self.names.push(name);
        match takes {
            Takes::Nothing(set) => set(&mut self.options),
            Takes::Value(kind, set) => {
                let value = self.parser.values().ok().and_then(|mut values| values.next());
                let value = value.ok_or_else(|| format!("{name} has no value; expected {name}={kind}"))?;
                set(&mut self.options, &value).map_err(|message| format!("{name}: {message}"))?;
            }
        }
        Ok(())
    }

    /// Parses the command, or after it an operand.
    fn word(&mut self, word: &OsStr) -> Result<(), String> {
        if self.command.name.is_empty() {
            self.command = command(word)?;
            // Options before the command belong to the program without a command.
            return self.names.iter().try_for_each(|name| self.command.option(name).map(drop));
        }
        let result = match &self.command.operand {
            Some(Argument { takes: Takes::Value(_, set), .. }) => set(&mut self.options, word),
            _ => Err(unexpected(word, "only options")),
        };
        result.map_err(|message| format!("{}: {message}", self.command.name))
    }
}

fn command(word: &OsStr) -> Result<&'static Subcommand, String> {
    let word = word.to_string_lossy();
    COMMANDS.into_iter().find(|command| command.name == word).ok_or_else(|| {
        let message = format!("unknown command `{}`", word.escape_debug());
        unknown(&message, &word, &COMMANDS.map(|command| command.name))
    })
}

impl Subcommand {
    /// The option of this name, or an error that suggests one.
    fn option(&self, name: &str) -> Result<&Argument, String> {
        let is_named = |option: &&Argument| option.name == name || option.short == name;
        self.options.iter().find(is_named).ok_or_else(|| {
            let command = if self.name.is_empty() { "phsweb-agent" } else { self.name };
            let message = format!("{command} has no option `{}`", name.escape_debug());
            let owners = COMMANDS.into_iter().filter(|command| command.options.iter().any(|o| is_named(&o)));
            let owners: Vec<&str> = owners.map(|command| command.name).collect();
            if owners.is_empty() {
                let known: Vec<&str> = self.options.iter().map(|option| option.name).collect();
                return unknown(&message, name, &known);
            }
            format!("{message}; it belongs to {}", owners.join(" and "))
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
    fn options_before_and_after_the_command_are_equal() {
        let none = Options::default;
        let config = || Some("a.ron".into());
        let listen = || Some("127.0.0.1:1".parse().unwrap());
        for (line, command, expected) in [
            ("--config a.ron", "", Options { config: config(), ..none() }),
            ("run --config a.ron", "run", Options { config: config(), ..none() }),
            ("run --config=a.ron", "run", Options { config: config(), ..none() }),
            ("--config=a.ron run", "run", Options { config: config(), ..none() }),
            ("--config a.ron test", "test", Options { config: config(), ..none() }),
            (
                "--listen 127.0.0.1:1 run --simulate",
                "run",
                Options { listen: listen(), simulate: true, ..none() },
            ),
            ("--wait", "", Options { wait: true, ..none() }),
            ("--log Debug check", "check", Options { log: Some(LevelFilter::Debug), ..none() }),
            ("check a.ron", "check", Options { config: config(), ..none() }),
            ("check -- --a", "check", Options { config: Some("--a".into()), ..none() }),
            ("check -", "check", Options { config: Some("-".into()), ..none() }),
            ("test a --json b", "test", Options { keys: vec!["a".into(), "b".into()], json: true, ..none() }),
            ("test", "test", none()),
            ("demo --sites 1", "demo", Options { sites: Some(1), ..none() }),
            ("demo --sites=1000 --listen 127.0.0.1:1", "demo", {
                Options { sites: Some(1000), listen: listen(), ..none() }
            }),
            ("simulate --routers 1000 --port 0", "simulate", {
                Options { routers: Some(1000), port: Some(0), ..none() }
            }),
            ("simulate --active 0 --users 9 --tls", "simulate", {
                Options { active: Some(0), users: Some(9), tls: true, ..none() }
            }),
            ("simulate --version 7.11 --fault stall", "simulate", {
                Options { version: "7.11".parse().ok(), fault: "stall".parse().ok(), ..none() }
            }),
        ] {
            match parse(words(line)) {
                Ok(Invocation::Execute(found, options)) => {
                    assert_eq!((found.name, options), (command, expected), "{line}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn errors_name_the_option_what_was_found_and_what_was_expected() {
        for (line, message) in [
            ("--confg x", "phsweb-agent has no option `--confg`; did you mean `--config`?"),
            ("run --simulat", "run has no option `--simulat`; did you mean `--simulate`?"),
            ("demo --sitse=3", "demo has no option `--sitse`; did you mean `--sites`?"),
            ("demo --config x", "demo has no option `--config`; it belongs to run and test and notify"),
            ("--config x demo", "demo has no option `--config`; it belongs to run and test and notify"),
            ("--fault stall", "phsweb-agent has no option `--fault`; it belongs to simulate"),
            ("check -x", "check has no option `-x`; expected one of --log, --help, --version"),
            ("dmo", "unknown command `dmo`; did you mean `demo`?"),
            ("status", "unknown command `status`; expected one of run, check, test, notify, demo, simulate"),
            ("run check", "run: found \"check\"; expected only options"),
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
            ("--wait --wait", "--wait is given twice; expected it once"),
            ("--log info check --log=debug", "--log is given twice; expected it once"),
            ("simulate --fault stal", "--fault: \"stal\" is not a fault; did you mean `stall`?"),
            // Only the first error is reported.
            (
                "--log loud dmo --sites 0",
                "--log: found \"loud\"; expected off, error, warn, info, debug or trace",
            ),
        ] {
            assert_eq!(parse(words(line)).unwrap_err(), message, "{line}");
        }
    }

    #[test]
    fn invalid_utf_8_and_control_characters_are_escaped_in_errors() {
        let error = |arguments: &[&[u8]]| {
            let arguments = arguments.iter().map(|argument| OsString::from_vec(argument.to_vec()));
            parse(arguments).unwrap_err()
        };
        assert!(error(&[b"d\xff\x1bmo"]).starts_with("unknown command `d\u{fffd}\\u{1b}mo`"));
        assert!(error(&[b"--con\xfffig=x"]).ends_with("did you mean `--config`?"));
        assert!(error(&[b"-\xff"]).contains("no option `-\u{fffd}`"));
        assert!(error(&[b"--\x1b[2J"]).contains("`--\\u{1b}[2J`"));
        assert_eq!(error(&[b"test", b"a\xff"]), "test: found \"a\u{fffd}\"; expected UTF-8");
        assert_eq!(
            error(&[b"demo", b"--sites", b"\xff"]),
            "--sites: found \"\u{fffd}\"; expected a number from 1 to 1000"
        );
    }

    #[test]
    fn help_is_shown_in_spite_of_errors() {
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
            match parse(words(line)) {
                Ok(Invocation::Print(text)) => assert!(text.contains(usage), "{line}: {text}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}

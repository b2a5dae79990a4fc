//! `completions`: scripts that complete commands, options and values in a shell.

use std::fmt::Write;

use phsweb_agent::config::unknown;

use super::argument::{Argument, Execute, HELP, LOG, Program, Subcommand, VERSION};
use super::values::{text, unexpected};

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "completions",
    summary: "Print the completions for a shell: bash, zsh or fish",
    about: "Prints a script that completes commands, options and values in a shell.",
    options: &[LOG, HELP, VERSION],
    operand: Some(
        Argument::value("", "SHELL", "bash, zsh or fish", |options, value| {
            options.keys.push(text(value)?.into());
            if options.keys.len() > 1 { Err(unexpected(value, "one SHELL")) } else { Ok(()) }
        })
        .choices(|_| SHELLS.to_vec()),
    ),
    list: None,
    notes: "For the current shell: `source <(phsweb-agent completions bash)`, the same with zsh, or \
            `phsweb-agent completions fish | source`. The Debian package installs all three.",
    execute: Execute::Print(|options, program| match options.keys.first().map(String::as_str) {
        Some("bash") => Ok(bash(program)),
        Some("zsh") => Ok(zsh(program)),
        Some("fish") => Ok(fish(program)),
        Some(other) => Err(unknown(&format!("{other:?} is not supported"), other, &SHELLS)),
        None => Err("completions: expected a SHELL: bash, zsh or fish".into()),
    }),
};

/// The possible values of an argument.
enum Values {
    Files,
    Words(String),
    Any,
}

impl Values {
    /// None for a switch, which takes no value.
    fn of(argument: &Argument, program: &Program) -> Option<Self> {
        let name = argument.value_name()?;
        Some(match argument.choices {
            Some(choices) => Self::Words(choices(program).join(" ")),
            None if name == "FILE" => Self::Files,
            None => Self::Any,
        })
    }
}

/// The names of an option: the short one if there is one, and the long one.
fn names(option: &Argument) -> Vec<&'static str> {
    [option.short, option.name].into_iter().filter(|name| !name.is_empty()).collect()
}

/// The beginning of a description, which fits into a line.
fn summary(argument: &Argument) -> &'static str {
    argument.help.split([';', ':']).next().unwrap_or_default()
}

fn command_names(program: &Program) -> Vec<&'static str> {
    program.commands.iter().map(|command| command.name).collect()
}

fn bash(program: &Program) -> String {
    let (mut values, mut words) = (String::new(), String::new());
    for command in [program.definition].iter().chain(program.commands) {
        let mut known: Vec<&str> = Vec::new();
        for option in command.options {
            known.extend(names(option));
            let action = match Values::of(option, program) {
                None => continue,
                // Without a reply, bash completes files.
                Some(Values::Files) => "return".into(),
                Some(Values::Words(words)) => format!("_phsweb_agent_words '{words}'; return"),
                Some(Values::Any) => "compopt +o default; return".into(),
            };
            let patterns: Vec<String> =
                names(option).iter().map(|name| format!("'{} {name}'", command.name)).collect();
            let _ = writeln!(values, "        {}) {action} ;;", patterns.join("|"));
        }
        let operand = command.operand.as_ref().and_then(|operand| Values::of(operand, program));
        let operand = match operand {
            _ if command.name.is_empty() => command_names(program).join(" "),
            Some(Values::Words(words)) => words,
            _ => String::new(),
        };
        let _ = writeln!(
            words,
            "        '{}') _phsweb_agent_words '{operand}' '{}' ;;",
            command.name,
            known.join(" ")
        );
    }
    let commands = command_names(program).join("|");
    format!(
        "\
# Completions of phsweb-agent for bash.
# The operands of a command, or its options if the word begins with a hyphen.
_phsweb_agent_words() {{
    local words=$1
    [[ $word == -* ]] && words=${{2-}}
    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))
}}
_phsweb_agent() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} option=${{COMP_WORDS[COMP_CWORD-1]}} command= i
    # bash splits --option=value at the equals sign.
    if [[ $word == = ]]; then word=; elif [[ $option == = ]]; then option=${{COMP_WORDS[COMP_CWORD-2]}}; fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
        {commands}) command=${{COMP_WORDS[i]}}; break ;;
        esac
    done
    COMPREPLY=()
    case \"$command $option\" in
{values}    esac
    case $command in
{words}    esac
}}
complete -o default -F _phsweb_agent phsweb-agent"
    )
}

fn zsh(program: &Program) -> String {
    let escaped = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
        text.replace('\'', "'\\''")
    };
    let values = |argument: &Argument| match Values::of(argument, program) {
        None => String::new(),
        Some(Values::Files) => ":file:_files".into(),
        Some(Values::Words(words)) => {
            format!(":{}:({words})", escaped(argument.value_name().unwrap_or_default()))
        }
        Some(Values::Any) => format!(":{}: ", escaped(argument.value_name().unwrap_or_default())),
    };
    let options = |options: &[Argument]| {
        let mut specs = String::new();
        for option in options {
            let names = names(option);
            for name in &names {
                let equals = if option.value_name().is_some() && name.starts_with("--") { "=" } else { "" };
                let _ = write!(
                    specs,
                    " \\\n            '({}){name}{equals}[{}]{}'",
                    names.join(" "),
                    escaped(summary(option)),
                    values(option)
                );
            }
        }
        specs
    };
    let (mut commands, mut cases) = (String::new(), String::new());
    for command in program.commands {
        let _ = writeln!(commands, "            '{}:{}'", command.name, escaped(command.summary));
        let operand =
            command.operand.as_ref().map_or(String::new(), |operand| match Values::of(operand, program) {
                Some(Values::Any) | None => " \\\n            '*:file:_files'".into(),
                Some(_) => format!(" \\\n            '1{}'", values(operand)),
            });
        let _ = writeln!(
            cases,
            "        {}) _arguments -s{}{operand} ;;",
            command.name,
            options(command.options)
        );
    }
    format!(
        "\
#compdef phsweb-agent
# Completions of phsweb-agent for zsh.
_phsweb-agent() {{
    local curcontext=$curcontext state line
    local -a commands
    _arguments -s -C{} \\
            '1:command:->command' '*::argument:->argument'
    case $state in
    command)
        commands=(
{commands}        )
        _describe command commands ;;
    argument)
        case $words[1] in
{cases}        esac ;;
    esac
}}
if [ \"$funcstack[1]\" = _phsweb-agent ]; then _phsweb-agent \"$@\"; else compdef _phsweb-agent phsweb-agent; fi",
        options(program.definition.options)
    )
}

fn fish(program: &Program) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let values = |argument: &Argument| match Values::of(argument, program) {
        None => String::new(),
        Some(Values::Files) => " -r -F".into(),
        Some(Values::Words(words)) => format!(" -x -a '{words}'"),
        Some(Values::Any) => " -x".into(),
    };
    let mut lines =
        vec!["# Completions of phsweb-agent for fish.".into(), "complete -c phsweb-agent -f".into()];
    let mut add = |condition: &str, rest: &str| {
        lines.push(format!("complete -c phsweb-agent -n '{condition}'{rest}"));
    };
    for command in program.commands {
        let about = escaped(command.summary);
        add("__fish_use_subcommand", &format!(" -a {} -d '{about}'", command.name));
    }
    for command in [program.definition].iter().chain(program.commands) {
        let condition = match command.name {
            "" => "__fish_use_subcommand".into(),
            name => format!("__fish_seen_subcommand_from {name}"),
        };
        for option in command.options {
            let short = option.short.strip_prefix('-').map(|name| format!(" -s {name}")).unwrap_or_default();
            let (name, about) = (option.name.trim_start_matches('-'), escaped(summary(option)));
            add(&condition, &format!("{short} -l {name}{} -d '{about}'", values(option)));
        }
        match command.operand.as_ref().and_then(|operand| Values::of(operand, program)) {
            Some(Values::Words(words)) => add(&condition, &format!(" -a '{words}'")),
            Some(_) => add(&condition, " -F"),
            None => {}
        }
    }
    lines.join("\n")
}

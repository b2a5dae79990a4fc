//! Output of the commands: lines, with colors if standard output is a terminal, and JSON.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use phsweb_agent::agent::Failure;
use phsweb_agent::text::{print_line, visible_lines};
use serde::Serialize;

/// Whether output is in color: on a terminal that has colors, unless the user has turned them off (no-color.org).
static IS_COLORED: LazyLock<bool> = LazyLock::new(|| {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
});

/// A color by its meaning. Each is readable on a dark and on a light background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    Good,
    Bad,
    Warning,
}

impl Color {
    /// The parameter of the escape sequence (ECMA-48, SGR).
    fn code(self) -> u8 {
        match self {
            Self::Good => 32,
            Self::Bad => 31,
            Self::Warning => 33,
        }
    }
}

/// A line of output. Characters of a text that would control the terminal are replaced.
pub(super) struct OutputLine {
    text: String,
    is_colored: bool,
}

impl OutputLine {
    pub(super) fn new() -> Self {
        Self { text: String::new(), is_colored: *IS_COLORED }
    }

    pub(super) fn text(self, text: &str) -> Self {
        Self { text: self.text + &visible_lines(text), ..self }
    }

    pub(super) fn colored(self, color: Color, text: &str) -> Self {
        if !self.is_colored {
            return self.text(text);
        }
        let text = format!("{}\x1b[{}m{}\x1b[0m", self.text, color.code(), visible_lines(text));
        Self { text, ..self }
    }

    /// Prints the line on standard output. A closed output is not a failure.
    pub(super) fn print(self) {
        let _ = writeln!(io::stdout(), "{}", self.text.trim_end());
    }
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print_line(&serde_json::to_string_pretty(value).map_err(|error| error.to_string())?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_itself_adds_escape_sequences() {
        for (is_colored, expected) in [
            (true, "a\u{fffd}[31m \x1b[32mok\u{fffd}\x1b[0m \x1b[31mFAILED\x1b[0m"),
            (false, "a\u{fffd}[31m ok\u{fffd} FAILED"),
        ] {
            let line = OutputLine { text: String::new(), is_colored };
            let line = line.text("a\x1b[31m ").colored(Color::Good, "ok\x1b").text(" ");
            assert_eq!(line.colored(Color::Bad, "FAILED").text, expected);
        }
    }
}

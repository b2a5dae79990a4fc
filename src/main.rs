//! The program: parses the command line and executes one command.

#![warn(clippy::expect_used, clippy::unwrap_used)]

mod cli;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use phsweb_agent::agent::Failure;
use phsweb_agent::logging;
use phsweb_agent::text::visible_lines;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use cli::Invocation;

/// The command failed: an invalid file, an address in use.
const EXIT_FAILED: u8 = 1;

/// The arguments are wrong.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    // The memory holds passwords: no core files, and no other process of the same user may read it. A restart in place
    // runs this again. If the kernel does not support it, the program runs without.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let result =
        cli::parse(env::args_os().skip(1)).map_err(Failure::Usage).and_then(|invocation| match invocation {
            Invocation::Print(text) => {
                // A closed output is not a failure.
                let _ = writeln!(io::stdout(), "{text}");
                Ok(())
            }
            Invocation::Execute(run, options) => {
                logging::start(options.log);
                run(*options)
            }
        });
    logging::end();
    let (code, message) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => (EXIT_FAILED, message),
        Err(Failure::Usage(message)) => (EXIT_USAGE, message),
    };
    // If standard error is closed, the exit code still shows the failure.
    let _ = writeln!(io::stderr(), "{}", visible_lines(&message));
    ExitCode::from(code)
}

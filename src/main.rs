//! The command line: arguments to one command.

#![warn(clippy::expect_used, clippy::unwrap_used)]

mod arguments;

use std::io::{self, Write};
use std::process::ExitCode;

use phsweb_agent::command::Failure;
use phsweb_agent::logging;
use phsweb_agent::text::visible_lines;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::arguments::{Invocation, read};

/// The answer is no: the file is wrong, an address is taken.
const EXIT_NO: u8 = 1;

/// The program was called wrongly.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    // Its memory holds passwords: there are no core files, and no other process of the same user may read it. A restart
    // in place runs this again. Where the kernel does not allow it, the program does its work all the same.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let done = read(std::env::args_os().skip(1)).map_err(Failure::Usage).and_then(|request| match request {
        Invocation::Show(text) => {
            // Where nobody reads it, there is nobody to tell.
            let _ = writeln!(io::stdout(), "{text}");
            Ok(())
        }
        Invocation::Execute(command, given) => {
            logging::start(given.log);
            (command.execute)(given)
        }
    });
    logging::end();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let (code, message) = match failure {
                Failure::No(message) => (EXIT_NO, message),
                Failure::Usage(message) => (EXIT_USAGE, message),
            };
            // Where nobody reads it, the exit code still says so.
            let _ = writeln!(io::stderr(), "{}", visible_lines(&message));
            ExitCode::from(code)
        }
    }
}

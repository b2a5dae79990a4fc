//! The command line: arguments to one command.

#![warn(clippy::expect_used, clippy::unwrap_used)]

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bpaf::{Args, OptionParser, ParseFailure, Parser, construct, long, positional};
use log::LevelFilter;
use phsweb_agent::command::{Failure, check::Check, demo::Demo, run::Run, simulate::Simulate, test::Test};
use phsweb_agent::config::Http;
use phsweb_agent::logging;
use phsweb_agent::simulator::{Fault, Version};

/// The answer is no: the file is wrong, an address is taken.
const EXIT_NO: u8 = 1;

/// The program was called wrongly.
const EXIT_USAGE: u8 = 2;

/// What the program is called in its help.
const NAME: &str = "phsweb-agent";

/// Widest line of help, in characters.
const WIDTH: usize = 100;

#[derive(Debug, Clone)]
enum Command {
    Run(Run),
    Demo(Demo),
    Simulate(Simulate),
    Check(Check),
    Test(Test),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (level, command) = match options().run_inner(Args::from(arguments.as_slice()).set_name(NAME)) {
        Ok(options) => options,
        Err(failure) => {
            failure.print_message(WIDTH);
            let is_help = matches!(failure, ParseFailure::Stdout(..) | ParseFailure::Completion(_));
            return if is_help { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) };
        }
    };
    logging::start(level);
    let done = match command {
        Command::Run(run) => run.execute(),
        Command::Demo(demo) => demo.execute(),
        Command::Simulate(simulate) => simulate.execute(),
        Command::Check(check) => check.execute(),
        Command::Test(test) => test.execute(),
    };
    log::logger().flush();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let (code, message) = match failure {
                Failure::No(message) => (EXIT_NO, message),
                Failure::Usage(message) => (EXIT_USAGE, message),
            };
            // Where nobody reads it, the exit code still says so.
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::from(code)
        }
    }
}

fn options() -> OptionParser<(Option<LevelFilter>, Command)> {
    let version = concat!("phsweb-agent ", env!("CARGO_PKG_VERSION"));
    let run_command = with_log(run())
        .to_options()
        .version(version)
        .descr("Runs the agent: asks the routers of sites.ron, serves the page and JSON.")
        .footer("It ends on SIGTERM or SIGINT. A file that is wrong is not started, unless with --wait: all of its problems are shown, and the exit code is 1. While it runs it follows the file, and the secrets and certificates that this names: what is good is taken within two seconds, or at once on SIGHUP, and only what changed is touched; what is wrong changes nothing, and is told on the page and in the log.")
        .command("run")
        .help("Run the agent; this is what happens without a command, too");
    let demo_command = with_log(demo())
        .to_options()
        .version(version)
        .descr("Runs the agent over simulated routers, with people coming and going. Needs no file.")
        .footer("PHSWEB_ADMIN_TOKEN in the environment turns details of people on, for who sends that token.")
        .command("demo")
        .help("Look around: the agent over simulated routers, with no file");
    let simulate_command = with_log(simulate())
        .to_options()
        .descr("Runs simulated routers alone, on loopback, for other clients of the RouterOS API.")
        .footer(simulate_footer().as_str())
        .command("simulate")
        .help("Simulated routers alone, for other clients of the RouterOS API");
    let check_command = with_log(check())
        .to_options()
        .version(version)
        .descr("Checks sites.ron, and all that it names: secrets, certificates, variables. Nothing is started and no router is asked.")
        .footer("Prints every problem at once, as sites.ron:LINE:COLUMN, with what was found and what was expected. The exit code is 1 if there is any.")
        .command("check")
        .help("Say what is wrong with sites.ron, all at once, with line and column");
    let test_command = with_log(test())
        .to_options()
        .version(version)
        .descr("Tries the way to each router of sites.ron: resolve, connect, TLS, login, each plugin's menu.")
        .footer("Prints a line for each step with its time, and under one that failed what to do about it. It logs in once to each host. The exit code is 1 if any step failed.")
        .command("test")
        .help("Try the way to each router, step by step, and say where it ends and why");
    let plain_run = with_log(run());
    construct!([run_command, check_command, test_command, demo_command, simulate_command, plain_run])
        .to_options()
        .version(version)
        .descr("Shows who is online on MikroTik hotspots at many sites, and how the routers are.")
        .header("Reads sites.ron, logs in to each router over the RouterOS API, and serves a page at / and JSON at /api/hotspot/stats.")
        .footer("Exit codes: 0 it ended well, 1 it can't (a wrong file, an address that is taken), 2 it was called wrongly. `phsweb-agent COMMAND --help` tells more of each command.")
}

fn with_log(command: impl Parser<Command>) -> impl Parser<(Option<LevelFilter>, Command)> {
    let log = long("log")
        .help("How much to log: off, error, warn, info, debug or trace; else $RUST_LOG, else info")
        .argument::<LevelFilter>("LEVEL")
        .optional();
    construct!(log, command)
}

fn run() -> impl Parser<Command> {
    let config = config();
    let listen = long("listen")
        .help("Where to listen, as ADDRESS:PORT; stands above http.listen of the file")
        .argument::<SocketAddr>("ADDR")
        .optional();
    let simulate = long("simulate")
        .help("Let a simulated router answer for each of the file: your own configuration, no network")
        .switch();
    let wait = long("wait")
        .help("Don't end where there is no good file yet: say on the page what is missing or wrong, and begin once it is good; for services and containers")
        .switch();
    construct!(Run { config, listen, wait, simulate }).map(Command::Run)
}

fn test() -> impl Parser<Command> {
    let config = config();
    let json = long("json").help("Print one JSON array of all steps instead").switch();
    let sites = positional::<String>("SITE").help("Keys of the sites to try; all where none is named").many();
    construct!(Test { config, json, sites }).map(Command::Test)
}

fn check() -> impl Parser<Command> {
    let file = positional::<PathBuf>("FILE")
        .help("The configuration; else $PHSWEB_CONFIG, ./sites.ron, /etc/phsweb-agent/sites.ron")
        .optional();
    construct!(Check { file }).map(Command::Check)
}

fn config() -> impl Parser<Option<PathBuf>> {
    long("config")
        .help("The configuration; else $PHSWEB_CONFIG, ./sites.ron, /etc/phsweb-agent/sites.ron")
        .argument::<PathBuf>("FILE")
        .optional()
}

fn demo() -> impl Parser<Command> {
    let sites = long("sites")
        .help("How many sites")
        .argument::<usize>("N")
        .guard(|sites| (1..=1000).contains(sites), "expected 1 to 1000 sites")
        .fallback(3)
        .display_fallback();
    let listen = long("listen")
        .help("Where to listen, as ADDRESS:PORT")
        .argument::<SocketAddr>("ADDR")
        .fallback(Http::default_listen())
        .display_fallback();
    construct!(Demo { sites, listen }).map(Command::Demo)
}

fn simulate() -> impl Parser<Command> {
    let routers = long("routers")
        .help("How many routers")
        .argument::<u16>("N")
        .guard(|routers| (1..=1000).contains(routers), "expected 1 to 1000 routers")
        .fallback(1)
        .display_fallback();
    let active = long("active")
        .help("People online at each router; else 23, 45, 12 by turns")
        .argument::<usize>("N")
        .optional();
    let users = long("users")
        .help("Users configured at each router; else 150, 300, 80 by turns")
        .argument::<usize>("N")
        .optional();
    let version = long("version")
        .help("The RouterOS of all routers, such as 6.42, 6.49.10, 7.11 or 7.20.7; else each has another")
        .argument::<Version>("V")
        .optional();
    let port = long("port")
        .help("The first router's port, the others' follow it; 0 lets the system choose; else 8728, with --tls 8729")
        .argument::<u16>("P")
        .optional();
    let tls = long("tls")
        .help("Serve api-ssl, with a certificate whose fingerprint is told: for tls of sites.ron")
        .switch();
    let fault = long("fault")
        .help("What goes wrong with all routers, by a name from the list below; else nothing does")
        .argument::<Fault>("NAME")
        .optional();
    construct!(Simulate { routers, active, users, version, port, tls, fault }).map(Command::Simulate)
}

/// How to log in, and every fault: what there is to choose from is nowhere else.
fn simulate_footer() -> String {
    let login = "Log in as api-user with the password password, as reader with the same who may only look, or as admin with none, as on a new router; before RouterOS 6.43 by challenge.";
    let width = Fault::ALL.map(|fault| fault.name().len()).into_iter().max().unwrap_or_default();
    // Four spaces make a line stay as it is, and a line of a space begins a new one: a blank one
    // would leave the rest to `--help --help`.
    let faults = Fault::ALL.map(|fault| format!("\n      {:width$}  {}", fault.name(), fault.description()));
    format!("{login}\n \n Faults, for --fault:\n {}", faults.concat())
}

//! `simulate`: runs simulated routers without the agent, for tests of other RouterOS API clients.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use phsweb_agent::agent::{Failure, Signals, run_restarting};
use phsweb_agent::config::{API_PORT, API_TLS_PORT};
use phsweb_agent::simulator::{self, Capture, Counters, Fault, Login, Policies, Router, Settings};
use phsweb_agent::text::print_line;

use super::argument::{Argument, Execute, HELP, HelpList, LOG, Options, Subcommand};
use super::values::{number, text};

const DEFAULT_ROUTERS: u16 = 1;

/// Maximum number of simulated routers, also of a demo.
pub(super) const MAX_ROUTERS: u16 = 1000;

/// Maximum delay of a reply: longer than any client waits.
const MAX_LATENCY_MS: u64 = 600_000;

/// Maximum mean time between two logins or logouts: a day.
const MAX_CHURN_S: u64 = 86_400;

/// Maximum size of a captured board, in bytes. Menus with thousands of rows take one or two megabytes.
const MAX_CAPTURE: u64 = 8 << 20;

/// The boards in the source.
const BOARDS: &str = "examples/boards/{cap-ac,cap-ax,ccr2004,hap-ac3,rb951,x86-6.33,x86-7.21}.txt";

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "simulate",
    summary: "Run simulated routers only, for other clients of the RouterOS API",
    about: "Runs simulated routers on loopback, for other clients of the RouterOS API.",
    options: &[
        LOG,
        Argument::value("--routers", "N", "Number of routers, 1 to 1000", |options, value| {
            number(value, 1..=MAX_ROUTERS).map(|routers| options.routers = Some(routers))
        })
        .default(|| DEFAULT_ROUTERS.to_string()),
        Argument::value(
            "--active",
            "N",
            "Users online at each router; default 23, 45, 12 in turn",
            |options, value| number(value, 0..=usize::MAX).map(|active| options.active = Some(active)),
        ),
        Argument::value(
            "--users",
            "N",
            "Users configured at each router; default 150, 300, 80 in turn",
            |options, value| number(value, 0..=usize::MAX).map(|users| options.users = Some(users)),
        ),
        // Not the version of this program.
        Argument::value(
            "--version",
            "V",
            "RouterOS version of all routers, such as 6.42, 6.49.10, 7.11 or 7.20.7; default: different \
             versions",
            |options, value| {
                let version = text(value)?.parse();
                version.map(|version| options.version = Some(version)).map_err(|bad| bad.to_string())
            },
        ),
        Argument::value(
            "--board",
            "FILE",
            "Replay the rows captured from a real board, such as those in examples/boards of the source",
            |options, value| {
                options.board = Some(value.into());
                Ok(())
            },
        ),
        Argument::value(
            "--port",
            "P",
            "Port of the first router; the next routers use the next ports. 0 lets the system choose. Default \
             8728, with --tls 8729",
            |options, value| number(value, 0..=u16::MAX).map(|port| options.port = Some(port)),
        ),
        Argument::value(
            "--latency",
            "MS",
            "Time from a command to its reply, in milliseconds; default 0",
            |options, value| {
                number(value, 0..=MAX_LATENCY_MS).map(|latency| options.latency_ms = Some(latency))
            },
        ),
        Argument::value(
            "--churn",
            "S",
            "Mean time between two logins or logouts at each router, in seconds; 0: none. Default a few",
            |options, value| number(value, 0..=MAX_CHURN_S).map(|churn| options.churn_s = Some(churn)),
        ),
        Argument::switch(
            "--tls",
            "Serve api-ssl, and print the fingerprint of the certificate for tls of sites.ron",
            |options| options.tls = true,
        ),
        Argument::value(
            "--fault",
            "NAME",
            "Inject a fault into all routers, by a name from the list below; default none",
            |options, value| {
                let fault = text(value)?.parse();
                fault.map(|fault| options.fault = Some(fault)).map_err(|unknown| unknown.to_string())
            },
        )
        .choices(|_| Fault::ALL.map(Fault::name).to_vec()),
        HELP,
    ],
    operand: None,
    list: Some(HelpList {
        heading: "Faults, for --fault",
        rows: || Fault::ALL.map(|fault| (fault.name(), fault.description())).to_vec(),
    }),
    notes: "Users: api-user with the password password, reader with the same password and read-only access, \
            and admin with no password, as on a new router. Before RouterOS 6.43 the login uses a challenge. \
            SIGHUP prints how many connections, logins, commands and bytes all routers have received, and \
            the bytes they sent.",
    execute: Execute::Run(|options| run_restarting(|signals, _| simulate(&options, signals))),
};

fn simulate(options: &Options, signals: Signals) -> Result<(), Failure> {
    let capture = options.board.as_deref().map(read_capture).transpose()?;
    if capture.is_some() && options.version.is_some() {
        return Err(Failure::Usage("found --version with --board, whose rows set the version".into()));
    }
    let mut routers = Vec::new();
    let first = options.port.unwrap_or(if options.tls { API_TLS_PORT } else { API_PORT });
    let count = options.routers.unwrap_or(DEFAULT_ROUTERS);
    for (number, kind) in (0..count).zip(simulator::demo().into_iter().cycle()) {
        let port = match first {
            0 => 0,
            _ => first
                .checked_add(number)
                .ok_or_else(|| Failure::Usage("the port of the last router would be over 65535".into()))?,
        };
        let settings = Settings {
            identity: format!("{}-{}", kind.identity, number + 1),
            seed: u64::from(number) + 1,
            version: options.version.clone().unwrap_or(kind.version.clone()),
            active: options.active.unwrap_or(kind.active),
            users: options.users.unwrap_or(kind.users),
            logins: logins(),
            tls: options.tls,
            latency: Duration::from_millis(options.latency_ms.unwrap_or(0)),
            churn: options.churn_s.map_or(kind.churn, Duration::from_secs),
            ..kind
        };
        let settings = match &capture {
            Some(capture) => settings.replaying(capture.clone()),
            None => settings,
        };
        let description =
            format!("RouterOS {}, {}, as {}", settings.version, settings.board, settings.identity);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let router = Router::start(address, settings)
            .map_err(|error| format!("can't listen at {address}: {error}; choose another with --port"))?;
        router.set_fault(options.fault);
        print_line(&format!("{}  {description}", router.addr()));
        routers.push(router);
    }
    // All routers have the same certificate.
    if let Some(fingerprint) = routers.first().and_then(Router::fingerprint) {
        print_line(&format!("tls: Pin(\"{fingerprint}\")"));
    }
    print_line("Log in as api-user or reader with the password password, or as admin with no password.");
    if let Some(fault) = options.fault {
        print_line(&format!("Fault {fault}: {}.", fault.description()));
    }
    smol::block_on(signals.until_ended(|| print_counts(&routers)));
    Ok(())
}

/// Prints the counts of all routers together.
fn print_counts(routers: &[Router]) {
    let counters: Vec<Counters> = routers.iter().map(Router::counters).collect();
    let sum = |count: fn(&Counters) -> u64| counters.iter().map(count).sum::<u64>();
    print_line(&format!(
        "connections={} logins={} commands={} received={} sent={}",
        sum(|counters| counters.connections),
        sum(|counters| counters.logins),
        sum(|counters| counters.commands),
        sum(|counters| counters.received),
        sum(|counters| counters.sent),
    ));
}

/// Reads a captured board.
fn read_capture(path: &Path) -> Result<Capture, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_CAPTURE).read_to_string(&mut text))
        .map_err(|error| format!("can't read {}: {error}; the source has {BOARDS}", path.display()))?;
    if text.len() as u64 == MAX_CAPTURE {
        return Err(format!("{}: the file is too long", path.display()));
    }
    text.parse().map_err(|error| format!("{}: {error}", path.display()))
}

/// The agent's user, a read-only user, and the user of a new router.
fn logins() -> Vec<Login> {
    let read_only = Policies { write: false, ..Policies::ALL };
    vec![
        Login::new("api-user", "password"),
        Login { policies: read_only, ..Login::new("reader", "password") },
        Login::new("admin", ""),
    ]
}

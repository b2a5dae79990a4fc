//! `init`: writes a sites.ron for one site, and prints the commands that prepare its router.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use phsweb_agent::agent::Failure;
use phsweb_agent::config::{self, Host, Http, NewSite, NewSiteField, Secret};
use phsweb_agent::text::print_line;

use super::argument::{Argument, Execute, HELP, LOG, Options, Subcommand, VERSION};
use super::values::text;

const DEFAULT_OUTPUT: &str = "sites.ron";

/// How often a question is asked. A script that feeds wrong answers ends.
const MAX_ATTEMPTS: usize = 3;

/// Longest line that is read as an answer, in bytes.
const MAX_ANSWER: u64 = 1000;

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "init",
    summary: "Write a sites.ron for a site, and print the commands for its router",
    about: "Writes a commented sites.ron for one site and a file with a random password next to it, and prints \
            the RouterOS commands that create the user. It asks for what no option names, and contacts no \
            router.",
    options: &[
        LOG,
        Argument::value("--name", "NAME", "Name of the site, such as Awka", |options, value| {
            text(value).map(|name| options.name = Some(name.into()))
        }),
        Argument::value(
            "--address",
            "HOST",
            "Address of its router, as HOST or HOST:PORT",
            |options, value| text(value).map(|address| options.address = Some(address.into())),
        ),
        Argument::value(
            "--user",
            "USER",
            "Name of the user that the commands create at the router; default api-user",
            |options, value| text(value).map(|user| options.user = Some(user.into())),
        ),
        Argument::value(
            "--output",
            "FILE",
            "The file to write, which must not exist; default sites.ron",
            |options, value| {
                options.output = Some(value.into());
                Ok(())
            },
        ),
        HELP,
        VERSION,
    ],
    operand: None,
    list: None,
    notes: "The password is in the file KEY.password, which only its owner can read, and in the printed \
            commands. No file is overwritten. The commands permit logins from the address that this machine \
            uses to reach the router; change it if the agent will run elsewhere.",
    execute: Execute::Run(init),
};

fn init(options: Options) -> Result<(), Failure> {
    let output = options.output.unwrap_or_else(|| DEFAULT_OUTPUT.into());
    if output.exists() {
        return Err(exists(&output));
    }
    let [name, address, user] = &NewSite::FIELDS;
    let answers = [
        answer(name, "--name", options.name)?,
        answer(address, "--address", options.address)?,
        answer(user, "--user", options.user)?,
    ];
    let site = NewSite::new(answers).ok_or_else(|| "the address is not valid".to_string())?;
    let key = site.key();
    let secret_file = output.with_file_name(format!("{key}.password"));
    let password = Secret::random()?;
    create(&secret_file, &format!("{}\n", password.expose()), 0o600)?;
    let admin = "// admin: Token(File(\"admin.token\")),";
    let document =
        site.document(&Http::default_listen().to_string(), admin, &format!("File(\"{key}.password\")"));
    let written = create(&output, &document, 0o666).and_then(|()| check(&output));
    if let Err(error) = written {
        // Nothing remains of a failed attempt, so that the next one succeeds.
        let _ = fs::remove_file(&secret_file);
        return Err(error);
    }
    print_line(&format!(
        "Wrote {}, and the password of the router's user to {}.\n\n\
         1. Paste these commands into a terminal of the router {}, as an administrator:\n\n{}\n\
         2. Test the connection, and run the agent:\n\n    \
         phsweb-agent test {output}\n    phsweb-agent run {output}",
        output.display(),
        secret_file.display(),
        site.host.name,
        indented(&site.commands(password.expose(), agent_address(&site.host))),
        output = argument(&output),
    ));
    Ok(())
}

/// The path as an operand of a command of this program, which recognizes a path by its dot or slash.
fn argument(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(['.', '/']) { text } else { format!("./{text}") }
}

fn indented(lines: &str) -> String {
    lines.lines().flat_map(|line| ["    ", line, "\n"]).collect()
}

fn exists(path: &Path) -> Failure {
    Failure::Failed(format!(
        "{} exists, and is not overwritten; name another file with --output",
        path.display()
    ))
}

fn create(path: &Path, content: &str, mode: u32) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes())).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::Failed(format!("{} can't be written: {error}", path.display())),
    })
}

/// Loads the new file as `check` does. If it has a problem, such as a name that is too long, it is removed.
fn check(output: &PathBuf) -> Result<(), Failure> {
    config::load(output, &config::environment).map(drop).map_err(|problems| {
        let _ = fs::remove_file(output);
        Failure::Failed(format!("{problems}\nNothing was written: give another answer."))
    })
}

/// The value of an option, or the answer to the question for this field.
fn answer(field: &NewSiteField, option: &str, value: Option<String>) -> Result<String, Failure> {
    let NewSiteField { title, default, expected, is_valid } = field;
    if let Some(value) = value {
        let value = value.trim();
        let error = || Failure::Usage(format!("{option}: found {value:?}; expected {expected}"));
        return if is_valid(value) { Ok(value.into()) } else { Err(error()) };
    }
    let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
    for _ in 0..MAX_ATTEMPTS {
        // Standard output has the commands.
        let _ = write!(io::stderr(), "{title}{shown}: ");
        let mut line = String::new();
        let read = io::Read::take(io::stdin().lock(), MAX_ANSWER).read_line(&mut line);
        let is_end = read.map_err(|error| format!("standard input can't be read: {error}"))? == 0;
        match (line.trim(), default) {
            ("", Some(default)) => return Ok((*default).into()),
            (answer, _) if is_valid(answer) => return Ok(answer.into()),
            _ if is_end => break,
            (answer, _) => drop(writeln!(io::stderr(), "Found {answer:?}; expected {expected}.")),
        }
    }
    Err(Failure::Usage(format!("{option} has no valid value; expected {expected}")))
}

/// The address from which this machine reaches the router. No packet is sent, except to resolve a name.
fn agent_address(host: &Host) -> Option<IpAddr> {
    let router = (host.name.as_str(), host.port).to_socket_addrs().ok()?.next()?;
    let any: IpAddr =
        if router.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(router).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}

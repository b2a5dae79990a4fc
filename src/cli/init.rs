//! `init`: writes a sites.ron for one site, and prints the commands that prepare its router.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use phsweb_agent::agent::Failure;
use phsweb_agent::config::{self, API_PORT, Host, Secret};
use phsweb_agent::text::print_line;

use super::argument::{Argument, Execute, HELP, LOG, Options, Subcommand, VERSION};
use super::values::text;

const DEFAULT_OUTPUT: &str = "sites.ron";

const DEFAULT_USER: &str = "api-user";

/// How often a question is asked. A script that feeds wrong answers ends.
const MAX_ATTEMPTS: usize = 3;

/// Longest line that is read as an answer, in bytes.
const MAX_ANSWER: u64 = 1000;

/// Longest key that is made from a name; a key may have 40 characters.
const MAX_KEY: usize = 40;

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

/// The answers.
struct NewSite {
    name: String,
    host: Host,
    /// As it was typed.
    address: String,
    user: String,
}

fn init(options: Options) -> Result<(), Failure> {
    let output = options.output.unwrap_or_else(|| DEFAULT_OUTPUT.into());
    if output.exists() {
        return Err(exists(&output));
    }
    let (name, address) = (NAME.answer(options.name)?, ADDRESS.answer(options.address)?);
    let user = USER.answer(options.user)?;
    let host = Host::read(&address, API_PORT).ok_or_else(|| "the address is not valid".to_string())?;
    let site = NewSite { name, host, address, user };
    let key = key(&site.name);
    let secret_file = output.with_file_name(format!("{key}.password"));
    let password = Secret::random()?;
    create(&secret_file, &format!("{}\n", password.expose()), 0o600)?;
    let written = create(&output, &document(&key, &site), 0o666).and_then(|()| check(&output));
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
        commands(&site, password.expose(), agent_address(&site.host)),
        output = argument(&output),
    ));
    Ok(())
}

/// The path as an operand of a command of this program, which recognizes a path by its dot or slash.
fn argument(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(['.', '/']) { text } else { format!("./{text}") }
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

/// What is asked unless an option contains it.
struct Question {
    option: &'static str,
    text: &'static str,
    default: Option<&'static str>,
    expected: &'static str,
    is_valid: fn(&str) -> bool,
}

const NAME: Question = Question {
    option: "--name",
    text: "Name of the site, such as Awka",
    default: None,
    expected: "a name",
    is_valid: is_name,
};

const ADDRESS: Question = Question {
    option: "--address",
    text: "Address of its router, such as 192.168.88.1",
    default: None,
    expected: "a host name or an address, with :PORT unless it is 8728",
    is_valid: |text| Host::read(text, API_PORT).is_some(),
};

const USER: Question = Question {
    option: "--user",
    text: "User for the agent at the router",
    default: Some(DEFAULT_USER),
    expected: "a name",
    is_valid: is_name,
};

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

impl Question {
    /// The value of the option, or the answer.
    fn answer(&self, value: Option<String>) -> Result<String, Failure> {
        let Self { option, text, default, expected, is_valid } = self;
        if let Some(value) = value {
            let value = value.trim();
            let error = || Failure::Usage(format!("{option}: found {value:?}; expected {expected}"));
            return if is_valid(value) { Ok(value.into()) } else { Err(error()) };
        }
        let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        for _ in 0..MAX_ATTEMPTS {
            // Standard output has the commands.
            let _ = write!(io::stderr(), "{text}{shown}: ");
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
}

/// The key of a site of this name: its letters and digits in lower case, and hyphens.
fn key(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut key = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    key.truncate(MAX_KEY);
    // `stats` is a path of the API. A name in another script has no letters for a key.
    match key.as_str() {
        "" | "stats" => "site".into(),
        _ => key,
    }
}

fn document(key: &str, site: &NewSite) -> String {
    let NewSite { name, address, user, .. } = site;
    format!(
        r#"// The configuration of phsweb-agent. docs/configuration.md describes all fields; sites.ron next to it shows them.
//
//     phsweb-agent check FILE    reports all problems of this file
//     phsweb-agent run FILE      runs it, and applies changes of this file while it runs
(
    http: (
        // The page. "0.0.0.0:8080" can be reached from other machines, too: then also set a token for viewers,
        // view: Token(File("view.token")).
        listen: "127.0.0.1:8080",
        // Who may see personal details and disconnect users: those with the token in this file. It needs at least 16
        // random characters: (umask 077; head -c 24 /dev/urandom | base64 > admin.token)
        // admin: Token(File("admin.token")),
    ),
    sites: {{
        // Each site has an entry like this one. The key "{key}" is its name in addresses and metrics.
        "{key}": (
            name: {name:?},
            hosts: [{address:?}],    // the router; several addresses are tried in order
            user: {user:?},
            password: File("{key}.password"),
            // tls: Pin("sha256:…"),    // for api-ssl: without it, the password crosses the network in clear
            // login: Challenge,        // for RouterOS before 6.43
        ),
    }},
)
"#
    )
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

/// The commands that create the user and permit its logins, as in the README.
fn commands(site: &NewSite, password: &str, agent: Option<IpAddr>) -> String {
    let agent = agent.map(|agent| format!("{agent}/{}", if agent.is_ipv4() { 32 } else { 128 }));
    let from = agent.as_ref().map(|agent| format!(" address={agent}")).unwrap_or_default();
    let (user, port) = (routeros_text(&site.user), site.host.port);
    let list = match &agent {
        Some(agent) => {
            format!("    # address= replaces the list of this service. The agent's address is {agent}.\n")
        }
        None => {
            "    # To permit the agent only, add address=AGENT/32 with its address to both lines.\n".into()
        }
    };
    format!(
        "    /user group add name=phsweb-agent policy=api,read,write\n    \
         /user add name={user} group=phsweb-agent password={password}{from}\n    \
         /ip service print detail where name=api\n\
         {list}    \
         # RouterOS before 7.19: [find name=api]\n    \
         /ip service set [find name=api and !dynamic] disabled=no port={port}{from}\n"
    )
}

/// A text as a value in a RouterOS command.
fn routeros_text(text: &str) -> String {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if text.bytes().all(is_word) {
        return text.into();
    }
    let escaped: String = text
        .chars()
        .flat_map(|c| ['\\'].into_iter().filter(move |_| "\\\"$?".contains(c)).chain([c]))
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_letters_and_digits_of_the_name() {
        for (name, expected) in [
            ("Awka", "awka"),
            ("  Lagos Island, no. 2 ", "lagos-island-no-2"),
            ("Ọja", "ja"),
            ("Зал", "site"),
            ("Stats", "site"),
            (&"a".repeat(50), &"a".repeat(40)),
        ] {
            assert_eq!(key(name), expected, "{name}");
        }
    }

    #[test]
    fn texts_are_quoted_for_a_routeros_command() {
        for (text, expected) in
            [("api-user", "api-user"), ("ada o", "\"ada o\""), ("a\"$b\\", "\"a\\\"\\$b\\\\\"")]
        {
            assert_eq!(routeros_text(text), expected);
        }
    }

    #[test]
    fn the_commands_permit_the_agent_only_if_its_address_is_known() {
        let host = Host { name: "10.0.1.1".into(), port: 8738 };
        let site = NewSite { name: "Awka".into(), host, address: "10.0.1.1:8738".into(), user: "api".into() };
        let known = commands(&site, "secret", Some([10, 0, 0, 5].into()));
        assert!(known.contains("password=secret address=10.0.0.5/32\n"), "{known}");
        assert!(known.contains("port=8738 address=10.0.0.5/32\n"), "{known}");
        let v6 = commands(&site, "secret", Some(Ipv6Addr::LOCALHOST.into()));
        assert!(v6.contains("port=8738 address=::1/128\n"), "{v6}");
        let unknown = commands(&site, "secret", None);
        assert!(unknown.contains("password=secret\n") && unknown.contains("port=8738\n"), "{unknown}");
    }
}

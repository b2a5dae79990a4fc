//! `status`: asks a running agent for its sites.

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use phsweb_agent::agent::Failure;
use phsweb_agent::config;
use phsweb_agent::net::error::Cause;
use phsweb_agent::net::http_client::{HttpClientError, HttpRequest, HttpResponse, is_field};
use phsweb_agent::net::proxy::ProxySettings;
use phsweb_agent::net::tls::Authorities;
use phsweb_agent::net::trust::Trust;
use phsweb_agent::net::url::HttpUrl;
use phsweb_agent::notify::http_client;
use phsweb_agent::text::{print_line, quoted};
use phsweb_agent::timings::Timings;
use serde_json::{Map, Value};

use super::argument::{Argument, Execute, HELP, JSON, LOG, Options, Subcommand, VERSION};
use super::terminal::{Color, OutputLine};
use super::values::text;

/// The address of an agent with the default configuration.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// Tokens that are used without an option. The first has fewer rights.
const TOKENS: [&str; 2] = ["PHSWEB_VIEW_TOKEN", "PHSWEB_ADMIN_TOKEN"];

/// Maximum size of the agent's response, in bytes: a thousand sites take about 1 MB.
const MAX_RESPONSE: usize = 16 << 20;

/// Maximum size of a file with a token or certificates, in bytes: the system's list of authorities takes 200 KB.
const MAX_FILE: u64 = 1 << 20;

/// Maximum number of characters that are shown of another program's response.
const MAX_SHOWN: usize = 200;

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "status",
    summary: "Show the sites of a running agent; exit code 1 if any is offline",
    about: "Asks a running agent for its sites, and prints a line for each: its state, how many users are \
            online and their traffic, or why it is offline.",
    options: &[
        LOG,
        Argument::value("--url", "URL", "Where the agent is", |options, value| {
            text(value).map(|url| options.url = Some(url.into()))
        })
        .default(|| DEFAULT_URL.into()),
        Argument::value(
            "--token-file",
            "FILE",
            "A file with the view or admin token; default $PHSWEB_VIEW_TOKEN, then $PHSWEB_ADMIN_TOKEN",
            |options, value| {
                options.token_file = Some(value.into());
                Ok(())
            },
        ),
        Argument::value(
            "--ca",
            "FILE",
            "For https: a PEM file with the certificate of its authority, or the fingerprint of its \
             certificate as sha256:HEX; default the authorities of the system",
            |options, value| text(value).map(|ca| options.ca = Some(ca.into())),
        ),
        JSON,
        HELP,
        VERSION,
    ],
    operand: None,
    list: None,
    notes: "With --json it prints the agent's response to /api/hotspot/stats. The exit code is 1 if any site is \
            offline, or if the agent can't be asked.",
    execute: Execute::Run(|options| status(&options)),
};

fn status(options: &Options) -> Result<(), Failure> {
    let named = options.url.as_deref().unwrap_or(DEFAULT_URL);
    let absolute = if named.contains("://") { named.into() } else { format!("http://{named}") };
    let url = HttpUrl::parse(&absolute).map_err(|error| Failure::Usage(format!("--url: {error}")))?;
    let token = token(options.token_file.as_deref())?;
    let client =
        http_client(&Timings::from_environment()?, ProxySettings::from_environment(&config::environment)?);
    let request = HttpRequest {
        method: "GET",
        url: url.join("/api/hotspot/stats"),
        trust: trust(options.ca.as_deref())?,
        fields: token.iter().map(|token| ("Authorization".into(), format!("Bearer {token}"))).collect(),
        body: Vec::new(),
    };
    let response =
        smol::block_on(client.fetch(&request, MAX_RESPONSE)).map_err(|error| no_response(&error))?;
    if !response.is_success() {
        return Err(refused(&url, &response, token.is_some()).into());
    }
    let Some(sites) = sites(&response.body) else { return Err(other_program(&url, &response).into()) };
    if options.json {
        print_line(&response.body);
    } else {
        print(&sites);
    }
    let offline = sites.values().filter(|site| site["state"] == "offline").count();
    if offline > 0 {
        return Err(format!("{offline} of {} sites offline.", sites.len()).into());
    }
    Ok(())
}

/// The token of the file, or without one of the environment.
fn token(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let token = match file {
        Some(path) => Some(read(path)?),
        None => TOKENS.iter().find_map(|name| env::var(name).ok().filter(|token| !token.trim().is_empty())),
    };
    let token = token.map(|token| token.trim().to_string());
    match token {
        Some(token) if token.is_empty() || !is_field("Authorization", &token) => {
            Err(Failure::Failed("the token is empty or has characters that can't be sent".into()))
        }
        token => Ok(token),
    }
}

fn trust(ca: Option<&str>) -> Result<Trust, Failure> {
    let Some(ca) = ca else { return Ok(Trust::System) };
    if let Ok(fingerprint) = ca.parse() {
        return Ok(Trust::Pin(fingerprint));
    }
    let authorities = Authorities::from_pem(&read(Path::new(ca))?);
    authorities.map(Trust::Ca).map_err(|problem| Failure::Failed(format!("{ca} {problem}")))
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
    read.map_err(|error| format!("{} can't be read: {error}", path.display()))?;
    Ok(text)
}

/// The sites of a response by key; none if it is not the agent's.
fn sites(body: &str) -> Option<Map<String, Value>> {
    let Ok(Value::Object(sites)) = serde_json::from_str(body) else { return None };
    // A site that is too large for the response has an error only.
    let is_site = |site: &Value| site["state"].is_string() || site["error"]["message"].is_string();
    sites.values().all(is_site).then_some(sites)
}

fn no_response(error: &HttpClientError) -> Failure {
    let hint = match error {
        HttpClientError::Connection { error, .. } if error.cause == Cause::Refused => {
            "; no agent listens there: start it with `phsweb-agent run`, or name its address with --url"
        }
        HttpClientError::Response { .. } => "; is it phsweb-agent? Name the agent's address with --url",
        _ => "",
    };
    Failure::Failed(format!("{error}{hint}"))
}

/// The message for a response that is an error.
fn refused(url: &HttpUrl, response: &HttpResponse, has_token: bool) -> String {
    let problem: Value = serde_json::from_str(&response.body).unwrap_or_default();
    match (response.status, problem["detail"].as_str()) {
        // Also other programs respond with 401.
        (401, Some(_)) if has_token => {
            format!("{url}: the agent rejects the token; expected its view or admin token")
        }
        (401, Some(_)) => format!(
            "{url}: the agent requires a token: name a file that contains it with --token-file, or set {}",
            TOKENS[0]
        ),
        (status, Some(detail)) if status != 404 => format!("{url}: {}", quoted(detail, MAX_SHOWN)),
        _ => other_program(url, response),
    }
}

fn other_program(url: &HttpUrl, response: &HttpResponse) -> String {
    let status = format!("{} {}", response.status, response.reason);
    format!(
        "{url}: the response is not that of phsweb-agent ({}); name the agent's address with --url",
        quoted(status.trim(), MAX_SHOWN)
    )
}

/// Prints a line for each site, in columns.
fn print(sites: &Map<String, Value>) {
    if sites.is_empty() {
        OutputLine::new().text("The agent has no sites yet.").print();
    }
    let width = sites.keys().map(|key| key.chars().count()).max().unwrap_or_default();
    for (key, site) in sites {
        let state = site["state"].as_str().unwrap_or("unknown");
        let color = match state {
            "online" => Color::Good,
            "offline" => Color::Bad,
            _ => Color::Warning,
        };
        let line = OutputLine::new().text(&format!("{key:width$}  ")).colored(color, &format!("{state:10}"));
        line.text(&format!("  {}", detail(site))).print();
    }
}

/// Users and traffic of a site that is online, or the error of another one.
fn detail(site: &Value) -> String {
    if site["state"] != "online" {
        return site["error"]["message"].as_str().unwrap_or_default().into();
    }
    let users = site["activeUsers"]
        .as_u64()
        .map(|users| format!("{users} user{}", if users == 1 { "" } else { "s" }));
    let rate = |name: &str, label| Some(format!("{label} {}", bit_rate(site[name].as_u64()?)));
    let parts = [users, rate("downloadRate", "down"), rate("uploadRate", "up")];
    let partial = site["partial"].as_str().or(site["error"]["message"].as_str()).map(String::from);
    parts.into_iter().chain([partial]).flatten().collect::<Vec<_>>().join(", ")
}

fn bit_rate(bits: u64) -> String {
    match bits as f64 {
        rate if rate < 1e3 => format!("{bits} bit/s"),
        rate if rate < 1e6 => format!("{:.1} kbit/s", rate / 1e3),
        rate if rate < 1e9 => format!("{:.1} Mbit/s", rate / 1e6),
        rate => format!("{:.1} Gbit/s", rate / 1e9),
    }
}

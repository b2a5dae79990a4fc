//! `notify`: sends a test message to the channels.

use phsweb_agent::agent::Failure;
use phsweb_agent::alert::{AlertRecord, AlertTime, Notification, Tick};
use phsweb_agent::clock::{Clock, Moment};
use phsweb_agent::config;
use phsweb_agent::executor;
use phsweb_agent::net::proxy::ProxySettings;
use phsweb_agent::notify::{http_client, send_once};
use phsweb_agent::timings::Timings;

use super::argument::{Argument, CONFIG, Execute, HELP, LOG, Options, Subcommand, VERSION, set_file_or_name};
use super::config_file;
use super::terminal::{Color, OutputLine};
use super::values::selected;

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "notify",
    summary: "Send a test message to the channels of the alerts",
    about: "Sends a test message to channels of sites.ron, which are in its section alerts, and prints the \
            response of each server.",
    options: &[LOG, CONFIG, HELP, VERSION],
    operand: Some(Argument::value("", "CHANNEL...", "Names of the channels; default all", set_file_or_name)),
    list: None,
    notes: "Each message is sent once. The variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY name a proxy. The \
            exit code is 1 if any message was not accepted.",
    execute: Execute::Run(notify),
};

/// Sends to the channels concurrently, and prints the results in the order of the channels.
fn notify(options: Options) -> Result<(), Failure> {
    let path = config_file::find(options.config)?;
    let config = config::load(&path, &config::environment)
        .map_err(|problems| config_file::invalid(&problems, &path, "Nothing was sent"))?;
    if config.alerts.channels.is_empty() {
        let message = format!("{} has no channel: add one in alerts, to: {{…}}", path.display());
        return Err(Failure::Failed(message));
    }
    let channels = selected(&config.alerts.channels, &options.keys, "channel", |channel| &channel.name)?;
    let timings = Timings::from_environment()?;
    let unix = Clock::system().unix(Moment::now());
    let now = AlertTime { tick: Tick::at(unix), unix };
    let client = http_client(&timings, ProxySettings::from_environment(&config::environment)?);
    let width = channels.iter().map(|channel| channel.name.chars().count()).max().unwrap_or_default();
    let attempts: Vec<_> = channels
        .into_iter()
        .map(|channel| {
            let (client, timings, name) = (client.clone(), timings.clone(), channel.name.clone());
            let attempt =
                async move { send_once(&channel, &client, &test_message(now.tick), now, &timings).await };
            (name, executor::spawn(attempt))
        })
        .collect();
    let count = attempts.len();
    let mut failed = 0;
    for (name, attempt) in attempts {
        let (color, word, detail) = match smol::block_on(attempt) {
            Ok(status) => (Color::Good, "ok", status),
            Err(error) => {
                failed += 1;
                (Color::Bad, "FAILED", error)
            }
        };
        let line = OutputLine::new().text(&format!("{name:width$}  ")).colored(color, &format!("{word:6}"));
        line.text(&format!("  {detail}")).print();
    }
    if failed > 0 {
        return Err(format!("{failed} of {count} messages failed.").into());
    }
    Ok(())
}

fn test_message(since: Tick) -> Notification {
    let text = "If you read this, alerts of phsweb-agent reach you.".to_string();
    let (id, kind, message) = ("test".into(), "Test".into(), text.clone());
    let alert = AlertRecord { id, kind, since, message, is_brief: true, ..AlertRecord::default() };
    Notification { id: 0, title: "Test message".into(), text, alerts: vec![alert] }
}

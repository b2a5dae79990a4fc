//! `test`: diagnoses the connection to each router.

use std::sync::Arc;

use phsweb_agent::action::diagnose::{DiagnosticStep, diagnose};
use phsweb_agent::agent::Failure;
use phsweb_agent::config;
use phsweb_agent::executor;
use smol::channel;
use smol::lock::Semaphore;

use super::argument::{
    Argument, CONFIG, Execute, HELP, JSON, LOG, Options, Subcommand, VERSION, set_file_or_name,
};
use super::config_file;
use super::terminal::{Color, OutputLine, print_json};
use super::values::selected;

/// Maximum number of sites tested at a time: each uses a connection.
const MAX_CONCURRENT: usize = 32;

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "test",
    summary: "Test the connection to each router, step by step",
    about: "Tests the connection to each router of sites.ron: resolve, connect, TLS, login, the menu of each \
            plugin, and whether the agent may disconnect sessions.",
    options: &[LOG, CONFIG, JSON, HELP, VERSION],
    operand: Some(Argument::value("", "SITE...", "Keys of the sites to test; default all", set_file_or_name)),
    list: None,
    notes: "An operand with a dot or a slash is the configuration, as in `phsweb-agent test sites.ron awka`. \
            Prints a line for each step with its duration, below a failed one how to fix it, and at the end \
            a summary of each site. With --json it prints an array of the steps; mayEndSessions of the step kick is true, \
            false, or null if not known. It logs in once to each host. The exit code is 1 if any step failed.",
    execute: Execute::Run(test),
};

/// Tests the sites concurrently, and prints the steps site by site.
fn test(options: Options) -> Result<(), Failure> {
    let path = config_file::find(options.config)?;
    let config = config::load(&path, &config::environment)
        .map_err(|problems| config_file::invalid(&problems, &path, "Nothing was tested"))?;
    let sites = selected(&config.sites, &options.keys, "site", |site| &site.key)?;
    let permits = Arc::new(Semaphore::new(MAX_CONCURRENT));
    let diagnoses: Vec<_> = sites
        .iter()
        .map(|site| {
            // A diagnosis has a handful of steps for each host.
            let (sender, steps) = channel::unbounded();
            let (site, permits) = (site.clone(), permits.clone());
            let task = executor::spawn(async move {
                let _permit = permits.acquire().await;
                diagnose(&site, |step| drop(sender.try_send(step))).await;
            });
            (task, steps)
        })
        .collect();
    let (mut all, mut summaries) = (Vec::new(), Vec::new());
    for (site, (_task, steps)) in sites.iter().zip(&diagnoses) {
        let first = all.len();
        while let Ok(step) = smol::block_on(steps.recv()) {
            if !options.json {
                line(&step).print();
            }
            all.push(step);
        }
        summaries.push(summary(&site.key, &all[first..]));
    }
    if options.json {
        print_json(&all)?;
    } else {
        summaries.into_iter().for_each(OutputLine::print);
    }
    match failed(&all) {
        0 => Ok(()),
        1 => Err(format!("1 step of {} failed.", all.len()).into()),
        failed => Err(format!("{failed} steps of {} failed.", all.len()).into()),
    }
}

fn failed(steps: &[DiagnosticStep]) -> usize {
    steps.iter().filter(|step| step.outcome.is_err()).count()
}

/// A step as one line, and a hint on the next one if it failed.
fn line(step: &DiagnosticStep) -> OutputLine {
    let (color, result, detail) = match &step.outcome {
        Ok(found) => (Color::Good, "ok", found.clone()),
        Err(error) => (Color::Bad, "FAILED", format!("{error}\n    {}", error.hint)),
    };
    let took = format!("{:.1} ms", step.took.as_secs_f64() * 1000.0);
    let line = OutputLine::new().text(&format!("{}  {}  {:8}  ", step.site, step.host, step.name));
    line.colored(color, &format!("{result:6}")).text(&format!("  {took:>9}  {detail}"))
}

/// The result of a site: how many steps succeeded, and whether the agent may end sessions at all of its hosts.
fn summary(key: &str, steps: &[DiagnosticStep]) -> OutputLine {
    let line = OutputLine::new().text(&format!("{key}  "));
    let line = match failed(steps) {
        0 => line.colored(Color::Good, &format!("all {} steps ok", steps.len())),
        failed => line.colored(Color::Bad, &format!("{failed} of {} steps failed", steps.len())),
    };
    let known: Vec<bool> = steps.iter().filter_map(|step| step.may_end_sessions).collect();
    let (color, answer) = match known.as_slice() {
        [] => (Color::Warning, "unknown"),
        _ if known.contains(&false) => (Color::Warning, "no"),
        _ => (Color::Good, "yes"),
    };
    line.text(", may end sessions: ").colored(color, answer)
}

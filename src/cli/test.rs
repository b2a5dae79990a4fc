//! `test`: diagnoses the connection to each router.

use std::sync::Arc;

use phsweb_agent::action::diagnose::{DiagnosticStep, diagnose};
use phsweb_agent::agent::Failure;
use phsweb_agent::config::{self, Config, Site};
use phsweb_agent::executor;
use phsweb_agent::text::print_line;
use smol::channel;
use smol::lock::Semaphore;

use super::argument::{Argument, CONFIG, HELP, LOG, Options, Subcommand, VERSION};
use super::config_file;
use super::values::text;

/// Maximum number of sites tested at a time: each uses a connection.
const MAX_CONCURRENT: usize = 32;

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "test",
    summary: "Test the connection to each router, step by step",
    about: "Tests the connection to each router of sites.ron: resolve, connect, TLS, login, the menu of each \
            plugin, and whether the agent may disconnect sessions.",
    options: &[
        LOG,
        CONFIG,
        Argument::switch("--json", "Print one JSON array of all steps instead", |options| {
            options.json = true;
        }),
        HELP,
        VERSION,
    ],
    operand: Some(Argument::value(
        "",
        "SITE...",
        "Keys of the sites to test; default all",
        |options, value| text(value).map(|key| options.keys.push(key.into())),
    )),
    list: None,
    notes: "Prints a line for each step with its duration, and below a failed one how to fix it. It logs in \
            once to each host. The exit code is 1 if any step failed.",
    execute: test,
};

/// Tests the sites concurrently, and prints the steps site by site.
fn test(options: Options) -> Result<(), Failure> {
    let path = config_file::find(options.config)?;
    let config = config::load(&path, &config::environment)
        .map_err(|problems| config_file::invalid(&problems, &path, "Nothing was tested"))?;
    let sites = selected(&config, &options.keys)?;
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
    let mut all = Vec::new();
    for (_task, steps) in &diagnoses {
        while let Ok(step) = smol::block_on(steps.recv()) {
            if !options.json {
                print_line(&line(&step));
            }
            all.push(step);
        }
    }
    if options.json {
        print_line(&serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?);
    }
    let failed = all.iter().filter(|step| step.outcome.is_err()).count();
    if failed > 0 {
        let steps = if failed == 1 { "step" } else { "steps" };
        return Err(format!("{failed} {steps} of {} failed.", all.len()).into());
    }
    Ok(())
}

/// The sites with these keys, each once; without keys all sites.
fn selected(config: &Config, keys: &[String]) -> Result<Vec<Arc<Site>>, Failure> {
    let mut selected: Vec<Arc<Site>> = Vec::new();
    for key in keys {
        let Some(site) = config.sites.iter().find(|site| site.key == *key) else {
            let known: Vec<&str> = config.sites.iter().map(|site| site.key.as_str()).collect();
            return Err(Failure::Usage(config::unknown(&format!("no site is named {key:?}"), key, &known)));
        };
        if !selected.iter().any(|other| other.key == *key) {
            selected.push(site.clone());
        }
    }
    Ok(if keys.is_empty() { config.sites.clone() } else { selected })
}

/// A step as one line, and a hint on the next one if it failed.
fn line(step: &DiagnosticStep) -> String {
    let (result, detail) = match &step.outcome {
        Ok(found) => ("ok", found.clone()),
        Err(error) => ("FAILED", format!("{error}\n    {}", error.hint)),
    };
    let took = format!("{:.1} ms", step.took.as_secs_f64() * 1000.0);
    let line = format!("{}  {}  {:8}  {result:6}  {took:>9}  {detail}", step.site, step.host, step.name);
    line.trim_end().to_string()
}

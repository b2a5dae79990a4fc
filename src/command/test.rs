//! `test`: tries the way to each router and says where it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use smol::channel::{self, Receiver};
use smol::lock::Semaphore;

use super::{Failure, file, say};
use crate::action::diagnose::{DiagnosticStep, diagnose};
use crate::config::{self, Config, Site};
use crate::executor;

/// Sites tried at a time: each costs a connection, and the rest of them wait.
const AT_A_TIME: usize = 32;

/// Options of `test`.
#[derive(Debug, Clone)]
pub struct Test {
    /// The file; without it `$PHSWEB_CONFIG`, then the usual places.
    pub config: Option<PathBuf>,
    /// Whether to print JSON.
    pub json: bool,
    /// The keys of the sites to try; none: all.
    pub sites: Vec<String>,
}

impl Test {
    /// Tries the sites side by side and prints the steps, site by site.
    ///
    /// # Errors
    ///
    /// When the file is wrong or has no such site, and when a step failed: nothing more is said then.
    pub fn execute(self) -> Result<(), Failure> {
        let path = file(self.config.clone())?;
        let config = config::load(&path, &config::environment)
            .map_err(|problems| format!("{problems}\nNothing was tried: mend {} first.", path.display()))?;
        let sites = self.sites_of(&config)?;
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        let walks: Vec<_> = sites
            .iter()
            .map(|site| {
                // A walk tells a handful of steps for each host.
                let (told, steps) = channel::unbounded();
                let (site, places) = (site.clone(), places.clone());
                let task = executor::spawn(async move {
                    let _place = places.acquire().await;
                    // Nobody hears it any more at the end only.
                    diagnose(&site, |step| drop(told.try_send(step))).await;
                });
                (task, steps)
            })
            .collect();
        let mut all = Vec::new();
        for (_task, steps) in &walks {
            smol::block_on(self.tell(steps, &mut all));
        }
        if self.json {
            say(&serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?);
        }
        let failed = all.iter().filter(|step| step.outcome.is_err()).count();
        if failed > 0 {
            let (steps, all) = (if failed == 1 { "step" } else { "steps" }, all.len());
            return Err(format!("{failed} {steps} of {all} failed.").into());
        }
        Ok(())
    }

    fn sites_of(&self, config: &Config) -> Result<Vec<Arc<Site>>, Failure> {
        let mut wanted: Vec<&String> = Vec::new();
        for key in &self.sites {
            // Each is logged in to once, however often it is named.
            if !wanted.contains(&key) {
                wanted.push(key);
            }
        }
        let keys: Vec<&str> = config.sites.iter().map(|site| site.key.as_str()).collect();
        let find = |key: &&String| {
            let found = config.sites.iter().find(|site| site.key == **key).cloned();
            found.ok_or_else(|| {
                let message = crate::config::unknown(&format!("no site is named {key:?}"), key, &keys);
                Failure::Usage(message)
            })
        };
        if self.sites.is_empty() { Ok(config.sites.clone()) } else { wanted.iter().map(find).collect() }
    }

    async fn tell(&self, steps: &Receiver<DiagnosticStep>, all: &mut Vec<DiagnosticStep>) {
        while let Ok(step) = steps.recv().await {
            if !self.json {
                say(&line(&step));
            }
            all.push(step);
        }
    }
}

/// The step in a line, and what to do about it in another.
fn line(step: &DiagnosticStep) -> String {
    let (how, what) = match &step.outcome {
        Ok(found) => ("ok", found.clone()),
        Err(error) => ("FAILED", format!("{error}\n    {}", error.hint)),
    };
    let line =
        format!("{}  {}  {:8}  {how:6}  {:>9}  {what}", step.site, step.host, step.name, took(step.took));
    line.trim_end().to_string()
}

fn took(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}

//! Log lines about changes of a site's state.

use std::time::Duration;

use crate::config::Host;
use crate::routeros::error::{Cause, Error};
use crate::routeros::value;
use crate::state::Reading;

pub(super) fn online(site: &str, host: &Host, rebooted: Option<Duration>) {
    let rebooted = rebooted.map(|uptime| format!("; it was rebooted {} ago", value::format_duration(uptime)));
    log::info!("{site}: online at {host}{}", rebooted.unwrap_or_default());
}

pub(super) fn offline(site: &str, error: &Error) {
    log::warn!("{site}: offline: {error}. {}", error.hint);
}

/// Which problems of plugins were logged over one connection: each once, however often a router changes its mind.
#[derive(Debug, Default)]
pub(super) struct PluginLog {
    /// Plugins with the causes of their failures, and without a cause those whose answer was partial.
    reported: Vec<(String, Option<Cause>)>,
    /// New failures of one refresh. Plugins that fail alike share a line.
    failures: Vec<(String, Error)>,
}

impl PluginLog {
    /// Compares a plugin's reading with the one before. Failures wait for [`Self::write_failures`].
    pub(super) fn compare(&mut self, site: &str, before: &Reading, after: &Reading) {
        let plugin = after.plugin.name();
        if let (None, Some(why)) = (&before.partial, &after.partial)
            && self.is_first_report(plugin, None)
        {
            log::warn!("site={site} plugin={plugin} state=partial msg=\"{why}\"");
        }
        let Some(error) = &after.error else { return };
        let is_known = before.error.as_ref().is_some_and(|before| before.cause == error.cause);
        if !self.is_first_report(plugin, Some(error.cause)) || is_known {
            return;
        }
        match self.failures.iter_mut().find(|(_, other)| other.cause == error.cause) {
            Some((plugins, _)) => *plugins = format!("{plugins}, {plugin}"),
            None => self.failures.push((plugin.to_string(), error.clone())),
        }
    }

    pub(super) fn write_failures(&mut self, site: &str) {
        for (plugins, error) in self.failures.drain(..) {
            log::warn!("{site}: {plugins}: {error}. {}", error.hint);
        }
    }

    fn is_first_report(&mut self, plugin: &str, cause: Option<Cause>) -> bool {
        let report = (plugin.to_string(), cause);
        let is_first = !self.reported.contains(&report);
        if is_first {
            self.reported.push(report);
        }
        is_first
    }
}

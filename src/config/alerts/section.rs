//! Reads the section `alerts`.

use super::channels;
use super::daily_range::DailyRange;
use super::rules;
use super::types::AlertsConfig;
use crate::config::table::Section;
use crate::config::validator::{FieldValue, Fields, Validator};

/// Reads the section. It reports problems; the result is then not used.
pub(in crate::config) fn read<'f>(check: &mut Validator<'f>, value: FieldValue<'f>) -> Option<AlertsConfig> {
    let fields = check.structure(Section::Alerts, "alerts", value.node)?;
    check.scoped("alerts", |check| {
        Some(AlertsConfig {
            rules: rules::read_all(check, &fields),
            channels: channels::read_all(check, &fields),
            remind: check.duration(&fields, "remind"),
            quiet: read_quiet(check, &fields),
            heartbeat: channels::read_heartbeat(check, &fields),
        })
    })
}

fn read_quiet<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> Vec<DailyRange> {
    let mut ranges = Vec::new();
    for value in check.list(fields, "quiet") {
        let Some(hours) = check.structure(Section::Quiet, "alerts.quiet", value.node) else { continue };
        check.require("alerts.quiet", value.node, &hours, &|_| false);
        let [from, to] = ["from", "to"].map(|name| hours.get(name));
        let (Some(from), Some(to)) = (from, to) else { continue };
        let [from_text, to_text] = [from, to].map(|time| time.node.text().unwrap_or_default());
        match DailyRange::parse(&from_text, &to_text) {
            Some(range) => ranges.push(range),
            None if DailyRange::parse(&from_text, "00:00").is_some() || from_text == "00:00" => {
                check.reject(to);
            }
            None => check.reject(from),
        }
    }
    ranges
}

#[cfg(test)]
mod tests;

//! The rules: their defaults, and reading them.

use std::time::Duration;

use super::daily_range::{DailyRange, Weekdays};
use super::rows::RULES;
use super::types::{AlertCondition, AlertFigure, AlertRule, AlertsConfig, SiteAlerts, Threshold};
use super::variant;
use crate::config::table::Section;
use crate::config::validator::{FieldValue, Fields, Validator};

const MINUTE: Duration = Duration::from_secs(60);

/// The words of all kinds of rules.
pub fn rule_words() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(word, ..)| *word)
}

/// The rules of a file without `on`.
pub(super) fn defaults() -> Vec<AlertRule> {
    use AlertCondition::{
        Above, CertificateExpires, ClockWrong, ConfigRejected, LoginsRefused, PluginFailing, Rebooted,
        SiteDown,
    };
    let above = |figure, limit, clear| Above(Threshold { figure, limit, clear });
    [
        (SiteDown, 0),
        (Rebooted, 0),
        (PluginFailing, 0),
        (above(AlertFigure::PoolUsed, 90.0, 80.0), 5),
        (above(AlertFigure::LicenceUsed, 90.0, 80.0), 5),
        (above(AlertFigure::CpuLoad, 90.0, 75.0), 15),
        (above(AlertFigure::Temperature, 75.0, 70.0), 15),
        (ClockWrong(DEFAULT_BY), 0),
        (CertificateExpires(DEFAULT_WITHIN), 0),
        (ConfigRejected, 0),
        (LoginsRefused, 0),
    ]
    .map(|(condition, minutes)| AlertRule {
        after: if minutes > 0 { minutes * MINUTE } else { default_after(&condition) },
        condition,
        between: None,
        days: Weekdays::ALL,
    })
    .into()
}

/// Largest error of a router's clock that is accepted.
const DEFAULT_BY: Duration = Duration::from_secs(5 * 60);

/// Time before the end of a certificate: enough to renew one by hand.
const DEFAULT_WITHIN: Duration = Duration::from_secs(14 * 86_400);

fn default_after(condition: &AlertCondition) -> Duration {
    match condition {
        // Two refreshes and a reboot of a fast router.
        AlertCondition::SiteDown => 3 * MINUTE / 2,
        AlertCondition::ConfigRejected => MINUTE,
        AlertCondition::Rebooted | AlertCondition::CertificateExpires(_) | AlertCondition::LoginsRefused => {
            Duration::ZERO
        }
        _ => 10 * MINUTE,
    }
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self { rules: defaults(), channels: Vec::new(), remind: None, quiet: Vec::new(), heartbeat: None }
    }
}

/// Reads `sites.*.alerts`.
pub(in crate::config) fn read_site<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> SiteAlerts {
    let Some(value) = fields.in_file("alerts") else { return SiteAlerts::Default };
    match value.node.variant() {
        ("Off", None) => SiteAlerts::Off,
        _ if value.node.source().starts_with('[') => {
            let nodes = check.document.values(value.node);
            let rules = nodes.into_iter().filter_map(|node| read(check, FieldValue { node, ..value }));
            SiteAlerts::Rules(rules.collect())
        }
        _ => {
            check.reject(value);
            SiteAlerts::Default
        }
    }
}

/// Reads `alerts.on`.
pub(super) fn read_all<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> Vec<AlertRule> {
    if fields.in_file("on").is_none() {
        return defaults();
    }
    check.list(fields, "on").into_iter().filter_map(|value| read(check, value)).collect()
}

fn read<'f>(check: &mut Validator<'f>, value: FieldValue<'f>) -> Option<AlertRule> {
    let (word, fields) = variant::read(check, value, Section::Rule, "rule", RULES)?;
    let condition = match word {
        "SiteDown" => Some(AlertCondition::SiteDown),
        "Rebooted" => Some(AlertCondition::Rebooted),
        "PluginFailing" => Some(AlertCondition::PluginFailing),
        "Above" => read_threshold(check, &fields, true).map(AlertCondition::Above),
        "Below" => read_threshold(check, &fields, false).map(AlertCondition::Below),
        "ClockWrong" => Some(AlertCondition::ClockWrong(check.duration(&fields, "by").unwrap_or(DEFAULT_BY))),
        "CertificateExpires" => {
            let within = check.duration(&fields, "within").unwrap_or(DEFAULT_WITHIN);
            Some(AlertCondition::CertificateExpires(within))
        }
        "ConfigRejected" => Some(AlertCondition::ConfigRejected),
        _ => Some(AlertCondition::LoginsRefused),
    };
    let after = check.duration(&fields, "after");
    let between = fields.get("between").and_then(|value| {
        let range = value.node.text_pair().and_then(|(from, to)| DailyRange::parse(&from, &to));
        if range.is_none() {
            check.reject(value);
        }
        range
    });
    let days = read_days(check, &fields);
    let condition = condition?;
    Some(AlertRule { after: after.unwrap_or(default_after(&condition)), condition, between, days })
}

fn read_days<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> Weekdays {
    let days = check.list(fields, "days").into_iter();
    let names: Vec<String> = days
        .filter_map(|day| check.parsed(day, |name| Weekdays::NAMES.contains(&name).then(|| name.to_string())))
        .collect();
    let days = Weekdays::parse(names.iter().map(String::as_str));
    days.filter(|_| !names.is_empty()).unwrap_or(Weekdays::ALL)
}

/// Reads the figure and its limits.
fn read_threshold<'f>(check: &mut Validator<'f>, fields: &Fields<'f>, is_above: bool) -> Option<Threshold> {
    let (limit, clear) = (check.decimal(fields, "limit"), check.decimal(fields, "clear"));
    let figure = fields.get("figure")?;
    let Some(known) = AlertFigure::ALL.into_iter().find(|known| known.word() == figure.node.source()) else {
        check.reject(figure);
        return None;
    };
    let limit = limit?;
    for (name, number) in [("limit", Some(limit)), ("clear", clear)] {
        if let (Some(number), Some(value)) = (number, fields.get(name))
            && known.is_percentage()
            && !(0.0..=100.0).contains(&number)
        {
            check.report(value, &format!("found {number}; expected a percentage from 0 to 100"));
        }
    }
    let distance = match known {
        AlertFigure::Temperature => 5.0,
        AlertFigure::ActiveUsers => (limit / 10.0).floor(),
        _ => 10.0,
    };
    let most = if known.is_percentage() { 100.0 } else { f64::INFINITY };
    let clear = clear.unwrap_or(if is_above {
        (limit - distance).max(0.0).min(limit)
    } else {
        (limit + distance).min(most)
    });
    if let Some(value) = fields.get("clear")
        && (if is_above { clear > limit } else { clear < limit })
    {
        let expected = if is_above { "at most" } else { "at least" };
        check.report(value, &format!("found {clear}; expected {expected} the limit, {limit}"));
    }
    Some(Threshold { figure: known, limit, clear })
}

//! Rules with identifiers that stay the same while a file is edited.

use std::sync::Arc;

use super::incident::Subject;
use super::incident_table::{SITE_DOWN, UPLINK_LOST};
use crate::config::{AlertCondition, AlertRule, SiteAlerts, rule_words};

/// A rule and its identifier.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NumberedRule {
    /// Its kind, its figure, and its number among those with the same kind and figure. So another limit or time continues
    /// the incidents of a rule.
    pub(super) id: String,
    pub(super) rule: AlertRule,
}

impl NumberedRule {
    /// The rule's kind: its word in the file.
    pub(super) fn kind(&self) -> &'static str {
        kind(&self.rule.condition).0
    }

    pub(super) fn subject<'s>(&'s self, site: &'s str, name: Option<&'s str>, part: &'s str) -> Subject<'s> {
        Subject { site, name, rule: &self.id, kind: self.kind(), part, after: self.rule.after }
    }
}

/// The kinds of all rules, and of the alert about the uplink.
pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    rule_words().chain([UPLINK_LOST])
}

/// The word of a condition in the file, and the word of its figure.
fn kind(condition: &AlertCondition) -> (&'static str, Option<&'static str>) {
    match condition {
        AlertCondition::SiteDown => (SITE_DOWN, None),
        AlertCondition::Rebooted => ("Rebooted", None),
        AlertCondition::PluginFailing => ("PluginFailing", None),
        AlertCondition::Above(threshold) => ("Above", Some(threshold.figure.word())),
        AlertCondition::Below(threshold) => ("Below", Some(threshold.figure.word())),
        AlertCondition::ClockWrong(_) => ("ClockWrong", None),
        AlertCondition::CertificateExpires(_) => ("CertificateExpires", None),
        AlertCondition::ConfigRejected => ("ConfigRejected", None),
        AlertCondition::LoginsRefused => ("LoginsRefused", None),
    }
}

/// Rules with their identifiers.
pub(super) fn numbered<'r>(rules: impl IntoIterator<Item = &'r AlertRule>) -> Arc<[NumberedRule]> {
    let mut numbered: Vec<NumberedRule> = Vec::new();
    for rule in rules {
        let (word, figure) = kind(&rule.condition);
        let count = numbered.iter().filter(|other| kind(&other.rule.condition) == (word, figure)).count();
        let number = (count > 0).then(|| (count + 1).to_string());
        let parts = [Some(word), figure, number.as_deref()].into_iter().flatten();
        numbered.push(NumberedRule { id: parts.collect::<Vec<_>>().join("-"), rule: rule.clone() });
    }
    numbered.into()
}

/// The rules of a site: those of the file, which are `shared`, with its exceptions.
pub(super) fn rules_of(
    rules: &[AlertRule],
    shared: &Arc<[NumberedRule]>,
    alerts: &SiteAlerts,
) -> Arc<[NumberedRule]> {
    match alerts {
        SiteAlerts::Default => shared.clone(),
        SiteAlerts::Off => Arc::default(),
        SiteAlerts::Rules(own) => {
            let is_replaced =
                |rule: &&AlertRule| own.iter().any(|own| kind(&own.condition) == kind(&rule.condition));
            numbered(rules.iter().filter(|rule| !is_replaced(rule)).chain(own))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AlertsConfig;

    #[test]
    fn the_kind_of_each_rule_is_counted() {
        for rule in AlertsConfig::default().rules {
            assert!(kinds().any(|known| known == kind(&rule.condition).0), "{rule:?}");
        }
    }
}

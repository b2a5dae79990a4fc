//! The evaluator: compares the state of sites with the rules, and reports to the table of incidents.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::conditions::{
    clock_wrong, config_rejected, logins_refused, page_certificate_expires, plugin_failing, reachability,
    router_certificate_expires, site_down,
};
use super::figures::Figures;
use super::incident::{Description, Evaluation, Incident};
use super::incident_table::{AGENT, IncidentTable, SITE_DOWN, UPLINK_LOST};
use super::rules::{NumberedRule, numbered, rules_of};
use super::time::{AlertClock, AlertTime, Tick};
use crate::clock::Clock;
use crate::config::{AlertCondition, AlertRule, Config, Https, Site, Weekdays};
use crate::state::{SiteEvent, SiteState, Snapshot, StoreEvent};

/// This many refused logins as admin within [`LOGIN_WINDOW`] are many: a person mistypes a token less often.
const MANY_LOGINS: usize = 20;

/// How long a refused login counts.
const LOGIN_WINDOW: Duration = Duration::from_secs(600);

/// The rules, and what they need besides the state of the sites.
#[derive(Debug, Default)]
pub(super) struct Evaluator {
    /// The rules of sites without exceptions, and of the agent.
    rules: Arc<[NumberedRule]>,
    /// The rules of each site.
    of_site: HashMap<String, Arc<[NumberedRule]>>,
    /// When the certificate of the agent's page ends, since the Unix epoch.
    certificate_ends: Option<Duration>,
    /// The latest refused logins of this process.
    refused_logins: VecDeque<Tick>,
    /// The first configuration: refused logins before it are unknown.
    started: Option<Tick>,
    /// The difference of local time from UTC at most sites, in seconds, when it was last known. Quiet hours follow it,
    /// because the machine of the agent often has no time zone.
    pub(super) utc_offset: i32,
    /// Whether no site has got another offset since it was computed.
    is_offset_current: bool,
}

/// The moment of an evaluation.
#[derive(Debug, Clone, Copy)]
pub(super) struct EvaluationTime {
    /// Its tick and date.
    pub now: AlertTime,
    /// Maps moments to ticks.
    pub timeline: AlertClock,
    /// The system's clock.
    pub clock: Clock,
}

impl Evaluator {
    /// Adopts a configuration. Alerts whose rule it no longer has end silently.
    pub(super) fn configure(&mut self, config: &Config, table: &mut IncidentTable, now: AlertTime) {
        self.started.get_or_insert(now.tick);
        self.rules = numbered(&config.alerts.rules);
        let of = |site: &Site| rules_of(&config.alerts.rules, &self.rules, &site.alerts);
        self.of_site = config.sites.iter().map(|site| (site.key.clone(), of(site))).collect();
        self.certificate_ends = config.http.tls.as_ref().and_then(Https::ends);
        let reports_outages = |rules: &Arc<[NumberedRule]>| rules.iter().any(|rule| rule.kind() == SITE_DOWN);
        let has_uplink = self.of_site.values().any(reports_outages);
        let of_site = &self.of_site;
        let is_valid = |site: &str, incident: &Incident| match (site, &*incident.kind) {
            (AGENT, UPLINK_LOST) => has_uplink,
            (AGENT, _) => self.rules.iter().any(|rule| rule.id == incident.rule),
            _ => of_site.get(site).is_some_and(|rules| rules.iter().any(|rule| rule.id == incident.rule)),
        };
        table.retain(is_valid, now);
    }

    /// Evaluates what an event changed.
    pub(super) fn apply(&mut self, event: &StoreEvent, table: &mut IncidentTable, time: EvaluationTime) {
        self.is_offset_current &= match event {
            StoreEvent::SiteChanged(change) => change.old.utc_offset() == change.new.utc_offset(),
            StoreEvent::ConfigReloaded => true,
            StoreEvent::SiteAdded(_) | StoreEvent::SiteRemoved(_) | StoreEvent::Resync(_) => false,
        };
        match event {
            StoreEvent::SiteAdded(site) => self.evaluate_site(site, table, time),
            StoreEvent::SiteRemoved(site) => table.record_site(&site.key, None, time.now),
            StoreEvent::SiteChanged(change) => {
                for event in &change.events {
                    if let SiteEvent::Rebooted { booted } = event {
                        self.report_reboot(&change.new, time.timeline.tick(*booted), table, time.now);
                    }
                }
                self.evaluate_site(&change.new, table, time);
            }
            StoreEvent::ConfigReloaded => {}
            StoreEvent::Resync(snapshot) => {
                table.uplink.retain(|site| snapshot.site(site).is_some());
                for site in &snapshot.sites {
                    self.evaluate_site(site, table, time);
                }
            }
        }
    }

    /// Evaluates the rules about the agent itself. To be called at least each few seconds.
    pub(super) fn evaluate_agent(&mut self, snapshot: &Snapshot, table: &mut IncidentTable, now: AlertTime) {
        if !std::mem::replace(&mut self.is_offset_current, true) {
            self.utc_offset = most_common_offset(snapshot).unwrap_or(self.utc_offset);
        }
        self.refused_logins.retain(|login| now.tick.since(*login) < LOGIN_WINDOW);
        for rule in self.rules.iter() {
            let observation = match rule.rule.condition {
                AlertCondition::ConfigRejected => config_rejected(&snapshot.reload),
                AlertCondition::CertificateExpires(within) => {
                    page_certificate_expires(self.certificate_ends, within, now)
                }
                AlertCondition::LoginsRefused => {
                    let count = self.refused_logins.len();
                    let is_new = self.started.is_none_or(|start| now.tick.since(start) < LOGIN_WINDOW);
                    logins_refused(count, count >= MANY_LOGINS, is_new)
                }
                _ => continue,
            };
            table.observe(rule.subject(AGENT, None, ""), observation, now);
        }
    }

    /// Records that a login as admin was refused.
    pub(super) fn record_refused_login(&mut self, now: Tick) {
        if self.refused_logins.len() >= MANY_LOGINS {
            self.refused_logins.pop_front();
        }
        self.refused_logins.push_back(now);
    }

    fn rules_of(&self, site: &str) -> Arc<[NumberedRule]> {
        self.of_site.get(site).cloned().unwrap_or_default()
    }

    fn report_reboot(&self, site: &SiteState, booted: Tick, table: &mut IncidentTable, now: AlertTime) {
        let rules = self.rules_of(&site.key);
        for rule in rules.iter().filter(|rule| rule.rule.condition == AlertCondition::Rebooted) {
            let description = Description {
                problem: format!("{} rebooted", site.name),
                recovery: format!("{} has stopped rebooting", site.name),
                hint: Some("If nobody rebooted it, check its power supply. On the router: /log print".into()),
                ..Description::default()
            };
            table.report(rule.subject(&site.key, Some(&site.name), ""), description, booted, now);
        }
    }

    fn evaluate_site(&self, site: &SiteState, table: &mut IncidentTable, time: EvaluationTime) {
        let (now, timeline) = (time.now, time.timeline);
        table.record_site(&site.key, Some(reachability(site, timeline)), now);
        let local = now.local(site.utc_offset().unwrap_or(self.utc_offset));
        let figures = Figures::of(site);
        for rule in self.rules_of(&site.key).iter() {
            let AlertRule { between, days, .. } = rule.rule;
            let is_in_hours = local.is_none_or(|local| {
                between.is_none_or(|hours| hours.contains(local)) && days.contains(local)
            });
            let mut observe = |part: &str, observation: Evaluation| {
                let observation = match observation {
                    Evaluation::Present(_, description) if !is_in_hours => Evaluation::Excluded(description),
                    // It may have begun outside of the hours.
                    Evaluation::Present(_, description) if between.is_some() || days != Weekdays::ALL => {
                        Evaluation::Present(None, description)
                    }
                    other => other,
                };
                table.observe(rule.subject(&site.key, Some(&site.name), part), observation, now);
            };
            match rule.rule.condition {
                AlertCondition::SiteDown => observe("", site_down(site, timeline)),
                AlertCondition::PluginFailing => {
                    for reading in &site.readings {
                        observe(reading.plugin.name(), plugin_failing(site, reading, timeline));
                    }
                }
                AlertCondition::Above(threshold) => {
                    observe("", figures.compare(threshold, true));
                }
                AlertCondition::Below(threshold) => {
                    observe("", figures.compare(threshold, false));
                }
                AlertCondition::ClockWrong(by) => observe("", clock_wrong(site, by, time.clock)),
                AlertCondition::CertificateExpires(within) => {
                    observe("", router_certificate_expires(site, within, now));
                }
                // An unstable alert of an earlier run ends when it is known again.
                AlertCondition::Rebooted if site.is_online() => observe("", Evaluation::Absent(None)),
                AlertCondition::Rebooted => observe("", Evaluation::Unknown),
                AlertCondition::ConfigRejected | AlertCondition::LoginsRefused => {}
            }
        }
        if table.has_incidents(&site.key) {
            let exists =
                |incident: &Incident| incident.part.is_empty() || site.reading(&incident.part).is_some();
            table.retain_of_site(&site.key, exists, now);
        }
    }
}

/// The difference of local time from UTC that most sites have, in seconds; `None` while none is known.
fn most_common_offset(snapshot: &Snapshot) -> Option<i32> {
    let mut counts: Vec<(i32, usize)> = Vec::new();
    for offset in snapshot.sites.iter().filter_map(|site| site.utc_offset()) {
        match counts.iter_mut().find(|(known, _)| *known == offset) {
            Some((_, count)) => *count += 1,
            None => counts.push((offset, 1)),
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(offset, _)| offset)
}

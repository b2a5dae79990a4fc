//! The table of incidents: observations and time in, notifications out. A pure state machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::announcer::{Announcer, current};
use super::incident::{Description, Evaluation, Incident, Subject};
use super::notification::Notification;
use super::record::AlertRecord;
use super::time::{AlertTime, Tick};
use super::uplink::{Reachability, Uplink, Verdict};

/// The kind of the rule that reports outages.
pub const SITE_DOWN: &str = "SiteDown";

/// The kind of the alert that replaces those of [`SITE_DOWN`] if all sites are lost at once.
pub const UPLINK_LOST: &str = "UplinkLost";

/// The key of the agent itself in the table.
pub(super) const AGENT: &str = "";

const UPLINK: Subject = Subject {
    site: AGENT,
    name: None,
    rule: UPLINK_LOST,
    kind: UPLINK_LOST,
    part: "",
    after: std::time::Duration::ZERO,
};

type Incidents = BTreeMap<String, Vec<Incident>>;

/// All incidents, by site, and what was announced of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct IncidentTable {
    incidents: Incidents,
    /// Announcements, mutes and past alerts.
    pub announcer: Announcer,
    #[serde(skip)]
    pub uplink: Uplink,
}

impl IncidentTable {
    /// Forgets what a restart makes uncertain, after the table was restored. It was `stored` then.
    pub(super) fn resume(&mut self, stored: Tick) {
        self.incidents.values_mut().flatten().for_each(|incident| incident.resume(stored));
    }

    /// Whether the site has incidents.
    pub(super) fn has_incidents(&self, site: &str) -> bool {
        self.incidents.contains_key(site)
    }

    /// Records what an evaluation found.
    pub(super) fn observe(&mut self, subject: Subject, observation: Evaluation, now: AlertTime) {
        let create = matches!(observation, Evaluation::Present(..));
        let Some(incident) = find(&mut self.incidents, subject, create, now.tick) else { return };
        incident.adopt(subject);
        incident.set_known(observation != Evaluation::Unknown, now.tick);
        match observation {
            Evaluation::Hold | Evaluation::Excluded(_) if incident.firing.is_none() => {
                incident.set_present(None, now.tick);
            }
            Evaluation::Unknown | Evaluation::Hold => {}
            Evaluation::Absent(value) => {
                incident.set_present(None, now.tick);
                self.announcer.resolve(subject.site, incident, value, now);
            }
            Evaluation::Present(since, description) => {
                incident.set_present(Some(since.unwrap_or(now.tick)), now.tick);
                incident.description = description;
            }
            Evaluation::Excluded(description) => {
                incident.set_present(Some(now.tick), now.tick);
                incident.description = description;
            }
        }
    }

    /// Records something that happened at a tick and has no end.
    pub(super) fn report(&mut self, subject: Subject, description: Description, since: Tick, now: AlertTime) {
        if let Some(incident) = find(&mut self.incidents, subject, true, now.tick) {
            incident.set_known(true, now.tick);
            incident.description = description;
            self.announcer.report(subject.site, incident, since, now);
        }
    }

    /// Records the reachability of a site; `None`: it was removed.
    pub(super) fn record_site(&mut self, site: &str, reachability: Option<Reachability>, now: AlertTime) {
        let is_first = self.uplink.record(site, reachability);
        if is_first && let Some(incident) = find(&mut self.incidents, UPLINK, false, now.tick) {
            // Also if it is unstable and ended before a restart.
            incident.set_known(true, now.tick);
            if incident.present.is_some() {
                self.uplink.restore(now.tick);
                incident.set_present(None, now.tick);
                self.announcer.resolve(AGENT, incident, None, now);
            }
        }
    }

    /// Announces what is due, and returns the next notification if there is one. To be called at least each few seconds.
    pub(super) fn advance(&mut self, is_quiet: bool, now: AlertTime) -> Option<Notification> {
        let mut is_uplink_lost = false;
        if !self.uplink.is_any_reachable()
            && let Some(incident) = find(&mut self.incidents, UPLINK, false, now.tick)
        {
            // Until the verdict, it is unknown, also after a restart.
            is_uplink_lost = incident.present.is_some() && incident.unknown.is_none();
            incident.set_known(is_uplink_lost, now.tick);
        }
        let mut lost = None;
        for (site, incidents) in &mut self.incidents {
            for incident in incidents.iter_mut() {
                match due(site, incident, &self.uplink, is_uplink_lost, now.tick) {
                    Some(Verdict::Site) => self.announcer.fire(site, incident, now),
                    Some(Verdict::Uplink(since)) => {
                        is_uplink_lost = true;
                        lost = Some(since);
                    }
                    Some(Verdict::Wait) | None => {}
                }
                self.announcer.advance(site, incident, is_quiet, now);
            }
            incidents.retain_mut(|incident| !incident.is_over(now.tick));
        }
        self.incidents.retain(|_, incidents| !incidents.is_empty());
        if let Some(since) = lost {
            self.lose_uplink(since, now);
        }
        let notification = self.announcer.outbox.take(now.tick, is_quiet);
        self.announcer.revision += u64::from(notification.is_some());
        notification
    }

    /// Fires the alert of the uplink. It replaces those of sites lost at once that were not sent yet.
    fn lose_uplink(&mut self, since: Tick, now: AlertTime) {
        for incident in self.incidents.values_mut().flatten().filter(|incident| incident.kind == SITE_DOWN) {
            let outbox = &mut self.announcer.outbox;
            let mut take_back =
                |id: &str| !outbox.withdraw(|waiting| waiting.alert.id == id && waiting.is_new()).is_empty();
            incident
                .firing
                .take_if(|firing| firing.since >= since && (!firing.is_announced || take_back(&firing.id)));
        }
        if let Some(incident) = find(&mut self.incidents, UPLINK, true, now.tick) {
            incident.set_known(true, now.tick);
            incident.set_present(Some(since), now.tick);
            incident.description = uplink_lost(self.uplink.site_count());
            // An unstable one fires already.
            if incident.firing.is_none() {
                self.announcer.fire(AGENT, incident, now);
            }
        }
    }

    /// Ends the incidents whose rule, site or part no longer exists. Nothing is announced.
    pub(super) fn retain(&mut self, is_valid: impl Fn(&str, &Incident) -> bool, now: AlertTime) {
        for (site, incidents) in &mut self.incidents {
            for incident in incidents.extract_if(.., |incident| !is_valid(site, incident)) {
                self.announcer.drop_incident(site, &incident, now);
            }
        }
        self.incidents.retain(|_, incidents| !incidents.is_empty());
    }

    /// Ends the incidents of a site whose part no longer exists. Nothing is announced.
    pub(super) fn retain_of_site(&mut self, site: &str, exists: impl Fn(&Incident) -> bool, now: AlertTime) {
        for incident in
            self.incidents.get_mut(site).into_iter().flat_map(|all| all.extract_if(.., |i| !exists(i)))
        {
            self.announcer.drop_incident(site, &incident, now);
        }
    }

    /// Records who acknowledged a firing alert. Returns whether there is one with this identifier.
    pub(super) fn acknowledge(&mut self, id: &str, by: &str, now: Tick) -> bool {
        let firing = self.incidents.values_mut().flatten().filter_map(|incident| incident.firing.as_mut());
        let found = firing.filter(|firing| firing.id == id).last();
        let is_found =
            found.map(|firing| firing.acknowledged.get_or_insert_with(|| (by.into(), now))).is_some();
        self.announcer.revision += u64::from(is_found);
        is_found
    }

    /// The identifiers of the alerts that fire, or whose last message is not sent yet.
    pub(super) fn open_ids(&self) -> impl Iterator<Item = &str> {
        let firing = self.incidents.values().flatten().filter_map(|incident| incident.firing.as_ref());
        firing.map(|firing| firing.id.as_str()).chain(self.announcer.outbox.ids())
    }

    /// The kind of each firing alert.
    pub(super) fn firing_kinds(&self) -> impl Iterator<Item = &str> {
        let all = self.incidents.values().flatten();
        all.filter(|incident| incident.firing.is_some()).map(|incident| incident.kind.as_str())
    }

    /// The firing alerts, those of the agent itself first, then by site.
    pub(super) fn firing(&self, now: AlertTime) -> impl Iterator<Item = AlertRecord> {
        let all =
            self.incidents.iter().flat_map(|(site, incidents)| incidents.iter().map(move |i| (site, i)));
        all.filter(|(_, incident)| incident.firing.is_some())
            .map(move |(site, incident)| current(site, incident, now))
    }
}

/// The incident of a subject. With `create`, a missing one is created.
fn find<'i>(
    incidents: &'i mut Incidents,
    subject: Subject,
    create: bool,
    now: Tick,
) -> Option<&'i mut Incident> {
    if create && !incidents.contains_key(subject.site) {
        incidents.insert(subject.site.into(), Vec::new());
    }
    let of_site = incidents.get_mut(subject.site)?;
    match of_site.iter().position(|incident| incident.is_about(subject)) {
        Some(at) => of_site.get_mut(at),
        None if create => {
            of_site.push(Incident::new(subject, now));
            of_site.last_mut()
        }
        None => None,
    }
}

/// What to do if the condition of an incident has lasted long enough, and its alert is not firing.
fn due(site: &str, incident: &Incident, uplink: &Uplink, is_uplink_lost: bool, now: Tick) -> Option<Verdict> {
    let since = incident.present.filter(|_| incident.firing.is_none() && incident.unknown.is_none())?;
    if incident.kind != SITE_DOWN {
        return (now >= since.after(incident.after)).then_some(Verdict::Site);
    }
    // With a rule that has hours, the condition counts from a later tick than that of the loss.
    let lost = uplink.lost_since(site).unwrap_or(since);
    let is_due = now >= since.after(incident.after) && now >= uplink.earliest_report(lost);
    (is_due && !is_uplink_lost).then(|| uplink.verdict(lost, now))
}

fn uplink_lost(sites: usize) -> Description {
    Description {
        problem: format!("All {sites} sites are unreachable at once"),
        recovery: "Sites are reachable again".into(),
        cause: Some("the agent's own network connection is probably down".into()),
        hint: Some("Check the network and the VPN of the machine on which the agent runs".into()),
        value: None,
    }
}

#[cfg(test)]
mod tests;

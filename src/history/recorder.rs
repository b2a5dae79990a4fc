//! The recorder: observes the store, and records each state of a site in the history.

use std::sync::Arc;
use std::time::Duration;

use smol::{Task, Timer};

use super::History;
use super::site_history::Observation;
use crate::clock::{Clock, Moment};
use crate::executor;
use crate::plugin::{Data, Hotspot, Resource};
use crate::state::{ConnectionState, SiteEvent, SiteState, Store, StoreEvent};

/// How often the history advances if nothing happens: twice in its shortest slot.
const TICK: Duration = Duration::from_secs(30);

/// The recorder wakes up more often than this. After a longer pause the host was suspended, and nothing is known about
/// that time.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Records the states of all sites of this store, until the task is dropped.
pub fn start(history: &Arc<History>, store: &Arc<Store>) -> Task<()> {
    let mut events = store.subscribe();
    let mut recorder =
        Recorder { history: history.clone(), awake: Moment::now(), clock: store.snapshot().clock };
    executor::spawn(async move {
        let mut ticks = Timer::interval(TICK);
        loop {
            let event = events.next_or_tick(&mut ticks).await;
            let now = Moment::now();
            recorder.wake(now);
            match event {
                Some(event) => recorder.record(&event, now),
                None => recorder.tick(now, Clock::system()),
            }
        }
    })
}

struct Recorder {
    history: Arc<History>,
    /// When the recorder last ran.
    awake: Moment,
    clock: Clock,
}

impl Recorder {
    /// Notices that the host was suspended.
    fn wake(&mut self, now: Moment) {
        if now.since(self.awake) > MAX_PAUSE {
            self.history.advance(self.awake, self.clock);
            self.history.skip(now);
        }
        self.awake = now;
    }

    fn tick(&mut self, now: Moment, system: Clock) {
        self.clock = self.clock.follow(system);
        self.history.advance(now, self.clock);
    }

    fn record(&self, event: &StoreEvent, now: Moment) {
        match event {
            StoreEvent::SiteChanged(change) => {
                for event in &change.events {
                    if let SiteEvent::Rebooted { booted } = event {
                        self.history.note_reboot(&change.new.key, *booted);
                    }
                }
                self.history.observe(&change.new.key, change.at, &observation(&change.new));
            }
            StoreEvent::SiteAdded(site) => self.history.observe(&site.key, now, &observation(site)),
            StoreEvent::Resync(snapshot) => {
                for site in &snapshot.sites {
                    self.history.observe(&site.key, now, &observation(site));
                }
            }
            // The history has the sites of the configuration.
            StoreEvent::SiteRemoved(_) | StoreEvent::ConfigReloaded => {}
        }
    }
}

/// The figures of a site. Those of a plugin that failed are unknown.
fn observation(site: &SiteState) -> Observation<'_> {
    let (hotspot, resource) = (site.current(Data::hotspot), site.current(Data::resource));
    Observation {
        connection: match &site.connection {
            ConnectionState::Connecting => None,
            ConnectionState::Online { since, .. } => Some((true, *since)),
            ConnectionState::Offline { since, .. } => Some((false, *since)),
        },
        host: site.address(),
        // The number of sessions is unknown if some are left out.
        users: hotspot.filter(|hotspot| !hotspot.is_truncated).map(|hotspot| hotspot.sessions.len() as f64),
        cpu: resource.and_then(Resource::cpu_load).map(|load| load as f64),
        memory: resource.and_then(Resource::used_memory_percent),
        counts: hotspot.map(Hotspot::counts).zip(site.hotspot_reading().and_then(|reading| reading.at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Plugin;
    use crate::routeros::error::{Cause, Error};

    fn at(seconds: u64) -> Moment {
        Moment::START.after(Duration::from_secs(seconds))
    }

    fn online() -> SiteState {
        let mut site = SiteState::new("a", "a", Duration::from_secs(30), ["h:1".into()], [Plugin::Resource]);
        site.connected(0, at(0));
        let resource = Resource {
            cpu_load_percent: Some(7),
            free_memory: Some(25),
            total_memory: Some(100),
            ..Resource::default()
        };
        site.readings[0].data = Some(Arc::new(Data::Resource(resource.into())));
        site
    }

    #[test]
    fn figures_are_known_while_their_plugin_works_and_the_router_answers() {
        let figures = |site: &SiteState| {
            let Observation { connection, users, cpu, memory, counts, .. } = observation(site);
            assert_eq!((users, counts.is_none()), (None, true), "the site collects no hotspot");
            (connection.map(|(is_online, _)| is_online), cpu, memory)
        };
        let mut site = online();
        assert_eq!(figures(&site), (Some(true), Some(7.0), Some(75.0)));
        let error = Error::new(Cause::QueryTimeout, "");
        site.readings[0].error = Some(error.clone());
        assert_eq!(figures(&site), (Some(true), None, None));
        site.readings[0].error = None;
        site.mark_offline(&error, at(9));
        assert_eq!(figures(&site), (Some(false), None, None));
        site.reset_connection();
        assert_eq!(figures(&site), (None, None, None));
    }

    #[test]
    fn a_long_pause_is_unknown_time() {
        let clock = Clock::system();
        let history = Arc::new(History::new(clock));
        history.configure(["a"], 1 << 20, at(0));
        let mut recorder = Recorder { history: history.clone(), awake: at(0), clock };
        let hour = Duration::from_secs(3600);
        for (second, known) in [(0, 0.0), (40, 40.0), (90, 90.0), (200, 90.0), (230, 120.0)] {
            recorder.wake(at(second));
            recorder.tick(at(second), clock);
            let found = history.availability("a", hour, at(second)).unwrap();
            assert!(
                (found.coverage * 3600.0 - known).abs() < 0.1,
                "{second} s: {found:?}, expected {known} s"
            );
            recorder.record(&StoreEvent::SiteAdded(online().into()), at(second));
        }
    }
}

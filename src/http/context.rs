//! The context of a request, which each handler receives.

use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use smol::lock::Semaphore;

use super::actions::{self, Who};
use super::api::View;
use super::auth::{Authenticator, Identity, Role};
use super::csv;
use super::message::{Request, Response, json_within};
use super::page::{self, Layout};
use super::server::MAX_ANSWER;
use super::sse::Events;
use crate::action::refresh::RefreshOutcomes;
use crate::action::{ActionError, SiteHandles};
use crate::alert::Alerts;
use crate::clock::Moment;
use crate::config::Http;
use crate::history::History;
use crate::journal::Journal;
use crate::net::proxy::ProxySettings;
use crate::notify::Notifier;
use crate::state::{SiteState, Snapshot, Store};
use crate::timings::Timings;

/// The parts of the agent that requests read or use.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// The state of all sites.
    pub store: Arc<Store>,
    /// The sites' tasks.
    pub handles: Arc<SiteHandles>,
    /// Server-sent events.
    pub events: Arc<Events>,
    /// Ended sessions.
    pub journal: Arc<Journal>,
    /// Figures over time.
    pub history: Arc<History>,
    /// Alerts.
    pub alerts: Arc<Alerts>,
    /// The channels of alerts.
    pub notifier: Arc<Notifier>,
}

impl Dependencies {
    /// The parts of an agent with this store and history. The others have no data yet.
    pub fn new(
        store: Arc<Store>,
        history: Arc<History>,
        proxies: ProxySettings,
        timings: &Arc<Timings>,
    ) -> Self {
        let alerts = Arc::new(Alerts::new(timings.alert_group));
        Self {
            handles: Arc::new(SiteHandles::new(timings.action_timeout)),
            events: Events::new(store.clone(), timings.clone()),
            journal: Arc::default(),
            history,
            notifier: Arc::new(Notifier::new(alerts.clone(), timings.clone(), proxies)),
            alerts,
            store,
        }
    }

    /// The revisions of all data that no snapshot has.
    pub(super) fn revisions(&self) -> impl Hash + use<> {
        (self.journal.version(), self.history.revision(), self.alerts.activity(), self.notifier.activity())
    }
}

/// The state that all requests share.
#[derive(Debug)]
pub(super) struct Services {
    dependencies: Dependencies,
    pub(super) authenticator: Authenticator,
    /// Held while a large response is rendered, because each one takes megabytes.
    rendering: Mutex<()>,
    /// A permit for each pending request for a refresh.
    refresh_permits: Arc<Semaphore>,
}

impl Deref for Services {
    type Target = Dependencies;

    fn deref(&self) -> &Dependencies {
        &self.dependencies
    }
}

impl Services {
    pub(super) fn new(dependencies: Dependencies, timings: &Timings) -> Self {
        Self {
            authenticator: Authenticator::new(timings, dependencies.alerts.clone()),
            dependencies,
            rendering: Mutex::default(),
            refresh_permits: Arc::new(Semaphore::new(actions::MAX_REFRESHES)),
        }
    }
}

/// The values of a path's placeholders; empty if the pattern has none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parameters<'r> {
    pub(super) site: &'r str,
    pub(super) plugin: &'r str,
    pub(super) alert: &'r str,
}

impl Parameters<'_> {
    /// The role that the addressed content needs: the admin's for a private plugin.
    pub(super) fn role(&self, snapshot: &Snapshot) -> Role {
        let reading = snapshot.site(self.site).and_then(|site| site.reading(self.plugin));
        if reading.is_some_and(|reading| reading.plugin.private()) { Role::Admin } else { Role::Anyone }
    }
}

/// One request, its sender, and the resources that it may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'r> {
    pub(super) services: &'r Services,
    pub(super) http: &'r Http,
    pub(super) request: &'r Request,
    pub(super) parameters: Parameters<'r>,
    pub(super) identity: Identity,
    /// The state of all sites when the request arrived.
    pub(super) snapshot: &'r Snapshot,
    pub(super) now: Moment,
    /// Whether the response is for people.
    pub(super) is_page: bool,
}

impl<'r> Context<'r> {
    /// The site that the path names.
    pub(super) fn site(&self) -> Result<&'r SiteState, Response> {
        self.snapshot.site(self.parameters.site).ok_or_else(|| {
            let keys: Vec<&str> = self.snapshot.sites.iter().map(|site| site.key.as_str()).collect();
            let detail = format!("The site does not exist. The sites are: {}.", keys.join(", "));
            page::not_found(self.is_page, self.request, || self.layout(), &detail)
        })
    }

    pub(super) fn is_admin(&self) -> bool {
        self.identity.role == Role::Admin
    }

    /// Whether problems of the configuration are shown with lines of the file: to the admin, or to everyone if there is
    /// no admin token.
    pub(super) fn is_detailed(&self) -> bool {
        self.is_admin() || self.http.admin.is_none()
    }

    pub(super) fn view(&self) -> View<'r> {
        View { snapshot: self.snapshot, is_admin: self.is_admin(), now: self.now }
    }

    pub(super) fn layout(&self) -> Layout {
        let account = self.identity.account(self.http, &self.request.path);
        let layout = Layout::new(self.http, account, &self.request.path);
        let layout = layout.with_banners(self.snapshot, self.now, self.is_detailed());
        let layout = layout.with_sites(self.snapshot, self.is_admin());
        let firing = self.services.alerts.count_firing().into_values().sum();
        if self.identity.role >= Role::Viewer { layout.with_bell(firing) } else { layout }
    }

    /// The sender, for the log.
    pub(super) fn who(&self) -> Who {
        Who { role: self.identity.role, peer: self.request.peer, is_anonymous: self.identity.is_anonymous() }
    }

    /// Maximum number of bytes of a response within the memory budget.
    pub(super) fn max_response(&self) -> usize {
        self.services.store.budget().answer.min(MAX_ANSWER)
    }

    /// Waits until no other large response is being rendered.
    pub(super) fn rendering(&self) -> MutexGuard<'r, ()> {
        self.services.rendering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A response that may have several megabytes. It must not exceed the bytes that `render` gets.
    pub(super) fn large(&self, render: impl FnOnce(usize) -> Response) -> Response {
        let _guard = self.rendering();
        render(self.max_response())
    }

    /// A JSON response that may have several megabytes.
    pub(super) fn large_json(&self, value: &impl Serialize) -> Response {
        self.large(|most| json_within(value, most))
    }

    /// Whether the response is to be CSV.
    pub(super) fn wants_csv(&self) -> bool {
        csv::is_requested(self.request)
    }

    /// Refreshes these sites, unless too many requests already wait for a refresh.
    pub(super) fn refresh(
        &self,
        sites: Vec<String>,
    ) -> Result<impl Future<Output = RefreshOutcomes> + Send + use<>, ActionError> {
        let permit = self.services.refresh_permits.try_acquire_arc().ok_or(ActionError::Busy)?;
        let (handles, who) = (self.services.handles.clone(), self.who());
        Ok(async move {
            let outcomes = actions::refresh(&handles, sites, who).await;
            drop(permit);
            outcomes
        })
    }

    /// The keys of all sites.
    pub(super) fn all_sites(&self) -> Vec<String> {
        self.snapshot.sites.iter().map(|site| site.key.clone()).collect()
    }
}

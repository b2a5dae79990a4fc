//! `/healthz` and `/readyz`: for service managers and load balancers.

use std::sync::Arc;

use crate::http::context::Context;
use crate::http::message::{Response, problem};
use crate::state::{ConnectionState, SiteState};

/// Whether the process responds.
pub(in crate::http) fn healthz(_: &Context) -> Result<Response, Response> {
    Ok(Response::new(200, "text/plain; charset=utf-8", "alive\n"))
}

/// Whether there is a configuration, and the agent has tried to connect to every site once.
pub(in crate::http) fn readyz(context: &Context) -> Result<Response, Response> {
    let unavailable = |detail: &str| Err(problem(503, detail));
    if context.snapshot.reload.succeeded.is_none() {
        return unavailable("There is no configuration yet.");
    }
    // A site with earlier connection events is reconnecting, because the file changed.
    let is_untried = |site: &&Arc<SiteState>| {
        site.connection == ConnectionState::Connecting && site.connection_events.is_empty()
    };
    let sites = &context.snapshot.sites;
    match sites.iter().filter(is_untried).count() {
        0 => Ok(Response::new(200, "text/plain; charset=utf-8", "ready\n")),
        // The number of sites, not their names, because anyone may send this request.
        waiting => unavailable(&format!("{waiting} of {} sites have not been tried yet.", sites.len())),
    }
}

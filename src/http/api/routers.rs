//! `/api/routers`: uptime, version, load and memory of each router.

use serde::Serialize;

use super::by_site::by_site;
use super::error::connection_error;
use super::view::View;
use crate::action::ErrorJson;
use crate::http::context::Context;
use crate::http::message::Response;
use crate::routeros::value;
use crate::state::SiteState;

/// One router. Unknown values are null; stale ones carry their age.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RouterJson<'s> {
    name: &'s str,
    is_online: bool,
    uptime: Option<String>,
    uptime_seconds: Option<u64>,
    version: Option<&'s str>,
    cpu_load: Option<u64>,
    cpu_count: Option<u64>,
    free_memory: Option<u64>,
    total_memory: Option<u64>,
    free_storage: Option<u64>,
    total_storage: Option<u64>,
    board_name: Option<&'s str>,
    architecture: Option<&'s str>,
    fetched_at: Option<String>,
    age_seconds: Option<u64>,
    error: Option<ErrorJson>,
}

/// All routers by the key of their site.
pub(in crate::http) fn all(context: &Context) -> Result<Response, Response> {
    by_site(context, router_json)
}

fn router_json<'s>(view: View, site: &'s SiteState) -> RouterJson<'s> {
    let resource = site.resource();
    let at = site.resource_reading().and_then(|reading| reading.at);
    let uptime = resource.and_then(|resource| resource.uptime);
    RouterJson {
        name: &site.name,
        is_online: site.is_online(),
        uptime: uptime.map(value::format_duration),
        uptime_seconds: uptime.map(|uptime| uptime.as_secs()),
        version: resource.and_then(|resource| resource.version.as_deref()),
        cpu_load: resource.and_then(|resource| resource.cpu_load_percent),
        cpu_count: resource.and_then(|resource| resource.cpu_count),
        free_memory: resource.and_then(|resource| resource.free_memory),
        total_memory: resource.and_then(|resource| resource.total_memory),
        free_storage: resource.and_then(|resource| resource.free_storage),
        total_storage: resource.and_then(|resource| resource.total_storage),
        board_name: resource.and_then(|resource| resource.board.as_deref()),
        architecture: resource.and_then(|resource| resource.architecture.as_deref()),
        fetched_at: at.map(|at| view.date(at)),
        age_seconds: at.map(|at| view.age_s(at)),
        error: connection_error(view, site),
    }
}

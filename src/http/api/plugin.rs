//! `/api/sites/{site}/plugins/{plugin}`: a plugin's rows.

use serde::{Serialize, Serializer};

use crate::http::context::Context;
use crate::http::message::{Response, problem};
use crate::plugin::Data;
use crate::state::SiteState;

#[derive(Serialize)]
struct TableJson<'s> {
    columns: Vec<String>,
    rows: Rows<'s>,
    at: Option<String>,
    state: &'static str,
}

/// The rows that a plugin has read, none before its first success.
struct Rows<'s>(Option<&'s Data>);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.into_iter().flat_map(Data::rows))
    }
}

/// The rows that the plugin last read.
pub(in crate::http) fn rows(context: &Context) -> Result<Response, Response> {
    let site = context.site()?;
    let reading = site.reading(context.parameters.plugin).ok_or_else(|| no_plugin(site))?;
    let data = reading.data.as_deref();
    // The columns of a declared plugin are known before its first success.
    let declared = || reading.plugin.declaration().map(|declaration| declaration.column_names());
    Ok(context.large_json(&TableJson {
        columns: data.map_or_else(|| declared().unwrap_or_default(), Data::columns),
        rows: Rows(data),
        at: reading.at.map(|at| context.view().date(at)),
        state: reading.state(site.is_online()).name(),
    }))
}

/// The error for a plugin that the site does not collect.
pub(super) fn no_plugin(site: &SiteState) -> Response {
    let names: Vec<&str> = site.readings.iter().map(|reading| reading.plugin.name()).collect();
    let detail = format!("This site collects no plugin of that name. It has: {}.", names.join(", "));
    problem(404, "Not Found", &detail)
}

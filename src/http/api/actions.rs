//! `POST` endpoints: actions at one site, and refreshes.

use crate::action::Action;
use crate::action::refresh::RefreshedJson;
use crate::http::actions;
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response, json};

/// Runs an action on the site of the path. The response is its outcome as JSON.
pub(in crate::http) fn run<A: Action>(context: &Context) -> Result<HandlerOutput, Response> {
    let site = context.site()?.key.clone();
    let action = actions::parsed(A::parse(&context.request.body))?;
    let (handles, who) = (context.services.handles.clone(), context.who());
    Ok(HandlerOutput::later(async move {
        let outcome = actions::run(&handles, &site, action, who).await;
        actions::answer(&outcome, json)
    }))
}

/// `POST /api/refresh`
pub(in crate::http) fn refresh_all(context: &Context) -> Result<HandlerOutput, Response> {
    refresh_sites(context, context.all_sites())
}

/// `POST /api/sites/{site}/refresh`
pub(in crate::http) fn refresh(context: &Context) -> Result<HandlerOutput, Response> {
    refresh_sites(context, vec![context.site()?.key.clone()])
}

fn refresh_sites(context: &Context, sites: Vec<String>) -> Result<HandlerOutput, Response> {
    let outcomes = context.refresh(sites).map_err(|error| actions::refused(&error))?;
    Ok(HandlerOutput::later(async move { json(&RefreshedJson::new(&outcomes.await)) }))
}

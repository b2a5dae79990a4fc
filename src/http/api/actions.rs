//! `POST` endpoints: kick, test and refresh.

use crate::action::diagnose::Diagnose;
use crate::action::kick::Kick;
use crate::action::refresh::RefreshedJson;
use crate::http::actions;
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response, json};

/// `POST /api/hotspot/{site}/kick`
pub(in crate::http) fn kick(context: &Context) -> Result<HandlerOutput, Response> {
    let (site, kick) = (context.site()?.key.clone(), actions::parsed(Kick::parse(&context.request.body))?);
    let (handles, who) = (context.services.handles.clone(), context.who());
    Ok(HandlerOutput::later(async move {
        let kicked = actions::run(&handles, &site, kick, who).await;
        actions::answer(&kicked, json)
    }))
}

/// `POST /api/sites/{site}/test`
pub(in crate::http) fn test(context: &Context) -> Result<HandlerOutput, Response> {
    let (site, handles, who) = (context.site()?.key.clone(), context.services.handles.clone(), context.who());
    Ok(HandlerOutput::later(async move {
        let steps = actions::run(&handles, &site, Diagnose, who).await;
        actions::answer(&steps, json)
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
